"""Labels as arrays hold them: whole numbers, texts, columns and one-hot rows; and the names of their classes."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.labels import NO_LABEL, Labels, composed, read_labels
from latentcli.data.several_labels import several_in_one

_IGNORED = "-100"
"""The number that PyTorch's losses leave out: no label where numbers are indices into names of classes."""


def encode_labels(
    values: np.ndarray, class_names: np.ndarray | None, name: str, no_label: Sequence[str] | None = None,
    key: str = "class_names",
) -> tuple[Labels, tuple[str, ...]]:  # fmt: skip
    """Labels as indices into class names, and notes for the user: how many mean no label.

    Args:
        values: (N,) whole numbers of any type, NaN among floats for no label, or strings, blanks around them left
            out. With ``class_names``, numbers are indices into them; without, the number is the name.
        class_names: (K,) strings or integers; None to take the names that occur, in ``class_order``. Numbers that are
            all among them, and some of them too large for indices, are the names.
        name: of the source, for messages.
        no_label: the names that mean no label, as for ``read_labels``; None: -100 as well, beside ``class_names``.
        key: of these, for messages.

    Raises:
        DataError: labels are of another type or not among the class names, or two classes have the same name; or a
            text has several labels that others have alone.
    """
    if values.dtype.kind not in "biufUS":
        remedy = "convert them: labels.astype(int), or labels.astype(str)"
        raise DataError(f"{name} holds labels of type {values.dtype}", "expected whole numbers or strings", remedy)
    numbers = values.dtype.kind not in "US"
    distinct, inverse = np.unique(values, return_inverse=True)
    texts = _numbers(distinct, class_names, name) if numbers else texts_of(distinct)
    padded = [text for text in texts if text != text.strip() != ""]
    texts = [text.strip() for text in texts]
    names, told_of_names = None, tuple[str, ...]()
    if class_names is not None:
        if numbers and no_label is None:
            no_label = (*NO_LABEL, _IGNORED)
        given = _given_names(class_names, f"{name} holds {key}")
        names = [text for text in read_labels(given, name, no_label)[0] if text]
        if numbers:
            without = {"", *(NO_LABEL if no_label is None else no_label)}
            found = [text for text in texts if text not in without and not text.startswith("-")]
            if {*found} <= {*given} and max(map(int, found), default=0) >= len(given):
                told_of_names = (f"{name}: its labels are the names in {key} themselves, such as {found[-1]}",)
            else:
                _check_named(found, given, name, key)
                if {*found} <= {*given} and (other := [text for text in found if given[int(text)] != text]):
                    read = f"read as numbers from 0 into {key}, such as {other[0]} as {given[int(other[0])]!r}"
                    way = "if they are the names themselves: labels.astype(str)"
                    told_of_names = (f"{name}: its labels were {read}; {way}",)
                texts = [given[int(text)] if text in found else text for text in texts]
    of_distinct, _ = read_labels(texts, name, no_label)
    several = []
    if not numbers:
        of_each = np.array(of_distinct, dtype=object)[inverse.reshape(-1)]
        several = several_in_one(of_each.tolist(), name, "entries", names or ())
    if names is not None and (unknown := [text for text in of_distinct if text and text not in names]):
        raise _without_name(unknown[0], names[:12], name, key, no_label)
    codes = Labels.of(of_distinct, names)
    _, notes = read_labels(np.array(texts, dtype=object)[inverse.reshape(-1)].tolist(), name, no_label)
    if (largest := _unsigned_minus_one(distinct)) is not None and str(largest) not in (no_label or ()):
        notes = (
            *notes,
            f"{name}: {largest} is what -1 becomes in {values.dtype}; if it means so: `no_label` {largest}",
        )
    notes = (*told_of_names, *several, *notes)
    if padded:
        notes = (f"{name}: blanks around its labels are left out, such as those of {padded[0]!r}", *notes)
    return codes.take(inverse.reshape(-1)), notes


def one_per_image(values: np.ndarray, count: int) -> np.ndarray | None:
    """(N,) labels of as many images, of (N,), a column, a row or one-hot rows (N, K); None for any other array."""
    if values.size == count and values.ndim and max(values.shape) == count:
        return values.reshape(-1)
    if values.ndim == 2 and len(values) == count and is_one_hot(values):
        return values.argmax(axis=1)
    return None


def is_one_hot(values: np.ndarray) -> bool:
    """Whether (N, K) numbers have in each row a single 1, or such as a single 255, and else 0."""
    if values.dtype.kind not in "biuf" or values.shape[1] < 2:
        return False
    ones = values == (255 if values.max(initial=0) == 255 else 1)
    return bool((ones | (values == 0)).all() and (ones.sum(axis=1) == 1).all())


def not_one_per_image(values: np.ndarray, count: int, key: str, again: "SavedAgain") -> DataError:
    """The error that says what this array has instead of a label for each image, and the way on that it leaves.

    Args:
        values: of the array.
        count: of the images.
        key: of the array.
        again: the archive, with the keys of arrays like this one.
    """
    problem = f"{again.name} holds {count} images and {key} of shape {values.shape}"
    expected, without = f"expected one label per image: ({count},)", "`no_classes` leaves them out"
    if values.ndim != 2 or len(values) != count or values.dtype.kind not in "biufUS":
        return DataError(problem, expected, f"give one label per image, in order; {without}")
    numbers = values.dtype.kind in "biuf"
    with np.errstate(invalid="ignore"):
        soft = numbers and bool((values >= 0).all() and np.allclose(values.sum(axis=1, dtype=float), 1, atol=1e-3))
    if soft:
        found = f"{expected}, found rows of probabilities: soft labels"
        remedy = f"take the likeliest class of each: {again.changed('.argmax(axis=1)', 'likeliest')}"
        return DataError(problem, found, f"{remedy}; {without}")
    if numbers and ((values == 0) | (values == 1)).all():
        ones = (values == 1).sum(axis=1)
        found = (
            f"{int((ones == 0).sum())} rows have no 1, {int((ones > 1).sum())} have several: several labels an image"
        )
        expected = f"{expected}; {found}"
    column = column_of_classes(values)
    if column is None:
        return DataError(problem, expected, f"give one label per image; {without}")
    return DataError(problem, expected, f"{again.with_column(values, column)}; {without}")


def column_of_classes(values: np.ndarray) -> int | None:
    """The column of (N, K) values that is most like one of classes: of the fewest different ones, and the most even.

    Texts and whole numbers can be classes, where they are two or more and not one an image; None where none is so.
    """
    suited = []
    for column, each in enumerate(values.T):
        _, counts = np.unique(each, return_counts=True)
        whole = values.dtype.kind in "biuUS" or bool(np.isfinite(each).all() and (each == np.rint(each)).all())
        if whole and 2 <= len(counts) < len(each):
            suited.append((len(counts), -int(counts.min()), column))
    return min(suited)[2] if suited else None


@dataclass(frozen=True)
class SavedAgain:
    """The line of Python that saves an archive again, with one label an image where there were several.

    Attributes:
        path: of the archive.
        keys: of its arrays, or of those to change.
        left_out: the keys of those that cannot be saved again.
        class_names: names of classes by the keys of their arrays.
    """

    path: Path
    keys: Collection[str]
    left_out: Collection[str] = ()
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How to call the archive in messages."""
        return str(self.path)

    def with_column(self, values: np.ndarray, column: int) -> str:
        """The words and the line that take one column of arrays as these (N, K) values."""
        chosen = values[:, column]
        ones = values.dtype.kind in "biuf" and bool(((chosen == 0) | (chosen == 1)).all())
        found = f"{int((chosen == 1).sum())} ones" if ones else f"{len(np.unique(chosen))} values"
        named = [key for key, names in self.class_names.items() if ones and len(names) == values.shape[1]]
        value = f"f[k][:, {column}] if k in {sorted(self.keys)} else f[k]"
        for key in named:
            name = self.class_names[key][column]
            found = f"{found}, {name!r} or not,"
            value = f"numpy.array({[f'not {name}', name]}) if k == {key!r} else {value}"
        return f"choose a column, such as {column}, which has {found.rstrip(',')}: {self._line(str(column), '', value)}"

    def changed(self, change: str, suffix: str) -> str:
        """The line that changes the arrays of these keys so, and saves them under the name with this suffix."""
        return self._line(suffix, "", f"f[k]{change} if k in {sorted(self.keys)} else f[k]")

    def named(self, name: str, key: str) -> str:
        """The line that gives an array of this key another name."""
        return self._line(re.sub(r"\W", "_", key), f"{name}=f[{key!r}], ", "f[k]", [key])

    def replaced(self, key: str, value: str, suffix: str) -> str:
        """The line that puts this value, as Python, in the place of the array of this key."""
        return self._line(suffix, "", f"{value} if k == {key!r} else f[k]")

    def joined(self, keys: Sequence[str]) -> str:
        """The lines that make one array of images of these, which are of a class each, with the keys for labels."""
        file, other = str(self.path), str(self.path.with_name(f"{self.path.stem}_joined.npz"))
        labels = "numpy.repeat(c, [len(f[k]) for k in c])"
        arrays = f"data=numpy.concatenate([f[k] for k in c]), labels={labels}"
        return f"f = numpy.load({file!r}); c = {[*keys]}; numpy.savez({other!r}, {arrays})"

    def as_folders(self, keys: Sequence[str], image: str, floats: bool) -> str:
        """The lines that save arrays of images, of a class each, as files in a folder each.

        Args:
            keys: of these arrays.
            image: what makes (H, W) or (H, W, C) of one of its images ``i``, as Python.
            floats: whether some are numbers of 0 to 1.
        """
        if floats:
            image = f"numpy.uint8(numpy.rint({image} * (255 if i.dtype.kind == 'f' else 1)))"
        folder = str(self.path.with_name(f"{self.path.stem}_images"))
        made = f"os.makedirs(os.path.join({folder!r}, k), exist_ok=True)"
        saved = f"PIL.Image.fromarray({image}).save(os.path.join({folder!r}, k, f'{{n:05}}.png'))"
        line = f"[({made}, {saved}) for k in {[*keys]} for n, i in enumerate(f[k])]"
        opened = f"import numpy, os, PIL.Image; f = numpy.load({str(self.path)!r})"
        return f"save them as files, and name {folder}: {opened}; {line}"

    def _line(self, suffix: str, first: str, value: str, left_out: Collection[str] = ()) -> str:
        file, other = str(self.path), str(self.path.with_name(f"{self.path.stem}_{suffix}.npz"))
        not_kept = sorted({*self.left_out, *left_out})
        kept = f" if k not in {not_kept}" if not_kept else ""
        return f"f = numpy.load({file!r}); numpy.savez({other!r}, {first}**{{k: {value} for k in f{kept}}})"


def _unsigned_minus_one(distinct: np.ndarray) -> int | None:
    """The largest number of an unsigned type, where it is far from all other numbers; None otherwise."""
    if distinct.dtype.kind != "u" or len(distinct) < 2 or distinct[-1] != np.iinfo(distinct.dtype).max:
        return None
    return int(distinct[-1]) if int(distinct[-2]) < int(distinct[-1]) - 1 else None


def _numbers(distinct: np.ndarray, class_names: np.ndarray | None, name: str) -> list[str]:
    """Texts of numbers, "" for NaN; 1.0 is 1."""
    if distinct.dtype.kind == "b" and class_names is None:
        return [str(value) for value in distinct.tolist()]
    if distinct.dtype.kind == "f":
        kept = distinct[~np.isnan(distinct)]
        if broken := [value for value in kept.tolist() if not float(value).is_integer()]:
            found = f"expected whole numbers or strings, found {broken[0]:g} among {len(kept)} different values"
            remedy = "if each is the name of a class: labels.astype(str); `no_classes` leaves them out"
            raise DataError(f"{name} holds labels of type {distinct.dtype}", found, remedy)
    texts = ["" if value != value else str(int(value)) for value in distinct.tolist()]
    nan_as_integer = {str(np.iinfo(each).min) for each in (np.int32, np.int64)}  # what astype(int) makes of NaN
    return ["" if text in nan_as_integer else text for text in texts]


def _check_named(numbers: Sequence[str], names: Sequence[str], name: str, key: str) -> None:
    """Raise a DataError unless all numbers, in rising order and none below zero, are indices into names."""
    found, count = [int(text) for text in numbers], len(names)
    too_large = [number for number in found if number >= count]
    if not too_large:
        return
    least, most, remedies = found[0], found[-1], list[str]()
    if len(found) == count:
        pairs = ", ".join(f"{number} {text}" for number, text in zip(found[:3], names, strict=False))
        told = f"if they name these in turn, {pairs}{' …' * (count > 3)}"
        remedies = [f"{told}: labels = numpy.unique(labels, return_inverse=True)[1]"]
    if least == 1 and most == count:
        remedies = ["if they count from 1: labels - 1"]
    elif most < 2 * count:
        remedies.append(f"give {most + 1} names, one for each number from 0 to {most}")
    elif len(too_large) == 1:
        remedies.append(f"if it means no label: `no_label` {most}")
    remedy = (
        _split_names(names)
        or "; ".join(remedies)
        or f"give a name to each of its {len(found)} numbers, in rising order"
    )
    problem = f"{name} holds the label '{too_large[0]}', which has no name in {key}"
    raise DataError(problem, f"expected 0 to {count - 1}, found {least} to {most}", remedy)


def _without_name(
    label: str, expected: Sequence[str], name: str, key: str, no_label: Sequence[str] | None = None
) -> DataError:
    remedy = None
    if label.startswith("-"):
        remedy = f"if it means no label: `no_label` {','.join([*(no_label or ()), label])}"
    problem = f"{name} holds the label {label!r}, which has no name in {key}"
    return DataError(problem, f"expected {', '.join(expected)}", remedy)


def texts_of(values: np.ndarray) -> list[str]:
    """Texts of (N,) strings or bytes."""
    texts = values.tolist()
    return [text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else str(text) for text in texts]


def unpacked_names(values: np.ndarray) -> np.ndarray:
    """Names of classes in the order of their numbers, from an array that holds them otherwise; any other as it is.

    That is pairs of a name and its number, in either order, as rows or as columns, of texts, bytes or whole numbers; or
    one text that is JSON, of a list of names, of an object with a name for each number or a number for each name, or of
    such pairs. Numbers are those from 0, each once; pairs that could be read in two ways stay as they are.
    """
    if values.size == 1 and values.dtype.kind in "US":
        try:
            found = json.loads(texts_of(values.reshape(-1))[0])
        except (ValueError, RecursionError):
            return values
        if isinstance(found, list) and found and all(isinstance(each, str) for each in found):
            return np.array(found)
        pairs = [*found.items()] if isinstance(found, dict) else found if isinstance(found, list) else []
        readings = _read_pairs(pairs)
    elif values.ndim == 2 and 2 in values.shape and values.dtype.kind in "iuUS":
        texts = np.array(texts_of(values.reshape(-1))).reshape(values.shape)
        readings = {reading for rows in (texts, texts.T) for reading in _read_pairs(rows.tolist())}
    else:
        return values
    return np.array(readings.pop()) if len(readings) == 1 else values


def _read_pairs(pairs: Sequence[Any]) -> set[tuple[str, ...]]:
    """The names in the order of their numbers, by every reading of pairs in which one column is the numbers from 0.

    Where one column alone has numbers, and no texts of such, and they are those, there is no other reading.
    """
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        return set()
    columns = [[pair[place] for pair in pairs if type(pair[place]) in (str, int)] for place in (0, 1)]
    found: dict[bool, set[tuple[str, ...]]] = {True: set(), False: set()}
    for numbers, names in (columns, columns[::-1]):
        texts = [str(number).strip() for number in numbers]
        if len(numbers) == len(names) == len(pairs) > 0 and {*texts} == {str(each) for each in range(len(pairs))}:
            certain = {*map(type, numbers)} == {int} and {*map(type, names)} == {str}
            in_order = sorted(zip(map(int, texts), names, strict=True), key=lambda pair: pair[0])
            found[certain].add(tuple(str(name).strip() for _, name in in_order))
    return found[True] or found[False]


def _given_names(class_names: np.ndarray, problem: str) -> tuple[str, ...]:
    texts = [composed(text.strip()) for text in texts_of(class_names.reshape(-1))]
    of_one_axis = class_names.size == max(class_names.shape, default=0) and class_names.dtype.kind in "iuUS"
    twice = next((text for text in texts if texts.count(text) > 1), None)
    if of_one_axis and texts and twice is None and "" not in texts:
        return tuple(texts)
    found = f"{class_names.dtype} of shape {class_names.shape}"
    if of_one_axis and texts:
        found = "an empty name" if twice is None or not twice else f"{twice!r} {texts.count(twice)} times"
    remedy = _split_names(texts) or "give (K,) texts: numpy.array(['cat', 'dog'])"
    if of_one_axis and (twice is not None or "" in texts):
        others = [f"{text}_{row}" if texts.count(text) > 1 or not text else text for row, text in enumerate(texts)]
        remedy = f"give each a name of its own, such as numpy.array({others[:12]}{' …' * (len(others) > 12)})"
    problem = f"{problem} that cannot name classes"
    raise DataError(problem, f"expected (K,) strings that all differ, found {found}", remedy)


def _split_names(texts: Sequence[str]) -> str | None:
    """The call that makes names of a single text that may hold several; None where there is none."""
    mark = next((mark for mark in ",;|\n\t " if len(texts) == 1 and mark in texts[0].strip()), None)
    if mark is None:
        return None
    call = f"[text.strip() for text in class_names.item().split({mark!r})]"
    return f"if it holds the names of {texts[0].count(mark) + 1} classes: class_names = {call}"
