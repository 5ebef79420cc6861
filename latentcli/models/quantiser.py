"""The interface of quantisers: maps of vectors to maps of codes, and codes to vectors."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latentcli.numerics.shared_batches import summed, whole


@dataclass(frozen=True)
class Quantised:
    """A batch of maps after quantising.

    Attributes:
        values: (N, D, h, w), each position one of the quantiser's vectors; gradients pass straight through.
        codes: (N, h, w) int64 in 0 … K − 1.
        terms: scalars of the quantiser's own loss, means over all positions and dimensions.
    """

    values: Tensor
    codes: Tensor
    terms: Mapping[str, Tensor]


class Quantiser(nn.Module, ABC):
    """Maps each position's vector, of D ``dimensions``, to one of K = ``size`` vectors."""

    size: int
    dimensions: int

    @abstractmethod
    def forward(self, maps: Tensor, generator: torch.Generator, progress: float = 1.0) -> Quantised:
        """Quantise, and in training mode learn.

        Args:
            maps: (N, D, h, w).
            generator: of all randomness, on the maps' device.
            progress: the fraction of training that is done, in [0, 1].
        """

    def phase(self, progress: float) -> Hashable:
        """What ``forward`` makes of ``progress`` in training, as ``Model.phase``; here nothing."""
        return ()

    def codes_of(self, maps: Tensor) -> Tensor:
        """(N, h, w) int64: the code of each position of maps (N, D, h, w), which are inputs of ``forward``."""
        return self.nearest(maps)

    @abstractmethod
    def nearest(self, vectors: Tensor) -> Tensor:
        """(N, h, w) int64: the code whose vector is nearest to each of (N, D, h, w), in the space of outputs."""

    @abstractmethod
    def vectors_of(self, codes: Tensor) -> Tensor:
        """(..., D): the vectors of codes of any shape, each in 0 … K − 1."""

    @abstractmethod
    def frequencies(self) -> Tensor:
        """(K,) how often each code occurs, summing to 1; uniform where that is not known."""


def straight_through(maps: Tensor, values: Tensor) -> Tensor:
    """``values`` in the forward pass, whose gradient is passed on to ``maps`` (Bengio et al. 2013)."""
    return maps + (values - maps).detach()


def counts_of(codes: Tensor, size: int) -> Tensor:
    """(size,) float32: how often each of codes (M,) in 0 … size − 1 occurs; exact up to 2²⁴.

    ``bincount`` would wait for CUDA to find the largest.
    """
    ones = torch.ones(len(codes), device=codes.device)
    return torch.zeros(size, device=codes.device).index_add_(0, codes, ones)


def perplexity(codes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Two scalars: the exponential of the entropy of codes in 0 … K − 1, K = ``size``, and the fraction that occurs."""
    frequencies = summed(counts_of(codes.flatten(), size)) / whole(codes.numel())
    entropy = torch.special.entr(frequencies).sum()
    return entropy.exp(), (frequencies > 0).float().mean()
