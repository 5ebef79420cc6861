"""Labels from files beside the images: CSV files, and arrays."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels, read_labels
from latentcli.data import splits
from latentcli.data.array_keys import LABELS, is_called
from latentcli.data.array_labels import encode_labels, one_per_image
from latentcli.data.label_columns import (
    FOLDER_COLUMNS,
    columns_of,
    is_header,
    of_columns_a_class,
    parts_of_rows,
    rows_of_other_parts,
    stem,
    stems_of,
)
from latentcli.data.named_images import ELSEWHERE, FOUND, Named, files_of_pages, number_of, rows_by_number, rows_by_path
from latentcli.data.several_labels import out_of_list, several_in_one
from latentcli.formats import own_files
from latentcli.formats.csv_text import PREDICTIONS, Table, columns_called, read_table, unescape_formula
from latentcli.formats.json_tables import SUFFIXES as JSON_SUFFIXES
from latentcli.formats.json_tables import read_json_table
from latentcli.formats.npz_reader import UnsafeArrays, open_npz, read_npy


def with_labels(
    images: ImageSet, path: Path, strict: bool = False, no_label: Sequence[str] | None = None,
    wanted: splits.Wanted | None = None,
) -> ImageSet:  # fmt: skip
    """The images with the labels of a file instead of their own; images that it does not name are unlabelled.

    The label of a file is that of all its pages, where these are images and have none of their own.

    Args:
        images: from a folder, whose files the table names by their path within the folder, in any of the spellings of
            ``SpelledPaths``; or from any other source, where it gives the row, from 0. A name that files of several
            parts of the folder have is that of the part read, where the table is of this part: see ``rows_by_path``.
        path: of a table as ``read_table`` or ``read_json_table`` takes it, with a column of ``FILE_COLUMNS`` and one of
            ``LABEL_COLUMNS``; columns of ``FOLDER_COLUMNS`` are what stands before the file, where that is
            its path, and others are ignored. Where there are two columns, one may have any other name. A label alone,
            as ``classify`` writes it for arrays, is that of each image in turn. An empty label is none. Or of an
            ``.npy`` file: a label for each image in turn, as ``encode_labels`` takes them.
        strict: whether rows that name no file of the folder are refused, and not only counted in the notes.
        no_label: names that mean no label, as for ``read_labels``.
        wanted: the part to read, where a column tells the part of each row, such as ``split`` or ``is_train``: rows of
            other parts are left out, and, if the images are of no part by themselves, all images but those of this one:
            what has no row, or none that tells its part, is in no part; None: for training.

    Raises:
        UsageError: it is a file that latentcli wrote for something else, such as a model.
        DataError: the file cannot be read, or a row of it names no file or row, or one that another row labels
            otherwise, or more than one; or no row names any image; or a cell has several labels that others have alone.
            The message counts rows like a spreadsheet.
    """
    if path.suffix.lower() == ".npy":
        return _with_array(images, path, no_label)
    if path.suffix.lower() == ".gz":
        raise DataError(f"{path} is packed", "expected a table", f"unpack it: gunzip {path}")
    if path.suffix.lower() == ".npz":
        raise _in_archive(path)
    table, told = of_columns_a_class(_table(path), str(path))
    file_column, label_column, notes = columns_of(table, str(path), images)
    left: set[int] = set()
    of_others, of_none, parts, of_table = rows_of_other_parts(table, images, str(path), wanted)
    other_parts = of_others | of_none
    notes = [*told, *notes, *of_table]
    rows = [(number, [*map(unescape_formula, cells)]) for number, cells in table.rows]
    if table.encoding in ("cp1252", "latin-1"):
        letters = next((cell for _, cells in rows for cell in cells if not cell.isascii()), "")
        such_as = f", such as {letters[:40]!r}" if letters else ""
        notes.append(
            f"{path} is not UTF-8 text and was read as Windows-1252{such_as}; if that is wrong, save it as UTF-8"
        )
    if file_column is None:
        while rows and not rows[-1][1] and len(rows) > len(images):
            rows.pop()
        if len(rows) != len(images):
            found = f"expected {len(images)}, one for each image of {images.name} in its order, found {len(rows)}"
            raise DataError(f"{path} has labels alone, and not as many as there are images", found,
                            "name the images in a column File")  # fmt: skip
        chosen = {row: _label("".join(cells[label_column:]), table) for row, (_, cells) in enumerate(rows)}
        notes += _in_turn(images, path)
    else:
        every = list(_named(rows, file_column, label_column, table, str(path), images))
        named = [each for each in every if each[0] not in other_parts]
        of_files = files_of_pages(images)
        by_path = images.files is not None
        find, of_parts = (
            rows_by_path(images, of_files, named, path, bool(parts))
            if by_path
            else (rows_by_number(images, every), list[str]())
        )
        if by_path and (
            folders := [each for each in _folder_columns(table) if each not in (file_column, label_column)]
        ):
            every_joined = list(
                _named(_joined(rows, folders, file_column), file_column, label_column, table, str(path), images)
            )
            joined = [each for each in every_joined if each[0] not in other_parts]
            find_joined, found_joined = rows_by_path(images, of_files, joined, path, bool(parts))
            if any(find_joined(number, file, f"row {number} of {path}") is not None for number, file, _ in joined):
                every, named, find, of_parts = every_joined, joined, find_joined, found_joined
                columns = " and ".join(repr(table.header[column]) for column in (*folders, file_column))
                notes.append(f"{path}: took {columns} together for the path of each file")
        chosen, stale = _chosen(named, find, str(path))
        others = [each for each in every if each[0] in of_others] if not images.parts else []
        find_other = rows_by_path(images, of_files, others, path)[0] if by_path else find
        elsewhere = {find_other(number, file, f"row {number} of {path}") for number, file, _ in others}
        for number, rows_of_file in enumerate(of_files.values(), len(images)):
            elsewhere |= {*rows_of_file} if number in elsewhere else set()
            if (of_all := chosen.pop(number, None)) is not None:
                chosen = dict.fromkeys(rows_of_file, of_all) | chosen
        if parts and not images.parts:
            left = {*range(len(images))} - chosen.keys()
            if without := len(left - elsewhere):
                notes.append(f"{path}: {without} images that it gives no part were left out")
        notes += [*of_parts, *_left_out(stale, len(named), images, str(path), strict)]
    if tuple(table.header) not in PREDICTIONS:
        chosen = _meant(chosen, str(path), notes)
    texts, none = read_labels(list(chosen.values()), str(path), no_label)
    known = dict(zip(chosen, texts, strict=True))
    labels = Labels.of([known.get(row, "") for row in range(len(images))])
    images = replace(images, labels=labels, notes=(*images.notes, *notes, *none), parts=images.parts or parts)
    return images.take(np.array([row not in left for row in range(len(images))])) if left else images


def _meant(chosen: dict[int, str], name: str, notes: list[str]) -> dict[int, str]:
    """Labels by rows, as who wrote them meant them; and notes on what was taken for what."""
    in_lists = {label: one for label in chosen.values() if (one := out_of_list(label)) != label}
    if in_lists:
        label, one = min(in_lists.items())
        notes.append(f"{name}: labels in lists of one are read without brackets, such as {label!r} as {one!r}")
        chosen = {row: in_lists.get(label, label) for row, label in chosen.items()}
    notes += several_in_one(chosen.values(), name)
    return _whole_numbers(chosen, name, notes)


def tells_parts(path: Path) -> bool:
    """Whether a column of a table tells the part of each row."""
    if path.suffix.lower() in _NO_TABLES:
        return False
    return bool(parts_of_rows(_table(path), str(path))[1])


def _table(path: Path) -> Table:
    found = own_files.kind_of(path)
    if found not in (None, own_files.ARRAYS):
        problem = f"{path} is a {found}, and stands where labels belong"
        raise UsageError(problem, "expected a table such as labels.csv", "name one, or leave out `labels`")
    return (read_json_table if path.suffix.lower() in JSON_SUFFIXES else read_table)(path, is_header)


def _in_archive(path: Path) -> DataError:
    """The error that labels are in an ``.npz`` file, with the line that makes an ``.npy`` file of them."""
    try:
        with open_npz(path) as archive:
            keys = sorted(archive.arrays, key=lambda key: not is_called(key, LABELS))
    except UnsafeArrays as error:
        return DataError(f"cannot read labels from {path}", f"found {error}", "save labels: numpy.save(file, labels)")
    key = keys[0] if keys else "labels"
    line = f"numpy.save({str(path.with_suffix('.npy'))!r}, numpy.load({str(path)!r})[{key!r}])"
    return DataError(
        f"{path} holds several arrays", "expected a table, or an .npy file of labels", f"make one of it: {line}"
    )


def _with_array(images: ImageSet, path: Path, no_label: Sequence[str] | None) -> ImageSet:
    """The images with the labels of an ``.npy`` file."""
    try:
        array = read_npy(path)
    except UnsafeArrays as error:
        remedy = "save texts or whole numbers: numpy.save(file, labels.astype(str))"
        raise DataError(f"cannot read labels from {path}", f"found {error}", remedy) from error
    values = one_per_image(array, len(images))
    if values is None:
        raise DataError(
            f"{path} holds labels of shape {array.shape}",
            f"expected one for each of the {len(images)} images of {images.name}, in their order: ({len(images)},)",
            "give one label per image, in order",
        )  # fmt: skip
    labels, notes = encode_labels(values, None, str(path), no_label)
    notes = (*_in_turn(images, path), *notes)
    return replace(images, labels=labels, notes=(*images.notes, *notes))


def _in_turn(images: ImageSet, path: Path) -> list[str]:
    """A note that labels without names of files are those of the files of a folder in their order; none of arrays."""
    if not images.files:
        return []
    ends = f"{images.files[0]!r} to {images.files[-1]!r}"
    return [f"{path} names no files: its labels are taken for those of {images.name} in turn, {ends}"]


_NO_TABLES = (".npy", ".npz", ".gz")


def _named(
    rows: Iterable[tuple[int, list[str]]], file_column: int, label_column: int, table: Table, name: str,
    images: ImageSet,
) -> Iterator[tuple[int, str, str]]:  # fmt: skip
    """Number, file and label of each row that has one of them and is no comment; rows may be as wide as the header."""
    width = len(table.header)
    for number, cells in rows:
        if not any(cell.strip() for cell in cells) or (
            len(cells) <= label_column and cells[0].lstrip().startswith("#")
        ):
            continue
        if any(cell.strip() for cell in cells[width:]):
            found = f"expected {width}, as the header has, found {len(cells)}: {table.separator.join(cells)[:80]!r}"
            raise DataError(f"row {number} of {name} has too many cells", found,
                            _quoted(cells, file_column, label_column, table, stems_of(images)))  # fmt: skip
        if len(cells) <= max(file_column, label_column) or not cells[file_column].strip():
            found = f"found {','.join(cells)[:80]!r}"
            raise DataError(f"row {number} of {name} lacks a file or the cell of its label", found)
        yield number, cells[file_column], _label(cells[label_column], table)


def _label(cell: str, table: Table) -> str:
    """The label in a cell; of a table of predictions the name of a class, as it is."""
    return cell if tuple(table.header) in PREDICTIONS else cell.strip()


def _quoted(
    cells: Sequence[str], file_column: int, label_column: int, table: Table, named: Collection[str]
) -> str:  # fmt: skip
    """How to write a row that has too many cells: as the file that it names tells which of two cells is in several.

    Where there are more columns, and the file is whole, it may be any of the others.
    """
    mark, more = table.separator, len(cells) - len(table.header)
    called = {",": "a comma", ";": "a semicolon", "\t": "a tab"}.get(mark, repr(mark))
    told = f"if {called} is part of a cell, put double quotes around that cell"
    column = file_column
    if stem(cells[file_column + (more if label_column < file_column else 0)]) in named:
        if len(table.header) > 2:
            return told
        column = label_column
    whole = mark.join(cells[column : column + more + 1]).strip()
    row = mark.join([*cells[:column], f'"{whole}"', *cells[column + more + 1 :]])
    return f"{told}: {row[:120]}"


def _folder_columns(table: Table) -> list[int]:
    return sorted(columns_called(table.header, FOLDER_COLUMNS))


def _joined(
    rows: Iterable[tuple[int, list[str]]], folders: Sequence[int], file_column: int
) -> Iterator[tuple[int, list[str]]]:  # fmt: skip
    """The rows with the folders of each before its file, where they are not there already, or end with the file."""
    for number, cells in rows:
        if len(cells) > max(*folders, file_column):
            file = cells[file_column].strip()
            path = "/".join(part for column in folders if (part := cells[column].strip().rstrip("/\\")))
            within = file.startswith((f"{path}/", f"{path}\\")) or not path
            ends = path.endswith((f"/{file}", f"\\{file}")) or path == file
            path = file if within else path if ends else f"{path}/{file}"
            cells = [*cells[:file_column], path if file else "", *cells[file_column + 1 :]]
        yield number, cells


def _chosen(
    named: Named, find: Callable[[int, str, str], int | None], name: str
) -> tuple[dict[int, str], list[tuple[int, str]]]:
    """The label of each image that is named; and number and file of the rows that name none."""
    chosen: dict[int, str] = {}
    seen: dict[int, int] = {}
    stale = []
    for number, file, label in named:
        where = f"row {number} of {name}"
        row = find(number, file, where)
        if row in (FOUND, ELSEWHERE) or (row is None and file.lstrip().startswith("#")):
            continue
        if row is None:
            stale.append((number, file))
            continue
        if row in seen and not label:
            continue
        if chosen.get(row) and chosen[row] != label:
            found = f"row {seen[row]} labels it {chosen[row]!r}, this one {label!r}"
            raise DataError(f"{where} labels {file!r} again", found, "keep one of them")
        chosen[row] = label
        seen.setdefault(row, number)
    return chosen, stale


def _left_out(stale: Sequence[tuple[int, str]], total: int, images: ImageSet, name: str, strict: bool) -> list[str]:
    """A note on the rows that name no image, at most one; a DataError where they are all, or must not be."""
    if not stale:
        return []
    number, file = stale[0]
    named = total - len(stale)
    if images.files and named < len(stale) and all(number_of(file) is not None for _, file in stale):
        numbers = [int(number_of(file) or 0) for _, file in stale]
        if numbers == [*range(numbers[0], numbers[0] + len(numbers))]:
            raise DataError(
                f"{name} numbers its rows, and {images.name} has files",
                f"found {stale[0][1]!r} to {stale[-1][1]!r}, and such as {images.files[0]!r}",
                "name files by their path within the folder; or if it has a row for each file in their order, leave "
                "out the numbers: a column Label alone",
            )  # fmt: skip
    what = f"{len(stale)} of {total} rows of {name} name no image of {images.name}"
    first = f"{file!r} in row {number}"
    if not strict and len(stale) < total:
        return [f"{what} and were left out, such as {first}; `strict` refuses them"]
    there = f"{images.name} has such as {images.files[0]!r}" if images.files else f"{images.name} has no images"
    if all(re.search(r"\[\d+\]\s*$", file) for _, file in stale) and not any("[" in f for f in images.files or ()):
        raise DataError(what, f"found {first}; {there}", "the rows name pages: read each as an image: `pages`")
    remedy = "name files by their path within the folder" + ("" if len(stale) == total else ", or remove those rows")
    raise DataError(what, f"found {first}; {there}", remedy)


def _whole_numbers(chosen: dict[int, str], name: str, notes: list[str]) -> dict[int, str]:
    """The labels, with "3" for "3.0" where all are such: what spreadsheets and pandas make of whole numbers."""
    labels = sorted(set(chosen.values()) - {""})
    if not labels or any(whole_number(label) == label for label in labels):
        return chosen
    notes.append(f"{name}: read the labels {', '.join(labels[:3])}{' …' * (len(labels) > 3)} as whole numbers")
    return {row: whole_number(label) for row, label in chosen.items()}


def whole_number(label: str) -> str:
    """A label such as "3.0" as "3"; any other as it is."""
    return label.split(".")[0] if re.fullmatch(r"-?\d{1,15}\.0+", label) else label
