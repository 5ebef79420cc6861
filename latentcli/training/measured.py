"""What a training has come to, measured on latents when it has ended."""

import numpy as np

from latentcli.models.base import LatentModel
from latentcli.models.trained import TrainedModel
from latentcli.numerics.blocks import evenly
from latentcli.training.examples import Examples

MEASURED, FEW_TO_MEASURE, STEPS_TO_MEASURE = 1_000, 30, 50
"""Images whose latents are measured when training has ended, at most and at least; and steps, before which they hold
nothing yet."""
RECONSTRUCTED = 200
"""Of these, that are reconstructed, at most."""


def measures(network: LatentModel, examples: Examples) -> dict[str, dict[str, float]]:
    """``measures`` of the latents of ``MEASURED`` images at most, those that were not learned from if they are enough,
    and ``explained_variance``; none of fewer than ``FEW_TO_MEASURE``, which tell nothing of how latents differ."""
    held_out, learned = np.unique(examples.held_out_rows), np.unique(examples.train_rows)
    rows = held_out if len(held_out) >= FEW_TO_MEASURE else np.union1d(held_out, learned)
    if len(rows) < FEW_TO_MEASURE:
        return {}
    model, images = TrainedModel("", network), np.asarray(examples.images[rows[evenly(len(rows), MEASURED)]])
    found = {**model.measures(model.encode(images)), **explained_variance(model, images)}
    return {"measures": {name: float(value) for name, value in found.items() if isinstance(value, int | float)}}


def explained_variance(model: TrainedModel, images: np.ndarray) -> dict[str, float]:
    """By this name, how much of what tells images (N, C, H, W) uint8 from their mean is in their reconstructions.

    1 − their squared error by that of the mean image: 1 where they are the same, 0 where they are no nearer than it.
    Nothing of images that are all alike.
    """
    some = images[evenly(len(images), RECONSTRUCTED)]
    if (some == some[0]).all():
        return {}
    shades = some.astype(np.float32) / 255
    error, from_mean = np.mean((shades - model.reconstruct(some)) ** 2), np.mean((shades - shades.mean(axis=0)) ** 2)
    return {"explained_variance": float(1 - error / from_mean)}
