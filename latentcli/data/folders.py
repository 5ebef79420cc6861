"""Folders of image files: which files are read, and which classes they are of.

Either one sub-folder per class (labelled), whose own sub-folders belong to it, or images directly in the folder
(unlabelled); not both, unless the labels come from elsewhere. Files with other suffixes than images have, hidden ones
(a leading dot) and what systems leave beside pictures are passed over, counted and told; a class whose
files are all passed over is an error. Symbolic links to folders are followed, so that each folder is read once; a link
to a folder that holds it is an error.
"""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.labels import Labels, check_classes, class_order, read_labels
from latentcli.core.progress import Progress
from latentcli.data.archives import is_archive
from latentcli.data.cache import Cache, Nowhere
from latentcli.data.decoded import Decoded
from latentcli.data.decoding import decode_all
from latentcli.data.entries import DEEPEST, NAMED, TEXTS, Entries, holds_images, image_suffixes, medical_advice, some
from latentcli.data.foreign import converting, converting_more, reading_arrays, suffix_of, unpacking
from latentcli.data.paired_folders import drawn_over, paired
from latentcli.formats.pixel_values import PixelRules
from latentcli.formats.regular_files import Files, reason
from latentcli.formats.spelled_paths import of_page


def load(
    folder: Path, shape: Shape | None, size: int | None, classes: Sequence[str] | None, classes_from_folders: bool,
    max_bad: str, progress: Progress, no_label: Sequence[str] | None = None, rules: PixelRules | None = None,
    below: Mapping[str, str] | None = None, cache: Cache = Nowhere(),
) -> ImageSet:  # fmt: skip
    """All images of a folder, by the sorted order of their paths; what is not said here is as for ``loading.load``.

    Args:
        shape: of the images of a model; without it they have 3 channels only if a file has colour.
        size: height and width where there is no model.
        classes_from_folders: whether sub-folders are classes; otherwise files at any depth are read, unlabelled.
        rules: what is said of the pixels; those of more than 8 bits span what all files of such have together.
        below: of each sub-folder the one within it that is read; None: all.
        cache: where images are kept as decoded; by default nowhere.

    Raises:
        UsageError: ``max_bad`` is neither a number nor a percentage.
        DataError: no images, too many unreadable ones, unknown classes, or a layout that leaves the classes unclear.
    """
    name = called(folder)
    try:
        entries = Entries.of(folder, deepest=DEEPEST)
    except OSError as error:
        raise DataError(f"cannot read the folder {error.filename or folder}", reason(error)) from error
    if below is not None:
        entries = entries.below(below)
    files = _checked(folder, entries, classes, classes_from_folders)
    labelled = classes_from_folders and "/" in files[0]
    holder = _holder_of_classes(files, no_label) if labelled else ""
    firsts = [file.removeprefix(holder).split("/")[0] for file in files]
    texts, of_labels = read_labels(firsts, name, no_label) if labelled else ([], ())
    names = dict(zip(files, texts, strict=False))
    class_names = class_order(set(texts) - {""})
    if classes is not None:
        if not class_names:
            raise DataError(f"{name} has no sub-folders to choose the classes {', '.join(classes)} by")
        check_classes(classes, class_names, name)
        files = [file for file in files if names[file] in classes]
    choice = (classes, classes_from_folders, None if below is None else dict(below))
    decoded = decode_all(folder, files, shape, size, progress, rules or PixelRules(), name, cache, choice)
    if labelled and decoded.files:
        _check_left(names, decoded, name)
    _check_bad(decoded.bad, decoded.total, max_bad, name)
    _check_seen(decoded, name)
    labels = Labels.of([names.get(file, "") for file in decoded.sources], class_names)
    level = 0 if below is None else 1
    nested = _note_of_nested(decoded.files, name, level, folder) if labelled and not holder else ()
    if holder:
        nested = (f"{name}: the classes are the folders within {holder}; what lies beside it has no label",)
    tables = _note_of_tables(name, entries.others) if classes_from_folders and len(class_names) < 2 else ()
    of_pairs = (*_note_of_paired(folder, entries, classes_from_folders), *_note_of_drawn(folder, files))
    notes = (*entries.notes(name), *of_pairs, *tables, *nested)
    return _as_set(decoded, labels, name, notes, of_labels)


def load_files(
    paths: Sequence[Path], shape: Shape | None, size: int | None, max_bad: str, progress: Progress,
    rules: PixelRules | None = None, cache: Cache = Nowhere(),
) -> ImageSet:  # fmt: skip
    """Single image files, unlabelled, in the order given; else as ``load``."""
    name = str(paths[0]) if len(paths) == 1 else f"{len(paths)} pictures"
    files = [path.as_posix() for path in paths]
    decoded = decode_all(Path(), files, shape, size, progress, rules or PixelRules(), name, cache, files)
    _check_bad(decoded.bad, decoded.total, max_bad, name)
    _check_seen(decoded, name)
    return _as_set(decoded, Labels.none(len(decoded.files)), name)


def load_held(
    files: Files, labels: Mapping[str, str], unread: Sequence[tuple[str, str]], name: str, shape: Shape | None,
    size: int | None, classes: Sequence[str] | None, max_bad: str, progress: Progress,
    no_label: Sequence[str] | None = None, rules: PixelRules | None = None, notes: Sequence[str] = (),
    labels_in: str = "", cache: Cache = Nowhere(),
) -> ImageSet:  # fmt: skip
    """Images that are held, as those of shards are, in the order given; what is not said here is as for ``load``.

    Args:
        files: finds them by their names.
        labels: of each image to decode, by its name; "" where it has none.
        unread: (name, reason) of others that cannot be read.
        name: of all of them.
        classes: images of other classes are not decoded.
        notes: what is told before all else.
        labels_in: as of ``ImageSet``.
    """
    texts, of_labels = read_labels([*labels.values()], name, no_label) if any(labels.values()) else ([], ())
    names = dict(zip(labels, texts, strict=False)) or dict(labels)
    class_names = class_order({*names.values()} - {""})
    if classes is not None:
        if not class_names:
            problem = f"{name} has no labels to choose the classes {', '.join(classes)} by"
            raise DataError(problem, f"expected {labels_in}", "leave out `classes`, or give labels: `labels`")
        check_classes(classes, class_names, name)
        names = {file: text for file, text in names.items() if text in classes}
    decoded = decode_all(files, [*names], shape, size, progress, rules or PixelRules(), name, cache)
    decoded.bad = sorted([*decoded.bad, *unread])
    _check_bad(decoded.bad, decoded.total + len(unread), max_bad, name)
    _check_seen(decoded, name)
    of_images = Labels.of([names[file] for file in decoded.sources], class_names)
    return replace(_as_set(decoded, of_images, name, notes, of_labels), labels_in=labels_in)


def _as_set(
    decoded: Decoded, labels: Labels, name: str, first: Sequence[str] = (), last: Sequence[str] = ()
) -> ImageSet:  # fmt: skip
    told, of_bytes = ([f"{name}: {note}" for note in notes] for notes in (decoded.notes, decoded.of_bytes))
    notes = (*first, *told, *_remarks(decoded.remarks, name), *of_bytes, *last)
    layout = "NHW" if decoded.images.shape[1] == 1 else "NHWC"
    spans = {kind: (span.low, span.high) for kind, span in decoded.spans.items()}
    return ImageSet(decoded.images, labels, decoded.files, name, layout, tuple(decoded.bad), notes, spans=spans)


def called(folder: Path) -> str:
    """A folder's path, or that of a link to it, as the user has it; of ``.`` the name is looked up."""
    return str(folder) if folder.name not in ("", "..") else folder.resolve().name or "images"


def _holder_of_classes(files: Sequence[str], no_label: Sequence[str] | None) -> str:
    """The one folder, and a slash, beside folders that mean no label, where it holds folders alone: or ""."""
    firsts = sorted({file.split("/")[0] for file in files})
    named = [first for first, text in zip(firsts, read_labels(firsts, "", no_label)[0], strict=True) if text]
    if len(named) != 1 or len(firsts) < 2:
        return ""
    within = [file.split("/")[1:] for file in files if file.startswith(f"{named[0]}/")]
    several = all(len(parts) > 1 for parts in within) and len({parts[0] for parts in within}) > 1
    return f"{named[0]}/" if several else ""


def _note_of_tables(name: str, others: Sequence[str]) -> tuple[str, ...]:
    """A note where a table lies beside images that have no classes of their own: it may hold their labels."""
    tables = [path for path in others if path.lower().endswith((".csv", ".tsv", ".jsonl"))]
    return (f"{name}: if {tables[0]} names the images' labels, give it as `labels`",) if tables else ()


def _note_of_paired(folder: Path, entries: Entries, classes_from_folders: bool) -> tuple[str, ...]:
    """A note where folders such as images and masks, which would be refused as classes, are read as one heap."""
    if classes_from_folders or not entries.paired:
        return ()
    pictures, drawn = entries.paired
    what = f"{', '.join(pictures)} and {', '.join(drawn)} are read together"
    return (f"{called(folder)}: {what}; to leave out what was drawn over images, name {folder / pictures[0]}",)


def _note_of_drawn(folder: Path, files: Sequence[str]) -> tuple[str, ...]:
    """A note where files such as ``1_mask.png`` lie beside ``1.png``, with the line that leaves them out."""
    over, patterns = drawn_over(files)
    if not over:
        return ()
    first = next(iter(over))
    what = f"{len(over)} images are called as what was drawn over others, such as {first} over {over[first]}"
    if not patterns:
        return (f"{called(folder)}: {what}: to leave them out, move them elsewhere",)
    ignored = f"ignore=shutil.ignore_patterns({', '.join(map(repr, patterns))})"
    copied = f"import shutil; shutil.copytree({str(folder)!r}, {f'{folder}_images'!r}, {ignored})"
    return (f"{called(folder)}: {what}: to leave them out, name {folder}_images after, in Python: {copied}",)


def _note_of_nested(files: Sequence[str], name: str, level: int, folder: Path) -> tuple[str, ...]:
    """A note where sub-folders as many ``level``s within those of the classes hold images, and what they may be."""
    parts = [file.split("/") for file in files]
    deep = [each for each in parts if len(each) > 2 + level]
    if not deep:
        return ()
    first = deep[0]
    what = f"{len(deep)} images of {name} lie deeper and belong to the class of the sub-folder, {'/'.join(first[:-1])}"
    counts = Counter(each[1 + level] for each in deep)
    holders = {inner: {each[0] for each in deep if each[1 + level] == inner} for inner in counts}
    classes = {each[0] for each in parts}
    alike = sorted(inner for inner, of in holders.items() if of == classes) if len(classes) > 1 else []
    if not alike:
        return (f"{what} to {first[0]}; are the sub-folders no classes? `no_classes`",)
    shown = ", ".join(f"{inner} ({counts[inner]})" for inner in alike[:8]) + (" …" if len(alike) > 8 else "")
    what = f"{what} to {first[0]}; each class has {shown}, which are read together"
    pictures, drawn = paired(alike) if not level else ([], [])
    if pictures:
        files_of = f"pathlib.Path({str(folder)!r}).glob('*/{pictures[0]}')"
        copied = f"[shutil.copytree(f, {f'{folder}_{pictures[0]}/'!r} + f.parent.name) for f in {files_of}]"
        return (f"{what}: to leave out {', '.join(drawn)}, in Python: import pathlib, shutil; {copied}",)
    apart = f"{alike[0]}/{first[0]}" + (f" and {alike[1]}/{first[0]}" if len(alike) > 1 else "")
    way = f"to keep them apart, make folders {apart}"
    if len(alike) > 1:
        way += f"; if they are the classes, name one folder: {name}/{first[0]}"
    return (f"{what}: {way}",)


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
        found, way = _reasons(bad)
        remedy = (way or "mend or remove them") + ("" if len(bad) == total else f", or skip them: `max_bad` {len(bad)}")
        raise DataError(f"{len(bad)} of the {total} image files of {name} cannot be read", found, remedy)


_WITHOUT_ALPHA = "PIL.Image.open(file).convert('RGBA').convert('RGB').save(file)"


def _check_seen(decoded: Decoded, name: str) -> None:
    """Refuse files of which all are wholly transparent: no ground would show anything."""
    from latentcli.formats.transparency import EMPTY, UNSEEN

    unseen = {file: remark for file, remark in decoded.remarks if remark in (UNSEEN, EMPTY)}
    if not decoded.files or len(unseen) < len(decoded.files):
        return
    hidden = [file for file, remark in unseen.items() if remark == UNSEEN]
    found = f"found colours beneath in {len(hidden)} of them" if hidden else "found one colour beneath in each"
    without = f"leave out their alpha, in Python: {_WITHOUT_ALPHA} for each"
    remedy = without if hidden else "name images that show something"
    raise DataError(f"all {len(unseen)} images of {name} are wholly transparent", found, remedy)


def _reasons(bad: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Why files cannot be read, each reason once, with some of its files; and the way on, where all have one.

    A reason may end in a way on, after a semicolon; files with the same way have the same reason, of other numbers.
    """
    files: dict[str, list[str]] = {}
    for file, why in bad:
        files.setdefault(why.partition("; ")[2] or why, []).append(file)
    whys = dict(bad)
    ways = [way for way, of in files.items() if way != whys[of[0]]]
    alone = ways[0] if len(files) == len(ways) == 1 else ""
    told = [f"{some(of)}: {whys[of[0]].removesuffix(f'; {alone}')}" for of in files.values()]
    left = sum(map(len, [*files.values()][NAMED:]))
    return "; ".join(told[:NAMED]) + (f"; and {left} more" if left else ""), alone


def _checked(
    folder: Path, entries: Entries, classes: Sequence[str] | None, classes_from_folders: bool
) -> list[str]:  # fmt: skip
    """The image files, whose depth leaves no class unclear, and of which no class has lost all."""
    paths = entries.images
    depths = {path.count("/") for path in paths}
    if not paths:
        kinds = sorted({suffix_of(path) or "no suffix" for path in entries.others})
        nowhere = [f"links to what is not there ({some(entries.broken)})"] if entries.broken else []
        found = ", ".join([*kinds[:8], *nowhere, *entries.of_system]) or "nothing"
        expected = f"expected {', '.join(image_suffixes())}, found {found}"
        archives = [path for path in entries.others if is_archive(Path(path))]
        way = unpacking(folder, archives)
        way = way or _way_on(folder, entries.others) or reading_arrays(folder, entries.others)
        if not way and (inner := next((path for path in entries.hidden if _has_images(folder / path)), "")):
            way = f"its {inner} is passed over by its name; if its images are meant, name it: {folder / inner}"
        raise DataError(f"{folder} holds no images", expected, way or "name another folder")
    if classes_from_folders and 0 in depths and len(depths) > 1:
        problem = f"{folder} holds images both directly and in sub-folders, which leaves their classes unclear"
        top, inner = (next(path for path in paths if ("/" in path) == deep) for deep in (False, True))
        remedy = f"move {top} and the like into sub-folders, one per class, or unlabelled; or give `labels`"
        if 1 not in depths and all(path.startswith(f"{inner.split('/')[0]}/") for path in paths if "/" in path):
            remedy = (
                f"if {top} is not meant, name the folder of the others: {folder / inner.split('/')[0]}; or {remedy}"
            )
        raise DataError(problem, f"found {top} and {inner}", remedy)
    if classes_from_folders and classes is None and entries.paired:
        pictures, drawn = entries.paired
        found = f"found {', '.join(pictures)} beside {', '.join(drawn)}"
        remedy = f"name one folder: {folder / pictures[0]}; if they are classes: `classes` {','.join(pictures + drawn)}"
        raise DataError(f"the sub-folders of {folder} look like images and what was drawn over them", found, remedy)
    if classes_from_folders and 0 not in depths:
        _check_lost(folder, entries, classes)
    return paths


def _has_images(path: Path) -> bool:
    return path.is_dir() and holds_images(path)


def _check_lost(folder: Path, entries: Entries, classes: Sequence[str] | None) -> None:
    """Refuse a class whose files were all passed over, unless they can be no images."""
    full = {path.split("/")[0] for path in entries.images}
    wanted = [name for name in entries.folders if name not in full and (classes is None or name in classes)]
    doubled = [path for path in entries.again if "/" not in path and (classes is None or path in classes)]
    broken = [path for path in entries.broken if "/" not in path and not suffix_of(path)]
    broken = [path for path in broken if classes is None or path in classes]
    for name in (*wanted, *doubled, *broken):
        lost = [path for path in entries.others if path.startswith(f"{name}/") and not path.lower().endswith(TEXTS)]
        nowhere = [path for path in entries.broken if path.startswith(f"{name}/")]
        if name in doubled:
            found, way = "it is a link to a folder that is read under another name", ""
        elif name in broken or (nowhere and not lost):
            of_class = name if name in broken else nowhere[0]
            found = f"{of_class} is a link to what is not there: {os.path.realpath(folder / of_class)}"
            way = f"put it right, or {_leave_out(full)}"
        elif lost:
            kinds = sorted({suffix_of(path) or "no suffix" for path in lost})
            found = f"found {len(lost)} files with {', '.join(kinds[:8])}, such as {lost[0]}"
            way = _way_on(folder / name, lost)
        else:
            continue
        raise DataError(f"the class {name} of {folder} has no image that can be read", found, way or _leave_out(full))


def _check_left(names: Mapping[str, str], decoded: Decoded, of: str) -> None:
    """Refuse a class of which every file is unreadable, whatever number of such files may be skipped."""
    left = {names.get(file, "") for file in decoded.sources}
    lost: dict[str, list[tuple[str, str]]] = {}
    for image, why in decoded.bad:
        file = image if image in names else of_page(image)[0]
        if names.get(file, "") not in {"", *left}:
            lost.setdefault(names[file], []).append((image, why))
    for name, bad in lost.items():
        found, way = _reasons(bad)
        remedy = f"{way or 'mend them'}, or {_leave_out(left - {''})}"
        problem = f"the class {name} of {of} has no image that can be read"
        raise DataError(problem, f"all are unreadable: {found}", remedy)


def _leave_out(kept: Collection[str]) -> str:
    others = ",".join(sorted(kept))
    return f"leave it out: `classes` {others}" if len(others) < 60 else "leave it out with `classes`"


_FORMATS_OF_OTHERS = {"SVG": (".svg",), "raw": (".cr2", ".nef", ".arw", ".dng", ".raw")}


def _way_on(folder: Path, paths: Sequence[str]) -> str:
    """What to do with files that have not the suffix of an image; nothing where that is unknown."""
    if medical := medical_advice(paths):
        return f"{medical}, or convert them to PNG"
    for name, suffixes in _FORMATS_OF_OTHERS.items():
        if any(path.lower().endswith(suffixes) for path in paths):
            return f"{name} files are not read: convert them to PNG"
    if way := converting(folder, paths) or converting_more(folder, paths):
        return way
    if any(not PurePosixPath(path).suffix for path in paths):
        return "an image is known by its suffix: rename files without one, such as to .png or .jpg"
    return ""


def _remarks(remarks: Sequence[tuple[str, str]], name: str) -> list[str]:
    """A line for each kind of remark that decoding made, with the number of its files."""
    from latentcli.formats.transparency import UNSEEN

    counts = Counter(remark for _, remark in remarks)
    first = {remark: file for file, remark in reversed(remarks)}
    ways = {remark: "`background` says otherwise" for remark in counts if remark.startswith("transparent")}
    ways[UNSEEN] = f"to see it, leave out the alpha, in Python: {_WITHOUT_ALPHA}"
    lines = []
    for remark, count in counts.items():
        what, _, way = remark.partition("; ")
        way = way or ways.get(remark, "")
        lines.append(f"{name}: {what} in {count} file(s), such as {first[remark]}{way and f'; {way}'}")
    return lines
