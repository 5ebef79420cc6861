"""Folders of image files: their files, each decoded once, in parallel, into one block of bytes.

Either one sub-folder per class (labelled), whose own sub-folders belong to it, or images directly in the folder
(unlabelled); not both, unless the labels come from elsewhere. Files with other suffixes than images have, hidden ones
(a leading dot) and what systems leave beside pictures (``SYSTEM``) are passed over, counted and told; a class whose
files are all passed over is an error. Symbolic links to folders are followed, so that each folder is read once; a link
to a folder that holds it is an error.
"""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.labels import Labels, check_classes, class_order, read_labels
from latentcli.core.progress import Progress
from latentcli.data import sizing
from latentcli.data.block import ImageBlock
from latentcli.formats.pixel_values import Span, UnclearValues, hint, pixels_of, span_of
from latentcli.formats.regular_files import reason

SYSTEM = (
    "__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found",
    "thumbs.db", "ehthumbs.db", "desktop.ini",
)  # fmt: skip
"""Files and folders that Windows, macOS, Linux and network storage leave beside pictures; in lower case."""
TEXTS = (
    ".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".ini", ".html", ".py",
    ".ipynb", ".sh", ".log", ".pdf", ".url", ".sha256", ".md5",
)  # fmt: skip
"""What the names of files that are no images end in, in lower case: a folder of these has lost no image."""
SIZE_OF_MIXED = 64  # pixels a side where the files differ in size and no size is asked for

_FILES_PER_THREAD = 64  # decoded images that may wait to be stored
_NAMED = 3  # bad files in a message
_DEEPEST = 64  # folders within folders


def load(
    folder: Path, shape: Shape | None, size: int | None, classes: Sequence[str] | None, classes_from_folders: bool,
    max_bad: str, progress: Progress, no_label: Sequence[str] | None = None, span: Span | None = None,
    background: str | None = None,
) -> ImageSet:  # fmt: skip
    """All images of a folder, by the sorted order of their paths; what is not said here is as for ``loading.load``.

    Args:
        shape: of the images of a model; without it they have 3 channels only if a file has colour.
        size: height and width where there is no model.
        classes_from_folders: whether sub-folders are classes; otherwise files at any depth are read, unlabelled.
        span: of files of more than 8 bits; None: by ``pixel_values``, from all of them together.
        background: what transparent pixels are laid on; None: by ``image_files``.

    Raises:
        UsageError: ``max_bad`` is neither, or ``background`` is no colour.
        DataError: no images, too many unreadable ones, unknown classes, or a layout that leaves the classes unclear.
    """
    parse_max_bad(max_bad, 1)  # refuse it before hours of decoding
    _check_colour(background)
    name = called(folder)
    try:
        entries = Entries.of(folder, deepest=_DEEPEST)
    except OSError as error:
        raise DataError(f"cannot read the folder {error.filename or folder}", reason(error)) from error
    files = _checked(folder, entries, classes, classes_from_folders)
    labelled = classes_from_folders and "/" in files[0]
    texts, of_labels = read_labels([file.split("/")[0] for file in files], name, no_label) if labelled else ([], ())
    names = dict(zip(files, texts, strict=False))
    class_names = class_order(set(texts) - {""})
    if classes is not None:
        if not class_names:
            raise DataError(f"{name} has no sub-folders to choose the classes {', '.join(classes)} by")
        check_classes(classes, class_names, name)
        files = [file for file in files if names[file] in classes]
    decoded = _decode_all(folder, files, shape, size, progress, span, background)
    bad = decoded.bad
    if labelled and len(bad) < len(files):
        _check_left(names, bad, files, name)
    _check_bad(bad, len(files), max_bad, name)
    images, of_bits = pixels_of(decoded.images, name)  # files of 8 bits may hold zeros and ones
    unreadable = dict(bad)
    files = [file for file in files if file not in unreadable]
    labels = Labels.of([names.get(file, "") for file in files], class_names)
    layout = "NHW" if images.shape[1] == 1 else "NHWC"
    nested = _note_of_nested(files, name) if labelled else ()
    notes = (*entries.notes(name), *nested, *_remarks(decoded.remarks, name), *of_bits, *of_labels)
    return ImageSet(images, labels, tuple(files), name, layout, tuple(bad), notes)


def load_files(
    paths: Sequence[Path], shape: Shape | None, size: int | None, max_bad: str, progress: Progress,
    span: Span | None = None, background: str | None = None,
) -> ImageSet:  # fmt: skip
    """Single image files, unlabelled, in the order given; else as ``load``."""
    parse_max_bad(max_bad, 1)
    _check_colour(background)
    name = paths[0].name if len(paths) == 1 else f"{len(paths)} pictures"
    files = [path.as_posix() for path in paths]
    decoded = _decode_all(Path(), files, shape, size, progress, span, background)
    _check_bad(decoded.bad, len(files), max_bad, name)
    images, of_bits = pixels_of(decoded.images, name)
    unreadable = dict(decoded.bad)
    files = [file for file in files if file not in unreadable]
    layout, notes = "NHW" if images.shape[1] == 1 else "NHWC", (*_remarks(decoded.remarks, name), *of_bits)
    return ImageSet(images, Labels.none(len(files)), tuple(files), name, layout, tuple(decoded.bad), notes)


def called(folder: Path) -> str:
    """The last part of a folder's name, or of a link's to it, as the user has it; that of ``.`` is looked up."""
    return (folder if folder.name not in ("", "..") else folder.resolve()).name or "images"


def holds_images(folder: Path, deepest: int | None = None) -> bool:
    """Whether there is an image file in a folder, or in its sub-folders as deep as this."""
    return bool(Entries.of(folder, _DEEPEST if deepest is None else deepest).images)


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


@dataclass
class Entries:
    """What a folder holds; paths are within it, with slashes, and sorted.

    A FIFO or a broken link with the suffix of an image is among the images: it will be listed as unreadable.

    Attributes:
        images: paths of all entries with the suffix of an image.
        others: paths of the files with other suffixes, or none.
        hidden: paths of files and folders with a leading dot, and of those that are a system's.
        again: paths of links to folders that are read under another path.
        folders: paths of the folders directly within.
    """

    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, deepest: int) -> "Entries":
        """The entries of a folder and of those within it, to that depth.

        Raises:
            DataError: a link leads to a folder that holds it.
            OSError: a folder cannot be read.
        """
        found, real = cls(), os.path.realpath(folder)
        if folder.is_symlink() and Path(os.path.realpath(folder.parent)).is_relative_to(real):
            raise _loop(folder, real)
        found._walk(folder, "", deepest, (real,), set())
        for paths in vars(found).values():
            paths.sort()
        return found

    def _walk(self, folder: Path, prefix: str, deepest: int, above: tuple[str, ...], linked: set[str]) -> None:
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: (entry.is_symlink(), entry.name))  # so that a link comes second
        for entry in entries:
            path = prefix + entry.name
            if entry.name.startswith(".") or entry.name.casefold() in SYSTEM:
                self.hidden.append(path)
            elif _is_folder(entry):
                real = os.path.realpath(entry.path)
                if real in above or Path(above[-1]).is_relative_to(real):
                    raise _loop(folder / entry.name, real)
                if real in linked:
                    self.again.append(path)
                    continue
                linked.add(real)
                if not prefix:
                    self.folders.append(path)
                if deepest:
                    self._walk(folder / entry.name, f"{path}/", deepest - 1, (*above, real), linked)
            elif entry.name.lower().endswith(image_suffixes()):
                self.images.append(path)
            else:
                self.others.append(path)

    def notes(self, name: str) -> list[str]:
        """A line for what was passed over, and one for folders without any file."""
        kinds = Counter(PurePosixPath(path).suffix.lower() or "without a suffix" for path in self.others)
        parts = [f"{count} {suffix}" for suffix, count in kinds.most_common(8)]
        parts += [f"{sum(kinds.values()) - sum(count for _, count in kinds.most_common(8))} others"] * (len(kinds) > 8)
        if self.hidden:
            names = sorted({PurePosixPath(path).name for path in self.hidden})
            shown = ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
            parts.append(f"{len(self.hidden)} hidden or of the system ({shown})")
        lines = [f"{name}: passed over what is no image: {', '.join(parts)}"] if parts else []
        if self.again:
            lines.append(f"{name}: each folder is read once; passed over further links: {_some(self.again)}")
        full = {path.split("/")[0] for path in self.images}
        if empty := [each for each in self.folders if each not in full]:
            lines.append(f"{name}: no images in {_some(empty)}")
        return lines


def image_suffixes() -> tuple[str, ...]:
    """What the names of image files end in, in lower case."""
    from latentcli.formats import image_files

    return image_files.SUFFIXES


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:_NAMED]) + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")


def _loop(link: Path, real: str) -> DataError:
    remedy = "remove the link, or name a folder without it"
    return DataError(f"{link} is a link to a folder that holds it", f"found a link to {real}", remedy)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _checked(
    folder: Path, entries: Entries, classes: Sequence[str] | None, classes_from_folders: bool
) -> list[str]:  # fmt: skip
    """The image files, whose depth leaves no class unclear, and of which no class has lost all."""
    paths = entries.images
    depths = {path.count("/") for path in paths}
    if not paths:
        kinds = sorted({PurePosixPath(path).suffix or "no suffix" for path in entries.others})
        found = ", ".join(kinds[:8]) or "nothing"
        expected = f"expected {', '.join(image_suffixes())}, found {found}"
        raise DataError(f"{folder} holds no images", expected, _way_on(entries.others) or "name another folder")
    if classes_from_folders and 0 in depths and len(depths) > 1:
        problem = f"{folder} holds images both directly and in sub-folders, which leaves their classes unclear"
        top, inner = (next(path for path in paths if path.count("/") == depth) for depth in (0, 1))
        remedy = f"move {top} and the like into sub-folders, one per class, or unlabelled; or give `labels`"
        raise DataError(problem, f"found {top} and {inner}", remedy)
    if classes_from_folders and depths == {1}:
        _check_lost(folder, entries, classes)
    return paths


def _check_lost(folder: Path, entries: Entries, classes: Sequence[str] | None) -> None:
    """Refuse a class whose files were all passed over, unless they can be no images."""
    full = {path.split("/")[0] for path in entries.images}
    wanted = [name for name in entries.folders if name not in full and (classes is None or name in classes)]
    doubled = [path for path in entries.again if "/" not in path and (classes is None or path in classes)]
    for name in (*wanted, *doubled):
        lost = [path for path in entries.others if path.startswith(f"{name}/") and not path.lower().endswith(TEXTS)]
        if name in doubled:
            found, way = "it is a link to a folder that is read under another name", ""
        elif lost:
            kinds = sorted({PurePosixPath(path).suffix or "no suffix" for path in lost})
            found, way = f"found {len(lost)} files with {', '.join(kinds[:8])}, such as {lost[0]}", _way_on(lost)
        else:
            continue
        raise DataError(f"the class {name} of {folder} has no image that can be read", found, way or _leave_out(full))


def _check_left(
    names: Mapping[str, str], bad: Sequence[tuple[str, str]], files: Sequence[str], of: str
) -> None:  # fmt: skip
    """Refuse a class of which every file is unreadable, whatever number of such files may be skipped."""
    unreadable = dict(bad)
    left = {names.get(file, "") for file in files if file not in unreadable}
    for file, why in bad:
        if names.get(file, "") not in {"", *left}:
            found = f"all its files are unreadable, such as {file}: {why}"
            remedy = f"mend them, or {_leave_out(left - {''})}"
            raise DataError(f"the class {names[file]} of {of} has no image that can be read", found, remedy)


def _leave_out(kept: Collection[str]) -> str:
    others = ",".join(sorted(kept))
    return f"leave it out: `classes` {others}" if len(others) < 60 else "leave it out with `classes`"


_FORMATS_OF_OTHERS = {
    "DICOM": (".dcm", ".dicom", ".ima"), "NIfTI": (".nii", ".nii.gz"), "HEIC": (".heic", ".heif"),
    "JPEG 2000": (".jp2", ".j2k", ".jpf"), "SVG": (".svg",), "raw": (".cr2", ".nef", ".arw", ".dng", ".raw"),
}  # fmt: skip


def _way_on(paths: Sequence[str]) -> str:
    """What to do with files that have not the suffix of an image; nothing where that is unknown."""
    for name, suffixes in _FORMATS_OF_OTHERS.items():
        if any(path.lower().endswith(suffixes) for path in paths):
            return f"{name} files are not read: convert them to PNG"
    if any(not PurePosixPath(path).suffix for path in paths):
        return "an image is known by its suffix: rename files without one, such as to .png or .jpg"
    return ""


def _remarks(remarks: Sequence[tuple[str, str]], name: str) -> list[str]:
    """A line for each kind of remark that decoding made, with the number of its files."""
    counts = Counter(remark for _, remark in remarks)
    first = {remark: file for file, remark in reversed(remarks)}
    ways = {remark: "; `background` says otherwise" for remark in counts if remark.startswith("transparent")}
    return [
        f"{name}: {remark} in {count} file(s), such as {first[remark]}{ways.get(remark, '')}"
        for remark, count in counts.items()
    ]


@dataclass
class Decoded:
    """What became of the files of a folder.

    Attributes:
        images: (N, C, H, W) uint8 of the readable ones.
        bad: (path, reason) of the others.
        remarks: (path, remark) of what was not taken as it stands, sorted.
        deep: type, least and largest number of files of more than 8 bits, by path.
    """

    images: np.ndarray
    bad: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    deep: dict[str, tuple[np.dtype, float, float]] = field(default_factory=dict)


def _decode_all(
    folder: Path, files: Sequence[str], shape: Shape | None, size: int | None, progress: Progress,
    span: Span | None, background: str | None,
) -> Decoded:  # fmt: skip
    """All files, those of more than 8 bits in the span given, or else in the one that they have together."""
    from joblib import cpu_count

    from latentcli.formats import image_files

    channels, height, width = shape or (None, *_size(folder, files, size))
    block = ImageBlock(len(files), channels, height, width)
    done = Decoded(block.images)

    def decode(file: str, span: Span | None = span) -> np.ndarray | str:
        def remark(text: str) -> None:
            done.remarks.append((file, text))

        def deep(dtype: np.dtype, low: float, high: float) -> None:
            done.deep[file] = dtype, low, high

        try:
            return image_files.decode(
                folder / file, height, width, channels, remark, background, span, deep if span is None else None
            )
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
                    done.bad.append((file, result))
                else:
                    block.append(result)
                advance(1)
        done.images = block.images
        if done.deep:
            _again_in_span(done, files, decode)
    done.bad.sort()
    done.remarks.sort()
    return done


def _again_in_span(done: Decoded, files: Sequence[str], decode: Callable[[str, Span], np.ndarray | str]) -> None:
    """Decode files of more than 8 bits once more where all of them together show that they use less, or other numbers.

    Where that is unclear, files outside the plain span are bad ones.
    """
    from latentcli.formats.image_files import DEEP_SPANS

    unreadable = {file for file, _ in done.bad}
    rows = {file: row for row, file in enumerate(file for file in files if file not in unreadable)}
    for kinds, plain in (("iu", DEEP_SPANS["u"]), ("f", DEEP_SPANS["f"])):
        deep = {file: found for file, found in done.deep.items() if found[0].kind in kinds and file in rows}
        if not deep:
            continue
        low, high = min(found[1] for found in deep.values()), max(found[2] for found in deep.values())
        dtype = max((found[0] for found in deep.values()), key=lambda dtype: dtype.itemsize)
        try:
            span = span_of(dtype, low, high)
        except UnclearValues:
            bad = [file for file, found in deep.items() if not plain.holds(*found[1:])]
            way = f"black and white are unclear; {hint(dtype, low, high)}"
            for file in bad:
                done.bad.append((file, f"{deep[file][0]} from {deep[file][1]:g} to {deep[file][2]:g}: {way}"))
            done.images = np.delete(done.images, [rows[file] for file in bad], axis=0)
            rows = {file: row for row, file in enumerate(file for file in rows if file not in bad)}
            continue
        if (span.low, span.high) == (plain.low, plain.high):
            continue
        for file in deep:
            result = decode(file, span)
            if not isinstance(result, str):  # it was readable a moment ago
                done.images[rows[file]] = result
            done.remarks.append((file, f"{dtype} from {low:g} to {high:g} is read as {span} (`range` says otherwise)"))


def _check_colour(name: str | None) -> None:
    if name is not None:
        from PIL import ImageColor

        try:
            ImageColor.getrgb(name)
        except ValueError as error:
            raise UsageError(f"`background` {name!r} is no colour", "such as white, black or #808080") from error


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
