"""The labels that a person gives images, in ``labels.csv`` at once: undone, done again, merged with others' changes."""

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from latentcli.core.errors import DataError, LatentError, OutputError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import NO_LABEL, UNLABELLED, Labels, composed
from latentcli.data.labels import whole_number, with_labels
from latentcli.data.several_labels import out_of_list, several_in_one
from latentcli.formats.atomic import atomic_write, check_writable, write_or_rescue
from latentcli.formats.csv_text import as_csv, read_table, unescape_formula

HEADER = ["File", "Label"]
LONGEST = 200
"""Characters of the name of a class."""

SETTLED = 0.5
"""Seconds for which the file has not changed when another program is taken to have written it whole."""


@dataclass(frozen=True, eq=False)
class Change:
    """Labels that were given, or taken, at once.

    Attributes:
        rows: (n,) of the images.
        before, after: (n,) codes of their classes, ``UNLABELLED`` for none.
        told: what it was, for people.
    """

    rows: np.ndarray
    before: np.ndarray
    after: np.ndarray
    told: str


class Labelling:
    """The labels of N images, and the file that holds them, which every change replaces whole before it returns.

    The file is the one that ``labels`` of ``load`` takes: ``File,Label``, a row for each image that has a label; of
    images without files, ``File`` is the row. Rows that name no image stay in it. Another program may change it
    meanwhile: its changes are taken, and where both changed the same image, this labelling's stands, and the other file
    is kept beside it; labels that it lacks are put into it again with the next change, since it may be an older copy.
    Where the file cannot be written, the labels stay in memory, and ``unwritten`` says why. Its rows are in the order
    of the classes, which is theirs again when it is read.

    Args:
        images: with the labels that they have as long as there is no such file.
        path: of the file. It need not exist yet, and is not made before there is a label to write.
        names: classes that there are beside those of the labels, such as a classifier's.
        no_label: names in the file that mean no label, as for ``load``.
        strict: whether rows that name no image are refused.

    Attributes:
        codes: (N,) int64 indices into ``names``, ``UNLABELLED`` where there is no label. A new array after each change.
        files: (N,) what the images are called in the file: their paths, or their rows.
        names: of the classes, in an order that never changes: new ones come last.
        version: a number that is larger after each change.
        unwritten: why the file does not hold these labels; None where it does.
        notes: what to tell of how the file was read.

    Raises:
        DataError: the file cannot be read, names none of these images, or tells their parts.
        OutputError: it cannot be written.
    """

    def __init__(
        self, images: ImageSet, path: Path, names: Sequence[str] = (), no_label: Sequence[str] | None = None,
        strict: bool = False,
    ) -> None:  # fmt: skip
        check_writable(path)
        self.path, self.no_label, self.strict = path, no_label, strict
        self._images = replace(images, labels=Labels.none(len(images)), notes=())
        self.files = tuple(map(str, range(len(images)) if images.files is None else map(_in_file, images.files)))
        self.notes: list[str] = []
        self.unwritten: str | None = None
        self.version = 0
        self._history: list[Change] = []
        self._done = 0
        labels, self._others = images.labels, list[list[str]]()
        self._stamp = _stamp(path)
        self._changed: tuple[_Stamp | None, float] = self._stamp, 0.0
        content = _content(path)
        self._seen = None if content is None else _digest(content)
        if path.exists():
            labels = self._read(content, self.notes)
        self.names = tuple(dict.fromkeys([*labels.names, *map(composed, names)]))
        self.codes = labels.among(self.names).codes
        self._written = self.codes

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def labels(self) -> Labels:
        """The labels as they are now."""
        return Labels(self.codes, self.names)

    def code(self, name: str) -> int:
        """Of a class of this name; ``UNLABELLED`` where there is none."""
        name = composed(name)
        return self.names.index(name) if name in self.names else UNLABELLED

    @property
    def is_written(self) -> bool:
        """Whether the file holds these labels, or there is none to write."""
        there = self._stamp is None or self.path.exists()
        return there and self.unwritten is None and np.array_equal(self.codes, self._written)

    @property
    def can_undo(self) -> bool:
        return self._done > 0

    @property
    def can_redo(self) -> bool:
        return self._done < len(self._history)

    def add_class(self, name: str) -> str:
        """A class of this name, new or not: the name as it is kept.

        Raises:
            UsageError: it is empty, too long, or the file could not be read again with it: it means no label, or
                several.
        """
        name = composed(" ".join(name.split()))
        if not name or len(name) > LONGEST:
            raise UsageError("a class needs a name", f"expected 1 to {LONGEST} letters, found {len(name)}")
        if name in self.names:
            return name
        name = whole_number(name)
        meant = NO_LABEL if self.no_label is None else self.no_label
        alone = out_of_list(name)
        if not alone or name.casefold() in {each.strip().casefold() for each in meant}:
            raise UsageError(f"{name!r} means that an image has no label", None, "call the class otherwise")
        if alone != name:
            raise UsageError(f"{name!r} would be read as a list of {alone!r}", None, "call the class otherwise")
        try:
            several_in_one([*self.names, name], "the classes")
        except LatentError as error:
            raise UsageError(f"{name!r} would be read as several labels", error.found, "call it otherwise") from error
        self.names = (*self.names, name)
        self.version += 1
        return name

    def give(self, rows: np.ndarray, name: str | None) -> Change | None:
        """Label these images (n,), or take their labels where ``name`` is None; None where that changes nothing.

        Raises:
            UsageError: as of ``add_class``; or there is no such image.
        """
        rows = np.unique(np.asarray(rows, np.int64))
        if len(rows) and not 0 <= rows[0] <= rows[-1] < len(self):
            raise UsageError(f"there is no image {rows[-1]}", f"expected 0 to {len(self) - 1}")
        kept = None if name is None else self.add_class(name)
        code = UNLABELLED if kept is None else self.names.index(kept)
        rows = rows[self.codes[rows] != code]
        if not len(rows):
            return None
        count = "1 image" if len(rows) == 1 else f"{len(rows):,} images"
        told = f"{count} without a label now" if name is None else f"{count} labelled {self.names[code]!r}"
        change = Change(rows, self.codes[rows], np.full(len(rows), code), told)
        self._put(rows, change.after)
        self._write()
        self._history[self._done :] = [change]  # after what another program changed: it is undone first
        self._done += 1
        return change

    def undo(self) -> Change | None:
        """Take the last change back: a change that does so; None where there is none."""
        if not self.can_undo:
            return None
        self._done -= 1
        last = self._history[self._done]
        return self._again(Change(last.rows, last.after, last.before, f"undone: {last.told}"))

    def redo(self) -> Change | None:
        """Do what was undone last again; None where there is nothing."""
        if not self.can_redo:
            return None
        last = self._history[self._done]
        last = self._history[self._done] = replace(last, before=self.codes[last.rows])
        self._done += 1
        return self._again(replace(last, told=f"done again: {last.told}"))

    def _again(self, change: Change) -> Change:
        self._put(change.rows, change.after)
        self._write()
        return change

    def _put(self, rows: np.ndarray, codes: np.ndarray) -> None:
        self.codes = self.codes.copy()
        self.codes[rows] = codes
        self.version += 1

    def synchronise(self) -> str | None:
        """Take what another program has changed in the file, once it has not for ``SETTLED``; what to tell of it.

        Nothing is written to it: the other program may have more to write.
        """
        stamp, now = _stamp(self.path), time.monotonic()
        if stamp is None or stamp == self._stamp:
            return None
        if stamp != self._changed[0]:
            self._changed = stamp, now
        if now - self._changed[1] < SETTLED:
            return None
        try:
            return self._merge()
        except OutputError as error:
            self._changed = stamp, now  # it is tried again
            before, self.unwritten = self.unwritten, _why(error)
            return None if self.unwritten == before else self.unwritten

    def _merge(self) -> str | None:
        """Take what another program has changed in the file since; what there is to tell of it, None of nothing.

        Raises:
            OutputError: it cannot be read, or what is to be kept of it cannot be written; the change is not taken.
        """
        if (stamp := _stamp(self.path)) is None or stamp == self._stamp:
            return None
        if (content := _content(self.path)) is None:
            raise OutputError(f"{self.path} was changed by another program", "it cannot be read now")
        if (found := _digest(content)) == self._seen:
            self._stamp = stamp
            return None
        told: list[str] = []
        try:
            message = self._merged(self._read(content, told), content)
        except OutputError:
            raise
        except LatentError as error:
            aside = self._keep_apart(content)
            self._written = np.full_like(self.codes, UNLABELLED)
            message = f"{self.path} was changed and cannot be read ({error.problem}); it is kept as {aside}"
        self._stamp, self._seen = stamp, found
        return "; ".join([message, *told])

    def _merged(self, theirs: Labels, content: bytes) -> str:
        """Take the labels of another program's file, which holds this; what there is to tell of it."""
        names = tuple(dict.fromkeys([*self.names, *theirs.names]))
        codes, base = theirs.among(names).codes, self._written
        stay = (codes == UNLABELLED) & (self.codes != UNLABELLED)  # a table says nothing of what it leaves out
        changed = (codes != base) & ~stay
        both = changed & (self.codes != base) & (self.codes != codes)
        kept = self._keep_apart(content) if both.any() else None
        rows = np.flatnonzero(changed & ~both & (self.codes != codes))
        self.names, self._written = names, codes
        if len(rows):
            change = Change(rows, self.codes[rows], codes[rows], f"{len(rows):,} labels of another program")
            self._history.insert(self._done, change)  # what was undone can still be done again
            self._done += 1
            self._put(rows, change.after)
        message = f"{self.path} was changed by another program: {len(rows):,} of its labels were taken"
        if kept is not None:
            message += f"; {int(both.sum()):,} that were given here, too, stay, and that file is kept as {kept}"
        if stay.any():
            message += f"; {int(stay.sum()):,} that it lacks stay, and are in it again with the next label"
        return message

    def save(self) -> None:
        """Write the file, also where nothing has changed; ``notes`` tell what another program had changed.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            if (told := self._merge()) is not None:
                self.notes.append(told)
            content = self._table()
            with atomic_write(self.path) as file:
                file.write(content)
        except OutputError as error:
            self.unwritten = _why(error)
            raise
        self.unwritten, self._seen, self._written = None, _digest(content), self.codes
        self._stamp = _stamp(self.path)

    def save_somewhere(self) -> None:
        """Write the file; where that cannot be, one of these labels elsewhere, which the error names.

        Raises:
            OutputError: it cannot be written.
        """

        def write(path: Path) -> None:
            if path == self.path:
                self.save()
            else:
                with atomic_write(path) as file:
                    file.write(self._table())

        write_or_rescue(self.path, write, "the labels are")

    def _write(self) -> None:
        """Write the labels, if that can be; ``unwritten`` says why it cannot."""
        with suppress(OutputError):
            self.save()

    def _table(self) -> bytes:
        """What the file is to hold."""
        known = np.flatnonzero(self.codes != UNLABELLED)
        known = known[np.argsort(self.codes[known], kind="stable")]  # so that the classes keep their order
        rows = [HEADER, *([self.files[row], self.names[self.codes[row]]] for row in known), *self._others]
        return as_csv(rows).encode("utf-8", "backslashreplace")

    def _read(self, content: bytes | None, told: list[str]) -> Labels:
        """The labels of the file; rows that name no image are remembered, and a file of another form is kept apart."""
        table = read_table(self.path, lambda cells: cells == HEADER)
        rows = [[*map(unescape_formula, cells)] for _, cells in table.rows if any(cells)]
        if table.header == HEADER and not rows:
            self._others = []
            return Labels.none(len(self._images))
        found = with_labels(self._images, self.path, self.strict, self.no_label)
        if len(found) != len(self._images):
            problem, expected = (
                f"{self.path} has a column of parts",
                "expected a label for each image, of whatever part",
            )
            raise DataError(problem, expected, "name another file: `labels`")
        own = {*self.files}
        others = [cells for cells in rows if not cells or cells[0] not in own]
        plain = table.header == HEADER and (table.header_row, table.separator) == (1, ",")
        named = {cells[0] for cells in rows if len(cells) > 1 and cells[1].strip()} & own if plain else set()
        labels = found.labels
        if plain:
            order = dict.fromkeys(composed(cells[1].strip()) for cells in rows if len(cells) > 1)
            labels = labels.among(sorted(labels.names, key=[*order, *labels.names].index))
        if plain and int(labels.known.sum()) <= len(named):
            self._others = others
        elif content is not None:
            self._others = []
            told.append(f"{self.path} is in another form, and will be written as File,Label: "
                        f"it is kept as it was in {self._keep_apart(content)}")  # fmt: skip
        told += found.notes
        return labels

    def _keep_apart(self, content: bytes) -> Path:
        """A file beside that of the labels, which holds what that held."""
        number, path = 1, self.path.with_name(f"{self.path.stem}.before{self.path.suffix}")
        while path.exists() and _content(path) != content:
            number += 1
            path = self.path.with_name(f"{self.path.stem}.before{number}{self.path.suffix}")
        if not path.exists():
            with atomic_write(path) as file:
                file.write(content)
        return path


def _content(path: Path) -> bytes | None:
    """What a file holds; None where it is not there, or cannot be read now."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _in_file(name: str) -> str:
    """A file's name as the table has it: text, its bytes that are no UTF-8 escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


_Stamp = tuple[int, int, int]


def _stamp(path: Path) -> _Stamp | None:
    """What changes where a file does; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _why(error: OutputError) -> str:
    return ": ".join(filter(None, (error.problem, error.found)))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
