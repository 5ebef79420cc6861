"""How a model is trained: the one place that holds the defaults."""

import math
from dataclasses import dataclass

from latentcli.core.errors import UsageError

SCHEDULES = ("cosine", "constant")

MAY_CHANGE = ("lr", "patience", "save_every")
"""Settings that a run may be resumed with other values of: those to go on with after a loss that was not finite, and
those that decide only how long to wait. With any other it would be another run."""

LABELLED_FRACTION = 0.5
"""Of the images of an epoch those that are labelled ones, beside hybrids, where nothing is said of it."""


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Refuse a setting that is out of range, or no whole number where its limits are.

    Raises:
        UsageError: it is.
    """
    kind, whole = (int, "a whole number") if isinstance(low, int) else (int | float, "a number")
    if not isinstance(value, kind) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(f"{name} is {value!r}", f"expected {whole} from {low:g} to {high:g}")


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training loop; none of them concerns the model's architecture.

    Attributes:
        epochs: passes over the training images; None takes as many as ``values_seen`` asks for.
        values_seen: what ``epochs=None`` aims at: values of pixels seen in all, so that a run takes about as long
            for few large images as for many small ones.
        least_epochs, most_epochs: the fewest and the most passes that ``epochs=None`` takes.
        least_steps: the fewest optimiser steps that ``epochs=None`` takes, in more than ``most_epochs`` if need be.
        batch_size: images a step; None takes 256, or an eighth of the images where these are few.
        lr: the highest learning rate of Adam, reached after the warm-up.
        schedule: what becomes of it then: "cosine" lowers it to zero, "constant" leaves it.
        warmup: fraction of all steps over which the learning rate rises from zero.
        weight_decay: decoupled weight decay (AdamW).
        held_out: fraction of the images kept for the validation loss, at most ``most_held_out``.
        most_held_out: images.
        patience: fraction of all epochs that may pass without a better validation loss before training stops early.
        save_every: seconds between two saves of the state that an interrupted run goes on from.
        seed: of all randomness: weights, order, noise.
    """

    epochs: int | None = None
    values_seen: int = 700_000_000
    least_epochs: int = 10
    most_epochs: int = 300
    least_steps: int = 0
    batch_size: int | None = None
    lr: float = 3e-3
    schedule: str = "cosine"
    warmup: float = 0.1
    weight_decay: float = 0.0
    held_out: float = 0.05
    most_held_out: int = 1_000
    patience: float = 0.34
    save_every: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "epochs": (1, 100_000), "values_seen": (1, 10**15), "least_epochs": (1, 100_000),
            "most_epochs": (1, 100_000), "least_steps": (0, 10**9), "batch_size": (2, 65_536), "lr": (1e-9, 10.0),
            "warmup": (0.0, 0.9), "weight_decay": (0.0, 1.0), "held_out": (0.0, 0.5), "most_held_out": (0, 10**9),
            "patience": (0.0, 1.0), "save_every": (0.0, 1e9), "seed": (0, 2**63 - 1),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if name in ("epochs", "batch_size") and value is None:
                continue
            check_number(name, value, low, high)
        if self.schedule not in SCHEDULES:
            raise UsageError(f"unknown schedule {self.schedule!r}", f"expected one of: {', '.join(SCHEDULES)}")

    def batch_size_for(self, images: int) -> int:
        """Images a step, of so many training images."""
        if self.batch_size is not None:
            return self.batch_size
        return min(256, max(16, images // 8))

    def epochs_for(self, images: int, values: int) -> int:
        """Passes over so many training images, each of so many values (channels × height × width)."""
        if self.epochs is not None:
            return self.epochs
        by_values = max(self.least_epochs, min(self.most_epochs, round(self.values_seen / (images * values))))
        return max(by_values, math.ceil(self.least_steps / self.steps_for(images)))

    def steps_for(self, images: int) -> int:
        """Optimiser steps of a pass over so many training images.

        An epoch is cut into that many batches of nearly one size. None is a single image, of which batch
        normalisation can learn nothing: of an odd number of images in batches of 2 one batch has 3.
        """
        return min(math.ceil(images / self.batch_size_for(images)), max(1, images // 2))


@dataclass(frozen=True)
class ClassifierTrainingConfig(TrainingConfig):
    """The same settings with the defaults that suit a classifier of few images, and one of its own.

    Attributes:
        finish: fraction of all steps, the last ones, that see labelled images alone, where there are hybrids.
    """

    values_seen: int = 150_000_000
    least_steps: int = 1_500
    weight_decay: float = 0.05
    finish: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("finish", self.finish, 0.0, 1.0)

    def batch_size_for(self, images: int) -> int:
        return self.batch_size or min(64, super().batch_size_for(images))
