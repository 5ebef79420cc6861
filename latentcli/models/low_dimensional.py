"""A VAE of very few latent dimensions, whose decoder remembers the latents that it was trained on."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from latentcli.models import losses
from latentcli.models.base import LossTerms
from latentcli.models.latent_memory import LatentMemory, NearestEntries
from latentcli.models.vae import VAE, VAEConfig, noise_like

MEMORY_FRACTION = 0.4
"""Fraction of training, at its end, in which the decoder alone learns, at the remembered latents."""

MEMORY_NOISE = 3.0
"""Posterior deviations by which latents are drawn around those: the decoder learns to fill the space between them."""


class LowDimensionalVAE(VAE):
    """A ``VAE`` whose reconstructions use the best remembered latents instead of the encoder's.

    ``reconstruct(x)`` is not ``decode(encode(x))`` here. In two dimensions the posterior mean that an encoder gives is
    far from the best latent for an image, since the decoder must bend sharply to reach all images. ``inverse`` also
    tries the latents that the decoder was trained on and takes the better: on MNIST in two dimensions that is a
    structural similarity of 0.79 against 0.7. ``encode`` stays the posterior mean, which is what classifiers read.

    At the end of training the decoder learns at those latents as well; see ``MEMORY_FRACTION``.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__(config)
        self.landmarks = LatentMemory(self.dimensions, math.prod(config.image_shape))  # so called in checkpoints
        self._batch: tuple[Tensor, Tensor, Tensor] | None = None
        self._nearest: NearestEntries | None = None
        self.register_load_state_dict_post_hook(_forget_search)

    def train(self, mode: bool = True) -> "LowDimensionalVAE":
        if mode:
            self._nearest = None
        super().train(mode)
        return self

    def inverse(self) -> Callable[[Tensor], Tensor]:
        """A function from images (N, C, H, W) to latents (N, D): the best remembered ones, or the encoder's if better.

        The remembered latents are decoded once, until the model is trained on or loaded anew.
        """
        entries = self.landmarks.entries
        if not len(entries):
            return super().inverse()
        search = self._nearest
        if search is None or search.images.device != entries.device:
            search = NearestEntries(entries, self.decode)
        if not self.training:
            self._nearest = search

        def nearest(images: Tensor) -> Tensor:
            own = self.encode(images).flat
            found, errors = search(images)
            better = errors < (self.decode(own) - images).square().flatten(1).sum(dim=1)
            return torch.where(better[:, None], found, own)

        return nearest

    def loss(self, images: Tensor, generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        if progress >= 1 - MEMORY_FRACTION or not self.training:
            best = self.landmarks.lookup(images)
            if best is not None:
                return self._loss_at(*best, images, generator)
        return super().loss(images, generator, progress)

    def _loss_at(self, latents: Tensor, deviation: Tensor, images: Tensor, generator: torch.Generator) -> LossTerms:
        """The loss of the decoder alone, at or around remembered latents (N, D) that suit the images.

        In training the latents are drawn around those, and remembered in turn: a random search that keeps what the
        next lookups find to be better. The encoder does not change. That a decoder learns best at latents that are
        sought for each image without an encoder is known from Bojanowski et al. 2018, who follow gradients to them.
        """
        with torch.no_grad():
            kl = self.mixture.kl(latents, 2 * deviation.log()).mean()
        if self.training:
            latents = latents + MEMORY_NOISE * deviation * noise_like(latents, generator)
        logits = self.logits_of_draws(latents, deviation)
        nats = losses.reconstruction(self.config.loss, logits, images, self.config.ssim_weight).mean()
        return LossTerms(nats + self.config.beta * kl, {"reconstruction": nats, "kl": kl})

    def logits_of_draws(self, latents: Tensor, deviation: Tensor) -> Tensor:
        logits = super().logits_of_draws(latents, deviation)
        if self.training:
            self._batch = (latents.detach(), deviation.detach(), torch.sigmoid(logits.detach()))
        return logits

    def step_taken(self) -> None:
        """Remember the latents of the batch: only now, for a step that is refused must leave no trace."""
        if self._batch is not None:
            self.landmarks.push(*self._batch)
            self._batch = None

    def training_state(self) -> Mapping[str, Tensor]:
        return self.landmarks.training_state()

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        self.landmarks.load_training_state(state)


def _forget_search(model: LowDimensionalVAE, incompatible_keys: object) -> None:
    model._nearest = None
