"""The search for the nearest points on an accelerator, where comparing all pairs is faster than an index."""

import numpy as np
import torch

from latentcli.core.progress import Progress

PAIRS = 2**28
"""Distances that are on the device at once, of 4 bytes each."""

SPARE = 8
"""Points that are fetched beyond those asked for: squares of float32 cancel, and may mistake the last ones."""


@torch.inference_mode()
def candidates(queries: np.ndarray, points: np.ndarray, k: int, device: str, progress: Progress) -> np.ndarray:
    """(n, ≥ k) rows of the points (N, D) that are nearest to each query (n, D), in no order, and some more.

    |q − p|² is |p|² − 2 q·p up to what is the same for all p: a product of matrices, in float32, around the mean of
    the points.
    """
    centre = points.mean(axis=0, dtype=np.float64)
    held = torch.from_numpy((points - centre).astype(np.float32)).to(device)
    squares, count = held.square().sum(dim=1), min(k + SPARE, len(points))
    found = np.empty((len(queries), count), np.int64)
    block = max(1, PAIRS // len(points))
    with progress("finding neighbours", len(queries)) as advance:
        for at in range(0, len(queries), block):
            some = torch.from_numpy((queries[at : at + block] - centre).astype(np.float32)).to(device)
            distances = torch.addmm(squares, some, held.T, alpha=-2)
            found[at : at + block] = distances.topk(count, dim=1, largest=False, sorted=False).indices.cpu().numpy()
            advance(len(some))
    return found
