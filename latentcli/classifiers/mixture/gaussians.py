"""A mixture of Gaussians as an exponential family: densities and sufficient statistics are matrix products.

A Gaussian's log density is linear in φ(z) = (1, z, products of z's coordinates), so that

    log(weight_k · N(z | mean_k, covariance_k)) = η_k · φ(z)          (the natural parameters η, ``natural``)

and the statistics that the maximisation step needs are Σ_i r_ik φ(z_i), r being the responsibilities. Both steps of
EM over a chunk of n points are thus one (K, F) by (F, n) product each, whatever the covariance type; on
16-dimensional points that is several times faster than a triangular solve for each component.

The products lose precision with the square of |z| / (a component's standard deviation). Points are therefore taken
from the data's mean, the ``origin``; in float64 a component a thousand times narrower than the data then still has
log densities right to 1e-9.

Source: Bishop 2006, sections 2.4 and 9.2; Hastie, Tibshirani & Friedman 2009, section 4.3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
CROWDED = 0.95
"""The weight of a component from which on a mixture tells that it has nearly all images."""

_MIN_VARIANCE = 1e-6  # of a class, as a fraction of the mean in its dimension: codes have no posterior variance


@dataclass(frozen=True)
class Mixture:
    """Weights, means and covariances of K Gaussians in D dimensions, float64.

    Attributes:
        weights: (K,), sum to 1.
        means: (K, D).
        covariances: full (K, D, D); tied (D, D); diag (K, D), variances; spherical (K,), variances.
        covariance_type: one of ``COVARIANCE_TYPES``.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    covariance_type: str

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before it is used: that one of its components has ``CROWDED`` of all weight, or more."""
        most = float(self.weights.max())
        if len(self.weights) == 1 or most < CROWDED:
            return ()
        return (
            f"one of the mixture's {len(self.weights)} clusters holds {most:.3f} of the images: where these are of "
            "several classes, it does not tell them apart",
        )

    def full_covariances(self) -> np.ndarray:
        """(K, D, D), whatever the covariance type."""
        components, dimensions = self.means.shape
        if self.covariance_type in ("full", "tied"):
            return np.broadcast_to(self.covariances, (components, dimensions, dimensions))
        variances = self.covariances.reshape(components, -1)
        return np.broadcast_to(variances, (components, dimensions))[:, :, None] * np.eye(dimensions)

    def natural(self, origin: np.ndarray) -> np.ndarray:
        """(K, F) float64 η for points taken from ``origin`` (D,); a ``LinAlgError`` if a covariance is not definite."""
        dimensions = self.means.shape[1]
        means = self.means - origin
        with np.errstate(divide="ignore"):  # a weight of 0 is a log weight of -inf, rightly
            log_weights = np.log(self.weights)
        if self.covariance_type in ("diag", "spherical"):
            variances = np.broadcast_to(self.covariances.reshape(len(means), -1), means.shape)
            if not (variances > 0).all():
                raise np.linalg.LinAlgError("a variance is not positive")
            linear, log_determinants = means / variances, np.log(variances).sum(axis=1)
            quadratic = -0.5 / variances
        else:
            factors = np.linalg.cholesky(self.covariances)
            inverses = np.linalg.inv(factors)
            precisions = np.swapaxes(inverses, -1, -2) @ inverses
            log_determinants = 2 * np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(axis=-1)
            linear = np.einsum("...ij,kj->ki" if precisions.ndim == 2 else "kij,kj->ki", precisions, means)
            rows, columns = np.triu_indices(dimensions)
            pairs = precisions[..., rows, columns] * np.where(rows == columns, -0.5, -1.0)
            quadratic = np.broadcast_to(pairs, (len(means), len(rows)))
        constant = log_weights - 0.5 * (
            dimensions * np.log(2 * np.pi) + log_determinants + (linear * means).sum(axis=1)
        )
        return np.concatenate([constant[:, None], linear, quadratic], axis=1)


def features(points: Any, covariance_type: str, xp: ModuleType = np) -> Any:
    """(F, n) φ of points (n, D) float64, taken from the origin, in arrays of ``xp``, ``numpy`` or ``torch``.

    It is 1, the coordinates, and their D (D + 1) / 2 products in the order of ``numpy.triu_indices`` (full, tied) or D
    squares (diag, spherical).
    """
    number, dimensions = points.shape
    squares_only = covariance_type in ("diag", "spherical")
    count = dimensions if squares_only else dimensions * (dimensions + 1) // 2
    phi = xp.empty((1 + dimensions + count, number), dtype=xp.float64, device=points.device)
    phi[0] = 1.0
    coordinates = phi[1 : dimensions + 1]
    coordinates[:] = points.T
    products = phi[dimensions + 1 :]
    if squares_only:
        xp.multiply(coordinates, coordinates, out=products)
        return phi
    start = 0
    for row in range(dimensions):
        xp.multiply(coordinates[row], coordinates[row:], out=products[start : start + dimensions - row])
        start += dimensions - row
    return phi


def from_statistics(
    statistics: np.ndarray, origin: np.ndarray, covariance_type: str, floor: np.ndarray, shrinkage: float = 0.0
) -> Mixture:
    """The maximisation step: the mixture that the statistics (K, F) of points taken from ``origin`` (D,) ask for.

    Every component has mass; ``floor`` (D,) is added to the variances. Each covariance is drawn to the mean of all as
    by ``shrinkage`` samples, distributed like that mean, for each of its free parameters: strongly, where there are
    few samples and many dimensions.
    """
    masses = statistics[:, 0]
    dimensions = len(origin)
    means = statistics[:, 1 : dimensions + 1] / masses[:, None]
    products = statistics[:, dimensions + 1 :] / masses[:, None]
    weights = masses / masses.sum()
    if covariance_type in ("diag", "spherical"):
        covariances = np.maximum(products - means**2, 0.0) + floor
    else:
        rows, columns = np.triu_indices(dimensions)
        covariances = np.empty((len(masses), dimensions, dimensions))
        covariances[:, rows, columns] = products - means[:, rows] * means[:, columns]
        covariances[:, columns, rows] = covariances[:, rows, columns]
        covariances += np.diag(floor)
    pooled = np.tensordot(weights, covariances, axes=1)
    if covariance_type == "tied":
        covariances = pooled
    else:
        parameters = {"full": dimensions * (dimensions + 1) // 2, "diag": dimensions, "spherical": 1}[covariance_type]
        drawn = (shrinkage * parameters / (masses + shrinkage * parameters)).reshape(-1, *(1 for _ in pooled.shape))
        covariances = (1 - drawn) * covariances + drawn * pooled
    if covariance_type == "spherical":
        covariances = covariances.mean(axis=1)
    return Mixture(weights, means + origin, covariances, covariance_type)


def log_joint(points: np.ndarray, mixture: Mixture, origin: np.ndarray) -> np.ndarray:
    """(K, n) log p(z, component) in nats, of points (n, D); ``origin`` (D,) as near to the points as may be."""
    return mixture.natural(origin) @ features(points.astype(np.float64) - origin, mixture.covariance_type)


def log_sum(joint: np.ndarray) -> np.ndarray:
    """(n,) log Σ_k exp of (K, n), without overflow."""
    highest = joint.max(axis=0)
    return highest + np.log(np.exp(joint - highest).sum(axis=0))


@dataclass(frozen=True)
class ClassGaussians:
    """One diagonal Gaussian for each class: means and positive variances, (C, D) float64 each."""

    means: np.ndarray
    variances: np.ndarray

    @classmethod
    def of(
        cls, points: np.ndarray, labels: np.ndarray, count: int, posterior_variances: np.ndarray | None = None,
        add_up: Callable[[np.ndarray], np.ndarray] = lambda array: array,
    ) -> "ClassGaussians":  # fmt: skip
        """By the law of total variance: the mean of the posterior variances, plus the variance of the posterior means.

        Each of the classes 0 … count − 1 is the label of one point (N, D) or more; ``add_up`` makes sums those over
        all processes, where each has some of the points.
        """
        within = np.zeros_like(points, dtype=np.float64) if posterior_variances is None else posterior_variances
        members = [labels == label for label in range(count)]
        sizes = add_up(np.array([rows.sum() for rows in members]))[:, None]
        means = add_up(np.array([points[rows].sum(axis=0, dtype=np.float64) for rows in members])) / sizes
        spread = [((points[rows] - mean) ** 2).sum(axis=0) for rows, mean in zip(members, means, strict=True)]
        own = add_up(np.array([within[rows].sum(axis=0) for rows in members]))
        variances = own / sizes.astype(own.dtype) + add_up(np.array(spread)) / sizes
        typical = np.maximum(variances.mean(axis=0), means.var(axis=0))
        floor = _MIN_VARIANCE * np.where(typical > 0, typical, max(float(typical.mean()), 1e-12))
        return cls(means, np.maximum(variances, floor))

    def log_densities(self, points: np.ndarray) -> np.ndarray:
        """(N, C) float64: log N(z; μ_c, σ²_c) of points (N, D), in nats."""
        constants = -0.5 * np.log(2 * np.pi * self.variances).sum(axis=1)
        result = np.empty((len(points), len(self.means)))
        for label, (mean, variances) in enumerate(zip(self.means, self.variances, strict=True)):
            result[:, label] = constants[label] - 0.5 * ((points - mean) ** 2 / variances).sum(axis=1)
        return result
