"""Encoders, from images to feature vectors, and decoders, back to logits of the images: shared by all families."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from latentcli.core.image_set import LARGEST, Shape
from latentcli.core.settings import check_number
from latentcli.models.downsampling import Downsampling
from latentcli.models.layers import channels_last, dense, layer, with_gradient_channels_last
from latentcli.models.map_backbones import MAPS, ResidualBlock

MAX_PARAMETERS = 20_000_000
"""No default network has more: for large images wide layers are made narrower."""


class FourierFeatures(nn.Module):
    """D inputs and the sines and cosines of ``count`` learned projections: lets a decoder vary sharply.

    Source: Tancik et al. 2020, section 4, with learned frequencies.
    """

    def __init__(self, inputs: int, count: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.zeros(inputs, count))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the frequencies anew from the standard normal distribution."""
        with torch.no_grad():
            self.frequencies.normal_(generator=generator)

    def forward(self, latents: Tensor) -> Tensor:
        angles = latents @ self.frequencies
        return torch.cat([latents, angles.sin(), angles.cos()], dim=1)


class MLPEncoder(nn.Module):
    """Images to features through fully connected layers, of ``width`` and half of it; arguments as in ``BACKBONES``."""

    def __init__(self, image_shape: Shape, width: int, norm: str, stages: int | None) -> None:
        super().__init__()
        pixels = math.prod(image_shape)
        width = affordable(width, pixels)
        self.features = max(width // 2, 1)
        self.layers = dense(norm, pixels, width, self.features)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.flatten(1))  # (N, features)


class MLPDecoder(nn.Module):
    """Features to image logits through fully connected layers, the mirror of ``MLPEncoder``."""

    def __init__(self, image_shape: Shape, width: int, norm: str, stages: int | None, inputs: int) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        pixels = math.prod(image_shape)
        width = affordable(width, pixels)
        self.layers = dense(norm, inputs, max(width // 2, 1), width)
        self.to_pixels = nn.Linear(width, pixels)

    def forward(self, features: Tensor) -> Tensor:
        return self.to_pixels(self.layers(features)).unflatten(1, self.image_shape)  # (N, C, H, W)


def affordable(width: int, pixels: int) -> int:
    """The width of a layer next to the pixels: less for large images, see ``MAX_PARAMETERS``."""
    return max(1, min(width, MAX_PARAMETERS // (3 * pixels)))


def _downsampling(image_shape: Shape, width: int, stages: int | None) -> Downsampling:
    """From width/64 channels at first, by default down to about 4 pixels along the shorter side."""
    return Downsampling(image_shape, width // 64, stages or max(1, round(math.log2(min(image_shape[1:]) / 4))), True)


class ConvEncoder(nn.Module):
    """Images to width/4 features through strided convolutions and a fully connected layer; see ``BACKBONES``."""

    def __init__(self, image_shape: Shape, width: int, norm: str, stages: int | None) -> None:
        super().__init__()
        down = _downsampling(image_shape, width, stages)
        self.features = max(width // 4, 1)
        kernels = [5] + [3] * (len(down.channels) - 2)
        layers: list[nn.Module] = []
        for kernel, (before, after) in zip(kernels, pairwise(down.channels), strict=True):
            layers += layer(nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2), norm)
        flat = math.prod(down.map_shape)
        flatten = [nn.Flatten(), *([nn.LayerNorm(flat)] if norm == "layer" else [])]
        self.layers = nn.Sequential(*layers, *flatten, dense(norm, flat, self.features))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(channels_last(images))  # (N, features)


class ConvDecoder(nn.Module):
    """Features to image logits through transposed convolutions, the mirror of ``ConvEncoder``."""

    def __init__(self, image_shape: Shape, width: int, norm: str, stages: int | None, inputs: int) -> None:
        super().__init__()
        down = _downsampling(image_shape, width, stages)
        self.size = tuple(image_shape[1:])
        flat = math.prod(down.map_shape)
        hidden_features = max(1, min(width // 4, MAX_PARAMETERS // (3 * (inputs + flat))))
        self.expand = nn.Sequential(dense(norm, inputs, hidden_features, flat), nn.Unflatten(1, down.map_shape))
        layers: list[nn.Module] = []
        *hidden, to_pixels = pairwise(down.channels[::-1])
        for before, after in hidden:
            layers += layer(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), norm)
        layers.append(nn.ConvTranspose2d(*to_pixels, 4, stride=2, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        maps = with_gradient_channels_last(self.layers(channels_last(self.expand(features))))
        return maps[:, :, : self.size[0], : self.size[1]]


WIDE_SIDE = 48
"""Pixels along the shorter side beyond which the first convolution of a ``ResidualEncoder`` already halves them."""

WIDEST = 4096
"""Width of the widest ``WideConvDecoder``."""

BLOCKS = 2
"""Residual blocks of each of its stages."""


class ResidualEncoder(nn.Module):
    """Images to maps of features (N, ``features``, h, w) through residual blocks: for photographs; see ``BACKBONES``.

    The first stage has width/64 channels, each later one twice as many up to eight times that, and half the side. The
    mean over positions says what an image shows, the positions where.
    """

    def __init__(self, image_shape: Shape, width: int, norm: str, stages: int | None) -> None:
        super().__init__()
        side = min(image_shape[1:])
        first = int(side > WIDE_SIDE)  # whether the first stage, the largest, is already halved
        halvings = max(stages or max(1, round(math.log2(side / 4))), first)
        strides = [1 + first] + [2] * (halvings - first)
        channels = [image_shape[0], *(max(1, width // 64) * min(2**stage, 8) for stage in range(len(strides)))]
        layers: list[nn.Module] = []
        for stride, (before, after) in zip(strides, pairwise(channels), strict=True):
            layers += layer(nn.Conv2d(before, after, 3, stride=stride, padding=1), norm)
            layers += [ResidualBlock(after, norm, nn.SiLU) for _ in range(BLOCKS)]
        self.layers = nn.Sequential(*layers)
        self.features = channels[-1]
        self.map_shape: Shape = (self.features, *(math.ceil(size / 2**halvings) for size in image_shape[1:]))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(channels_last(images))


class WideConvDecoder(ConvDecoder):
    """A ``ConvDecoder`` of twice the width, at most ``WIDEST``, to go with a ``ResidualEncoder``.

    A wider encoder tells more images apart; a wider decoder only remembers those that it has seen.
    """

    def __init__(self, image_shape: Shape, width: int, norm: str, stages: int | None, inputs: int) -> None:
        super().__init__(image_shape, min(2 * width, WIDEST), norm, stages, inputs)


BACKBONES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "mlp": (MLPEncoder, MLPDecoder),
    "conv": (ConvEncoder, ConvDecoder),
    "conv-mlp": (ConvEncoder, MLPDecoder),
    "resnet": (ResidualEncoder, WideConvDecoder),
}
"""Encoder and decoder of vectors by name; those of maps are in ``MAPS``. On a CPU "conv-mlp" learns fastest.

Both take (image_shape, width, norm, stages), the decoder also the number of its inputs: width is that of the widest
fully connected layer, norm "batch", "layer" or "none", stages the number of convolutions (None: by the image's size).
"""

NAMES = (*BACKBONES, *MAPS)
POOLED = "resnet"
"""The one whose features are means over positions: not for maps of codes."""

MAX_STAGES = int(math.log2(LARGEST))


def check_stages(stages: int | None, image_shape: Shape) -> None:
    """Raise a ``UsageError`` where an image would be halved more often than its shorter side allows."""
    if stages is not None:
        check_number("stages", stages, 1, int(math.log2(min(image_shape[1:]))))


def flat_features(encoder: nn.Module) -> int:
    """How many numbers an encoder makes of an image, all positions together where it makes maps."""
    shape = getattr(encoder, "map_shape", None)
    return int(encoder.features) if shape is None else math.prod(shape)  # type: ignore[arg-type]


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight anew from ``generator``: uniform within ±gain/√inputs of the layer, biases within ±1/√inputs.

    The gain is the layer's attribute ``gain``, or 1. Normalisations are left as they are. A module with a method
    ``initialise`` draws its parameters itself.
    """
    for module in network.modules():
        own = getattr(module, "initialise", None)
        if own is not None:
            own(generator)
        elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            inputs = module.weight[0].numel()
            if isinstance(module, nn.ConvTranspose2d):  # weight (in, out, k, k); a pixel gets 1/stride² of the taps
                inputs = module.weight.shape[0] * module.weight[0, 0].numel() // math.prod(module.stride)
            bound = 1 / math.sqrt(inputs)
            with torch.no_grad():
                gain = float(getattr(module, "gain", 1.0))
                module.weight.uniform_(-gain * bound, gain * bound, generator=generator)
                if module.bias is not None:
                    module.bias.uniform_(-bound, bound, generator=generator)
