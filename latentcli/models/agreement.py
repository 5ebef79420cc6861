"""Two views of an image agree, views of different images differ: how an encoder learns what images show."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.core.settings import setting
from latentcli.models.augmentation import MIRRORED, VIEWS, copies, distorted
from latentcli.models.base import ModelConfig
from latentcli.models.layers import dense
from latentcli.numerics import shared_batches

HIDDEN, OUTPUTS = 512, 128
"""Features of the projection's hidden layer and of its result."""


@dataclass(frozen=True)
class ViewsConfig(ModelConfig):
    """What all families that learn from views have in their configuration.

    Attributes:
        views: how images are distorted: "digits" (rotated, warped), "scans" (cropped, mirrored, brighter or darker),
            "photos" (these and other colours), or "none".
        agreement: weight of the disagreement of two views of each image, nats of loss for each nat; 0 omits it.
        temperature: of the agreement; lower ones look at the most similar images alone.
    """

    views: str = setting("none", choices=("none", *VIEWS))
    agreement: float = setting(0.0, between=(0.0, 1e6))
    temperature: float = setting(0.2, between=(1e-3, 1e3))

    @property
    def agreeing(self) -> bool:
        """Whether views of an image are compared."""
        return self.agreement > 0 and self.views != "none"


class Projection(nn.Module):
    """Latents to the vectors that are compared: they may forget what views do not share, so that the latents need not.

    Source: Chen, Kornblith, Norouzi & Hinton 2020 (SimCLR), section 4.2.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(dense("batch", inputs, HIDDEN), nn.Linear(HIDDEN, OUTPUTS))

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)  # (N, OUTPUTS)


def with_views(images: Tensor, config: ViewsConfig, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W), mirrored at random where their views agree on that; and these followed by views of each.

    The last 2N of the latter are two views of each image, those of all before the others of all.
    """
    if config.agreeing and VIEWS[config.views].flip:
        images = distorted(images, MIRRORED, generator)
    return images, torch.cat([images, *copies(images, config.views, generator)])


def disagreement(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy of N ≥ 2 pairs of views, each (N, F): a scalar, nats, the mean.

    For each of the 2N views it is the negative log-probability of finding its partner among the 2N − 1 others, where
    the logit of a pair is the cosine of their angle over the temperature. Its least value comes near zero; where all
    views are the same it is log(2N − 1).

    Source: Chen et al. 2020 (SimCLR), equation 1.
    """
    own = F.normalize(torch.cat([first, second]), dim=1)
    views, here = shared_batches.gathered(own), len(first)  # all 2N, of which ``own`` may be some
    at, pairs = shared_batches.first(), shared_batches.whole(here)
    logits = own @ views.T / temperature
    themselves = torch.zeros(logits.shape, dtype=torch.bool, device=own.device)
    themselves[:here].diagonal(at).fill_(True)
    themselves[here:].diagonal(at + pairs).fill_(True)
    logits = logits.masked_fill(themselves, -torch.inf)
    partners = logits[:here].diagonal(at + pairs)
    return logits.logsumexp(dim=1).mean() - partners.mean()
