"""A probe for maps, of numbers or of codes: a small convolutional network, which finds a pattern wherever it lies."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from latentcli.classifiers.probes.network_probes import LR, WEIGHT_DECAY, NetworkProbe
from latentcli.classifiers.probes.probe import MapShape, standardisation
from latentcli.classifiers.probes.probe_network import ProbeNetwork, dropped
from latentcli.classifiers.probes.probe_training import Schedule
from latentcli.core.settings import setting

MIN_SIDE = 5  # maps are halved until their longer side is no longer than this
EMBEDDED = 64  # numbers that stand for a code


class ResidualConvolution(nn.Module):
    """A 3×3 convolution whose output is added to its input (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = convolution(channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.layers(maps)


def convolution(before: int, after: int, stride: int) -> nn.Sequential:
    """A 3×3 convolution, batch normalisation, and a rectifier."""
    weights = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return nn.Sequential(weights, nn.BatchNorm2d(after), nn.ReLU())


def random_shift(maps: Tensor, shift: float, flip: float, generator: torch.Generator) -> Tensor:
    """Maps (N, h, w, C), each shifted at random, its edge repeated where nothing was, and some of them mirrored."""
    count, device = len(maps), maps.device

    def shifted(side: int) -> Tensor:
        furthest = max(1, round(shift * side)) if shift else 0
        offsets = torch.randint(-furthest, furthest + 1, (count, 1), generator=generator, device=device)
        return (torch.arange(side, device=device) + offsets).clamp_(0, side - 1)  # (N, side)

    rows, columns = shifted(maps.shape[1]), shifted(maps.shape[2])
    if flip:
        mirrored = torch.rand(count, 1, generator=generator, device=device) < flip
        columns = torch.where(mirrored, maps.shape[2] - 1 - columns, columns)
    return maps[torch.arange(count, device=device)[:, None, None], rows[:, :, None], columns[:, None, :]]


class MapNetwork(ProbeNetwork):
    """Convolutions that halve the maps and double the channels, the mean over positions, and a linear layer.

    Channels of numbers are standardised; of codes it learns a vector each, and of those that no labelled image has
    these begin as zero. ``codes`` is how many there are, 0 where the maps are of numbers; the other arguments are
    settings of ``ConvolutionalProbe``; each stage has half as many channels as the next.
    """

    ROWS_AT_ONCE = 256
    mean: Tensor
    scale: Tensor

    def __init__(
        self, shape: MapShape, codes: int, classes: int, width: int, dropout: float, shift: float, flip: float
    ) -> None:
        super().__init__(classes)
        self.shape, self.dropout, self.shift, self.flip = shape, dropout, shift, flip
        halvings = max(0, math.ceil(math.log2(max(shape[:2]) / MIN_SIDE)))
        strides = [1] * (2 - halvings) + [2] * halvings  # two stages at least
        channels = [
            shape[2] * (EMBEDDED if codes else 1), *(max(1, width >> stage) for stage in reversed(range(len(strides)))),
        ]  # fmt: skip
        if codes:
            self.vectors = nn.Embedding(codes + 1, EMBEDDED)  # the last of codes that are larger than any in training
        else:
            self.register_buffer("mean", torch.zeros(shape[2]))
            self.register_buffer("scale", torch.ones(shape[2]))
        self.codes = codes
        stages = zip(pairwise(channels), strides, strict=True)
        self.stages = nn.Sequential(*(convolution(*sizes, stride) for sizes, stride in stages))
        self.block = ResidualConvolution(width)
        self.last = nn.Linear(width, classes)

    @torch.no_grad()
    def prepare(self, X: np.ndarray, labelled: np.ndarray) -> None:
        if self.codes:
            missing = np.ones(self.codes + 1, bool)
            missing[np.unique(X[labelled])] = False
            self.vectors.weight[torch.from_numpy(missing)] = 0.0
        else:  # over all rows and positions
            mean, scale = standardisation(X.reshape(-1, self.shape[2]))
            self.mean, self.scale = torch.from_numpy(mean), torch.from_numpy(scale)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        maps = x.unflatten(1, self.shape)
        if self.codes:
            maps = self.vectors(maps.long().clamp(max=self.codes)).flatten(3)
        else:
            maps = (maps.float() - self.mean) / self.scale
        if generator is not None:
            maps = random_shift(maps, self.shift, self.flip, generator)
        pooled = self.block(self.stages(maps.movedim(-1, 1))).mean(dim=(2, 3))
        return self.last(dropped(pooled, self.dropout, generator))


@dataclass(kw_only=True, eq=False, repr=False)
class ConvolutionalProbe(NetworkProbe):
    """A small convolutional network: finds a pattern wherever in the map it lies; ``shape`` is needed.

    Of maps of codes it learns a vector of each code, too.

    From few labelled images three networks learn, and their probabilities are averaged.

    Attributes:
        width: channels of the last stage.
        dropout: fraction of the pooled features that are dropped in training.
        shift: fraction of each side by which maps are shifted in training, at most; one position at least, unless zero.
        flip: probability that a map is mirrored in training, left to right; not for digits.
        label_smoothing: probability that the targets give to all classes alike.
    """

    KIND = "conv"
    NETWORKS = 3
    READS_MAPS = True

    width: int = setting(128, between=(1, 4_096))
    dropout: float = setting(0.2, between=(0.0, 0.95))
    shift: float = setting(0.1, between=(0.0, 0.5))
    flip: float = setting(0.0, between=(0.0, 1.0))
    label_smoothing: float = setting(0.1, between=(0.0, 0.9))
    lr: float = setting(3e-3, between=LR)
    weight_decay: float = setting(5e-2, between=WEIGHT_DECAY)

    def _network(self) -> MapNetwork:
        shape = cast(MapShape, self._map_shape())
        return MapNetwork(shape, self.codes_, len(self.classes_), self.width, self.dropout, self.shift, self.flip)

    def _schedule(self, seed: int) -> Schedule:
        schedule = super()._schedule(seed)
        return replace(schedule, row_budget=250_000, max_batch=128, label_smoothing=self.label_smoothing)
