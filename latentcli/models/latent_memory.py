"""The latents that a decoder was last trained on, among which the best for an image is looked up."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from latentcli.numerics.precision import product_dtype

MAX_ENTRIES = 20_000
"""Latents that are kept; fewer of large images."""

MAX_VALUES = 2**24
"""Pixels of the images of all entries, which are held in memory at once."""

BLOCK = 1024
"""Latents that are decoded at once for inference."""


class LatentMemory(nn.Module):
    """A ring buffer of latents from training.

    A decoder of few latent dimensions bends its latent space so sharply that an encoder misses the best point for an
    image, most of all for one that it was not trained on (the amortisation gap, Cremer, Li & Duvenaud 2018). Trying
    each of the latents that the decoder was trained on finds a better one.

    For training the memory also holds the image that each entry was decoded to, so that a lookup decodes nothing.
    Those are no part of the ``state_dict``; ``training_state`` has them.

    Args:
        dimensions: D.
        values: of an image, C · H · W.

    Attributes:
        latents: (capacity, D) float32; the newest replace the oldest.
        seen: scalar int64, how many were ever pushed. (Checkpoints hold both under these names.)
    """

    latents: Tensor
    seen: Tensor

    def __init__(self, dimensions: int, values: int) -> None:
        super().__init__()
        self.values = values
        self.register_buffer("latents", torch.zeros(min(MAX_ENTRIES, MAX_VALUES // values), dimensions))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.decoded: dict[str, Tensor] = {}

    @torch.no_grad()
    def push(self, latents: Tensor, deviations: Tensor, images: Tensor) -> None:
        """Keep a batch in place of the oldest entries.

        Args:
            latents: (N, D), that were decoded.
            deviations: (N, D), standard deviations of the posterior that each was drawn from.
            images: (N, C, H, W) that they were decoded to.
        """
        capacity = len(self.latents)
        if not self.decoded:
            dtype = product_dtype(latents.device.type)
            self.decoded = {
                "deviations": torch.zeros_like(self.latents),
                "images": self.latents.new_zeros(capacity, self.values, dtype=dtype),  # multiplied in lookups
                "norms": self.latents.new_zeros(capacity),  # squared lengths of the images
            }
        rows = (self.seen + torch.arange(len(latents), device=latents.device)) % capacity
        kept, rows = slice(-capacity, None), rows[-capacity:]  # no row twice: which came last would be left open
        self.latents[rows] = latents[kept].float()
        self.decoded["deviations"][rows] = deviations[kept].float()
        flat = images[kept].flatten(1).to(self.decoded["images"].dtype)
        self.decoded["images"][rows], self.decoded["norms"][rows] = flat, flat.float().square().sum(dim=1)
        self.seen += len(latents)

    @torch.no_grad()
    def lookup(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """Of each image (N, C, H, W) the entry that was decoded most like it: latents and deviations, each (N, D).

        None outside training, where the entries' images are not held.
        """
        if not self.decoded:
            return None
        count, stored = len(self.entries), self.decoded["images"]
        likeness = nn.functional.linear(images.flatten(1).to(stored.dtype), stored[:count])
        rows = (self.decoded["norms"][:count] - 2 * likeness.float()).argmin(dim=1)
        return self.latents[rows], self.decoded["deviations"][rows]

    @property
    def entries(self) -> Tensor:
        """(count, D): the latents that are kept by now; none before training."""
        return self.latents[: max(0, int(self.seen))]

    def training_state(self) -> Mapping[str, Tensor]:
        """What ``lookup`` needs beside the ``state_dict``."""
        return self.decoded

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up what ``training_state`` gave; nothing: the entries' images are forgotten."""
        self.decoded = {name: tensor.to(self.latents.device) for name, tensor in state.items()}


class NearestEntries:
    """A search among latents for those that are decoded most like images.

    Args:
        latents: (K, D).
        decode: images (n, C, H, W) of latents (n, D); called here, once for each latent.
    """

    def __init__(self, latents: Tensor, decode: Callable[[Tensor], Tensor]) -> None:
        self.latents = latents
        self.images = torch.cat([decode(part).flatten(1) for part in latents.split(BLOCK)])
        self.norms = self.images.square().sum(dim=1)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Of each image (N, C, H, W) the nearest latents (N, D), and the squared errors (N,), summed over pixels."""
        pixels = images.flatten(1)
        errors, rows = (self.norms - 2 * pixels @ self.images.T).min(dim=1)
        return self.latents[rows], errors + pixels.square().sum(dim=1)
