"""Two ways in which labels spread over a graph: label spreading and Poisson learning.

Either is a kernel G (N, N) of the graph and what the labels put into it: scores of classes are G times the sources of
the labelled points. Labels are counted: ``counts`` (N, C) says how many labels of each class a point has.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import csr_matrix

from latentcli.classifiers.graph.laplacian import Graph


class Spread(Protocol):
    """One of the ways."""

    @property
    def temperature(self) -> float:
        """Of the probabilities, where no label can be left out to choose it.

        The mean of what was best for one label a class on latents of MNIST (0.16 for Poisson learning, 0.8 for label
        spreading) and of Fashion-MNIST (1.0, 2.9).
        """

    def kernel(self, graph: Graph, columns: np.ndarray) -> np.ndarray:
        """(N, m): G times the columns (N, m)."""

    def sources(self, counts: np.ndarray) -> np.ndarray:
        """(…, C): what points with these labels put in."""

    def without(self, kernel: np.ndarray, counts: np.ndarray, rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """(m, C): the scores of m points, each without one label: G (m, L) times the sources of the labels left.

        Args:
            kernel: G, from the L points with labels to each of these.
            counts: (L, C) all labels.
            rows, classes: (m,) the point of the L, and the class, whose label is left out.
        """

    def logits(self, scores: np.ndarray, scale: float) -> np.ndarray:
        """(N, C): log probabilities at temperature 1, up to a constant for each row, of scores (N, C)."""

    def scale(self, scores: np.ndarray) -> float:
        """The unit of these scores (N, C), for ``logits``."""


@dataclass(frozen=True)
class LabelSpreading:
    """F = (I − α S)⁻¹ Y: a walk over the graph, which goes on with probability α, ends in so many labels of a class.

    Source: Zhou et al. 2004, equation 4, without its factor 1 − α.
    """

    alpha: float = 0.9
    temperature: float = 1.5

    def kernel(self, graph: Graph, columns: np.ndarray) -> np.ndarray:
        return graph.solve(columns, self.alpha)

    def sources(self, counts: np.ndarray) -> np.ndarray:
        return counts.astype(np.float64)

    def without(self, kernel: np.ndarray, counts: np.ndarray, rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
        found = np.asarray(kernel @ csr_matrix(counts))
        each = np.arange(len(rows))
        found[each, classes] -= kernel[each, rows]
        return found

    def logits(self, scores: np.ndarray, scale: float) -> np.ndarray:
        """Scores are not negative; what rounding makes of those that are nearly 0 counts as ``scale``."""
        return np.log(np.maximum(scores, 0) + scale)

    def scale(self, scores: np.ndarray) -> float:
        return float(1e-9 * scores.max())


@dataclass(frozen=True)
class PoissonLearning:
    """L u = Σ_j (y_j − ȳ) δ_j, with degree-weighted mean 0: labels as charges, ȳ (C,) their mean; L = D − W.

    Source: Calder, Cook, Thorpe & Slepčev 2020, equation 2.3 and theorem 2.1.
    """

    temperature: float = 0.4

    def kernel(self, graph: Graph, columns: np.ndarray) -> np.ndarray:
        scale = 1 / np.sqrt(graph.degrees)[:, None]
        return scale * graph.solve(scale * columns, 1.0, tolerance=1e-6)

    def sources(self, counts: np.ndarray) -> np.ndarray:
        return counts - counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()

    def without(self, kernel: np.ndarray, counts: np.ndarray, rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
        each = np.arange(len(rows))
        shares = np.tile(counts.sum(axis=0), (len(rows), 1))
        shares[each, classes] -= 1
        shares /= counts.sum() - 1
        charge = kernel @ counts.sum(axis=1) - kernel[each, rows]
        return LabelSpreading().without(kernel, counts, rows, classes) - charge[:, None] * shares

    def logits(self, scores: np.ndarray, scale: float) -> np.ndarray:
        return scores / scale

    def scale(self, scores: np.ndarray) -> float:
        """The median lead of a point's best class over the next."""
        two = np.partition(scores, -2, axis=1)[:, -2:]
        return float(np.median(two[:, 1] - two[:, 0])) or 1.0


def leave_one_out(
    spread: Spread, graph: Graph, counts: np.ndarray, rows: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """(m, C): the scores that labelled points would have without one of their labels.

    As G is symmetric, its columns at these points are all that is needed: one linear system each.

    Args:
        counts: (N, C) labels; each class has two or more.
        rows, classes: (m,) the points, and of each the class whose label is left out.
    """
    labelled = np.flatnonzero(counts.any(axis=1))
    units = np.zeros((len(graph), len(rows)))
    units[rows, np.arange(len(rows))] = 1.0
    kernel = spread.kernel(graph, units)[labelled].T
    return spread.without(kernel, counts[labelled], np.searchsorted(labelled, rows), classes)
