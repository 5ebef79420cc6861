"""Vector-quantised autoencoder (van den Oord, Vinyals & Kavukcuoglu 2017)."""

from collections.abc import Mapping
from dataclasses import dataclass

from latentcli.core.errors import UsageError
from latentcli.models.base import check_range
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

    codes: int = 512
    latent_dim: int = 64
    beta: float = 0.25
    codebook: str = "ema"
    decay: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("codes", self.codes, 2, 65_536)
        check_range("latent_dim", self.latent_dim, 1, 4096)
        check_range("beta", self.beta, 0.0, 1e6, float)
        check_range("decay", self.decay, 0.0, 0.99999, float)
        if self.codebook not in LEARNING:
            raise UsageError(f"unknown codebook {self.codebook!r}", f"expected one of: {', '.join(LEARNING)}")


class VQVAE(QuantisedAutoencoder):
    """Encoder, codebook, decoder."""

    Config = VQVAEConfig
    config: VQVAEConfig

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__(config, Codebook(config.codes, config.latent_dim, config.codebook, config.decay))

    def weights(self) -> Mapping[str, float]:
        """The commitment loss by β, the codebook's own loss, where it has one, by 1 (equation 3)."""
        return {"commitment": self.config.beta} | ({"codebook": 1.0} if self.config.codebook == "gradient" else {})
