"""Variational autoencoder (Kingma & Welling 2014) whose prior is a Gaussian mixture trained with it.

With one component the prior is N(0, I) and this is the plain VAE. With more, the latent space forms clusters without
any label: the mixture is trained end to end (Jiang et al. 2017), maximising the mutual information between its
components for an image and for a distorted copy of it (Ji et al. 2019). Latents of two distorted copies of an image can
also be made to agree more than those of two images (Chen et al. 2020): then they hold what an image shows, more than
how it looks. Further latents, the details, are for the decoder alone.
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from latentcli.core.errors import UsageError
from latentcli.core.image_set import Shape
from latentcli.core.settings import setting
from latentcli.models import IN_FEW_DIMENSIONS, backbones, losses
from latentcli.models.agreement import Projection, ViewsConfig, disagreement, with_views
from latentcli.models.augmentation import VIEWS
from latentcli.models.base import Encoding, LatentModel, LossTerms, Measuring
from latentcli.models.layers import NORMS, pooled, to_maps, to_rows
from latentcli.models.map_backbones import MAPS, grid_of, keep_scale
from latentcli.models.mixture_prior import LOG_VARIANCES, MixturePrior, mutual_information
from latentcli.models.pretrained import AROUND
from latentcli.numerics import metrics
from latentcli.numerics.shared_batches import drawn, noise_like

LOW_DIMENSIONS = 4
"""Latent dimensions up to which the decoder has to vary sharply to reach all images: a ``LowDimensionalVAE``."""

LOW_TRAINING = {"max_batch": 128, "pixel_budget": 480_000_000, "max_epochs": 210}
"""Defaults of its training: in smaller batches it learns as much in two thirds of the passes."""

MANY_DIMENSIONS = 1024
"""Latent dimensions beyond which the prior's covariance matrix is too large to be decomposed."""

MANY_VALUES = 1024
"""Values of an image, in all channels, beyond which it takes a deeper encoder, a convolutional decoder, and details."""

MANY_LATENTS, MANY_DETAILS = 256, 192
"""``latent_dim`` and ``details`` for such images."""

AGREEMENT = 0.15
"""Nats of loss for each nat of disagreement of two views, for each value of an image: where ``agreement`` is chosen."""

COLLAPSED = 0.05
"""Nats a latent dimension, of the mutual information of images and latents, below which posteriors have collapsed, to
the prior (Bowman et al. 2016) or to another distribution that is the same for all images: unless all dimensions
together have the ln 2 that it takes to tell two kinds of images apart."""

BLURRED = 0.25
"""Fraction of the images whose details are blurred in training, so that the decoder also works with fewer or none."""


@dataclass(frozen=True)
class VAEConfig(ViewsConfig):
    """Architecture and loss of a VAE; views are of the information, too.

    Attributes:
        backbone: encoder and decoder: "mlp", "conv", "conv-mlp", "resnet"; or "residual", "strided", whose latent
            space is a map.
        norm: "batch", "layer" or "none".
        width: features of the widest fully connected layer; convolutions begin with width/64 channels.
        stages: halvings of the image by convolutions; None chooses by its size.
        latent_dim: dimensions of the latent space; where it is a map, of each position.
        details: how many of these, the last, only the decoder reads: classifiers, the prior's mixture and the
            agreement of views leave them out.
        fourier: learned projections of the latents whose sines and cosines the decoder also gets; 0 for none.
        loss: reconstruction loss, its terms joined by +: bce, mse, ssim.
        ssim_weight: nats a pixel for a structural similarity of 0 instead of 1.
        beta: weight of the KL divergence from the prior (Higgins et al. 2017).
        beta_warmup: fraction of training over which that weight rises from zero.
        components: of the mixture that is the prior; 1 is N(0, I).
        information: weight of the mutual information, nats of loss for each nat; 0 omits it.
        encoder: an encoder that is already trained, by its name in ``ENCODERS``; None trains the backbone's own.
        fine_tune: whether such an encoder's weights move, too.
    """

    backbone: str = setting("conv-mlp", choices=backbones.NAMES)
    norm: str = setting("batch", choices=NORMS)
    width: int = setting(1024, between=(1, 8192))
    stages: int | None = setting(None, between=(1, backbones.MAX_STAGES), none=True)
    latent_dim: int = setting(32, between=(1, 4096))
    fourier: int = setting(0, between=(0, 8192))
    loss: str = "bce+ssim"
    ssim_weight: float = setting(0.3, between=(0.0, 1e6))
    beta: float = setting(0.2, between=(0.0, 1e6))
    beta_warmup: float = setting(0.0, between=(0.0, 1.0))
    components: int = setting(20, between=(1, 4096))
    information: float = setting(100.0, between=(0.0, 1e6))
    details: int = setting(0, between=(0, 4095))
    views: str = setting("digits", choices=("none", *VIEWS))
    encoder: str | None = None
    fine_tune: bool = setting(False)

    def __post_init__(self) -> None:
        super().__post_init__()
        backbones.check_stages(self.stages, self.image_shape)
        losses.parse(self.loss)
        if self.details and (self.backbone in MAPS or self.details >= self.latent_dim):
            vector, fewer = self.backbone not in MAPS, self.latent_dim // 2
            problem = f"`details` is {self.details}, and they are a part of the latent dimensions"
            found = f"`latent_dim` is {self.latent_dim}" if vector else f"the backbone {self.backbone} makes maps"
            remedy = f"take fewer, such as {fewer}" if vector and fewer else "leave it out"
            raise UsageError(problem, found, remedy)
        if self.fourier and self.backbone in MAPS:
            raise UsageError(
                "fourier features are of vectors", f"the backbone {self.backbone} makes maps", "leave out `fourier`"
            )
        if self.fine_tune and self.encoder is None:
            raise UsageError("there is no trained encoder to fine-tune", remedy="name one: `encoder`")

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the latent map; 1×1 where the latent space is a vector."""
        return grid_of(self.image_shape, self.stages) if self.backbone in MAPS else (1, 1)

    @property
    def dimensions(self) -> int:
        """Dimensions of the latent space, all positions of a map together."""
        return self.latent_dim * math.prod(self.grid)

    @property
    def read_dimensions(self) -> int:
        """Dimensions that are not details."""
        return self.dimensions - self.details

    def training_defaults(self) -> Mapping[str, Any]:
        return LOW_TRAINING if self.dimensions <= LOW_DIMENSIONS else super().training_defaults()

    @classmethod
    def suggested(cls, image_shape: Shape, classes: int | None, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Twice as many components as classes; a wide decoder for few dimensions; agreement but for digits.

        Images of many values get a deeper encoder, a convolutional decoder, and details.
        """
        values, views = math.prod(image_shape), settings.get("views", cls.views)
        suggestions: dict[str, Any] = {} if classes is None else {"components": 2 * classes}
        encoder = settings.get("encoder")  # it would have to look at the views anew in each step
        suggestions |= {"information": 0.0} if views == "none" or encoder is not None else {}
        if settings.get("backbone") in MAPS:
            return suggestions | {"latent_dim": 8}
        dimensions = settings.get("latent_dim", cls.latent_dim)
        if isinstance(dimensions, int) and dimensions <= LOW_DIMENSIONS:
            suggestions |= {"fourier": 256, "width": 1536, "norm": "layer"}
            return {"information": 30.0} | suggestions | {"loss": "mse+ssim", "ssim_weight": 0.8}
        if encoder is not None:
            return suggestions | ({"backbone": "conv"} if values > MANY_VALUES else {})
        suggestions |= {"agreement": AGREEMENT * values} if views in ("scans", "photos") else {}
        if values <= MANY_VALUES:
            return suggestions
        details = {} if "latent_dim" in settings else {"latent_dim": MANY_LATENTS, "details": MANY_DETAILS}
        return suggestions | {"backbone": "resnet"} | details


class VAE(LatentModel):
    """A diagonal Gaussian posterior q(z | x), a mixture prior p(z), and a decoder p(x | z)."""

    Config = VAEConfig
    MEASURES: ClassVar[tuple[str, ...]] = ("kl", "mutual_information", "active_units")
    FEATURES: ClassVar[tuple[str, ...]] = ("mean", "encoder", "pixels")

    @classmethod
    def of(cls, config: VAEConfig) -> "VAE":
        """A ``LowDimensionalVAE`` where the latent space has few dimensions; another around a trained encoder."""
        if config.encoder is not None:
            around: VAE = AROUND["vae"](config)
            return around
        network: VAE = (IN_FEW_DIMENSIONS["vae"] if config.dimensions <= LOW_DIMENSIONS else cls)(config)
        return network

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        encoder, decoder = {**backbones.BACKBONES, **MAPS}[config.backbone]
        layout = (config.image_shape, config.width, config.norm, config.stages)
        self.encoder, moments = encoder(*layout), 2 * config.latent_dim
        self.is_map = config.backbone in MAPS
        self.posterior: nn.Module
        if self.is_map:
            self.posterior = nn.Conv2d(self.encoder.map_shape[0], moments, 1)
        else:
            self.posterior = nn.Linear(self.encoder.features, moments - 2 * config.details)
        if config.details:
            self.details = nn.Linear(backbones.flat_features(self.encoder), 2 * config.details)
        if config.agreeing:
            self.projection = Projection(config.read_dimensions)
        self.mixture = MixturePrior(config.components, config.read_dimensions)
        self.mixture.requires_grad_(config.components > 1)
        self.expand = backbones.FourierFeatures(config.latent_dim, config.fourier) if config.fourier else nn.Identity()
        self.decoder = decoder(*layout, config.latent_dim + 2 * config.fourier)
        if self.is_map and config.norm != "batch":
            keep_scale(self)

    def posterior_of(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (N, D), the details last."""
        moments = self._moments_of(self.run(images, self.encoder))
        means, log_variances = zip(*(each.chunk(2, dim=1) for each in moments), strict=True)
        return torch.cat(means, dim=1), torch.cat(log_variances, dim=1).clamp(*LOG_VARIANCES)

    def _moments_of(self, found: Tensor) -> list[Tensor]:
        """Means and log-variances, (N, 2 · dimensions), of what is read and of the details, from encoder features."""
        if self.is_map:
            return [torch.cat([to_rows(half) for half in self.run(found, self.posterior).chunk(2, dim=1)], dim=1)]
        moments = [self.run(pooled(found), self.posterior)]
        return [*moments, self.run(found.flatten(1), self.details)] if self.config.details else moments

    def encode(self, images: Tensor) -> Encoding:
        mean, log_variance = self.posterior_of(images)
        read, arrays = self.config.read_dimensions, {"mu": mean, "logvar": log_variance}
        if self.config.details:
            arrays = {name: array[:, :read] for name, array in arrays.items()}
            arrays |= {"details": mean[:, read:], "details_logvar": log_variance[:, read:]}
        return Encoding(arrays=arrays, flat=mean)

    def flat_of(self, arrays: Mapping[str, Tensor]) -> Tensor:
        if "details" in arrays and "mu" in arrays:
            arrays = {"mu": torch.cat([arrays["mu"].flatten(1), arrays["details"].flatten(1)], dim=1)}
        elif "mu" in arrays:
            arrays = {"mu": self.valid(arrays["mu"].flatten(1))}
        return super().flat_of(arrays)

    def valid(self, latents: Tensor) -> Tensor:
        """(N, D): points (N, D) as they are; those without details, (N, ``read_dimensions``), with the mean ones, 0."""
        without = self.config.details if latents.shape[1] == self.config.read_dimensions else 0
        return nn.functional.pad(latents, (0, without)) if without else latents

    def decode(self, latents: Tensor) -> Tensor:
        return torch.sigmoid(self.logits_of(latents))

    def logits_of(self, latents: Tensor) -> Tensor:
        """Log-odds of the pixels, (N, C, H, W) float32."""
        if self.is_map:
            return self.run(to_maps(latents, self.config.grid), self.decoder)
        return self.run(latents, self.expand, self.decoder)

    def features(self, images: Tensor, name: str) -> Tensor:
        match name:
            case "mean":
                return self.encode(images).arrays["mu"]
            case "encoder":
                found = self.run(images, self.encoder)
                return to_rows(found) if self.is_map else pooled(found)
        return super().features(images, name)

    def feature_shape(self, name: str) -> Shape | None:
        channels = {"mean": self.config.latent_dim, "encoder": self.encoder.map_shape[0]} if self.is_map else {}
        return (*self.config.grid, channels[name]) if name in channels else super().feature_shape(name)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        drawn = self.mixture.draw(count, generator)
        if not self.config.details:
            return drawn
        return torch.cat(
            [drawn, torch.randn((count, self.config.details), generator=generator, device=drawn.device)], 1
        )

    @property
    def dimensions(self) -> int:
        return int(self.config.dimensions)

    @property
    def read_dimensions(self) -> int:
        return int(self.config.read_dimensions)

    def prior_plane(self) -> tuple[Tensor, Tensor]:
        if self.dimensions > MANY_DIMENSIONS:
            mean, directions = self.mixture.widest_plane()
            return self.valid(mean[None])[0], self.valid(directions)
        mean, covariance = self.mixture.moments()
        if len(mean) <= 2:
            axes = nn.functional.pad(covariance.diag().sqrt().diag(), (0, 0, 0, 2 - len(mean)))
            return self.valid(mean[None])[0], self.valid(axes)
        values, vectors = torch.linalg.eigh(covariance.double())
        directions = vectors.flip(1)[:, :2].T * values.flip(0)[:2, None].sqrt()
        return self.valid(mean[None])[0], self.valid(directions.to(mean.dtype))

    @torch.no_grad()
    def measures(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        measuring = self.measuring()
        measuring.add(arrays)
        return measuring.result()

    def collapse(self, metrics: Mapping[str, float]) -> str | None:
        nats = metrics.get("mutual_information", metrics.get("kl", math.inf))  # of which it is a part
        if not nats < min(COLLAPSED * self.dimensions, math.log(2)):
            return None
        return (
            f"the posterior has collapsed: latents hold {nats:.2g} nats of an image, which is next to nothing; a lower "
            "`beta` may help"
        )

    def measuring(self) -> Measuring:
        return _Measuring(self)

    def kl_of(self, arrays: Mapping[str, np.ndarray]) -> Tensor:
        """(N,) nats: the divergence of each image's posterior from the prior, given the arrays of ``encode``."""
        device = self.mixture.means.device
        mean, log_variance = (torch.from_numpy(arrays[name]).to(device) for name in ("mu", "logvar"))
        if "details" in arrays:
            more = (torch.from_numpy(arrays[name]).to(device) for name in ("details", "details_logvar"))
            mean, log_variance = (torch.cat(pair, dim=1) for pair in zip((mean, log_variance), more, strict=True))
        return self._kl(mean, log_variance)

    def _kl(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """(N,) nats: divergence of posteriors, each (N, D), from the mixture, and of their details from N(0, I)."""
        if not self.config.details:
            return self.mixture.kl(mean, log_variance)
        read = self.config.read_dimensions
        kl = self.mixture.kl(mean[:, :read], log_variance[:, :read])
        return kl + losses.kl_to_standard_normal(mean[:, read:], log_variance[:, read:])

    def loss(self, images: Tensor, generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        config, count = self.config, len(images)
        # of a small held-out set they are mostly noise: the validation loss omits both
        informed = self.training and config.components > 1 and config.information > 0 and config.views != "none"
        agreeing = self.training and config.agreeing
        images, batch = with_views(images, config, generator) if informed or agreeing else (images, images)
        all_means, all_log_variances = self.posterior_of(batch)
        mean, log_variance = all_means[:count], all_log_variances[:count]
        deviation = (0.5 * log_variance).exp()
        noise = noise_like(mean, generator)
        latents = mean + deviation * noise
        logits = self._logits_of_draws(self._blurred(latents, generator), deviation)
        nats = losses.reconstruction(config.loss, logits, images, config.ssim_weight).mean()
        terms = {"reconstruction": nats, "kl": self._kl(mean, log_variance).mean()}
        total = nats + self._warmed_up(progress) * config.beta * terms["kl"]
        pair, read = slice(len(batch) - 2 * count, None), config.read_dimensions  # the last two views
        if informed:
            first, second = self.mixture.log_responsibilities(all_means[pair, :read]).exp().chunk(2)
            terms["information"] = mutual_information(first, second)
            total = total - config.information * terms["information"]
        if agreeing:
            spread = (0.5 * all_log_variances[pair, :read]).exp()
            noise = noise_like(spread, generator)
            first, second = self.run(all_means[pair, :read] + spread * noise, self.projection).chunk(2)
            terms["disagreement"] = disagreement(first, second, config.temperature)
            total = total + config.agreement * terms["disagreement"]
        return LossTerms(total, terms)

    def phase(self, progress: float) -> Hashable:
        return self._warmed_up(progress)

    def _warmed_up(self, progress: float) -> float:
        """The part of β that counts by now."""
        return min(1.0, progress / self.config.beta_warmup) if self.config.beta_warmup else 1.0

    @property
    def validated(self) -> bool:
        """False where views agree: the encoder goes on learning long after the decoder has learned the images by heart.

        On 10,000 photographs the decoder's best weights are those of half the training; see ``loss`` for what the
        validation loss omits.
        """
        return not self.config.agreeing

    def _blurred(self, latents: Tensor, generator: torch.Generator) -> Tensor:
        """In training, latents (N, D) of which some have details drawn, by a random strength, towards the mean ones.

        So the decoder also works around the latents of images, and where details are unknown: there it shows what the
        other dimensions tell. Zheng et al. 2025 (representation autoencoders) train a decoder with noise of random
        strength for the same reason.
        """
        if not (self.training and self.config.details):
            return latents
        device = latents.device
        chosen, strength = drawn(
            lambda rows: torch.rand(2, rows, 1, generator=generator, device=device), len(latents), 1
        )
        strength = torch.where(chosen < BLURRED, strength, 0.0)
        read, details = latents.split([self.config.read_dimensions, self.config.details], dim=1)
        return torch.cat([read, (1 - strength) * details], dim=1)

    def _logits_of_draws(self, latents: Tensor, deviation: Tensor) -> Tensor:
        """``logits_of`` latents (N, D) that were drawn from posteriors with these standard deviations (N, D)."""
        return self.logits_of(latents)


class _Measuring:
    """The metrics of posteriors that go by, from sums over images and dimensions."""

    def __init__(self, model: VAE) -> None:
        self._model, self._spread = model, metrics.Spread()
        self._images, self._kl = 0, 0.0
        self._variances, self._log_variances = np.zeros((2, model.read_dimensions))

    @torch.no_grad()
    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._images += len(arrays["mu"])
        self._kl += float(self._model.kl_of(arrays).double().sum())
        self._spread.add(arrays["mu"])
        log_variances = arrays["logvar"].astype(np.float64)
        self._variances += np.exp(log_variances).sum(axis=0)
        self._log_variances += log_variances.sum(axis=0)

    def result(self) -> dict[str, Any]:
        """``kl``; ``mutual_information``, nats; and ``active_units``.

        The mutual information of image and latents is a part of the divergence, E KL(q(z | x) ‖ q(z)) (Hoffman &
        Johnson 2016). Told is what it is at most: that of Gaussians as wide, each dimension by itself.
        """
        spread, log_spread = self._variances / self._images, self._log_variances / self._images
        information = 0.5 * (np.log(spread + self._spread.variances) - log_spread).sum()
        return {
            "kl": self._kl / self._images, "mutual_information": float(information),
            "active_units": self._spread.active_units,
        }  # fmt: skip
