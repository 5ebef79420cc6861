"""Labels from files beside the images: CSV files, and arrays."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels, read_labels
from latentcli.data import splits
from latentcli.data.array_keys import LABELS, is_called, words
from latentcli.data.array_labels import encode_labels, one_per_image
from latentcli.data.label_columns import (
    FOLDER_COLUMNS,
    columns_of,
    is_header,
    of_columns_a_class,
    parts_of_rows,
    rows_of_other_parts,
)
from latentcli.data.several_labels import several_in_one
from latentcli.formats.csv_text import Table, columns_called, read_table, unescape_formula
from latentcli.formats.json_tables import SUFFIXES as JSON_SUFFIXES
from latentcli.formats.json_tables import read_json_table
from latentcli.formats.npz_reader import UnsafeArrays, open_npz, read_npy
from latentcli.formats.spelled_paths import AmbiguousPath, SpelledPaths, of_page


def with_labels(
    images: ImageSet, path: Path, strict: bool = False, no_label: Sequence[str] | None = None,
    wanted: splits.Wanted | None = None,
) -> ImageSet:  # fmt: skip
    """The images with the labels of a file instead of their own; images that it does not name are unlabelled.

    The label of a file is that of all its pages, where these are images and have none of their own.

    Args:
        images: from a folder, whose files the table names by their path within the folder, in any of the spellings of
            ``SpelledPaths``; or from any other source, where it gives the row, from 0. A name that files of several
            parts of the folder have is that of the part read, where the table is of this part: see ``_rows_by_path``.
        path: of a table as ``read_table`` or ``read_json_table`` takes it, with a column of ``FILE_COLUMNS`` and one of
            ``LABEL_COLUMNS``; columns of ``FOLDER_COLUMNS`` are what stands before the file, where that is
            its path, and others are ignored. Where there are two columns, one may have any other name. A label alone,
            as ``classify`` writes it for arrays, is that of each image in turn. An empty label is none. Or of an
            ``.npy`` file: a label for each image in turn, as ``encode_labels`` takes them.
        strict: whether rows that name no file of the folder are refused, and not only counted in the notes.
        no_label: names that mean no label, as for ``read_labels``.
        wanted: the part to read, where a column tells the part of each row, such as ``split`` or ``is_train``: rows of
            other parts are left out, and images that no row of this part names, if the images are of no part; None: for
            training.

    Raises:
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
    other_parts, no_part, parts, of_table = rows_of_other_parts(table, images, str(path), wanted)
    notes = [*told, *notes, *of_table]
    rows = [(number, [*map(unescape_formula, cells)]) for number, cells in table.rows]
    if table.encoding in ("cp1252", "latin-1"):
        notes.append(f"{path} is not UTF-8 text and was read as Windows-1252")
    if file_column is None:
        while rows and not rows[-1][1] and len(rows) > len(images):
            rows.pop()
        if len(rows) != len(images):
            found = f"expected {len(images)}, one for each image of {images.name} in its order, found {len(rows)}"
            raise DataError(f"{path} has labels alone, and not as many as there are images", found,
                            "name the images in a column File")  # fmt: skip
        chosen = {row: "".join(cells[label_column:]).strip() for row, (_, cells) in enumerate(rows)}
    else:
        every = list(_named(rows, file_column, label_column, table, str(path)))
        named = [each for each in every if each[0] not in other_parts | no_part]
        of_files = _files_of_pages(images)
        by_path = images.files is not None
        find, of_parts = (
            _rows_by_path(images, of_files, named, path, bool(parts))
            if by_path
            else (_rows_by_number(images, every), list[str]())
        )
        if by_path and (
            folders := [each for each in _folder_columns(table) if each not in (file_column, label_column)]
        ):
            every_joined = list(
                _named(_joined(rows, folders, file_column), file_column, label_column, table, str(path))
            )
            joined = [each for each in every_joined if each[0] not in other_parts | no_part]
            find_joined, found_joined = _rows_by_path(images, of_files, joined, path, bool(parts))
            if any(find_joined(number, file, f"row {number} of {path}") is not None for number, file, _ in joined):
                every, named, find, of_parts = every_joined, joined, find_joined, found_joined
                columns = " and ".join(repr(table.header[column]) for column in (*folders, file_column))
                notes.append(f"{path}: took {columns} together for the path of each file")
        chosen, stale = _chosen(named, find, str(path))
        others = [each for each in every if each[0] in other_parts] if not images.parts else []
        find_other = _rows_by_path(images, of_files, others, path)[0] if by_path else find
        of_others = {find_other(number, file, f"row {number} of {path}") for number, file, _ in others}
        for number, rows_of_file in enumerate(of_files.values(), len(images)):
            of_others |= {*rows_of_file} if number in of_others else set()
            if (of_all := chosen.pop(number, None)) is not None:
                chosen = dict.fromkeys(rows_of_file, of_all) | chosen
        if parts and not images.parts:
            left = {*range(len(images))} - chosen.keys()
            if of_none := left - of_others:
                notes.append(f"{path}: {len(of_none)} images of no part left out, for which it names none")
        notes += [*of_parts, *_left_out(stale, len(named), images, str(path), strict)]
    notes += several_in_one(chosen.values(), str(path))
    chosen = _whole_numbers(chosen, str(path), notes)
    texts, none = read_labels(list(chosen.values()), str(path), no_label)
    known = dict(zip(chosen, texts, strict=True))
    labels = Labels.of([known.get(row, "") for row in range(len(images))])
    images = replace(images, labels=labels, notes=(*images.notes, *notes, *none), parts=images.parts or parts)
    return images.take(np.array([row not in left for row in range(len(images))])) if left else images


def tells_parts(path: Path) -> bool:
    """Whether a column of a table tells the part of each row."""
    if path.suffix.lower() in _NO_TABLES:
        return False
    return bool(parts_of_rows(_table(path), str(path))[1])


def _table(path: Path) -> Table:
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
    return replace(images, labels=labels, notes=(*images.notes, *notes))


_NO_TABLES = (".npy", ".npz", ".gz")

_Named = Sequence[tuple[int, str, str]]
"""Number, file and label of each row."""

_FOUND, _ELSEWHERE = -1, -2  # in place of a row: a file that could not be read, and one of another part


def _named(
    rows: Iterable[tuple[int, list[str]]], file_column: int, label_column: int, table: Table, name: str
) -> Iterator[tuple[int, str, str]]:
    """Number, file and label of each row that has one of them and is no comment; rows may be as wide as the header."""
    width = len(table.header)
    for number, cells in rows:
        if not any(cell.strip() for cell in cells) or (
            len(cells) <= label_column and cells[0].lstrip().startswith("#")
        ):
            continue
        if any(cell.strip() for cell in cells[width:]):
            found = f"expected {width}, as the header has, found {len(cells)}: {table.separator.join(cells)[:80]!r}"
            raise DataError(f"row {number} of {name} has too many cells", found, _quoted(cells, file_column, table))
        if len(cells) <= max(file_column, label_column) or not cells[file_column].strip():
            found = f"found {','.join(cells)[:80]!r}"
            raise DataError(f"row {number} of {name} lacks a file or the cell of its label", found)
        yield number, cells[file_column], cells[label_column].strip()


def _quoted(cells: Sequence[str], file_column: int, table: Table) -> str:
    """How to write a row that has too many cells, if it is the path of the file that is in several."""
    mark, last = table.separator, file_column + len(cells) - len(table.header)
    path = mark.join(cells[file_column : last + 1])
    row = mark.join([*cells[:file_column], f'"{path}"', *cells[last + 1 :]])
    called = {",": "a comma", ";": "a semicolon", "\t": "a tab"}.get(mark, repr(mark))
    return f"if {called} is part of a cell, put double quotes around that cell: {row[:120]}"


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


def _rows_by_number(images: ImageSet, named: _Named) -> Callable[[int, str, str], int]:
    """Finds the row that a number means; a DataError for all else."""
    numbers = [number for _, file, _ in named if (number := _number(file)) is not None]
    from_one = bool(numbers) and min(numbers) == 1 and max(numbers) == len(images)
    last = len(images) - 1

    def find(number: int, file: str, where: str) -> int:
        row = _number(file)
        if row is None or row > last or from_one:
            found = f"expected row numbers 0 to {last}" + (f", found 1 to {len(images)}" if from_one else "")
            remedy = "subtract 1 from each" if from_one else f"name images by their row, such as {last}"
            what = f"numbers the rows from 1, and {images.name} from 0" if from_one else f"labels {file!r}, which "
            raise DataError(f"{where} {what}" + ("" if from_one else f"{images.name} does not have"), found, remedy)
        return row

    return find


def _number(text: str) -> int | None:
    """A row number, "7" or "7.0"; None for all else."""
    whole = text.strip().removesuffix(".0")
    return int(whole) if whole.isdecimal() and whole.isascii() and len(whole) < 20 else None


def _files_of_pages(images: ImageSet) -> dict[str, list[int]]:
    """The rows of each file whose pages are images."""
    found: dict[str, list[int]] = {}
    for row, image in enumerate(images.files or ()):
        file, page = of_page(image)
        if page:
            found.setdefault(file, []).append(row)
    return found


def _rows_by_path(
    images: ImageSet, of_files: Mapping[str, Sequence[int]], named: _Named, table: Path, of_part: bool = False
) -> tuple[Callable[[int, str, str], int | None], list[str]]:
    """Finds the row of a file by its path, ``_FOUND`` for one that could not be read, None where there is none.

    Files ``of_files``, whose pages are images, have the numbers behind the last row. Files of other parts are
    ``_ELSEWHERE``. A name that files of several parts have is that of the part read if the table, or else the folder it
    lies in, is called as this part is; or if neither is called as a part, and of the names that one part alone has,
    of which there are some, all are of this one; or if the rows say so, as ``of_part``. Else it is a DataError. The
    notes tell.
    """
    rows = {file: row for row, file in enumerate(images.files or ())} | {file: _FOUND for file, _ in images.bad_files}
    rows |= {file: number for number, file in enumerate(of_files, len(images))}
    spelled = [file for _, file, _ in named]
    paths = SpelledPaths(rows, images.name, spelled)
    where_of = _parts_of_names(images, rows, paths, spelled)
    counts = Counter(where_of.values())
    part = next((each for each in images.parts if each not in images.elsewhere), "")
    called = words(table.stem)[0] or splits.part_of(table.parent.name) or ""
    this = of_part or called == part or (not called and counts["here"] > 0 == counts["elsewhere"])
    notes = []
    if counts["both"] and this:
        why = (
            "as its rows say"
            if of_part
            else "as it is called"
            if called
            else f"which alone has {counts['here']} others of its names"
        )
        told = f"{table}: {counts['both']} names that files of several parts of {images.name} have"
        notes.append(f"{told} are those of {part}, {why}")
    if counts["elsewhere"]:
        notes.append(f"{table}: {counts['elsewhere']} names of other parts of {images.name} were left out")

    meant = {text: _meant(paths, text) for text in dict.fromkeys(spelled)}
    inner = {text: files[0] for text, files in meant.items() if _lacks_folders(text, files, PurePath(images.name).name)}
    if inner:
        text, file = next(iter(inner.items()))
        notes.append(f"{table}: {len(inner)} names lack folders before them, such as {text!r} of {file!r}")

    def find(number: int, file: str, where: str) -> int | None:
        if where_of.get(file) == "elsewhere":
            return _ELSEWHERE
        if where_of.get(file) == "both" and not this:
            raise _of_several_parts(images, rows, file, where, table, called, part)
        try:
            found = paths.find(file)
        except AmbiguousPath as several:
            raise DataError(
                f"{where} labels {file!r}, which may be more than one file of {images.name}",
                f"found {' and '.join(map(repr, several.files))}", "name it by its path within the folder",
            ) from several  # fmt: skip
        return None if found is None else rows[found]

    return find, notes


def _parts_of_names(
    images: ImageSet, rows: Collection[str], paths: SpelledPaths, spelled: Sequence[str]
) -> dict[str, str]:  # fmt: skip
    """Where the files are that names of a table may mean: "here", among ``rows``, "elsewhere", or "both"."""
    others = [file for files in images.elsewhere.values() for file in files]
    if not others:
        return {}
    every = SpelledPaths([*rows, *others], images.name, spelled)
    not_here = SpelledPaths(others, images.name, spelled)
    found: dict[str, str] = {}
    for text in dict.fromkeys(spelled):
        files = _meant(every, text)
        if len(files) == 1:
            found[text] = "here" if files[0] in rows else "elsewhere"
        elif files:
            here, elsewhere = _meant(paths, text), _meant(not_here, text)
            found[text] = "both" if here and elsewhere else "here" if here else "elsewhere"
    return found


def _lacks_folders(text: str, files: Sequence[str], folder: str) -> bool:
    """Whether a path of several parts, one perhaps the ``folder``'s, lacks others before the one file that it means."""
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    own = len(parts) > 1 and parts[0].casefold() == folder.casefold()
    return len(files) == 1 and 1 < len(parts) <= files[0].count("/") + own


def _meant(paths: SpelledPaths, text: str) -> tuple[str, ...]:
    """The file that a table means, two where there are several, none where there is none."""
    try:
        found = paths.find(text)
    except AmbiguousPath as several:
        return several.files
    return () if found is None else (found,)


def _of_several_parts(
    images: ImageSet, rows: Collection[str], file: str, where: str, table: Path, called: str, part: str
) -> DataError:  # fmt: skip
    """The error that a name may be of the part that is read, or of another."""
    here = _meant(SpelledPaths(rows, images.name, [file]), file)[0]
    others = {each: _meant(SpelledPaths(of, images.name, [file]), file) for each, of in images.elsewhere.items()}
    found = ", ".join(repr(files[0]) for files in others.values() if files)
    remedy = f"name files by their path within {images.name}, such as {here!r}"
    if called in images.elsewhere:
        remedy += f"; or read the part that the table is called for: `split` {called}"
    else:
        remedy += f"; or call the table of one part for it, such as {table.stem}_{part}{table.suffix}"
    what = f"{where} labels {file!r}, which may be of more than one part of {images.name}"
    return DataError(what, f"found {here!r}, of {part}, which is read, and {found}", remedy)


def _chosen(
    named: _Named, find: Callable[[int, str, str], int | None], name: str
) -> tuple[dict[int, str], list[tuple[int, str]]]:
    """The label of each image that is named; and number and file of the rows that name none."""
    chosen: dict[int, str] = {}
    seen: dict[int, int] = {}
    stale = []
    for number, file, label in named:
        where = f"row {number} of {name}"
        row = find(number, file, where)
        if row in (_FOUND, _ELSEWHERE) or (row is None and file.lstrip().startswith("#")):
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
    if not labels or not all(re.fullmatch(r"-?\d{1,15}\.0+", label) for label in labels):
        return chosen
    notes.append(f"{name}: read the labels {', '.join(labels[:3])}{' …' * (len(labels) > 3)} as whole numbers")
    return {row: label.split(".")[0] for row, label in chosen.items()}
