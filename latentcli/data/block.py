"""Memory for a set of images whose number of channels is known only when all are read."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from latentcli.core import memory
from latentcli.core.errors import DataError

Events = Mapping[str, Any]
"""Plain values: what decoding some images met, besides their pixels."""

_ROUND = 256  # images that are moved at a time


class Block(Protocol):
    """Images of one size, appended one by one, and changed when all are there."""

    @property
    def images(self) -> np.ndarray:
        """(N, C, H, W) uint8: what was appended so far."""

    def append(self, image: np.ndarray) -> None:
        """Add (C, H, W), or (1, H, W), which is grey in any set."""

    def commit(self, events: Events) -> None:
        """Keep what was appended, and what was met with it, so that a later run need not decode it again."""

    def changeable(self) -> np.ndarray:
        """The ``images``, to be written to; nothing is appended any more."""

    def drop(self, rows: list[int]) -> None:
        """Remove images."""


class ImageBlock:
    """A block in memory: grey until the first image in colour comes.

    Memory is reserved for colour, but the system only provides the pages that are written. So a grey set takes what
    grey needs, nothing is decoded twice, and there are never two copies. At most ``count`` images can be appended;
    without ``channels`` they have 3 as soon as one image has.
    """

    def __init__(self, count: int, channels: int | None, height: int, width: int) -> None:
        self._fixed, self._shape = channels is not None, (channels or 1, height, width)
        self._count, self._most = 0, count
        self._check(channels or 1)
        try:
            self._bytes = np.empty(count * (channels or 3) * height * width, dtype=np.uint8)
        except MemoryError as error:
            raise self._too_many() from error

    def _check(self, channels: int) -> None:
        """Raise a DataError where images of so many channels are more than the machine has memory for."""
        if self._most * channels * math.prod(self._shape[1:]) > memory.of_machine():
            raise self._too_many()

    def _too_many(self) -> DataError:
        problem = f"{self._most:,} images of {self._shape[1]}×{self._shape[2]} pixels do not fit into memory"
        return DataError(problem, None, "take fewer, or a smaller `image_size`, or keep them on the disk: `cache_dir`")

    @property
    def images(self) -> np.ndarray:
        """(N, C, H, W) uint8: what was appended so far."""
        return self._bytes[: self._count * math.prod(self._shape)].reshape(self._count, *self._shape)

    def append(self, image: np.ndarray) -> None:
        """Add (C, H, W), or (1, H, W), which is grey in any set."""
        if not self._fixed and len(image) > self._shape[0]:
            self._check(3)
            grey, self._shape = self.images, (3, *self._shape[1:])
            for row in range(self._count - 1, -1, -1):  # from the last to the first, so that none is overwritten
                self.images[row] = grey[row].copy()
        self._count += 1
        self.images[-1] = image

    def commit(self, events: Events) -> None:
        """Nothing: memory ends with the run."""

    def changeable(self) -> np.ndarray:
        """The images themselves."""
        return self.images

    def drop(self, rows: list[int]) -> None:
        """Remove images."""
        self._count = without(self.images, rows)


def without(images: np.ndarray, rows: list[int]) -> int:
    """Move all images but these to the front, in place; how many there are."""
    kept = np.delete(np.arange(len(images)), rows)
    for start in range(0, len(kept), _ROUND):  # each moves towards the front, or stays
        moved = images[kept[start : start + _ROUND]]
        images[start : start + len(moved)] = moved
    return len(kept)
