"""Which arrays of an archive are the images, their labels and the names of the classes, by whatever names they have."""

import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from latentcli.core.errors import DataError
from latentcli.data.array_labels import (
    SavedAgain,
    column_of_classes,
    not_one_per_image,
    one_per_image,
    texts_of,
    unpacked_names,
)
from latentcli.data.splits import PART_OF, PARTS, part_of
from latentcli.formats.csv_text import PART_COLUMNS
from latentcli.formats.npz_reader import UnreadArray

IMAGES = ("data", "images", "x", "image", "imgs", "img", "pictures", "picture", "pixels", "inputs", "input", "samples")
LABELS = ("labels", "y", "label", "targets", "target", "classes", "class", "categories", "category")
"""Words of keys, in lower case. Of several images the first goes before the others; so do the first two of labels."""

_NAMES = re.compile(r"(.* )?(class|classes|labels?|targets?|category|categories) ?names")
_MAY_BE_NAMES = re.compile(
    r"(.* )?(names|classes|categories|{of}s? (list|map|mapping|dict)|{of} (to|2) {number}|{number} (to|2) {of}|"
    r"meta|metadata)".format(
        of="(class|classes|cls|label|category|name|target)",
        number="(idx|index|indices|id|ids|int|number|num|code|label)",
    )
)
_MAPS = re.compile(r".*\b(to|2|map|mapping|dict)\b.*")
"""Words of keys of class names; of arrays that are it where their texts are as many as the labels ask for; and of
those that can be nothing else."""
_NO_INDEX = (-1, -100)
"""Numbers that mean no label beside names: see ``encode_labels``."""

SOFT_LABELS = ("soft labels", "soft label", "soft targets", "probabilities", "probs")
_MOST_COLUMNS = 100  # labels an image, beyond which an array without a telling name is not looked at

_EXPECTED = ("data", "images", "x", "labels", "y", "class_names")
_CERTAIN = ("labels", "y")

_PARTS = PART_OF | {"tr": "train", "va": "val", "te": "test", "ts": "test"}
_SPLIT = "|".join(_PARTS)
_ROWS = ("idx", "idxs", "index", "indexes", "indices", "rows")
_TRUTH = ("is", "in", "mask", "flag", "flags")
"""Words beside that of a part: of an array of rows, and of one that says of each image whether it is of this part."""

Content = Mapping[str, UnreadArray]


@dataclass(frozen=True)
class Found:
    """What an archive holds beside its images.

    Attributes:
        labels: the key of its labels; None where it has none.
        names_key: that of the names of its classes; None where it has none.
        class_names: these names.
        notes: what to tell of the choice.
    """

    labels: str | None
    names_key: str | None
    class_names: np.ndarray | None
    notes: tuple[str, ...] = ()


def words(key: str) -> tuple[str, str]:
    """The part that a key names, or "", and its other words in lower case: ("train", "x") of ``X_train``."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()
    apart = re.sub(rf"^({_SPLIT})([xy])$", r"\1_\2", re.sub(rf"^([xy])(?={_SPLIT})", r"\1_", apart))
    found = re.findall(r"[a-z]+|[0-9]+", apart)
    part = next((_PARTS[word] for word in found if word in _PARTS), "")
    return part, " ".join(word for word in found if word not in _PARTS)


def is_called(key: str, names: Collection[str]) -> bool:
    """Whether a key has one of these names, whatever part it is of."""
    return words(key)[1] in names


def names_classes(key: str) -> bool:
    """Whether a key says that it is of the names of classes, such as ``fine_label_names``."""
    return _NAMES.fullmatch(words(key)[1]) is not None


def may_name_classes(key: str) -> bool:
    """Whether a key is called so, or as something that the names of classes may be, such as ``class_to_idx``."""
    return names_classes(key) or _MAY_BE_NAMES.fullmatch(words(key)[1]) is not None


def parts_of(keys: Iterable[str], shaped: Collection[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The keys of each part, where keys such as ``x_train`` and ``test_images`` name some; and images of no part.

    Images without a part in their key are those for training, where no others are; names of classes are of all parts.

    Args:
        keys: of all arrays.
        shaped: the keys of those that could be images.
    """
    of_part: dict[str, list[str]] = {"": []}
    for key in keys:
        of_part.setdefault(words(key)[0], []).append(key)
    images = {key for of in of_part.values() for key in of if _called_images(key, shaped)} or set(shaped)
    of_none = of_part.pop("")
    unnamed = [key for key in of_none if key in images]
    of_all = [key for key in of_none if names_classes(key)] if unnamed else of_none
    parts = {part: of + of_all for part, of in of_part.items() if images.intersection(of)}
    if not parts:
        return {}, []
    beside = unnamed if "train" in parts else []
    if unnamed and not beside:
        parts["train"] = of_part.get("train", []) + of_none
    return {part: parts[part] for part in PARTS if part in parts}, beside


@dataclass(frozen=True)
class PartsByImage:
    """What arrays tell of the part of each image.

    Attributes:
        keys: of these arrays, which are no labels.
        rows: of each part; empty where there is none that can be read.
        left: how many images are of no part.
        notes: what to tell of arrays that are not understood.
    """

    keys: tuple[str, ...] = ()
    rows: Mapping[str, np.ndarray] = field(default_factory=dict)
    left: int = 0
    notes: tuple[str, ...] = ()


def parts_by_image(content: Content, count: int, again: SavedAgain) -> PartsByImage:
    """The part of each of ``count`` images, where arrays of the archive that can be saved ``again`` tell it.

    That is an array such as ``split`` of texts such as "train"; or truth values, such as ``is_train`` and
    ``test_mask``; or rows, from 0, such as ``train_idx``. Where the last two tell one part alone, all other images are
    for testing, and for training where that part is not. Numbers in ``split`` are told, and never guessed at.
    """
    notes = []
    each = [key for key, array in content.items() if is_called(key, PART_COLUMNS) and _one_each(array, count)]
    for key in each:
        values = content[key].read().reshape(-1)
        of_each = [part_of(str(text)) for text in values.astype(str).tolist()] if values.dtype.kind in "US" else [None]
        if None not in of_each:
            rows = {part: np.array([row for row, of in enumerate(of_each) if of == part]) for part in PARTS}
            return PartsByImage((*each,), {part: of for part, of in rows.items() if len(of)})
        notes.append(_not_parts(values, key, again))
    told = {key: of for key, array in content.items() if (of := _rows_of_part(key, array, count)) is not None}
    keys, named = (*each, *told), {words(key)[0]: of for key, of in told.items()}
    every = np.concatenate([*named.values()]) if named else np.array([], int)
    if len(named) < len(told) or len(set(every.tolist())) != len(every) or not set(every) <= set(range(count)):
        found = f"expected rows from 0 to {count - 1}, each in one of them"
        return PartsByImage(keys, {}, 0, (*notes, f"{again.name}: {', '.join(told)} were not read as parts: {found}"))
    left = np.setdiff1d(np.arange(count), every)
    if named and len(left) and ("train" not in named or len(named) == 1):
        named["test" if "train" in named else "train"], left = left, left[:0]
    rows = {part: named[part] for part in PARTS if part in named and len(named[part])}
    return PartsByImage(keys, rows, len(left) if rows else 0, () if rows else tuple(notes))


_LABELLED = re.compile(
    r"(?:(?:is|mask) )?(un)?label{1,2}ed(?: (?:mask|flags?|(idxs?|index|indexes|indices|rows)))?|has labels?"
)
"""Words of the key of an array that tells which images are labelled."""


def labelled_by(content: Content, count: int, again: SavedAgain) -> tuple[str | None, np.ndarray | None, list[str]]:
    """The key of an array that tells which of ``count`` images are labelled, a truth value of each; and notes.

    Such as ``labeled``, ``is_labelled`` and ``unlabeled_mask``, of truth values, or ``labeled_idx``, of rows from 0.
    """
    notes = []
    for key, array in content.items():
        found = _LABELLED.fullmatch(words(key)[1])
        if found is None or array.dtype.kind not in "biuf":
            continue
        values = array.read().reshape(-1)
        if found[2] and array.dtype.kind in "iu" and set(values.tolist()) <= {*range(count)}:
            told = np.isin(np.arange(count), values)
        elif not found[2] and len(values) == count and ((values == 0) | (values == 1)).all():
            told = values.astype(bool)
        else:
            wanted = f"rows from 0 to {count - 1}" if found[2] else f"{count} truth values"
            notes.append(f"{again.name}: {key} was not read, as it is not which images are labelled: expected {wanted}")
            continue
        return key, ~told if found[1] else told, notes
    return None, None, notes


def _one_each(array: UnreadArray, count: int) -> bool:
    return bool(array.ndim) and array.size == count == max(array.shape) and array.dtype.kind in "biufUS"


def _rows_of_part(key: str, array: UnreadArray, count: int) -> np.ndarray | None:
    """The rows of the part that a key such as ``is_train`` or ``train_idx`` names; None for any other array."""
    part, rest = words(key)
    if not part or array.ndim != 1:
        return None
    if rest in _ROWS and array.dtype.kind in "iu":
        return array.read().astype(np.int64)
    if rest in _TRUTH and len(array) == count and array.dtype.kind in "biuf":
        values = array.read()
        return np.flatnonzero(values) if ((values == 0) | (values == 1)).all() else None
    return None


def _not_parts(values: np.ndarray, key: str, again: SavedAgain) -> str:
    """What to tell of an array that should name the part of each image and does not, with what makes it do so."""
    distinct = np.unique(values).tolist()
    found = f"found {', '.join(map(repr, distinct[:8]))}{' …' * (len(distinct) > 8)}"
    what = f"{again.name}: {key} was not read as parts: expected such as 'train', 'val' and 'test', {found}"
    if len(distinct) > 8:
        return f"{what}; write one of these three for each image"
    known = [part_of(str(value)) if values.dtype.kind in "US" else None for value in distinct]
    unknown = [place for place, part in enumerate(known) if part is None]
    free = [part for part in (("train", "test") if len(distinct) < 3 else PARTS) if part not in known]
    given = dict.fromkeys(unknown, "train") | dict(
        zip(reversed(unknown), reversed(free[-len(unknown) :]), strict=False)
    )
    names = [part or given[place] for place, part in enumerate(known)]
    value = f"numpy.array({names})[numpy.unique(f[{key!r}], return_inverse=True)[1]]"
    return f"{what}; name the part of each of them, such as {again.replaced(key, value, 'parts')}"


def _called_images(key: str, shaped: Collection[str]) -> bool:
    """Whether a key says that it is of images: by one of the words, or by its part alone, as ``test``."""
    part, rest = words(key)
    return rest in IMAGES or bool(part and not rest and key in shaped)


def images_of(content: Content, shaped: list[str]) -> str | None:
    """The key of the images; None where names and shapes leave none, or several.

    Args:
        content: the arrays.
        shaped: the keys of those that could be images.
    """
    named = sorted((key for key in content if is_called(key, IMAGES)), key=lambda key: IMAGES.index(words(key)[1]))
    fitting = [key for key in named if key in shaped]
    for candidates in (fitting, named, shaped):
        if candidates and (len(candidates) == 1 or words(candidates[0])[1] in IMAGES[:3]):
            return candidates[0]
    return None


def count_of_labels(content: Content) -> int | None:
    """How many labels there are, where an array that is called so has one axis that counts; None where none has."""
    called = [array for key, array in content.items() if is_called(key, LABELS) and array.dtype.kind in "biufUS"]
    counts = [array.size for array in called if array.ndim and array.size == max(array.shape)]
    return counts[0] if len(set(counts)) == 1 else None


def labels_of(content: Content, images: str, count: int, again: SavedAgain) -> Found:
    """The keys of labels and of class names beside ``count`` images, of the archive that can be saved ``again``.

    Raises:
        DataError: several arrays could be the labels, or one that is called so has none for each image.
    """
    name, others = again.name, {key: array for key, array in content.items() if key != images}
    names = [key for key in others if names_classes(key)]
    names += [key for key in others if key not in names and _names(key, others[key], count)]
    called = sorted(
        (key for key in others if is_called(key, LABELS) and key not in names),
        key=lambda key: (LABELS.index(words(key)[1]), key not in LABELS),
    )
    of_classes = {
        key: unpacked_names(others[key].read()).reshape(-1) for key in names if others[key].dtype.kind in "US"
    }
    again = replace(again, class_names={key: texts_of(values) for key, values in of_classes.items()})
    fitting = [key for key in called if _labels(others[key], count) is not None]
    if called and (not fitting or (called[0] != fitting[0] and is_called(called[0], _CERTAIN))):
        raise not_one_per_image(others[called[0]].read(), count, called[0], _like(called[0], again))
    if not called:
        names = [key for key in names if not (others[key].dtype.kind in "US" and _could_be_labels(others[key], count))]
        fitting = [key for key in others if key not in names and _could_be_labels(others[key], count)]
    certain = fitting[:1] if fitting and is_called(fitting[0], _CERTAIN) else fitting
    if len(certain) > 1 and not all(_alike(others[certain[0]], others[key]) for key in certain[1:]):
        raise DataError(
            f"{name} holds several arrays that could be the labels", f"found {_list(others, certain)}",
            f"name the right one 'labels', such as {again.named('labels', certain[0])}",
        )  # fmt: skip
    found = certain[0] if certain else None
    one_hot = found is not None and others[found].ndim == 2 and count < others[found].size
    names_key, class_names, notes = _class_names(others, names, found, count, again)
    if found and one_hot and class_names is not None and class_names.size != others[found].shape[1]:
        raise DataError(
            f"{name} holds one-hot {found} of shape {others[found].shape}, and other {names_key}",
            f"expected a name for each column, found {class_names.shape}", "name each column",
        )  # fmt: skip
    if found is not None and not {images, found} <= set(_EXPECTED):
        notes.append(f"{name}: its images are {images}, its labels {found}")
    elif found is None and images not in _EXPECTED:
        notes.append(f"{name}: its images are {images}")
    if found is None and others:
        notes.append(f"{name}: no other array is one label an image: found {_list(others, [*others])}")
        notes += _several_columns(others, count, again)
    if one_hot:
        notes.append(f"{name}: {found} are one-hot rows: the class is the number of the column, from 0")
    if left := [key for key in fitting if key != found and not _alike(others[key], others[str(found)])]:
        notes.append(f"{name}: {', '.join(left)} could be labels, too, and {found} goes before")
    return Found(found, names_key, class_names, tuple(notes))


def _class_names(
    content: Content, names: Sequence[str], labels: str | None, count: int, again: SavedAgain
) -> tuple[str | None, np.ndarray | None, list[str]]:  # fmt: skip
    """The key of the names of classes and these names, of the ``names`` that could be such; and what to tell of them.

    Those that fit the labels go before others, and those that share words with the labels' key; a key that is called
    so certainly is taken even where it does not fit, for the message that says why.
    """
    values = None if labels is None else one_per_image(content[labels].read(), count)
    if labels is None or values is None:
        return None, None, []
    given = {key: unpacked_names(content[key].read()) for key in names}
    shared = {key: len({*words(key)[1].split()} & {*words(labels)[1].split()}) for key in names}
    columns = content[labels].shape[1] if content[labels].size > count else None
    fit = {key: _names_fit(given[key], values, columns) for key in names}
    ranked = sorted(
        names, key=lambda key: (not fit[key], not names_classes(key), -shared[key], len(given[key].ravel()))
    )
    chosen = next((key for key in ranked if fit[key] or names_classes(key)), None)
    notes = [f"{again.name}: {chosen} are the names of its classes"] * (chosen not in (None, "class_names"))
    if left := [key for key in ranked if key != chosen]:
        why = "and do not fit the labels" if chosen is None else f"and {chosen} goes before"
        notes.append(f"{again.name}: {_list(content, left)} may name classes, {why}")
    unread = [key for key in content if key not in (*names, labels) and _maps_classes(key) and content[key].ndim < 3]
    if unread:
        expected = "expected each number from 0 once, and its name"
        notes.append(f"{again.name}: {_list(content, unread)} may name classes, and is not understood: {expected}")
    if chosen is None:
        notes += [_not_taken(key, again) for key in content if key not in names and _as_many(content[key], values)][:1]
    return chosen, None if chosen is None else given[chosen], notes


def _names_fit(names: np.ndarray, labels: np.ndarray, columns: int | None) -> bool:
    """Whether names are of all labels, whole numbers from 0 or some of the names; and as many as ``columns``."""
    texts = {text.strip() for text in texts_of(names.ravel())}
    if names.dtype.kind not in "US" or len(texts) < names.size or columns not in (None, names.size):
        return False
    if labels.dtype.kind in "US":
        return {text.strip() for text in texts_of(labels)} <= texts | {""}
    known = labels[~np.isnan(labels)]
    return bool(((known < names.size) & ((known >= 0) | np.isin(known, _NO_INDEX))).all())


def _as_many(array: UnreadArray, labels: np.ndarray) -> bool:
    """Whether an array holds texts that all differ, or pairs, one for each of the numbers that the labels are."""
    count = int(labels.max()) + 1 if labels.dtype.kind in "iu" and len(labels) > 0 else 0
    if array.ndim == 2 and array.size == 2 * count and array.dtype.kind in "US":
        return unpacked_names(array.read()).ndim == 1
    return count == array.size > 1 and _differ(array, len(labels))


def _not_taken(key: str, again: SavedAgain) -> str:
    what = f"{again.name}: {key} has as many texts as there are classes; if it names them"
    return f"{what}: {again.named('class_names', key)}"


def _several_columns(content: Content, count: int, again: SavedAgain) -> list[str]:
    """What to do with an array that has several whole numbers or texts an image, or soft labels; at most one note."""
    for key, array in content.items():
        if array.ndim != 2 or len(array) != count:
            continue
        if is_called(key, SOFT_LABELS) and array.dtype.kind == "f":
            likeliest = _like(key, again).changed(".argmax(axis=1)", "likeliest")
            learns = f"train-cnn DATA --hybrids {shlex.quote(again.name)} learns from {key}"
            return [f"{again.name}: {learns}; the likeliest class of each: {likeliest}"]
        if array.dtype.kind in "iuUS" and array.shape[1] <= _MOST_COLUMNS:
            values = array.read()
            if (column := column_of_classes(values)) is not None:
                what = f"{again.name}: {key} has {array.shape[1]} columns"
                return [f"{what}; where one holds the classes, {_like(key, again).with_column(values, column)}"]
    return []


def _like(key: str, archive: SavedAgain) -> SavedAgain:
    """The archive, with the keys that are called as this one, in all its parts."""
    return replace(archive, keys=[each for each in archive.keys if words(each)[1] == words(key)[1]])


def _labels(array: UnreadArray, count: int) -> np.ndarray | None:
    """(N,) labels of as many images; None for an array that is none, which is not read where its shape tells it."""
    one_axis = array.size == count and array.ndim and max(array.shape) == count
    rows = array.ndim == 2 and len(array) == count and array.dtype.kind in "biuf"
    return one_per_image(array.read(), count) if one_axis or rows else None


def _names(key: str, array: UnreadArray, count: int) -> bool:
    """Whether an array may be names of classes by its key: texts that all differ, not one an image, JSON, or pairs."""
    pairs = array.ndim == 2 and 2 in array.shape and array.dtype.kind in ("iuUS" if _maps_classes(key) else "US")
    if pairs and may_name_classes(key) and unpacked_names(array.read()).ndim == 1:
        return True
    if not may_name_classes(key) or array.dtype.kind not in "US" or not array.size:
        return False
    if array.size == 1:
        return texts_of(array.read().reshape(-1))[0].lstrip().startswith(("[", "{"))
    return _differ(array, None if words(key)[1] in LABELS else count)


def _maps_classes(key: str) -> bool:
    """Whether a key says that its array tells the number of each class, such as ``class_to_idx``."""
    return may_name_classes(key) and _MAPS.fullmatch(words(key)[1]) is not None


def _differ(array: UnreadArray, count: int | None) -> bool:
    """Whether an array has one axis of texts that all differ, and not as many as ``count``."""
    one_axis = array.ndim > 0 and array.size == max(array.shape) and array.size != count
    return one_axis and array.dtype.kind in "US" and len({*array.read().ravel().tolist()}) == array.size


def _could_be_labels(array: UnreadArray, count: int) -> bool:
    """Whether an array without a telling name can be labels: texts or whole numbers, not all of them different."""
    values = _labels(array, count) if array.dtype.kind in "iuUS" else None
    return values is not None and (count <= 2 or len(np.unique(values)) < count)


def _alike(one: UnreadArray, other: UnreadArray) -> bool:
    return one.shape == other.shape and np.array_equal(one.read(), other.read())


def _list(content: Content, keys: list[str]) -> str:
    more = f" and {len(keys) - 8} more" if len(keys) > 8 else ""
    return ", ".join(f"{key} {content[key].shape} {content[key].dtype}" for key in keys[:8]) + more
