"""Likelihoods of the classes over the plane in which points of a latent space vary most."""

from typing import TYPE_CHECKING

import numpy as np

from latentcli.hybrids.likelihoods import LogLikelihood

if TYPE_CHECKING:
    from latentcli.classifiers.base import DensityClassifier

MARGIN = 0.06
"""Left free on each side of the points, as a fraction of their extent."""


def field(
    classifier: "DensityClassifier", likelihood: LogLikelihood, points: np.ndarray, side: int
) -> tuple[np.ndarray, tuple[float, float, float, float], np.ndarray]:
    """p(class | z) on a grid: over all of a space of up to two dimensions, else over the points' principal plane.

    Points (N, d) are in the space of the classifier's ``coordinates``. Likelihoods are (side, side, C), the plane's
    second axis going up the rows; then come (left, right, bottom, top) of the grid, and (N, 2) coordinates of the
    points in it.
    """
    points = np.asarray(points, np.float64)
    centre, directions = np.zeros(points.shape[1]), np.eye(2, points.shape[1])
    if points.shape[1] > 2:
        centre = points.mean(axis=0)
        found = np.linalg.svd(points - centre, full_matrices=False)[2][:2]
        directions = np.pad(found, ((0, 2 - len(found)), (0, 0)))  # one point has one direction
    flat = (points - centre) @ directions.T
    low, high = flat.min(axis=0), flat.max(axis=0)
    margin = MARGIN * np.maximum(high - low, 1e-6)
    low, high = low - margin, high + margin
    across, up = (np.linspace(low[axis], high[axis], side) for axis in (0, 1))
    positions = centre + np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2) @ directions
    likelihoods = np.exp(likelihood(classifier.points_at(positions)))
    left, bottom, right, top = map(float, (*low, *high))
    return likelihoods.reshape(side, side, -1), (left, right, bottom, top), flat
