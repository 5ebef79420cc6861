"""A prior of latent points: a flow that carries noise to the latents of images, of a VAE or another model of points."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.core.errors import ModelFileError
from latentcli.core.latents import Latents
from latentcli.core.settings import setting
from latentcli.models.base import LossTerms, ModelConfig
from latentcli.models.prior import Embeddings, Prior, check_own
from latentcli.numerics.shared_batches import drawn, noise_like

if TYPE_CHECKING:
    from latentcli.models.trained import TrainedModel

FREQUENCIES = 32
"""Of the sines and cosines that stand for a time."""

STEPS = 25
"""From noise to latents, each of which asks the network twice."""


@dataclass(frozen=True)
class FlowPriorConfig(ModelConfig):
    """Architecture of a flow.

    Attributes:
        dimensions: of the latents.
        classes: that it can be asked for; 0 where it knows none.
        width: numbers of each layer.
        layers: each added to what it reads.
        drop_class: fraction of the images whose class is hidden in training, so that it learns all of them, too.
    """

    OF_DATA: ClassVar[tuple[str, ...]] = ("image_shape", "dimensions", "classes")
    TRAINING: ClassVar[Mapping[str, Any]] = {
        "pixel_budget": 40_000_000, "min_epochs": 20, "max_epochs": 100, "min_steps": 1_500, "max_batch": 256,
        "lr": 1e-3, "weight_decay": 0.01, "held_out": 0.1,
    }  # fmt: skip
    """What ``pixel_budget`` counts are numbers of latents here."""

    dimensions: int = setting(between=(1, 2**20))
    classes: int = setting(between=(0, 100_000))
    width: int = setting(256, between=(2, 4096))
    layers: int = setting(4, between=(1, 64))
    drop_class: float = setting(0.1, between=(0.0, 1.0))


class FlowPrior(Prior):
    """p(latents | class): the velocity v(x, t) at which noise x at time 0 flows to latents at time 1.

    It learns, of the straight line from a point of noise to a latent, the velocity anywhere on it; its mean over all
    lines through a point carries N(0, I) to the distribution of latents. Latents are standardised.

    Source: Lipman et al. 2023, equations 22 and 23, with σ_min = 0; Liu et al. 2023.
    """

    KIND: ClassVar[str] = "a prior of latents"
    ASKED: ClassVar[tuple[str, ...]] = ("classes", "temperature", "guidance")
    LATENTS: ClassVar[str] = "mu"
    Config = FlowPriorConfig
    config: FlowPriorConfig
    mean: Tensor
    scale: Tensor

    def __init__(self, config: FlowPriorConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.embeddings = Embeddings({"classes": config.classes, "no_class": 1}, width)
        self.from_point = nn.Linear(config.dimensions, width)
        self.from_time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(_Layer(width) for _ in range(config.layers))
        self.before_velocity = nn.LayerNorm(width)
        self.to_velocity = nn.Linear(width, config.dimensions)
        self.to_velocity.gain = 0.0  # type: ignore[assignment]  # it begins at rest
        self.register_buffer("mean", torch.zeros(config.dimensions))
        self.register_buffer("scale", torch.ones(config.dimensions))

    @classmethod
    def examples(cls, latents: Latents, model: "TrainedModel") -> np.ndarray:
        check_own(latents, model)
        found, expected = latents.points if latents.is_flat else None, model.latent_network.dimensions
        if found is None or found.dtype.kind != "f" or found.shape[1] != expected or not np.isfinite(found).all():
            raise model.latent_network.unfit("points", f"(N, {expected}) finite numbers")
        return np.ascontiguousarray(found, dtype=np.float32)

    @classmethod
    def sizes(cls, model: "TrainedModel") -> dict[str, Any]:
        return {"dimensions": model.latent_network.dimensions}

    @classmethod
    def begun(cls, rows: np.ndarray, config: FlowPriorConfig, model: "TrainedModel") -> dict[str, Tensor]:
        mean, scale = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        scale = np.maximum(scale, 1e-6 * max(float(scale.max()), 1e-30))  # of a dimension that never changes
        return {"mean": torch.from_numpy(mean).float(), "scale": torch.from_numpy(scale).float()}

    @property
    def noise_size(self) -> int:
        return self.config.dimensions

    @property
    def values_at_once(self) -> int:
        return 2 * (4 * self.config.width + 2 * self.config.dimensions)

    def loss(
        self, batch: Tensor | tuple[Tensor, Tensor], generator: torch.Generator, progress: float = 1.0
    ) -> LossTerms:
        """Mean square of the velocity's error, over dimensions and the batch, of standardised latents.

        Args:
            batch: latents (N, D); or these, and (N, K) probabilities of classes, 0 where unknown.
            generator, progress: as of every model.
        """
        latents, classes = batch if isinstance(batch, tuple) else (batch, None)
        ends = (latents - self.mean) / self.scale
        starts = noise_like(ends, generator)
        times = drawn(lambda rows: ends.new_empty(rows, 1).uniform_(generator=generator), len(ends))
        condition = self.condition(len(ends), self.hidden(classes, generator))
        found = self.run(starts + times * (ends - starts), lambda points: self._velocity(points, times, condition))
        return LossTerms((found - (ends - starts)).square().mean(), {})

    def velocity(self, points: Tensor, time: float, condition: Tensor) -> Tensor:
        """(N, D): of standardised points (N, D) at one time, given the class as ``condition`` gives it."""
        times = points.new_full((len(points), 1), time)
        return self.run(points, lambda points: self._velocity(points, times, condition))

    def _velocity(self, points: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        frequencies = torch.logspace(0, math.log10(1000), FREQUENCIES, device=points.device)
        angles = times * frequencies
        known = F.silu(self.from_time(torch.cat([angles.sin(), angles.cos()], dim=1)) + condition)
        found = self.from_point(points)
        for layer in self.layers:
            found = layer(found, known)
        velocity: Tensor = self.to_velocity(self.before_velocity(found))
        return velocity

    def sample(
        self, noise: Tensor, classes: Tensor | None = None, *, temperature: float = 1.0, guidance: float = 1.0,
        steps: int = STEPS, **how: Any,
    ) -> Tensor:  # fmt: skip
        """(N, D) float32: latents.

        Args:
            noise: (N, D) uniform in [0, 1): all randomness; the same noise gives the same latents.
            classes: (N, K) probabilities to draw from; None: from all classes.
            temperature: the deviation of the noise that the flow begins with.
            guidance: w: velocities are those without a class, and w times what the class adds to them (Ho & Salimans
                2022, equation 6, with w counted from 0).
            steps: of Heun's method, from noise to latents.
            how: nothing else.

        Raises:
            ModelFileError: a latent is not finite.
        """
        count = len(noise)
        without, with_class = self.condition(count, None), self.condition(count, classes)
        both = classes is not None and guidance not in (0.0, 1.0)
        condition = torch.cat([without, with_class]) if both else without if guidance == 0 else with_class

        def velocity(points: Tensor, time: float) -> Tensor:
            if not both:
                return self.velocity(points, time, condition)
            nothing, something = self.velocity(points.repeat(2, 1), time, condition).chunk(2)
            return nothing + guidance * (something - nothing)

        points = temperature * torch.special.ndtri(noise.clamp(2**-25, 1 - 2**-24))
        for step in range(steps):
            points = _heun(velocity, points, step / steps, 1 / steps)
        found = points * self.scale + self.mean
        if not found.isfinite().all():
            raise ModelFileError("the prior gives no numbers", "its weights are too large", "fit it again")
        return found

    def log_likelihood(
        self, latents: Tensor, classes: Tensor | None = None, generator: torch.Generator | None = None,
        steps: int = 2 * STEPS,
    ) -> Tensor:  # fmt: skip
        """(N,) nats: the log-density of latents (N, D), an estimate without bias of what the steps make of it.

        Args:
            latents: (N, D).
            classes: (N, K) probabilities, a row of which may sum to less than 1; None: no classes.
            generator: of the directions in which divergences are measured, one an image; None: seeded with 0.
            steps: from latents back to noise.

        Source: Chen et al. 2018, equation 8; Grathwohl et al. 2019, equation 7.
        """
        generator = generator or torch.Generator(latents.device).manual_seed(0)
        condition = self.condition(len(latents), classes)
        points = (latents - self.mean) / self.scale
        signs = 2.0 * torch.randint(2, points.shape, generator=generator, device=points.device) - 1
        gained = points.new_zeros(len(points))
        for step in range(steps, 0, -1):
            middle, length = (step - 0.5) / steps, 1 / steps
            half = points - 0.5 * length * self.velocity(points, step / steps, condition)
            with torch.enable_grad():
                velocity = self.velocity(half.requires_grad_(), middle, condition)
                (along,) = torch.autograd.grad(velocity, half, signs)
            velocity = velocity.detach()
            gained = gained + length * (signs * along).sum(dim=1)
            points = points - length * velocity
        of_noise = -0.5 * (points.square().sum(dim=1) + points.shape[1] * math.log(2 * math.pi))
        found: Tensor = of_noise - gained - self.scale.log().sum()
        return found


class _Layer(nn.Module):
    """Two linear layers, added to what they read; time and class are added before them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.from_known = nn.LayerNorm(width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, found: Tensor, known: Tensor) -> Tensor:
        added: Tensor = self.layers(self.norm(found) + self.from_known(known))
        return found + added


def _heun(velocity: Callable[[Tensor, float], Tensor], points: Tensor, time: float, length: float) -> Tensor:
    """Points a step of this length later: along the mean of the velocities here and where the first one leads."""
    first = velocity(points, time)
    return points + 0.5 * length * (first + velocity(points + length * first, time + length))
