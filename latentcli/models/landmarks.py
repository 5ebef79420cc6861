"""Points of a latent space that images have taken in training, among which the best for another image is looked up."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

MOST = 20_000
"""Landmarks; fewer of large images."""

MOST_VALUES = 2**24
"""Values of all decoded landmarks, which are held at once."""


class Landmarks(nn.Module):
    """The latents of the images last seen in training.

    A decoder of few dimensions folds its latent space so sharply that an encoder misses the best point for an image
    that it has not learned from (the amortisation gap, Cremer, Li & Duvenaud 2018). The landmarks lie where the
    decoder has learned to show images, and trying each of them finds a better point.

    Args:
        dimensions: D.
        values: of an image.
    """

    latents: Tensor
    seen: Tensor

    def __init__(self, dimensions: int, values: int) -> None:
        super().__init__()
        count = min(MOST, MOST_VALUES // values)
        self.register_buffer("latents", torch.zeros(count, dimensions))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def remember(self, latents: Tensor) -> None:
        """Keep latents (N, D) of a batch, in the place of the oldest."""
        count = len(self.latents)
        places = (self.seen + torch.arange(len(latents), device=latents.device)) % count
        self.latents[places[-count:]] = latents[-count:].float()  # no place twice: which came last would be left open
        self.seen += len(latents)

    @property
    def known(self) -> Tensor:
        """(N, D): those that are kept by now, none before training."""
        return self.latents[: max(0, int(self.seen))]

    def nearest(self, decode: Callable[[Tensor], Tensor]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """A function from images (N, C, H, W) to the known landmarks (N, D) that are decoded most like them.

        Args:
            decode: images (n, C, H, W) of latents (n, D); it is called here, once for each landmark.

        Returns:
            the function; it also gives their squared errors (N,), summed over pixels.
        """
        latents = self.known
        shown = torch.cat([decode(part).flatten(1) for part in latents.split(1024)])
        norms = shown.square().sum(dim=1)

        def search(images: Tensor) -> tuple[Tensor, Tensor]:
            pixels = images.flatten(1)
            errors, places = (norms - 2 * pixels @ shown.T).min(dim=1)
            return latents[places], errors + pixels.square().sum(dim=1)

        return search
