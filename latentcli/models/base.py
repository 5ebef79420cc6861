"""The interfaces of latent-variable models and of classifiers of pixels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import LARGEST, SMALLEST, Shape
from latentcli.core.latents import ARRAYS_OF_FEATURES
from latentcli.core.progress import Progress
from latentcli.core.settings import check, check_known
from latentcli.models.layers import to_rows
from latentcli.numerics.batches import DeviceImages
from latentcli.numerics.precision import reduced_precision


@dataclass(frozen=True)
class LossTerms:
    """The loss of a batch, nats per image, and named scalars that make it up or describe it: means over the batch."""

    total: Tensor
    terms: Mapping[str, Tensor]


@dataclass(frozen=True)
class Encoding:
    """The latents of a batch: arrays of N rows by their names in ``latents.npz``, and (N, D) for ``decode``."""

    arrays: Mapping[str, Tensor]
    flat: Tensor


@dataclass(frozen=True)
class ModelConfig:
    """The configuration of a family, which adds its own fields: all that a checkpoint needs to rebuild a network.

    Attributes:
        image_shape: channels (1 or 3), height and width (8 to 256 pixels) of the images.
    """

    OF_DATA: ClassVar[tuple[str, ...]] = ("image_shape",)
    """Fields that are decided by the data, not by settings."""

    TRAINING: ClassVar[Mapping[str, Any]] = {}
    """Defaults of its training that are other than those of all families, by name; see ``training_defaults``."""

    image_shape: Shape

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), list):  # as files have them
                object.__setattr__(self, field.name, tuple(value))
        shape = self.image_shape
        if len(shape) != 3 or not all(isinstance(size, int) for size in shape):
            raise UsageError(f"image shape {shape} is not one of (channels, height, width)")
        if shape[0] not in (1, 3) or not all(SMALLEST <= size <= LARGEST for size in shape[1:]):
            raise UsageError(
                f"images of {shape[0]} channel(s) and {shape[1]}×{shape[2]} pixels cannot be modelled",
                f"expected 1 or 3 channels and {SMALLEST} to {LARGEST} pixels a side",
                "resize them, with an `image_size` such as 64",
            )
        check(self)

    def training_defaults(self) -> Mapping[str, Any]:
        """``TRAINING``, or what suits this configuration better."""
        return self.TRAINING

    @classmethod
    def for_data(
        cls, image_shape: Shape, classes: int | None, facts: Mapping[str, Any] | None = None, **settings: Any
    ) -> Self:
        """The configuration for these images: the defaults, replaced by what the data suggests, then by ``settings``.

        Args:
            image_shape: channels, height and width.
            classes: how many classes the images are known to have; None when that is unknown.
            facts: about the data, for other fields of ``OF_DATA``.
            settings: fields by name.

        Raises:
            UsageError: a field is unknown or a value out of range.
        """
        check_known(settings, cls.settable())
        suggested = cls.suggested(image_shape, classes, settings)
        return cls(image_shape=image_shape, **(suggested | settings | dict(facts or {})))

    @classmethod
    def settable(cls) -> set[str]:
        """Names of the fields that settings may give."""
        return {field.name for field in fields(cls)} - set(cls.OF_DATA)

    @classmethod
    def suggested(cls, image_shape: Shape, classes: int | None, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings that suit the data better than the defaults; arguments as for ``for_data``."""
        return {}


class Model(nn.Module, ABC):
    """A network that the training loop can train."""

    KIND: ClassVar[str]
    """What messages call such a network."""

    Config: ClassVar[type[ModelConfig]]
    config: Any

    @classmethod
    def of(cls, config: Any) -> Self:
        """The network of a configuration; a family may choose one of its subclasses."""
        return cls(config)

    def of_older(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors of a checkpoint, by name, as this network has them, where older versions had others."""
        return weights

    def run(self, batch: Tensor, *networks: Callable[[Tensor], Tensor]) -> Tensor:
        """float32: a batch through one network after another, in training with ``precision.reduced_precision``.

        Losses and densities are sums over many terms and are always computed in float32.
        """
        exporting = torch.compiler.is_exporting()  # no context of ours belongs into a graph that others run
        with nullcontext() if exporting else reduced_precision(batch.device.type, self.training):
            for network in networks:
                batch = network(batch)
        return batch.float()

    def prepare(self, images: DeviceImages, fresh: bool, progress: Progress) -> Tensor | None:
        """Called once before training, on its images: what the loss needs of each of these besides its pixels
        and its targets.

        Args:
            images: of the training, those held out among them.
            fresh: whether training begins, so that weights may be set by the images; False where it is resumed, or
                begins with the weights of a model.
            progress: told about the images.

        Returns:
            None, as here, where the loss takes images alone; else (N, …), of which the loss gets the rows of a batch
            behind its images, and behind their targets where there are any.
        """
        return None

    @property
    def validated(self) -> bool:
        """Whether the validation loss tells when training has learned enough, and which epoch's weights are best."""
        return True

    def step_taken(self, good: Tensor) -> None:
        """Called behind the optimiser's step on the last loss: keeps what later losses need of its batch.

        It changes nothing where ``good``, a bool () on the model's device, is False: the step was refused.
        """

    def collapse(self, metrics: Mapping[str, float]) -> str | None:
        """In words, with the figure that tells it, that training came to nothing: that all images have about the same
        latents, or that a prior predicts them no better than chance does; None, as here, if not.

        Args:
            metrics: of an epoch of the training, or of ``measures``; what they lack tells nothing.
        """
        return None

    def phase(self, progress: float) -> Hashable:
        """What the loss makes of ``progress``, where it asks the host for nothing; else None, as here.

        In training, as long as this and the batch's shape stay the same, losses do the same with other numbers, and
        CUDA may replay a recorded step.
        """
        return None

    def training_state(self) -> Mapping[str, Tensor]:
        """What resuming a training needs besides the ``state_dict``; checkpoints do not keep it."""
        return {}

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore a ``training_state``, from any device; an empty one at the end of training."""

    @abstractmethod
    def loss(self, batch: Any, generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        """The training loss of a batch.

        Args:
            batch: (N, C, H, W) float images in [0, 1]; for a ``PixelClassifier`` these, and (N, K) float soft labels
                whose rows sum to 1; for a prior latents instead of images.
            generator: of all randomness, on the batch's device.
            progress: the fraction of training that is done, in [0, 1], for schedules of the loss's own weights.
        """


class Measuring(Protocol):
    """Metrics of latents that come in blocks."""

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take in the next rows of the arrays of ``encode``."""

    def result(self) -> dict[str, Any]:
        """The metrics of all of them, as ``LatentModel.measures``."""


class Collecting:
    """``Measuring`` for a family that measures all latents at once."""

    def __init__(self, model: "LatentModel") -> None:
        self._model = model
        self._blocks: list[Mapping[str, np.ndarray]] = []

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._blocks.append(arrays)

    def result(self) -> dict[str, Any]:
        names = self._blocks[0]
        return self._model.measures({name: np.concatenate([block[name] for block in self._blocks]) for name in names})


class LatentModel(Model):
    """Images (N, C, H, W) float in [0, 1] to latents and back, deterministically; only ``loss`` and ``draw`` sample."""

    KIND: ClassVar[str] = "a model of latents"
    MEASURES: ClassVar[tuple[str, ...]]
    """Names of the metrics of ``measures``."""
    FEATURES: ClassVar[tuple[str, ...]]
    """Names that ``features`` knows, the first being ``Encoding.flat``."""

    @abstractmethod
    def encode(self, images: Tensor) -> Encoding:
        """The latents of images."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Images of latent points (N, D), as in ``Encoding.flat``; each point is first replaced by a ``valid`` one."""

    def valid(self, latents: Tensor) -> Tensor:
        """(N, D): for each of any points (N, D) the nearest that an image can have; here that is any point."""
        return latents

    def inverse(self) -> Callable[[Tensor], Tensor]:
        """A function from images to the latents (N, D) that reconstruct them: here the encoder's."""
        return lambda images: self.encode(images).flat

    def flat_of(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """(N, D), as ``Encoding.flat``, from arrays as in ``Encoding.arrays``; a ``DataError`` if they do not fit."""
        name = ARRAYS_OF_FEATURES[self.FEATURES[0]]
        if name not in arrays or arrays[name].flatten(1).shape[1] != self.dimensions:
            raise self.unfit(name, f"(N, {self.dimensions}) numbers")
        return arrays[name].flatten(1).float()

    def unfit(self, name: str, expected: str) -> DataError:
        """The error for arrays that are not of this model's latents."""
        return DataError(
            "these are not latents of this model", f"expected {name}: {expected}",
            "encode the images with this checkpoint: latentcli encode DATA MODEL.pth",
        )  # fmt: skip

    def features(self, images: Tensor, name: str) -> Tensor:
        """(N, F): one of ``FEATURES``, for a probe; of maps position by position, the channels of each together."""
        if name == "pixels":
            return to_rows(images)
        raise UsageError(f"this model has no features {name!r}", f"expected one of: {', '.join(self.FEATURES)}")

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, D): points from the prior over ``Encoding.flat``; the generator is on the model's device."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """D, of ``Encoding.flat``."""

    @property
    def read_dimensions(self) -> int:
        """How many of them, the first, classifiers read; here all."""
        return self.dimensions

    def feature_shape(self, name: str) -> Shape | None:
        """Height, width and channels of the features of this name, where their rows are maps; else None."""
        channels, height, width = self.config.image_shape
        return (height, width, channels) if name == "pixels" else None

    def prior_plane(self) -> tuple[Tensor, Tensor] | None:
        """Mean (D,) of the prior over ``Encoding.flat``, and its two directions (2, D) of most variance.

        Each direction has the length of one standard deviation. With two latent dimensions they are the axes; with
        one, the second is zero. None, as here, where the prior does not spread over a plane.
        """
        return None

    @abstractmethod
    def measures(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Metrics of the latents of a set of images, given as the arrays of ``encode``, all batches together."""

    def measuring(self) -> "Measuring":
        """``measures`` of latents that go by; here they are kept, which a family with sums of its own need not do."""
        return Collecting(self)


class PixelClassifier(Model):
    """Images (N, C, H, W) float in [0, 1] to the probabilities of classes, without a latent space."""

    KIND: ClassVar[str] = "a classifier of pixels"

    @abstractmethod
    def pooled(self, images: Tensor) -> Tensor:
        """(N, F) float32: the features of images that the last layer reads."""

    @abstractmethod
    def predict_proba(self, images: Tensor) -> Tensor:
        """(N, K) probabilities of the classes, each row summing to 1."""
