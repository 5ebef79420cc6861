"""Hybrids as a folder: PNG files, and ``soft_labels.csv`` with how much of each class they are."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from latentcli.artifacts.tables import as_csv
from latentcli.files import atomic_folder

SOFT_LABELS = "soft_labels.csv"


@contextmanager
def hybrid_folder_writer(
    path: Path, count: int, classes: Sequence[str]
) -> Iterator[Callable[[np.ndarray, np.ndarray], None]]:
    """Write images as ``000000.png`` …, and ``soft_labels.csv``: ``File``, then a column for each class.

    Args:
        path: of the folder, which is there as a whole when the block ends well, and not at all otherwise.
        count: of all images: as many digits as their numbers need.
        classes: names of the columns; what a spreadsheet would take for a formula begins with ' there.

    Yields:
        a function that takes the next images (n, C, H, W) uint8 and soft labels (n, classes).

    Raises:
        OutputError: the folder cannot be written, or there is one with something in it.
    """
    from PIL import Image

    digits, number = max(6, len(str(count - 1))), 0
    with atomic_folder(path) as folder, (folder / SOFT_LABELS).open("w", encoding="utf-8", newline="") as table:

        def write(images: np.ndarray, soft_labels: np.ndarray) -> None:
            nonlocal number
            for image, shares in zip(images, soft_labels, strict=True):
                name = f"{number:0{digits}}.png"
                Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(folder / name)
                table.write(as_csv([[name, *(f"{share:.9g}" for share in shares)]]))
                number += 1

        table.write(as_csv([["File", *classes]]))
        yield write
