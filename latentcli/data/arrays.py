"""Images from ``.npz`` and ``.npy`` files."""

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import SMALLEST, ImageSet
from latentcli.core.labels import UNLABELLED
from latentcli.data import array_keys as keys
from latentcli.data import splits, transparent
from latentcli.data.array_axes import WITH_ALPHA, hint_for_shape, layout_of, oriented
from latentcli.data.array_labels import SavedAgain, encode_labels, one_per_image
from latentcli.formats.npz_reader import NpzArchive, UnreadArray, UnreadType, UnsafeArrays, open_npz, read_npy
from latentcli.formats.pixel_values import PixelRules, pixels_of
from latentcli.formats.regular_files import kind

SUFFIXES = (".npz", ".npy")
_OF_LABELS = (".npy", ".csv", ".tsv", ".json")
_MOST_BESIDE = 10_000  # files of a folder that are looked at

_SHAPES = "(N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels, or 2 or 4 with alpha"


def load(
    path: Path, wanted: splits.Wanted | None = None, no_label: Sequence[str] | None = None, labelled: bool = True,
    rules: PixelRules | None = None,
) -> ImageSet:  # fmt: skip
    """The images of an array file, with labels where an archive has them.

    ``.npz``: images under ``data``, ``images``, ``x``, a name like these, or as the only image-shaped array; labels
    under ``labels`` or ``y``, a name like these, or as the only other array of as many whole numbers or texts; see
    ``array_keys``. ``class_names`` name them. Of keys such as ``x_train`` those of the split are taken. Other arrays
    are not read. ``.npy``: images; uint8 ones stay on the disk, memory-mapped.

    Args:
        path: of the file.
        wanted: the part, where the keys of the archive name some: see ``array_keys.parts_of``; None: for training.
        no_label: the names that mean no label, as for ``read_labels``.
        labelled: whether labels are looked for.
        rules: what is said of the pixels.

    Raises:
        DataError: the file is missing, damaged, unsafe, or does not hold images as described.
    """
    name, wanted = str(path), wanted or splits.Wanted()
    try:
        if path.suffix.lower() == ".npy":
            wanted.check_whole(name, "expected an .npz file with arrays such as x_train and x_test")
            array, turned, numpy = oriented(read_npy(path, mmap=True), None, name)
            found = to_images(array, name, rules, numpy).as_set(name, turned)
        else:
            with open_npz(path) as archive:
                found = _of_archive(archive, path, wanted, no_label, labelled, rules)
        if labelled and not found.labels.any:
            found = replace(found, notes=(*found.notes, *_labels_beside(path, len(found))))
        return found
    except UnreadType as error:
        raise _unread_images(name, str(error)) from error
    except UnsafeArrays as error:
        if kind(path) is None:
            raise DataError(f"there is no file {path}") from error
        remedy = "write it again: numpy.savez(file, data=images, labels=labels); labels are numbers or strings"
        raise DataError(f"{path} is not a file of plain arrays", f"found {error}", remedy) from error


def _of_archive(
    archive: NpzArchive, path: Path, wanted: splits.Wanted, no_label: Sequence[str] | None, labelled: bool,
    rules: PixelRules | None,
) -> ImageSet:  # fmt: skip
    name, content, refused, notes = str(path), archive.arrays, archive.refused, list[str]()
    parts, beside = keys.parts_of([*content, *refused], _shaped(content))
    if parts:
        of_part, note = splits.chosen(name, parts, wanted, beside)
        content = {key: content[key] for key in of_part if key in content}
        refused = {key: refused[key] for key in of_part if key in refused}
        notes.append(note)
    notes += _left_out(content, refused, labelled, name)
    again = SavedAgain(path, archive.arrays, archive.refused)
    key = _choose_images(content, again)
    array, turned, numpy = oriented(content[key].read(), keys.count_of_labels(content), name)
    pixels = to_images(array, name, rules, numpy, keys.count_of_labels(content))
    found = replace(pixels.as_set(name, turned), parts=tuple(parts))
    notes += found.notes
    by_image = keys.PartsByImage() if parts else keys.parts_by_image(content, len(found), again)
    notes += by_image.notes
    if not parts and not by_image.rows:
        found_parts = "; ".join(by_image.notes) or "expected arrays such as x_train and x_test, or one such as split"
        wanted.check_whole(name, found_parts)
    if labelled:
        mask_key, mask, told_of_mask = keys.labelled_by(content, len(found), again)
        others = {each: array for each, array in content.items() if each not in (*by_image.keys, mask_key)}
        of_labels = keys.labels_of(others, key, len(found), again)
        notes += of_labels.notes
        if of_labels.labels is not None:
            values = one_per_image(content[of_labels.labels].read(), len(found))
            assert values is not None  # see labels_of
            names_key = of_labels.names_key or "class_names"
            labels, told = encode_labels(values, of_labels.class_names, name, no_label, names_key)
            if mask is not None:
                labels = replace(labels, codes=np.where(mask, labels.codes, UNLABELLED))
                without = f"{int((~mask).sum())} of {len(found)} images are unlabelled"
                told_of_mask.append(f"{name}: by its {mask_key}, {without}")
            found, notes = replace(found, labels=labels), [*notes, *told]
        notes += told_of_mask
    if by_image.rows:
        told_by = f"array{'s' * (len(by_image.keys) > 1)} {' and '.join(by_image.keys)}"
        beside = [f"{by_image.left} images of no part"] if by_image.left else []
        rows, note = splits.chosen(f"{name} (by its {told_by})", by_image.rows, wanted, beside)
        found, notes = replace(found.take(rows), parts=tuple(by_image.rows)), [note, *notes]
    return replace(found, notes=tuple(notes))


def _labels_beside(path: Path, count: int) -> list[str]:
    """What to tell of a file beside this one that may be its labels, by its name: ``y_train.npy`` of ``x_train.npy``.

    An ``.npy`` file has to have a label for each of ``count`` images. At most one note.
    """
    part, rest = keys.words(path.stem)
    stem = [word for word in rest.split() if word not in keys.IMAGES]
    for each in sorted(islice(path.parent.glob("*"), _MOST_BESIDE)):
        other_part, other = keys.words(each.stem)
        without = [word for word in other.split() if word not in keys.LABELS]
        of_labels = other_part == part and without == stem and len(without) < len(other.split())
        if each.suffix.lower() not in _OF_LABELS or not of_labels:
            continue
        if each.suffix.lower() == ".npy":
            try:
                values = read_npy(each)
            except UnsafeArrays:
                continue
            if one_per_image(values, count) is None:
                continue
        return [f"{path} has no labels; if {each} holds them: `labels` {shlex.quote(str(each))}"]
    return []


class Pixels(NamedTuple):
    """An array as images.

    Attributes:
        images: (N, C, H, W) uint8.
        layout: of the array.
        notes: what is to be told of its numbers.
        spans, numpy: as of an ``ImageSet``.
    """

    images: np.ndarray
    layout: str
    notes: tuple[str, ...]
    spans: dict[str, tuple[float, float]]
    numpy: str

    def as_set(self, name: str, notes: Sequence[str]) -> ImageSet:
        """Unlabelled images, with these notes before their own."""
        notes = (*notes, *self.notes)
        return ImageSet(self.images, name=name, layout=self.layout, notes=notes, spans=self.spans, numpy=self.numpy)


def to_images(
    array: np.ndarray, name: str, rules: PixelRules | None = None, numpy: str = "data", count: int | None = None
) -> Pixels:  # fmt: skip
    """Images of numbers that mean pixels, a view where it can be.

    Args:
        array: in one of the layouts; of any type of numbers, see ``pixel_values``.
        name: of the data, for messages.
        rules: what is said of the pixels.
        numpy: the expression that makes the array of that of the source.
        count: of the labels beside it, for messages; None where there are none.

    Raises:
        DataError: another shape or type, no images, or values whose black and white are unclear.
    """
    layout = layout_of(array.shape)
    if layout is None:
        hint = hint_for_shape(array.shape, f"make it {_SHAPES}", count)
        raise DataError(f"{name} holds an array that is not images", f"expected {_SHAPES}, found {array.shape}", hint)
    if not array.size:
        raise DataError(f"{name} holds no images", f"its array has shape {array.shape}")
    rules = rules or PixelRules()
    images = array[:, np.newaxis] if layout == "NHW" else array.transpose(0, 3, 1, 2) if layout == "NHWC" else array
    if images.shape[1] in WITH_ALPHA:
        axes, kept = "..." if layout == "NHWC" else ":", images.shape[1] - 1
        leave_out = f"{numpy}[{axes}, {f':{kept}' if kept > 1 else 0}]"
        numpy = f"{numpy}[{axes}, :{kept}]"
        images, told, found = transparent.opaque(images, name, rules, leave_out)
    else:
        images, told, found = pixels_of(images, name, rules)
        if rules.background is not None:
            told.append(f"{name}: no transparency, so `background` was not used")
    return Pixels(images, layout, tuple(told), {kind: (span.low, span.high) for kind, span in found.items()}, numpy)


def _shaped(content: Mapping[str, UnreadArray]) -> list[str]:
    """The keys of arrays that could be images."""
    return [
        key for key, array in content.items()
        if layout_of(array.shape) is not None and array.dtype.kind in "uifb" and keys.words(key)[1] not in keys.LABELS
    ]  # fmt: skip


def _left_out(
    content: Mapping[str, UnreadArray], refused: Mapping[str, str], labelled: bool, name: str
) -> list[str]:  # fmt: skip
    """What to tell of arrays that are not read: a DataError where they are the images, or the labels that count."""
    for key, why in refused.items():
        if keys.is_called(key, keys.IMAGES) and not any(keys.is_called(each, keys.IMAGES) for each in content):
            raise _unread_images(f"{name}: {key}", why)
        of_labels = labelled and keys.is_called(key, keys.LABELS)
        if of_labels and not any(keys.is_called(each, keys.LABELS) for each in content):
            texts = f"['' if label is None else str(label) for label in {key}]"
            remedy = f"where it is made, make them texts: {texts}; or leave them out: `no_classes`"
            raise DataError(f"{name}: {key} is {why}", "expected labels that are whole numbers or texts", remedy)
    if refused and not _shaped(content):
        raise _unread_images(f"{name}: {', '.join([*refused][:8])}", next(iter(refused.values())))
    made = {"objects": "{}.astype(str)", "structures": "numpy.array({}.tolist())"}
    calls = {
        key: "json.dumps({})" if why.endswith("shape ()") else call
        for key, why in refused.items() for mark, call in made.items()
        if labelled and keys.may_name_classes(key) and mark in why
    }  # fmt: skip
    return [
        *(f"{name}: not read: {', '.join(key for key in refused if refused[key] == why)}, {why}"
          for why in dict.fromkeys(refused.values())),
        *(f"{name}: if {key} names its classes, save it as texts, where it is made: {key}={call.format(key)}"
          for key, call in calls.items()),
    ]  # fmt: skip


def _unread_images(what: str, why: str) -> DataError:
    remedy = (
        "where it is made, stack images of one size: numpy.savez(file, data=numpy.stack(images)); save those of "
        "several sizes as files in a folder: PIL.Image.fromarray(image).save(...) for each"
    )
    if "structures" in why:
        remedy = "save its fields as arrays: numpy.savez(file, data=array[FIELD], labels=array[FIELD])"
    made = {"complex": "numpy.abs(data)", "long doubles": "data.astype('float32')", "dates": "", "durations": ""}
    for mark, call in made.items():
        if f"an array of {mark}" in why:
            remedy = f"save what is read: {call}" if call else "dates are no pixels: name the array of images 'data'"
    if why.endswith("of shape ()"):
        remedy = "where it is made, save what a dictionary holds by name: numpy.savez(file, **dictionary)"
    return DataError(f"{what} is {why}", "expected images in one array of numbers", remedy)


def _choose_images(content: Mapping[str, UnreadArray], again: SavedAgain) -> str:
    shaped = _shaped(content)
    key = keys.images_of(content, shaped)
    if key is not None:
        return key
    found = ", ".join(f"{key} {array.shape}" for key, array in list(content.items())[:8]) or "no arrays"
    what = "more than one array that could be images" if shaped else "no array of images"
    remedy = f"name the images 'data': {_SHAPES}"
    if shaped:
        remedy = f"name the right one 'data', such as {again.named('data', shaped[0])}"
    kinds = {array.shape for array in content.values() if array.ndim == 2 or array.shape[2:] in ((3,), (4,))}
    if len(content) > 1 and kinds == {array.shape for array in content.values()}:
        path = again.path
        stacked = f"numpy.savez({str(path.with_stem(f'{path.stem}_stacked'))!r}, data=numpy.stack([f[k] for k in f]))"
        as_files = "[PIL.Image.fromarray(f[k]).save(f'images/{k}.png') for k in f]"
        remedy = f"an image each? f = numpy.load({str(path)!r}); {stacked if len(kinds) == 1 else as_files}"
    if of_classes := _of_classes(content) if len(content) == len(again.keys) else []:
        other = f"; or {remedy}" if shaped else ""
        kinds_of = {(content[key].shape[1:], content[key].dtype) for key in of_classes}
        line = again.joined(of_classes) if len(kinds_of) == 1 else _as_folders(content, of_classes, again)
        remedy = f"an array of images for each class? {line}{other}"
    raise DataError(f"{again.name} holds {what}", f"found {found}", remedy)


def _of_classes(content: Mapping[str, UnreadArray]) -> list[str]:
    """The keys of arrays that may be the images of a class each; none where there are labels, or are not several."""
    of_images = [key for key in _shaped(content) if content[key].shape[2:] not in ((3,), (4,))]
    rows = [key for key, array in content.items() if array.ndim == 2 and array.dtype.kind in "uifb"]
    if not of_images and len({len(content[key]) for key in rows}) > 1:
        of_images = [
            key for key in rows if math.isqrt(content[key].shape[1]) ** 2 == content[key].shape[1] >= SMALLEST**2
        ]
    lengths = {len(content[key]) for key in of_images}
    if any(
        len(array) in lengths for key, array in content.items() if array.ndim == 1 and not keys.may_name_classes(key)
    ):
        return []  # these may be their labels
    return of_images if len(of_images) > 1 and keys.count_of_labels(content) is None else []


def _as_folders(content: Mapping[str, UnreadArray], of_classes: Sequence[str], again: SavedAgain) -> str:
    """The line that saves arrays of unlike images, of a class each, as files of a folder each; or words for it.

    It makes bytes of floats of 0 to 1, and is not told for keys that are no names of folders.
    """
    arrays = [content[key] for key in of_classes]
    floats = [array.read() for array in arrays if array.dtype.kind == "f"]
    in_range = all(bool(((values >= 0) & (values <= 1)).all()) for values in floats)
    image = {_image_of(array.shape) for array in arrays}
    if not (
        len(image) == 1 and in_range and all(array.dtype.kind == "f" or array.dtype == np.uint8 for array in arrays)
        and all(re.fullmatch(r"\w[\w .-]*", key) for key in of_classes)
    ):  # fmt: skip
        return "save each image as a PNG file, in one folder a class, and name the folder of these"
    return again.as_folders(of_classes, image.pop(), bool(floats))


def _image_of(shape: tuple[int, ...]) -> str:
    """What Python makes (H, W) or (H, W, C) of an image ``i`` with, of an array of images of this shape."""
    if len(shape) == 2:
        return "i.reshape(round(i.size**0.5), -1)"
    last = layout_of(shape) != "NCHW"
    if len(shape) == 4 and shape[3 if last else 1] == 1:
        return "i[..., 0]" if last else "i[0]"
    return "i" if last else "numpy.moveaxis(i, 0, -1)"
