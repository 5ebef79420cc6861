"""Linear systems of a graph's Laplacian, by conjugate gradients."""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix, diags_array

from latentcli.classifiers.checks import NotConverged

MAX_ITERATIONS = 10_000
_VALUES_AT_ONCE = 2**23
"""Of right-hand sides that are solved together."""


@dataclass(frozen=True)
class Graph:
    """A connected graph of N points by its symmetric weights W (N, N), sparse, not negative.

    With D the diagonal of the degrees d, its normalised similarity is S = D^-½ W D^-½.
    """

    weights: csr_matrix

    def __len__(self) -> int:
        return int(self.weights.shape[0])

    @cached_property
    def degrees(self) -> np.ndarray:
        """(N,) the sums of each point's weights."""
        return np.asarray(self.weights.sum(axis=1), dtype=np.float64).ravel()

    @cached_property
    def similarity(self) -> csr_matrix:
        """(N, N) S."""
        scale = diags_array(1 / np.sqrt(self.degrees))
        return csr_matrix(scale @ self.weights @ scale)

    def solve(self, right: np.ndarray, alpha: float, tolerance: float = 1e-9) -> np.ndarray:
        """x (N, m) with (I − α S) x = b for each column b of ``right`` (N, m), α in [0, 1].

        For α = 1 the matrix is singular, with √d alone in its null space as the graph is connected: b is projected to
        its complement, and x is the solution there (the pseudo-inverse's).
        The residual's norm is ``tolerance`` times b's at most.
        """
        columns = max(1, _VALUES_AT_ONCE // len(self))
        parts = [self._solve(right[:, at : at + columns], alpha, tolerance) for at in range(0, right.shape[1], columns)]
        return np.concatenate(parts, axis=1)

    def _solve(self, right: np.ndarray, alpha: float, tolerance: float) -> np.ndarray:
        null = np.sqrt(self.degrees / self.degrees.sum())[:, None] if alpha == 1 else np.zeros((len(self), 1))
        residual = right - null * (null * right).sum(axis=0)
        solution, direction = np.zeros_like(residual), residual.copy()
        square = _products(residual, residual)
        goal = square * tolerance**2
        for _ in range(MAX_ITERATIONS):
            if (square <= goal).all():
                break
            image = self.similarity @ direction
            image *= -alpha
            image += direction
            curvature = _products(direction, image)
            step = np.divide(square, curvature, out=np.zeros_like(square), where=(square > goal) & (curvature > 0))
            solution += step * direction
            image *= step
            residual -= image
            before, square = square, _products(residual, residual)
            ratio = np.divide(square, before, out=np.zeros_like(square), where=before > 0)
            direction *= ratio
            direction += residual
        else:
            message = f"labels did not settle on the graph in {MAX_ITERATIONS} iterations: give more `neighbours`"
            warnings.warn(message, NotConverged, stacklevel=4)
        return solution - null * (null * solution).sum(axis=0)


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(m,) the scalar product of each column of the one (N, m) with that of the other."""
    return np.asarray(np.einsum("nm,nm->m", one, other))
