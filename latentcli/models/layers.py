"""Layers that all networks are made of."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn

NORMS = ("batch", "layer", "none")

Weights = TypeVar("Weights", bound="nn.Linear | nn.Conv2d | nn.ConvTranspose2d")


def layer(
    weights: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, norm: str,
    activation: Callable[[], nn.Module] | None = nn.SiLU,
) -> list[nn.Module]:  # fmt: skip
    """A layer's weights, its normalisation and its activation (None for none).

    Batch normalisation (Ioffe & Szegedy 2015) learns fastest. Layer normalisation (Ba et al. 2016), only of fully
    connected layers, makes latents independent of the rest of a batch, which helps with few latent dimensions.
    """
    after = [] if activation is None else [activation()]
    if norm == "batch":
        weights = fixed_bias(weights)
    if isinstance(weights, nn.Linear):
        kinds: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
        return [weights, *([kinds[norm](weights.out_features)] if norm in kinds else []), *after]
    return [weights, *([nn.BatchNorm2d(weights.out_channels)] if norm == "batch" else []), *after]


def fixed_bias(weights: Weights) -> Weights:
    """The same layer, whose bias is not learned, for one before a batch normalisation.

    That takes the mean away again, so that the bias has no effect and a gradient of zero, which takes a GPU a twelfth
    of a step to compute.
    """
    weights.bias.requires_grad_(False)  # type: ignore[union-attr]
    return weights


def dense(norm: str, *sizes: int) -> nn.Sequential:
    """Fully connected layers of (input, hidden …, output) features."""
    return nn.Sequential(*(part for before, after in pairwise(sizes) for part in layer(nn.Linear(before, after), norm)))


def channels_last(maps: Tensor) -> Tensor:
    """The same maps with their channels next to each other in memory: twice as fast to convolve on a CPU.

    Only maps change their layout, so that weights have the same one whether they were trained just now or read from a
    file. For grey images, whose memory is the same in either layout, the strides must tell the layers after them.
    A graph that others run has no layout of ours.
    """
    if torch.compiler.is_exporting():
        return maps
    maps = maps.contiguous(memory_format=torch.channels_last)
    _, channels, height, width = maps.shape
    return maps.as_strided(maps.shape, (height * width, 1, width, 1)) if channels == 1 else maps


def with_gradient_channels_last(maps: Tensor) -> Tensor:
    """The same maps, whose gradient lies in memory as ``channels_last`` lays it, whatever a loss makes of it.

    Otherwise the layers before them, which are the widest of a decoder, compute theirs in the slower layout on CUDA.
    """
    if maps.is_cuda and maps.requires_grad:
        maps.register_hook(channels_last)
    return maps


def blocks(batch: Tensor, size: int) -> Sequence[Tensor]:
    """A batch in parts of ``size`` rows; as it is where a graph is exported, whose batches are of any size."""
    return (batch,) if torch.compiler.is_exporting() else batch.split(size)


def to_rows(maps: Tensor) -> Tensor:
    """(N, C, h, w) maps as (N, h · w · C) rows: position by position, the channels of each together."""
    return maps.movedim(1, -1).flatten(1)


def to_maps(rows: Tensor, grid: tuple[int, int]) -> Tensor:
    """(N, C, h, w) maps of rows that ``to_rows`` made, on a grid of (h, w) positions."""
    return rows.unflatten(1, (*grid, -1)).movedim(-1, 1)


def pooled(found: Tensor) -> Tensor:
    """(N, F): an encoder's features, of maps (N, F, h, w) the mean over their positions."""
    return found.mean(dim=(2, 3)) if found.ndim == 4 else found
