"""Convolutional networks that keep positions apart: images to maps of features (N, C, h, w), and back."""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from latentcli.core.image_set import Shape
from latentcli.models.downsampling import Downsampling
from latentcli.models.layers import channels_last, layer, with_gradient_channels_last

Activation = Callable[[], nn.Module]


def _downsampling(image_shape: Shape, width: int, stages: int | None) -> Downsampling:
    """From width/32 channels at first."""
    return Downsampling(image_shape, width // 32, stages or usual_stages(image_shape), False)


class ResidualBlock(nn.Module):
    """A 3×3 and a 1×1 convolution whose output is added to their input (He et al. 2016)."""

    def __init__(self, channels: int, norm: str, activation: Activation) -> None:
        super().__init__()
        wide, narrow = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 1)
        self.layers = nn.Sequential(*layer(wide, norm, activation), *layer(narrow, norm, None))
        self.activation = activation()

    def forward(self, maps: Tensor) -> Tensor:
        return self.activation(maps + self.layers(maps))


class MapEncoder(nn.Module):
    """Images to a map of features: convolutions of kernel 4 and stride 2, then residual blocks.

    Args:
        image_shape: channels, height, width; ``map_shape`` has those of the map.
        width: 32 times the channels of the first stage (see ``Downsampling``).
        norm: "batch"; any other leaves convolutions without normalisation.
        stages: halvings of the sides; None: ``usual_stages``.
        blocks, activation: how many residual blocks, and what follows each layer.
    """

    def __init__(
        self, image_shape: Shape, width: int, norm: str, stages: int | None, blocks: int, activation: Activation
    ) -> None:
        super().__init__()
        down = _downsampling(image_shape, width, stages)
        self.map_shape = down.map_shape
        layers: list[nn.Module] = []
        for before, after in pairwise(down.channels):
            layers += layer(nn.Conv2d(before, after, 4, stride=2, padding=1), norm, activation)
        layers += [ResidualBlock(down.channels[-1], norm, activation) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(channels_last(images))  # (N, C, h, w)


class MapDecoder(nn.Module):
    """A map of ``inputs`` channels to image logits, the mirror of ``MapEncoder``."""

    def __init__(
        self, image_shape: Shape, width: int, norm: str, stages: int | None, inputs: int, blocks: int,
        activation: Activation,
    ) -> None:  # fmt: skip
        super().__init__()
        down = _downsampling(image_shape, width, stages)
        first = down.channels[-1]
        layers: list[nn.Module] = layer(nn.Conv2d(inputs, first, 3, padding=1), norm, activation)
        layers += [ResidualBlock(first, norm, activation) for _ in range(blocks)]
        for stage in range(len(down.sizes) - 1, 0, -1):
            height, breadth = down.sizes[stage - 1]
            before, after = down.channels[stage], down.channels[stage - 1]
            up = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, output_padding=(height % 2, breadth % 2))
            layers += layer(up, norm, activation) if stage > 1 else [up]
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        return with_gradient_channels_last(self.layers(channels_last(maps)))  # (N, C, H, W)


def usual_stages(image_shape: Shape) -> int:
    """Halvings to about a quarter of the sides, for large images to about 20 positions a side."""
    side = min(image_shape[1:])
    return max(1, min(2 + max(0, round(math.log2(side / 80))), round(math.log2(side / 4))))


def grid_of(image_shape: Shape, stages: int | None) -> tuple[int, int]:
    """Height and width of the map that an image becomes; ``stages`` as for the networks."""
    height, width = _downsampling(image_shape, 1, stages).sizes[-1]
    return height, width


def keep_scale(network: nn.Module) -> None:
    """Set the ``gain`` of convolutions so that the scale of features is kept where nothing normalises them.

    Otherwise the differences between images halve with each layer, and the decoder learns to be black before it learns
    anything else.

    Source: He, Zhang, Ren & Sun 2015, equation 10: a variance of 2 / inputs, which is a uniform bound of √6 / √inputs.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.gain = math.sqrt(6)  # type: ignore[assignment]


MAPS: dict[str, tuple[Callable[..., MapEncoder], Callable[..., MapDecoder]]] = {
    name: (
        partial(MapEncoder, blocks=blocks, activation=activation),
        partial(MapDecoder, blocks=blocks, activation=activation),
    )
    for name, blocks, activation in (("residual", 2, nn.SiLU), ("strided", 0, nn.LeakyReLU))
}
"""Encoder and decoder of maps by name; both take (image_shape, width, norm, stages), the decoder also inputs."""
