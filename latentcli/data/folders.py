"""Folders of image files: what is in them, and all of it decoded once, in parallel, into one block of bytes.

Either one sub-folder per class (labelled) or images directly in the folder (unlabelled); not both, and nothing deeper,
unless the labels come from elsewhere. Files whose names do not end like an image's are ignored, as is everything
hidden (a leading dot). Symbolic links to folders are never followed.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.labels import Labels, class_order
from latentcli.core.progress import Progress
from latentcli.data import sizing
from latentcli.data.block import ImageBlock
from latentcli.formats.regular_files import reason

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SIZE_OF_MIXED = 64
"""Pixels a side where files are of unlike sizes and nobody asks for one."""

_FILES_PER_TASK = 8
_TASKS_PER_THREAD = 8
_NAMED = 3  # bad files in a message


@dataclass(frozen=True)
class Wanted:
    """What to make of the files.

    Attributes:
        shape: channels, height and width of a model.
        size: height and width where there is no model.
        classes: sub-folders to read; None for all.
    """

    shape: Shape | None = None
    size: int | None = None
    classes: Sequence[str] | None = None


def load(
    folder: Path, wanted: Wanted, *, classes_from_folders: bool = True, max_bad: str = "1%", progress: Progress
) -> ImageSet:
    """All images of a folder, by the sorted order of their paths.

    Args:
        folder: of images.
        wanted: the shape they get; colour only where some file has any.
        classes_from_folders: whether sub-folders are classes; else their files are just files, at any depth.
        max_bad: how many files may be unreadable, as a number or per cent.
        progress: told about the files.

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
    if wanted.classes is not None:
        _check_classes(wanted.classes, class_names, name)
        files = [file for file in files if file.split("/")[0] in wanted.classes]
    images, bad = _decode_all(folder, files, wanted, progress)
    _check_bad(bad, len(files), max_bad, name)
    unreadable = dict(bad)
    files = [file for file in files if file not in unreadable]
    labels = Labels.none(len(files))
    if labelled:
        index = {class_name: code for code, class_name in enumerate(class_names)}
        labels = Labels(np.array([index[file.split("/")[0]] for file in files], dtype=np.int64), class_names)
    layout = "NHW" if images.shape[1] == 1 else "NHWC"
    return ImageSet(images, labels, tuple(files), name, layout, tuple(bad))


def parse_max_bad(text: str, total: int) -> float:
    """How many of ``total`` files may be bad, from "20" or "1%".

    Raises:
        UsageError: it is neither, or out of range.
    """
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


def _check_classes(classes: Sequence[str], class_names: Sequence[str], name: str) -> None:
    if not class_names:
        raise DataError(f"{name} has no sub-folders to choose the classes {', '.join(classes)} by")
    unknown = [repr(wanted) for wanted in classes if wanted not in class_names]
    if unknown:
        raise DataError(f"{name} has no class {', '.join(unknown)}", f"expected some of: {', '.join(class_names)}")


def _list(folder: Path, classes_from_folders: bool) -> list[str]:
    """Paths of the image files within the folder, with slashes, sorted.

    Raises:
        DataError: there are none, or their depth leaves the classes unclear.
        OSError: a folder cannot be read.
    """
    paths = sorted(_walk(folder, "", deepest=2 if classes_from_folders else 64))
    depths = {path.count("/") for path in paths}
    if not paths:
        found = ", ".join(sorted({entry.suffix or "no suffix" for entry in folder.iterdir()})[:8]) or "nothing"
        raise DataError(
            f"{folder} holds no images", f"expected {', '.join(SUFFIXES)}, found {found}", "name another folder"
        )
    if classes_from_folders and max(depths) > 1:
        deep = next(path for path in paths if path.count("/") > 1)
        raise DataError(
            f"{folder} holds images deeper than one sub-folder per class",
            f"found {deep}",
            f"name a folder of classes, such as {folder / deep.split('/')[0]}, or give `labels`",
        )
    if classes_from_folders and len(depths) > 1:
        top = next(path for path in paths if "/" not in path)
        raise DataError(
            f"{folder} holds images both directly and in sub-folders, which leaves their classes unclear",
            f"found {top} and {next(path for path in paths if '/' in path)}",
            "move them into sub-folders, one per class, or give `labels`",
        )
    return paths


def _walk(folder: Path, prefix: str, deepest: int) -> Iterator[str]:
    """Paths of all entries that are called like images, in sub-folders too; links to folders are not followed.

    A FIFO or a broken link that is called like an image is among them: it will be listed as unreadable.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if deepest:
                    yield from _walk(folder / entry.name, f"{prefix}{entry.name}/", deepest - 1)
            elif entry.name.lower().endswith(SUFFIXES) and not _leads_to_folder(entry):
                yield prefix + entry.name


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _decode_all(
    folder: Path, files: Sequence[str], wanted: Wanted, progress: Progress
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """(N, C, H, W) uint8 of the readable files, and (path, reason) of the others."""
    from joblib import Parallel, cpu_count, delayed

    from latentcli.formats import image_files as decoding

    channels, height, width = wanted.shape or (None, *_size(folder, files, wanted.size))
    block = ImageBlock(len(files), channels, height, width)
    bad: list[tuple[str, str]] = []

    def decode_some(some: Sequence[str]) -> list[np.ndarray | str]:
        return [decode_or_reason(folder / file) for file in some]

    def decode_or_reason(path: Path) -> np.ndarray | str:
        try:
            return decoding.decode(path, height, width, channels)
        except decoding.UnreadableImage as error:
            return str(error)

    threads = cpu_count()
    per_round = threads * _TASKS_PER_THREAD * _FILES_PER_TASK  # so that no more than these wait to be stored
    with (
        warnings.catch_warnings(action="ignore"),  # Pillow's, of odd but readable files
        progress("reading images", len(files)) as advance,
        Parallel(n_jobs=threads, backend="threading", return_as="generator") as parallel,
    ):
        for start in range(0, len(files), per_round):
            tasks = list(_split(files[start : start + per_round]))
            for some, results in zip(tasks, parallel(delayed(decode_some)(some) for some in tasks), strict=True):
                for file, result in zip(some, results, strict=True):
                    if isinstance(result, str):
                        bad.append((file, result))
                    else:
                        block.append(result)
                advance(len(some))
    return block.images, bad


def _split(files: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(files), _FILES_PER_TASK):
        yield files[start : start + _FILES_PER_TASK]


def _size(folder: Path, files: Sequence[str], size: int | None) -> tuple[int, int]:
    """The size asked for; else the one that all files have, if models take it; else 64×64."""
    from latentcli.formats import image_files as decoding

    if size is not None:
        return size, size
    common: tuple[int, int] | None = None
    with warnings.catch_warnings(action="ignore"):
        for file in files:
            try:
                measured = decoding.measure(folder / file)
            except decoding.UnreadableImage:
                continue
            if not sizing.in_range(*measured) or (common is not None and measured != common):
                return SIZE_OF_MIXED, SIZE_OF_MIXED
            common = measured
    return common or (SIZE_OF_MIXED, SIZE_OF_MIXED)
