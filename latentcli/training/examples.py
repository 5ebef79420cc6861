"""What a run learns from: images, their soft labels, and which of them it is trained and validated on."""

from dataclasses import dataclass

import numpy as np
import torch

from latentcli.core import memory
from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.core.settings import check_kind
from latentcli.numerics.random import generator_for
from latentcli.training.config import TrainingConfig

_ROWS = 256  # images that are compared at a time

BLOCK_BYTES, TOGETHER = 2**21, 128
"""Of images beyond the memory: bytes that are read as one run, and how many runs are shuffled into one another."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Images of a training run.

    Attributes:
        images: (N, C, H, W) uint8; or, for a prior, their codes (N, h, w) int32, or points (N, D) float32.
        train_rows: numbers of the rows that an epoch goes through; a row may occur more than once.
        held_out_rows: numbers of the rows of the validation loss; there may be none.
        targets: (N, K) float32 soft labels, each row summing to 1, of a prior to less where a class is not known; None
            where the loss takes images alone.
        final_rows: numbers of the rows that the final steps are trained on instead; None changes nothing for them.
        final_fraction: of all steps that are final ones, in [0, 1].
        block: rows that are read together from the disk, see ``shuffled``; 0 where the order of reading costs nothing.
        labels: of the images, for those who look on: nothing is learned from them; None: not known.
    """

    images: np.ndarray
    train_rows: np.ndarray
    held_out_rows: np.ndarray
    targets: np.ndarray | None = None
    final_rows: np.ndarray | None = None
    final_fraction: float = 0.0
    block: int = 0
    labels: Labels | None = None

    def batches(self, epoch: int, epochs: int, steps: int, seed: int) -> list[np.ndarray]:
        """Row numbers of each of the ``steps`` of an epoch (0 … epochs − 1), in batches of nearly equal size.

        Their order depends on ``seed`` and ``epoch`` alone; ``epochs`` decides where the final steps begin.
        """
        order = shuffled(len(self.train_rows), generator_for(seed, "order", epoch), self.block)
        batches = np.array_split(self.train_rows[order], steps)
        first_final = round((1 - self.final_fraction) * epochs * steps) - epoch * steps
        final = batches[max(0, first_final) :]
        if self.final_rows is not None and final:
            generator = generator_for(seed, "last", epoch)
            own = self.final_rows[shuffled(len(self.final_rows), generator, self.block)]
            rows = np.resize(own, sum(map(len, final)))  # if there are too many, each epoch leaves out others
            order = np.arange(len(rows)) if self.block else torch.randperm(len(rows), generator=generator).numpy()
            batches[-len(final) :] = np.array_split(rows[order], len(final))
        return batches

    @classmethod
    def of_images(cls, images: np.ndarray, config: TrainingConfig, labels: Labels | None = None) -> "Examples":
        """Images alone, (N, C, H, W) uint8, some held out; a ``DataError`` if there is only one."""
        if len(images) < 2:
            raise DataError("one image is too few to train on", "expected two or more")
        return cls(images, *split(len(images), config), labels=labels)


def shuffled(count: int, generator: torch.Generator, block: int = 0) -> np.ndarray:
    """(count,) int64: the numbers 0 … count − 1 in a random order.

    With a ``block``, runs of so many numbers are shuffled, and then, of each ``TOGETHER`` of these, the numbers: images
    in that order are read in runs, a few hundred MB of the file at a time, and a batch still has some of many runs.
    """
    if not block:
        return torch.randperm(count, generator=generator).numpy()
    starts = block * torch.randperm(-(-count // block), generator=generator).numpy()
    parts = []
    for first in range(0, len(starts), TOGETHER):
        runs = [np.arange(start, min(count, start + block)) for start in starts[first : first + TOGETHER]]
        numbers = np.concatenate(runs)
        parts.append(numbers[torch.randperm(len(numbers), generator=generator).numpy()])
    return np.concatenate(parts) if parts else np.arange(0)


def block_of(images: np.ndarray) -> int:
    """Rows of a block of ``BLOCK_BYTES``, where images are mapped and too many for the memory; 0 for all others."""
    return max(1, BLOCK_BYTES * len(images) // images.nbytes) if memory.is_beyond(images) else 0


_SPREAD = ("spreads them", "makes it white", "lie outside `range`", "bytes are read as", "images of the model were")
"""What notes say of images that another range would show to differ."""
_PAGES = "`pages` makes an image of each"
"""What notes say of files of which one page, frame or slice was read."""
_OTHER_PAGES = "or read the other pages of their files, too, by `pages`"


def check_teachable(images: ImageSet) -> None:
    """Refuse images from which nothing can be learned: one, or many that are the same to within a level of 255.

    Raises:
        UsageError: it is no ``ImageSet``.
        DataError: they are.
    """
    check_kind("images", images, ImageSet)
    if len(images) < 2:
        remedy = f"give more images{_pages_of(images)}"
        raise DataError(f"{images.name} holds one image, too few to train on", "expected two or more", remedy)
    check_varied(images)


def _pages_of(images: ImageSet) -> str:
    return f"; {_OTHER_PAGES}" if any(_PAGES in note for note in images.notes) else ""


def check_varied(images: ImageSet, among: np.ndarray | None = None) -> None:
    """Raise a ``DataError`` for images that are the same to within a level of 255.

    Args:
        images: two or more.
        among: (N,) bool, those that count; None: all.
    """
    counted = np.arange(len(images)) if among is None else np.flatnonzero(among)
    pages = _pages_of(images)
    least = most = np.asarray(images.images[counted[0]])
    for start in range(0, len(counted), _ROWS):
        rows = images.images[counted[start : start + _ROWS]]
        least, most = np.minimum(least, rows.min(axis=0)), np.maximum(most, rows.max(axis=0))
        if (most - least).max() > 1:  # uint8, but never negative
            return
    what = f"all {len(images)} images" if len(counted) == len(images) else f"all {len(counted)} labelled images"
    shown = {(0, 0): ", all black", (255, 255): ", all white"}.get((int(least.min()), int(most.max())), "")
    found = f"found values from {int(least.min())} to {int(most.max())} of 255{shown}"
    ways = ["`background`"] * any("laid on" in note for note in images.notes)
    ways += ["`range`"] * bool((most - least).max() or any(mark in note for note in images.notes for mark in _SPREAD))
    means = f"; if these should, say what their pixels mean: {' or '.join(ways)}" if ways else ""
    remedy = f"name images that differ{pages}{means}"
    raise DataError(f"{what} of {images.name} are the same: nothing can be learned", found, remedy)


def split(count: int, config: TrainingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers to train on, two or more, and to hold out, of ``count`` images: drawn by the seed, both sorted."""
    order = torch.randperm(count, generator=generator_for(config.seed, "split")).numpy()
    held_out = min(round(config.held_out * count), config.max_held_out, max(0, count - 2))
    return np.sort(order[held_out:]), np.sort(order[:held_out])
