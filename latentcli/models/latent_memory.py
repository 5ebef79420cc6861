"""The latents that a decoder was last trained on, and a search for the one that is decoded most like an image."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from latentcli.numerics.precision import product_dtype

MAX_ENTRIES = 20_000
"""Latents that are kept at most."""

MAX_VALUES = 2**24
"""Pixel values of all decoded images that are held in memory, at most."""

BLOCK = 1024
"""Latents that are decoded at once for inference."""


class LatentMemory(nn.Module):
    """A ring buffer of latents from training.

    With few latent dimensions a decoder varies so sharply that an encoder misses the best point for an image, most of
    all for one that it was not trained on (the amortisation gap, Cremer, Li & Duvenaud 2018). Trying each of the
    latents that the decoder was trained on finds a better one.

    In training the memory also holds the image that each entry was decoded to, so that a lookup decodes nothing.
    These images are not part of the ``state_dict`` but of the ``training_state``.

    Args:
        dimensions, values: D, and C · H · W of an image.

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
    def push(self, latents: Tensor, deviations: Tensor, images: Tensor, good: Tensor) -> None:
        """Replace the oldest entries by latents (N, D) and the images (N, C, H, W) that they were decoded to.

        ``deviations`` (N, D) are the standard deviations of the posteriors that the latents were drawn from. Where
        ``good``, a bool (), is False, nothing is replaced.
        """
        capacity = len(self.latents)
        if not self.decoded:
            dtype = product_dtype(latents.device.type)
            self.decoded = {
                "deviations": torch.zeros_like(self.latents),
                "images": self.latents.new_zeros(capacity, self.values, dtype=dtype),  # multiplied in lookups
                "norms": self.latents.new_zeros(capacity),  # squared lengths of the images
            }
            self.seen.zero_()  # entries of an earlier training, whose images are not known, are forgotten
        rows = (self.seen + torch.arange(len(latents), device=latents.device)) % capacity
        kept, rows = slice(-capacity, None), rows[-capacity:]  # no row twice: which came last would be left open
        flat = images[kept].flatten(1).to(self.decoded["images"].dtype)
        for memory, new in (
            (self.latents, latents[kept].float()),
            (self.decoded["deviations"], deviations[kept].float()),
            (self.decoded["images"], flat),
            (self.decoded["norms"], flat.float().square().sum(dim=1)),
        ):
            memory[rows] = torch.where(good, new, memory[rows])
        self.seen += len(latents) * good

    @torch.no_grad()
    def lookup(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """For each image (N, C, H, W) the entry that was decoded most like it: latents and deviations, each (N, D).

        None outside training, where the decoded images are not held.
        """
        if not self.decoded:
            return None
        stored, norms = self.decoded["images"], self.decoded["norms"]
        free = torch.arange(len(norms), device=norms.device) >= self.seen  # how many are taken the host does not ask
        likeness = nn.functional.linear(images.flatten(1).to(stored.dtype), stored)
        rows = (norms.masked_fill(free, torch.inf) - 2 * likeness.float()).argmin(dim=1)
        return self.latents[rows], self.decoded["deviations"][rows]

    @property
    def entries(self) -> Tensor:
        """(count, D): the latents kept so far; none before training."""
        return self.latents[: max(0, int(self.seen))]

    def training_state(self) -> Mapping[str, Tensor]:
        """What ``lookup`` needs besides the ``state_dict``."""
        return self.decoded

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore a ``training_state``; an empty one frees the memory of the decoded images."""
        self.decoded = {name: tensor.to(self.latents.device) for name, tensor in state.items()}


class NearestEntries:
    """A search among latents (K, D) for those that ``decode`` makes into images most like given ones.

    Each of the latents is decoded once, when the search is made.
    """

    def __init__(self, latents: Tensor, decode: Callable[[Tensor], Tensor]) -> None:
        self.latents = latents
        self.images = torch.cat([decode(part).flatten(1) for part in latents.split(BLOCK)])
        self.norms = self.images.square().sum(dim=1)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """For images (N, C, H, W) the best latents (N, D), and their squared errors (N,), summed over pixels."""
        pixels = images.flatten(1)
        errors, rows = (self.norms - 2 * pixels @ self.images.T).min(dim=1)
        return self.latents[rows], errors + pixels.square().sum(dim=1)
