"""The same function in fewer passes over memory: neighbouring layers of a trained network fused into one."""

import copy
from functools import cache
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

Network = TypeVar("Network", bound=nn.Module)

_ACTIVATIONS: dict[type[nn.Module], str] = {nn.SiLU: "swish", nn.ReLU: "relu"}
"""What oneDNN applies to a convolution's output before it leaves the cache, and what it calls it."""


class ChannelsLastFlatten(nn.Module):
    """Maps (N, C, h, w) as rows (N, h · w · C): in the order of memory, where channels are last."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1).flatten(1)


class ActivatedConvolution(nn.Module):
    """A convolution and its activation in one pass, for inference in float32 on a CPU.

    PyTorch has that as a private operator alone (its compiler uses it), hence ``is_possible``. On one thread of an AMD
    EPYC the default VAE encodes 28×28 images 1.47 times as fast with it (median of five pairs of runs, 1.34 to 1.59),
    a VQ-VAE, whose residual blocks end without an activation, as fast (1.01, 0.84 to 1.20).
    """

    def __init__(self, layer: nn.Conv2d, activation: str) -> None:
        super().__init__()
        self.layer, self.activation = layer, activation

    @staticmethod
    @cache
    def is_possible() -> bool:
        """Whether this build of PyTorch has the operator, and with the signature that is known here."""
        if not torch.backends.mkldnn.is_available():
            return False
        maps = torch.zeros(1, 1, 1, 1)
        try:
            with torch.no_grad():
                found = ActivatedConvolution(nn.Conv2d(1, 1, 1), "relu")(maps)
            return found.shape == maps.shape
        except (AttributeError, RuntimeError, TypeError):
            return False

    def forward(self, maps: Tensor) -> Tensor:
        layer = self.layer
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            maps, layer.weight, layer.bias, list(layer.padding), list(layer.stride), list(layer.dilation),
            layer.groups, self.activation, [], "",
        )  # fmt: skip
        return result


def fused(network: Network) -> Network:
    """A network without its normalisations, each fused with the layer before it, and with activations in convolutions.

    The network is put in evaluation mode, otherwise left as it is; only its ``nn.Sequential`` parts are fused. The
    result is a copy for inference, or the network itself where there is nothing to fuse.
    """
    network.eval()
    sequences = [layers for layers in network.modules() if isinstance(layers, nn.Sequential)]
    if not any(_fuse_pair(*pair) is not None for layers in sequences for pair in pairwise(layers)):
        return network
    result = copy.deepcopy(network)
    for layers in [layers for layers in result.modules() if isinstance(layers, nn.Sequential)]:
        kept: list[nn.Module] = []
        for module in layers:
            pair = _fuse_pair(kept[-1], module) if kept else None
            kept = [*kept, module] if pair is None else [*kept[:-1], pair]
        _put_channels_last(kept)
        del layers[:]
        layers.extend(kept)
    return result


def _put_channels_last(layers: list[nn.Module]) -> None:
    """Lay weights out in memory with their channels last, as the maps then are, so that both are read in order."""
    for number, module in enumerate(layers):
        if isinstance(module, nn.Conv2d) and module.weight.is_cuda:
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        if not isinstance(module, ActivatedConvolution):
            continue
        weight = module.layer.weight
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        match layers[number + 1 : number + 3]:  # a linear layer may read the flattened maps
            case [nn.Flatten(start_dim=1), reader]:
                reader = reader[0] if isinstance(reader, nn.Sequential) and len(reader) else reader
                if isinstance(reader, nn.Linear):
                    by_channel = reader.weight.data.unflatten(1, (module.layer.out_channels, -1))
                    reader.weight.data = by_channel.transpose(1, 2).flatten(1)
                    layers[number + 1] = ChannelsLastFlatten()


def _fuse_pair(layer: nn.Module, after: nn.Module) -> nn.Module | None:
    """Two modules as one; None where they stay two."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and isinstance(after, nn.BatchNorm2d):
        result: nn.Module = fuse_conv_bn_eval(layer, after, transpose=isinstance(layer, nn.ConvTranspose2d))
        return result
    if isinstance(layer, nn.Linear) and isinstance(after, nn.BatchNorm1d):
        return fuse_linear_bn_eval(layer, after)
    if isinstance(layer, nn.Conv2d) and type(after) in _ACTIVATIONS:
        plain = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
        if plain and layer.weight.device.type == "cpu" and ActivatedConvolution.is_possible():
            return ActivatedConvolution(layer, _ACTIVATIONS[type(after)])
    return None
