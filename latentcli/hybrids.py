"""Latent points between classes, whose decoded images carry soft labels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from latentcli.errors import UsageError

if TYPE_CHECKING:
    from latentcli.classifiers.gaussian_mixture import GaussianMixtureClassifier


def between(mixture: "GaussianMixtureClassifier", count: int, classes: Sequence[str] | None, seed: int) -> np.ndarray:
    """Points on straight paths between draws from two different classes.

    For each point two classes are drawn, a latent point from each class's part of the mixture, and the place on
    the path between them, uniformly.

    Args:
        mixture: fitted.
        count: how many points.
        classes: the classes that paths join, at least two; None takes all.
        seed: of all draws.

    Returns:
        (count, d) float64, in the space of the mixture's means: ``mixture.inverse_transform`` makes latents of them.

    Raises:
        UsageError: a class is unknown to the mixture, or there are fewer than two.
    """
    known = [str(name) for name in mixture.classes_]
    wanted = list(classes) if classes is not None else known
    for name in wanted:
        if name not in known:
            raise UsageError(f"the mixture has no class {name!r}", f"expected some of: {', '.join(known)}")
    if len(set(wanted)) < 2:
        raise UsageError("hybrids lie between classes", f"expected two or more, found {', '.join(wanted) or 'none'}")
    random = np.random.default_rng(seed)
    numbers = np.array([known.index(name) for name in dict.fromkeys(wanted)])
    first = random.integers(len(numbers), size=count)
    second = (first + random.integers(1, len(numbers), size=count)) % len(numbers)
    place = random.uniform(size=(count, 1))
    return (1 - place) * draw(mixture, numbers[first], random) + place * draw(mixture, numbers[second], random)


def draw(mixture: "GaussianMixtureClassifier", classes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One point from each of these classes' parts of the mixture.

    Args:
        mixture: fitted.
        classes: (N,) indices into ``mixture.classes_``.
        random: where the draws come from.

    Returns:
        (N, d) float64, in the space of the mixture's means.
    """
    covariances = mixture.full_covariances()
    points = np.empty((len(classes), mixture.means_.shape[1]))
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        weights = np.where(mixture.component_labels_ == label, mixture.weights_, 0.0)
        component = random.choice(len(weights), size=len(rows), p=weights / weights.sum())
        noise = random.standard_normal((len(rows), points.shape[1]))
        for number in np.unique(component):
            at = component == number
            points[rows[at]] = mixture.means_[number] + noise[at] @ np.linalg.cholesky(covariances[number]).T
    return points


def to_bytes(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1] as uint8 in 0…255, rounded."""
    return np.round(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)
