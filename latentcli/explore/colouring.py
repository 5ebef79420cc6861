"""The colours of the points of the plane, and what they mean."""

from functools import cache

import numpy as np

from latentcli.core.labels import UNLABELLED, Labels, composed
from latentcli.explore import drawing
from latentcli.explore.fitting import Reading

COLOURINGS = {
    "class": "class: label, else prediction",
    "label": "label: grey where there is none",
    "probability": "probability of the likeliest class",
    "error": "error: where prediction and label differ",
    "typicality": "typicality: how like the others",
}


def coloured(
    kind: str, labels: Labels, reading: Reading | None
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, int]]]:  # fmt: skip
    """Of each image (N,) which colour it has, the colours (K,) packed, and what they mean, for a legend.

    Args:
        kind: one of ``COLOURINGS``.
        labels: of N images.
        reading: what a classifier makes of them; None without one.
    """
    codes, count = labels.codes, len(labels.names)
    palette = drawing.packed([*map(colour, range(count)), drawing.NONE])
    named = [(name, code) for code, name in enumerate(labels.names)]
    match kind:
        case "probability" | "typicality":
            values = None if reading is None else reading.typicality
            if kind == "probability" and reading is not None:
                values = reading.probabilities.max(axis=1)
            if values is None:
                return np.zeros(len(codes), np.int16), drawing.packed([drawing.NONE]), [("not known", 0)]
            index = (np.clip(values, 0, 1) * (drawing.STEPS - 1)).astype(np.int16)
            return index, drawing.SCALE, [("0", 0), ("½", drawing.STEPS // 2), ("1", drawing.STEPS - 1)]
        case "error":
            index = np.full(len(codes), 2, np.int16)
            if reading is not None:
                index[labels.known] = (predicted(labels, reading) != codes)[labels.known]
            of_errors = drawing.packed([drawing.RIGHT, drawing.WRONG, drawing.NONE])
            return index, of_errors, [("right", 0), ("wrong", 1), ("no label", 2)]
        case "label":
            return codes % (count + 1), palette, [*named, ("no label", count)]
    return classes(labels, reading) % (count + 1), palette, [*named, ("no class", count)]


def predicted(labels: Labels, reading: Reading | None) -> np.ndarray:
    """(N,) codes, in ``labels.names``, of the likeliest classes; ``UNLABELLED`` without a classifier."""
    if reading is None:
        return np.full(len(labels), UNLABELLED)
    place = {name: code for code, name in enumerate(labels.names)}
    return np.array([place.get(composed(name), UNLABELLED) for name in reading.names])[reading.codes]


def classes(labels: Labels, reading: Reading | None) -> np.ndarray:
    """(N,) codes of the labels, and of the likeliest classes where there are none."""
    return np.where(labels.known, labels.codes, predicted(labels, reading))


@cache
def colour(code: int) -> drawing.Colour:
    """Of a class; after the tenth they repeat."""
    from latentcli.figures.style import PALETTE

    text = PALETTE[code % len(PALETTE)]
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
