"""Labels from CSV files."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels, read_labels
from latentcli.formats.csv_text import unescape_formula
from latentcli.formats.regular_files import open_regular, reason

_LONGEST_FILE = 2**28  # bytes of a labels file: several million rows


def with_labels(images: ImageSet, path: Path, no_label: Sequence[str] | None = None) -> ImageSet:
    """The images with the labels of a CSV file instead of their own; images that it does not name are unlabelled.

    Args:
        images: from a folder, whose files the column File names by their path within the folder; or from any other
            source, where it gives the row, from 0.
        path: UTF-8, with a header that has the columns File and Label; other columns are ignored.

        no_label: names that mean no label, as for ``read_labels``.

    Raises:
        DataError: the file cannot be read, or a row of it lacks a label, or names no image or one a second time; the
            message counts rows like a spreadsheet: the header is row 1.
    """
    names = images.files if images.files is not None else map(str, range(len(images)))
    rows = {name: row for row, name in enumerate(names)}
    unreadable = {file for file, _ in images.bad_files}
    chosen: dict[int, str] = {}
    seen: dict[str, int] = {}
    for number, file, label in _read(path):
        where = f"row {number} of {path.name}"
        number_of_row = images.files is None and file.isdecimal() and file.isascii() and len(file) < 20
        key = str(int(file)) if number_of_row else file
        if key in seen:
            raise DataError(f"{where} labels {file!r} again", f"it has a label in row {seen[key]}", "keep one of them")
        seen[key] = number
        if key in unreadable:
            continue
        if key not in rows:
            expected = "paths within the folder" if images.files is not None else f"row numbers 0 to {len(images) - 1}"
            raise DataError(f"{where} labels {file!r}, which {images.name} does not have", f"expected {expected}")
        chosen[rows[key]] = label
    texts, notes = read_labels(list(chosen.values()), path.name, no_label)
    known = dict(zip(chosen, texts, strict=True))
    labels = Labels.of([known.get(row, "") for row in range(len(images))])
    return replace(images, labels=labels, notes=images.notes + notes)


def _read(path: Path) -> Iterator[tuple[int, str, str]]:
    """Row number, file and label of each row; empty rows are skipped."""
    try:
        file, size = open_regular(path)
        with file:
            if size > _LONGEST_FILE:
                raise DataError(f"{path} is too long for a file of labels", f"found {size:,} bytes")
            text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"found byte {error.object[error.start]:#04x} at {error.start}"
        raise DataError(f"{path} is not UTF-8 text", found) from error
    except OSError as error:
        raise DataError(f"cannot read the labels {path}", reason(error)) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    try:
        header = [column.strip().casefold() for column in next(reader, [])]
        number = 1
        if header.count("file") != 1 or header.count("label") != 1:
            found = f"expected File,Label, found {', '.join(map(repr, header[:8])) or 'nothing'}"
            raise DataError(f"row 1 of {path.name} is not the header of a labels file", found)
        file_column, label_column = header.index("file"), header.index("label")
        for number, row in enumerate(reader, 2):
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= max(file_column, label_column) or not row[file_column] or not row[label_column].strip():
                raise DataError(f"row {number} of {path.name} lacks a file or a label", f"found {','.join(row)[:80]!r}")
            yield number, unescape_formula(row[file_column]), unescape_formula(row[label_column].strip())
    except csv.Error as error:
        raise DataError(f"row {number + 1} of {path.name} is not CSV: {error}") from error
