"""What is made of shards: latents, or labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latentcli.artifacts import parts
from latentcli.classifiers.base import LatentClassifier
from latentcli.core.errors import UsageError
from latentcli.core.image_set import LARGEST, ImageSet
from latentcli.core.progress import Progress, silent
from latentcli.data import sizing
from latentcli.formats.digests import digest
from latentcli.inference import classification, encoding
from latentcli.models.trained import TrainedModel
from latentcli.sharded.making import PartsDone, Reading, Work, run


def encode_shards(
    source: str | Path | Sequence[str | Path], encoder: "TrainedModel | str | encoding.FoundEncoder",
    folder: str | Path, *, part: str | None = None, retry_failed: bool = False, split: str | None = None,
    prefer: str = "test", no_label: Sequence[str] | None = None, no_classes: bool = False, range: str | None = None,
    background: str | None = None, image_size: int | None = None, device: str = "auto", progress: Progress = silent,
) -> PartsDone:  # fmt: skip
    """Encode shards, each into a part of a folder; parts that are there are left as they are.

    Memory holds two blocks of a shard's images (32 MiB of pixels each) and what is made of one, whatever the number of
    images, and of a shard at an address a copy on the disk.

    Args:
        source: shards, see ``data.shards``.
        encoder: a model of latents; or an encoder that is already trained, as for ``encode``.
        folder: for ``part-00000.parquet`` (file, label, the arrays of ``Latents``, label_error, error) and
            ``part-00000.json``.
        part: "i/n": every n-th shard from the i-th on, i from 1 to n; None: all. Processes that torchrun started
            share these out, and the first one's result is of all of them.
        retry_failed: also make parts again in which images, or labels of images, could not be read.
        split, prefer: as for ``load``, where the names of shards tell parts.
        no_label, no_classes: as for ``load``.
        range, background: as for ``load``; each image is read by itself, see ``data.shards.blocks``.
        image_size: height and width for an encoder that is already trained; None: its own, at most 256.
        device: for an encoder by its name.
        progress: told about the shards.

    Returns:
        what became of the shards; ``check`` raises an error where some could not be read.

    Raises:
        UsageError: the source is no shards, ``part`` is none, an input would be replaced, the folder holds parts of
            another model or made with other settings, a package is not installed, or one of several processes does not
            find the same.
        DataError: the shards cannot be listed, or have no such part.
        ModelFileError: the model has no latents.
        OutputError: the folder cannot be written to, or another run is writing one of the parts.

    Example:
        >>> import io, tarfile
        >>> import latentcli as lc
        >>> from PIL import Image
        >>> with tarfile.open("0.tar", "w") as tar:
        ...     for row, image in enumerate(lc.load("digits").images[:5, 0]):
        ...         file = io.BytesIO()
        ...         Image.fromarray(image).save(file, "png")
        ...         member = tarfile.TarInfo(f"{row}.png")
        ...         member.size = file.tell()
        ...         tar.addfile(member, io.BytesIO(file.getvalue()))
        >>> vae = lc.train(lc.load("digits"), backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> done = lc.encode_shards(["0.tar"], vae, "parts")
        >>> done.images, lc.read_latents("parts").flat.shape
        (5, (5, 4))
    """
    if isinstance(encoder, TrainedModel):
        work, spans = _of_model(encoder), encoder.load_options["spans"]
        if image_size is not None:
            raise UsageError("`image_size` is of an encoder that is already trained", None, "leave it out")
    else:
        work, spans = _of_encoder(encoder, image_size, device), {}
    reading = Reading(split, prefer, no_label, no_classes, range, background, spans)
    return run(source, Path(folder), work, reading, part, retry_failed, progress)


def classify_shards(
    source: str | Path | Sequence[str | Path], model: TrainedModel, classifier: LatentClassifier | None,
    folder: str | Path, *, reject_below: float | None = None, part: str | None = None, retry_failed: bool = False,
    split: str | None = None, prefer: str = "test", no_label: Sequence[str] | None = None, no_classes: bool = False,
    range: str | None = None, background: str | None = None, progress: Progress = silent,
) -> PartsDone:  # fmt: skip
    """Label the images of shards, each shard in a part of a folder; what is not said here is as for ``encode_shards``.

    Args:
        model, classifier, reject_below: as for ``classify``.
        folder: for ``part-00000.parquet`` (file, label, predicted, probability, ``p(class)`` of each class,
            label_error, error) and ``part-00000.json``.

    Raises:
        UsageError: also as of ``classify``.
        ModelFileError: as of ``classify``.

    Example:
        >>> import io, tarfile
        >>> import latentcli as lc
        >>> from PIL import Image
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> with tarfile.open("0.tar", "w") as tar:
        ...     for row, image in enumerate(images.images[:5, 0]):
        ...         file = io.BytesIO()
        ...         Image.fromarray(image).save(file, "png")
        ...         for name, content in {"png": file.getvalue(), "cls": images.labels.texts[row].encode()}.items():
        ...             member = tarfile.TarInfo(f"{row}.{name}")
        ...             member.size = len(content)
        ...             tar.addfile(member, io.BytesIO(content))
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2)
        >>> done = lc.classify_shards("0.tar", vae, lc.fit_mixture(vae.encode(images)), "labelled")
        >>> done.images, "accuracy" in done.scores
        (5, True)
    """
    work = _of_classifier(model, classifier, reject_below)
    reading = Reading(split, prefer, no_label, no_classes, range, background, model.load_options["spans"])
    return run(source, Path(folder), work, reading, part, retry_failed, progress)


def _of_model(model: TrainedModel) -> Work:
    model.check_latents()
    blank = model.encode(np.zeros((1, *model.image_shape), np.uint8)).arrays
    arrays = {name: (array.dtype, array.shape[1:]) for name, array in blank.items()}
    columns = parts.Columns(parts.LATENTS, arrays, model.fingerprint)
    return Work("encoding shards", columns, model.image_shape, {}, lambda images: model.encode(images).arrays)


def _of_encoder(encoder: "str | encoding.FoundEncoder", image_size: int | None, device: str) -> Work:
    found = encoding.find_encoder(encoder) if isinstance(encoder, str) else encoder
    size = min(found.network.preprocessing.size, LARGEST) if image_size is None else image_size
    if not sizing.in_range(size, size):
        raise UsageError(f"image size {size} is out of range", f"expected 8 to {LARGEST} pixels")
    columns = parts.Columns(parts.LATENTS, {"mu": (np.dtype(np.float32), (found.network.features,))}, found.sha256)
    return Work(
        "encoding shards", columns, (3, size, size), {"image_size": size},
        lambda images: encoding.encode(images, found, device=device).arrays,
    )  # fmt: skip


def _of_classifier(model: TrainedModel, classifier: LatentClassifier | None, reject_below: float | None) -> Work:
    classification.check_reader(model, classifier, reject_below)
    blank = ImageSet(np.zeros((1, *model.image_shape), np.uint8))
    names = classification.classify(blank, model, classifier, reject_below=reject_below).labels.names
    number = np.dtype(np.float32)
    arrays = {"predicted": (np.dtype("U"), ()), "probability": (number, ())}
    arrays |= {f"p({name})": (number, ()) for name in names}

    def compute(images: ImageSet) -> dict[str, np.ndarray]:
        found = classification.classify(images, model, classifier, reject_below=reject_below)
        each = {f"p({name})": found.probabilities[:, code] for code, name in enumerate(names)}
        numbers = {"probability": found.confidences, **each}
        return {"predicted": found.labels.texts, **{name: array.astype(number) for name, array in numbers.items()}}

    settings = {
        "classifier": None if classifier is None else digest(classifier.to_params()), "reject_below": reject_below,
    }  # fmt: skip
    columns = parts.Columns(parts.PREDICTIONS, arrays, model.fingerprint)
    return Work("classifying shards", columns, model.image_shape, settings, compute, names)
