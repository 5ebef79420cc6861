"""Linear systems of a graph's Laplacian, by conjugate gradients."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, diags_array

from latentcli.classifiers.checks import NotConverged
from latentcli.numerics.threads import side_by_side

MAX_ITERATIONS = 10_000
_COLUMNS_AT_ONCE = 16
"""Right-hand sides that are solved together on a CPU: enough for one reading of the graph, and few for its cache."""

_VALUES_AT_ONCE = {"cpu": 2**23, "an accelerator": 2**27}
"""Of right-hand sides that are solved together, at most."""


@dataclass(frozen=True)
class Graph:
    """A connected graph of N points by its symmetric weights W (N, N), sparse, not negative.

    With D the diagonal of the degrees d, its normalised similarity is S = D^-½ W D^-½. Its systems are solved on the
    ``device``: ``"cpu"``, where numpy computes, or a torch device's name.
    """

    weights: csr_matrix
    device: str = "cpu"

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
        if self.device == "cpu":
            similarity = self.similarity  # made once, before there are threads
            columns = min(_COLUMNS_AT_ONCE, max(1, _VALUES_AT_ONCE["cpu"] // len(self)))
            parts = side_by_side(
                lambda at: self._solve(np, similarity, right[:, at : at + columns], alpha, tolerance),
                range(0, right.shape[1], columns), fewest=1,
            )  # fmt: skip
            return np.concatenate([*parts], axis=1)
        import torch

        matrix = _on_device(self.similarity, self.device)
        columns = max(1, _VALUES_AT_ONCE["an accelerator"] // len(self))
        there = (torch.from_numpy(right[:, at : at + columns]) for at in range(0, right.shape[1], columns))
        found = [self._solve(torch, matrix, part.to(self.device), alpha, tolerance).cpu().numpy() for part in there]
        return np.concatenate(found, axis=1)

    def _solve(self, xp: Any, similarity: Any, right: Any, alpha: float, tolerance: float) -> Any:
        """One part of ``solve`` by numpy or torch: conjugate gradients, column by column."""
        null = np.sqrt(self.degrees / self.degrees.sum())[:, None] if alpha == 1 else np.zeros((len(self), 1))
        null = xp.asarray(null, device=self.device)
        residual = right - null * (null * right).sum(0)
        solution, direction = xp.zeros_like(residual), xp.asarray(residual, copy=True)
        square = _products(xp, residual, residual)
        goal = square * tolerance**2
        for _ in range(MAX_ITERATIONS):
            if bool((square <= goal).all()):
                break
            image = similarity @ direction
            image *= -alpha
            image += direction
            curvature = _products(xp, direction, image)
            step = _quotient(xp, square, curvature, (square > goal) & (curvature > 0))
            solution += step * direction
            image *= step
            residual -= image
            before, square = square, _products(xp, residual, residual)
            direction *= _quotient(xp, square, before, before > 0)
            direction += residual
        else:
            message = f"labels did not settle on the graph in {MAX_ITERATIONS} iterations: give more `neighbours`"
            warnings.warn(message, NotConverged, stacklevel=4)
        return solution - null * (null * solution).sum(0)


def _on_device(matrix: csr_matrix, device: str) -> Any:
    """A sparse matrix for torch's products, of which torch says at each first use that they are new."""
    import torch

    starts, columns, values = map(torch.from_numpy, (matrix.indptr, matrix.indices, matrix.data))
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return torch.sparse_csr_tensor(starts, columns, values, matrix.shape, check_invariants=False).to(device)


def _products(xp: Any, one: Any, other: Any) -> Any:
    """(m,) the scalar product of each column of the one (N, m) with that of the other."""
    return xp.einsum("nm,nm->m", one, other)


def _quotient(xp: Any, above: Any, below: Any, where: Any) -> Any:
    """(m,) the quotients, and 0 elsewhere than there."""
    return xp.where(where, above / xp.where(where, below, 1.0), 0.0)
