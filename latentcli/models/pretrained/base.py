"""The interface of encoders that are already trained, and how images are made into what they were trained on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.core.errors import ModelFileError
from latentcli.core.progress import Progress
from latentcli.models.layers import blocks, channels_last
from latentcli.numerics.batches import DeviceImages

TOGETHER = {"cpu": 8}
"""Images that go through an encoder at once, elsewhere 128: it sees them enlarged, and more would not stay in caches.
On one thread of an AMD EPYC, EfficientNet-lite0 takes 60 ms for an image of 224×224 pixels so, and 120 for one of 32.
"""

BLOCK = 256
"""Images whose features are computed at once before training: the encoder itself takes fewer, see ``TOGETHER``."""


@dataclass(frozen=True)
class Preprocessing:
    """What the network's publishers do to an image before the network sees it.

    The image as a whole is resized to what they crop from its middle: images have the model's size here, and what a
    crop cuts away could not be reconstructed. Images of that size are only normalised.

    Attributes:
        size: pixels a side.
        mean, deviation: of the three channels, in [0, 1].
        interpolation: "bilinear" or "bicubic", both antialiased.
    """

    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    interpolation: str

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, size, size) normalised: images (N, C, H, W) in [0, 1]; grey ones in three equal channels."""
        side = (self.size, self.size)
        if tuple(images.shape[2:]) != side:
            images = F.interpolate(images, side, mode=self.interpolation, antialias=True).clamp(0, 1)
        mean, deviation = (images.new_tensor(each)[:, None, None] for each in (self.mean, self.deviation))
        return (images.expand(-1, 3, -1, -1) - mean) / deviation


WHOLE = "save the whole network, network.state_dict(), or name another before the file: --encoder NAME=FILE"
_NAMED = 5  # weights in a message
_OWN = "network."  # what goes before the names that a package gives


def differences(found: Mapping[str, torch.Size], wanted: Mapping[str, torch.Size]) -> str:
    """Which weights are missing, of another shape, or unknown, of those found and wanted, by name; "" for none."""
    both = sorted(found.keys() & wanted.keys())
    kinds = {
        "it lacks": sorted(wanted.keys() - found.keys()),
        "of another shape:": [name for name in both if found[name] != wanted[name]],
        "unknown:": sorted(found.keys() - wanted.keys()),
    }
    return "; ".join(f"{kind} {_some(names)}" for kind, names in kinds.items() if names)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name.removeprefix(_OWN) for name in names[:_NAMED]) + more


class PretrainedEncoder(nn.Module, ABC):
    """Images (N, C, H, W) float in [0, 1] to features (N, ``features``), by a network that was trained elsewhere.

    It is built from the name of a network alone, without its weights: a checkpoint has them, and else ``weights_file``.
    """

    licence: str
    """Of the weights."""
    source: str
    """Whose network it is, in one line."""
    features: int
    """Numbers per image."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.preprocessing = preprocessing

    def forward(self, images: Tensor) -> Tensor:
        parts = blocks(images, TOGETHER.get(images.device.type, 128))
        return torch.cat([self.pooled(channels_last(self.preprocessing(part))) for part in parts])

    @abstractmethod
    def pooled(self, images: Tensor) -> Tensor:
        """(N, features): of preprocessed images."""

    @torch.no_grad()
    def of_all(
        self, images: DeviceImages, rows: np.ndarray, progress: Progress,
        then: Callable[[Tensor], Tensor] = lambda features: features,
    ) -> Tensor:  # fmt: skip
        """(n, F) float32: what ``then`` makes of the features of images by their row numbers (n,)."""
        found = []
        with progress("encoding the images", len(rows)) as advance:
            for some in np.array_split(rows, -(-len(rows) // BLOCK)):
                found.append(then(self(images[some])))
                advance(len(some))
        return torch.cat(found)

    def accept(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published weights by this network's own names, without the layer that tells the classes apart."""
        return dict(weights)

    def load(self, weights: Mapping[str, Tensor], name: str) -> None:
        """Take published weights, copied; ``name`` is of their file, for the message.

        Raises:
            ModelFileError: they are another network's.
        """
        found, own = self.accept(weights), self.state_dict()
        # a count of batches, which old files lack, has no effect on a trained network
        needed = [key for key in own if key in found or not key.endswith("num_batches_tracked")]
        wanted = {key: own[key].shape for key in needed}
        if unlike := differences({key: tensor.shape for key, tensor in found.items()}, wanted):
            raise ModelFileError(
                f"{name} holds the weights of another network",
                f"compared with {self.source.partition(',')[0]}, {unlike}", WHOLE,
            )  # fmt: skip
        with torch.no_grad():
            for key in needed:
                own[key].copy_(found[key])

    @abstractmethod
    def weights_file(self) -> Path:
        """The published weights, found or downloaded.

        Raises:
            ModelFileError: they are not here and cannot be fetched; it says which file belongs where.
        """
