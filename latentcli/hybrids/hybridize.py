"""Hybrids in one call, all in memory."""

from collections.abc import Sequence

import numpy as np

from latentcli.classifiers.base import DensityClassifier
from latentcli.core.labels import as_names
from latentcli.core.latents import Latents
from latentcli.core.progress import Progress, silent
from latentcli.core.settings import check_kind, check_number
from latentcli.hybrids.making import MOST, HybridMaker, Recipe, in_arrays
from latentcli.hybrids.posteriors import Posteriors
from latentcli.models.trained import TrainedModel


def hybridize(
    model: TrainedModel, classifier: DensityClassifier, count: int = 1000, *,
    strategy: str = Recipe.strategy, likelihood: str | None = Recipe.likelihood, classes: Sequence[str] | None = None,
    near: Latents | None = None, ratio: float | None = None, temperature: float = Recipe.temperature,
    min_confidence: float = Recipe.min_confidence, reject: float = Recipe.reject, seed: int = Recipe.seed,
    progress: Progress = silent,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Latent points decoded into images, each with the likelihood of every class as its soft label.

    Args:
        model: decodes them.
        classifier: a mixture or a graph, fitted to the model's latents. Between classes lie paths from one image to
            another that a graph holds, and from draws of a mixture; the strategy mixture needs one.
        count: hybrids to make.
        strategy: where they lie: "between" the classes, "mixup", "boundary", "mixture", "posterior" or "prior".
        likelihood: what their soft labels are: of the "mixture" or the "graph", None being the one that is given; of
            "class-gaussian" (of a mixture) or "neighbours". With the strategy mixup it says only which class an
            unlabelled image has; soft labels follow from the position on the path.
        classes: classes to draw them from; None takes all. The prior knows no classes.
        near: latents of images, to draw around, or between; or to be the neighbours.
        ratio: how far from the first of two classes to the second, in [0, 1]; None: anywhere.
        temperature: of the soft labels; below 1 sharper, above 1 softer.
        min_confidence: points whose likeliest class is less probable are dropped, in [0, 1).
        reject: points less likely than this fraction of those the classifier was fitted on are dropped.
        seed: of all draws.
        progress: told about the images.

    Returns:
        ``images`` (N, H, W) or (N, H, W, 3) uint8, ``soft_labels`` (N, K) whose rows sum to 1, ``classes`` (K,) and
        ``latents`` (N, D) float32, as ``read_hybrids`` gives them.

    Raises:
        UsageError: a name is unknown, a value out of range, or images are missing or not used.
        DataError: all images are of classes that the classifier does not have.
        ModelFileError: the classifier's file lacks what the recipe needs.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2)
        >>> hybrids = lc.hybridize(vae, lc.fit_mixture(vae.encode(images)), 20, classes=["4", "8"])
        >>> hybrids["images"].shape, hybrids["classes"].tolist()
        ((20, 8, 8), ['1', '4', '8'])
    """
    check_kind("model", model, TrainedModel)
    check_kind("classifier", classifier, DensityClassifier)
    if near is not None:
        check_kind("near", near, Latents)
    names, images = as_names(classes), None if near is None else posteriors_of(near)
    recipe = Recipe(strategy, likelihood, names, ratio, temperature, min_confidence, reject, seed)
    check_number("`count`", count, 1, MOST)
    maker = HybridMaker(recipe, classifier, model, images, progress)
    return in_arrays(maker.blocks(count), count, list(map(str, classifier.classes_)), "making hybrids", progress)


def posteriors_of(latents: Latents) -> Posteriors:
    """The posteriors of encoded images, with the known classes."""
    return Posteriors(latents.points, latents.point_variances, latents.labels.texts)
