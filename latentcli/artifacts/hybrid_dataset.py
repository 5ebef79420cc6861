"""Hybrids for anyone's own training loop in PyTorch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from latentcli import artifacts
from latentcli.artifacts.hybrid_folders import HybridFolder


class HybridDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images with soft labels: ``hybrids.npz`` or a folder, as ``latentcli hybridize`` writes them, or one's own.

    An item is an image, (C, H, W) float32 in [0, 1], and its soft label, (classes,) float32, which sums to 1. The
    images of a folder are read on demand.

    Args:
        path: of the file or the folder, as ``read_hybrids`` takes them.
        transform: of each image.

    Attributes:
        classes: names of the columns of the soft labels.
        soft_labels: (N, classes) float32.

    Raises:
        DataError: the file or folder holds no hybrids.

    Example:
        >>> import latentcli as lc
        >>> import numpy as np
        >>> hybrids = {
        ...     "images": np.zeros((2, 8, 8), np.uint8), "soft_labels": np.array([[0.3, 0.7], [1.0, 0.0]]),
        ...     "classes": np.array(["4", "8"]), "latents": np.zeros((2, 4), np.float32),
        ... }  # as lc.hybridize makes them
        >>> lc.write_hybrids("hybrids.npz", hybrids)
        >>> image, soft_label = lc.HybridDataset("hybrids.npz")[0]
        >>> image.shape, soft_label
        (torch.Size([1, 8, 8]), tensor([0.3000, 0.7000]))
    """

    def __init__(self, path: str | Path, transform: Callable[[Tensor], Tensor] | None = None) -> None:
        self.transform = transform
        self._folder: HybridFolder | None = None
        if Path(path).is_dir():
            self._folder = HybridFolder.read(Path(path))
            self.classes, soft_labels = self._folder.classes, self._folder.soft_labels
        else:
            arrays = artifacts.read_hybrids(Path(path))
            self.classes, soft_labels = tuple(arrays["classes"].tolist()), arrays["soft_labels"]
            images = arrays["images"]
            self._images = images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1)
        self.soft_labels = torch.from_numpy(soft_labels.astype(np.float32))

    def __len__(self) -> int:
        return len(self.soft_labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        soft_label = self.soft_labels[index]  # the end of a sequence is an IndexError here
        pixels = self._images[index] if self._folder is None else self._folder.image(index)
        image = torch.from_numpy(np.array(pixels)).to(torch.float32).div_(255.0)
        return (self.transform(image) if self.transform else image), soft_label
