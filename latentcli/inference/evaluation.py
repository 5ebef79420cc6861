"""All metrics of a model, and of a classifier of its latents, on a set of images."""

from typing import Any

import numpy as np

from latentcli.classifiers import PROBES
from latentcli.classifiers.base import DensityClassifier, LatentClassifier
from latentcli.classifiers.fitting import features_for
from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Progress, silent
from latentcli.inference.classification import Predictions, check_reader, classify_latents
from latentcli.models.trained import TrainedModel
from latentcli.numerics import metrics

SIMPLE = {"nearest_neighbours_accuracy": "knn", "logistic_regression_accuracy": "linear"}
"""Metrics of probes, fitted to the labelled points that a classifier learned from: what it is worth beside them."""


def evaluate(
    images: ImageSet, model: TrainedModel, classifier: LatentClassifier | None = None, *, progress: Progress = silent
) -> tuple[dict[str, Any], Predictions | None]:
    """Metrics of a model's reconstructions and latents, and of a classifier of them.

    Args:
        images: of the model's shape.
        model: of latents.
        classifier: fitted to them; None leaves its metrics out.
        progress: told about the images.

    Returns:
        metrics by name: ``mse``, ``psnr``, ``ssim``, the family's own, ``images``, with labelled images and a
        classifier also ``accuracy`` and the like, and ``labelled``, their number, where it is smaller; of a mixture
        or a graph also what nearest neighbours and logistic regression make of the same features with the same labels
        (at most 1,000 a class), where its file holds these; and the predictions, None without a classifier.

    Raises:
        ModelFileError: the model has no latent space, or the classifier was not fitted on it.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", split="test")
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> metrics, _ = lc.evaluate(images, vae)
        >>> sorted(metrics)
        ['active_units', 'images', 'kl', 'mse', 'psnr', 'ssim']
    """
    predictions = latents = None
    if classifier is not None:
        check_reader(model, classifier)
        latents = model.encode(images, classifier.features, progress)
        predictions = classify_latents(latents, classifier)
    if latents is None or not latents.is_flat:
        latents = model.encode(images, progress=progress)
    score = metrics.ReconstructionScore()
    for rows, decoded in model.reconstructions(images, progress):
        score.add(images.images[rows], decoded)
    scores = {} if predictions is None else predictions.scores()
    if predictions is not None and predictions.labelled is not None:
        scores["labelled"] = predictions.labelled
    if scores and predictions is not None and isinstance(classifier, DensityClassifier):
        scores |= of_simple_classifiers(classifier, predictions)
    return {**score.result(), **model.measures(latents), **scores, "images": len(images)}, predictions


def of_simple_classifiers(classifier: DensityClassifier, predictions: Predictions) -> dict[str, float]:
    """The ``SIMPLE`` metrics, on the images whose label is known; {} where no labelled points were kept."""
    if classifier.learned_from is None or predictions.latents is None:
        return {}
    points, labels = classifier.learned_from
    known = predictions.known.known
    features = classifier.coordinates(features_for(classifier, predictions.latents)[known])
    truth, names = predictions.known.texts[known], np.array(predictions.labels.names)
    return {
        metric: float((PROBES[kind]().fit(points, names[labels]).predict(features) == truth).mean())
        for metric, kind in SIMPLE.items()
    }
