"""``load``: whatever the user calls DATA, as one ``ImageSet``."""

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import LARGEST, SMALLEST, ImageSet, Shape
from latentcli.core.labels import NO_LABEL, composed
from latentcli.core.progress import Progress, silent
from latentcli.data import SOURCES, sizing
from latentcli.formats.pixel_values import Span, parse_range
from latentcli.formats.regular_files import kind

SPLITS = ("train", "test")


def load(
    source: str | Path, *, split: str = "train", classes: Sequence[str] | None = None, labels: str | Path | None = None,
    strict: bool = False, no_label: Sequence[str] | None = None,
    image_shape: Shape | None = None, image_size: int | None = None, resize: bool = False,
    range: str | None = None, background: str | None = None,
    data_root: str | Path | None = None, max_bad: str = "1%", progress: Progress = silent,
) -> ImageSet:  # fmt: skip
    """Images with their labels and file names, in the source's own order.

    Args:
        source: the name of a data set (see ``SOURCES``; a name goes before a path of that name), a ``.npz`` or
            ``.npy`` file, a folder of images, or a folder of IDX files.
        split: "train" or "test": of a named set, of an IDX folder, or of arrays whose names tell (``x_train``); other
            sources have no splits.
        classes: keep only the images of these classes, and number the classes in this order.
        labels: a CSV file with columns File,Label (or such as filename;class) that replaces all labels of the source;
            File is a path within the folder, or the number of the row (from 0) for every other source.
        strict: refuse rows of it that name no file of the folder, instead of counting them in the notes.
        no_label: names that mean, in any case, that an image has no label, as an empty one does; None:
            ``core.labels.NO_LABEL``; names among ``classes`` are classes.
        image_shape: channels, height and width of a model. Files of a folder are converted to it; arrays must have
            it, except with ``resize``.
        image_size: height and width where there is no model, in pixels from 8 to 256. By default arrays keep
            their size; so do folders of images of one size, and others become 64×64.
        resize: resize arrays to the height and width of ``image_shape``; their channels must be right nevertheless.
        range: which numbers of arrays, and of files of more than 8 bits, are black and white: "4095" (from 0) or
            "-1,1". By default from all of them together, and told where it is not plain: see ``pixel_values``.
        background: colour that transparent pixels of files are laid on; by default black, and white where the visible
            ones are so dark that they would vanish.
        data_root: where named sets are looked up first, before ``LATENTCLI_DATA`` and the user's cache folder.
        max_bad: unreadable files of a folder that are skipped before it is an error: "20" or "1%".
        progress: told about decoding, resizing and downloading.

    Raises:
        UsageError: an argument is out of its range.
        DataError: the source is unknown, missing, unreadable, empty or of another shape; unknown classes or labels.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", split="test", classes=["1", "4", "8"])
        >>> images.images.shape, images.class_names, images.labels.counts.tolist()
        ((106, 1, 8, 8), ('1', '4', '8'), [36, 37, 33])
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", f"expected one of: {', '.join(SPLITS)}")
    if source == "":
        raise DataError("the name of the images is empty", f"expected a file, a folder or one of: {', '.join(SOURCES)}")
    if image_size is not None and not sizing.in_range(image_size, image_size):
        raise UsageError(f"image size {image_size} is out of range", f"expected {SMALLEST} to {LARGEST} pixels")
    span = None if range is None else parse_range(range)
    if classes is not None:
        classes = [composed(name) for name in classes]
        no_label = [name for name in (NO_LABEL if no_label is None else no_label) if name not in classes]
    if isinstance(source, str) and source in SOURCES:
        images = SOURCES[source](split, _roots(data_root), progress)
    else:
        images = _from_path(Path(source), split, classes, labels, no_label, image_shape, image_size, max_bad, progress,
                            span, background)  # fmt: skip
    if labels is not None:
        from latentcli.data.labels import with_labels

        images = with_labels(images, Path(labels), strict, no_label)
        if not images.labels.any:
            raise DataError(
                f"{labels} labels no image of {images.name}", "; ".join(images.notes) or "found no label in it",
                "name files or rows and their classes in it, or leave it out",
            )  # fmt: skip
    if classes is not None:
        images = images.only(classes)
        if not len(images):
            raise DataError(f"{images.name} has no image of the classes {', '.join(classes)}")
    if background is not None and images.files is None:
        images = _noted(images, "`background` is of image files, and was not used")
    if span is not None and isinstance(source, str) and source in SOURCES:
        images = _noted(images, "`range` is of arrays and of image files, and was not used")
    return sizing.fit(images, image_shape, image_size, resize, progress)


def _noted(images: ImageSet, note: str) -> ImageSet:
    return replace(images, notes=(*images.notes, f"{images.name}: {note}"))


def _from_path(
    path: Path, split: str, classes: Sequence[str] | None, labels: str | Path | None,
    no_label: Sequence[str] | None, image_shape: Shape | None, image_size: int | None, max_bad: str,
    progress: Progress, span: Span | None, background: str | None,
) -> ImageSet:  # fmt: skip
    from latentcli.data import arrays, folders, idx

    if kind(path) == stat.S_IFDIR:
        idx_folder = idx.find_folder(path)
        if idx_folder is not None:
            return replace(idx.load(idx_folder, split), name=path.resolve().name)
        wanted = classes if labels is None else None  # else the file's labels are chosen from, after loading
        return folders.load(path, image_shape, image_size, wanted, labels is None, max_bad, progress, no_label, span,
                            background)  # fmt: skip
    if path.suffix.lower() in arrays.SUFFIXES:
        return arrays.load(path, split, no_label, labels is None, span)
    what = "is neither a .npz or .npy file nor a folder" if kind(path) is not None else "is no file, folder or data set"
    remedy = "name one of them, a .npz or .npy file, a folder of images or a folder of IDX files"
    raise DataError(f"{path} {what}", f"the named data sets are: {', '.join(SOURCES)}", remedy)


def _roots(data_root: str | Path | None) -> list[Path]:
    """The folders where named sets are looked up, in this order; the user's cache is the last."""
    import platformdirs

    named = [data_root, os.environ.get("LATENTCLI_DATA") or None, platformdirs.user_cache_path("latentcli")]
    return list(dict.fromkeys(Path(root).expanduser() for root in named if root is not None))
