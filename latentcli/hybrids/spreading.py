"""Soft labels that spread from images to those that lie near them in the latent space."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

from latentcli.core.progress import Progress, silent
from latentcli.hybrids.posteriors import OTHER, UNLABELLED, Posteriors

if TYPE_CHECKING:
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier

NEIGHBOURS = 10
"""Images that tell what lies between them, at most: no more than half as many as there are of a class on average."""

SPREAD = 0.9
"""α, in [0, 1): how much of an image's label is its neighbours'; the rest stays what the mixture says."""

TOLERANCE = 1e-4
"""The labels are at rest when none changes by more."""

BLOCK = 10_240
"""Images whose neighbours are looked for at a time."""


class SpreadLabels:
    """p(class | z) by the images that lie nearest to z, among whom labels have spread.

    To begin with an image is of each class as the mixture has it, F₀, or wholly of the class that it is known to be of.
    Then F ← α W F + (1 − α) F₀, where W is the mean of the ten nearest other images and known classes stay what they
    are. So an image that the mixture is sure of, and wrong, hears of it from its neighbours. Of few images fewer than
    ten are asked: half as many as there are of a class on average. Images that are known to be of none of the mixture's
    classes are left out. Distances are Euclidean in the space of the mixture's means.

    Args:
        mixture: fitted on the images' latents.
        images: N of them; labels may be known. Time grows with N².
        progress: of the search for neighbours.

    Attributes:
        of_images: (M, C) float64, rows summing to 1: of each of the M images that are not left out.

    Raises:
        DataError: all images are of other classes than the mixture's.

    Source: label spreading (Zhou et al. 2004), with means of neighbours for the normalised kernel; known labels are
    held as by Zhu & Ghahramani 2002.
    """

    def __init__(self, mixture: "GaussianMixtureClassifier", images: Posteriors, progress: Progress = silent) -> None:
        names = [str(name) for name in mixture.classes_]
        known = images.known(names)
        rows = np.flatnonzero(known != OTHER)
        if not len(rows):
            raise images.strangers(names)
        known, means = known[rows], images.means if len(rows) == len(known) else images.means[rows]
        points = mixture.transform(means)
        self.mixture = mixture
        count = min(NEIGHBOURS, max(1, len(rows) // (2 * len(names))))
        self.search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(points)
        first, certain = mixture.predict_proba(means), known != UNLABELLED
        first[certain] = np.eye(len(names))[known[certain]]
        self.of_images = at_rest(first, certain, self._others(points, progress))

    def _others(self, points: np.ndarray, progress: Progress) -> np.ndarray:
        """(M, k) int: the images that lie nearest to each of them, without itself."""
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
        """(n, C) logarithms of the mean of the nearest images' labels, for latents (n, D); −∞ of none."""
        near = self.search.kneighbors(self.mixture.transform(latents), return_distance=False)
        with np.errstate(divide="ignore"):
            return np.log(self.of_images[near].mean(axis=1))


def at_rest(first: np.ndarray, certain: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(M, C): labels that began as ``first``, after they have spread.

    Args:
        first: (M, C), rows summing to 1.
        certain: (M,) of which images the label stays.
        near: (M, k) the neighbours of each; with k = 0 nothing spreads.
    """
    count, width = near.shape
    if not width:
        return first
    mean = csr_matrix((np.full(near.size, 1 / width), near.ravel(), np.arange(0, near.size + 1, width)), (count, count))
    labels, change = first, np.inf
    while change > TOLERANCE:  # each sweep leaves at most α of the change before
        before, labels = labels, SPREAD * (mean @ labels) + (1 - SPREAD) * first
        labels[certain] = first[certain]
        change = np.abs(labels - before).max()
    return labels
