"""Variational autoencoder (Kingma & Welling 2014) whose prior is a Gaussian mixture trained with it.

With one component the prior is N(0, I) and this is the plain VAE. With more, the latent space falls into clusters
without any label: the mixture is trained end to end (Jiang et al. 2017), and the mutual information between its
components and the images, under distortions that leave unchanged what an image shows, is maximised (Ji et al. 2019).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from latentcli.models import backbones, losses
from latentcli.models.augmentation import distort
from latentcli.models.base import Encoding, LatentModel, LossTerms, ModelConfig, check_loss, check_range
from latentcli.models.mixture_prior import MixturePrior, mutual_information


@dataclass(frozen=True)
class VAEConfig(ModelConfig):
    """Architecture and loss of a VAE.

    Attributes:
        backbone: "mlp" or "conv".
        width: features of the widest hidden layer (mlp), or channels of the first stage (conv).
        latent_dim: D, dimensions of the latent space.
        loss: reconstruction loss, its terms joined by +: bce, mse, ssim.
        beta: weight of the KL divergence from the prior (Higgins et al. 2017).
        beta_warmup: fraction of training over which that weight rises from zero.
        components: of the mixture that is the prior; 1 is N(0, I).
        information: weight of the mutual information, in nats of loss for each nat; 0 distorts no images.
    """

    backbone: str = "mlp"
    width: int = 1024
    latent_dim: int = 24
    loss: str = "bce+ssim"
    beta: float = 0.5
    beta_warmup: float = 0.1
    components: int = 20
    information: float = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        backbones.check_backbone(self.backbone)
        check_loss(self.loss)
        check_range("width", self.width, 1, 8192)
        check_range("latent_dim", self.latent_dim, 1, 4096)
        check_range("beta", self.beta, 0.0, 1e6, float)
        check_range("beta_warmup", self.beta_warmup, 0.0, 1.0, float)
        check_range("components", self.components, 1, 4096)
        check_range("information", self.information, 0.0, 1e6, float)

    @classmethod
    def suggested(cls, image_shape: tuple[int, int, int], classes: int | None) -> dict[str, Any]:
        """Twice as many components as the images have classes, where that number is known."""
        return {} if classes is None else {"components": 2 * classes}


class VAE(LatentModel):
    """A diagonal Gaussian posterior q(z | x), a mixture prior p(z), and a decoder p(x | z)."""

    Config = VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        encoder, decoder = backbones.BACKBONES[config.backbone]
        self.encoder = encoder(config.image_shape, config.width)
        self.posterior = nn.Linear(self.encoder.features, 2 * config.latent_dim)
        self.mixture = MixturePrior(config.components, config.latent_dim)
        self.mixture.requires_grad_(config.components > 1)
        self.decoder = decoder(config.image_shape, config.width, config.latent_dim)

    def posterior_of(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (N, D)."""
        mean, log_variance = self.posterior(self.encoder(images)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-14.0, 10.0)  # exp stays finite whatever the weights

    def encode(self, images: Tensor) -> Encoding:
        mean, log_variance = self.posterior_of(images)
        return Encoding(arrays={"mu": mean, "logvar": log_variance}, flat=mean)

    def decode(self, latents: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(latents).float())

    def prior_moments(self) -> tuple[Tensor, Tensor]:
        return self.mixture.moments()

    def loss(self, images: Tensor, generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        config = self.config
        informed = config.components > 1 and config.information > 0
        seen = torch.cat([images, distort(images, generator)]) if informed else images
        all_means, all_log_variances = self.posterior_of(seen)
        mean, log_variance = all_means[: len(images)], all_log_variances[: len(images)]
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        logits = self.decoder(mean + (0.5 * log_variance).exp() * noise).float()
        terms = {
            "reconstruction": losses.reconstruction(config.loss, logits, images).mean(),
            "kl": self.mixture.kl(mean, log_variance).mean(),
        }
        warmup = min(1.0, progress / config.beta_warmup) if config.beta_warmup else 1.0
        total = terms["reconstruction"] + warmup * config.beta * terms["kl"]
        if informed:
            first, second = self.mixture.log_responsibilities(all_means).exp().chunk(2)
            terms["information"] = mutual_information(first, second)
            total = total - config.information * terms["information"]
        return LossTerms(total, terms)
