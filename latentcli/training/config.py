"""How a model is trained: the one place that holds the defaults."""

import math
from dataclasses import dataclass, field
from typing import Any

from latentcli.core.settings import check, setting

SCHEDULES = ("cosine", "constant")

MAY_CHANGE = ("lr", "patience", "save_every")
"""Settings that may change when a run is resumed: ``lr`` to recover from a loss that is not finite, the others because
they decide only how long to wait. A change of any other would make it another run."""

MAY_DIFFER = ("save_every",)
"""Those of them with which a run ends as it does without: they do not count where it has ended."""

START_LR = 1e-3
"""The default learning rate of a classifier that begins with a trained encoder, which a higher one would undo."""

FINE_TUNE_LR = 1e-4
"""The same where the encoder was trained elsewhere, on far more images, and is fine-tuned: see ``PretrainedCNN``."""

LABELLED_FRACTION = 0.5
"""The default fraction of an epoch's images that are labelled ones, where there are hybrids."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training loop; none of them concerns the model's architecture.

    Attributes:
        epochs: passes over the training images; None takes as many as ``pixel_budget`` asks for.
        pixel_budget: pixels, counted in each channel, that ``epochs=None`` goes through in all, so that a run takes
            about as long for few large images as for many small ones.
        min_epochs: passes that ``epochs=None`` takes at least.
        max_epochs: passes that ``epochs=None`` takes at most, unless ``min_steps`` asks for more.
        min_steps: optimiser steps that ``epochs=None`` takes at least.
        batch_size: images a step; None takes an eighth of the images, 16 to ``max_batch``.
        max_batch: images a step at most that ``batch_size=None`` takes.
        lr: the highest learning rate of Adam, reached after the warm-up.
        schedule: of the learning rate after the warm-up: "cosine" lowers it to zero, "constant" leaves it.
        warmup: fraction of all steps over which the learning rate rises from zero.
        weight_decay: decoupled weight decay (AdamW).
        held_out: fraction of the images kept for the validation loss, at most ``max_held_out`` images.
        max_held_out: images kept for the validation loss at most.
        patience: fraction of all epochs that may pass without a better validation loss before training stops early.
        save_every: seconds between two saves of the state that an interrupted run resumes from.
        seed: of all randomness: weights, order, noise.

    Raises:
        UsageError: a value is out of range.
    """

    epochs: int | None = setting(None, between=(1, 100_000), none=True)
    pixel_budget: int = setting(700_000_000, between=(1, 10**15))
    min_epochs: int = setting(10, between=(1, 100_000))
    max_epochs: int = setting(300, between=(1, 100_000))
    min_steps: int = setting(0, between=(0, 10**9))
    batch_size: int | None = setting(None, between=(2, 65_536), none=True)
    max_batch: int = setting(256, between=(2, 65_536))
    lr: float = setting(3e-3, between=(1e-9, 10.0))
    schedule: str = setting("cosine", choices=SCHEDULES)
    warmup: float = setting(0.1, between=(0.0, 0.9))
    weight_decay: float = setting(0.0, between=(0.0, 1.0))
    held_out: float = setting(0.05, between=(0.0, 0.5))
    max_held_out: int = setting(1_000, between=(0, 10**9))
    patience: float = setting(0.34, between=(0.0, 1.0))
    save_every: float = setting(30.0, between=(0.0, 1e9))
    seed: int = setting(0, between=(0, 2**63 - 1))

    def __post_init__(self) -> None:
        check(self)

    def batch_size_for(self, images: int) -> int:
        """Images a step, for this number of training images."""
        return self.batch_size or min(self.max_batch, max(16, images // 8))

    def epochs_for(self, images: int, values: int) -> int:
        """Passes over the training images, given their number and the values of each (channels × height × width)."""
        if self.epochs is not None:
            return self.epochs
        by_values = max(self.min_epochs, min(self.max_epochs, round(self.pixel_budget / (images * values))))
        return max(by_values, math.ceil(self.min_steps / self.steps_for(images)))

    def steps_for(self, images: int) -> int:
        """Optimiser steps of a pass over this number of training images, in batches of nearly equal size.

        No batch is a single image, from which batch normalisation can learn nothing: an odd number of images in
        batches of 2 has one batch of 3.
        """
        return min(math.ceil(images / self.batch_size_for(images)), max(1, images // 2))


def _of_training(name: str, default: Any) -> Any:
    """A field of ``TrainingConfig`` with another default and the same range."""
    return field(default=default, metadata=TrainingConfig.__dataclass_fields__[name].metadata)


@dataclass(frozen=True)
class ClassifierTrainingConfig(TrainingConfig):
    """The same settings with defaults that suit a classifier trained on few images, and one of its own.

    Attributes:
        finish: fraction of all steps, at the end, that are trained on labelled images alone, where there are hybrids.
    """

    pixel_budget: int = _of_training("pixel_budget", 150_000_000)
    min_steps: int = _of_training("min_steps", 1_500)
    max_batch: int = _of_training("max_batch", 64)
    weight_decay: float = _of_training("weight_decay", 0.05)
    finish: float = setting(0.0, between=(0.0, 1.0))
