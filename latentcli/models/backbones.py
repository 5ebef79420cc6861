"""Encoder and decoder networks, shared by every family, for any image of 8 to 256 pixels a side.

A backbone's encoder maps images to a feature vector, its decoder a feature vector to logits of the image;
what lies between (a Gaussian posterior, a codebook) is the family's.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.errors import UsageError

Shape = tuple[int, int, int]

MOST_PARAMETERS = 20_000_000
"""No default network is larger: wide layers narrow down for large images."""


class MLP(nn.Sequential):
    """Fully connected layers, each followed by layer normalisation and GELU.

    Args:
        sizes: (input, hidden …, output) features.
    """

    def __init__(self, *sizes: int) -> None:
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.GELU()]
        super().__init__(*layers)


class MLPEncoder(nn.Module):
    """Images to features through fully connected layers.

    Args:
        image_shape: channels, height, width.
        width: features of the widest layer; the next has half of it.
    """

    def __init__(self, image_shape: Shape, width: int) -> None:
        super().__init__()
        pixels = math.prod(image_shape)
        width = min(width, MOST_PARAMETERS // (3 * pixels))
        self.features = max(width // 2, 1)
        self.layers = MLP(pixels, width, self.features)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.flatten(1))  # (N, features)


class MLPDecoder(nn.Module):
    """Features to image logits through fully connected layers, the mirror of ``MLPEncoder``."""

    def __init__(self, image_shape: Shape, width: int, inputs: int) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        pixels = math.prod(image_shape)
        width = min(width, MOST_PARAMETERS // (3 * pixels))
        self.layers = MLP(inputs, max(width // 2, 1), width)
        self.to_pixels = nn.Linear(width, pixels)

    def forward(self, features: Tensor) -> Tensor:
        return self.to_pixels(self.layers(features)).unflatten(1, self.image_shape)  # (N, C, H, W)


def halvings(image_shape: Shape) -> int:
    """How often a convolutional backbone halves the image: until its shorter side is at most 7 pixels."""
    return max(1, math.ceil(math.log2(min(image_shape[1:]) / 7.0)))


def padded(image_shape: Shape, times: int) -> tuple[int, int]:
    """Height and width after padding to a multiple of 2^times."""
    step = 2**times
    return math.ceil(image_shape[1] / step) * step, math.ceil(image_shape[2] / step) * step


def widths(width: int, times: int) -> list[int]:
    """Channels of each stage: doubling, at most four times the first."""
    return [width * min(2**stage, 4) for stage in range(times)]


class ConvEncoder(nn.Module):
    """Images to features through strided convolutions (kernel 4, stride 2), batch normalisation and GELU.

    Args:
        image_shape: channels, height, width; padded at the right and below to a multiple of the stride.
        width: channels of the first stage; each next has twice as many, up to four times the first.
    """

    def __init__(self, image_shape: Shape, width: int) -> None:
        super().__init__()
        times = halvings(image_shape)
        height, breadth = padded(image_shape, times)
        self.padding = (0, breadth - image_shape[2], 0, height - image_shape[1])
        self.map_shape = (widths(width, times)[-1], height >> times, breadth >> times)
        self.features = math.prod(self.map_shape)
        layers: list[nn.Module] = []
        before = image_shape[0]
        for after in widths(width, times):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.GELU()]
            before = after
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(F.pad(images, self.padding)).flatten(1)  # (N, features)


class ConvDecoder(nn.Module):
    """Features to image logits through transposed convolutions, the mirror of ``ConvEncoder``."""

    def __init__(self, image_shape: Shape, width: int, inputs: int) -> None:
        super().__init__()
        times = halvings(image_shape)
        height, breadth = padded(image_shape, times)
        self.size = tuple(image_shape[1:])
        channels = widths(width, times)[::-1]
        self.map_shape = (channels[0], height >> times, breadth >> times)
        self.expand = nn.Linear(inputs, math.prod(self.map_shape))
        layers: list[nn.Module] = [nn.BatchNorm2d(channels[0]), nn.GELU()]
        for before, after in pairwise(channels):
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.GELU(),
            ]
        layers.append(nn.ConvTranspose2d(channels[-1], image_shape[0], 4, stride=2, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        images = self.layers(self.expand(features).unflatten(1, self.map_shape))
        return images[:, :, : self.size[0], : self.size[1]]


BACKBONES: dict[str, tuple[type, type]] = {"mlp": (MLPEncoder, MLPDecoder), "conv": (ConvEncoder, ConvDecoder)}


def check_backbone(name: str) -> None:
    """Raise UsageError for an unknown backbone."""
    if name not in BACKBONES:
        raise UsageError(f"unknown backbone {name!r}", f"expected one of: {', '.join(BACKBONES)}")


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight anew from ``generator``: He's scale for layers before an activation, zero biases.

    A module with an ``initialise`` method of its own draws its parameters itself.
    """
    for module in network.modules():
        own = getattr(module, "initialise", None)
        if own is not None:
            own(generator)
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            inputs = module.weight[0].numel()
            if isinstance(module, nn.ConvTranspose2d):  # its weight is (in, out, k, k); stride 2 lets (k/2)² taps meet
                inputs = module.weight.shape[0] * module.weight[0, 0].numel() // math.prod(module.stride)
            with torch.no_grad():
                module.weight.normal_(0.0, math.sqrt(2.0 / inputs), generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
