"""From images to files in one pass: blocks of images go through a model, and what it makes of them is written at once.

Nothing of an image is kept, so memory does not grow with their number beyond what was read with them: 8 bytes an image
for its label, and its file's name. The files have the bytes that the functions give which return whole arrays.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from latentcli.artifacts.images import reconstructions_writer
from latentcli.artifacts.latents import latents_writer
from latentcli.artifacts.tables import predictions_writer
from latentcli.classifiers.base import LatentClassifier
from latentcli.core.image_set import ImageSet
from latentcli.core.latents import Latents
from latentcli.core.progress import Progress, silent
from latentcli.inference import classification, encoding
from latentcli.inference.classification import Predictions
from latentcli.inference.tally import Tally
from latentcli.models.pretrained.finding import FoundEncoder
from latentcli.models.trained import TrainedModel
from latentcli.numerics.blocks import Kept
from latentcli.numerics.metrics import ReconstructionScore


@dataclass(frozen=True)
class Encoded:
    """What is known of latents that were written.

    Attributes:
        images, dimensions: how many there are, and the numbers of each that a mixture reads.
        measures: the family's metrics of them; none of a trained encoder.
        kept: those of the images that were to be kept; None where none were.
    """

    images: int
    dimensions: int
    measures: dict[str, Any]
    kept: Latents | None = None


def encode_to(
    path: str | Path, images: ImageSet, model: TrainedModel | FoundEncoder | str, *, device: str = "auto",
    kept: np.ndarray | None = None, progress: Progress = silent,
) -> Encoded:  # fmt: skip
    """Write the latents of images as they come: ``write_latents(path, model.encode(images))`` in constant memory.

    In memory are the images' labels and the names of their files; on the disk the latents need their room twice.

    Args:
        path: of the ``latents.npz``, replaced whole when all are written.
        images: of the model's shape; of any for a trained encoder.
        model: a model of latents; or an encoder that is already trained, as ``encode`` takes it.
        device: of a trained encoder.
        kept: numbers of images, ascending, whose latents are given back.
        progress: told about the images.

    Raises:
        OutputError: the file cannot be written.
        ModelFileError, DataError, UsageError: as of ``TrainedModel.encode``, and of ``encode``.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> found = lc.encode_to("latents.npz", images, vae)
        >>> found.dimensions, sorted(found.measures), lc.read_latents("latents.npz").flat.shape
        (4, ['active_units', 'kl', 'mutual_information'], (431, 4))
    """
    if isinstance(model, TrainedModel):
        blocks, checkpoint, measuring = model.encodings(images, progress=progress), model.fingerprint, model.measuring()
    else:
        model = encoding.find_encoder(model) if isinstance(model, str) else model
        blocks = encoding.encodings(images, model, device=device, progress=progress)
        checkpoint, measuring = model.sha256, None
    some = Kept(np.empty(0, int) if kept is None else kept)
    dimensions = 0
    with latents_writer(path, checkpoint, images.labels, images.files) as write:
        for _, arrays in blocks:
            write(arrays)
            some.add(arrays)
            if measuring is not None:
                measuring.add(arrays)
            dimensions = dimensions or Latents(arrays, checkpoint).flat.shape[1]
    of_some = None
    if kept is not None and len(kept):
        files = None if images.files is None else tuple(images.files[row] for row in kept)
        of_some = Latents(some.arrays, checkpoint, images.labels.take(kept), files)
    return Encoded(len(images), dimensions, {} if measuring is None else measuring.result(), of_some)


def classify_to(
    target: str | Path | IO[str], images: ImageSet, model: TrainedModel, classifier: LatentClassifier | None = None, *,
    reject_below: float | None = None, kept: np.ndarray | None = None, progress: Progress = silent,
) -> Tally:  # fmt: skip
    """Write a table of labels as they are found: ``write_predictions(classify(…), target)`` in constant memory.

    In memory are the images' labels and the names of their files, and of the labels found only how many there are.

    Args:
        target: path of the ``vae.csv``, replaced whole when all are written; or a text stream.
        images, model, classifier, reject_below, progress: as of ``classify``.
        kept: numbers of images, ascending, whose latents are given back as ``latents``.

    Returns:
        what was counted: numbers of images by known and by predicted class, and the scores that follow from these.

    Raises:
        OutputError: the table cannot be written.
        UsageError, ModelFileError: as of ``classify``.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2)
        >>> found = lc.classify_to("vae.csv", images, vae, lc.fit_mixture(vae.encode(images)))
        >>> len(found), found.names, "accuracy" in found.scores()
        (431, ('1', '4', '8'), True)
    """
    blocks = classification.classifications(images, model, classifier, reject_below=reject_below, progress=progress)
    return _labels_to(target, blocks, images.files is not None, images.bad_files, kept)


def classify_latents_to(
    target: str | Path | IO[str], latents: Latents, classifier: LatentClassifier, reject_below: float | None = None,
    kept: np.ndarray | None = None,
) -> Tally:  # fmt: skip
    """``classify_to`` of latents, as ``classify_latents`` takes them, which may be mapped from their file.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> latents = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2).encode(images)
        >>> len(lc.classify_latents_to("vae.csv", latents, lc.fit_mixture(latents)))
        431
    """
    blocks = classification.classifications_of(classification.in_blocks(latents, classifier), classifier, reject_below)
    return _labels_to(target, blocks, latents.files is not None, (), kept)


def _labels_to(
    target: str | Path | IO[str], blocks: Iterable[Predictions], named: bool, bad_files: Sequence[tuple[str, str]],
    kept: np.ndarray | None,
) -> Tally:  # fmt: skip
    with predictions_writer(target, named, bad_files) as write:

        def written() -> Iterator[Predictions]:
            for found in blocks:
                write(found)
                yield found

        return classification.counted(written(), kept)


def reconstruct_to(
    path: str | Path, images: ImageSet, model: TrainedModel, *, progress: Progress = silent
) -> dict[str, float]:
    """Write reconstructions as they come, and measure them: ``reconstruct`` of any number of images.

    Args:
        path: of the ``vae_reconstructed.npz``, replaced whole when all are written.
        images: of the model's shape; their labels are all that is in memory of them.
        model: of latents.
        progress: told about the images.

    Returns:
        ``images``, ``mse``, ``psnr`` and ``ssim``, as ``evaluate`` tells them.

    Raises:
        OutputError: the file cannot be written.
        ModelFileError, DataError: as of ``TrainedModel.reconstruct``.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> sorted(lc.reconstruct_to("vae_reconstructed.npz", images, vae))
        ['images', 'mse', 'psnr', 'ssim']
    """
    score = ReconstructionScore()
    with reconstructions_writer(Path(path), images.images.shape, images.layout) as write:
        for rows, decoded in model.reconstructions(images, progress):
            write(decoded)
            score.add(images.images[rows], decoded)
    return score.result()
