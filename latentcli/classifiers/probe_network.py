"""The networks that probes are made of: a first layer for floats or for codes, then fully connected ones."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StandardisedLinear(nn.Module):
    """A linear layer of features with mean 0 and deviation 1."""

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

    A code that was never seen at its position adds nothing. Of each position the last row stands for all codes that
    are larger than any that was seen.

    Args:
        positions: codes of an image.
        codes: K, of which codes 0 … K − 1 were seen.
        outputs: of the layer.
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
        return F.embedding_bag(self.rows_of(codes), self.weight, mode="sum") + self.bias

    @torch.no_grad()
    def see(self, codes: Tensor) -> None:
        """Set the rows to zero of all codes that are not among these (N, P)."""
        seen = torch.zeros(len(self.weight), dtype=torch.bool)
        for some in codes.split(4096):
            seen[self.rows_of(some)] = True
        self.weight[~seen] = 0.0


class ProbeNetwork(nn.Module):
    """Features to the logarithms of class probabilities, up to a constant.

    Args:
        inputs: features of an image.
        codes: K when they are codes 0 … K − 1; 0 when they are floats.
        classes: how many.
        hidden: widths of the hidden layers; none is logistic regression.
        dropout: fraction of hidden features that are dropped in training.
    """

    def __init__(self, inputs: int, codes: int, classes: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        widths = [*hidden, classes]
        first = OneHotLinear(inputs, codes, widths[0]) if codes else StandardisedLinear(inputs, widths[0])
        self.layers = nn.ModuleList([first, *(nn.Linear(*sizes) for sizes in pairwise(widths))])
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in hidden)
        self.dropout, self.classes = dropout, classes

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights: uniform within ±1/√inputs of the layer, of which a code is one; biases begin at zero."""
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Linear | OneHotLinear):
                    inputs = layer.in_features if isinstance(layer, nn.Linear) else layer.positions
                    layer.weight.uniform_(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=generator)
                    layer.bias.zero_()

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(N, C) logits of features (N, F); the generator, needed in training alone, draws what is dropped."""
        x = self.layers[0](x)
        for norm, layer in zip(self.norms, self.layers[1:], strict=True):
            x = F.relu(norm(x))
            if generator is not None and self.dropout:
                x = x * torch.empty_like(x).bernoulli_(1 - self.dropout, generator=generator) / (1 - self.dropout)
            x = layer(x)
        return x
