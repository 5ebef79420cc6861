"""Autoencoder with finite scalar quantisation (Mentzer, Minnen, Agustsson & Tschannen 2023)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from latentcli.core.settings import check_number, setting
from latentcli.models.quantised import QuantisedAutoencoder, QuantisedConfig
from latentcli.models.quantiser import Quantised, Quantiser, straight_through


class ScalarQuantiser(Quantiser):
    """Each dimension is squashed and rounded to one of L levels from −1 to 1; nothing is learned.

    The code of a position is the number whose digits in base L, lowest first, are the levels of its dimensions.

    Args:
        levels, dimensions: L ≥ 2 and D; there are L^D codes.

    Source: Mentzer et al. 2023, section 3.1 and appendix A.1 (``bound`` for an even number of levels).
    """

    def __init__(self, levels: int, dimensions: int) -> None:
        super().__init__()
        self.levels, self.dimensions, self.size = levels, dimensions, levels**dimensions

    def bounded(self, maps: Tensor) -> Tensor:
        """Values in (−½, L − ½), which round to a level 0 … L − 1."""
        half = (self.levels - 1) / 2
        return half + (half + 0.499) * torch.tanh(maps)

    def forward(self, maps: Tensor, generator: torch.Generator, progress: float = 1.0) -> Quantised:
        bounded = self.bounded(maps)
        levels = bounded.round()
        return Quantised(self._scaled(straight_through(bounded, levels)), self._codes(levels), {})

    def codes_of(self, maps: Tensor) -> Tensor:
        return self._codes(self.bounded(maps).round())

    def nearest(self, vectors: Tensor) -> Tensor:
        levels = ((vectors + 1) / 2 * (self.levels - 1)).round()
        return self._codes(levels.clamp(0, self.levels - 1))

    def vectors_of(self, codes: Tensor) -> Tensor:
        return self._scaled((codes[..., None] // self._bases(codes.device) % self.levels).float())

    def frequencies(self) -> Tensor:
        return torch.full((self.size,), 1 / self.size)

    def _bases(self, device: torch.device) -> Tensor:
        return self.levels ** torch.arange(self.dimensions, device=device)

    def _codes(self, levels: Tensor) -> Tensor:
        return (levels.long() * self._bases(levels.device)[:, None, None]).sum(dim=1)

    def _scaled(self, levels: Tensor) -> Tensor:
        return 2 * levels / (self.levels - 1) - 1


@dataclass(frozen=True)
class FSQConfig(QuantisedConfig):
    """Architecture and loss of an autoencoder with finite scalar quantisation.

    Attributes:
        latent_dim: D, dimensions of a position.
        levels: L of each dimension; there are L^D codes.
    """

    latent_dim: int = setting(4, between=(1, 16))
    levels: int = setting(5, between=(2, 64))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("levels^latent_dim", self.levels**self.latent_dim, 2, 65_536)


class FSQAutoencoder(QuantisedAutoencoder):
    """Encoder, rounding, decoder."""

    Config = FSQConfig
    config: FSQConfig

    def __init__(self, config: FSQConfig) -> None:
        super().__init__(config, ScalarQuantiser(config.levels, config.latent_dim))

    def weights(self) -> Mapping[str, float]:
        """Rounding has no loss of its own."""
        return {}
