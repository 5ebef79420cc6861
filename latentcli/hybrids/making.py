"""From points to hybrids: drawn, made valid, labelled, sifted and decoded, a block at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from latentcli.core.errors import UsageError
from latentcli.hybrids.likelihoods import LIKELIHOODS, LogLikelihood, soft_labels
from latentcli.hybrids.posteriors import Posteriors
from latentcli.hybrids.strategies import (
    PAIRING,
    STRATEGIES,
    WITH_RATIO,
    Drawn,
    NothingPasses,
    Space,
    check_images,
    classes_of,
)

if TYPE_CHECKING:
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier

BLOCK = 256
"""Points drawn at a time. Each block has its own random generator, so that more hybrids begin like fewer."""

FRUITLESS = 100
"""Blocks without a single point that passes, after which no more are drawn."""


@dataclass(frozen=True)
class Recipe:
    """What hybrids are made.

    Attributes:
        strategy: where the points lie, a name in ``STRATEGIES``.
        likelihood: how much of each class they are, a name in ``LIKELIHOODS``; mixup knows it by itself.
        classes: names of those they are drawn from; None takes all. The prior knows no classes.
        ratio: on paths between two classes: how far from the first to the second, in [0, 1]; None: anywhere.
        temperature: of the soft labels; below 1 sharper, above 1 softer.
        min_confidence: points whose likeliest class has less are dropped, in [0, 1).
        reject: points less likely under the mixture than this fraction of those it was fitted on are dropped.
        seed: of all draws.

    Raises:
        UsageError: a name is unknown, a value out of range, or a choice means nothing with this strategy.
    """

    strategy: str = "between"
    likelihood: str = "mixture"
    classes: tuple[str, ...] | None = None
    ratio: float | None = None
    temperature: float = 1.0
    min_confidence: float = 0.0
    reject: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("strategy", self.strategy, STRATEGIES), ("likelihood", self.likelihood, LIKELIHOODS),
        ):  # fmt: skip
            if name not in known:
                raise UsageError(f"unknown {kind} {name!r}", f"expected one of: {', '.join(known)}")
        if not 0 < self.temperature < float("inf"):
            raise UsageError(f"the temperature is {self.temperature}", "expected a number above 0")
        for name, value in (("--min-confidence", self.min_confidence), ("--reject", self.reject)):
            if not 0 <= value < 1:
                raise UsageError(f"{name} is {value}", "expected a number from 0 up to, but not including, 1")
        if self.strategy == "prior" and self.classes is not None:
            raise UsageError(
                "the prior knows no classes", "found --classes", "leave it out, or take another --strategy"
            )
        if self.strategy == "mixup" and self.likelihood != "mixture":
            raise UsageError(
                "mixup asks for no likelihood: its soft labels say how far along a path a point lies",
                f"found {self.likelihood}",
                "leave it out, or take --strategy between",
            )
        if self.ratio is not None and not 0 <= self.ratio <= 1:
            raise UsageError(
                f"the ratio is {self.ratio}", "expected a number from 0 (the first class) to 1 (the second)"
            )
        if self.ratio is not None and (self.strategy not in WITH_RATIO or len(set(self.classes or ())) != 2):
            raise UsageError(
                "a ratio is of points between two classes", remedy="--strategy between|mixup --classes A,B --ratio 0.2"
            )


@dataclass(frozen=True)
class Hybrids:
    """A block of hybrids.

    Attributes:
        images: (n, C, H, W) uint8.
        soft_labels: (n, classes) float64; rows sum to 1.
        latents: (n, D) float32.
    """

    images: np.ndarray
    soft_labels: np.ndarray
    latents: np.ndarray


class LatentSpace(Protocol):
    """A trained model, as arrays see it."""

    def prior(self, count: int, random: np.random.Generator) -> np.ndarray:
        """(count, D) float32: latents drawn from its prior."""

    def valid(self, latents: np.ndarray) -> np.ndarray:
        """(n, D) float32: the nearest latents that an image can have."""

    def images(self, latents: np.ndarray) -> np.ndarray:
        """(n, C, H, W) uint8: valid latents decoded."""


def make(
    recipe: Recipe,
    mixture: "GaussianMixtureClassifier",
    likelihood: LogLikelihood,
    model: LatentSpace,
    count: int,
    images: Posteriors | None = None,
) -> Iterator[Hybrids]:
    """Hybrids, a block at a time, ``count`` in all.

    Args:
        recipe: which.
        mixture: fitted on the model's latents.
        likelihood: of its classes, made of it and of the images: ``LIKELIHOODS[recipe.likelihood]``.
        model: decodes.
        count: how many.
        images: to draw around: "posterior" needs them; between these, "between", "mixup" and "boundary" lay paths.

    Raises:
        UsageError: a class is unknown, or one class has no pair; or images are missing, or of no use.
        DataError: paths are between images, all of which are of other classes.
        NothingPasses: next to no point passes ``min_confidence`` and ``reject``, or no image is of a class.
        ModelFileError: the mixture lacks what ``reject`` needs.
    """
    check_images(recipe.strategy, recipe.likelihood, images is not None)
    classes = classes_of(mixture, recipe.classes)
    if recipe.strategy in PAIRING and len(classes) < 2:
        found = ", ".join(map(str, mixture.classes_[classes])) or "none"
        raise UsageError("hybrids lie between classes", f"expected two or more, found {found}")
    if not len(classes):
        raise UsageError("--classes names no class")
    space = Space(mixture, model.prior, model.valid, likelihood, classes, recipe.ratio, images)
    if recipe.strategy in PAIRING and images is not None and (space.classes_of_images < 0).all():
        raise images.strangers([str(name) for name in mixture.classes_])

    def sifted(drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
        """Valid latents of those that are confident and typical enough, and their soft labels."""
        if not len(drawn.points):
            return drawn.points, drawn.points
        latents = model.valid(drawn.points)
        with np.errstate(divide="ignore"):  # the logarithm of none is -inf, of which there is none again
            logs = likelihood(latents) if drawn.soft_labels is None else np.log(drawn.soft_labels)
        labels = soft_labels(logs, recipe.temperature)
        kept = labels.max(axis=1) >= recipe.min_confidence
        if recipe.reject:
            kept &= mixture.typicality(latents) >= recipe.reject
        return latents[kept], labels[kept]

    made = fruitless = block = 0
    while made < count:
        random = np.random.default_rng([recipe.seed, block])
        latents, labels = sifted(STRATEGIES[recipe.strategy](space, BLOCK, random))
        latents, labels = latents[: count - made], labels[: count - made]
        made, block = made + len(latents), block + 1
        fruitless = 0 if len(latents) else fruitless + 1
        if fruitless == FRUITLESS:
            raise NothingPasses(
                "next to none of the points drawn can be taken",
                f"{made} of {block * BLOCK:,} passed",
                "lower --min-confidence or --reject, or take another --strategy",
            )
        if len(latents):
            yield Hybrids(model.images(latents), labels, latents)
