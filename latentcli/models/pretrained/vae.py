"""A VAE whose encoder is already trained: its features, turned to their principal axes, are the posterior means."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.core.errors import UsageError
from latentcli.core.progress import Progress
from latentcli.models.base import LossTerms
from latentcli.models.map_backbones import MAPS
from latentcli.models.mixture_prior import LOG_VARIANCES
from latentcli.models.pretrained import encoder_named
from latentcli.models.pretrained.base import PretrainedEncoder
from latentcli.models.vae import VAE, VAEConfig
from latentcli.numerics.batches import DeviceImages

SAMPLE = 20_000
"""Images of which the principal axes are computed."""

START = -2.0
"""The log-variances before training, where the means have variance 1 on average."""


class PrincipalPosterior(nn.Module):
    """Moments (N, 2D) of the posterior, from features (N, F) of unit length: means by principal axes, and variances.

    The features are divided by their length, since the angle between them is what tells images apart. The means are
    coordinates along the D axes of most variance, all divided by one number, so that their variance is 1 on average.
    Whitening, which divides each by its own deviation, would make as much of what differs by chance: on 49 photographs
    of ants and bees, of which five of each class are labelled, the nearest neighbours of 30 others are right for 0.65
    with it and for 0.87 without (32 dimensions, 20 draws).
    """

    def __init__(self, features: int, dimensions: int) -> None:
        super().__init__()
        self.axes = nn.Linear(features, dimensions)
        self.spread = nn.Linear(dimensions, dimensions)

    def means(self, features: Tensor) -> Tensor:
        """(N, D): the posterior means of features (N, F)."""
        return self.axes(F.normalize(features.float(), dim=1))

    def forward(self, features: Tensor) -> Tensor:
        return self.of_means(self.means(features))

    def of_means(self, means: Tensor) -> Tensor:
        """(N, 2D): means (N, D), and the log-variances that belong to them."""
        return torch.cat([means, self.spread(means)], dim=1)

    @torch.no_grad()
    def turn(self, features: Tensor) -> None:
        """Turn the axes to the principal ones of features (N, F)."""
        rows = F.normalize(features.double(), dim=1)
        centre = rows.mean(dim=0)
        covariance = (rows - centre).T @ (rows - centre) / len(rows)
        values, vectors = torch.linalg.eigh(covariance)
        dimensions = self.axes.out_features
        axes = vectors.flip(1)[:, :dimensions].T  # (D, F), most variance first
        # the sign of an eigenvector is arbitrary: its largest entry is positive
        largest = axes.abs().argmax(dim=1, keepdim=True)
        axes = axes * axes.gather(1, largest).sign()
        scale = values.flip(0)[:dimensions].clamp_min(0).mean().sqrt().clamp_min(1e-12)
        self.axes.weight.copy_(axes / scale)
        self.axes.bias.copy_(-(axes @ centre) / scale)
        self.spread.weight.zero_()
        self.spread.bias.fill_(START)


class PretrainedVAE(VAE):
    """A ``VAE`` of which the decoder, the posterior's variances and the prior are trained, around latents that stand.

    The encoder runs in evaluation mode even where ``fine_tune`` lets its weights move: its normalisations were
    computed from more images than there are here. A frozen encoder goes through the images once, before training.
    """

    encoder: PretrainedEncoder
    posterior: PrincipalPosterior

    def __init__(self, config: VAEConfig) -> None:
        if config.backbone in MAPS:
            raise UsageError(
                f"a trained encoder makes vectors, and the backbone {config.backbone} maps",
                None,
                "leave out `backbone`, or take conv",
            )
        super().__init__(replace(config, encoder=None, fine_tune=False))
        self.config = config
        self.encoder = encoder_named(str(config.encoder))
        if config.latent_dim > self.encoder.features:
            raise UsageError(
                f"`latent_dim` is {config.latent_dim}", f"expected at most the {self.encoder.features} features of "
                f"{config.encoder}",
            )  # fmt: skip
        self.posterior = PrincipalPosterior(self.encoder.features, config.latent_dim)
        self.encoder.requires_grad_(config.fine_tune)
        self.posterior.axes.requires_grad_(config.fine_tune)
        self._known: tuple[Tensor, Tensor] | None = None

    def train(self, mode: bool = True) -> "PretrainedVAE":
        super().train(mode)
        self.encoder.eval()
        return self

    def posterior_of(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if self._known is None or images is not self._known[0]:
            return super().posterior_of(images)
        mean, log_variance = self.run(self._known[1], self.posterior.of_means).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCES)

    def loss(self, batch: Any, generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        """As a ``VAE``'s; a batch may be (images, posterior means), as ``prepare`` gives them."""
        if isinstance(batch, Tensor):
            return super().loss(batch, generator, progress)
        self._known = batch
        try:
            return super().loss(batch[0], generator, progress)
        finally:
            self._known = None

    @torch.no_grad()
    def prepare(self, images: DeviceImages, fresh: bool, progress: Progress) -> Tensor | None:
        """Turn the axes to the images, where training begins; the posterior means of all, where they will stand."""
        self.eval()
        count, frozen = len(images), not self.config.fine_tune
        sample = np.arange(0, count, -(-count // SAMPLE))
        features = None
        if fresh:
            features = self.encoder.of_all(images, sample, progress)
            self.posterior.turn(features)
        if not frozen:
            return None
        if features is not None and len(sample) == count:
            return self.posterior.means(features)
        return self.encoder.of_all(images, np.arange(count), progress, self.posterior.means)
