"""Which columns of a table hold the files, their labels and their parts, by whatever names they have."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.data import splits
from latentcli.formats.csv_text import FILE_COLUMNS, Table, columns_called

LABEL_COLUMNS = (
    "label", "labels", "class", "classname", "labelname", "category", "target", "predictedlabel", "classes", "targets",
    "tag", "categoryname", "targetname", "tagname", "labeltext", "classlabel", "categorylabel", "labelid", "classid",
    "categoryid", "targetid", "labelidx", "classidx", "categoryidx", "labelindex", "classindex", "categoryindex",
)  # fmt: skip
"""Names of the column of labels, as ``FILE_COLUMNS`` has those of files."""

FOLDER_COLUMNS = (
    "folder", "dir", "directory", "subfolder", "subdir", "subdirectory", "foldername", "dirname", "directoryname",
    "folderpath", "dirpath", "path", "filepath", "imagepath", "imgpath",
)  # fmt: skip
"""Names of columns that may hold the folder of a file whose name another column has."""

_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_HEADER = ("File", "Label")


def is_header(header: Sequence[str]) -> bool:
    """Whether these cells are the header of a table of labels: they name a column of labels, or one of files of two."""
    labels, files = columns_called(header, LABEL_COLUMNS), columns_called(header, FILE_COLUMNS)
    return bool(labels and (files or len(header) <= 2)) or bool(files and len(header) == 2 and all(header))


def of_columns_a_class(table: Table, name: str) -> tuple[Table, list[str]]:
    """A table that has a column of 0 and 1 for each class, with a column of labels instead; others as they are."""
    files = columns_called(table.header, FILE_COLUMNS)[:1]
    of_class = [column for column in range(len(table.header)) if column not in files]
    filled = [(number, cells) for number, cells in table.rows if any(cell.strip() for cell in cells)]
    if is_header(table.header) or not files or len(of_class) < 2 or not filled:
        return table, []
    rows = []
    for number, cells in filled:
        values = [cells[column].strip() if column < len(cells) else "" for column in of_class]
        if len(cells) != len(table.header) or not all(re.fullmatch(r"[01](\.0*)?", value) for value in values):
            return table, []
        ones = [table.header[column] for column, value in zip(of_class, values, strict=True) if value[0] == "1"]
        rows.append((number, cells[files[0]], ones))
    for number, file, ones in rows:
        if len(ones) != 1:
            raise DataError(
                f"row {number} of {name} has not one class alone",
                f"expected a single 1 among its columns, found {', '.join(ones) or 'none'} for {file!r}",
                f"leave such rows out, or write the class of each file in a table {table.separator.join(_HEADER)}",
            )  # fmt: skip
    names = f"{', '.join(table.header[column] for column in of_class[:3])}{' …' * (len(of_class) > 3)}"
    labels = [(number, [file, ones[0]]) for number, file, ones in rows]
    return replace(table, header=[*_HEADER], rows=labels), [
        f"{name}: {names} are classes: each row has a 1 in its own column"
    ]


def columns_of(table: Table, name: str, images: ImageSet) -> tuple[int | None, int, list[str]]:
    """The columns of files, None where there are labels alone, and of labels; and notes on what was not clear."""
    header, line = table.header, table.separator.join(_HEADER)
    files, labels = columns_called(header, FILE_COLUMNS), columns_called(header, LABEL_COLUMNS)
    notes = []
    if is_header(header) and len(header) == 2 and not (files and labels):
        files = files or [1 - labels[0]]
        labels = labels or [1 - files[0]]
        notes.append(f"{name}: took {header[files[0]]!r} for the column of files and {header[labels[0]]!r} for labels")
    twice = [cell for cell in header if cell and header.count(cell) > 1 and header.index(cell) in (*files, *labels)]
    if not is_header(header) or twice:
        found = f"found {', '.join(map(repr, header[:8])) or 'nothing'}"
        of_files = _column_of_files(table, images)
        remedy = f"begin it with the line {line}"
        if twice:
            remedy = "name the columns apart"
        elif len(header) == 1 and len(header[0].split()) > 1:
            remedy = f"put commas between the cells, and begin it with the line {','.join(_HEADER)}"
        elif len(header) == 1 and columns_called(header, FILE_COLUMNS) and header[0]:
            remedy = f"it has no labels: write the label of each image behind it, below the header {line}"
        elif len(header) == 1 and of_files is not None and images.files is not None:
            remedy = f"it has no labels: write the label of each image behind it, below the line {line}"
        elif len(header) == 1:
            remedy = f"if these are the labels of all {len(images)} images in turn, begin it with the line Label"
        elif of_files is not None and not columns_called(header, (*FILE_COLUMNS, *LABEL_COLUMNS)):
            rest = [column for column in range(len(header)) if column != of_files]
            called = {column: f"column{column}" for column in rest} | {of_files: "File", rest[-1]: "Label"}
            of_labels = " (Label is that of the labels)" if len(rest) > 1 else ""
            remedy = f"begin it with the line {table.separator.join(called[c] for c in sorted(called))}{of_labels}"
        elif len(header) > 2 or (len(header) == 2 and not re.search(r"[\d.]", "".join(header))):
            remedy = f"call the columns of files and of labels File and Label, as in {line}"
        raise DataError(
            f"row {max(table.header_row, 1)} of {name} is not the header of a labels file",
            f"expected {line}, or such as {table.separator.join(('filename', 'class'))}, {found}", remedy,
        )  # fmt: skip
    if len(labels) > 1:
        if (names := _names_of_numbers(table, labels[0], labels[1:])) is not None:
            labels = [names, *(column for column in labels if column != names)]
        others = ", ".join(repr(header[column]) for column in labels[1:])
        notes.append(f"{name}: took the labels of the column {header[labels[0]]!r}, not of {others}")
    return (files[0] if files else None), labels[0], notes


def _column_of_files(table: Table, images: ImageSet) -> int | None:
    """The column of a table without a header that names most images in its rows, and one in the first; or None."""
    stems = (
        {_stem(file) for file in images.files or ()} if images.files is not None else {*map(str, range(len(images)))}
    )
    rows = [table.header, *(cells for _, cells in table.rows)]
    columns = [[_stem(cells[column]) for cells in rows if len(cells) > column] for column in range(len(table.header))]
    counts = [len(stems.intersection(cells)) if cells[0] in stems else 0 for cells in columns]
    return counts.index(max(counts)) if any(counts) else None


def _stem(file: str) -> str:
    return PurePosixPath(file.strip().replace("\\", "/").casefold()).stem


def _names_of_numbers(table: Table, column: int, others: Sequence[int]) -> int | None:
    """The first of other columns that has a name of its own for each of the numbers that a column is; or None."""
    for other in others:
        cells = [[cells[each].strip() for each in (column, other)] for _, cells in table.rows
                 if len(cells) > max(column, other)]  # fmt: skip
        pairs = {(number, name) for number, name in cells if number and name}
        numbers, names = {number for number, _ in pairs}, {name for _, name in pairs}
        paired = len(pairs) == len(numbers) == len(names) > 0 and all(
            bool(number) == bool(name) for number, name in cells
        )
        if paired and all(map(_is_number, numbers)) and not any(map(_is_number, names)):
            return other
    return None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.0*)?", text) is not None


def rows_of_other_parts(
    table: Table, images: ImageSet, name: str, wanted: splits.Wanted | None
) -> tuple[frozenset[int], frozenset[int], tuple[str, ...], list[str]]:
    """Numbers of the rows of other parts than the one that is read; of those of none; the table's parts; and notes.

    Where images are of a part themselves, rows of no part are of this one.
    """
    column, parts, notes = parts_of_rows(table, name)
    if not parts:
        return frozenset(), frozenset(), (), notes
    wanted = wanted or splits.Wanted()
    if images.elsewhere:  # the part that is read is known, and the rows of no other will do
        wanted = splits.Wanted(next(each for each in images.parts if each not in images.elsewhere), asked=True)
    read, note = splits.chosen(f"{name} (by its column {table.header[column]!r})", parts, wanted)
    others = frozenset(number for of in parts.values() if of is not read for number in of)
    of_some = {number for of in parts.values() for number in of}
    of_none = frozenset(number for number, _ in table.rows if number not in of_some and not images.parts)
    return (
        others,
        of_none,
        tuple(parts),
        [note, *([f"{name}: {len(others)} rows of other parts were left out"] if others else [])],
    )


def parts_of_rows(table: Table, name: str) -> tuple[int, dict[str, list[int]], list[str]]:
    """The column that tells the part of each row, and numbers of rows by part, none where no column does; and notes."""
    notes = []
    plain = [re.sub(r"[\s_-]+", "", cell.casefold()) for cell in table.header]
    of_truth = {column: splits.part_of(cell[2:]) for column, cell in enumerate(plain) if cell.startswith("is")}
    for column in (
        *columns_called(table.header, splits.OF_EACH),
        *(column for column, part in of_truth.items() if part),
    ):
        cells = {number: cells[column].strip() for number, cells in table.rows if len(cells) > column}
        distinct = {*cells.values()} - {""}
        if part := of_truth.get(column):
            of_value = {True: part, False: "test" if part == "train" else "train", None: None}
            of_cell = {cell: of_value[_TRUTH.get(cell.casefold().removesuffix(".0"))] for cell in distinct}
        else:
            of_cell = {cell: splits.part_of(cell) for cell in distinct}
        if of_cell and all(of_cell.values()):
            of_row = {number: of_cell[cell] for number, cell in cells.items() if cell}
            found = {part: [number for number, of in of_row.items() if of == part] for part in splits.PARTS}
            return column, {part: of for part, of in found.items() if of}, []
        values = ", ".join(map(repr, sorted(of_cell)[:8])) or "nothing"
        expected = "0 and 1" if column in of_truth else "'train', 'val' and 'test'"
        what = f"{name}: the column {table.header[column]!r} was not read as parts"
        notes.append(f"{what}: expected {expected}, found {values}; if they are, write these in their place")
    return -1, {}, notes
