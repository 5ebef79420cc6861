"""Two views of an image agree, views of different images differ: how an encoder learns what images show."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.models.layers import dense

HIDDEN, OUTPUTS = 512, 128
"""Features of the projection's hidden layer and of its result."""


class Projection(nn.Module):
    """Latents to the vectors that are compared: they may forget what views do not share, so that the latents need not.

    Source: Chen, Kornblith, Norouzi & Hinton 2020 (SimCLR), section 4.2.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(dense("batch", inputs, HIDDEN), nn.Linear(HIDDEN, OUTPUTS))

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)  # (N, OUTPUTS)


def disagreement(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy of N ≥ 2 pairs of views, each (N, F): a scalar, nats, the mean.

    For each of the 2N views it is the negative log-probability of finding its partner among the 2N − 1 others, where
    the logit of a pair is the cosine of their angle over the temperature. Its least value comes near zero; where all
    views are the same it is log(2N − 1).

    Source: Chen et al. 2020 (SimCLR), equation 1.
    """
    views = F.normalize(torch.cat([first, second]), dim=1)
    logits = views @ views.T / temperature
    logits = logits.masked_fill(torch.eye(len(views), dtype=torch.bool, device=views.device), -torch.inf)
    partners = logits.diagonal(len(first))
    return logits.logsumexp(dim=1).mean() - partners.mean()
