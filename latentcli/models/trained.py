"""A trained network with the facts about it, which takes images and latents a batch at a time."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from latentcli.core.device import memory_for
from latentcli.core.errors import DataError, ModelFileError, UsageError
from latentcli.core.growing import filled
from latentcli.core.image_set import ImageSet, Shape
from latentcli.core.latents import ARRAYS_OF_FEATURES, Latents
from latentcli.core.progress import Progress, silent
from latentcli.core.stages import stage
from latentcli.models.base import LatentModel, Measuring, Model, ModelConfig, PixelClassifier
from latentcli.numerics.batches import DeviceImages
from latentcli.numerics.blocks import slices
from latentcli.numerics.fusing import fused
from latentcli.numerics.history import kept
from latentcli.numerics.linear import FastLinear

BATCH = 512
"""Images a batch at 28×28 pixels; larger images come in smaller batches of about as many pixels. On the CPU the layers'
outputs then stay in caches, and in memory that is not allocated anew with each batch."""

CUDA_BATCH, CUDA_BYTES = 16384, 256
"""On CUDA: the images of a batch at most, and the bytes of features that each value of an image takes for a while."""

UNLEARNED = (
    "it has learned next to nothing: its reconstructions are no nearer to the images than their mean is; a lower `lr`, "
    "or more `epochs`, may help"
)
"""Said of a model of latents that explains less than ``UNEXPLAINED`` of the variance of images."""
UNEXPLAINED = 0.01


@dataclass(eq=False)
class TrainedModel:
    """A trained network with all that its file says about it: what commands, studies and Python callers work with.

    Attributes:
        family: registered name of the network's family.
        network: a ``LatentModel``, a ``PixelClassifier`` or a ``Prior``; on its device.
        class_names: of the data it was trained on; empty if that had none.
        training: how it was trained: seed, settings, versions, history, the data's name and SHA-256.
        fingerprint: SHA-256 of everything in its checkpoint, by which latents and classifiers refer to it.
        name: how to call it in messages, such as the name of its file.
        state: file from which its training can resume until the model is saved; None if there is none.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=2, epochs=1)
        >>> vae.encode(images).flat.shape == (len(images), 2)
        True
        >>> vae.decode(np.zeros((3, 2))).shape
        (3, 1, 8, 8)
    """

    MADE_BY: ClassVar[str] = "`train(images)`, or `load_model(path)`"

    family: str
    network: Model
    class_names: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    name: str = "the model"
    state: Path | None = None

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return self.network.config

    @property
    def image_shape(self) -> Shape:
        """Channels, height and width of the images that it takes."""
        return self.config.image_shape

    @property
    def load_options(self) -> dict[str, Any]:
        """Arguments of ``latentcli.load`` that read images for it: shape, and spans as of those it learned from."""
        data = self.training.get("data")
        spans = data.get("spans", {}) if isinstance(data, Mapping) else {}
        return {"image_shape": self.image_shape, "spans": {kind: tuple(pair) for kind, pair in spans.items()}}

    @property
    def fitted_on(self) -> str:
        """Of a prior, the fingerprint of the model whose latents it is of; "" for all others."""
        data = self.training.get("data")
        found = data.get("checkpoint") if isinstance(data, Mapping) else None
        return found if isinstance(found, str) else ""

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """One row of losses an epoch."""
        return self.training.get("history", ())

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before it is used: that its latents collapsed, or that it has learned nothing, as was measured
        when training had ended."""
        measured = self.training.get("measures")
        if not isinstance(measured, Mapping):  # of an older file, which has the epochs alone
            measured = self.history[kept(self.history)] if self.history else {}
        numbers = {name: each for name, each in measured.items() if isinstance(each, int | float)}
        told = self.network.collapse(numbers)
        if told is None and numbers.get("explained_variance", 1) < UNEXPLAINED:
            told = UNLEARNED
        return () if told is None else (told,)

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return next(self.network.parameters()).device

    @property
    def latent_model(self) -> LatentModel:
        """The network for inference, with its latent space.

        Raises:
            ModelFileError: this is a classifier of pixels, or a prior.
        """
        self.check_latents()
        return self._fused

    @property
    def latent_network(self) -> LatentModel:
        """The network itself, as it was trained; errors as for ``latent_model``."""
        if not isinstance(self.network, LatentModel):
            alone = f"to label images with it, give no other file: latentcli classify DATA {self.name}"
            behind = (
                f"name the one that it was fitted on; a prior stands behind it: latentcli sample vae.pth {self.name}"
            )
            raise ModelFileError(
                f"{self.name} is {self.network.KIND}; it has no latent space",
                "expected a model of latents, such as vae.pth, which `latentcli train` writes",
                alone if isinstance(self.network, PixelClassifier) else behind,
            )
        return self.network

    @property
    def pixel_classifier(self) -> PixelClassifier:
        """The network for inference, which labels images by itself.

        Raises:
            UsageError: this is a model of latents.
            ModelFileError: the file does not name the classes that the network tells apart; or it is a prior.
        """
        if not isinstance(self.network, PixelClassifier):
            self.check_latents()
        if not isinstance(self.network, PixelClassifier):
            raise UsageError(
                f"{self.name} is a model of latents, and there is no classifier to read them",
                "expected one that was fitted on it, or a classifier of pixels alone",
                f"name it behind {self.name}: gmm_params.pkl or probe.pth",
            )
        names = set(self.class_names) - {""}
        if len(names) != self.network.config.classes or len(self.class_names) != len(names):
            raise ModelFileError(
                f"{self.name} does not name the classes that it tells apart",
                f"expected {self.network.config.classes} different names, found {len(self.class_names)}",
                "train it again: latentcli train-cnn DATA",
            )
        return self._fused

    def entries(self) -> dict[str, Any]:
        """What its checkpoint holds, as plain values and tensors."""
        return {
            "family": self.family, "config": asdict(self.config), "image_shape": list(self.image_shape),
            "class_names": list(self.class_names), "state_dict": dict(self.network.state_dict()),
            "training": dict(self.training),
        }  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write the checkpoint (``vae.pth``, ``cnn.pth``), whole or not at all, then remove the ``state`` file.

        Raises:
            OutputError: the file cannot be written.
        """
        import latentcli

        latentcli.save_model(self, path)
        if self.state is not None:
            self.state.unlink(missing_ok=True)

    @cached_property
    def _fused(self) -> Any:
        """The network in evaluation mode, with its normalisations fused into other layers where that can be done."""
        return fused(self.network)

    def _on_device(self, images: ImageSet | np.ndarray) -> DeviceImages:
        pixels = (images if isinstance(images, ImageSet) else ImageSet(images)).images
        if pixels.shape[1:] != tuple(self.image_shape):
            raise DataError(
                f"the images do not fit {self.name}",
                f"expected {self.image_shape} (channels, height, width), found {pixels.shape[1:]}",
                "load them for this model: `image_shape`",
            )
        return DeviceImages(pixels, self.device, resident=False)

    def check_latents(self) -> None:
        """Raise a ``ModelFileError`` where this is a classifier of pixels, or a prior."""
        self.latent_network  # noqa: B018

    def check_features(self, names: str | Sequence[str] | None) -> None:
        """Raise a ``UsageError``, which lists the family's features, unless these are some of them, or None."""
        known = self.latent_model.FEATURES
        for name in [names] if isinstance(names, str) else names or ():
            if name not in known:
                raise UsageError(f"this model has no features {name!r}", f"expected one of: {', '.join(known)}")

    def encode(
        self, images: ImageSet | np.ndarray, features: str | Sequence[str] | None = None, progress: Progress = silent,
        mapped: bool = False,
    ) -> Latents:  # fmt: skip
        """Deterministic latents of images.

        Args:
            images: a set, or (N, C, H, W) uint8.
            features: one of the family's ``FEATURES``, to get these instead; or some of them, to get no others; None:
                the latents.
            progress: told about the images.
            mapped: keep arrays of more than 256 MiB in the system's folder for temporary files, mapped and read-only.

        Returns:
            the latents, with the model's ``fingerprint`` and the images' labels and files. Whole numbers are int32.

        Raises:
            UsageError: the family has no such features.
            DataError: the images are of another shape than the model's, or there is no room for the latents.
        """
        images = images if isinstance(images, ImageSet) else ImageSet(images)
        blocks = (arrays for _, arrays in self.encodings(images, features, progress))
        return self.latents(filled(blocks, len(images), mapped), images)

    def encodings(
        self, images: ImageSet | np.ndarray, features: str | Sequence[str] | None = None, progress: Progress = silent
    ) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Rows and the arrays of ``encode``, a batch at a time: arguments and errors are those of it."""
        self.check_features(features)
        asked = [features] if isinstance(features, str) else [*(features or ())]
        others = [name for name in asked if name not in ARRAYS_OF_FEATURES]
        network, source = self.latent_model, self._on_device(images)
        kept = None if features is None or isinstance(features, str) else {ARRAYS_OF_FEATURES.get(n, n) for n in asked}
        if kept is not None and network.FEATURES[0] in asked:
            kept.add("details")

        def encoded(rows: slice) -> dict[str, Tensor]:
            batch = source[rows]
            found = {name: network.features(batch, name) for name in others}
            if not others or len(others) < len(asked):
                found |= network.encode(batch).arrays
            return {
                name: array.float() if array.is_floating_point() else array.int()
                for name, array in found.items() if kept is None or name in kept
            }  # fmt: skip

        return self._batches("encoding", len(images), encoded, progress)

    def latents(self, arrays: Mapping[str, np.ndarray], images: ImageSet, rows: slice = slice(None)) -> Latents:
        """The latents that such arrays hold, of all these images or of the rows, signed by the model."""
        network = self.latent_model
        shapes = {name: shape for name in network.FEATURES if (shape := network.feature_shape(name)) is not None}
        files = None if images.files is None else images.files[rows]
        return Latents(arrays, self.fingerprint, images.labels.take(rows), files, shapes)

    def decode(self, latents: Latents | np.ndarray, progress: Progress = silent) -> np.ndarray:
        """(N, C, H, W) float32 in [0, 1]: the images of latents, or of latent points (N, D).

        Raises:
            DataError: the latents are not of this model.
        """
        network = self.latent_model
        if isinstance(latents, Latents):
            arrays = latents.arrays
        else:
            arrays = {ARRAYS_OF_FEATURES[network.FEATURES[0]]: np.asarray(latents)}
            if np.ndim(latents) != 2 or np.shape(latents)[1] not in (network.dimensions, network.read_dimensions):
                raise network.unfit("points", f"(N, {network.dimensions}) numbers, found {np.shape(latents)}")
        return _joined(self.decodings(arrays, progress), (len(latents), *self.image_shape))

    def decodings(
        self, arrays: Mapping[str, np.ndarray], progress: Progress = silent
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows and the images of these latents, (n, C, H, W) float32 in [0, 1], a batch at a time.

        Args:
            arrays: by the names that ``encode`` gives them, each with N rows; codes alone are enough. A ``DataError``
                if they are not of this model's latents.
            progress: told about the images.
        """
        network = self.latent_model

        def decoded(rows: slice) -> dict[str, Tensor]:
            some = {
                name: array[rows].astype(np.float32 if array.dtype.kind == "f" else np.int64)
                for name, array in arrays.items()
            }
            points = network.flat_of({name: torch.from_numpy(array).to(self.device) for name, array in some.items()})
            return {"images": network.decode(points)}

        return _only(self._batches("decoding", len(next(iter(arrays.values()))), decoded, progress))

    def reconstructions(
        self, images: ImageSet | np.ndarray, progress: Progress = silent
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows and reconstructions, (n, C, H, W) float32 in [0, 1], a batch at a time.

        Args:
            images: a set, or (N, C, H, W) uint8; a ``DataError`` if they are of another shape than the model's.
            progress: told about the images.
        """
        network, source = self.latent_model, self._on_device(images)
        with torch.inference_mode(), FastLinear():
            inverse = network.inverse()

        def reconstructed(rows: slice) -> dict[str, Tensor]:
            return {"images": network.decode(inverse(source[rows]))}

        return _only(self._batches("reconstructing", len(images), reconstructed, progress))

    def reconstruct(self, images: ImageSet | np.ndarray, progress: Progress = silent) -> np.ndarray:
        """All of ``reconstructions`` at once: (N, C, H, W) float32 in [0, 1]."""
        return _joined(self.reconstructions(images, progress), (len(images), *self.image_shape))

    def probabilities(self, images: ImageSet | np.ndarray, progress: Progress = silent) -> np.ndarray:
        """(N, K) float32, each row summing to 1: the classes of images, a set or (N, C, H, W) uint8, by their pixels.

        Raises:
            UsageError: this is a model of latents.
            DataError: the images are of another shape than the model's.
        """
        blocks = self.classifications(images, progress)
        return _joined(blocks, (len(images), self.pixel_classifier.config.classes))

    def classifications(
        self, images: ImageSet | np.ndarray, progress: Progress = silent
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows and ``probabilities``, a batch at a time."""
        network, source = self.pixel_classifier, self._on_device(images)

        def classified(rows: slice) -> dict[str, Tensor]:
            return {"probabilities": network.predict_proba(source[rows])}

        return _only(self._batches("classifying", len(images), classified, progress))

    def pooled(self, images: ImageSet | np.ndarray, progress: Progress = silent) -> np.ndarray:
        """(N, F) float32: the features of images that the last layer of a classifier of pixels reads.

        Arguments and errors are those of ``probabilities``.
        """
        network, source = self.pixel_classifier, self._on_device(images)

        def read(rows: slice) -> dict[str, Tensor]:
            return {"features": network.pooled(source[rows])}

        blocks = self._batches("encoding", len(images), read, progress)
        return filled((arrays for _, arrays in blocks), len(images))["features"]

    def measures(self, latents: Latents) -> dict[str, Any]:
        """The family's metrics of the latents of a set of images, by names that all commands share."""
        measuring = self.measuring()
        for rows in slices(len(latents), batch_size(self.image_shape, self.device)):  # as ``encodings`` gives them
            measuring.add({name: array[rows] for name, array in latents.arrays.items()})
        return measuring.result()

    def measuring(self) -> Measuring:
        """``measures`` of the arrays of ``encodings`` as they come."""
        return self.latent_model.measuring()

    @torch.inference_mode()
    def prior(self, count: int, random: np.random.Generator) -> np.ndarray:
        """(count, D) float32: latent points drawn from the model's own prior."""
        generator = torch.Generator(self.device).manual_seed(int(random.integers(2**63)))
        return self.latent_model.draw(count, generator).cpu().numpy()

    @torch.inference_mode()
    def valid(self, latents: np.ndarray) -> np.ndarray:
        """(n, D) float32: for each of any points (n, D) the nearest that an image can have."""
        points = torch.from_numpy(np.asarray(latents, dtype=np.float32)).to(self.device)
        return (self.latent_model.valid(points) if len(points) else points).cpu().numpy()

    def images_of(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, C, H, W) uint8: the images of latents by name, as ``decodings`` takes them."""
        shape = len(next(iter(arrays.values()))), *self.image_shape
        return np.round(_joined(self.decodings(arrays), shape) * 255.0).astype(np.uint8)

    def images(self, latents: np.ndarray) -> np.ndarray:
        """(n, C, H, W) uint8: the images of latent points (n, D)."""
        return np.round(np.clip(self.decode(latents), 0.0, 1.0) * 255.0).astype(np.uint8)

    def _batches(
        self, doing: str, count: int, compute: Callable[[slice], dict[str, Tensor]], progress: Progress
    ) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Rows and what ``compute`` makes of them, without gradients, a batch at a time.

        CUDA begins a batch before the host fetches what it made of the last one.
        """
        size = batch_size(self.image_shape, self.device)
        ahead = int(self.device.type == "cuda")
        waiting: deque[tuple[slice, dict[str, Tensor]]] = deque()
        with memory_for(size), progress(doing, count) as advance:

            def fetched() -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
                rows, found = waiting.popleft()
                with stage(doing):
                    arrays = {name: tensor.cpu().numpy() for name, tensor in found.items()}
                yield rows, arrays
                advance(rows.stop - rows.start)

            for rows in slices(count, size):
                with stage(doing), torch.inference_mode(), FastLinear():
                    waiting.append((rows, compute(rows)))
                if len(waiting) > ahead:
                    yield from fetched()
            while waiting:
                yield from fetched()


def _joined(blocks: Iterator[tuple[slice, np.ndarray]], shape: tuple[int, ...]) -> np.ndarray:
    """A float32 array of this shape, filled with blocks of rows."""
    result = np.empty(shape, np.float32)
    for rows, block in blocks:
        result[rows] = block
    return result


def _only(blocks: Iterator[tuple[slice, dict[str, np.ndarray]]]) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows and the one array of each block."""
    for rows, arrays in blocks:
        (array,) = arrays.values()
        yield rows, array


def batch_size(shape: tuple[int, ...], device: torch.device) -> int:
    """How many images of this shape (C, H, W) go through a network at once: so many that a device is busy.

    On a CPU they are few, whose features stay in its cache; on CUDA as many as half of the free memory may hold.
    """
    values = int(np.prod(shape))
    if device.type != "cuda":
        return max(1, min(BATCH, BATCH * 28 * 28 // values))
    return int(max(1, min(CUDA_BATCH, torch.cuda.mem_get_info(device)[0] // 2 // (CUDA_BYTES * values))))
