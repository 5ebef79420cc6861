"""Variational autoencoder (Kingma & Welling 2014) with a diagonal Gaussian posterior."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latentcli.models import backbones, losses
from latentcli.models.base import Encoding, LatentModel, LossTerms, ModelConfig, check_loss, check_range


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
    """

    backbone: str = "mlp"
    width: int = 1024
    latent_dim: int = 16
    loss: str = "bce+ssim"
    beta: float = 1.0
    beta_warmup: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        backbones.check_backbone(self.backbone)
        check_loss(self.loss)
        check_range("width", self.width, 1, 8192)
        check_range("latent_dim", self.latent_dim, 1, 4096)
        check_range("beta", self.beta, 0.0, 1e6, float)
        check_range("beta_warmup", self.beta_warmup, 0.0, 1.0, float)


class VAE(LatentModel):
    """A diagonal Gaussian posterior q(z | x), a prior over z, and a decoder p(x | z)."""

    Config = VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        encoder, decoder = backbones.BACKBONES[config.backbone]
        self.encoder = encoder(config.image_shape, config.width)
        self.posterior = nn.Linear(self.encoder.features, 2 * config.latent_dim)
        self.decoder = decoder(config.image_shape, config.width, config.latent_dim)

    def posterior_of(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (N, D)."""
        mean, log_variance = self.posterior(self.encoder(images)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-14.0, 10.0)  # exp stays finite, and gradients alive, whatever the weights

    def encode(self, images: Tensor) -> Encoding:
        mean, log_variance = self.posterior_of(images)
        return Encoding(arrays={"mu": mean, "logvar": log_variance}, flat=mean)

    def decode(self, latents: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(latents).float())

    def loss(self, images: Tensor, generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        mean, log_variance = self.posterior_of(images)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        logits = self.decoder(mean + (0.5 * log_variance).exp() * noise).float()
        reconstruction = losses.reconstruction(self.config.loss, logits, images).mean()
        kl = losses.kl_to_standard_normal(mean, log_variance).mean()
        warmup = min(1.0, progress / self.config.beta_warmup) if self.config.beta_warmup else 1.0
        return LossTerms(reconstruction + warmup * self.config.beta * kl, {"reconstruction": reconstruction, "kl": kl})
