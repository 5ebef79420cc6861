"""One diagonal Gaussian for each class, of the latents of its labelled images."""

from dataclasses import dataclass

import numpy as np

_MIN_VARIANCE = 1e-6
"""As a fraction of the mean variance of its dimension: codes have no posterior variance."""


@dataclass(frozen=True)
class ClassGaussians:
    """Means, and positive variances, of C classes in D dimensions, (C, D) float64 each."""

    means: np.ndarray
    variances: np.ndarray

    @classmethod
    def of(
        cls, points: np.ndarray, labels: np.ndarray, count: int, posterior_variances: np.ndarray | None = None
    ) -> "ClassGaussians":
        """By the law of total variance: the mean of the posterior variances, plus the variance of the posterior means.

        Args:
            points: (N, D) posterior means.
            labels: (N,) classes, 0 … count − 1, each at least once; others are unlabelled.
            count: C.
            posterior_variances: (N, D); None where latents have none.
        """
        within = np.zeros_like(points, dtype=np.float64) if posterior_variances is None else posterior_variances
        members = [labels == label for label in range(count)]
        means = np.array([points[rows].mean(axis=0, dtype=np.float64) for rows in members])
        variances = np.array([within[rows].mean(0) + points[rows].var(0, dtype=np.float64) for rows in members])
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
