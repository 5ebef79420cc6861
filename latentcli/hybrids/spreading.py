"""Soft labels that spread from images to those that lie near them in the latent space."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

from latentcli.hybrids.posteriors import OTHER, UNLABELLED, Posteriors

if TYPE_CHECKING:
    from latentcli.classifiers.gaussian_mixture import GaussianMixtureClassifier

NEIGHBOURS = 10
"""Images that tell what lies between them."""

SPREAD = 0.9
"""α, in [0, 1): how much of an image's label is its neighbours'; the rest stays what the mixture says."""

TOLERANCE = 1e-4
"""The labels are at rest when none changes by more."""


class SpreadLabels:
    """p(class | z) by the images that lie nearest to z, among whom labels have spread.

    To begin with an image is of each class as the mixture has it, F₀, or wholly of the class that it is known to be of.
    Then F ← α W F + (1 − α) F₀, where W is the mean of the ten nearest other images and known classes stay what they
    are. So an image that the mixture is sure of, and wrong, hears of it from its neighbours. Images that are known to
    be of none of the mixture's classes are left out. Distances are Euclidean in the space of the mixture's means.

    Args:
        mixture: fitted on the images' latents.
        images: N of them; labels may be known.

    Raises:
        DataError: all images are of other classes than the mixture's.

    Source: label spreading (Zhou et al. 2004), with means of neighbours for the normalised kernel; known labels are
    held as by Zhu & Ghahramani 2002.
    """

    def __init__(self, mixture: "GaussianMixtureClassifier", images: Posteriors) -> None:
        names = [str(name) for name in mixture.classes_]
        known = images.known(names)
        rows = np.flatnonzero(known != OTHER)
        if not len(rows):
            raise images.strangers(names)
        self.mixture, self.known = mixture, known[rows]
        self.means = images.means if len(rows) == len(known) else images.means[rows]
        count = min(NEIGHBOURS, len(rows))
        points = mixture.transform(self.means)
        self.search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(points)

    @cached_property
    def of_images(self) -> np.ndarray:
        """(N, C) float64, rows summing to 1: of each image that is not left out."""
        first, certain = self.mixture.predict_proba(self.means), self.known != UNLABELLED
        first[certain] = np.eye(first.shape[1])[self.known[certain]]
        count, others = len(first), min(NEIGHBOURS, len(first) - 1)
        if not others:
            return first
        near = self.search.kneighbors(n_neighbors=others, return_distance=False)  # of none the image itself
        starts = np.arange(0, near.size + 1, others)
        mean = csr_matrix((np.full(near.size, 1 / others), near.ravel(), starts), shape=(count, count))
        labels, change = first, np.inf
        while change > TOLERANCE:  # each sweep leaves at most α of the change of the last
            before, labels = labels, SPREAD * (mean @ labels) + (1 - SPREAD) * first
            labels[certain] = first[certain]
            change = np.abs(labels - before).max()
        return labels

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        """(n, C) logarithms: of the mean of the nearest images' labels, for latents (n, D); never −∞."""
        near = self.search.kneighbors(self.mixture.transform(latents), return_distance=False)
        return np.log(np.maximum(self.of_images[near].mean(axis=1), np.finfo(float).tiny))
