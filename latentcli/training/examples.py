"""What a run learns from: images, their soft labels, and which of them it is trained and validated on."""

from dataclasses import dataclass

import numpy as np
import torch

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.numerics.random import generator_for
from latentcli.training.config import TrainingConfig

_ROWS = 256  # images that are compared at a time


@dataclass(frozen=True, eq=False)
class Examples:
    """Images of a training run.

    Attributes:
        images: (N, C, H, W) uint8.
        train_rows: numbers of the rows that an epoch goes through; a row may occur more than once.
        held_out_rows: numbers of the rows of the validation loss; there may be none.
        targets: (N, K) float32 soft labels, each row summing to 1; None where the loss takes images alone.
        final_rows: numbers of the rows that the final steps are trained on instead; None changes nothing for them.
        final_fraction: of all steps that are final ones, in [0, 1].
    """

    images: np.ndarray
    train_rows: np.ndarray
    held_out_rows: np.ndarray
    targets: np.ndarray | None = None
    final_rows: np.ndarray | None = None
    final_fraction: float = 0.0

    def batches(self, epoch: int, epochs: int, steps: int, seed: int) -> list[np.ndarray]:
        """Row numbers of each of the ``steps`` of an epoch (0 … epochs − 1), in batches of nearly equal size.

        Their order depends on ``seed`` and ``epoch`` alone; ``epochs`` decides where the final steps begin.
        """
        order = torch.randperm(len(self.train_rows), generator=generator_for(seed, "order", epoch)).numpy()
        batches = np.array_split(self.train_rows[order], steps)
        first_final = round((1 - self.final_fraction) * epochs * steps) - epoch * steps
        final = batches[max(0, first_final) :]
        if self.final_rows is not None and final:
            generator = generator_for(seed, "last", epoch)
            shuffled = self.final_rows[torch.randperm(len(self.final_rows), generator=generator).numpy()]
            rows = np.resize(shuffled, sum(map(len, final)))  # if there are too many, each epoch leaves out others
            order = torch.randperm(len(rows), generator=generator).numpy()
            batches[-len(final) :] = np.array_split(rows[order], len(final))
        return batches

    @classmethod
    def of_images(cls, images: np.ndarray, config: TrainingConfig) -> "Examples":
        """Images alone, (N, C, H, W) uint8, some held out; a ``DataError`` if there is only one."""
        if len(images) < 2:
            raise DataError("one image is too few to train on", "expected two or more")
        return cls(images, *split(len(images), config))


_SPREAD = ("spreads them", "makes it white", "lie outside `range`", "bytes are read as", "images of the model were")
"""What notes say of images that another range would show to differ."""
_PAGES = "`pages` makes an image of each"
"""What notes say of files of which one page, frame or slice was read."""
_OTHER_PAGES = "or read the other pages of their files, too, by `pages`"


def check_teachable(images: ImageSet) -> None:
    """Refuse images from which nothing can be learned: one, or many that are the same to within a level of 255.

    Raises:
        DataError: they are.
    """
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
