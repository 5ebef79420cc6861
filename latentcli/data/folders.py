"""Folders of image files: their files, each decoded once, in parallel, into one block of bytes.

Either one sub-folder per class (labelled), whose own sub-folders belong to it, or images directly in the folder
(unlabelled); not both, unless the labels come from elsewhere. Files with other suffixes than images have, and hidden
ones (a leading dot), are ignored. Symbolic links to folders are never followed.
"""

import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.labels import Labels, check_classes, class_order
from latentcli.core.progress import Progress
from latentcli.data import sizing
from latentcli.data.block import ImageBlock
from latentcli.formats.regular_files import kind, reason

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SIZE_OF_MIXED = 64  # pixels a side where the files differ in size and no size is asked for

_FILES_PER_THREAD = 64  # decoded images that may wait to be stored
_DEEPEST = 64  # sub-folders of sub-folders
_NAMED = 3  # bad files in a message


def load(
    folder: Path, shape: Shape | None, size: int | None, classes: Sequence[str] | None, classes_from_folders: bool,
    max_bad: str, progress: Progress,
) -> ImageSet:  # fmt: skip
    """All images of a folder, by the sorted order of their paths; what is not said here is as for ``loading.load``.

    Args:
        shape: of the images of a model; without it they have 3 channels only if a file has colour.
        size: height and width where there is no model.
        classes_from_folders: whether sub-folders are classes; otherwise files at any depth are read, unlabelled.

    Raises:
        UsageError: ``max_bad`` is neither.
        DataError: no images, too many unreadable ones, unknown classes, or a layout that leaves the classes unclear.
    """
    parse_max_bad(max_bad, 1)  # refuse it before hours of decoding
    name = folder.resolve().name or "images"
    try:
        files = _list(folder, classes_from_folders)
    except OSError as error:
        raise DataError(f"cannot read the folder {error.filename or folder}", reason(error)) from error
    labelled = classes_from_folders and "/" in files[0]
    class_names = class_order([file.split("/")[0] for file in files]) if labelled else ()
    if classes is not None:
        if not class_names:
            raise DataError(f"{name} has no sub-folders to choose the classes {', '.join(classes)} by")
        check_classes(classes, class_names, name)
        files = [file for file in files if file.split("/")[0] in classes]
    images, bad = _decode_all(folder, files, shape, size, progress)
    _check_bad(bad, len(files), max_bad, name)
    unreadable = dict(bad)
    files = [file for file in files if file not in unreadable]
    labels = Labels.of([file.split("/")[0] for file in files], class_names) if labelled else Labels.none(len(files))
    layout = "NHW" if images.shape[1] == 1 else "NHWC"
    notes = _note_of_nested(files, name) if labelled else ()
    return ImageSet(images, labels, tuple(files), name, layout, tuple(bad), notes)


def load_files(
    paths: Sequence[Path], shape: Shape | None, size: int | None, max_bad: str, progress: Progress
) -> ImageSet:  # fmt: skip
    """Single image files, unlabelled, in the order given; else as ``load``."""
    parse_max_bad(max_bad, 1)
    name = paths[0].name if len(paths) == 1 else f"{len(paths)} pictures"
    files = [path.as_posix() for path in paths]
    images, bad = _decode_all(Path(), files, shape, size, progress)
    _check_bad(bad, len(files), max_bad, name)
    unreadable = dict(bad)
    files = [file for file in files if file not in unreadable]
    layout = "NHW" if images.shape[1] == 1 else "NHWC"
    return ImageSet(images, Labels.none(len(files)), tuple(files), name, layout, tuple(bad))


def holds_images(folder: Path, deepest: int = _DEEPEST) -> bool:
    """Whether there is an image file in a folder, or in its sub-folders as deep as this."""
    return next(_walk(folder, "", deepest), None) is not None


def _note_of_nested(files: Sequence[str], name: str) -> tuple[str, ...]:
    """A note where sub-folders within those of the classes hold images."""
    deep = [file for file in files if file.count("/") > 1]
    if not deep:
        return ()
    first = deep[0].split("/")
    what = f"{len(deep)} images of {name} lie deeper and belong to the class of the sub-folder, {'/'.join(first[:-1])}"
    return (f"{what} to {first[0]}; are the sub-folders no classes? `no_classes`",)


def parse_max_bad(text: str, total: int) -> float:
    """The number of files that may be bad among ``total``, from "20" or "1%"; a UsageError for any other text."""
    share = text.strip().endswith("%")
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        number = -1.0
    if not (0 <= number <= 100 if share else number >= 0 and number == int(min(number, 2.0**53))):
        raise UsageError(f"`max_bad` {text!r} is neither a number of files nor a percentage", "such as 20 or 1%")
    return number * total / 100 if share else number


def _check_bad(bad: Sequence[tuple[str, str]], total: int, max_bad: str, name: str) -> None:
    if bad and (len(bad) > parse_max_bad(max_bad, total) or len(bad) == total):
        first = "; ".join(f"{file}: {why}" for file, why in bad[:_NAMED])
        more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        remedy = "mend or remove them" + ("" if len(bad) == total else f", or skip them: `max_bad` {len(bad)}")
        raise DataError(f"{len(bad)} of the {total} image files of {name} cannot be read", first + more, remedy)


def _list(folder: Path, classes_from_folders: bool) -> list[str]:
    """Paths of the image files within the folder, with slashes, sorted; their depth leaves no class unclear."""
    paths = sorted(_walk(folder, "", deepest=_DEEPEST))
    depths = {path.count("/") for path in paths}
    if not paths:
        found = ", ".join(sorted({entry.suffix or "no suffix" for entry in folder.iterdir()})[:8]) or "nothing"
        expected = f"expected {', '.join(SUFFIXES)}, found {found}"
        raise DataError(f"{folder} holds no images", expected, "name another folder")
    if classes_from_folders and 0 in depths and len(depths) > 1:
        problem = f"{folder} holds images both directly and in sub-folders, which leaves their classes unclear"
        top, inner = (next(path for path in paths if ("/" in path) == nested) for nested in (False, True))
        remedy = "move them into sub-folders, unlabelled ones into one called unlabeled; or `labels`, `no_classes`"
        raise DataError(problem, f"found {top} and {inner}", remedy)
    return paths


def _walk(folder: Path, prefix: str, deepest: int) -> Iterator[str]:
    """Paths of all entries with the suffix of an image, in sub-folders too; links to folders are not followed.

    A FIFO or a broken link with such a suffix is among them: it will be listed as unreadable.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if deepest:
                    yield from _walk(folder / entry.name, f"{prefix}{entry.name}/", deepest - 1)
            elif entry.name.lower().endswith(SUFFIXES) and not (
                entry.is_symlink() and kind(Path(entry.path)) == stat.S_IFDIR
            ):
                yield prefix + entry.name


def _decode_all(
    folder: Path, files: Sequence[str], shape: Shape | None, size: int | None, progress: Progress
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """(N, C, H, W) uint8 of the readable files, and (path, reason) of the others."""
    from joblib import cpu_count

    from latentcli.formats import image_files

    channels, height, width = shape or (None, *_size(folder, files, size))
    block = ImageBlock(len(files), channels, height, width)
    bad: list[tuple[str, str]] = []

    def decode(file: str) -> np.ndarray | str:
        try:
            return image_files.decode(folder / file, height, width, channels)
        except image_files.UnreadableImage as error:
            return str(error)

    threads = cpu_count()  # of the container, where it has fewer than the machine
    with (
        warnings.catch_warnings(action="ignore"),  # Pillow's, about odd but readable files
        progress("reading images", len(files)) as advance,
        ThreadPoolExecutor(threads) as pool,
    ):
        for start in range(0, len(files), threads * _FILES_PER_THREAD):
            some = files[start : start + threads * _FILES_PER_THREAD]
            for file, result in zip(some, pool.map(decode, some), strict=True):
                if isinstance(result, str):
                    bad.append((file, result))
                else:
                    block.append(result)
                advance(1)
    return block.images, bad


def _size(folder: Path, files: Sequence[str], size: int | None) -> tuple[int, int]:
    """The height and width asked for; else those that all files have, if models take them; else 64×64."""
    from latentcli.formats import image_files

    if size is not None:
        return size, size
    common: tuple[int, int] | None = None
    with warnings.catch_warnings(action="ignore"):
        for file in files:
            try:
                measured = image_files.measure(folder / file)
            except image_files.UnreadableImage:
                continue
            if not sizing.in_range(*measured) or (common is not None and measured != common):
                return SIZE_OF_MIXED, SIZE_OF_MIXED
            common = measured
    return common or (SIZE_OF_MIXED, SIZE_OF_MIXED)
