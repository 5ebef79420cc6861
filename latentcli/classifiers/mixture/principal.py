"""The principal plane of points in very many dimensions, in which a mixture can be fitted.

The map of a VQ-VAE's vectors is thousands of numbers an image, more than a covariance can be estimated for. Its
first principal components hold most of what images differ in. They are found by subspace iteration: a random plane,
multiplied by the covariance repeatedly, turns into the one of most variance; the covariance itself is never formed, nor
are the points copied.

Source: Halko, Martinsson & Tropp 2011, algorithms 4.4 and 5.3.
"""

from dataclasses import dataclass

import numpy as np

from latentcli.classifiers.chunks import rows_at_once
from latentcli.classifiers.mixture.expectation_maximisation import Samples
from latentcli.core.growing import GrowingArray
from latentcli.core.rows import is_mapped
from latentcli.numerics.blocks import slices

_OVERSAMPLING = 16  # directions beyond those asked for, which hasten the convergence of these
_ITERATIONS = 6


@dataclass(frozen=True)
class Projection:
    """A plane: orthonormal directions (d, D) float64, most variance first; the offset (D,), the mean, is its origin."""

    directions: np.ndarray
    offset: np.ndarray

    def transform(self, points: np.ndarray) -> np.ndarray:
        """(N, d) float64: the coordinates of points (N, D) in the plane; many of mapped points are mapped, too."""
        reduced = GrowingArray(len(points), np.dtype(np.float64), (len(self.directions),), is_mapped(points))
        for rows in slices(len(points), rows_at_once(len(self.offset))):
            reduced.add((np.asarray(points[rows], dtype=np.float64) - self.offset) @ self.directions.T)
        return reduced.whole()

    def inverse_transform(self, reduced: np.ndarray) -> np.ndarray:
        """(N, D) float64: where the points of the plane (N, d) lie in the whole space."""
        return reduced @ self.directions + self.offset


def fit(samples: Samples, dimensions: int, generator: np.random.Generator) -> Projection:
    """The plane of most variance through the points' mean, of fewer dimensions where the points span fewer.

    The points are finite and not all the same; products are in their own precision. The first plane is drawn.
    """
    points, precision = samples.points, samples.points.dtype
    count, width = len(samples), points.shape[1]
    scale = precision.type(np.sqrt(samples.variances.sum()))  # so that no square leaves the range of float32
    origin = samples.origin.astype(precision)

    def through_covariance(plane: np.ndarray) -> np.ndarray:
        result = np.zeros(plane.shape)
        plane, step = plane.astype(precision), rows_at_once(width)
        for first in range(0, len(points), step):
            some = (points[first : first + step] - origin) / scale
            result += some.T @ (some @ plane)
        return samples.add_up(result) / count

    plane = np.linalg.qr(generator.standard_normal((width, min(dimensions + _OVERSAMPLING, width))))[0]
    for _ in range(_ITERATIONS):
        plane = np.linalg.qr(through_covariance(plane))[0]
    variances, axes = np.linalg.eigh(plane.T @ through_covariance(plane))
    variances, directions = variances[::-1][:dimensions], (plane @ axes[:, ::-1][:, :dimensions]).T
    directions = directions[variances > 10 * np.finfo(precision).eps * variances[0]]  # fewer points have fewer
    largest = np.abs(directions).argmax(axis=1)  # a direction's sign is arbitrary: its largest coordinate is positive
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return Projection(directions * signs[:, None], samples.origin)
