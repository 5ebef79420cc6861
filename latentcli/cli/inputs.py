"""Loading what a command is given: a checkpoint with its model, and images that fit it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcli.core.errors import ModelFileError, UsageError
from latentcli.formats.files import check_folder, check_writable, short, shown

if TYPE_CHECKING:
    from latentcli.artifacts.checkpoint import Checkpoint
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
    from latentcli.core.image_set import ImageSet
    from latentcli.core.latents import Latents
    from latentcli.models.base import LatentModel, Model, PixelClassifier


def model(path: Path, device: str) -> "tuple[Checkpoint, LatentModel]":
    """A checkpoint, and its model ready for use on the device of that name.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe or no checkpoint, or its model has no latent space.
    """
    from latentcli.models.base import LatentModel

    saved, found = _any_model(path, device)
    if not isinstance(found, LatentModel):
        raise ModelFileError(
            f"{shown(path)} is a classifier of pixels; it has no latent space",
            "expected a model of latents, such as vae.pth, which `latentcli train` writes",
            f"to label images with it, give no other file: latentcli classify DATA {shown(path)}",
        )
    return saved, found


def pixel_classifier(path: Path, device: str) -> "tuple[Checkpoint, PixelClassifier]":
    """A checkpoint whose model labels images by itself, and that model, ready for use on the device of that name.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe or no checkpoint, or does not name its classes.
        UsageError: its model is one of latents, which needs a classifier to read them.
    """
    from latentcli.models.base import PixelClassifier

    saved, found = _any_model(path, device)
    if not isinstance(found, PixelClassifier):
        raise UsageError(
            f"{shown(path)} is a model of latents, and there is no classifier to read them",
            "expected one that was fitted on it, or a classifier of pixels alone",
            f"name it behind {shown(path)}: gmm_params.pkl or probe.pth",
        )
    names = set(saved.class_names) - {""}
    if len(names) != found.config.classes or len(saved.class_names) != len(names):
        raise ModelFileError(
            f"{shown(path)} does not name the classes that it tells apart",
            f"expected {found.config.classes} different names, found {len(saved.class_names)}",
            "train it again: latentcli train-cnn DATA",
        )
    return saved, found


def _any_model(path: Path, device: str) -> "tuple[Checkpoint, Model]":
    from latentcli.artifacts import checkpoint
    from latentcli.core import device as devices

    where = devices.resolve(device)
    saved = checkpoint.load(path)
    return saved, checkpoint.build(saved).to(where).eval()


def images(data: str, saved: "Checkpoint", output: Path | None, **options: Any) -> "ImageSet":
    """Images of the checkpoint's shape, and a list beside ``output`` of the files that could not be read.

    Args:
        data: as on the command line.
        saved: whose model the images are for.
        output: what the command writes; None when it writes nothing but the terminal.
        options: for ``data.load``.
    """
    from latentcli import data as datasets
    from latentcli.cli import console

    loaded = datasets.load(data, image_shape=saved.image_shape, progress=console.progress, **options)
    report_bad_files(loaded, output)
    return loaded


def validation(
    val: str | None, images: "ImageSet", image_size: int | None, data_root: Path | None
) -> "ImageSet | None":
    """The images to validate a training with, in the shape of those that are trained on; None where there are none.

    Args:
        val, data_root: as on the command line.
        images: that are trained on.
        image_size: height and width that these were brought to, and validation images are; None: theirs must be right.

    Raises:
        DataError: they are of another shape, or cannot be read.
    """
    from latentcli import data as datasets
    from latentcli.cli import console

    if val is None:
        return None
    return datasets.load(
        val, image_shape=images.shape, resize=image_size is not None, data_root=data_root, progress=console.progress
    )


def latents(
    data: str, vae: Path | None, device: str, output: Path, features: str | None = None, **options: Any
) -> "Latents":
    """Latents from a file that ``encode`` wrote, or of images through a checkpoint.

    Args:
        data: as on the command line.
        vae: the checkpoint.
        device: where it computes.
        output: what the command writes.
        features: that are needed beside what ``encode`` gives; None: no others.
        options: for ``data.load``.

    Raises:
        UsageError: images without a checkpoint to encode them, features that these latents do not hold, or an option
            that is of images.
        ModelFileError: the latents are of another checkpoint than the one given.
    """
    from latentcli import artifacts
    from latentcli.artifacts import checkpoint
    from latentcli.cli import fitting

    if artifacts.holds_latents(Path(data)):
        for name in ("labels", "classes", "resize"):
            if options.get(name):
                raise UsageError(
                    f"--{name} is of images, and {data} holds latents",
                    remedy=f"give it where they are encoded: latentcli encode DATA vae.pth --{name} …",
                )
        found = artifacts.read_latents(Path(data))
        if vae is not None:
            check_latents(data, found, vae, checkpoint.load(vae).fingerprint)
        if features is not None:
            found.features(features)
        return found
    if vae is None:
        raise UsageError(
            f"{data} holds images, and there is no checkpoint to encode them", remedy="name it behind DATA: vae.pth"
        )
    saved, network = model(vae, device)
    fitting.check_features(network, features)
    return fitting.encoded(network, saved.fingerprint, images(data, saved, output, **options), features)


def check_latents(data: str, found: "Latents", vae: Path, fingerprint: str) -> None:
    """Refuse latents that name another checkpoint than the one given.

    Args:
        data, vae: what the files are called.
        found: what ``data`` holds.
        fingerprint: of the checkpoint ``vae``.

    Raises:
        ModelFileError: they do.
    """
    if found.checkpoint not in ("", fingerprint):
        raise ModelFileError(
            f"{data} holds latents of another checkpoint",
            f"expected latents of {vae} {short(fingerprint)}, found {short(found.checkpoint)}",
            f"encode them again: latentcli encode DATA {vae} -o {data}",
        )


def classifier(path: Path, fitted_on: str, vae: Path) -> Any:
    """A fitted mixture or probe, refused unless it was fitted on what this checkpoint makes of images.

    Args:
        path: of the classifier.
        fitted_on: fingerprint of the checkpoint.
        vae: what the checkpoint is called.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, no classifier, or of another checkpoint.
    """
    from latentcli import artifacts
    from latentcli.artifacts import probes as probe_files
    from latentcli.classifiers import CLASSIFIERS

    read = probe_files.read if probe_files.is_archive(path) else artifacts.read_classifier
    params = read(path, fitted_on=fitted_on, checkpoint=shown(vae))
    if params["kind"] not in CLASSIFIERS:
        expected = f"expected one of {', '.join(CLASSIFIERS)}, found {params['kind'][:40]!r}"
        raise ModelFileError(f"{shown(path)} holds a classifier of an unknown kind", expected)
    try:
        return CLASSIFIERS[params["kind"]].from_params(params)
    except ModelFileError as error:
        raise ModelFileError(f"{shown(path)}: {error.problem}", error.found, error.remedy) from error


def mixture(path: Path, fitted_on: str, vae: Path) -> "GaussianMixtureClassifier":
    """A fitted mixture that points can be drawn from; arguments as for ``classifier``.

    Raises:
        ModelFileError: as for ``classifier``, or it is one that only tells classes apart.
    """
    from latentcli.artifacts import probes as probe_files
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier

    # No archive holds a mixture, and what is said of a damaged probe would be no help to one who wants a mixture.
    found = None if probe_files.is_archive(path) else classifier(path, fitted_on, vae)
    if not isinstance(found, GaussianMixtureClassifier):
        raise ModelFileError(
            f"{shown(path)} is no mixture",
            "a probe, or a network, tells classes apart, and there is nothing to draw from it",
            f"fit a mixture: latentcli fit-gmm DATA {shown(vae)} -o gmm_params.pkl",
        )
    return found


def check_outputs(*outputs: Path | None, given: Sequence[Path | str | None], folder: Path | None = None) -> None:
    """Refuse, before any work, outputs that cannot be written, or that would replace an input or one another.

    Args:
        outputs: files the command writes; None where one was not asked for.
        given: every file and folder that the command reads.
        folder: where pictures go; it need not exist yet.

    Raises:
        OutputError: a folder is missing or read-only, or a path no regular file.
        UsageError: an output is one of the inputs, which are never modified, or two outputs are one file.
    """
    paths = [path for path in outputs if path is not None]
    for path in paths:
        if str(path) == "-":
            raise UsageError("only a table of labels can go to standard output", remedy="name a file: -o FILE")
        check_writable(path)
        for read in (Path(name) for name in given if name is not None):
            if _replaces(path, read):
                raise UsageError(
                    f"{path} is an input of this command", "an input is never replaced", "name another output: -o FILE"
                )
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("two outputs have the same name", f"found {', '.join(map(str, paths))}", "name them apart")
    if folder is not None:
        check_folder(folder)


def _replaces(path: Path, read: Path) -> bool:
    """Whether writing ``path`` would change ``read``: the file itself, or a picture in the folder."""
    if not path.exists() or not read.exists():
        return False
    pictures = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
    within = read.is_dir() and path.suffix.lower() in pictures and path.resolve().is_relative_to(read.resolve())
    return within or path.samefile(read)


def check_picture(path: Path | None, given: Sequence[Path | str | None] = ()) -> None:
    """``check_outputs`` for a picture, whose name must end in .png or .svg; None is no picture.

    Raises:
        UsageError: it does not, or the picture is one of the inputs.
        OutputError: it cannot be written.
    """
    from latentcli.figures import format_of

    if path is not None:
        format_of(path)
        check_outputs(path, given=given)


def report_bad_files(loaded: "ImageSet", output: Path | None) -> None:
    """Say which files were skipped, and list them in ``bad_files.csv`` beside the output."""
    from latentcli import artifacts
    from latentcli.cli import console

    if not loaded.bad_files:
        return
    listed = (output.parent if output is not None else Path()) / "bad_files.csv"
    artifacts.write_bad_files(listed, loaded.bad_files)
    console.note(f"warning: {len(loaded.bad_files)} file(s) could not be read and were skipped: see {listed}")
