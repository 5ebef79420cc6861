"""Arrays of which the rows come one after another: in memory, or on the disk where they are many."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.rows import COPIED, is_mapped


class GrowingArray:
    """An array (N, …) whose rows are added in their order: in memory, or in a file, which is mapped when all are there.

    The file is in the system's folder for temporary files, without a name, so that it is gone with the process.

    Args:
        count: N.
        dtype, shape: of the array, and of each of its rows.
        mapped: use a file, if the array is of more than ``core.rows.COPIED`` bytes.

    Raises:
        DataError: there is no room for it, in memory or on the disk; ``add`` and ``whole`` raise it too.
    """

    def __init__(self, count: int, dtype: np.dtype, shape: tuple[int, ...], mapped: bool) -> None:
        self.dtype, self.shape, self._done = dtype, (count, *shape), 0
        on_disk = mapped and math.prod(self.shape) * dtype.itemsize > COPIED
        with _room():
            self._file = tempfile.TemporaryFile(prefix="latentcli-") if on_disk else None  # noqa: SIM115 (mapped later)
        try:
            self._array = np.empty((0 if on_disk else count, *shape), dtype)
        except MemoryError as error:
            raise DataError(f"{count:,} rows of {shape} numbers do not fit into memory") from error

    def add(self, rows: np.ndarray) -> None:
        """Take in the next rows."""
        if self._file is None:
            self._array[self._done : self._done + len(rows)] = rows
        else:
            with _room():
                self._file.write(np.ascontiguousarray(rows, self.dtype).data)
        self._done += len(rows)

    def whole(self) -> np.ndarray:
        """(N, …): all rows, which must have been added; read-only where they are mapped."""
        if self._file is None:
            return self._array
        with _room():
            self._file.flush()
        return np.memmap(self._file, self.dtype, "r", shape=self.shape).view(np.ndarray)


def filled(blocks: Iterable[Mapping[str, np.ndarray]], count: int, mapped: bool = False) -> dict[str, np.ndarray]:
    """All rows of blocks, ``count`` in all, in one ``GrowingArray`` for each name: large ones are never held twice."""
    arrays: dict[str, GrowingArray] = {}
    for block in blocks:
        for name, part in block.items():
            if name not in arrays:
                arrays[name] = GrowingArray(count, part.dtype, part.shape[1:], mapped)
            arrays[name].add(part)
    return {name: array.whole() for name, array in arrays.items()}


def joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays one behind the other: in memory, unless one of them is mapped and all are many."""
    found = GrowingArray(sum(map(len, arrays)), arrays[0].dtype, arrays[0].shape[1:], any(map(is_mapped, arrays)))
    for array in arrays:
        found.add(array)
    return found.whole()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem, remedy = "rows cannot be written to the folder for temporary files", "free space, or set TMPDIR"
        raise DataError(problem, error.strerror or str(error), remedy) from error
