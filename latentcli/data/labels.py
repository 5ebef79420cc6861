"""Labels from arrays and from CSV files."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import UNLABELLED, Labels, class_order
from latentcli.formats.csv_text import unescape_formula
from latentcli.formats.regular_files import open_regular, reason

_LONGEST_FILE = 2**28  # bytes of a labels file: several million rows


def encode_labels(values: np.ndarray, class_names: np.ndarray | None, name: str) -> Labels:
    """Labels as indices into class names.

    Args:
        values: (N,) integers or strings. With ``class_names``, integers are indices into them; without, the integer
            is the name. -1 and "" are unlabelled.
        class_names: (K,) strings or integers; None to take the names that occur, in ``class_order``.

    Raises:
        DataError: labels are of another type or not among the class names, or two classes have the same name.
    """
    if values.dtype.kind not in "iuUS":
        remedy = "convert them: labels.astype(int), or labels.astype(str)"
        raise DataError(f"{name} holds labels of type {values.dtype}", "expected whole numbers or strings", remedy)
    numbers = values.dtype.kind in "iu"
    distinct, inverse = np.unique(values, return_inverse=True)
    texts = _texts(distinct)
    unlabelled = {"", str(UNLABELLED)} if distinct.dtype.kind != "u" else {""}
    if class_names is None:
        names = class_order([text for text in texts if text not in unlabelled])
        index = {text: row for row, text in enumerate(names)}
    else:
        names = _given_names(class_names, name)
        index = {str(row) if numbers else text: row for row, text in enumerate(names)}
    unknown = [text for text in texts if text not in index and text not in unlabelled]
    if unknown:
        expected = f"expected {f'0 to {len(names) - 1}' if numbers else ', '.join(names[:12])}"
        raise DataError(f"{name} holds the label {unknown[0]!r}, which has no name in class_names", expected)
    codes = np.array([index.get(text, UNLABELLED) for text in texts], dtype=np.int64)
    return Labels(codes[inverse.reshape(-1)], names)


def _texts(values: np.ndarray) -> list[str]:
    texts = values.tolist()
    return [text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else str(text) for text in texts]


def _given_names(class_names: np.ndarray, name: str) -> tuple[str, ...]:
    texts = _texts(class_names.reshape(-1)) if class_names.dtype.kind in "iuUS" else []
    if class_names.ndim != 1 or not texts or len(set(texts)) != len(texts) or "" in texts:
        found = f"expected (K,) strings that all differ, found {class_names.dtype} of shape {class_names.shape}"
        raise DataError(f"{name} holds class_names that cannot name classes", found)
    return tuple(texts)


def with_labels(images: ImageSet, path: Path) -> ImageSet:
    """The images with the labels of a CSV file instead of their own; images that it does not name are unlabelled.

    Args:
        images: from a folder, whose files the column File names by their path within the folder; or from any other
            source, where it gives the row, from 0.
        path: UTF-8, with a header that has the columns File and Label; other columns are ignored.

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
    return replace(images, labels=Labels.of([chosen.get(row, "") for row in range(len(images))]))


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
