"""Batches of images as float tensors, made one at a time from bytes."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from latentcli.numerics.reading_ahead import ReadingAhead

RESIDENT_SHARE = 0.25
"""Fraction of an accelerator's free memory up to which a set of images is kept there as bytes."""


class DeviceImages:
    """Images kept as uint8 and handed out as float32 in [0, 1] on a device.

    On the CPU the array (N, C, H, W) stays where it is (memory or a mapped file). On CUDA it moves to the device once
    when it is small against the free memory; otherwise each batch is copied there.

    Args:
        images, device: the two.
        resident: whether they are handed out more than once, so that they may move to the device.
        ahead: whether images come from the disk, and those that follow are to be read while a batch is used.
    """

    def __init__(self, images: np.ndarray, device: torch.device, ahead: bool = False, resident: bool = True) -> None:
        self.images, self.device = images, device
        self.resident: Tensor | None = None
        small = device.type == "cuda" and images.nbytes < RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
        if small and resident:
            self.resident = torch.from_numpy(np.array(images)).to(device)
        self.ahead = ReadingAhead(images) if ahead and self.resident is None else None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray | slice) -> Tensor:
        """(n, C, H, W) float32 in [0, 1]: the images of n rows."""
        return as_floats(self.bytes_of(rows))

    def bytes_of(self, rows: np.ndarray | slice) -> Tensor:
        """(n, C, H, W) uint8; what the device still has to do before is not waited for."""
        if isinstance(rows, slice):
            return to_device(self.images[rows], self.device) if self.resident is None else self.resident[rows]
        if self.resident is not None:
            return self.resident.index_select(0, to_device(rows, self.device))
        return to_device(self.images[rows] if self.ahead is None else self.ahead.rows(rows), self.device)

    def following(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The row numbers of each batch; a thread reads those that follow, where that was asked for."""
        yield from batches if self.ahead is None else self.ahead.following(batches)


def as_floats(images: Tensor) -> Tensor:
    """Images uint8 as float32 in [0, 1]."""
    return images.to(torch.float32).div_(255.0)


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """An array, which is not to change, on a device; CUDA copies it from pinned memory, while the host goes on."""
    if device.type != "cuda":
        return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)
    pinned = torch.empty(array.shape, dtype=torch.from_numpy(np.empty(0, array.dtype)).dtype, pin_memory=True)
    if array.flags.writeable:
        pinned.copy_(torch.from_numpy(array))  # by all threads
    else:
        np.copyto(pinned.numpy(), array)
    return pinned.to(device, non_blocking=True)
