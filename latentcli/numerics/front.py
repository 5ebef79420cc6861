"""What a trade-off leaves to choose from."""

import numpy as np


def non_dominated(costs: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """(F,) numbers of the points that no other dominates, by rising cost and so by rising gain.

    A point dominates another that costs no less and gains no more; of equal points the first does.

    Args:
        costs, gains: (N,) of each point; one that has no number for its gain is always dominated.
    """
    order = np.lexsort((-gains, costs))
    before = np.fmax.accumulate(np.concatenate([[-np.inf], gains[order]]))[:-1]
    return order[gains[order] > before]
