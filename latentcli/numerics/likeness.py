"""How alike two images are, whatever their brightness and contrast, and although one may be moved by a pixel."""

from itertools import product

import numpy as np

SHIFTS = (-1, 0, 1)
"""Pixels by which one of two images may be moved, along each side."""

LARGEST = 64
"""Pixels a side up to which images are compared as they are; of larger ones the means of squares of pixels are."""

_VALUES_AT_ONCE = 2**22


def correlations(images: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(P,) in [-1, 1]: how alike the two images of each pair are, at the best of the ``SHIFTS``.

    It is the correlation of their pixels where they overlap, over all channels; 0 where one has no contrast there. An
    image and its copy have 1, with other brightness or contrast, too.

    Args:
        images: (N, C, H, W) uint8, in memory or mapped.
        pairs: (P, 2) numbers of images.
    """
    step = max(1, _VALUES_AT_ONCE // int(np.prod(images.shape[1:])))
    found = [np.zeros(0)]
    for at in range(0, len(pairs), step):
        first, second = (_reduced(np.asarray(images[column])) for column in pairs[at : at + step].T)
        moved = [_correlation(first, second, *shift) for shift in product(SHIFTS, SHIFTS)]
        found.append(np.max(moved, axis=0))
    return np.concatenate(found)


def _reduced(images: np.ndarray) -> np.ndarray:
    """(n, C, h, w) float32 of images (n, C, H, W), h and w at most ``LARGEST``."""
    by = -(-max(images.shape[-2:]) // LARGEST)
    if by == 1:
        return images.astype(np.float32)
    count, channels, height, width = images.shape
    height, width = height // by, width // by
    squares = images[:, :, : height * by, : width * by].reshape(count, channels, height, by, width, by)
    return np.asarray(squares.mean(axis=(3, 5), dtype=np.float32))


def _correlation(first: np.ndarray, second: np.ndarray, down: int, right: int) -> np.ndarray:
    """(n,) of pairs of images, the second of which is moved."""
    height, width = first.shape[-2:]

    def part(images: np.ndarray, down: int, right: int) -> np.ndarray:
        rows, columns = slice(max(0, down), height + min(0, down)), slice(max(0, right), width + min(0, right))
        values = images[:, :, rows, columns].reshape(len(images), -1)
        return np.asarray(values - values.mean(axis=1, keepdims=True))

    x, y = part(first, down, right), part(second, -down, -right)
    norms = np.sqrt(np.einsum("nd,nd->n", x, x) * np.einsum("nd,nd->n", y, y))
    products = np.einsum("nd,nd->n", x, y)
    return np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
