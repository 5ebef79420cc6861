"""Images from ``.npz`` and ``.npy`` files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.data.labels import encode_labels
from latentcli.formats.npz_reader import UnsafeArrays, read_npy, read_npz
from latentcli.formats.pixel_values import Span, pixels_of
from latentcli.formats.regular_files import kind

SUFFIXES = (".npz", ".npy")
IMAGE_KEYS = ("data", "images", "x")
LABEL_KEYS = ("labels", "y")

_CHANNELS = (1, 3)
_SHAPES = "(N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels"


def load(path: Path, span: Span | None = None) -> ImageSet:
    """The images of an array file, with labels where an archive has them.

    ``.npz``: images under ``data``, ``images``, ``x`` or as the only image-shaped array; optionally ``labels`` or ``y``
    (N,) and ``class_names``, see ``encode_labels``. Other arrays are ignored. ``.npy``: images; uint8 ones stay on the
    disk, memory-mapped.

    Raises:
        DataError: the file is missing, damaged, unsafe, or does not hold images as described.
    """
    name, notes = path.name, list[str]()
    try:
        if path.suffix.lower() == ".npy":
            images, layout = to_images(read_npy(path, mmap=True), name, span, notes)
            return ImageSet(images, name=name, layout=layout, notes=tuple(notes))
        content = read_npz(path)
    except UnsafeArrays as error:
        if kind(path) is None:
            raise DataError(f"there is no file {path}") from error
        remedy = "write it again: numpy.savez(file, data=images, labels=labels); labels are numbers or strings"
        raise DataError(f"{path} is not a file of plain arrays", f"found {error}", remedy) from error
    images, layout = to_images(_choose_images(content, name), name, span, notes)
    return ImageSet(images, _labels(content, len(images), name), name=name, layout=layout, notes=tuple(notes))


def to_images(
    array: np.ndarray, name: str, span: Span | None = None, notes: list[str] | None = None
) -> tuple[np.ndarray, str]:  # fmt: skip
    """(N, C, H, W) uint8 of numbers that mean pixels, a view where it can be; the layout of the array given.

    Args:
        array: in one of the layouts; of any type of numbers, see ``pixel_values``.
        name: of the data, for messages.
        span: which numbers are black and white; None: by the rule of ``pixel_values``.
        notes: gets a line where the numbers were not plain.

    Raises:
        DataError: another shape or type, no images, or values out of range.
    """
    layout = _layout(array.shape)
    if layout is None:
        hint = "a row per image? reshape it: data.reshape(-1, 28, 28)" if array.ndim == 2 else f"make it {_SHAPES}"
        raise DataError(f"{name} holds an array that is not images", f"expected {_SHAPES}, found {array.shape}", hint)
    if not array.size:
        raise DataError(f"{name} holds no images", f"its array has shape {array.shape}")
    array, told = pixels_of(array, name, span)
    if notes is not None:
        notes += told
    if layout == "NHW":
        return array[:, np.newaxis], layout
    return (array.transpose(0, 3, 1, 2) if layout == "NHWC" else array), layout


def _layout(shape: tuple[int, ...]) -> str | None:
    if len(shape) != 4:
        return "NHW" if len(shape) == 3 else None
    return "NHWC" if shape[3] in _CHANNELS else "NCHW" if shape[1] in _CHANNELS else None


def _choose_images(content: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    for key in IMAGE_KEYS:
        if key in content:
            return content[key]
    others = {key: array for key, array in content.items() if key not in (*LABEL_KEYS, "class_names")}
    shaped = [key for key, array in others.items() if _layout(array.shape) is not None and array.dtype.kind in "uifb"]
    if len(shaped) == 1:
        return others[shaped[0]]
    found = ", ".join(f"{key} {array.shape}" for key, array in list(content.items())[:8]) or "no arrays"
    what = "more than one array that could be images" if shaped else "no array of images"
    raise DataError(f"{name} holds {what}", f"found {found}", f"name the images 'data': {_SHAPES}")


def _labels(content: Mapping[str, np.ndarray], count: int, name: str) -> Labels:
    key = next((key for key in LABEL_KEYS if key in content), None)
    if key is None:
        return Labels.none(count)
    values = content[key]
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        hint = "of one-hot rows: labels.argmax(axis=1)" if values.ndim == 2 else "one label per image"
        raise DataError(f"{name} holds {key} of shape {values.shape}", f"expected ({count},)", f"make it {hint}")
    if len(values) != count:
        remedy = "give one label per image, in order"
        raise DataError(f"{name} holds {count} images and {len(values)} {key}", None, remedy)
    return encode_labels(values, content.get("class_names"), name)
