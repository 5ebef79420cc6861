"""Which image a row of a table means: by its number, or by a path that may be spelled in several ways."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePath

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.data import splits
from latentcli.data.array_keys import words
from latentcli.formats.spelled_paths import AmbiguousPath, SpelledPaths, of_page

Named = Sequence[tuple[int, str, str]]
"""Number, file and label of each row."""

FOUND, ELSEWHERE = -1, -2  # in place of a row: a file that could not be read, and one of another part


def rows_by_number(images: ImageSet, named: Named) -> Callable[[int, str, str], int]:
    """Finds the row that a number means; a DataError for all else."""
    numbers = [number for _, file, _ in named if (number := number_of(file)) is not None]
    from_one = bool(numbers) and min(numbers) == 1 and max(numbers) == len(images)
    last = len(images) - 1

    def find(number: int, file: str, where: str) -> int:
        row = number_of(file)
        if row is None or row > last or from_one:
            found = f"expected row numbers 0 to {last}" + (f", found 1 to {len(images)}" if from_one else "")
            remedy = "subtract 1 from each" if from_one else f"name images by their row, such as {last}"
            what = f"numbers the rows from 1, and {images.name} from 0" if from_one else f"labels {file!r}, which "
            raise DataError(f"{where} {what}" + ("" if from_one else f"{images.name} does not have"), found, remedy)
        return row

    return find


def number_of(text: str) -> int | None:
    """A row number, "7" or "7.0"; None for all else."""
    whole = text.strip().removesuffix(".0")
    return int(whole) if whole.isdecimal() and whole.isascii() and len(whole) < 20 else None


def files_of_pages(images: ImageSet) -> dict[str, list[int]]:
    """The rows of each file whose pages are images."""
    found: dict[str, list[int]] = {}
    for row, image in enumerate(images.files or ()):
        file, page = of_page(image)
        if page:
            found.setdefault(file, []).append(row)
    return found


def rows_by_path(
    images: ImageSet, of_files: Mapping[str, Sequence[int]], named: Named, table: Path, of_part: bool = False
) -> tuple[Callable[[int, str, str], int | None], list[str]]:
    """Finds the row of a file by its path, ``FOUND`` for one that could not be read, None where there is none.

    Files ``of_files``, whose pages are images, have the numbers behind the last row. Files of other parts are
    ``ELSEWHERE``. A name that files of several parts have is that of the part read if the table, or else the folder it
    lies in, is called as this part is; or if neither is called as a part, and of the names that one part alone has,
    of which there are some, all are of this one; or if the rows say so, as ``of_part``. Else it is a DataError. The
    notes tell.
    """
    rows = {file: row for row, file in enumerate(images.files or ())} | {file: FOUND for file, _ in images.bad_files}
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

    meant = {text: files for text in dict.fromkeys(spelled) if (files := _meant(paths, text))}
    folder = PurePath(images.name).name
    inner = {text: files[0] for text, files in meant.items() if _lacks_folders(text, files, folder)}
    if inner:
        text, file = next(iter(inner.items()))
        notes.append(f"{table}: {len(inner)} names lack folders before them, such as {text!r} of {file!r}")

    def find(number: int, file: str, where: str) -> int | None:
        if where_of.get(file) == "elsewhere":
            return ELSEWHERE
        if where_of.get(file) == "both" and not this:
            raise _of_several_parts(images, rows, file, where, table, called, part)
        files = meant.get(file, ())
        if len(files) > 1:
            raise DataError(
                f"{where} labels {file!r}, which may be more than one file of {images.name}",
                f"found {' and '.join(map(repr, files))}", "name it by its path within the folder",
            )  # fmt: skip
        return rows[files[0]] if files else None

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
