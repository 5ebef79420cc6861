"""Which few points stand best for all others: how well each is covered by the nearest of the chosen ones.

Source: generalized coverage and its greedy maximisation, MaxHerding (Bae, Noh & Sutherland 2024); with weights of the
points, uncertainty herding (Bae, Oliveira & Sutherland 2025). No later gain is larger than an earlier one, as coverage
is submodular, and the greedy choice has 1 − 1/e of the best at least (Nemhauser, Wolsey & Fisher 1978).
"""

import heapq

import numpy as np

from latentcli.classifiers.graph.neighbours import nearest
from latentcli.core.progress import Progress, silent
from latentcli.numerics.blocks import slices

NEIGHBOURS = 10
"""How far a point reaches: as far as this many of its neighbours are. Of 5 to 200, on training images held out, this
one was best on brain MRI and CIFAR-10 and none was better on MNIST: see tests/benchmarks/README.md."""

_LOOKED_AT = 1_000  # points whose neighbours tell the reach
_ROWS = 1_024


def reach(points: np.ndarray) -> float:
    """The median distance of the points (N, D) to their tenth neighbours, or the last one of fewer; 1 where it is 0."""
    some = points[:: -(-len(points) // _LOOKED_AT)]
    _, distances = nearest(some, points, min(NEIGHBOURS + 1, len(points)))
    return float(np.median(distances[:, -1])) or 1.0


class Coverage:
    """How well each of N points is covered: Σ weight · max over chosen points s of exp(−|x − s|² / 2 r²).

    Args:
        points: (N, D) floats, in units in which distances mean something.
        weights: (N,) how much each counts, not negative.
        r: how far a point reaches.

    Attributes:
        covered: (N,) in [0, 1]: the largest kernel of each point with those chosen so far.
    """

    def __init__(self, points: np.ndarray, weights: np.ndarray, r: float) -> None:
        self._centre = points.mean(axis=0, dtype=np.float64)
        self._r = r
        self._points = self._scaled(points)
        self._squares = np.square(self._points).sum(axis=1)
        self.weights = weights.astype(np.float32)
        self.covered = np.zeros(len(points), np.float32)

    def _scaled(self, points: np.ndarray) -> np.ndarray:
        return np.asarray((points - self._centre) / self._r, dtype=np.float32)

    def _kernel(self, scaled: np.ndarray) -> np.ndarray:
        """(m, N): of m points with all; squares of float32 cancel around the mean, which is why it is taken away."""
        exponents = scaled @ self._points.T
        exponents -= self._squares / 2
        exponents -= np.square(scaled).sum(axis=1)[:, None] / 2
        return np.exp(np.minimum(exponents, 0, out=exponents), out=exponents)

    @property
    def share(self) -> float:
        """The part in [0, 1] of the points, by their weights, that is covered; 1 where all weights are 0."""
        total = float(self.weights.sum())
        return float(self.weights @ self.covered) / total if total else 1.0

    def cover(self, points: np.ndarray) -> None:
        """Choose these points (m, D), of the N or others, as those that have a label already."""
        for rows in slices(len(points), _ROWS):
            np.maximum(self.covered, self._kernel(self._scaled(points[rows])).max(axis=0), out=self.covered)

    def choose(self, n: int, progress: Progress = silent) -> tuple[np.ndarray, np.ndarray]:
        """Choose n of the N points, one after the other, each that which covers most of what is not covered yet.

        Returns:
            (n,) their numbers; (n,) float64 what each adds to ``share``, descending.

        Source of the lazy evaluation, which computes few gains again: Minoux 1978.
        """
        total = float(self.weights.sum()) or 1.0
        gains = np.empty(len(self._points))
        with progress("comparing images", len(gains)) as advance:
            for rows in slices(len(gains), _ROWS):
                gains[rows] = self._gains(self._kernel(self._points[rows]))
                advance(len(gains[rows]))
        waiting = [(-gain, row) for row, gain in enumerate(gains.tolist())]
        heapq.heapify(waiting)
        chosen: list[int] = []
        scores: list[float] = []
        while waiting and len(chosen) < n:
            _, row = heapq.heappop(waiting)
            kernel = self._kernel(self._points[row : row + 1])
            gain = float(self._gains(kernel)[0])
            if waiting and (-gain, row) > waiting[0]:
                heapq.heappush(waiting, (-gain, row))
                continue
            np.maximum(self.covered, kernel[0], out=self.covered)
            self.covered[row] = 1
            chosen.append(row)
            scores.append(min(gain / total, scores[-1] if scores else 1.0))
        return np.array(chosen, np.int64), np.array(scores)

    def _gains(self, kernel: np.ndarray) -> np.ndarray:
        """(m,) what each point of a kernel (m, N), which is changed, would add to what is covered."""
        kernel = kernel - self.covered
        return np.asarray(np.maximum(kernel, 0, out=kernel) @ self.weights)
