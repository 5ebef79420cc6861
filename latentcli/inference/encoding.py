"""Images through an encoder that is already trained, without a model of our own."""

from collections.abc import Iterator

import numpy as np
import torch

from latentcli.core import device as devices
from latentcli.core.device import memory_for
from latentcli.core.image_set import ImageSet
from latentcli.core.latents import Latents
from latentcli.core.progress import Progress, silent
from latentcli.formats import state_dict
from latentcli.models.pretrained.finding import FoundEncoder, find
from latentcli.models.trained import batch_size
from latentcli.numerics.batches import DeviceImages
from latentcli.numerics.blocks import slices


def find_encoder(name: str) -> FoundEncoder:
    """The encoder that is called so, with its weights; errors as of ``encode``."""
    return find(name, state_dict.read, state_dict.digest)


def encode(
    images: ImageSet, encoder: str | FoundEncoder, *, device: str = "auto", progress: Progress = silent
) -> Latents:
    """Features of images by an encoder that is already trained: nothing is learned from the images.

    Args:
        images: of any size; best of the encoder's own (224×224 pixels for most), to which they are enlarged.
        encoder: "efficientnet-lite0", "torchvision:NAME", "timm:NAME", a file with the weights of a network of
            torchvision, or "NAME=FILE"; or what ``find_encoder`` made of one.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        progress: told about the images.

    Returns:
        latents whose ``mu`` (N, F) are the features, each divided by its length. Instead of a checkpoint they name the
        SHA-256 of the encoder: what is fitted on them reads other images that the same encoder encoded.

    Raises:
        UsageError: there is no such encoder or device.
        ModelFileError: its weights are not here and cannot be downloaded.
        ModelFileError: the file of weights is damaged, unsafe, or of another network.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> latents = lc.encode(images, "efficientnet-lite0")  # doctest: +SKIP
        >>> probe = lc.fit_probe(latents, probe="knn", labels_per_class=5)  # doctest: +SKIP
    """
    found = encoder if isinstance(encoder, FoundEncoder) else find_encoder(encoder)
    features = np.empty((len(images), found.network.features), np.float32)
    for rows, arrays in encodings(images, found, device=device, progress=progress):
        features[rows] = arrays["mu"]
    return Latents({"mu": features}, found.sha256, images.labels, images.files)


def encodings(
    images: ImageSet, encoder: FoundEncoder, *, device: str = "auto", progress: Progress = silent
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """Rows and the arrays of ``encode``, a batch at a time: arguments and errors are those of it."""
    where = devices.resolve(device)
    network, source = encoder.network.to(where), DeviceImages(images.images, where, resident=False)
    size = batch_size(images.shape, where)
    with memory_for(size), progress("encoding", len(images)) as advance:
        for rows in slices(len(images), size):
            with torch.inference_mode():
                features = torch.nn.functional.normalize(network(source[rows]), dim=1).cpu().numpy()
            yield rows, {"mu": features}
            advance(rows.stop - rows.start)
