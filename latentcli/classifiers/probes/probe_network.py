"""The networks that probes are made of: a first layer for floats or for codes, then fully connected ones."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.classifiers.probes.probe import standardisation


class StandardisedLinear(nn.Module):
    """A linear layer of features that it standardises to mean 0 and deviation 1."""

    mean: Tensor
    scale: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear((x.float() - self.mean) / self.scale)


class OneHotLinear(nn.Module):
    """A linear layer of one-hot encoded codes, without the one-hot matrix: the sum of a row for each (position, code).

    A code that does not occur at its position in training adds nothing. The last row of each position stands for all
    codes that are larger than any in training, 0 … ``codes`` − 1.
    """

    def __init__(self, positions: int, codes: int, outputs: int) -> None:
        super().__init__()
        self.positions, self.codes = positions, codes
        self.weight = nn.Parameter(torch.zeros(positions * (codes + 1), outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def rows_of(self, codes: Tensor) -> Tensor:
        """(N, P) numbers of the rows of ``weight`` that codes (N, P) stand for."""
        first = torch.arange(self.positions, device=codes.device) * (self.codes + 1)
        return codes.long().clamp(max=self.codes) + first

    def forward(self, codes: Tensor) -> Tensor:
        if torch.compiler.is_exporting():  # other runtimes know no bags
            return F.embedding(self.rows_of(codes), self.weight).sum(dim=1) + self.bias
        return F.embedding_bag(self.rows_of(codes), self.weight, mode="sum") + self.bias

    @torch.no_grad()
    def keep_only(self, codes: Tensor) -> None:
        """Set the rows to zero of all codes that are not among these (N, P)."""
        occur = torch.zeros(len(self.weight), dtype=torch.bool)
        for some in codes.split(4096):
            occur[self.rows_of(some)] = True
        self.weight[~occur] = 0.0


def dropped(x: Tensor, fraction: float, generator: torch.Generator | None) -> Tensor:
    """x without a random fraction of its values, the others scaled up; x itself where there is no generator."""
    if generator is None or not fraction:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - fraction, generator=generator) / (1 - fraction)


class ProbeNetwork(nn.Module, ABC):
    """Features to the logarithms of class probabilities, up to a constant."""

    ROWS_AT_ONCE: ClassVar[int] = 4096
    """Rows that go through it at once outside training."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights: uniform within ±1/√inputs of the layer, of which a code is one; biases begin at zero.

        Vectors that stand for codes are drawn from N(0, I).
        """
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Embedding):
                    layer.weight.normal_(generator=generator)
                if isinstance(layer, nn.Linear | nn.Conv2d | OneHotLinear):
                    inputs = layer.positions if isinstance(layer, OneHotLinear) else layer.weight[0].numel()
                    layer.weight.uniform_(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=generator)
                    if layer.bias is not None:
                        layer.bias.zero_()

    @abstractmethod
    def prepare(self, X: np.ndarray, labelled: np.ndarray) -> None:
        """Set what gradient descent does not learn, from features X (N, F); ``labelled`` rows are learned from."""

    @abstractmethod
    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(N, C) logits of features (N, F); the generator, given in training alone, draws all that is random."""


class DenseNetwork(ProbeNetwork):
    """Fully connected layers with batch normalisation and dropout; without hidden ones it is logistic regression."""

    def __init__(self, inputs: int, codes: int, classes: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__(classes)
        widths = [*hidden, classes]
        first = OneHotLinear(inputs, codes, widths[0]) if codes else StandardisedLinear(inputs, widths[0])
        self.layers = nn.ModuleList([first, *(nn.Linear(*sizes) for sizes in pairwise(widths))])
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in hidden)
        self.dropout = dropout

    def prepare(self, X: np.ndarray, labelled: np.ndarray) -> None:
        first = self.layers[0]
        if isinstance(first, StandardisedLinear):
            mean, scale = standardisation(X)
            first.mean, first.scale = torch.from_numpy(mean), torch.from_numpy(scale)
        elif isinstance(first, OneHotLinear):
            first.keep_only(torch.from_numpy(X[labelled]))

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        x = self.layers[0](x)
        for norm, layer in zip(self.norms, self.layers[1:], strict=True):
            x = layer(dropped(F.relu(norm(x)), self.dropout, generator))
        return x
