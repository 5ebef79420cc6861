"""What a run learns from: images, what is known of each, and which of them it is trained and measured on."""

from dataclasses import dataclass

import numpy as np
import torch

from latentcli.core.errors import DataError
from latentcli.numerics.random import generator_for
from latentcli.training.config import TrainingConfig


@dataclass(frozen=True, eq=False)
class Examples:
    """Images of a training run.

    Attributes:
        images: (N, C, H, W) uint8.
        train_rows: numbers of the rows that an epoch goes through; a row may be there more than once.
        held_out_rows: numbers of the rows of the validation loss; there may be none.
        targets: (N, K) float32 soft labels, each row summing to 1; None where the loss takes images alone.
        last_rows: numbers of the rows that the last steps are trained on instead; None: these have none of their own.
        last: fraction of all steps that are these, in [0, 1].
    """

    images: np.ndarray
    train_rows: np.ndarray
    held_out_rows: np.ndarray
    targets: np.ndarray | None = None
    last_rows: np.ndarray | None = None
    last: float = 0.0

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays of it by name."""
        return {name: array for name, array in vars(self).items() if isinstance(array, np.ndarray)}

    @classmethod
    def of_images(cls, images: np.ndarray, config: TrainingConfig) -> "Examples":
        """Images alone (N, C, H, W), some held out.

        Raises:
            DataError: there is only one.
        """
        if len(images) < 2:
            raise DataError("one image is too few to train on", "expected two or more")
        return cls(images, *split(len(images), config))


def split(count: int, config: TrainingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of so many images to train on, two or more, and to hold out, drawn by the seed; both in order."""
    order = torch.randperm(count, generator=generator_for(config.seed, "split")).numpy()
    held_out = min(round(config.held_out * count), config.most_held_out, max(0, count - 2))
    return np.sort(order[held_out:]), np.sort(order[:held_out])
