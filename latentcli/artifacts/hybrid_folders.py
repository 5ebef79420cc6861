"""Hybrids as a folder: PNG files, and their soft labels in ``soft_labels.csv``."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.formats.atomic import atomic_folder, output_errors
from latentcli.formats.csv_text import FILE_COLUMNS, as_csv, columns_called, read_table, unescape_formula

SOFT_LABELS = "soft_labels.csv"

NAMES = "File"
"""The column of the files' names."""


@contextmanager
def hybrid_folder_writer(
    path: Path, count: int, classes: Sequence[str]
) -> Iterator[Callable[[np.ndarray, np.ndarray, np.ndarray | None], None]]:
    """Write images as ``000000.png`` …, and ``soft_labels.csv``: ``File``, then a column for each class, if any.

    Args:
        path: of the folder, made whole when the block ends well, and not at all otherwise.
        count: of all images, which gives the number of digits in the files' names.
        classes: names of the columns; one that a spreadsheet would take for a formula begins with ' in the table.

    Yields:
        a function that takes the next images (n, C, H, W) uint8, soft labels (n, classes), and latents, which it
        leaves out.

    Raises:
        OutputError: the folder cannot be written, or exists and is not empty.
        UsageError: a class is called ``File``.
    """
    from PIL import Image

    if NAMES in classes:
        problem = f"a class is called {NAMES}, like the first column of {SOFT_LABELS}"
        raise UsageError(problem, remedy="write hybrids.npz instead of a `folder`")
    digits, numbers = max(6, len(str(count - 1))), itertools.count()
    with atomic_folder(path) as folder:

        def add(rows: list[list[str]]) -> None:
            if classes:
                with output_errors(path), (folder / SOFT_LABELS).open("ab") as table:
                    table.write(as_csv(rows).encode("utf-8", "backslashreplace"))

        def write(images: np.ndarray, soft_labels: np.ndarray, latents: np.ndarray | None = None) -> None:
            names = [f"{next(numbers):0{digits}}.png" for _ in images]
            for name, image in zip(names, images, strict=True):
                picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
                with output_errors(path):
                    picture.save(folder / name)
            rows = zip(names, soft_labels, strict=True)
            add([[name, *(f"{fraction:.9g}" for fraction in fractions)] for name, fractions in rows])

        add([[NAMES, *classes]])
        yield write


@dataclass(frozen=True)
class HybridFolder:
    """A folder that ``hybrid_folder_writer`` wrote, or one like it; its images are read one at a time, on demand.

    Attributes:
        path: of the folder.
        classes: names of the columns of the soft labels.
        files: N names of files in it.
        soft_labels: (N, classes) float64; rows sum to 1.
        shape: height, width and channels of the images, those of the first.
    """

    path: Path
    classes: tuple[str, ...]
    files: list[str]
    soft_labels: np.ndarray
    shape: tuple[int, int, int]

    @classmethod
    def read(cls, path: Path) -> "HybridFolder":
        """The folder, with its table and the first image's size read.

        Raises:
            DataError: the table is missing or holds no soft labels, or the first image cannot be read.
        """
        classes, files, soft_labels = _read_table(path / SOFT_LABELS)
        return cls(path, classes, files, soft_labels, _shape_of(path / files[0]))

    def image(self, index: int) -> np.ndarray:
        """(C, H, W) uint8; a ``DataError`` if the file cannot be read, or is of another size than the first."""
        from latentcli.formats.image_files import UnreadableImage, decode, measure

        file = self.path / self.files[index]
        try:
            if (found := measure(file)) != self.shape[:2]:
                expected = f"expected {self.shape[:2]} (height, width), as of {self.files[0]}, found {found}"
                raise DataError(f"{file} is of another size", expected, "make all images of one size")
            return decode(file, *self.shape)
        except UnreadableImage as error:
            raise DataError(f"cannot read {file}", str(error)) from error

    def images(self) -> np.ndarray:
        """(N, C, H, W) uint8: all of them; a ``DataError`` if one cannot be read."""
        return np.stack([self.image(index) for index in range(len(self.files))])


def are_soft_labels(soft_labels: np.ndarray) -> bool:
    """Whether each row of (N, classes) floats is a distribution over the classes: not negative, with a sum of 1."""
    sums = soft_labels.sum(axis=1)
    return bool(np.isfinite(soft_labels).all() and (soft_labels >= 0).all() and np.allclose(sums, 1, atol=1e-3))


def _shape_of(path: Path) -> tuple[int, int, int]:
    """Height, width and channels of an image file, from its header."""
    from PIL import Image

    from latentcli.formats.image_files import UnreadableImage, measure
    from latentcli.formats.opened_images import FORMATS

    try:
        height, width = measure(path)
        with Image.open(path, formats=FORMATS) as image:
            return height, width, 1 if image.mode[0] in "1LIF" and image.mode != "LAB" else 3
    except (UnreadableImage, OSError) as error:
        raise DataError(f"cannot read {path}", str(error)) from error


def _read_table(path: Path) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    """Classes, files and soft labels of ``soft_labels.csv``, also as a spreadsheet saves it.

    Rounded numbers of a row may miss 1 by half a unit of the last digit each, and are divided by their sum.
    """

    def refuse(found: str) -> DataError:
        remedy = f"give each image a row: {NAMES},cat,dog and below such as 000000.png,0.2,0.8"
        return DataError(f"{path} holds no soft labels", found, remedy)

    table = read_table(path, lambda header: len(header) > 1 and bool(columns_called(header, FILE_COLUMNS)))
    named = columns_called(table.header, FILE_COLUMNS)
    columns = [number for number, cell in enumerate(table.header) if number not in named[:1] and cell]
    if not named or not columns:
        raise refuse(f"expected a column {NAMES}, and one for each class, found {', '.join(table.header[:8])}")
    if any(table.header[number].casefold() == NAMES.casefold() for number in columns):
        raise refuse(f"expected one column {NAMES}, found two")
    classes = tuple(unescape_formula(table.header[number]) for number in columns)
    if len(set(classes)) < len(classes):
        raise refuse("expected each class to be named once")
    rows = [(number, cells) for number, cells in table.rows if any(cell.strip() for cell in cells)]
    if not rows:
        raise refuse("expected a row for each image, found none")
    soft_labels = np.empty((len(rows), len(classes)))
    digits = 0
    for row, (number, cells) in enumerate(rows):
        if len(cells) != len(table.header):
            raise refuse(f"expected {len(table.header)} cells in row {number}, found {len(cells)}")
        fractions = [cells[column].strip() for column in columns]
        if table.separator != ",":  # as where a comma stands before decimals
            fractions = [text.replace(",", ".") for text in fractions]
        try:
            soft_labels[row] = [float(text) for text in fractions]
        except ValueError as error:
            raise refuse(f"expected {len(classes)} numbers in row {number}, found {fractions}") from error
        digits = max(digits, *(len(text.partition(".")[2]) for text in fractions))
    sums = soft_labels.sum(axis=1)
    rounded = 0.5 * 10.0**-digits * len(classes) if digits else 0.0
    wrong = ~(np.abs(sums - 1) <= max(1e-3, rounded)) | ~(soft_labels >= 0).all(axis=1)
    if wrong.any():
        first = int(wrong.argmax())
        raise refuse(f"expected soft labels that sum to 1, found {sums[first]:g} in row {rows[first][0]}")
    if not are_soft_labels(soft_labels):
        soft_labels /= sums[:, None]
    return classes, _files_in(path, [cells[named[0]] for _, cells in rows], refuse), soft_labels


def _files_in(path: Path, named: Sequence[str], refuse: Callable[[str], DataError]) -> list[str]:
    """The files beside a table that it names, whatever the spelling; as they are named where they are not there."""
    from latentcli.formats.spelled_paths import AmbiguousPath, SpelledPaths

    paths = SpelledPaths((entry.name for entry in path.parent.iterdir()), path.parent.resolve().name, named)
    try:
        files = [paths.find(name) or name for name in named]
    except AmbiguousPath as several:
        raise refuse(f"expected each file to be named clearly, found {several}") from several
    if any(Path(name).name != name for name in files):
        raise refuse("expected the names of files in this folder")
    return files
