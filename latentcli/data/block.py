"""Memory for a set of images whose number of channels is known only when all are read."""

import math

import numpy as np

from latentcli.core.errors import DataError


class ImageBlock:
    """Images of one size, appended one by one: grey until the first one in colour comes.

    Memory is reserved for colour, but the system only provides the pages that are written. So a grey set takes what
    grey needs, nothing is decoded twice, and there are never two copies. At most ``count`` images can be appended;
    without ``channels`` they have 3 as soon as one image has.
    """

    def __init__(self, count: int, channels: int | None, height: int, width: int) -> None:
        try:
            self._bytes = np.empty(count * (channels or 3) * height * width, dtype=np.uint8)
        except MemoryError as error:
            problem = f"{count:,} images of {height}×{width} pixels do not fit into memory"
            raise DataError(problem, None, "take fewer, or a smaller `image_size`") from error
        self._fixed, self._shape = channels is not None, (channels or 1, height, width)
        self._count = 0

    @property
    def images(self) -> np.ndarray:
        """(N, C, H, W) uint8: what was appended so far."""
        return self._bytes[: self._count * math.prod(self._shape)].reshape(self._count, *self._shape)

    def append(self, image: np.ndarray) -> None:
        """Add (C, H, W), or (1, H, W), which is grey in any set."""
        if not self._fixed and len(image) > self._shape[0]:
            grey, self._shape = self.images, (3, *self._shape[1:])
            for row in range(self._count - 1, -1, -1):  # from the last to the first, so that none is overwritten
                self.images[row] = grey[row].copy()
        self._count += 1
        self.images[-1] = image
