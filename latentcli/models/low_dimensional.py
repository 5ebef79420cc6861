"""A VAE of few latent dimensions, which looks images up among those that its decoder has made in training."""

import math
from collections.abc import Callable, Hashable, Mapping

import torch
from torch import Tensor

from latentcli.models import losses
from latentcli.models.base import LossTerms
from latentcli.models.latent_memory import LatentMemory, NearestEntries
from latentcli.models.vae import VAE, VAEConfig
from latentcli.numerics.shared_batches import gathered, noise_like

MEMORY_FRACTION = 0.4
"""Fraction of training, at its end, in which only the decoder learns, at the remembered latents."""

MEMORY_NOISE = 3.0
"""Noise around these, in posterior standard deviations: the decoder learns to fill the space between them."""


class LowDimensionalVAE(VAE):
    """A ``VAE`` that reconstructs an image from the best remembered latent instead of the encoder's.

    A reconstruction is not ``decode(encode(x))`` here. In two dimensions the encoder's posterior mean is far from the
    best latent for an image, since the decoder has to vary sharply to reach all images. ``inverse`` also tries the
    latents that the decoder was trained on and takes the best: on MNIST in two dimensions that is a structural
    similarity of 0.79 against 0.7. ``encode`` still gives the posterior mean, which is what classifiers read.

    At the end of training the decoder learns at those latents as well; see ``MEMORY_FRACTION``.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__(config)
        self.landmarks = LatentMemory(self.dimensions, math.prod(config.image_shape))  # so called in checkpoints
        self._batch: tuple[Tensor, Tensor, Tensor] | None = None
        self._nearest: NearestEntries | None = None
        self.register_load_state_dict_post_hook(_forget_search)

    def of_older(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The first versions had no memory, the next one of another size: (n, D), of which ``seen`` were taken.

        Of these as many are kept as there is room for here. What is of no such form is given back as it is.
        """
        own = self.landmarks.latents
        old, seen = weights.get("landmarks.latents"), weights.get("landmarks.seen", own.new_zeros((), device="cpu"))
        if old is None:
            old = own.new_zeros((0, own.shape[1]), device="cpu")
        if old.shape == own.shape or (old.ndim, old.shape[1:], old.dtype) != (2, own.shape[1:], own.dtype) or seen.ndim:
            return weights
        entries = old[: max(0, int(seen))][: len(own)]
        memory = own.new_zeros(own.shape, device="cpu")
        memory[: len(entries)] = entries
        return {**weights, "landmarks.latents": memory, "landmarks.seen": torch.tensor(len(entries))}

    def train(self, mode: bool = True) -> "LowDimensionalVAE":
        if mode:
            self._nearest = None
        super().train(mode)
        return self

    def inverse(self) -> Callable[[Tensor], Tensor]:
        """A function from images (N, C, H, W) to latents (N, D): the best remembered ones, or the encoder's if better.

        The remembered latents are decoded only once, until the model is trained further or loaded; and not at all
        while it is trained, when what they were decoded to is at hand.
        """
        if not len(self.landmarks.entries):
            return super().inverse()
        search = self._remembered if self.landmarks.decoded else self._search()

        def nearest(images: Tensor) -> Tensor:
            own = self.encode(images).flat
            found, errors = search(images)
            return torch.where((errors < self._errors(own, images))[:, None], found, own)

        return nearest

    def _search(self) -> NearestEntries:
        """A search among the remembered latents, which is kept until the model is trained further or loaded."""
        entries, search = self.landmarks.entries, self._nearest
        if search is None or search.images.device != entries.device:
            search = NearestEntries(entries, self.decode)
        if not self.training:
            self._nearest = search
        return search

    def _remembered(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What ``NearestEntries`` finds, in training: by the images that the latents were decoded to at the time."""
        best = self.landmarks.lookup(images)
        assert best is not None
        return best[0], self._errors(best[0], images)

    def _errors(self, latents: Tensor, images: Tensor) -> Tensor:
        """(N,): squared errors of decoded latents (N, D), summed over pixels."""
        return (self.decode(latents) - images).square().flatten(1).sum(dim=1)

    def loss(self, images: Tensor, generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        if progress >= 1 - MEMORY_FRACTION or not self.training:
            best = self.landmarks.lookup(images)
            if best is not None:
                return self._loss_at(*best, images, generator)
        return super().loss(images, generator, progress)

    def _loss_at(self, latents: Tensor, deviation: Tensor, images: Tensor, generator: torch.Generator) -> LossTerms:
        """The loss of the decoder alone, at the remembered latents (N, D) that are decoded most like the images.

        In training noise is added to them, and the result is remembered in turn: a random search, of which later
        lookups keep what is better. The encoder does not change. Bojanowski et al. 2018 also train a decoder on
        latents optimised for each image without an encoder, but by gradients.
        """
        with torch.no_grad():
            kl = self._kl(latents, 2 * deviation.log()).mean()
        if self.training:
            noise = noise_like(latents, generator)
            latents = latents + MEMORY_NOISE * deviation * noise
        logits = self._logits_of_draws(latents, deviation)
        nats = losses.reconstruction(self.config.loss, logits, images, self.config.ssim_weight).mean()
        return LossTerms(nats + self.config.beta * kl, {"reconstruction": nats, "kl": kl})

    def _logits_of_draws(self, latents: Tensor, deviation: Tensor) -> Tensor:
        logits = super()._logits_of_draws(latents, deviation)
        if self.training:
            latents, deviation, images = (
                gathered(each) for each in (latents.detach(), deviation.detach(), torch.sigmoid(logits.detach()))
            )
            self._batch = latents, deviation, images
        return logits

    def phase(self, progress: float) -> Hashable:
        return super().phase(progress), progress >= 1 - MEMORY_FRACTION, bool(self.landmarks.decoded)

    def step_taken(self, good: Tensor) -> None:
        """Remember the latents of the batch: not earlier, since a refused step must not change anything."""
        if self._batch is not None:
            self.landmarks.push(*self._batch, good)
            self._batch = None

    def training_state(self) -> Mapping[str, Tensor]:
        return self.landmarks.training_state()

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        self.landmarks.load_training_state(state)


def _forget_search(model: LowDimensionalVAE, incompatible_keys: object) -> None:
    model._nearest = None
