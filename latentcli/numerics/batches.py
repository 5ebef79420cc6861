"""Batches of images as float tensors, made one at a time from bytes."""

import numpy as np
import torch
from torch import Tensor

RESIDENT_SHARE = 0.25
"""Fraction of an accelerator's free memory up to which a set of images is kept there as bytes."""


class DeviceImages:
    """Images kept as uint8 and handed out as float32 in [0, 1] on a device.

    On the CPU the array (N, C, H, W) stays where it is (memory or a mapped file). On CUDA it moves to the device once
    when it is small against the free memory; otherwise each batch is copied there.
    """

    def __init__(self, images: np.ndarray, device: torch.device) -> None:
        self.images, self.device = images, device
        self.resident: Tensor | None = None
        if device.type == "cuda" and images.nbytes < RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
            self.resident = torch.from_numpy(np.array(images)).to(device)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """(len(rows), C, H, W) float32 in [0, 1]."""
        if self.resident is not None:
            batch = self.resident[torch.from_numpy(rows).to(self.device)]
        else:
            batch = torch.from_numpy(self.images[rows]).to(self.device)
        return batch.to(torch.float32).div_(255.0)
