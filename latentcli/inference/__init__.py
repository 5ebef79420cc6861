"""Images through a trained model, a batch at a time: the only loop over images outside training."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from latentcli.core.progress import Advance
from latentcli.models.base import LatentModel, Model, PixelClassifier
from latentcli.numerics.batches import DeviceImages
from latentcli.numerics.fusing import fused
from latentcli.numerics.linear import FastLinear

BATCH = 512
"""Images a batch at 28×28 pixels; larger images come in smaller batches of about as many pixels.

On the CPU the layers' outputs then stay near, and in memory that is not asked for anew with each batch.
"""


def batch_size(shape: tuple[int, ...]) -> int:
    """How many images of this shape (C, H, W) go through a model at once."""
    return max(1, min(BATCH, BATCH * 28 * 28 // int(np.prod(shape))))


def batches(count: int, size: int) -> Iterator[np.ndarray]:
    """Row numbers 0 … count − 1 in order, ``size`` at a time."""
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def device_of(model: Model) -> torch.device:
    """Where the model's weights are."""
    return next(model.parameters()).device


@torch.inference_mode()
@FastLinear()
def encode(model: LatentModel, images: np.ndarray, advance: Advance = lambda count: None) -> dict[str, np.ndarray]:
    """Deterministic latents of images; nothing is decoded and no loss is computed.

    Args:
        model: trained, on its device.
        images: (N, C, H, W) uint8.
        advance: called with the number of images done.

    Returns:
        the family's arrays by name, each with N rows in the images' order (see ``Latents``); whole numbers as int32.
    """
    source, model = DeviceImages(images, device_of(model)), fused(model)
    result: dict[str, np.ndarray] = {}
    for rows in batches(len(images), batch_size(images.shape[1:])):
        for name, array in model.encode(source[rows]).arrays.items():
            part = (array if array.is_floating_point() else array.int()).cpu().numpy()
            if name not in result:  # maps of vectors are large: never held twice
                result[name] = np.empty((len(images), *part.shape[1:]), part.dtype)
            result[name][rows[0] : rows[-1] + 1] = part
        advance(len(rows))
    return result


class LatentSpace:
    """A trained model as arrays see it: points of its latent space, and their images.

    Args:
        model: on its device; a copy with fewer layers is kept.
    """

    def __init__(self, model: LatentModel) -> None:
        self.model, self.device = fused(model), device_of(model)

    @torch.inference_mode()
    def prior(self, count: int, random: np.random.Generator) -> np.ndarray:
        """(count, D) float32: drawn from the model's own prior."""
        generator = torch.Generator(self.device).manual_seed(int(random.integers(2**63)))
        return self.model.draw(count, generator).cpu().numpy()

    @torch.inference_mode()
    def valid(self, latents: np.ndarray) -> np.ndarray:
        """(n, D) float32: the nearest latents that an image can have."""
        points = torch.from_numpy(np.asarray(latents, dtype=np.float32)).to(self.device)
        return self.model.valid(points).cpu().numpy() if len(points) else points.cpu().numpy()

    def images(self, latents: np.ndarray) -> np.ndarray:
        """(n, C, H, W) uint8: the images of latents (n, D)."""
        result = np.empty((len(latents), *self.model.config.image_shape), np.uint8)
        for rows in batches(len(latents), batch_size(self.model.config.image_shape)):
            result[rows] = to_bytes(self.decoded(latents[rows]))
        return result

    @torch.inference_mode()
    @FastLinear()
    def decoded(self, latents: np.ndarray) -> np.ndarray:
        """(n, C, H, W) float32 in [0, 1]: the images of a batch of latents (n, D)."""
        points = torch.from_numpy(np.asarray(latents, dtype=np.float32)).to(self.device)
        return self.model.decode(points).cpu().numpy()


def to_bytes(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1] as uint8 in 0…255, rounded."""
    return np.round(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)


def decode(model: LatentModel, points: np.ndarray, advance: Advance = lambda count: None) -> np.ndarray:
    """Images of latent points.

    Args:
        model: trained, on its device.
        points: (N, D) float.
        advance: called with the number of images done.

    Returns:
        (N, C, H, W) float32 in [0, 1].
    """
    space = LatentSpace(model)
    result = np.empty((len(points), *model.config.image_shape), np.float32)
    for rows in batches(len(points), batch_size(model.config.image_shape)):
        result[rows] = space.decoded(points[rows])
        advance(len(rows))
    return result


def decodings_of_arrays(
    model: LatentModel, arrays: Mapping[str, np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images of what ``encode`` made of them, a batch at a time.

    Args:
        model: trained, on its device.
        arrays: by the names that ``encode`` gives them, each with N rows; codes alone will do.

    Yields:
        row numbers, and their images (n, C, H, W) float32 in [0, 1].

    Raises:
        DataError: the arrays are not of this model's latents.
    """
    device, model = device_of(model), fused(model)
    count = len(next(iter(arrays.values())))
    for rows in batches(count, batch_size(model.config.image_shape)):
        some = {
            name: torch.from_numpy(array[rows].astype(np.float32 if array.dtype.kind == "f" else np.int64)).to(device)
            for name, array in arrays.items()
        }
        with torch.inference_mode(), FastLinear():
            decoded = model.decode(model.flat_of(some)).cpu().numpy()
        yield rows, decoded


@torch.inference_mode()
@FastLinear()
def features(model: LatentModel, images: np.ndarray, name: str, advance: Advance = lambda count: None) -> np.ndarray:
    """What a probe is given of images.

    Args:
        model: trained, on its device.
        images: (N, C, H, W) uint8.
        name: one of the model's ``FEATURES``.
        advance: called with the number of images done.

    Returns:
        (N, F) float32, or int32 where the features are codes.

    Raises:
        UsageError: the model has no such features.
    """
    source, model = DeviceImages(images, device_of(model)), fused(model)
    result = np.empty((0, 0), np.float32)
    for rows in batches(len(images), batch_size(images.shape[1:])):
        batch = model.features(source[rows], name)
        part = (batch.float() if batch.is_floating_point() else batch.int()).cpu().numpy()
        if not len(result):  # filled in place: pixels and maps are large
            result = np.empty((len(images), part.shape[1]), part.dtype)
        result[rows] = part
        advance(len(rows))
    return result


def reconstructions(model: LatentModel, images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images to latents and back, deterministically, a batch at a time.

    Args:
        model: trained, on its device.
        images: (N, C, H, W) uint8.

    Yields:
        row numbers, and their reconstructions (n, C, H, W) float32 in [0, 1].
    """
    source, model = DeviceImages(images, device_of(model)), fused(model)
    with torch.inference_mode(), FastLinear():
        inverse = model.inverse()
    for rows in batches(len(images), batch_size(images.shape[1:])):
        with torch.inference_mode(), FastLinear():
            decoded = model.decode(inverse(source[rows])).cpu().numpy()
        yield rows, decoded


def reconstruct(model: LatentModel, images: np.ndarray) -> np.ndarray:
    """All of ``reconstructions`` at once: (N, C, H, W) float32 in [0, 1]."""
    result = np.empty(images.shape, np.float32)
    for rows, decoded in reconstructions(model, images):
        result[rows] = decoded
    return result


@torch.inference_mode()
@FastLinear()
def probabilities(model: PixelClassifier, images: np.ndarray, advance: Advance = lambda count: None) -> np.ndarray:
    """What a classifier of pixels makes of images.

    Args:
        model: trained, on its device.
        images: (N, C, H, W) uint8.
        advance: called with the number of images done.

    Returns:
        (N, K) float32, each row summing to 1.
    """
    source, model = DeviceImages(images, device_of(model)), fused(model)
    result = np.empty((len(images), model.config.classes), np.float32)
    for rows in batches(len(images), batch_size(images.shape[1:])):
        result[rows] = model.predict_proba(source[rows]).cpu().numpy()
        advance(len(rows))
    return result
