"""An autoencoder whose latent space is a map of codes: what all families with a quantiser have in common."""

import math
from abc import abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from latentcli.core.image_set import Shape
from latentcli.core.settings import setting
from latentcli.models import backbones, losses
from latentcli.models.agreement import Projection, ViewsConfig, disagreement, with_views
from latentcli.models.base import Encoding, LatentModel, LossTerms, Measuring
from latentcli.models.layers import NORMS, pooled, to_maps, to_rows
from latentcli.models.map_backbones import MAPS, grid_of, keep_scale, usual_stages
from latentcli.models.quantiser import Quantiser, perplexity
from latentcli.numerics import metrics


@dataclass(frozen=True)
class QuantisedConfig(ViewsConfig):
    """Architecture and loss around the quantiser; views agree in the encoder's features, averaged over all positions.

    Attributes:
        backbone: encoder and decoder: "mlp", "conv", "conv-mlp"; or "residual", "strided", which keep positions apart.
        norm: "batch", "layer" or "none".
        width: features of the widest fully connected layer; the last convolutions have width/32 channels or more.
        stages: halvings from the image to the map of codes; None: to about a quarter of the sides.
        loss: reconstruction loss, its terms joined by +: bce, mse, ssim.
        ssim_weight: nats a pixel for a structural similarity of 0 instead of 1.
    """

    TRAINING: ClassVar[Mapping[str, Any]] = {
        "max_batch": 64, "pixel_budget": 250_000_000, "min_epochs": 5, "max_epochs": 120, "min_steps": 2_000,
    }  # fmt: skip
    """In small batches they learn as much in a third to a half of the passes, which cost the same."""

    backbone: str = setting("residual", choices=tuple(name for name in backbones.NAMES if name != backbones.POOLED))
    norm: str = setting("batch", choices=NORMS)
    width: int = setting(1024, between=(1, 8192))
    stages: int | None = setting(None, between=(1, backbones.MAX_STAGES), none=True)
    loss: str = "bce+ssim"
    ssim_weight: float = setting(0.3, between=(0.0, 1e6))

    def __post_init__(self) -> None:
        super().__post_init__()
        backbones.check_stages(self.stages, self.image_shape)
        losses.parse(self.loss)

    @property
    def halvings(self) -> int:
        """Halvings from the image to the map of codes, which has at most about 7 positions a side without ``MAPS``."""
        few = 0 if self.backbone in MAPS else round(math.log2(min(self.image_shape[1:]) / 7))
        return self.stages or max(usual_stages(self.image_shape), few)

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the map of codes."""
        return grid_of(self.image_shape, self.halvings)


COLLAPSED = 1.5
"""The perplexity of codes below which nearly all positions of all images have the same; two in equal use have 2."""


class QuantisedAutoencoder(LatentModel):
    """Encoder, quantiser, decoder."""

    MEASURES: ClassVar[tuple[str, ...]] = ("perplexity", "codes_used", "bits_per_image", "compression")
    FEATURES: ClassVar[tuple[str, ...]] = ("quantized", "codes", "encoder", "pixels")
    config: QuantisedConfig

    def __init__(self, config: QuantisedConfig, quantiser: Quantiser) -> None:
        super().__init__()
        self.config, self.quantiser = config, quantiser
        layout = (config.image_shape, config.width, config.norm)
        map_shape = (quantiser.dimensions, *config.grid)
        if config.backbone in MAPS:
            encoder, decoder = MAPS[config.backbone]
            self.encoder: Any = encoder(*layout, config.halvings)
            self.to_vectors: nn.Module = nn.Conv2d(self.encoder.map_shape[0], quantiser.dimensions, 1)
            self.decoder: nn.Module = decoder(*layout, config.halvings, quantiser.dimensions)
            if config.norm != "batch":
                keep_scale(self)
        else:
            encoder, decoder = backbones.BACKBONES[config.backbone]
            self.encoder = encoder(*layout, config.stages)
            to_map = nn.Linear(self.encoder.features, self.dimensions)
            self.to_vectors = nn.Sequential(to_map, nn.Unflatten(1, map_shape))
            self.decoder = nn.Sequential(nn.Flatten(), decoder(*layout, config.stages, self.dimensions))
        if config.agreeing:
            features = self.encoder.map_shape[0] if config.backbone in MAPS else self.encoder.features
            self.projection = Projection(features)

    @abstractmethod
    def weights(self) -> Mapping[str, float]:
        """Weight of each of the quantiser's loss terms, which are means, for each value of an image."""

    def maps_of(self, images: Tensor) -> Tensor:
        """(N, D, h, w) float32: the input of the quantiser."""
        return self.run(images, self.encoder, self.to_vectors)

    def encode(self, images: Tensor) -> Encoding:
        codes = self.quantiser.codes_of(self.maps_of(images))
        vectors = self.quantiser.vectors_of(codes)
        return Encoding(arrays={"codes": codes, "quantized": vectors}, flat=vectors.flatten(1))

    def flat_of(self, arrays: Mapping[str, Tensor]) -> Tensor:
        if "codes" not in arrays:
            return super().flat_of(arrays)
        codes, grid, last = arrays["codes"], self.config.grid, self.quantiser.size - 1
        whole = not codes.is_floating_point() and tuple(codes.shape[1:]) == grid
        if not whole or not bool(((codes >= 0) & (codes <= last)).all()):
            raise self.unfit("codes", f"(N, {grid[0]}, {grid[1]}) whole numbers from 0 to {last}")
        return self.quantiser.vectors_of(codes.long()).flatten(1)

    def valid(self, latents: Tensor) -> Tensor:
        return self.quantiser.vectors_of(self.quantiser.nearest(to_maps(latents, self.config.grid))).flatten(1)

    def decode(self, latents: Tensor) -> Tensor:
        return torch.sigmoid(self.logits_of(to_maps(self.valid(latents), self.config.grid)))

    def logits_of(self, values: Tensor) -> Tensor:
        """Log-odds of the pixels, (N, C, H, W) float32, of quantised maps (N, D, h, w)."""
        return self.run(values, self.decoder)

    def features(self, images: Tensor, name: str) -> Tensor:
        match name:
            case "quantized":
                return self.encode(images).flat
            case "codes":
                return self.encode(images).arrays["codes"].flatten(1)
            case "encoder":
                return to_rows(self.maps_of(images))
        return super().features(images, name)

    def feature_shape(self, name: str) -> Shape | None:
        if name in ("quantized", "encoder"):
            return (*self.config.grid, self.quantiser.dimensions)
        if name == "codes":
            return (*self.config.grid, 1)
        return super().feature_shape(name)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Each position is drawn independently, its code as often as in training."""
        frequencies = self.quantiser.frequencies().to(generator.device)
        positions = count * math.prod(self.config.grid)
        codes = torch.multinomial(frequencies, positions, replacement=True, generator=generator)
        return self.quantiser.vectors_of(codes.unflatten(0, (count, *self.config.grid))).flatten(1)

    @property
    def dimensions(self) -> int:
        return math.prod(self.config.grid) * self.quantiser.dimensions

    def measures(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        measuring = self.measuring()
        measuring.add(arrays)
        return measuring.result()

    def collapse(self, metrics: Mapping[str, float]) -> str | None:
        spread = metrics.get("perplexity", math.inf)
        if not spread < COLLAPSED:
            return None
        return (
            f"the codebook has collapsed: most positions have one of {self.quantiser.size} codes (a perplexity of "
            f"{spread:.3g}), which tells next to nothing of an image; a lower `lr` or a larger `width` may help"
        )

    def measuring(self) -> Measuring:
        return _Measuring(self)

    def phase(self, progress: float) -> Hashable:
        return self.quantiser.phase(progress)

    @property
    def validated(self) -> bool:
        """False where views agree: of that the validation loss says nothing."""
        return not self.config.agreeing

    def loss(self, images: Tensor, generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        config, count = self.config, len(images)
        if not (self.training and config.agreeing):
            return self.loss_of(self.maps_of(images), images, generator, progress)
        images, batch = with_views(images, config, generator)
        found = self.run(batch, self.encoder)
        terms = self.loss_of(self.run(found[:count], self.to_vectors), images, generator, progress)
        first, second = self.run(pooled(found[-2 * count :]), self.projection).chunk(2)
        apart = disagreement(first, second, config.temperature)
        return LossTerms(terms.total + config.agreement * apart, {**terms.terms, "disagreement": apart})

    def loss_of(self, maps: Tensor, images: Tensor, generator: torch.Generator, progress: float) -> LossTerms:
        """The training loss of images (N, C, H, W), given their ``maps_of`` (N, D, h, w)."""
        config = self.config
        quantised = self.quantiser(maps, generator, progress)
        logits = self.logits_of(quantised.values)
        reconstruction = losses.reconstruction(config.loss, logits, images, config.ssim_weight).mean()
        total, pixels = reconstruction, math.prod(config.image_shape)
        for name, weight in self.weights().items():
            total = total + weight * pixels * quantised.terms[name]
        spread, used = perplexity(quantised.codes, self.quantiser.size)
        terms = {"reconstruction": reconstruction, **quantised.terms, "perplexity": spread, "codes_used": used}
        return LossTerms(total, terms)


class _Measuring:
    """The metrics of codes that go by, from how often each occurs."""

    def __init__(self, model: QuantisedAutoencoder) -> None:
        self._shape, self._grid, self._size = model.config.image_shape, model.config.grid, model.quantiser.size
        self._counts = np.zeros(self._size, np.int64)

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._counts += np.bincount(arrays["codes"].ravel(), minlength=self._size)

    def result(self) -> dict[str, Any]:
        bits = math.prod(self._grid) * math.log2(self._size)
        compression = 8 * math.prod(self._shape) / bits
        return {**metrics.codes_of_counts(self._counts), "bits_per_image": bits, "compression": compression}
