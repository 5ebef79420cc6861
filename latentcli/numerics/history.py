"""Of which epoch a trained network's weights are."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def kept(history: Sequence[Mapping[str, Any]]) -> int:
    """The row of a history, one an epoch, whose weights its training ended with, as ``training.loop.Run`` keeps them.

    That is the one of the lowest ``val_loss``, of equals the last; and the last of all, -1, where no row has one:
    nothing was held out, or the loss on it says too little of the model.
    """
    losses = {row: float(values.get("val_loss", math.nan)) for row, values in enumerate(history)}
    return min((row for row in reversed(losses) if math.isfinite(losses[row])), key=losses.__getitem__, default=-1)
