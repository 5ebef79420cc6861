"""Where hybrids lie in a latent space."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from latentcli.core.errors import UsageError
from latentcli.hybrids.likelihoods import WITH_IMAGES, LogLikelihood
from latentcli.hybrids.posteriors import UNLABELLED, Posteriors

if TYPE_CHECKING:
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier

BISECTIONS = 40
"""Halvings of a path in the search for the place where two classes are equally likely."""

EVEN = 2.0
"""Odds up to which two classes count as equally likely: of codes, and of neighbours, no point may be nearer."""


MIXED = 0.4
"""α of the Beta distribution of places on the paths of mixup: most lie near an end (Zhang et al. 2018, section 3)."""


class NothingPasses(UsageError):
    """There is no point of the kind that is asked for, or next to none."""


@dataclass(frozen=True)
class Space:
    """What points are drawn from.

    Attributes:
        mixture: fitted on the latents.
        prior: draws (n, D) latents from the model's own prior, given n and a random generator.
        valid: the nearest latents (n, D) that an image can have, of any points (n, D).
        likelihood: log p(class | z) of latents.
        classes: indices into ``mixture.classes_`` of those that matter.
        ratio: how far from the first class to the second, in [0, 1]; None draws it for each point.
        images: that points are drawn around; None where there are none.
    """

    mixture: "GaussianMixtureClassifier"
    prior: Callable[[int, np.random.Generator], np.ndarray]
    valid: Callable[[np.ndarray], np.ndarray]
    likelihood: LogLikelihood
    classes: np.ndarray
    ratio: float | None = None
    images: Posteriors | None = None

    @cached_property
    def classes_of_images(self) -> np.ndarray:
        """(N,) the class that each image is known to be of, below 0 if none of the mixture's; else the likeliest."""
        assert self.images is not None
        known = self.images.known([str(name) for name in self.mixture.classes_])
        return np.where(known == UNLABELLED, self.likeliest_of_images, known)

    @cached_property
    def likeliest_of_images(self) -> np.ndarray:
        """(N,) the likeliest class of each image."""
        assert self.images is not None
        return self.likelihood(self.images.means).argmax(axis=1)

    def of_classes(self, classes: np.ndarray, random: np.random.Generator, recognised: bool = True) -> np.ndarray:
        """(n, D): a point of each of these classes (n,): where an image lies, or drawn from its part of the mixture.

        Images stand at the means of their posteriors: draws from around them made worse hybrids of few images.

        Args:
            classes: indices into the mixture's.
            random: where the draws come from.
            recognised: leave out images that are known to be of another class than their likeliest.

        Raises:
            NothingPasses: there are images, and none is of one of the classes.
        """
        if self.images is None:
            return self.mixture.inverse_transform(of_classes(self.mixture, classes, random))
        rows = np.empty(len(classes), int)
        for label in np.unique(classes):
            alike = np.flatnonzero(self.classes_of_images == label)
            if recognised:
                alike = alike[self.likeliest_of_images[alike] == label]
            if not len(alike):
                raise NothingPasses(
                    f"none of the images is of class {self.mixture.classes_[label]}",
                    "as their likelihood has them" if recognised else "by its label, or else as the mixture sees it",
                    "name others to draw around, or leave the class out: --classes",
                )  # fmt: skip
            rows[classes == label] = random.choice(alike, size=int((classes == label).sum()))
        return self.images.means[rows]


@dataclass(frozen=True)
class Drawn:
    """Points that a strategy draws.

    Attributes:
        points: (n, D) float latents.
        soft_labels: (n, C), rows summing to 1, where the draw itself says how much of each class they are.
    """

    points: np.ndarray
    soft_labels: np.ndarray | None = None


Strategy = Callable[[Space, int, np.random.Generator], Drawn]
"""Draws n points, at most the number asked for."""


def prior(space: Space, count: int, random: np.random.Generator) -> Drawn:
    """From the prior that the model was trained with, of all classes alike."""
    return Drawn(space.prior(count, random))


def mixture(space: Space, count: int, random: np.random.Generator) -> Drawn:
    """From the classes' parts of the mixture, each class as often as the mixture weighs it."""
    of_class = np.eye(len(space.mixture.classes_))[:, space.mixture.component_labels_] @ space.mixture.weights_
    shares = of_class[space.classes] / of_class[space.classes].sum()
    classes = random.choice(space.classes, size=count, p=shares)
    return Drawn(space.mixture.inverse_transform(of_classes(space.mixture, classes, random)))


def between(space: Space, count: int, random: np.random.Generator) -> Drawn:
    """On straight paths between draws from two different classes, anywhere on the path or at ``ratio``."""
    ends = _ends(space, count, random)
    return Drawn(ends.at(_places(space, count, random)))


def mixup(space: Space, count: int, random: np.random.Generator) -> Drawn:
    """As ``between``, but a point is as much of either class as it is near to that end: no likelihood is asked.

    So images that the mixture mistakes, whose classes are known, can be ends of paths, too. Where ``ratio`` does not
    say it, places are drawn from Beta(``MIXED``, ``MIXED``).

    Source: mixup (Zhang et al. 2018, equation 1) of latents instead of pixels.
    """
    ends = _ends(space, count, random, recognised=False)
    place, rows = _places(space, count, random, MIXED), np.arange(count)
    soft_labels = np.zeros((count, len(space.mixture.classes_)))
    soft_labels[rows, ends.first], soft_labels[rows, ends.second] = 1 - place, place
    return Drawn(ends.at(place), soft_labels)


def boundary(space: Space, count: int, random: np.random.Generator) -> Drawn:
    """Where two classes are about equally likely and no third is likelier, on straight paths between draws of the two.

    Paths on which the two do not change places, or where a third class is likelier, give no point; nor do those on
    which the likelihood jumps over the boundary, as it may from code to code, and from neighbours to neighbours.
    """
    ends, rows = _ends(space, count, random), np.arange(count)

    def lead(place: np.ndarray) -> np.ndarray:
        """By how much the first class is likelier, at a place on each path."""
        likelihoods = space.likelihood(space.valid(ends.at(place)))
        with np.errstate(invalid="ignore"):  # where there is none of either, neither leads
            return likelihoods[rows, ends.first] - likelihoods[rows, ends.second]

    low, high = np.zeros(count), np.ones(count)
    crossing = (lead(low) > 0) & (lead(high) < 0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        ahead = lead(middle) > 0
        low, high = np.where(ahead, middle, low), np.where(ahead, high, middle)
    before, after = np.abs(lead(low)), np.abs(lead(high))
    points = space.valid(ends.at(np.where(before <= after, low, high)))
    likeliest = space.likelihood(points).argmax(axis=1)
    even = crossing & (np.minimum(before, after) <= np.log(EVEN))
    return Drawn(points[even & ((likeliest == ends.first) | (likeliest == ends.second))])


def posterior(space: Space, count: int, random: np.random.Generator) -> Drawn:
    """From the posteriors of images, each as often as the other: where an image might lie as well.

    Draws of which another class is the likeliest than those asked for give no point.
    """
    assert space.images is not None
    rows = random.integers(len(space.images.means), size=count)
    points = space.images.means[rows].astype(np.float32)
    if space.images.variances is not None:
        deviations = np.sqrt(space.images.variances[rows])
        points = points + (deviations * random.standard_normal(points.shape)).astype(np.float32)
    if len(space.classes) < len(space.mixture.classes_):
        points = points[np.isin(space.likelihood(points).argmax(axis=1), space.classes)]
    return Drawn(points)


STRATEGIES: dict[str, Strategy] = {
    "between": between, "mixup": mixup, "mixture": mixture, "prior": prior, "boundary": boundary,
    "posterior": posterior,
}  # fmt: skip

PAIRING = ("between", "mixup", "boundary")
"""Strategies that need two classes or more."""

WITH_RATIO = ("between", "mixup")
"""Strategies that can keep to one place on each path."""

AROUND_IMAGES = ("posterior", *PAIRING)
"""Strategies that draw around images; the first must, the others else draw the ends of their paths from the mixture."""


def check_images(strategy: str, likelihood: str, given: bool) -> None:
    """Refuse a strategy or a likelihood that asks for images without any, and images that neither asks for.

    Raises:
        UsageError: it is one of these.
    """
    for what, needed in ((f"strategy {strategy}", strategy == "posterior"),
                         (f"likelihood {likelihood}", likelihood in WITH_IMAGES)):  # fmt: skip
        if needed and not given:
            raise UsageError(f"the {what} is of images", remedy="name some: --near DATA, or --near latents.npz")
    if given and strategy not in AROUND_IMAGES and likelihood not in WITH_IMAGES:
        raise UsageError(
            f"the strategy {strategy} draws around no images", f"expected one of: {', '.join(AROUND_IMAGES)}",
            "leave out --near, or take another --strategy",
        )  # fmt: skip


@dataclass(frozen=True)
class Ends:
    """Of n paths, each from a draw from one class to a draw from another.

    Attributes:
        first, second: (n,) the classes.
        start, end: (n, D) latents.
    """

    first: np.ndarray
    second: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def at(self, place: np.ndarray) -> np.ndarray:
        """(n, D): the points at a place (n,) on each path, from 0 to 1."""
        return (1 - place[:, None]) * self.start + place[:, None] * self.end


def _places(space: Space, count: int, random: np.random.Generator, alpha: float = 1.0) -> np.ndarray:
    """(count,): how far along each path, from 0 to 1: at the ratio, or drawn from Beta(α, α), uniform for α = 1."""
    return random.beta(alpha, alpha, size=count) if space.ratio is None else np.full(count, space.ratio)


def _ends(space: Space, count: int, random: np.random.Generator, recognised: bool = True) -> Ends:
    number = len(space.classes)
    first = np.zeros(count, int) if space.ratio is not None else random.integers(number, size=count)
    second = (first + random.integers(1, number, size=count)) % number
    classes = space.classes[first], space.classes[second]
    return Ends(*classes, *(space.of_classes(labels, random, recognised) for labels in classes))


def of_classes(mixture: "GaussianMixtureClassifier", classes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One point from each of these classes' parts of the mixture.

    Args:
        mixture: fitted.
        classes: (n,) indices into ``mixture.classes_``.
        random: where the draws come from.

    Returns:
        (n, d) float64, in the space of the mixture's means.
    """
    components = np.empty(len(classes), int)
    for label in np.unique(classes):
        rows = classes == label
        weights = np.where(mixture.component_labels_ == label, mixture.weights_, 0.0)
        components[rows] = random.choice(len(weights), size=int(rows.sum()), p=weights / weights.sum())
    return mixture.draw(components, random)


def classes_of(mixture: "GaussianMixtureClassifier", names: Sequence[str] | None) -> np.ndarray:
    """Indices of classes by name, each once and in this order; all of them for None.

    Raises:
        UsageError: the mixture has no such class.
    """
    known = [str(name) for name in mixture.classes_]
    wanted = known if names is None else list(dict.fromkeys(names))
    for name in wanted:
        if name not in known:
            raise UsageError(f"the mixture has no class {name!r}", f"expected some of: {', '.join(known)}")
    return np.array([known.index(name) for name in wanted], dtype=int)
