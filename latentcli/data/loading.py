"""``load``: whatever the user calls DATA, as one ``ImageSet``."""

import os
import re
import shlex
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import LARGEST, SMALLEST, ImageSet, Shape
from latentcli.core.labels import NO_LABEL, Labels, check_some, composed
from latentcli.core.progress import Progress, silent
from latentcli.core.stages import stage
from latentcli.data import SOURCES, addresses, shards, sizing, splits
from latentcli.data.cache import (
    LEAST_ARCHIVE,
    Asked,
    Build,
    Cache,
    CacheFolder,
    Keeping,
    Nowhere,
    Within,
    folder_of,
    stamp,
)
from latentcli.formats import own_files
from latentcli.formats.pixel_values import PixelRules, parse_range, spans_of
from latentcli.formats.regular_files import kind, reason
from latentcli.formats.spelled_paths import of_page

NAMED_SPLITS = ("train", "test")


@stage("reading images")
def load(
    source: str | Path | Sequence[str | Path], *, split: str | None = None, prefer: str = "train",
    classes: Sequence[str] | None = None,
    labels: str | Path | None = None, strict: bool = False, no_label: Sequence[str] | None = None,
    no_classes: bool = False, range: str | None = None, background: str | None = None, pages: bool = False,
    spans: Mapping[str, tuple[float, float]] | None = None,
    image_shape: Shape | None = None, image_size: int | None = None, resize: bool = False,
    data_root: str | Path | None = None, max_bad: str | int = "1%",
    cache_dir: str | Path | None = None, no_cache: bool = False, progress: Progress = silent,
) -> ImageSet:  # fmt: skip
    """Images with their labels and file names, in the source's own order.

    Args:
        source: the name of a data set (see ``SOURCES``; a name goes before a path of that name), a ``.npz`` or
            ``.npy`` file, a folder of images, or of IDX files, an archive of such a folder, or image files; or shards,
            see ``data.shards``: a pattern or an address of ``.tar`` or ``.parquet`` files, a folder of these, or files.
        split: "train", "val" or "test": the part to read. Folders have parts as sub-folders (see ``splits.PARTS``), IDX
            files by their names, ``.npz`` files by those of arrays. None: the one that is preferred, where there are
            parts, and all images of a source without parts.
        prefer: the part that is read where ``split`` asks for none: for "test" the validation part may stand in, and
            the only part there is for any.
        classes: keep only the images of these classes, and number the classes in this order.
        labels: a CSV file with columns File,Label (or such as filename;class) that replaces all labels of the source;
            File is a path within the folder, or the number of the row (from 0) for every other source. Or an ``.npy``
            file with a label for each image, in their order. A column such as ``split`` tells the part of each image.
        strict: refuse rows of it that name no file of the folder, instead of counting them in the notes.
        no_label: names that mean, in any case, that an image has no label, as an empty one does; None:
            ``core.labels.NO_LABEL``; names among ``classes`` are classes.
        no_classes: the source's own labels do not count; sub-folders, at any depth, are not classes.
        range: the numbers of black and of white of arrays, and of files of more than 8 bits, such as "4095" or "-1,1";
            others are one of them, and counted; None: by the rule of ``formats.pixel_values``, told where not plain.
        background: name of the colour on which transparent pixels are laid; None: black, or white under dark drawings.
        pages: whether each page of image files that have several is an image, called as ``scan.tif[3]``, from 0, and
            labelled as its file is where it has no label of its own; otherwise the first is read.
        spans: the numbers of black and of white by which a model's images were read, as ``ImageSet.spans``: those
            within are read likewise, where ``range`` does not say otherwise.
        image_shape: channels, height and width of a model. Files of a folder are converted to it; arrays must have
            it, except with ``resize``.
        image_size: height and width where there is no model, in pixels from 8 to 256. By default arrays keep
            their size; so do folders of images of one size, and others become 64×64.
        resize: resize arrays to the height and width of ``image_shape``; their channels must be right nevertheless.
        data_root: where named sets are looked up first, before ``LATENTCLI_DATA`` and the user's cache folder.
        max_bad: unreadable files of a folder that are skipped before it is an error: 20 or "1%".
        cache_dir: where images of files are kept as they were decoded, for the next time, which begins at once; None:
            ``LATENTCLI_CACHE``, or else the user's cache folder. Fewer than 2,000 files, of less than 32 MiB, are
            decoded each time, as are archives, and shards together, of less than 4 MiB. ``cached`` lists what is kept.
        no_cache: keep nothing there, and read nothing that is.
        progress: told about decoding, resizing and downloading.

    Raises:
        UsageError: an argument is out of its range, or two contradict each other.
        DataError: the source is unknown, missing, unreadable, empty or of another shape, or has not the part that is
            asked for; unknown classes or labels.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", split="test", classes=["1", "4", "8"])
        >>> images.images.shape, images.class_names, images.labels.counts.tolist()
        ((106, 1, 8, 8), ('1', '4', '8'), [36, 37, 33])
    """
    from latentcli.data.folders import parse_max_bad

    path = Path(source) if isinstance(source, str | Path) else None
    if path is None and not (isinstance(source, Sequence) and all(isinstance(each, str | Path) for each in source)):
        expected = f"expected the name of a data set, or one path or several, found {type(source).__name__}"
        raise UsageError("`source` is of the wrong type", expected, "for images in memory make an `ImageSet`")
    if not isinstance(labels, str | Path | None):
        raise UsageError("`labels` is of the wrong type", f"expected a path, found {type(labels).__name__}")
    wanted = splits.Wanted(prefer if split is None else split, asked=split is not None, source=path)
    if wanted.part not in splits.PARTS:
        raise UsageError(f"unknown split {wanted.part!r}", f"expected one of: {', '.join(splits.PARTS)}")
    if source == "":
        raise DataError("the name of the images is empty", f"expected a file, a folder or one of: {', '.join(SOURCES)}")
    if image_size is not None and not (isinstance(image_size, Integral) and sizing.in_range(image_size, image_size)):
        raise UsageError(f"image size {image_size} is out of range", f"expected {SMALLEST} to {LARGEST} pixels")
    if no_classes and classes is not None and labels is None:
        raise UsageError("`no_classes` leaves no classes to choose by `classes`", remedy="leave one of them out")
    if classes is not None:
        check_some(classes)
        classes = [composed(str(name)) for name in classes]
        if {*classes} & {*(meant := NO_LABEL if no_label is None else no_label)}:
            no_label = [name for name in meant if name not in classes]
    _check_colour(background)
    parse_max_bad(max_bad := str(max_bad), 1)
    if labels is not None and Path(labels) == Path():
        raise UsageError("`labels` names no file", "expected a table such as labels.csv", "name one, or leave it out")
    if labels is not None:
        _check_no_pipe(Path(labels))
    if labels is not None and wanted.asked:
        from latentcli.data.labels import tells_parts

        wanted = replace(wanted, in_table=tells_parts(Path(labels)))
    how = _Reading(
        wanted, classes, labels is None and not no_classes, no_label, image_shape, image_size, max_bad,
        PixelRules(None if range is None else parse_range(range), spans_of(spans or {}), background, pages),
        progress, Nowhere() if no_cache else CacheFolder(folder_of(cache_dir), progress),
    )  # fmt: skip
    if isinstance(source, str) and source in SOURCES:
        images = _named(source, wanted.part, data_root, progress)
    elif (found := shards.find(source)) is not None:
        images = _from_shards(found, how)
    elif not isinstance(source, str | Path):
        images = _from_files([Path(path) for path in source], how)
    else:
        images = _from_path(Path(source), how)
    if no_classes:
        images = replace(images, labels=Labels.none(len(images)))
    if labels is not None:
        from latentcli.data.labels import with_labels

        images = with_labels(images, Path(labels), strict, no_label, wanted)
        if not images.labels.any:
            raise DataError(
                f"{labels} labels no image of {images.name}", "; ".join(images.notes) or "found no label in it",
                "name files or rows and their classes in it, or leave it out",
            )  # fmt: skip
    if classes is not None:
        images = images.only(classes)
        if not len(images):
            raise DataError(f"{images.name} has no image of the classes {', '.join(classes)}")
    unused = []
    if isinstance(source, str) and source in SOURCES:
        given = {"background": background, "range": range}
        unused = [f"`{name}` is of arrays and of image files, and was not used" for name in given if given[name]]
    if pages and images.files is None:
        unused.append("`pages` is of image files, and was not used")
    images = replace(images, notes=(*images.notes, *unused))
    return sizing.fit(images, image_shape, image_size, resize, progress)


@dataclass(frozen=True)
class _Reading:
    """How images are read from a path; as of ``load``.

    Attributes:
        own_labels: whether the source's own labels, such as the names of sub-folders, count.
    """

    wanted: splits.Wanted
    classes: Sequence[str] | None
    own_labels: bool
    no_label: Sequence[str] | None
    image_shape: Shape | None
    image_size: int | None
    max_bad: str
    rules: PixelRules
    progress: Progress
    cache: Cache


def _check_colour(name: str | None) -> None:
    """Raise a ``UsageError`` for the name of a ``background`` that is no colour."""
    if name is not None:
        from PIL import ImageColor

        try:
            ImageColor.getrgb(name)
        except ValueError as error:
            raise UsageError(f"`background` {name!r} is no colour", "such as white, black or #808080") from error


def _named(name: str, split: str, data_root: str | Path | None, progress: Progress) -> ImageSet:
    if split not in NAMED_SPLITS:
        raise UsageError(f"{name} has no {split} part", f"expected one of: {', '.join(NAMED_SPLITS)}")
    images = SOURCES[name](split, _roots(data_root), progress)
    if kind(Path(name)) is None:
        return images
    note = f"{name} is the data set of that name; what lies here under the same name is read as ./{name}"
    return replace(images, notes=(*images.notes, note))


def _from_path(path: Path, how: _Reading) -> ImageSet:
    from latentcli.data import archives, arrays, foreign, idx
    from latentcli.data.entries import is_image

    if kind(path) == stat.S_IFDIR:
        return _from_folder(path, how)
    _check_no_pipe(path)
    _check_local(path)
    own_files.check_place(path, own_files.IMAGES)
    if path.suffix.lower() in arrays.SUFFIXES:
        return arrays.load(path, how.wanted, how.no_label, how.own_labels, how.rules)
    if kind(path) is not None:
        if is_image(path):
            return _from_files([path], how)
        if idx.is_images(path):
            return idx.load(path, how.wanted, None, how.no_label, how.own_labels, how.rules)
        if archives.is_archive(path):
            return _from_archive(path, how)
        if (refused := foreign.refusal(path)) is not None:
            raise refused
    what = "is neither a .npz or .npy file nor a folder" if kind(path) is not None else "is no file, folder or data set"
    remedy = "name one of them, a .npz or .npy file, a folder of images, an archive of one, or a folder of IDX files"
    raise DataError(f"{path} {what}", f"the named data sets are: {', '.join(SOURCES)}", remedy)


def _check_no_pipe(path: Path) -> None:
    """Raise a DataError for a pipe or a device: files are read more than once, and not in their order alone."""
    if kind(path) not in (None, stat.S_IFREG, stat.S_IFDIR):
        remedy = "write what comes out of it to a file first, and name that"
        raise DataError(f"{path} is a pipe or a device, and no file", None, remedy)


def _check_local(path: Path) -> None:
    """Raise a DataError for a path that is not there: an address, or what a shell puts other paths in the place of."""
    if kind(path) is not None:
        return
    text = str(path)
    if (address := re.match(r"(https?|s3|gs|ftp):/+(.*)", text)) is not None:
        url = f"{address[1]}://{address[2]}"
        raise DataError(
            f"{url} is an address, and nothing is downloaded from it", None, "download it, and name the file"
        )
    try:
        written = os.path.expandvars(path.expanduser())
    except RuntimeError:  # the home of somebody unknown
        written = text
    if written != text:
        raise DataError(f"{text} is no path before it is expanded, and nothing did", None, f"write it out: {written}")
    pattern = [part for part in path.parts if re.search(r"[*?]|\[.+\]", of_page(part)[0])]
    if not pattern:
        return
    fixed = path.parts.index(pattern[0])
    folder = Path(*path.parts[:fixed])
    example = next(folder.glob("/".join(path.parts[fixed:])), None)
    if example is None:
        raise DataError(f"{text} is a pattern, and no file is called so", None, f"look what is there: ls {folder}")
    remedy = (
        f"name the folder: {folder}, or where your shell puts files in the place of a pattern, leave out the quotes"
    )
    raise DataError(f"{text} is a pattern, and no file", f"it would mean such as {example}", remedy)


def _from_folder(path: Path, how: _Reading) -> ImageSet:
    """A folder of IDX files or of images, or the part of it that is asked for; files are told from ``path`` on."""
    from latentcli.data import folders, idx
    from latentcli.data.entries import Entries, holds_images

    name = folders.called(path)
    idx_folder = idx.find_folder(path)
    if idx_folder is not None:
        return idx.load(idx_folder, how.wanted, name, how.no_label, how.own_labels, how.rules)
    notes: tuple[str, ...] = ()
    below: Mapping[str, str] | None = None
    elsewhere: dict[str, tuple[str, ...]] = {}
    try:
        inner, parts, beside = splits.within(path)
        if parts:
            of_part, note = splits.chosen(name, parts, how.wanted, beside)
            notes = (note,)
            if not how.own_labels:
                others = {part: each for part, each in parts.items() if each is not of_part}
                start = inner.relative_to(path)
                elsewhere = {
                    part: tuple((start / file).as_posix() for file in splits.files_of(inner, each))
                    for part, each in others.items()
                }
            apart = [each for each in beside if each.casefold() in NO_LABEL]
            if apart and of_part is parts.get("train") and isinstance(of_part, Path) and how.own_labels:
                move = shlex.join(["mv", str(inner / apart[0]), str(of_part)])
                if not holds_images(of_part, deepest=0):
                    notes = (note, f"{name}: to learn from {apart[0]}, too, put it beside the classes: {move}")
            if isinstance(of_part, Path):
                inner = splits.within(of_part)[0]
            else:
                below = of_part
        else:
            how.wanted.check_whole(name, "expected sub-folders such as train, val and test")
    except OSError as error:
        raise DataError(f"cannot read the folder {error.filename or path}", reason(error)) from error
    prefix = f"{inner.relative_to(path).as_posix()}/" if inner != path else ""
    if prefix and not parts:
        notes = (f"{name} holds nothing but {prefix}, which is read",)
    if prefix:
        notes = (*notes, *Entries.of(path, deepest=-1).note_of_broken(name))
    images = folders.load(
        inner, how.image_shape, how.image_size, how.classes if how.own_labels else None, how.own_labels, how.max_bad,
        how.progress, how.no_label, how.rules, below, how.cache,
    )  # fmt: skip
    if not parts and how.classes is None and (seeming := splits.seem_parts(images.labels.occurring)):
        kept = ",".join(each for each in images.class_names if each not in seeming)
        way = f"if so, leave it out: `classes` {kept}, or move the others to a folder train beside it"
        notes = (*notes, f"{name}: {', '.join(seeming)} is called as a part is, and was read as a class; {way}")
    return replace(
        images, name=name, parts=tuple(parts), notes=(*notes, *images.notes), elsewhere=elsewhere,
        files=tuple(prefix + file for file in images.files or ()),
        bad_files=tuple((prefix + file, why) for file, why in images.bad_files),
    )  # fmt: skip


def _from_archive(path: Path, how: _Reading) -> ImageSet:
    """The images of the folder in an archive, which need not be unpacked where they are kept as decoded."""
    from latentcli.data import archives

    def build(keeping: Keeping) -> ImageSet:
        with archives.unpacked(path) as (folder, notes):
            images = _from_folder(folder, replace(how, cache=Within(keeping)))
            told = (note.replace(str(folder), str(path)) for note in images.notes)
            return _keep(replace(images, name=str(path), notes=(*notes, *told)), keeping, how)

    state = stamp(path)
    images = _kept(str(path), os.path.realpath(path), str(path), [state], how, build)
    beside = "a sub-folder for each class, or a .cls file beside each image (0001.jpg, 0001.cls)"
    return replace(images, labels_in="" if path.suffix.lower() == ".zip" else beside)


def _from_shards(found: shards.Shards, how: _Reading) -> ImageSet:
    """The images of shards, which need not be opened, or copied here, where they are kept as decoded."""
    found = shards.of_part(found, how.wanted)

    def build(keeping: Keeping) -> ImageSet:
        images = shards.load(
            found, how.image_shape, how.image_size, how.classes, how.own_labels, how.max_bad, how.progress,
            how.no_label, how.rules, Within(keeping),
        )  # fmt: skip
        return _keep(images, keeping, how)

    states = [shards.state_of(shard) for shard in found.all] if how.cache.keeps else []
    path = addresses.local(found.given)
    source = found.given if path is None else os.path.realpath(path)
    images = _kept(found.name, source, found.given, states, how, build, [shard.origin for shard in found.all])
    return replace(images, labels_in=shards.labels_in(found))


def _kept(
    name: str, source: str, place: str, states: Sequence[tuple[int, object]], how: _Reading, build: Build[ImageSet],
    parts: Sequence[str] = (),
) -> ImageSet:  # fmt: skip
    """The images of files that hold many, as they are kept, or else as ``build`` decodes them.

    Args:
        name: of all.
        source, place: as ``source`` and ``name`` of ``Asked``.
        states: size of each of the files, and what is another when its content is.
        parts: what else tells which files these are.
    """
    from latentcli.data.decoding import earlier_shapes, is_of_choice
    from latentcli.data.facts import image_set_of

    def parse(facts: Mapping[str, Any], images: np.ndarray) -> ImageSet:
        found = image_set_of(facts, images, name)
        if how.image_shape not in (None, found.shape):
            raise ValueError("images of another shape")
        if facts.get("part") != how.wanted.part and (found.parts or found.files is None):
            raise ValueError("images of another part")
        if how.image_shape is not None:
            found = replace(found, notes=tuple(note for note in found.notes if not is_of_choice(note)))
        return found

    def as_text(part: str, shape: Shape | None, size: int | None) -> str:
        wanted = replace(how.wanted, source=None, part=part)
        asked = vars(replace(how, wanted=wanted, image_shape=shape, image_size=size))
        return repr(({key: value for key, value in asked.items() if key not in ("progress", "cache")}, parts))

    own = how.wanted.part, how.image_shape, how.image_size
    of_others = (own[0],) if how.wanted.asked else splits.PARTS  # one without parts is the same for all
    alike = [as_text(part, *sizes) for sizes in (own[1:], *earlier_shapes(own[1])) for part in of_others]
    cache = how.cache if sum(size for size, _ in states) >= LEAST_ARCHIVE else Nowhere()
    images, told = cache.kept(Asked(source, as_text(*own), states, place, alike), parse, build)
    return replace(images, notes=(*images.notes, *(f"{name}: {note}" for note in told)))


def _keep(images: ImageSet, keeping: Keeping, how: _Reading) -> ImageSet:
    """Images that were decoded, kept for ``_kept``."""
    from latentcli.data.facts import facts_of

    kept = keeping.keep({**facts_of(images), "part": how.wanted.part}, images.images)
    if kept is images.images and isinstance(kept, np.memmap):  # of a file that is gone in a moment
        kept = np.array(kept)
    return replace(images, images=kept)


def _from_files(paths: Sequence[Path], how: _Reading) -> ImageSet:
    from latentcli.data import folders

    if not paths:
        raise DataError("there are no image files to read", "found an empty list")
    for path in paths:
        _check_local(path)
    name = str(paths[0]) if len(paths) == 1 else f"{len(paths)} pictures"
    how.wanted.check_whole(name, "expected a folder with sub-folders such as train, val and test")
    return folders.load_files(paths, how.image_shape, how.image_size, how.max_bad, how.progress, how.rules, how.cache)


def _roots(data_root: str | Path | None) -> list[Path]:
    """The folders where named sets are looked up, in this order; the user's cache is the last."""
    import platformdirs

    named = [data_root, os.environ.get("LATENTCLI_DATA") or None, platformdirs.user_cache_path("latentcli")]
    return list(dict.fromkeys(Path(root).expanduser() for root in named if root is not None))
