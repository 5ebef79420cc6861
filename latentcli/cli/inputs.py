"""What a command is given, checked before any work: files that it reads and writes, and images that fit a model."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcli.core.errors import DataError, LatentError, ModelFileError, UsageError

if TYPE_CHECKING:
    from latentcli.classifiers.base import LatentClassifier
    from latentcli.cli.options import TrainReading
    from latentcli.core.image_set import ImageSet
    from latentcli.core.latents import Latents
    from latentcli.models.trained import TrainedModel


def images(
    data: str | Sequence[str],
    reading: "TrainReading",
    output: Path | None,
    bad_files: str = "bad_files.csv",
    **how: Any,
) -> "ImageSet":
    """Images of DATA, and a list beside ``output`` of the files that could not be read.

    Args:
        data: as on the command line; or several image files.
        reading: the options that say which images, and how.
        output: what the command writes; None when it writes nothing but the terminal.
        bad_files: name of the list.
        how: further arguments of ``load``: ``image_shape``, ``image_size``, ``spans``, ``progress``.
    """
    from latentcli.artifacts import write_bad_files
    from latentcli.cli import console
    from latentcli.core import processes
    from latentcli.data import load
    from latentcli.formats.atomic import is_stream

    loaded = load(data, **{**reading.options(), "progress": console.progress, **how})
    console.notes(loaded.notes)
    if loaded.bad_files:
        listed = (output.parent if output is not None and not is_stream(output) else Path()) / bad_files
        if processes.is_first():
            write_bad_files(listed, loaded.bad_files)
        console.note(f"warning: {len(loaded.bad_files)} file(s) could not be read and were skipped: see {listed}")
    return loaded


def pictures_before_files(
    data: str, file: Path, second: Path | None, *more: str
) -> tuple[list[str], Path, Path | None]:  # fmt: skip
    """What a command is given where DATA may be several pictures or shards: DATA, and the one or two files behind it.

    Raises:
        UsageError: there are no files behind the pictures, or more than two.
    """

    from latentcli.data.entries import image_suffixes
    from latentcli.data.shards import SUFFIXES

    given = [data, str(file), *([] if second is None else [str(second)]), *more]
    of_data = (*image_suffixes(), *SUFFIXES)
    first = next((row for row, name in enumerate(given) if not name.lower().endswith(of_data)), len(given))
    files = given[max(1, first) :]
    if not 1 <= len(files) <= 2:
        found = f"found {' '.join(files) or 'no model file'}"
        example = f"such as: latentcli classify {given[0]} vae.pth gmm_params.pkl"
        raise UsageError("a model file, and perhaps a classifier, stand behind DATA", found, example)
    return given[: -len(files)], Path(files[0]), Path(files[1]) if len(files) > 1 else None


def size_of_files(data: str, size: int) -> int | None:
    """The size at which the image files of DATA are best read for an encoder of this size; None for other sources."""
    from latentcli.core.image_set import LARGEST
    from latentcli.data import SOURCES, shards
    from latentcli.data.archives import is_archive
    from latentcli.data.entries import is_image

    folder = Path(data)
    if data not in SOURCES and shards.find(data) is not None:
        return min(size, LARGEST)
    is_folder = data not in SOURCES and folder.is_dir() and not any(folder.glob("*-ubyte*"))
    is_of_files = is_folder or is_archive(folder) or is_image(folder)
    return min(size, LARGEST) if is_of_files else None


def images_and_validation(
    data: str, val: str | None, reading: "TrainReading", output: Path, image_size: int | None,
    start: "TrainedModel | None" = None,
) -> "tuple[ImageSet, ImageSet | None]":  # fmt: skip
    """Images of DATA, and the labelled ones of VAL, read as DATA is, in its shape; None where there are none.

    Where there is no VAL, DATA's own validation part is taken for it, if DATA's labels are its own and it has some.

    Args:
        data, val, reading, image_size: as on the command line.
        output: what the command writes.
        start: a model to begin with, as whose images DATA is read; None: as its own.

    Raises:
        UsageError: another size than that model's, or ``--resize`` where nothing says to which size.
    """
    from latentcli.cli import console

    how = {} if start is None else start.load_options
    if start is not None:
        channels, height, width = start.image_shape
        if image_size not in (None, height, width):
            found_sizes = f"it takes {height}×{width} pixels"
            raise UsageError(
                f"--image-size is {image_size}, and {start.name} is to begin with", found_sizes, "leave it out"
            )
        console.detail(
            f"images become {height}×{width}, {'in colour' if channels == 3 else 'grey'}, as {start.name} takes them"
        )
    elif reading.resize and val is None and image_size is None:
        raise UsageError(
            "--resize is of a size that is known, and this is a new model", None, "say its size: --image-size 64"
        )
    found = images(data, reading, output, image_size=image_size, **how)
    asked = (reading.split or "train", reading.labels, reading.no_classes)
    own = val is None and {"train", "val"} <= {*found.parts} and asked == ("train", None, False)
    if val is None and not own:
        return found, None
    of_val = reading.of_val(image_size is not None, "val" if own else None)
    like = {"image_shape": found.shape, "spans": {**how.get("spans", {}), **found.spans}}
    validation = images(data if val is None else val, of_val, output, "bad_files_val.csv", **like)
    return found, None if own and not validation.labels.any else validation


def latents(
    data: str, vae: Path | None, device: str, reading: "TrainReading", output: Path | None,
    features: str | Sequence[str] | None = None, bad_files: str = "bad_files.csv",
) -> "Latents":  # fmt: skip
    """Latents from a file that ``encode`` wrote, or of images, read as ``images`` does, through a checkpoint.

    Args:
        data, vae, device, reading: as on the command line.
        output: what the command writes.
        features: wanted instead of the latents, or some that are all that is wanted; None: the latents.
        bad_files: name of the list of files that could not be read.

    Raises:
        UsageError: images without a checkpoint to encode them, a file or folder of another kind, features that these
            latents do not hold, or an option that is of images.
        ModelFileError: the latents are of another checkpoint than the one given.
    """
    from latentcli.artifacts import holds_latents, read_latents
    from latentcli.artifacts.models import load_model
    from latentcli.cli import console
    from latentcli.data import SOURCES
    from latentcli.formats import own_files

    if holds_latents(Path(data)):
        for name in ("split", "labels", "strict", "no_label", "classes", "no_classes", "pages", "resize"):
            if getattr(reading, name) not in (None, False):
                option = name.replace("_", "-")
                raise UsageError(
                    f"--{option} is of images, and {data} holds latents",
                    remedy=f"give it where they are encoded: latentcli encode DATA vae.pth --{option} …",
                )
        found = read_latents(Path(data), mmap=True)
        if vae is not None:
            check_latents(data, found, load_model(vae, "cpu"))
        for name in [features] if isinstance(features, str) else features or ():
            found.features(name)
        return found
    if data not in SOURCES:
        own_files.check_place(Path(data), own_files.IMAGES)
    if vae is None:
        raise UsageError(
            f"{data} holds images, and there is no checkpoint to encode them", remedy="name it behind DATA: vae.pth"
        )
    model = load_model(vae, device)
    model.check_features(features)
    of_data = images(data, reading, output, bad_files, **model.load_options)
    return model.encode(of_data, features, console.progress, mapped=True)


def latents_and_classifier(
    data: str, vae: Path | None, classifier: Path | None, device: str, reading: "TrainReading", output: Path | None
) -> "tuple[Latents, LatentClassifier | None]":
    """What a classifier reads of DATA, or the latents, and the classifier; behind a file of latents may stand it alone.

    Arguments and errors are those of ``latents``.
    """
    from latentcli.artifacts import holds_latents
    from latentcli.artifacts.models import load_classifier, load_model
    from latentcli.cli import console

    if holds_latents(Path(data)):
        vae, classifier = (vae, classifier) if classifier else (None, vae)
        reader = load_classifier(classifier) if classifier else None
        return latents(data, vae, device, reading, output, reader and reader.features), reader
    if vae is None:
        return latents(data, None, device, reading, output), None  # raises the error that there is no checkpoint
    model = load_model(vae, device)
    model.check_latents()
    reader = load_classifier(classifier, model) if classifier else None
    features = None if reader is None else reader.features
    model.check_features(features)
    found = images(data, reading, output, **model.load_options)
    return model.encode(found, features, console.progress, mapped=True), reader


def is_source(name: str) -> bool:
    """Whether this is a file or a folder, or the name of images that are known."""
    from latentcli.data import SOURCES

    return name in SOURCES or Path(name).exists()


def encoder_files(encoder: str | None) -> list[str]:
    """What may be files in the name of a trained encoder: all of it, and what stands behind a =."""
    return [] if encoder is None else [encoder, encoder.partition("=")[2] or encoder]


def check_latents(data: str, found: "Latents", model: "TrainedModel") -> None:
    """Refuse latents, which the file ``data`` holds, that name another checkpoint than the one given.

    Raises:
        ModelFileError: they name another.
    """
    from latentcli.formats.digests import short

    if found.checkpoint not in ("", model.fingerprint):
        raise ModelFileError(
            f"{data} holds latents of another checkpoint",
            f"expected latents of {model.name} {short(model.fingerprint)}, found {short(found.checkpoint)}",
            f"encode them again: {shlex.join(['latentcli', 'encode', 'DATA', model.name, '-o', data])}",
        )


def check_no_labels(path: Path | None) -> None:
    """Refuse, with a ``UsageError``, to replace a table of images to label by another when labels were filled in."""
    from latentcli.formats.csv_text import read_table

    if path is None or not path.exists():
        return
    try:
        table = read_table(path, lambda cells: "Label" in cells)
    except DataError:  # it is no table
        return
    column = table.header.index("Label") if "Label" in table.header else None
    count = 0 if column is None else sum(1 for _, cells in table.rows if len(cells) > column and cells[column].strip())
    if count:
        found = f"the list of images to label would replace the {count:,} in it"
        raise UsageError(f"{path} holds labels", found, f"go on with them: --labels {path} -o next.csv")


def check_outputs(
    *outputs: Path | None,
    given: Sequence[Path | str | None] = (),
    folder: Path | None = None,
    picture: Path | None = None,
) -> None:
    """Refuse, before any work, outputs that cannot be written, or that would replace an input or one another.

    Args:
        outputs: files the command writes, which are no pictures; None where one was not asked for.
        given: every file and folder that the command reads.
        folder: where pictures go; it need not exist yet, and lies in no folder that is read.
        picture: to be drawn; None: none.

    Raises:
        OutputError: a folder is missing or read-only, or a path is no regular file.
        UsageError: an output is one of the inputs, which are never modified, or two outputs are one file; one is called
            as a picture is and will be none, or the picture otherwise than .png or .svg; or one is a Parquet file, and
            pyarrow is not installed.
    """
    from latentcli.data.entries import image_suffixes
    from latentcli.figures import format_of
    from latentcli.formats import scale
    from latentcli.formats.atomic import check_folder, check_writable
    from latentcli.formats.parquet_table import SUFFIX

    paths = [path for path in (*outputs, picture) if path is not None]
    if picture is not None:
        format_of(picture)
    for path in paths:
        if path is not picture and path.name.lower().endswith((".svg", *image_suffixes())):
            raise UsageError(
                f"{path} ends as a picture's name does",
                "what this command writes there is no picture",
                "name another file: -o FILE",
            )
        if str(path) == "-":
            raise UsageError("only a table of labels can go to standard output", remedy="name a file: -o FILE")
        check_writable(path)
        if path.suffix.lower() == SUFFIX:
            scale.parquet()
        for read in (Path(name) for name in given if name is not None):
            if _replaces(path, read):
                remedy = "name another picture" if path is picture else "name another output: -o FILE"
                raise UsageError(f"{path} is an input of this command", "an input is never replaced", remedy)
    check_distinct(paths)
    if folder is not None:
        check_apart(folder, "--figures", given)
        check_folder(folder)


def check_apart(folder: Path, option: str, given: Sequence[Path | str | None]) -> None:
    """Refuse, with a ``UsageError``, a folder for pictures that is, or lies in, one that the command reads.

    The next command would take its pictures for images of that folder.
    """
    for read in (Path(name) for name in given if name is not None):
        if read.is_dir() and folder.resolve().is_relative_to(read.resolve()):
            raise UsageError(
                f"{option} {folder} lies in {read}, which is an input of this command",
                "its pictures would be read as images from now on", f"name a folder elsewhere: {option} DIR",
            )  # fmt: skip


def tell_replaced(classifier: Path, option: str, checkpoint: str = "", replaced: Path | None = None) -> None:
    """Tell that a classifier that is to be written replaces one that another model needs.

    Args:
        classifier: the output.
        option: that names it.
        checkpoint: fingerprint of the model that it is fitted on; "" where that is not known yet.
        replaced: checkpoint that is replaced, too, with whatever was fitted on it.
    """
    from latentcli.artifacts.models import load_classifier, load_model
    from latentcli.cli import console

    try:
        others = load_classifier(classifier).fitted_on_ if classifier.exists() else ""
        if others not in ("", checkpoint) and not (replaced and replaced.exists()
                                                   and load_model(replaced, "cpu").fingerprint == others):  # fmt: skip
            console.note(f"{classifier} was fitted on another model, and will be replaced: {option} names another file")
    except LatentError:  # nothing that another model could use
        return


def _replaces(path: Path, read: Path) -> bool:
    """Whether writing ``path`` would change ``read``: the file itself, or a picture in the folder."""
    if not path.exists() or not read.exists():
        return False
    from latentcli.data.entries import image_suffixes

    within = read.is_dir() and path.resolve().is_relative_to(read.resolve())
    return (within and path.name.lower().endswith(image_suffixes())) or path.samefile(read)


def check_distinct(paths: Sequence[Path]) -> None:
    """Raise a UsageError where two of the outputs are one file."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("two outputs have the same name", f"found {', '.join(map(str, paths))}", "name them apart")


def check_report(
    path: Path | None, given: Sequence[Path | str | None] = (), others: Sequence[Path | None] = ()
) -> None:
    """``check_outputs`` for a report, whose name must end in .html; None is no report.

    Raises:
        UsageError: it ends otherwise, or is one of the inputs, or of the ``others`` that the command writes.
        OutputError: it cannot be written.
    """
    from latentcli.pictures.reports import check_name

    if path is not None:
        check_name(path)
        check_outputs(path, given=given)
        for other in others:
            check_distinct([path] if other is None else [path, other])
