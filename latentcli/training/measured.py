"""What a training has come to, measured on latents when it has ended."""

import numpy as np

from latentcli.models.base import LatentModel
from latentcli.models.trained import TrainedModel
from latentcli.numerics.blocks import evenly
from latentcli.training.examples import Examples

MEASURED, FEW_TO_MEASURE, STEPS_TO_MEASURE = 1_000, 30, 50
"""Images whose latents are measured when training has ended, at most and at least; and steps, before which they hold
nothing yet."""


def measures(network: LatentModel, examples: Examples) -> dict[str, dict[str, float]]:
    """``measures`` of the latents of ``MEASURED`` images at most, those that were not learned from if they are enough;
    none of fewer than ``FEW_TO_MEASURE``, which tell nothing of how latents differ."""
    held_out, learned = np.unique(examples.held_out_rows), np.unique(examples.train_rows)
    rows = held_out if len(held_out) >= FEW_TO_MEASURE else np.union1d(held_out, learned)
    if len(rows) < FEW_TO_MEASURE:
        return {}
    model = TrainedModel("", network)
    found = model.measures(model.encode(np.asarray(examples.images[rows[evenly(len(rows), MEASURED)]])))
    return {"measures": {name: float(value) for name, value in found.items() if isinstance(value, int | float)}}
