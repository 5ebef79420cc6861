"""Batches read from the disk by a thread of their own, while the device takes the step before."""

import mmap
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np

AHEAD = 3
"""Batches that are read before they are asked for, and held in memory."""

SOON = 64
"""Batches of which the system is told, in the order of the disk, that they will be read."""

_GAP = 2**20  # bytes between two parts, from which on the disk skips them


class ReadingAhead:
    """Rows of images, read before they are asked for.

    Args:
        images: (N, …), mapped.
    """

    def __init__(self, images: Any) -> None:
        self.images = images
        self._read: dict[bytes, Future[np.ndarray]] = {}

    def following(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The row numbers of each batch, which ``rows`` has read when the caller gets to them."""
        given, coming, taken = deque[np.ndarray](), deque(batches), 0
        thread = ThreadPoolExecutor(1)
        try:
            while given or coming:
                while coming and len(given) <= AHEAD:
                    if taken % SOON == 0:
                        thread.submit(_announce, self.images, [*islice(coming, SOON)])
                    taken += 1
                    given.append(coming.popleft())
                    self._read[given[-1].tobytes()] = thread.submit(self.images.__getitem__, given[-1])
                yield given.popleft()
        finally:  # not waited for: whoever collects what was not read to its end may hold the lock of all threads
            thread.shutdown(wait=False, cancel_futures=True)
            self._read.clear()

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """The images of these rows: those read ahead where they are a batch of ``following``."""
        future = self._read.pop(rows.tobytes(), None)
        return self.images[rows] if future is None else future.result()


def _announce(images: Any, batches: Iterable[np.ndarray]) -> None:
    """Tell the system which parts of a mapped file are read soon, from the first to the last, gaps included."""
    mapped = getattr(images, "_mmap", None)
    if not isinstance(images, np.memmap) or mapped is None or not hasattr(mapped, "madvise") or images.strides[0] < 1:
        return
    begin = np.frombuffer(mapped, np.uint8).__array_interface__["data"][0]
    start, row = images.__array_interface__["data"][0] - begin, images.strides[0]
    rows = np.unique(np.concatenate(list(batches)))
    for run in np.split(rows, np.flatnonzero(np.diff(rows) * row > _GAP) + 1):
        first = (start + int(run[0]) * row) // mmap.PAGESIZE * mmap.PAGESIZE
        last = min(len(mapped), start + (int(run[-1]) + 1) * row)
        mapped.madvise(mmap.MADV_WILLNEED, first, last - first)
