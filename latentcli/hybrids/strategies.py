"""Where hybrids lie in a latent space."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from latentcli.core.errors import UsageError
from latentcli.core.labels import UNLABELLED, check_classes
from latentcli.hybrids.likelihoods import WITH_IMAGES, LogLikelihood
from latentcli.hybrids.posteriors import Posteriors

if TYPE_CHECKING:
    from latentcli.classifiers.base import DensityClassifier

BISECTIONS = 40
"""Bisections of a path in the search for the point where two classes are equally likely."""

MAX_ODDS = 2.0
"""Odds up to which two classes count as equally likely: between two codes, or sets of neighbours, odds may jump."""

MIXUP_ALPHA = 0.4
"""α of the Beta distribution of positions on paths: most lie near an end (Zhang et al. 2018, section 3)."""


class NoPointAccepted(UsageError):
    """There is no point of the kind that is asked for, or hardly any passes the filters."""


class Decoder(Protocol):
    """What hybrids need of a trained model."""

    def prior(self, count: int, random: np.random.Generator) -> np.ndarray:
        """(count, D) float32: latents drawn from its prior."""

    def valid(self, latents: np.ndarray) -> np.ndarray:
        """(n, D) float32: for each of the points (n, D) the nearest latent that an image can have."""

    def images(self, latents: np.ndarray) -> np.ndarray:
        """(n, C, H, W) uint8: valid latents decoded."""


@dataclass(frozen=True)
class Sources:
    """What points are drawn from.

    Attributes:
        classifier: a mixture or a graph.
        classes: indices into ``classifier.classes_`` of the classes to draw from.
        ratio: position on a path from the first class to the second, in [0, 1]; None draws it for each point.
        images: images to draw around, or between; None draws the ends of paths from the classifier.
    """

    classifier: "DensityClassifier"
    decoder: Decoder
    log_likelihood: LogLikelihood
    classes: np.ndarray
    ratio: float | None = None
    images: Posteriors | None = None

    @cached_property
    def classes_of_images(self) -> np.ndarray:
        """(N,) the class of each image: the known one (``OTHER`` if the classifier lacks it), else the likeliest."""
        assert self.images is not None
        known = self.images.known([str(name) for name in self.classifier.classes_])
        return np.where(known == UNLABELLED, self.likeliest_of_images, known)

    @cached_property
    def likeliest_of_images(self) -> np.ndarray:
        """(N,) the likeliest class of each image."""
        assert self.images is not None
        return self.log_likelihood(self.images.means).argmax(axis=1)

    def of_classes(self, classes: np.ndarray, random: np.random.Generator, agreeing_only: bool = True) -> np.ndarray:
        """(n, D): a point of each of these classes (n,): the latent of an image, or drawn from the classifier.

        Images are represented by their posterior means: draws from their posteriors made worse hybrids when there were
        few images. With ``agreeing_only``, images whose known class is not their likeliest are left out.
        """
        if self.images is None:
            return self.classifier.draw_of_classes(classes, random)
        rows = np.empty(len(classes), int)
        for label in np.unique(classes):
            candidates = np.flatnonzero(self.classes_of_images == label)
            if agreeing_only:
                candidates = candidates[self.likeliest_of_images[candidates] == label]
            if not len(candidates):
                by = "by both its label and the likelihood" if agreeing_only else "by its label, or else the likelihood"
                remedy = "give other images as `near`, or leave that class out of `classes`"
                raise NoPointAccepted(f"none of the images is of class {self.classifier.classes_[label]}", by, remedy)
            rows[classes == label] = random.choice(candidates, size=int((classes == label).sum()))
        return self.images.means[rows]


class Draw(NamedTuple):
    """Points (n, D), and soft labels (n, C) with rows summing to 1; None where they are for the likelihood to say."""

    points: np.ndarray
    soft_labels: np.ndarray | None = None


def prior(sources: Sources, count: int, random: np.random.Generator) -> Draw:
    """From the prior that the model was trained with, whatever the classes."""
    return Draw(sources.decoder.prior(count, random))


def mixture(sources: Sources, count: int, random: np.random.Generator) -> Draw:
    """From the components of the classes, each class with its weight in the mixture."""
    weights = class_weights(sources.classifier)
    frequencies = weights[sources.classes] / weights[sources.classes].sum()
    classes = random.choice(sources.classes, size=count, p=frequencies)
    return Draw(sources.classifier.draw_of_classes(classes, random))


def between(sources: Sources, count: int, random: np.random.Generator) -> Draw:
    """On straight paths between points of two different classes, anywhere on the path or at ``ratio``."""
    return Draw(_path_ends(sources, count, random).at(_positions(sources, count, random)))


def mixup(sources: Sources, count: int, random: np.random.Generator) -> Draw:
    """As ``between``, but with soft labels by the position on the path; the likelihood plays no part in them.

    Images that the likelihood misclassifies, but whose class is known, can therefore be ends of paths, too. Unless
    ``ratio`` is given, positions are drawn from Beta(``MIXUP_ALPHA``, ``MIXUP_ALPHA``).

    Source: mixup (Zhang et al. 2018, equation 1) of latents instead of pixels.
    """
    ends = _path_ends(sources, count, random, agreeing_only=False)
    position = _positions(sources, count, random, MIXUP_ALPHA)
    return Draw(ends.at(position), ends.soft_labels(position, len(sources.classifier.classes_)))


def boundary(sources: Sources, count: int, random: np.random.Generator) -> Draw:
    """Where two classes are about equally likely and no third is likelier, on straight paths between points of the two.

    A path gives no point where the two classes do not swap their order, where a third is likelier, or where the
    likelihood jumps over the boundary, as it may from one code, or one set of neighbours, to the next.
    """
    ends, rows = _path_ends(sources, count, random), np.arange(count)

    def lead(position: np.ndarray) -> np.ndarray:
        """(n,) nats: by how much the first class is likelier, at a position on each path."""
        likelihoods = sources.log_likelihood(sources.decoder.valid(ends.at(position)))
        with np.errstate(invalid="ignore"):  # where both probabilities are 0 neither leads
            return likelihoods[rows, ends.first] - likelihoods[rows, ends.second]

    low, high = np.zeros(count), np.ones(count)
    crossing = (lead(low) > 0) & (lead(high) < 0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        ahead = lead(middle) > 0
        low, high = np.where(ahead, middle, low), np.where(ahead, high, middle)
    before, after = np.abs(lead(low)), np.abs(lead(high))
    points = sources.decoder.valid(ends.at(np.where(before <= after, low, high)))
    likeliest = sources.log_likelihood(points).argmax(axis=1)
    even = crossing & (np.minimum(before, after) <= np.log(MAX_ODDS))
    return Draw(points[even & ((likeliest == ends.first) | (likeliest == ends.second))])


def posterior(sources: Sources, count: int, random: np.random.Generator) -> Draw:
    """From the posteriors of images, each image equally often; only points whose likeliest class is asked for."""
    assert sources.images is not None
    rows = random.integers(len(sources.images.means), size=count)
    points = sources.images.means[rows].astype(np.float32)
    if sources.images.variances is not None:
        deviations = np.sqrt(sources.images.variances[rows])
        points = points + (deviations * random.standard_normal(points.shape)).astype(np.float32)
    if len(sources.classes) < len(sources.classifier.classes_):
        points = points[np.isin(sources.log_likelihood(points).argmax(axis=1), sources.classes)]
    return Draw(points)


STRATEGIES = {each.__name__: each for each in (between, mixup, mixture, prior, boundary, posterior)}
"""Each draws so many points, or fewer where some do not satisfy the strategy."""

ON_PATHS = ("between", "mixup", "boundary")
"""Strategies whose points lie between two classes; images, where given, are the ends of the paths."""

WITH_RATIO = ("between", "mixup")
"""Strategies that can keep to one position on each path."""

AROUND_IMAGES = ("posterior", *ON_PATHS)
"""Strategies that can draw around, or between, images; the first needs them."""


def check_images(strategy: str, likelihood: str | None, given: bool) -> None:
    """Raise a ``UsageError`` where the strategy or the likelihood needs images and has none, or neither uses them."""
    in_need = f"likelihood {likelihood}" if likelihood in WITH_IMAGES else ""
    in_need = "strategy posterior" if strategy == "posterior" else in_need
    if in_need and not given:
        raise UsageError(f"the {in_need} needs images", remedy="give images, or their latents, as `near`")
    if given and strategy not in AROUND_IMAGES and likelihood not in WITH_IMAGES:
        named = "the classifier's own likelihood" if likelihood is None else f"the likelihood {likelihood}"
        problem = f"neither the strategy {strategy} nor {named} uses images"
        expected = f"expected a strategy of: {', '.join(AROUND_IMAGES)}; or the likelihood {', '.join(WITH_IMAGES)}"
        raise UsageError(problem, expected, "leave out `near`, or take another `strategy`")


class PathEnds(NamedTuple):
    """The ends of n paths: ``start`` (n, D) of the classes ``first`` (n,), and ``end`` of the classes ``second``."""

    first: np.ndarray
    second: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def at(self, position: np.ndarray) -> np.ndarray:
        """(n, D): the point at a position (n,) on each path, from 0 to 1."""
        return (1 - position[:, None]) * self.start + position[:, None] * self.end

    def soft_labels(self, position: np.ndarray, classes: int) -> np.ndarray:
        """(n, classes): 1 − position of the first class, position of the second."""
        result, rows = np.zeros((len(position), classes)), np.arange(len(position))
        result[rows, self.first], result[rows, self.second] = 1 - position, position
        return result


def _positions(sources: Sources, count: int, random: np.random.Generator, alpha: float = 1.0) -> np.ndarray:
    """(count,) in [0, 1]: ``ratio``, or drawn from Beta(α, α), which is uniform for α = 1."""
    return random.beta(alpha, alpha, size=count) if sources.ratio is None else np.full(count, sources.ratio)


def _path_ends(sources: Sources, count: int, random: np.random.Generator, agreeing_only: bool = True) -> PathEnds:
    number = len(sources.classes)
    first = np.zeros(count, int) if sources.ratio is not None else random.integers(number, size=count)
    second = (first + random.integers(1, number, size=count)) % number
    classes = sources.classes[first], sources.classes[second]
    return PathEnds(*classes, *(sources.of_classes(labels, random, agreeing_only) for labels in classes))


def class_weights(classifier: "DensityClassifier") -> np.ndarray:
    """(C,) the weight of each class in a mixture; a ``UsageError`` for a classifier that is none."""
    weights, labels = (getattr(classifier, name, None) for name in ("weights_", "component_labels_"))
    if weights is None or labels is None:
        problem, found = "the strategy mixture draws from a mixture", f"found a {classifier.LIKELIHOOD}"
        raise UsageError(problem, found, f"take another `strategy`: {', '.join(AROUND_IMAGES)}; or fit a mixture")
    return np.asarray(np.eye(len(classifier.classes_))[:, labels] @ weights)


def classes_of(classifier: "DensityClassifier", names: Sequence[str] | None) -> np.ndarray:
    """Indices of classes by name, each once and in this order, all for None; a ``UsageError`` for unknown or none."""
    known = [str(name) for name in classifier.classes_]
    if names is not None:
        check_classes(names, known, f"the {classifier.LIKELIHOOD}", UsageError)
    wanted = known if names is None else list(dict.fromkeys(names))
    return np.array([known.index(name) for name in wanted], dtype=int)
