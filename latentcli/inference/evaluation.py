"""All metrics of a model, and of a classifier of its latents, on a set of images."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from latentcli.classifiers import PROBES
from latentcli.classifiers.base import DensityClassifier, LatentClassifier
from latentcli.classifiers.fitting import features_for
from latentcli.core.image_set import ImageSet
from latentcli.core.latents import ARRAYS_OF_FEATURES
from latentcli.core.progress import Progress, silent
from latentcli.core.settings import check_kind
from latentcli.inference.classification import (
    Predictions,
    check_reader,
    classifications_of,
    counted,
    in_blocks_of,
    whole,
)
from latentcli.inference.prior_likelihood import likelihood_of
from latentcli.inference.tally import Tally
from latentcli.models.trained import TrainedModel
from latentcli.numerics import metrics
from latentcli.numerics.blocks import Block

Found = TypeVar("Found", Tally, Predictions)

SIMPLE = {"nearest_neighbours_accuracy": "knn", "logistic_regression_accuracy": "linear"}
"""Metrics of probes, fitted to the labelled points that a classifier learned from: what it is worth beside them."""


def evaluate(
    images: ImageSet, model: TrainedModel, classifier: LatentClassifier | None = None, *,
    prior: TrainedModel | None = None, progress: Progress = silent,
) -> tuple[dict[str, Any], Predictions | None]:  # fmt: skip
    """Metrics of a model's reconstructions and latents, and of a classifier of them.

    Args:
        images: of the model's shape.
        model: of latents.
        classifier: fitted to them; None leaves its metrics out.
        prior: of the model's latents; None leaves its metrics out.
        progress: told about the images.

    Returns:
        metrics by name: ``mse``, ``psnr``, ``ssim``, the family's own, ``images``, with labelled images and a
        classifier also ``accuracy`` and the like, and ``labelled``, their number, where it is smaller; of a mixture
        or a graph also what nearest neighbours and logistic regression make of the same features with the same labels
        (at most 1,000 a class), where its file holds these; of a prior the negative log-likelihood of the images'
        codes, ``bits_per_code`` and ``bits_per_pixel``, with labelled images ``bits_per_code_given_class``, and that
        of how often codes occur in training, ``bits_per_code_independent``, and at each place,
        ``bits_per_code_of_place``, or of points ``bits_per_dimension`` and likewise; and the predictions, None without
        a classifier.

    Raises:
        ModelFileError: the model has no latent space, or the classifier or the prior was not fitted on it.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", split="test")
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> metrics, _ = lc.evaluate(images, vae)
        >>> sorted(metrics)
        ['active_units', 'images', 'kl', 'mse', 'mutual_information', 'psnr', 'ssim']
    """
    return _measured(images, model, classifier, prior, lambda blocks: whole(blocks, images), progress)


def measure(
    images: ImageSet, model: TrainedModel, classifier: LatentClassifier | None = None, *,
    prior: TrainedModel | None = None, kept: np.ndarray | None = None, progress: Progress = silent,
) -> tuple[dict[str, Any], Tally | None]:  # fmt: skip
    """``evaluate`` in memory that does not grow with the number of images, but for their labels, 8 bytes an image.

    Args:
        images, model, classifier, prior, progress: as of ``evaluate``.
        kept: numbers of images, ascending, whose latents are given back; None: of none.

    Returns:
        the metrics of ``evaluate``; and what was counted of the predictions, None without a classifier.

    Raises:
        ModelFileError: as of ``evaluate``.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", split="test")
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> lc.measure(images, vae)[0] == lc.evaluate(images, vae)[0]
        True
    """
    return _measured(images, model, classifier, prior, lambda blocks: counted(blocks, kept), progress)


def _measured(
    images: ImageSet, model: TrainedModel, classifier: LatentClassifier | None, prior: TrainedModel | None,
    take: Callable[[Iterator[Predictions]], Found], progress: Progress,
) -> tuple[dict[str, Any], Found | None]:  # fmt: skip
    """The metrics of ``evaluate``, in blocks; and what ``take`` makes of their predictions, if there are any."""
    check_kind("images", images, ImageSet)
    check_kind("model", model, TrainedModel)
    measuring, found, simple = model.measuring(), None, None
    likelihood = None if prior is None else likelihood_of(prior, model, images.labels)

    def encoded(features: str | None) -> Iterator[Block]:
        for _, arrays in model.encodings(images, features, progress):
            if features in (None, *ARRAYS_OF_FEATURES):
                measuring.add(arrays)
                if likelihood is not None:
                    likelihood.add(arrays)
            yield arrays

    if classifier is not None:
        check_reader(model, classifier)
        blocks = classifications_of(in_blocks_of(encoded(classifier.features), images, model, classifier), classifier)
        if isinstance(classifier, DensityClassifier) and images.labels.any:
            simple = SimpleClassifiers(classifier)
            blocks = simple.seeing(blocks)
        found = take(blocks)
    if classifier is None or classifier.features not in (None, *ARRAYS_OF_FEATURES):
        for _ in encoded(None):
            pass
    score = metrics.ReconstructionScore()
    for rows, decoded in model.reconstructions(images, progress):
        score.add(images.images[rows], decoded)
    scores: dict[str, Any] = {} if found is None else found.scores()
    if found is not None and found.labelled is not None:
        scores["labelled"] = found.labelled
    if scores and simple is not None:
        scores |= simple.result()
    of_prior = {} if likelihood is None else likelihood.result()
    return {**score.result(), **measuring.result(), **of_prior, **scores, "images": len(images)}, found


class SimpleClassifiers:
    """The ``SIMPLE`` metrics of predictions, which may come in blocks, on the images whose label is known.

    Args:
        classifier: whose labelled points they learn from; where it kept none, there are no metrics.
    """

    def __init__(self, classifier: DensityClassifier) -> None:
        self._classifier = classifier
        self._fitted: dict[str, Any] = {}
        self._right = dict.fromkeys(SIMPLE, 0)
        self._images = 0

    def add(self, predictions: Predictions) -> None:
        """Take in the next images: their latents, and the labels that came with them."""
        known = predictions.known.known
        if self._classifier.learned_from is None or predictions.latents is None or not known.any():
            return
        if not self._fitted:
            points, labels = self._classifier.learned_from
            names = np.array(predictions.labels.names)[labels]
            self._fitted = {metric: PROBES[kind]().fit(points, names) for metric, kind in SIMPLE.items()}
        features = self._classifier.coordinates(features_for(self._classifier, predictions.latents)[known])
        truth = predictions.known.texts[known]
        self._images += len(truth)
        for metric, probe in self._fitted.items():
            self._right[metric] += int((probe.predict(features) == truth).sum())

    def seeing(self, blocks: Iterable[Predictions]) -> Iterator[Predictions]:
        """The same blocks, each of which is taken in."""
        for found in blocks:
            self.add(found)
            yield found

    def result(self) -> dict[str, float]:
        """The metrics, fractions of the images of known label; {} where there are none."""
        return {metric: self._right[metric] / self._images for metric in self._fitted}
