"""Hybrids for anyone's own training loop in PyTorch."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from latentcli import artifacts
from latentcli.artifacts.hybrid_folders import SOFT_LABELS
from latentcli.artifacts.tables import as_written
from latentcli.data.decoding import UnreadableImage, decode, measure
from latentcli.errors import DataError
from latentcli.files import shown


class HybridDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images with soft labels, as ``latentcli hybridize`` writes them: ``hybrids.npz`` or a folder.

    An item is an image, (C, H, W) float32 in [0, 1], and its soft label, (classes,) float32, which sums to 1. The
    images of a folder are read when they are asked for.

    Args:
        path: of the file or the folder.
        transform: of each image.

    Attributes:
        classes: names of the columns of the soft labels.
        soft_labels: (N, classes) float32.

    Raises:
        DataError: what is there holds no hybrids.
    """

    def __init__(self, path: str | Path, transform: Callable[[Tensor], Tensor] | None = None) -> None:
        self.path, self.transform = Path(path), transform
        self.files: list[str] = []
        self.images: np.ndarray | None = None
        if self.path.is_dir():
            self.classes, self.files, soft_labels = _read_table(self.path / SOFT_LABELS)
            self.shape = _shape_of(self.path / self.files[0])
        else:
            arrays = artifacts.read_hybrids(self.path)
            self.classes, soft_labels = tuple(arrays["classes"].tolist()), arrays["soft_labels"]
            images = arrays["images"]
            self.images = images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1)
        self.soft_labels = torch.from_numpy(soft_labels.astype(np.float32))

    def __len__(self) -> int:
        return len(self.soft_labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        soft_label = self.soft_labels[index]  # the end of a sequence is an IndexError here
        pixels = self.images[index] if self.images is not None else self._read(self.files[index])
        image = torch.from_numpy(np.array(pixels)).to(torch.float32).div_(255.0)
        return (self.transform(image) if self.transform else image), soft_label

    def _read(self, name: str) -> np.ndarray:
        try:
            return decode(self.path / name, *self.shape)
        except UnreadableImage as error:
            raise DataError(f"cannot read {shown(self.path / name)}", str(error)) from error


def _shape_of(path: Path) -> tuple[int, int, int]:
    """Height, width and channels of a PNG file, from its header."""
    try:
        height, width = measure(path)
        with Image.open(path, formats=("PNG",)) as image:
            return height, width, 1 if image.mode == "L" else 3
    except (UnreadableImage, OSError) as error:
        raise DataError(f"cannot read {shown(path)}", str(error)) from error


def _read_table(path: Path) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    """Classes, files and soft labels of ``soft_labels.csv``."""

    def refuse(found: str) -> DataError:
        return DataError(f"{shown(path)} holds no soft labels", found, "make them again: latentcli hybridize --folder")

    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise refuse(str(error)) from error
    if len(rows) < 2 or rows[0][:1] != ["File"] or any(len(row) != len(rows[0]) for row in rows) or len(rows[0]) < 2:
        raise refuse("expected a column File, one for each class, and a row for each image")
    files = [row[0] for row in rows[1:]]
    if any(Path(name).name != name for name in files):
        raise refuse("expected the names of files in this folder")
    try:
        soft_labels = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]])
    except ValueError as error:
        raise refuse("expected numbers") from error
    if not (np.isfinite(soft_labels).all() and (soft_labels >= 0).all()) or not np.allclose(
        soft_labels.sum(axis=1), 1, atol=1e-3
    ):
        raise refuse("expected soft labels that sum to 1")
    return tuple(map(as_written, rows[0][1:])), files, soft_labels
