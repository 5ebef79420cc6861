"""Hybrid images: decoded points between classes, with the likelihood of each class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from latentcli.core.errors import DataError
from latentcli.figures import style

WHOLE = "100 % "
MOST_IMAGES = 100  # only the first images up to this number are drawn
COLUMNS = 8

_ROOM, _LINE, _GAP, _EDGE = 128, 24, 14, 24  # pixels
_LETTER = 11.5  # pixels: the mean width of a letter at the size of captions


def caption(soft_label: np.ndarray | Sequence[float], classes: Sequence[str]) -> list[str]:
    """The two most likely classes in whole percent, in the order of the classes: ["20 % 4", "80 % 8"].

    The other classes are summed up as "other"; what rounds to 0 % is left out. The percentages sum to 100.

    Raises:
        DataError: there is not one likelihood for each class, or one is negative or not finite, or all are 0.
    """
    soft_label = np.asarray(soft_label, dtype=np.float64)
    if soft_label.shape != (len(classes),) or not len(classes):
        raise DataError(f"cannot caption likelihoods of shape {soft_label.shape} with {len(classes)} classes")
    if not (np.isfinite(soft_label).all() and (soft_label >= 0).all() and soft_label.sum() > 0):
        raise DataError("soft labels have to be finite, at least 0, and not all 0")
    shares = soft_label / soft_label.sum()
    first = np.sort(np.argsort(-shares, kind="stable")[:2])
    names = [*(style.shown(classes[index], 14) for index in first), "other"]
    shares = np.append(shares[first], max(0.0, 1 - shares[first].sum()))
    exact = 100 * shares / shares.sum()
    percents = np.floor(exact).astype(int)  # then the largest remainders are rounded up, so that the sum is 100
    percents[np.argsort(percents - exact, kind="stable")[: 100 - percents.sum()]] += 1
    return [f"{percent} % {name}" for percent, name in zip(percents, names, strict=True) if percent]


@style.drawn
def draw(
    images: np.ndarray, soft_labels: np.ndarray, classes: Sequence[str], columns: int | None = None,
    given: np.ndarray | None = None,
) -> Figure:  # fmt: skip
    """A grid of images, each over its caption.

    Args:
        images: (N, C, H, W) float in [0, 1] or uint8; the first 100 are drawn.
        soft_labels: (N, K) likelihoods of the K classes; where K is 0 there are no captions.
        classes: their names.
        columns: images beside one another at most; None: ``COLUMNS``.
        given: (C, H, W), of the same pixels: what the images were made of, in a row of its own above them; None: there
            is none.

    Raises:
        DataError: there are no images, or the soft labels are not (N, K).
    """
    style.check_images(images)
    if soft_labels.shape != (len(images), len(classes)):
        raise DataError(f"cannot caption {len(images)} images with soft labels of shape {soft_labels.shape}")
    images = images[:MOST_IMAGES]
    height, width = style.tile_size(images.shape[2], images.shape[3], _ROOM)
    captions = [_lines(caption(row, classes)) if len(classes) else [] for row in soft_labels[: len(images)]]
    if all(len(lines) == 1 and lines[0].startswith(WHOLE) for lines in captions):  # each of one class
        captions = [[lines[0].removeprefix(WHOLE)] for lines in captions]
    columns = min(len(images), columns or COLUMNS)
    tiles = list(zip(range(len(images)), images, captions, strict=True))
    if given is not None:
        tiles = [(0, given, ["given"]), *((columns + place, image, lines) for place, image, lines in tiles)]
    longest = max((style.width(line) for *_, lines in tiles for line in lines), default=0)
    cell = int(max(width, _LETTER * longest)) + _GAP
    row = height + 6 + _LINE * max(len(lines) for *_, lines in tiles) + _GAP
    rows = tiles[-1][0] // columns + 1
    sheet = style.Sheet(2 * _EDGE + columns * cell, 2 * _EDGE + rows * row - _GAP)
    for place, image, lines in tiles:
        x, y = _EDGE + (place % columns + 0.5) * cell, _EDGE + place // columns * row
        sheet.image(x - width / 2, y, width, height, image)
        for number, line in enumerate(lines):
            sheet.text(x, y + height + 6 + number * _LINE, line)
    return sheet.figure


def _lines(parts: Sequence[str]) -> list[str]:
    """A caption on one line where it is short, otherwise one line per class."""
    line = " + ".join(parts)
    return [line] if style.width(line) <= 16 else [parts[0], *(f"+ {part}" for part in parts[1:])]
