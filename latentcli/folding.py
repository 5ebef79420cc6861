"""The same function in fewer passes over memory: layers of a trained network folded into one another."""

import copy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

Network = TypeVar("Network", bound=nn.Module)

_ACTIVATIONS: dict[type[nn.Module], str] = {nn.SiLU: "swish", nn.ReLU: "relu"}
"""What oneDNN applies to a convolution's output before it leaves the cache, and what it calls it."""


class ActivatedConvolution(nn.Module):
    """A convolution and its activation in one pass, for inference in float32 on a CPU.

    One that halves grey images reads them as half as many blocks of four pixels, a channel each: the same sums, in
    two thirds of the time, since oneDNN makes little of a single channel.
    """

    possible = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")

    def __init__(self, layer: nn.Conv2d, activation: str) -> None:
        super().__init__()
        self.layer, self.activation = layer, activation
        self.of_blocks = of_blocks(layer) if halves_grey(layer) else None

    def forward(self, maps: Tensor) -> Tensor:
        layer, sides = self.layer, maps.shape[2:]
        if self.of_blocks is not None and not (sides[0] % 2 or sides[1] % 2):
            layer, maps = self.of_blocks, in_blocks(maps)
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            maps, layer.weight, layer.bias, list(layer.padding), list(layer.stride), list(layer.dilation),
            layer.groups, self.activation, [], "",
        )  # fmt: skip
        return result


def halves_grey(layer: nn.Conv2d) -> bool:
    """Whether it reads one channel, and makes half as many of an even number of rows and of columns."""
    sizes = zip(layer.kernel_size, layer.padding, strict=True)
    return (
        layer.in_channels == 1 and layer.stride == (2, 2) and layer.dilation == (1, 1)
        and all(isinstance(padding, int) and size - 2 * padding in (1, 2) for size, padding in sizes)
    )  # fmt: skip


def of_blocks(layer: nn.Conv2d) -> nn.Conv2d:
    """The convolution of blocks of 2×2 pixels that does what this one does, which ``halves_grey``."""
    assert not isinstance(layer.padding, str)
    beyond = [(padding + 1) // 2 for padding in layer.padding]  # blocks that are read beyond each edge
    height, width = (2 * blocks + 1 for blocks in beyond)
    top, left = (2 * blocks - padding for blocks, padding in zip(beyond, layer.padding, strict=True))
    outputs, (rows, columns) = layer.out_channels, layer.kernel_size
    weight = layer.weight.new_zeros(outputs, 2 * height, 2 * width)
    weight[:, top : top + rows, left : left + columns] = layer.weight.detach()[:, 0]
    result = nn.Conv2d(4, outputs, (height, width), padding=(beyond[0], beyond[1]))
    weight = weight.reshape(outputs, height, 2, width, 2).permute(0, 2, 4, 1, 3).reshape(result.weight.shape)
    result.weight, result.bias = nn.Parameter(weight, requires_grad=False), layer.bias
    return result


def in_blocks(images: Tensor) -> Tensor:
    """(N, 1, H, W) float32 as (N, 4, H/2, W/2), the four channels next to each other in memory."""
    count, _, height, width = images.shape
    pairs = images.reshape(count, height // 2, 2, width).view(torch.complex64)  # a pair is moved as one number
    return (
        pairs.transpose(2, 3).contiguous().view(torch.float32).reshape(count, height // 2, width // 2, 4).movedim(3, 1)
    )


def folded(network: Network) -> Network:
    """A network without its normalisations, each folded into the layer before it, and with activations in convolutions.

    Args:
        network: put in evaluation mode, otherwise left as it is. Only its ``nn.Sequential`` parts are folded.

    Returns:
        a copy for inference; the network itself where there is nothing to fold.
    """
    network.eval()
    if not any(_pairs(layers) for layers in network.modules() if isinstance(layers, nn.Sequential)):
        return network
    result = copy.deepcopy(network)
    for layers in [module for module in result.modules() if isinstance(module, nn.Sequential)]:
        kept: list[nn.Module] = []
        for module in layers:
            together = _together(kept[-1], module) if kept else None
            kept = [*kept, module] if together is None else [*kept[:-1], together]
        del layers[:]
        layers.extend(kept)
    return result


def _pairs(layers: nn.Sequential) -> bool:
    """Whether two neighbours can be one."""
    return any(_together(before, after) is not None for before, after in pairwise(layers))


def _together(layer: nn.Module, after: nn.Module) -> nn.Module | None:
    """Two modules as one; None where they are not to be."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and isinstance(after, nn.BatchNorm2d):
        fused: nn.Module = fuse_conv_bn_eval(layer, after, transpose=isinstance(layer, nn.ConvTranspose2d))
        return fused
    if isinstance(layer, nn.Linear) and isinstance(after, nn.BatchNorm1d):
        return fuse_linear_bn_eval(layer, after)
    if isinstance(layer, nn.Conv2d) and type(after) in _ACTIVATIONS and _on_cpu(layer):
        return ActivatedConvolution(layer, _ACTIVATIONS[type(after)])
    return None


def _on_cpu(layer: nn.Conv2d) -> bool:
    plain = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return ActivatedConvolution.possible and plain and layer.weight.device.type == "cpu"
