"""The principal plane of points in very many dimensions, in which classifiers of them are fitted.

The map of a VQ-VAE's vectors is thousands of numbers an image, more than a covariance can be estimated for. Its
first principal components hold most of what images differ in. They are found by subspace iteration: a random plane,
multiplied by the covariance repeatedly, turns into the one of most variance; the covariance itself is never formed, nor
are the points copied.

Source: Halko, Martinsson & Tropp 2011, algorithms 4.4 and 5.3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentcli.classifiers.chunks import rows_at_once
from latentcli.classifiers.mixture.expectation_maximisation import Samples
from latentcli.core.growing import GrowingArray
from latentcli.core.rows import is_mapped
from latentcli.numerics.blocks import slices

_OVERSAMPLING = 16  # directions beyond those asked for, which hasten the convergence of these
_ITERATIONS = 6
_MOST = 300_000  # dimensions: more than a map of 64 × 64 positions and 64 channels has
MOST_NUMBERS = 2**27
"""In an array of parameters: a GiB of float64."""


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

    def to_params(self) -> dict[str, np.ndarray]:
        """``projection`` (d, D), the directions, and ``offset`` (D,): what ``from_params`` reads."""
        return {"projection": self.directions, "offset": self.offset}


def from_params(
    params: Mapping[str, Any], dimensions: int, refusal: Callable[[str, str | None], Exception]
) -> Projection | None:
    """The plane, of so many dimensions, that a classifier lives on; None where that is the whole space.

    What is no such plane raises what ``refusal`` makes of the problem and of what was found.
    """
    if "projection" not in params and "offset" not in params:
        return None
    directions, offset = (numbers(params, name, refusal) for name in ("projection", "offset"))
    if directions.ndim != 2 or len(directions) != dimensions or offset.shape != directions.shape[1:]:
        found = f"found {directions.shape} and {offset.shape} for a plane of {dimensions} dimensions"
        raise refusal("projection and offset do not fit together", found)
    if not dimensions <= len(offset) <= _MOST:
        raise refusal("its projection is too large or too small", f"{dimensions} of {len(offset)} dimensions")
    if np.abs(directions).max() > 1.001 or not np.allclose(directions @ directions.T, np.eye(dimensions), atol=1e-6):
        raise refusal("the directions of its projection are not orthonormal", None)
    return Projection(directions, offset)


def numbers(params: Mapping[str, Any], name: str, refusal: Callable[[str, str | None], Exception]) -> np.ndarray:
    """The float64 array of this name; what is none, is too large or not finite raises what ``refusal`` makes of it."""
    value = params.get(name)
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise refusal(f"{name} is not an array of floats", f"found {type(value).__name__}")
    if value.size > MOST_NUMBERS:
        raise refusal(f"{name} is too large", f"{value.size} numbers")
    if not np.isfinite(value).all():
        raise refusal(f"{name} is not finite", None)
    return value.astype(np.float64)


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
