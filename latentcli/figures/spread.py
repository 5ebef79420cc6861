"""Text labels moved until none lies on another."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

ROUNDS = 300


def spread_apart(figure: Figure, axes: Axes, texts: Sequence[Annotation]) -> None:
    """Move annotations so that they neither overlap nor leave the axes, as far as there is room.

    They have ``textcoords="offset points"`` and are centred both ways; the figure is complete but for their positions.
    """
    if not texts:
        return
    for text in texts:
        text.set_in_layout(False)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in texts]
    centres = np.array([axes.transData.transform(text.xy) for text in texts])
    sizes = np.array([(box.width, box.height) for box in boxes]) / 2 + 1.5
    frame = axes.get_window_extent()
    moved = separate(centres, sizes, np.array([frame.p0, frame.p1]))
    for text, offset in zip(texts, (moved - centres) * 72 / figure.dpi, strict=True):
        text.set_position((float(offset[0]), float(offset[1])))
        if text.arrow_patch is not None and np.abs(offset).max() < 6:  # so near that a line would only clutter
            text.arrow_patch.set_visible(False)


def separate(centres: np.ndarray, halves: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """(N, 2) centres of boxes, pushed apart pair by pair along the axis of the smaller overlap until none overlap.

    ``halves`` (N, 2) are half widths and heights; the boxes stay between the two corners of the ``frame`` (2, 2).
    """
    # Equal centres would have no direction to be pushed in: fixed noise separates them.
    moved = centres + np.random.default_rng(0).normal(0, 0.01, centres.shape)
    reach = halves[:, None] + halves[None]
    for _ in range(ROUNDS):
        apart = moved[:, None] - moved[None]
        overlap = reach - np.abs(apart)
        clash = (overlap > 0).all(axis=2)
        np.fill_diagonal(clash, False)
        if not clash.any():
            break
        along = np.where((overlap[..., 0] < overlap[..., 1])[..., None], (1.0, 0.0), (0.0, 1.0))
        push = np.where(clash[..., None], along * np.sign(apart) * (overlap / 2 + 0.5), 0)
        moved = np.clip(moved + 0.5 * push.sum(axis=1), frame[0] + halves, frame[1] - halves)
    return moved
