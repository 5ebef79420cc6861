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


class Places(nn.Module):
    """Maps (N, C, h, w) as rows (N, h · w · C), place by place: as they lie in memory, where channels are last."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1).flatten(1)


class ActivatedConvolution(nn.Module):
    """A convolution and its activation in one pass, for inference in float32 on a CPU."""

    possible = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")

    def __init__(self, layer: nn.Conv2d, activation: str) -> None:
        super().__init__()
        self.layer, self.activation = layer, activation

    def forward(self, maps: Tensor) -> Tensor:
        layer = self.layer
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            maps, layer.weight, layer.bias, list(layer.padding), list(layer.stride), list(layer.dilation),
            layer.groups, self.activation, [], "",
        )  # fmt: skip
        return result


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
        _lay_out(kept)
        del layers[:]
        layers.extend(kept)
    return result


def _lay_out(layers: list[nn.Module]) -> None:
    """Have weights lie in memory as maps do whose channels are last, which are then read in the order they lie in."""
    for number, convolution in enumerate(layers):
        if not isinstance(convolution, ActivatedConvolution):
            continue
        weight = convolution.layer.weight
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        after, reader = [*layers[number + 1 : number + 3], None, None][:2]
        linear = reader[0] if isinstance(reader, nn.Sequential) and len(reader) else reader
        if isinstance(after, nn.Flatten) and after.start_dim == 1 and isinstance(linear, nn.Linear):
            by_channel = linear.weight.data.unflatten(1, (convolution.layer.out_channels, -1))
            linear.weight.data = by_channel.transpose(1, 2).flatten(1)
            layers[number + 1] = Places()


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
