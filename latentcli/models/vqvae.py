"""Vector-quantised autoencoder (van den Oord, Vinyals & Kavukcuoglu 2017)."""

from collections.abc import Mapping
from dataclasses import dataclass

from latentcli.core.settings import setting
from latentcli.models.codebook import LEARNING, Codebook
from latentcli.models.quantised import QuantisedAutoencoder, QuantisedConfig


@dataclass(frozen=True)
class VQVAEConfig(QuantisedConfig):
    """Architecture and loss of a VQ-VAE.

    Attributes:
        codes: K, vectors of the codebook.
        latent_dim: D, dimensions of each.
        beta: weight of the commitment loss.
        codebook: "ema" or "gradient", how the vectors are learned.
        decay: of the moving averages of the codebook, per step.
    """

    codes: int = setting(512, between=(2, 65_536))
    latent_dim: int = setting(64, between=(1, 4096))
    beta: float = setting(0.25, between=(0.0, 1e6))
    codebook: str = setting("ema", choices=LEARNING)
    decay: float = setting(0.99, between=(0.0, 0.99999))


class VQVAE(QuantisedAutoencoder):
    """Encoder, codebook, decoder."""

    Config = VQVAEConfig
    config: VQVAEConfig

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__(config, Codebook(config.codes, config.latent_dim, config.codebook, config.decay))

    def weights(self) -> Mapping[str, float]:
        """β for the commitment loss, 1 for the codebook's own loss, if it has one (equation 3)."""
        return {"commitment": self.config.beta} | ({"codebook": 1.0} if self.config.codebook == "gradient" else {})
