"""What is known of a set of images besides these, as plain values, which are checked when they come from a file."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels

_LAYOUTS = ("NHW", "NHWC", "NCHW")


def facts_of(images: ImageSet) -> dict[str, Any]:
    """All but the images."""
    labels = {"codes": images.labels.codes.tolist(), "names": images.labels.names}
    kept = ("files", "name", "layout", "bad_files", "notes", "parts", "numpy")
    mappings = {"spans": dict(images.spans), "elsewhere": dict(images.elsewhere)}
    return {"labels": labels, **{name: getattr(images, name) for name in kept}, **mappings}


def image_set_of(facts: Mapping[str, Any], images: np.ndarray, name: str) -> ImageSet:
    """The images with their facts, those of a source that is called so now.

    Raises:
        ValueError, KeyError, TypeError: they are not of such images.
    """
    classes, codes = texts(facts["labels"]["names"]), facts["labels"]["codes"]
    whole = all(type(code) is int and -1 <= code < len(classes) for code in codes)
    files = None if facts["files"] is None else texts(facts["files"])
    if not whole or len(codes) != len(images) or (files is not None and len(files) != len(images)):
        raise ValueError("labels or names of other images")
    if facts["layout"] not in _LAYOUTS or len({*classes}) < len(classes):
        raise ValueError("no layout, or a class twice")
    labels = Labels(np.array(codes, np.int64), classes)
    notes = tuple(note.replace(text(facts["name"]), name) for note in texts(facts["notes"]))
    spans = {text(kind): (float(low), float(high)) for kind, (low, high) in facts["spans"].items()}
    elsewhere = {text(part): texts(of_part) for part, of_part in facts["elsewhere"].items()}
    return ImageSet(
        images, labels, files, name, facts["layout"], tuple(pairs(facts["bad_files"])), notes, texts(facts["parts"]),
        spans, text(facts["numpy"]), elsewhere,
    )  # fmt: skip


def text(value: Any) -> str:
    """The value, if it is a text; a TypeError for any other."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def texts(values: Any) -> tuple[str, ...]:
    """The values of a list, if they are texts; a TypeError for others."""
    if not isinstance(values, list):
        raise TypeError("no list")
    return tuple(map(text, values))


def pairs(values: Any) -> list[tuple[str, str]]:
    """The values of a list, if they are pairs of texts; a TypeError or ValueError for others."""
    return [(text(first), text(second)) for first, second in values]
