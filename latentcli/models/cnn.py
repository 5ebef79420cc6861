"""A convolutional classifier of pixels, trained on labels or soft labels."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcli.core.errors import UsageError
from latentcli.core.image_set import Shape
from latentcli.core.settings import setting
from latentcli.models.augmentation import AFFINE, distorted
from latentcli.models.backbones import BACKBONES, MAX_STAGES, NAMES, check_stages
from latentcli.models.base import LossTerms, ModelConfig, PixelClassifier
from latentcli.models.layers import NORMS, channels_last, fixed_bias, pooled
from latentcli.models.map_backbones import MAPS, ResidualBlock
from latentcli.models.mixup import mixup
from latentcli.models.pretrained import AROUND
from latentcli.numerics.shared_batches import drawn

OWN = "cnn"
"""The backbone that is no other model's."""

NARROWEST = 16
"""No stage has less than this fraction, a 16th, of the channels of the last one."""


@dataclass(frozen=True)
class CNNConfig(ModelConfig):
    """Architecture and augmentation of a convolutional classifier.

    Attributes:
        classes: how many it tells apart.
        backbone: "cnn", or the encoder of a model of latents, whose ``width``, ``stages`` and ``norm`` then count.
        width: channels of the last stage; each stage before it has half as many.
        stages: halvings of the image; None leaves about 4 pixels along its shorter side.
        norm: "batch", "layer" or "none"; of another backbone than "cnn".
        dropout: fraction of the pooled features that are dropped in training.
        augment: distort the images in training: rotation, scale, shear, shift, and ``flip``.
        flip: probability that ``augment`` mirrors an image, left to right; not for digits and letters.
        mixup: α of the Beta distribution by which images and labels are mixed in training (Zhang et al. 2018); 0: none.
        encoder: an encoder that was trained elsewhere, by its name in ``ENCODERS``, whose features are read instead:
            that of a model to begin with; None: a backbone.
        fine_tune: whether such an encoder's weights move, too; ``lr`` is 1e-4 by default then, else the usual one.
    """

    OF_DATA: ClassVar[tuple[str, ...]] = ("image_shape", "classes")

    classes: int = setting(between=(2, 100_000))
    backbone: str = setting(OWN, choices=(OWN, *NAMES))
    width: int = setting(96, between=(1, 8192))
    stages: int | None = setting(None, between=(1, MAX_STAGES), none=True)
    dropout: float = setting(0.2, between=(0.0, 0.95))
    augment: bool = setting(True)
    flip: float = setting(0.0, between=(0.0, 1.0))
    mixup: float = setting(0.0, between=(0.0, 100.0))
    norm: str = setting("batch", choices=NORMS)
    encoder: str | None = None
    fine_tune: bool = setting(False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stages(self.stages, self.image_shape)
        if self.encoder is None and self.fine_tune:
            raise UsageError(
                "there is no encoder to fine-tune that was trained elsewhere",
                "the weights of a network of ours are always trained",
                "leave out `fine_tune`, or begin with a model around such an encoder: `start`",
            )
        defaults = {each.name: each.default for each in fields(self)}
        for name in ("backbone", "width", "stages", "norm"):
            if self.encoder is not None and getattr(self, name) != defaults[name]:
                raise UsageError(
                    f"`{name}` is {getattr(self, name)}, and {self.encoder} is as it was trained",
                    "it is of a network of ours", f"leave out `{name}`",
                )  # fmt: skip

    @property
    def frozen(self) -> bool:
        """Whether the encoder stays as it was trained, and the linear layer alone learns."""
        return self.encoder is not None and not self.fine_tune

    @classmethod
    def suggested(cls, image_shape: Shape, classes: int | None, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Half of the images in colour are mirrored: they are more often photographs than writing.

        Before an encoder that stays as it is none are distorted: it would have to see them anew in each step.
        """
        frozen = settings.get("encoder") is not None and not settings.get("fine_tune")
        suggestions = {"classes": classes, "flip": 0.5 if image_shape[0] == 3 else 0.0}
        return suggestions | ({"augment": False} if frozen else {})

    @classmethod
    def encoder_of(cls, config: ModelConfig) -> dict[str, Any]:
        """The settings with which a classifier has the encoder of a model of latents with this configuration.

        Raises:
            UsageError: it is of a family whose encoder is not among the backbones.
        """
        if (encoder := getattr(config, "encoder", None)) is not None:
            return {"encoder": encoder}
        backbone = getattr(config, "backbone", None)
        if backbone not in NAMES:
            known = f"expected one of: {', '.join(NAMES)}; found {backbone}"
            remedy = "train such a model: latentcli train DATA --backbone conv"
            raise UsageError("a classifier cannot begin with the encoder of this model", known, remedy)
        stages = getattr(config, "halvings", None) if backbone in MAPS else None
        return {
            "backbone": backbone, "width": config.width, "norm": config.norm,  # type: ignore[attr-defined]
            "stages": stages or config.stages,  # type: ignore[attr-defined]
        }  # fmt: skip


class CNN(PixelClassifier):
    """Convolutions and residual blocks (He et al. 2016), the mean over positions, and a linear layer.

    Max pooling halves the maps: with few training images that is far more accurate than strides. Or, with another
    backbone, the encoder of a model of latents, the mean over its positions where there are any, and a linear layer.
    """

    Config = CNNConfig

    @classmethod
    def of(cls, config: CNNConfig) -> "CNN":
        """Another where the encoder was trained elsewhere."""
        if config.encoder is None:
            return cls(config)
        around: CNN = AROUND["cnn"](config)
        return around

    def __init__(self, config: CNNConfig) -> None:
        super().__init__()
        self.config = config
        if config.backbone != OWN:
            encoder = {**BACKBONES, **MAPS}[config.backbone][0]
            self.layers: nn.Module = encoder(config.image_shape, config.width, config.norm, config.stages)
            features = self.layers.map_shape[0] if hasattr(self.layers, "map_shape") else self.layers.features
            self.last = nn.Linear(int(features), config.classes)
            return
        stages = config.stages or max(2, round(math.log2(min(config.image_shape[1:]) / 4)))
        channels = [max(1, config.width >> min(stage, int(math.log2(NARROWEST)))) for stage in reversed(range(stages))]
        layers: list[nn.Module] = []
        for before, after in pairwise([config.image_shape[0], *channels]):
            weights = fixed_bias(nn.Conv2d(before, after, 3, padding=1))
            layers += [weights, nn.MaxPool2d(2), nn.BatchNorm2d(after), nn.ReLU()]
            if len(layers) > 4:  # in the first stage, where maps are largest, a block costs most and helps least
                layers.append(ResidualBlock(after, "batch", nn.ReLU))
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(channels[-1], config.classes)

    def pooled(self, images: Tensor) -> Tensor:
        """(N, F) float32: the mean of the last stage's features over all positions."""
        return pooled(self.run(images, channels_last, self.layers))

    @classmethod
    def weights_of(cls, encoder: nn.Module) -> dict[str, Tensor]:
        """A trained encoder's weights, by their names in a classifier that has its architecture (``encoder_of``)."""
        return {f"layers.{name}": tensor for name, tensor in encoder.state_dict().items()}

    def predict_proba(self, images: Tensor) -> Tensor:
        return self.last(self.pooled(images)).softmax(dim=1)

    def phase(self, progress: float) -> Hashable:
        return None if self.config.mixup else ()  # the host draws how much of each image is taken

    def loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator, progress: float = 1.0) -> LossTerms:
        """Cross-entropy with soft labels, nats per image; in training with augmentation, mixup and dropout."""
        images, targets = batch
        config = self.config
        if self.training and config.augment:
            images = distorted(images, replace(AFFINE, flip=config.flip), generator)
        if self.training and config.mixup:
            images, targets = mixup(images, targets, config.mixup, generator)
        pooled = self.pooled(images)
        if self.training and config.dropout:
            kept = drawn(
                lambda rows: pooled.new_empty(rows, pooled.shape[1]).bernoulli_(
                    1 - config.dropout, generator=generator
                ),
                len(pooled),
            )
            pooled = pooled * kept / (1 - config.dropout)
        logits = self.last(pooled)
        accuracy = (logits.argmax(dim=1) == targets.argmax(dim=1)).float().mean()
        return LossTerms(F.cross_entropy(logits, targets), {"accuracy": accuracy})
