"""Some rows of mapped arrays, which stay on the disk until they are asked for."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

COPIED = 2**28
"""Bytes up to which rows of mapped arrays are copied into memory."""


class Rows:
    """(N, …) rows of one array, or of several one behind the other, in any order: what is indexed becomes an array.

    It stands in the place of an array where that would be a copy of most of a file: with its ``shape``, ``dtype`` and
    ``nbytes``, indexed by a number, a slice, numbers or truth values of rows. ``numpy.asarray`` copies all of it.

    Args:
        parts: arrays of one shape but for their lengths, and of one type.
        rows: (N,) numbers of rows, counted through all parts.
    """

    def __init__(self, parts: Sequence[np.ndarray], rows: np.ndarray) -> None:
        self.parts, self.rows = tuple(parts), np.asarray(rows, np.int64)
        self.starts = np.cumsum([0, *map(len, self.parts)])
        self.shape: tuple[int, ...] = (len(self.rows), *self.parts[0].shape[1:])
        self.dtype, self.ndim = self.parts[0].dtype, self.parts[0].ndim
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> np.ndarray:
        key, *others = key if isinstance(key, tuple) else (key,)
        rows = self.rows[key]
        if np.ndim(rows) == 0:
            return self._of(np.array([rows]))[(0, *others)]
        return self._of(rows)[(slice(None), *others)]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def take(self, rows: np.ndarray) -> "Rows":
        """Some of these rows."""
        return Rows(self.parts, self.rows[rows])

    def _of(self, rows: np.ndarray) -> np.ndarray:
        if len(self.parts) == 1:
            return self.parts[0][rows]
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        of_part = np.searchsorted(self.starts, rows, side="right") - 1
        for part, (array, start) in enumerate(zip(self.parts, self.starts, strict=False)):
            here = np.flatnonzero(of_part == part)
            found[here] = array[rows[here] - start]
        return found


def is_mapped(array: Any) -> bool:
    """Whether an array, what stands for one, or what an array is a view of, is on the disk."""
    return isinstance(array, np.memmap | Rows) or (isinstance(array, np.ndarray) and is_mapped(array.base))


def taken(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some rows of an array, by their numbers: in memory, but for many of a mapped one, which stay where they are."""
    if not is_mapped(array):
        return array[rows]
    if np.array_equal(rows, np.arange(len(array))):
        return array
    first = int(rows[0]) if len(rows) else 0
    if isinstance(array, np.memmap) and np.array_equal(rows, np.arange(first, first + len(rows))):
        return array[first : first + len(rows)]
    if len(rows) * (array.nbytes // max(1, len(array))) <= COPIED:
        return array[rows]
    return cast(np.ndarray, array.take(rows) if isinstance(array, Rows) else Rows([array], rows))


def stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays one behind the other: in memory, unless some are mapped and all are many; one alone as it is."""
    if len(arrays) == 1:
        return arrays[0]
    if not any(map(is_mapped, arrays)) or sum(each.nbytes for each in arrays) <= COPIED:
        return np.concatenate(arrays)
    return cast(np.ndarray, Rows(arrays, np.arange(sum(map(len, arrays)))))
