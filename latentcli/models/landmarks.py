"""Points of a latent space that a decoder has learned from, among which the best for an image is looked up."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from latentcli.numerics.precision import product_dtype

MOST = 20_000
"""Landmarks; fewer of large images."""

MOST_VALUES = 2**24
"""Values of all decoded landmarks, which are held at once."""


class Landmarks(nn.Module):
    """The latents that were last decoded in training.

    A decoder of few dimensions folds its latent space so sharply that an encoder misses the best point for an image,
    most of all for one that it has not learned from (the amortisation gap, Cremer, Li & Duvenaud 2018). The landmarks
    lie where the decoder has learned to show images, and trying each of them finds a better point.

    In training it is also remembered what each was decoded to, so that it is found without decoding all anew. That
    much is not kept in files.

    Args:
        dimensions: D.
        values: of an image.

    Attributes:
        latents: (count, D), the newest in the place of the oldest.
        seen: how many there were in all.
        deviations: (count, D), of the distributions that they were drawn from; None outside training, as the next two.
        shown: (count, values), what they were decoded to, in the type that is multiplied fastest.
        norms: (count,), the squared lengths of that.
    """

    latents: Tensor
    seen: Tensor
    deviations: Tensor | None
    shown: Tensor | None
    norms: Tensor | None

    def __init__(self, dimensions: int, values: int) -> None:
        super().__init__()
        self.values = values
        count = min(MOST, MOST_VALUES // values)
        self.register_buffer("latents", torch.zeros(count, dimensions))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        for name in ("deviations", "shown", "norms"):
            self.register_buffer(name, None, persistent=False)

    @torch.no_grad()
    def remember(self, latents: Tensor, deviations: Tensor, images: Tensor) -> None:
        """Keep a batch in the place of the oldest.

        Args:
            latents: (N, D), that were decoded.
            deviations: (N, D), of the distribution that each was drawn from.
            images: (N, C, H, W) that they were decoded to.
        """
        count = len(self.latents)
        if self.shown is None or self.norms is None or self.deviations is None:
            self.deviations = torch.zeros_like(self.latents)
            self.shown = self.latents.new_zeros(count, self.values, dtype=product_dtype(latents.device.type))
            self.norms = self.latents.new_zeros(count)
        places = (self.seen + torch.arange(len(latents), device=latents.device)) % count
        kept, places = slice(-count, None), places[-count:]  # no place twice: which came last would be left open
        self.latents[places] = latents[kept].float()
        self.deviations[places] = deviations[kept].float()
        shown = images[kept].flatten(1).to(self.shown.dtype)
        self.shown[places], self.norms[places] = shown, shown.float().square().sum(dim=1)
        self.seen += len(latents)

    @torch.no_grad()
    def recall(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """The landmarks that were decoded most like images (N, C, H, W): latents and deviations, each (N, D).

        None where there are no pictures of them: outside training.
        """
        if self.shown is None or self.norms is None or self.deviations is None:
            return None
        count = len(self.known)
        likeness = nn.functional.linear(images.flatten(1).to(self.shown.dtype), self.shown[:count])
        places = (self.norms[:count] - 2 * likeness.float()).argmin(dim=1)
        return self.latents[places], self.deviations[places]

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
