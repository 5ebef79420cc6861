"""Parts of one source, for training, for validation and for testing, by the names that people give them."""

import os
import re
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from latentcli.core.errors import DataError
from latentcli.data.entries import Entries, holds_images, is_folder, is_hidden
from latentcli.formats.regular_files import kind

PARTS = {
    "train": ("train", "training", "trn", "learn"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
}
"""Each part with the names that people give it, in any case."""

PART_OF = {name: part for part, names in PARTS.items() for name in names}
_NAME = re.compile(
    rf"(?:(?P<before>.+)[_\-. ])?(?P<part>{'|'.join(PART_OF)})(?:[_\-. ]?(?:set|split|data|images?|imgs?|pictures))?"
    r"(?:[_\-. ]?\d+k?)?(?:[_\-. ](?P<after>.+)|(?-i:(?P<domain>[A-Z])))?",
    re.IGNORECASE,
)
_DEEPEST = 16  # folders that hold nothing but one other

Source = TypeVar("Source")


@dataclass(frozen=True)
class Wanted:
    """The part of a source that is to be read.

    Attributes:
        part: one of ``PARTS``.
        asked: whether the user asks for it, so that nothing else is read in its place: no other part, and no source
            that has none. Otherwise it is what the caller prefers where there are parts.
        in_table: whether a table beside the source tells the parts, if the source has none.
        source: its path, as the user has it; None where it is none, or several.
    """

    part: str = "train"
    asked: bool = False
    in_table: bool = False
    source: Path | None = None

    def check_whole(self, name: str, found: str) -> None:
        """Raise a DataError, which says what was ``found``, if a part is asked for of a source that has none."""
        if self.asked and not self.in_table:
            remedy = "leave out `split`: all its images are read then"
            if self.source is not None and (beside := _called_as(self.part, self.source)) is not None:
                remedy = f"name the part that lies beside it: {beside}; or {remedy}"
            raise DataError(f"{name} has no {self.part} part, nor any other", found, remedy)


def part_of(name: str) -> str | None:
    """The part that a folder of this name holds, such as "val" of ``Validation_set`` and ``val2017``, or None."""
    found = _NAME.fullmatch(name.strip())
    return None if found is None or found["after"] or found["domain"] else PART_OF[found["part"].lower()]


def _called_as(part: str, source: Path) -> Path | None:
    """What lies beside a source, or a folder above it, under the name of a part: ``a/test/x`` for ``a/train/x``."""
    path = source if source.name not in ("", "..") else source.resolve()
    for of_part in (path, *path.parents):
        named = _NAME.fullmatch(of_part.name)
        try:
            around = sorted(of_part.parent.iterdir()) if named is not None else []
        except OSError:
            around = []
        for each in around:
            other = _NAME.fullmatch(each.name)
            if named is None or other is None or PART_OF[other["part"].lower()] != part:
                continue
            beside = each / path.relative_to(of_part)
            alike = _around(other) == _around(named) and kind(beside) == kind(path)
            if alike and (kind(path) != stat.S_IFDIR or holds_images(beside)):
                return beside
    return None


def _around(name: re.Match[str]) -> tuple[str, str]:
    """The text before and behind the part in a name, in lower case, but for what numbers the parts: ``01_train``."""
    before = re.sub(r"^\d{1,2}$", "", name["before"] or "")
    return before.casefold(), (name["after"] or name["domain"] or "").casefold()


def seem_parts(classes: Sequence[str]) -> list[str]:
    """Those of several classes that are called as parts are, but ``train``, which is a vehicle, too."""
    alone = [name for name in classes if (found := _NAME.fullmatch(name)) is not None and _around(found) == ("", "")]
    return [name for name in alone if part_of(name) != "train"] if len(classes) > len(alone) else []


Part = Path | Mapping[str, str]
"""Where the images of a part are: in a folder; or, for each class, in this sub-folder of its folder."""


def files_of(folder: Path, part: Part) -> list[str]:
    """The image files of a part, by their paths within the folder that has it.

    Raises:
        OSError: the folder cannot be read.
    """
    inner = [part] if isinstance(part, Path) else [folder / name / within for name, within in part.items()]
    return [
        (path.relative_to(folder) / file).as_posix() for path in inner
        for file in Entries.of(path).images
    ]  # fmt: skip


def within(folder: Path) -> tuple[Path, Mapping[str, Part], list[str]]:
    """Where in a folder its images are.

    Returns:
        The folder itself, or, where it holds nothing but one other, and that no images but in sub-folders, that one,
        and so on; the parts that are sub-folders of it, or of each of them, none where there are fewer than two; and
        the names of the other sub-folders beside these parts that hold images.

    Raises:
        DataError: two sub-folders are the same part.
        OSError: the folder cannot be read.
    """
    for _ in range(_DEEPEST):
        inner = _folders_of_images(folder)
        if parts := _grouped(folder, inner):
            return folder, parts, [name for name in inner if folder / name not in parts.values()]
        if of_classes := _of_each(folder, inner):
            return folder, of_classes, _beside(folder, of_classes)
        if len(inner) != 1 or holds_images(folder, deepest=0):
            break
        one = folder / inner[0]
        if holds_images(one, deepest=0) and part_of(one.name) is None:
            break  # one class
        folder = one
    return folder, {}, []


def _of_each(folder: Path, classes: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """The parts that all of several classes have, as sub-folders of theirs, beside which no image lies: by class."""
    found: dict[str, dict[str, str]] = {}
    for name in classes if len(classes) > 1 else ():
        with os.scandir(folder / name) as entries:
            named = [entry.name for entry in entries if part_of(entry.name) is not None]
        if len(named) < 2 or holds_images(folder / name, deepest=0):
            return {}
        parts = _grouped(folder / name, [each for each in _folders_of_images(folder / name) if each in named])
        found[name] = {part: path.name for part, path in parts.items()}
    if len({tuple(parts) for parts in found.values()}) != 1:
        return {}
    common = next(iter(found.values()))
    return {part: {name: parts[part] for name, parts in found.items()} for part in common}


def _beside(folder: Path, of_classes: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The folders of images that lie beside the parts of each class."""
    known = {(name, inner) for part in of_classes.values() for name, inner in part.items()}
    classes = next(iter(of_classes.values()))
    of_all = ((name, inner) for name in classes for inner in _folders_of_images(folder / name))
    return [f"{name}/{inner}" for name, inner in of_all if (name, inner) not in known]


def _folders_of_images(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        names = sorted(each.name for each in entries if not is_hidden(each.name) and is_folder(each))
    return [name for name in names if holds_images(folder / name)]


def _grouped(folder: Path, names: Collection[str]) -> dict[str, Path]:
    """The parts among sub-folders with the same text around the part's name: ``seg_train_hr`` and ``seg_test_hr``."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for name in names:
        if (found := _NAME.fullmatch(name.strip())) is not None:
            group = groups.setdefault(_around(found), {})
            group.setdefault(PART_OF[found["part"].lower()], []).append(name)
    chosen_around, parts = max(groups.items(), key=lambda group: len(group[1]), default=(("", ""), {}))
    if len(parts) < 2:
        return {}
    others = {around: of for around, of in groups.items() if of is not parts}
    if more := [of for around, of in others.items() if chosen_around[1] or (around[1] and len(of) > 1)]:
        first = next(parts[part][0] for part in PARTS if part in parts)
        found_names = ", ".join(name for of in (parts, *more) for several in of.values() for name in several)
        remedy = f"name one of them: {folder / first}; if they are classes, make folders train/…"
        raise DataError(f"{folder} has several sets of parts", f"found {found_names}", remedy)
    for part, several in parts.items():
        if len(several) > 1:
            found_names = f"found {' and '.join(several)}"
            raise DataError(f"{folder} has two {part} parts", found_names, f"name one of them: {folder / several[0]}")
    return {part: folder / parts[part][0] for part in PARTS if part in parts}


def chosen(
    name: str, parts: Mapping[str, Source], wanted: Wanted, beside: Collection[str] = ()
) -> tuple[Source, str]:  # fmt: skip
    """The part that is wanted, and a note that says so.

    If it is not asked for, the validation part may stand in for the test part; and the only part there is, for any.

    Args:
        name: of the source, for messages.
        parts: of which it consists.
        wanted: the part that is to be read.
        beside: what else the source has that is no part of it.

    Raises:
        DataError: it has no such part.
    """
    *others, last = parts
    found = f"{', '.join(others)} and {last}" if others else last
    more = f"; {', '.join(beside)} left out" if beside else ""
    split = part = wanted.part
    if not others and (split == last or not wanted.asked):
        return parts[last], f"{name} has the {last} part only{more}"
    if split == "test" and "test" not in parts and "val" in parts and not wanted.asked:
        part = "val"
    if part not in parts:
        raise DataError(f"{name} has no {split} part", f"found {found}", f"choose one: `split` {next(iter(parts))}")
    instead = "" if part == split else f", for want of a {split} part"
    return parts[part], f"{name} has the parts {found}: {part} is read{instead} (`split` chooses){more}"
