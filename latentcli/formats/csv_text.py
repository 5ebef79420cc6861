"""CSV whose cells a spreadsheet never takes for formulas, and which can be read back; also as spreadsheets write it."""

import codecs
import csv
import io
import math
import re
import shlex
import string
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from latentcli.core.errors import DataError
from latentcli.formats.regular_files import open_regular, reason

PREDICTIONS = (("Predicted_Label",), ("File", "Predicted_Label", "Probability"))
"""Headers of tables of predictions, of arrays and of files; labels in them are names of classes as they are."""

_QUOTE = '"'
_QUOTED = '"[^"]*(?:""[^"]*)*"'
_EMPTY = 2 * _QUOTE  # a row with one empty cell: an empty line would not be read as a row
_TO_QUOTE = frozenset(',"\r\n')
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

_END_OF_DOS = "\x1a"  # Ctrl-Z, with which old programs end a text
_LONGEST_FILE = 2**28  # bytes of a table: several million rows
_OF_WORKBOOKS = {"[Content_Types].xml", "mimetype"}
_BEFORE_HEADER = 64  # rows of comments that may stand before it
_SEPARATORS = ",;\t|"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
"""Byte order marks; UTF-32's before UTF-16's, which begins like it."""


FILE_COLUMNS = (
    "file", "filename", "filepath", "path", "image", "imagepath", "imagefile", "imagename", "img", "imgpath",
    "imageid", "imgid", "id", "name", "row", "index", "",
)  # fmt: skip
"""Names of the column of files or rows, the likeliest first, in any case and without spaces, _ and -."""

PART_COLUMNS = ("split", "splits", "partition", "subset", "part", "fold", "set", "usage")
"""Names of a column, or of an array, that tells the part of each image."""


@dataclass(frozen=True)
class Table:
    """A table that somebody wrote.

    Attributes:
        header: cells of the header, without spaces around them.
        header_row: its number; the first row is 1, as in a spreadsheet.
        rows: number and cells of each row below it; an empty line has no cells.
        separator: of the cells.
        encoding: of the text.
    """

    header: list[str]
    header_row: int
    rows: list[tuple[int, list[str]]]
    separator: str
    encoding: str


def columns_called(header: Sequence[str], names: Sequence[str]) -> list[int]:
    """Columns with one of these names, in any case and without spaces, _ and -, the likeliest first."""
    plain = [re.sub(r"[\s_-]+", "", cell.strip("'\"").casefold()) for cell in header]
    return sorted((column for column, name in enumerate(plain) if name in names), key=lambda c: names.index(plain[c]))


def read_table(path: Path, is_header: Callable[[Sequence[str]], bool]) -> Table:
    """A table with commas, semicolons, tabs or bars, in UTF-8, UTF-16, UTF-32 or, where it is none, Windows-1252.

    Before the header may stand ``sep=;`` and rows that begin with #, which may begin the header as well. Of the
    separators the one counts with which there is a header; of rows, those with it or before all others.

    Args:
        path: of the table.
        is_header: whether these cells, without spaces around them, are the header; where none is, the first row
            that is no comment is given back as the header all the same.

    Raises:
        DataError: the file cannot be read, or is no text or no CSV.
    """
    text, encoding = text_of(path)
    lines = text.split("\n", 1)
    told = lines[0].strip().strip(_QUOTE) if lines[0].strip().casefold().startswith(("sep=", '"sep=')) else ""
    separators = told[4:5] if len(told) == 5 else "\t" if told else _SEPARATORS  # the strip took a tab away
    reading: list[tuple[bool, int, int, str, int, list[str]]] = []
    broken: list[DataError] = []
    for separator in separators:
        try:
            number, header = _header(path, text, separator, is_header)
        except DataError as error:
            broken.append(error)
            continue
        reading.append((not is_header(header), -len(header), len(reading), separator, number, header))
    without, _, _, separator, number, header = min(reading, default=(True, 0, 0, "", 0, []))
    if without and broken and len(header) < 2:
        raise broken[0]
    rows = [(row, cells) for row, cells in _rows(path, text, separator) if row > number]
    return Table(header, number, rows, separator, encoding)


def text_of(path: Path) -> tuple[str, str]:
    """The text of the file of a table, and its encoding.

    Raises:
        DataError: it cannot be read, is too long, or is no text.
    """
    try:
        file, size = open_regular(path)
        with file:
            if size > _LONGEST_FILE:
                raise DataError(f"{path} is too long for a table", f"found {size:,} bytes")
            data = file.read()
    except OSError as error:
        raise DataError(f"cannot read the table {path}", reason(error)) from error
    members = _members(data)
    if members and not members & _OF_WORKBOOKS:
        unpacked = f"unpack it, and name the table in it: unzip {shlex.quote(str(path))}"
        raise DataError(f"{path} is no CSV text", "found an archive", unpacked)
    if data.startswith((b"PK\3\4", b"\xd0\xcf\x11\xe0")):
        raise DataError(f"{path} is no CSV text", "found a workbook of a spreadsheet", "save it there as CSV (UTF-8)")
    encodings = [name for mark, name in _MARKS if data.startswith(mark)][:1] or ["utf-8", "cp1252", "latin-1"]
    if b"\0" in data[:2] and len(encodings) > 1:  # without a mark
        encodings = ["utf-16-be" if data[0] == 0 else "utf-16-le"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            wrong = f"found byte {error.object[error.start]:#04x} at {error.start}"
            continue
        if "\0" in text:
            raise DataError(f"{path} is no CSV text", "found a null character", "save it as CSV (UTF-8)")
        return text.removesuffix(_END_OF_DOS), encoding
    raise DataError(f"{path} is not {encodings[-1]} text", wrong, "save it as CSV (UTF-8)")


def _members(data: bytes) -> set[str]:
    """The names in a zip archive; none of anything else, or where it is damaged."""
    if not data.startswith(b"PK\3\4"):
        return set()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {*archive.namelist()}
    except Exception:  # the parser of damaged archives raises errors of any class
        return set()


def _rows(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each row."""
    spaced = separator != "\t" and (f'{separator} "' in text or '\n "' in text or text.startswith(' "'))
    if separator != "\t" and re.search(rf'" +([{re.escape(separator)}\r\n]|$)', text):
        text = re.sub(rf"({_QUOTED})(?: +(?=[{re.escape(separator)}\r\n]|$))?", r"\1", text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=spaced, strict=True)
    number = 0
    try:
        for number, row in enumerate(reader, 1):
            yield number, row
    except csv.Error as error:
        if "field larger" in str(error):
            problem = f"row {number + 1} of {path} has a cell of more than {csv.field_size_limit():,} letters"
            raise DataError(problem, None, "shorten it, or leave the row out") from error
        remedy = "a quote within a cell that has quotes around it is written twice"
        if "end of data" in str(error):
            remedy = f"a cell that begins there has a quote before it and none behind it; {remedy}"
        raise DataError(f"row {number + 1} of {path} is not CSV: {error}", None, remedy) from error


def _header(path: Path, text: str, separator: str, is_header: Callable[[Sequence[str]], bool]) -> tuple[int, list[str]]:
    """Number and cells of the header; of the first row that is no comment where there is none; (0, []) without rows."""
    first: tuple[int, list[str]] = (0, [])
    for number, row in islice(_rows(path, text, separator), _BEFORE_HEADER):
        comment = bool(row) and row[0].lstrip().startswith("#")
        cells = [cell.strip() for cell in row]
        if comment:
            cells[0] = cells[0].lstrip("# ")
        if number == 1 and cells and cells[0].casefold().startswith("sep="):
            continue
        if is_header(cells):
            return number, cells
        if any(cells) and not comment:
            first = number, cells
            break
    return first


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Rows that end in "\\n", their cells escaped by ``escape_formula``.

    ``csv.writer`` would leave a carriage return unquoted, which readers take for the end of a row.
    """
    return "".join(f"{','.join(map(_cell, row)) or _EMPTY}\n" for row in rows)


def _cell(value: object) -> str:
    text = escape_formula(str(value))
    return f'"{text.replace(_QUOTE, 2 * _QUOTE)}"' if _TO_QUOTE & set(text) else text


def escape_formula(cell: str) -> str:
    """The cell, with ' before it where a spreadsheet would take it for a formula: after = + - @, tab or return.

    Plain numbers stay unchanged, since a class may be called -1. What looks escaped already gets another ', so that
    ``unescape_formula`` gives back any cell.
    """
    return f"'{cell}" if _is_formula(cell.lstrip("'")) else cell


def unescape_formula(cell: str) -> str:
    """What ``escape_formula`` was given."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell.lstrip("'")) else cell


def _is_formula(cell: str) -> bool:
    try:
        number = math.isfinite(float(cell)) and set(cell) <= set(string.digits + "+-.eE")
    except ValueError:
        number = False
    return cell.startswith(_FORMULA_STARTS) and not number
