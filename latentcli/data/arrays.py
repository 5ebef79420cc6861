"""Images from ``.npz`` and ``.npy`` files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.data import array_keys as keys
from latentcli.data import transparent
from latentcli.data.array_axes import WITH_ALPHA, hint_for_shape, layout_of, oriented
from latentcli.data.array_labels import encode_labels, one_per_image
from latentcli.formats.npz_reader import UnsafeArrays, read_npy, read_npz
from latentcli.formats.pixel_values import PixelRules, pixels_of
from latentcli.formats.regular_files import kind

SUFFIXES = (".npz", ".npy")

_SHAPES = "(N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels, or 2 or 4 with alpha"


def load(
    path: Path, split: str = "train", no_label: Sequence[str] | None = None, labelled: bool = True,
    rules: PixelRules | None = None,
) -> ImageSet:  # fmt: skip
    """The images of an array file, with labels where an archive has them.

    ``.npz``: images under ``data``, ``images``, ``x``, a name like these, or as the only image-shaped array; labels
    under ``labels`` or ``y``, a name like these, or as the only other array of as many whole numbers or texts; see
    ``array_keys``. ``class_names`` name them. Of keys such as ``x_train`` those of the split are taken. Other arrays
    are ignored. ``.npy``: images; uint8 ones stay on the disk, memory-mapped.

    Args:
        path: of the file.
        split: "train" or "test", where the keys of the archive name splits.
        no_label: the names that mean no label, as for ``read_labels``.
        labelled: whether labels are looked for.
        rules: what is said of the pixels.

    Raises:
        DataError: the file is missing, damaged, unsafe, or does not hold images as described.
    """
    name = path.name
    try:
        if path.suffix.lower() == ".npy":
            array, turned = oriented(read_npy(path, mmap=True), None, name)
            return to_images(array, name, rules).as_set(name, turned)
        content = read_npz(path)
    except UnsafeArrays as error:
        if kind(path) is None:
            raise DataError(f"there is no file {path}") from error
        remedy = "write it again: numpy.savez(file, data=images, labels=labels); labels are numbers or strings"
        raise DataError(f"{path} is not a file of plain arrays", f"found {error}", remedy) from error
    content, of_split = keys.of_split(content, split, name)
    key = _choose_images(content, name)
    array, turned = oriented(content[key], keys.count_of_labels(content), name)
    images = to_images(array, name, rules).as_set(name, (*of_split, *turned))
    if not labelled:
        return images
    found = keys.labels_of(content, key, len(images), name)
    values = None if found.labels is None else one_per_image(content[found.labels], len(images))
    if values is None:
        return replace(images, notes=images.notes + found.notes)
    class_names = None if found.class_names is None else content[found.class_names]
    labels, of_labels = encode_labels(values, class_names, name, no_label)
    return replace(images, labels=labels, notes=(*images.notes, *found.notes, *of_labels))


class Pixels(NamedTuple):
    """An array as images.

    Attributes:
        images: (N, C, H, W) uint8.
        layout: of the array.
        notes: what is to be told of its numbers.
        spans: as of an ``ImageSet``.
    """

    images: np.ndarray
    layout: str
    notes: tuple[str, ...]
    spans: dict[str, tuple[float, float]]

    def as_set(self, name: str, notes: Sequence[str]) -> ImageSet:
        """Unlabelled images, with these notes before their own."""
        return ImageSet(self.images, name=name, layout=self.layout, notes=(*notes, *self.notes), spans=self.spans)


def to_images(array: np.ndarray, name: str, rules: PixelRules | None = None) -> Pixels:
    """Images of numbers that mean pixels, a view where it can be.

    Args:
        array: in one of the layouts; of any type of numbers, see ``pixel_values``.
        name: of the data, for messages.
        rules: what is said of the pixels.

    Raises:
        DataError: another shape or type, no images, or values out of range.
    """
    layout = layout_of(array.shape)
    if layout is None:
        hint = hint_for_shape(array.shape, f"make it {_SHAPES}")
        raise DataError(f"{name} holds an array that is not images", f"expected {_SHAPES}, found {array.shape}", hint)
    if not array.size:
        raise DataError(f"{name} holds no images", f"its array has shape {array.shape}")
    rules = rules or PixelRules()
    images = array[:, np.newaxis] if layout == "NHW" else array.transpose(0, 3, 1, 2) if layout == "NHWC" else array
    if images.shape[1] in WITH_ALPHA:
        kept = f":{images.shape[1] - 1}" if images.shape[1] > 2 else "0"
        leave_out = f"data[..., {kept}]" if layout == "NHWC" else f"data[:, {kept}]"
        images, told, found = transparent.opaque(images, name, rules, leave_out)
    else:
        images, told, found = pixels_of(images, name, rules)
        if rules.background is not None:
            told.append(f"{name}: no transparency, so `background` was not used")
    return Pixels(images, layout, tuple(told), {kind: (span.low, span.high) for kind, span in found.items()})


def _choose_images(content: Mapping[str, np.ndarray], name: str) -> str:
    shaped = [
        key for key, array in content.items()
        if layout_of(array.shape) is not None and array.dtype.kind in "uifb" and keys.words(key)[1] not in keys.LABELS
    ]  # fmt: skip
    key = keys.images_of(content, shaped)
    if key is not None:
        return key
    found = ", ".join(f"{key} {array.shape}" for key, array in list(content.items())[:8]) or "no arrays"
    what = "more than one array that could be images" if shaped else "no array of images"
    remedy = f"name the images 'data': {_SHAPES}"
    if not shaped and len(content) > 1 and len({array.shape for array in content.values()}) == 1:
        remedy = "images of one size make one array: numpy.savez(file, data=numpy.stack(images))"
    raise DataError(f"{name} holds {what}", f"found {found}", remedy)
