"""Autoencoder with finite scalar quantisation (Mentzer, Minnen, Agustsson & Tschannen 2023)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Any

import torch
from torch import Tensor

from latentcli.core.errors import UsageError
from latentcli.core.image_set import Shape
from latentcli.core.settings import check_number, setting
from latentcli.models.quantised import QuantisedAutoencoder, QuantisedConfig
from latentcli.models.quantiser import Quantised, Quantiser, straight_through


class ScalarQuantiser(Quantiser):
    """Each dimension is squashed and rounded to one of its L levels from −1 to 1; nothing is learned.

    The code of a position is the number whose digits, lowest first, are the levels of its dimensions, each in the base
    of its own L.

    Args:
        levels: L ≥ 2 of each of the D dimensions; their product is the number of codes.

    Source: Mentzer et al. 2023, section 3.1 and appendix A.1 (``bound`` for an even number of levels).
    """

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels, self.dimensions, self.size = tuple(levels), len(levels), math.prod(levels)

    def bounded(self, maps: Tensor) -> Tensor:
        """Values in (−½, L − ½), which round to a level 0 … L − 1."""
        half = self._highest(maps.device)[:, None, None] / 2
        return half + (half + 0.499) * torch.tanh(maps)

    def forward(self, maps: Tensor, generator: torch.Generator, progress: float = 1.0) -> Quantised:
        bounded = self.bounded(maps)
        levels = bounded.round()
        values = self._scaled(straight_through(bounded, levels).movedim(1, -1)).movedim(-1, 1)
        return Quantised(values, self._codes(levels), {})

    def codes_of(self, maps: Tensor) -> Tensor:
        return self._codes(self.bounded(maps).round())

    def nearest(self, vectors: Tensor) -> Tensor:
        highest = self._highest(vectors.device)[:, None, None]
        levels = ((vectors + 1) / 2 * highest).round()
        return self._codes(levels.clamp_min(0).minimum(highest))

    def vectors_of(self, codes: Tensor) -> Tensor:
        levels = codes[..., None] // self._bases(codes.device) % on_device(self.levels, codes.device)
        return self._scaled(levels.float())

    def frequencies(self) -> Tensor:
        return torch.full((self.size,), 1 / self.size)

    def _bases(self, device: torch.device) -> Tensor:
        return on_device([*accumulate(self.levels[:-1], mul, initial=1)], device)

    def _highest(self, device: torch.device) -> Tensor:
        return on_device([level - 1.0 for level in self.levels], device)

    def _codes(self, levels: Tensor) -> Tensor:
        return (levels.long() * self._bases(levels.device)[:, None, None]).sum(dim=1)

    def _scaled(self, levels: Tensor) -> Tensor:
        """Levels (…, D) as values from −1 to 1."""
        return 2 * levels / self._highest(levels.device) - 1


def on_device(numbers: Sequence[float], device: torch.device) -> Tensor:
    """(D,) these numbers, without waiting for the device."""
    return torch.stack([torch.full((), number, device=device) for number in numbers])


@dataclass(frozen=True)
class FSQConfig(QuantisedConfig):
    """Architecture and loss of an autoencoder with finite scalar quantisation.

    Attributes:
        latent_dim: D, dimensions of a position; as many as there are levels, where these are several.
        levels: L of every dimension, or of each, such as 8,6,5; their product is the number of codes, at most 65,536.
    """

    latent_dim: int = setting(4, between=(1, 16))
    levels: int | tuple[int, ...] = setting(5, between=(2, 64), several=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.of_dimensions) != self.latent_dim:
            raise UsageError(
                f"there are {len(self.of_dimensions)} levels for {self.latent_dim} dimensions",
                "expected one for each, or one for all", "leave out `latent_dim`",
            )  # fmt: skip
        check_number("the number of codes, the product of all levels,", math.prod(self.of_dimensions), 2, 65_536)

    @property
    def of_dimensions(self) -> tuple[int, ...]:
        """(D,) the levels of each dimension."""
        return self.levels if isinstance(self.levels, tuple) else (self.levels,) * self.latent_dim

    @classmethod
    def suggested(cls, image_shape: Shape, classes: int | None, settings: Mapping[str, Any]) -> dict[str, Any]:
        """As many dimensions as there are levels, where these are several."""
        levels = settings.get("levels")
        return {"latent_dim": len(levels)} if isinstance(levels, list | tuple) else {}


class FSQAutoencoder(QuantisedAutoencoder):
    """Encoder, rounding, decoder."""

    Config = FSQConfig
    config: FSQConfig

    def __init__(self, config: FSQConfig) -> None:
        super().__init__(config, ScalarQuantiser(config.of_dimensions))

    def weights(self) -> Mapping[str, float]:
        """Rounding has no loss of its own."""
        return {}
