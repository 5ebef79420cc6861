"""Soft labels that spread from images to those that lie near them in the latent space."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

from latentcli.core.errors import DataError
from latentcli.core.labels import UNLABELLED
from latentcli.core.progress import Progress, silent
from latentcli.hybrids.posteriors import OTHER, Posteriors

if TYPE_CHECKING:
    from latentcli.classifiers.base import DensityClassifier

NEIGHBOURS = 10
"""Images whose soft labels are averaged, at most; at most half as many as a class has on average."""

ALPHA = 0.9
"""α, in [0, 1): how much of an image's soft label comes from its neighbours; the rest is what the mixture says."""

TOLERANCE = 1e-4
"""Propagation has converged when no probability changes by more."""

MAX_IMAGES = 250_000
"""The search for all neighbours takes time in N²: 16 s for 60,000 images in 32 dimensions on one core of an AMD EPYC,
hence 5 minutes for this number, and 75 for a million."""

BLOCK = 10_240
"""Images whose neighbours are searched at a time."""


class SpreadLabels:
    """p(class | z) as the mean of the soft labels of the images nearest to z, after label propagation among the images.

    The soft label of an image starts as F₀: its known class, or else what the mixture says. Then F ← α W F + (1 − α) F₀
    is iterated, where W averages over the ``NEIGHBOURS`` nearest other images, and known classes stay clamped.
    Neighbours thereby correct images that the mixture is confidently wrong about. Images known to be of none of the
    mixture's classes are left out. Distances are Euclidean in the space of the mixture's means.

    ``soft_labels`` (M, C) float64, rows summing to 1, are those of the M images that are not left out.

    Raises:
        DataError: all images are of classes that the mixture does not have, or there are too many of them.

    Source: label spreading (Zhou et al. 2004), with means of neighbours for the normalised kernel; known labels are
    clamped as by Zhu & Ghahramani 2002.
    """

    def __init__(self, mixture: "DensityClassifier", images: Posteriors, progress: Progress = silent) -> None:
        names = [str(name) for name in mixture.classes_]
        known = images.known(names)
        rows = np.flatnonzero(known != OTHER)
        if not len(rows):
            raise images.unknown_classes_error(names)
        if len(rows) > MAX_IMAGES:
            problem = "too many images to search the neighbours of each among all others"
            found = f"expected at most {MAX_IMAGES:,}, found {len(rows):,}"
            raise DataError(problem, found, "take fewer images, or latents of fewer images, as `near`")
        known, means = known[rows], images.means if len(rows) == len(known) else images.means[rows]
        points = mixture.coordinates(means)
        self.mixture = mixture
        count = min(NEIGHBOURS, max(1, len(rows) // (2 * len(names))))
        self.search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(points)
        initial, clamped = mixture.predict_proba(means), known != UNLABELLED
        initial[clamped] = np.eye(len(names))[known[clamped]]
        self.soft_labels = propagate(initial, clamped, self._neighbours(points, progress))

    def _neighbours(self, points: np.ndarray, progress: Progress) -> np.ndarray:
        """(M, k) int: the images nearest to each of them, without itself."""
        count = min(self.search.n_neighbors, len(points) - 1)
        found = np.empty((len(points), count), np.int32)
        with progress("finding neighbours", len(points)) as advance:
            for first in range(0, len(points), BLOCK):
                rows = np.arange(first, min(first + BLOCK, len(points)))
                near = self.search.kneighbors(points[rows], count + 1, return_distance=False)
                itself_last = np.argsort(near == rows[:, None], axis=1, kind="stable")
                found[rows] = np.take_along_axis(near, itself_last, axis=1)[:, :count]
                advance(len(rows))
        return found

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        """(n, C) log of the mean of the nearest images' soft labels, for latents (n, D); −∞ where that is 0."""
        near = self.search.kneighbors(self.mixture.coordinates(latents), return_distance=False)
        with np.errstate(divide="ignore"):
            return np.log(self.soft_labels[near].mean(axis=1))


def propagate(initial: np.ndarray, clamped: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """(M, C): soft labels, at first ``initial``, after label propagation among the neighbours (M, k) of each image.

    Rows sum to 1. Soft labels that are ``clamped`` (M,) bool stay; with k = 0 nothing is propagated.
    """
    count, width = neighbours.shape
    if not width:
        return initial
    entries = np.full(neighbours.size, 1 / width), neighbours.ravel(), np.arange(0, neighbours.size + 1, width)
    mean = csr_matrix(entries, (count, count))
    labels, change = initial, np.inf
    while change > TOLERANCE:  # each iteration leaves at most α of the change before
        before, labels = labels, ALPHA * (mean @ labels) + (1 - ALPHA) * initial
        labels[clamped] = initial[clamped]
        change = np.abs(labels - before).max()
    return labels
