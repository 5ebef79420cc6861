"""From latent points to hybrids: drawn, made valid, labelled, filtered and decoded, a block at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from latentcli.core.errors import UsageError
from latentcli.core.growing import filled
from latentcli.core.progress import Progress, silent
from latentcli.core.settings import check, setting
from latentcli.hybrids import strategies
from latentcli.hybrids.likelihoods import LIKELIHOODS, LogLikelihood, soft_labels
from latentcli.hybrids.posteriors import OTHER, Posteriors
from latentcli.hybrids.strategies import ON_PATHS, STRATEGIES, WITH_RATIO, Decoder, Draw, NoPointAccepted, Sources
from latentcli.numerics.blocks import Block

if TYPE_CHECKING:
    from latentcli.classifiers.base import DensityClassifier

BLOCK = 256
"""Points drawn at a time. Each block has its own random generator, so that more hybrids begin like fewer."""

MOST = 10_000_000
"""Images of one call."""

MAX_EMPTY_BLOCKS = 100
"""Blocks in a row without a single point that passes the filters, after which no more are drawn."""


@dataclass(frozen=True)
class Recipe:
    """Which hybrids are made: the arguments of ``hybridize`` by the same names, where they are explained."""

    strategy: str = setting("between", choices=tuple(STRATEGIES))
    likelihood: str | None = setting(None, choices=tuple(LIKELIHOODS), none=True)
    classes: tuple[str, ...] | None = None
    ratio: float | None = setting(None, between=(0.0, 1.0), none=True)
    temperature: float = setting(1.0, between=(1e-9, 1e9))
    min_confidence: float = setting(0.0, between=(0.0, 0.999999))
    reject: float = setting(0.0, between=(0.0, 0.999999))
    seed: int = setting(0, between=(0, 2**63 - 1))

    def __post_init__(self) -> None:
        check(self)
        if self.strategy == "prior" and self.classes is not None:
            remedy = "leave `classes` out, or take another `strategy`"
            raise UsageError("the prior knows no classes", "found `classes`", remedy)
        if self.ratio is not None and (self.strategy not in WITH_RATIO or len(set(self.classes or ())) != 2):
            problem = "a ratio is a position on paths between two classes"
            expected = f"expected two classes, and a strategy of: {', '.join(WITH_RATIO)}"
            raise UsageError(problem, expected, "give two `classes`, or leave out `ratio`")


class HybridBlock(NamedTuple):
    """Hybrids: images (n, C, H, W) uint8, soft labels (n, K) float64, rows summing to 1, and latents (n, D) float32."""

    images: np.ndarray
    soft_labels: np.ndarray
    latents: np.ndarray


def in_arrays(
    blocks: Iterable[HybridBlock], count: int, names: Sequence[str], doing: str, progress: Progress
) -> dict[str, np.ndarray]:
    """``count`` images, made block by block, in the arrays of ``read_hybrids``; without names there are no soft labels.

    Args:
        blocks: of the images.
        names: of the classes.
        doing, progress: what is told about the images, and to whom.
    """
    with progress(doing, count) as advance:

        def told() -> Iterator[Block]:
            for block in blocks:
                yield block._asdict()
                advance(len(block.images))

        found = filled(told(), count)
    pixels = found["images"]
    found["images"] = pixels[:, 0] if pixels.shape[1] == 1 else pixels.transpose(0, 2, 3, 1)
    found["latents"] = found["latents"].astype(np.float32, copy=False)
    if names:
        return found | {"classes": np.array(names)}
    return {name: found[name] for name in ("images", "latents")}


class HybridMaker:
    """Makes hybrids by a recipe, of which ``log_likelihood`` is the likelihood, called ``likelihood``.

    Args:
        recipe, classifier: which hybrids, and a mixture or a graph, fitted on the latents of the decoder's model.
        images: to draw around or between, or to be neighbours; None where the recipe uses none.
        progress: of the search for neighbours, where the likelihood makes one.

    Raises:
        UsageError: a class is unknown, a path has only one class, or images are missing or not used.
        DataError: all images are of classes that the classifier does not have, or there are too many to search.
        ModelFileError: the classifier lacks what the likelihood needs.
    """

    def __init__(
        self, recipe: Recipe, classifier: "DensityClassifier", decoder: Decoder,
        images: Posteriors | None = None, progress: Progress = silent,
    ) -> None:  # fmt: skip
        strategies.check_images(recipe.strategy, recipe.likelihood, images is not None)
        classes = strategies.classes_of(classifier, recipe.classes)
        if recipe.strategy in ON_PATHS and len(classes) < 2:
            found = ", ".join(map(str, classifier.classes_[classes])) or "none"
            remedy = "give two `classes`, or take the `strategy` mixture"
            raise UsageError("hybrids lie between classes", f"expected two or more, found {found}", remedy)
        if not len(classes):
            raise UsageError("`classes` names no class", None, "leave it out")
        names = [str(name) for name in classifier.classes_]
        if recipe.strategy in ON_PATHS and images is not None and (images.known(names) == OTHER).all():
            raise images.unknown_classes_error(names)
        if recipe.strategy == "mixture":
            strategies.class_weights(classifier)  # refuses others before anything is searched
        self.recipe, self.classifier, self.decoder = recipe, classifier, decoder
        self.likelihood = recipe.likelihood or classifier.LIKELIHOOD
        read = classifier.n_features_in_  # of the dimensions of a point, the first: the others are details
        of_read = LIKELIHOODS[self.likelihood](classifier, None if images is None else images.first(read), progress)
        self.log_likelihood: LogLikelihood = lambda latents: of_read(latents[:, :read])
        self._sources = Sources(classifier, decoder, self.log_likelihood, classes, recipe.ratio, images)

    def blocks(self, count: int) -> Iterator[HybridBlock]:
        """``count`` hybrids, a block at a time; ``NoPointAccepted`` where there are none, or hardly any."""
        made = empty = block = 0
        while made < count:
            random = np.random.default_rng([self.recipe.seed, block])
            latents, labels = self._filtered(STRATEGIES[self.recipe.strategy](self._sources, BLOCK, random))
            latents, labels = latents[: count - made], labels[: count - made]
            made, block = made + len(latents), block + 1
            empty = 0 if len(latents) else empty + 1
            if empty == MAX_EMPTY_BLOCKS:
                passed = f"{made} of {block * BLOCK:,} passed"
                remedy = "lower `min_confidence` or `reject`, or take another `strategy`"
                raise NoPointAccepted("hardly any of the points drawn is accepted", passed, remedy)
            if len(latents):
                yield HybridBlock(self.decoder.images(latents), labels, latents)

    def _filtered(self, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
        """Valid latents of the points that pass ``min_confidence`` and ``reject``, and their soft labels."""
        if not len(draw.points):
            return draw.points, draw.points
        latents = self.decoder.valid(draw.points)
        with np.errstate(divide="ignore"):  # a probability of 0 has the logarithm -inf, and becomes 0 again
            logs = self.log_likelihood(latents) if draw.soft_labels is None else np.log(draw.soft_labels)
        labels = soft_labels(logs, self.recipe.temperature)
        kept = labels.max(axis=1) >= self.recipe.min_confidence
        if self.recipe.reject:
            read = self.classifier.n_features_in_
            kept &= self.classifier.typicality(latents[:, :read]) >= self.recipe.reject
        return latents[kept], labels[kept]
