"""Which arrays of an archive are the images, their labels and the names of the classes, by whatever names they have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from latentcli.core.errors import DataError
from latentcli.data.array_labels import not_one_per_image, one_per_image

IMAGES = ("data", "images", "x", "image", "imgs", "img", "pictures", "picture", "pixels", "inputs", "input", "samples")
LABELS = ("labels", "y", "label", "targets", "target", "classes", "class", "categories", "category")
NAMES = ("class names", "classnames", "label names", "target names", "category names")
SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
}  # fmt: skip
"""Words of keys, in lower case. Of several images the first goes before the others; so do the first two of labels."""

_EXPECTED = ("data", "images", "x", "labels", "y", "class_names")
_CERTAIN = ("labels", "y")

Content = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Found:
    """Keys of an archive: of its labels and class names, None where it has none; and what to tell of the choice."""

    labels: str | None
    class_names: str | None
    notes: tuple[str, ...] = ()


def words(key: str) -> tuple[str, str]:
    """The split that a key names, or "", and its other words in lower case: ("train", "x") of ``X_train``."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()
    parts = re.findall(r"[a-z]+|[0-9]+", re.sub(rf"^([xy])(?={'|'.join(SPLITS)})", r"\1_", apart))
    split = next((SPLITS[part] for part in parts if part in SPLITS), "")
    return split, " ".join(part for part in parts if part not in SPLITS)


def of_split(content: Content, split: str, name: str) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The arrays of one split, where keys such as ``x_train`` and ``test_images`` name some; what is told of it.

    The split asked for; else the arrays that are of none; else the only split there is.

    Raises:
        DataError: there are several splits, and not the one asked for.
    """
    splits = {key: words(key)[0] for key in content}
    with_images = {splits[key]: None for key in content if words(key)[1] in IMAGES}
    named = [each for each in with_images if each]
    if not named:
        return dict(content), ()
    taken = split if split in named or "" in with_images else named[0]
    if taken not in named and "" not in with_images and len(named) > 1:
        raise DataError(f"{name} has no {split} split", f"found {', '.join(named)}")
    taken = taken if taken in named else ""
    kept = {key: array for key, array in content.items() if splits[key] in ("", taken)}
    if "" in with_images and taken:
        kept = {key: array for key, array in kept.items() if splits[key] or words(key)[1] in NAMES}
    others = ", ".join(each or "the others" for each in with_images if each != taken)
    if not others and taken == split:
        return kept, ()
    return kept, (f"{name}: its {taken or 'unnamed'} part is taken" + (f", not {others}" if others else ""),)


def images_of(content: Content, shaped: list[str]) -> str | None:
    """The key of the images; None where names and shapes leave none, or several.

    Args:
        content: the arrays.
        shaped: the keys of those that could be images.
    """
    named = sorted((key for key in content if words(key)[1] in IMAGES), key=lambda key: IMAGES.index(words(key)[1]))
    fitting = [key for key in named if key in shaped]
    for candidates in (fitting, named, shaped):
        if candidates and (len(candidates) == 1 or words(candidates[0])[1] in IMAGES[:3]):
            return candidates[0]
    return None


def count_of_labels(content: Content) -> int | None:
    """How many labels there are, where an array that is called so has one axis that counts; None where none has."""
    called = [array for key, array in content.items() if words(key)[1] in LABELS and array.dtype.kind in "biufUS"]
    counts = [array.size for array in called if array.ndim and array.size == max(array.shape)]
    return counts[0] if len(set(counts)) == 1 else None


def labels_of(content: Content, images: str, count: int, name: str) -> Found:
    """The keys of labels and of class names beside ``count`` images.

    Raises:
        DataError: several arrays could be the labels, or one that is called so has none for each image.
    """
    others = {key: array for key, array in content.items() if key != images}
    names = [key for key in others if words(key)[1] in NAMES]
    names += [key for key in others if words(key)[1] in ("classes", "categories") and _names(others[key], count)]
    class_names = next(iter(names), None)
    called = sorted(
        (key for key in others if words(key)[1] in LABELS and key not in names),
        key=lambda key: (LABELS.index(words(key)[1]), key not in LABELS),
    )
    fitting = [key for key in called if one_per_image(others[key], count) is not None]
    if called and (not fitting or (called[0] != fitting[0] and words(called[0])[1] in _CERTAIN)):
        raise not_one_per_image(others[called[0]], count, called[0], name)
    if not called:
        fitting = [key for key in others if key not in names and _could_be_labels(others[key], count)]
    certain = fitting[:1] if fitting and words(fitting[0])[1] in _CERTAIN else fitting
    if len(certain) > 1 and not all(np.array_equal(others[certain[0]], others[key]) for key in certain[1:]):
        raise DataError(
            f"{name} holds several arrays that could be the labels", f"found {_list(others, certain)}",
            "name the right one 'labels'",
        )  # fmt: skip
    found = certain[0] if certain else None
    one_hot = found is not None and others[found].ndim == 2 and count < others[found].size
    if one_hot and class_names is not None and others[class_names].shape != others[str(found)].shape[1:]:
        raise not_one_per_image(others[str(found)], count, str(found), name)
    notes = []
    if found is not None and not {images, found} <= set(_EXPECTED):
        notes.append(f"{name}: its images are {images}, its labels {found}")
    elif found is None and images not in _EXPECTED:
        notes.append(f"{name}: its images are {images}")
    if found is None and others:
        notes.append(f"{name}: no other array is one label an image: found {_list(others, [*others])}")
    if one_hot:
        notes.append(f"{name}: {found} are one-hot rows: the class is the number of the column, from 0")
    if found is not None and class_names not in (None, "class_names"):
        notes.append(f"{name}: {class_names} are the names of its classes")
    if left := [key for key in fitting if key != found and not np.array_equal(others[key], others[str(found)])]:
        notes.append(f"{name}: {', '.join(left)} could be labels, too, and {found} goes before")
    return Found(found, class_names, tuple(notes))


def _names(array: np.ndarray, count: int) -> bool:
    """Whether an array that is called classes names them: texts that all differ."""
    return array.ndim == 1 and array.dtype.kind in "US" and len(set(array.tolist())) == len(array) and len(array) > 0


def _could_be_labels(array: np.ndarray, count: int) -> bool:
    """Whether an array without a telling name can be labels: texts or whole numbers, not all of them different."""
    values = one_per_image(array, count) if array.dtype.kind in "iuUS" else None
    return values is not None and (count <= 2 or len(np.unique(values)) < count)


def _list(content: Content, keys: list[str]) -> str:
    more = f" and {len(keys) - 8} more" if len(keys) > 8 else ""
    return ", ".join(f"{key} {content[key].shape} {content[key].dtype}" for key in keys[:8]) + more
