"""The confusion matrix: counts, coloured by the share of the true class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from latentcli.core.errors import DataError
from latentcli.figures import style

MOST_COUNTED = 30  # classes up to which each cell shows its count
SIDE = 12  # inches, of a matrix whose classes are not named
_LETTER = 0.085  # inches: the width of a letter of a class's name


@style.drawn
def draw(matrix: Sequence[Sequence[int]] | np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """Rows are the true classes, columns the predictions; of more than ``MOST_NAMED`` classes none is named.

    Args:
        matrix: (K, K) counts.
        classes: K names.
        title: such as "accuracy 0.985, macro F1 0.984".

    Raises:
        DataError: the matrix is empty, has a negative count, or is not (K, K).
    """
    counts = np.asarray(matrix)
    size = len(classes)
    if not size or counts.shape != (size, size) or (counts < 0).any():
        raise DataError(f"cannot draw a confusion matrix of shape {counts.shape} for {size} classes")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = style.shown_names(classes, 20) if (named := size <= style.MOST_NAMED) else [""]
    digits = len(str(int(counts.max())))
    cell = max(0.42, 0.1 * digits + 0.16) if size <= MOST_COUNTED else (0.15 if named else SIDE / size)
    longest = _LETTER * max(map(style.width, names))
    flat = longest + 0.05 <= cell  # the names fit beside each other under the columns
    side = max(2.2, cell * size, 0.1 * style.width(title[:120]) - longest)
    figure = style.new_figure(side + longest + 1.7, side + min(longest, 0.4 if flat else longest) + 1.1)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    if named:
        axes.set_xticks(range(size), names, rotation=0 if flat else 90, parse_math=False)
        axes.set_yticks(range(size), names, parse_math=False)
    axes.tick_params(length=0)
    each = "class" if named else f"class, by number, of {size:,}"
    axes.set(xlabel=f"predicted {each}", ylabel=f"true {each}")
    axes.set_title(style.shown(title, 120), loc="left", pad=10)
    axes.spines[:].set_visible(False)
    if named and size > 1:
        axes.set_xticks(np.arange(size - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(size - 1) + 0.5, minor=True)
        axes.grid(which="minor", color=style.PAPER, linewidth=1 if size <= MOST_COUNTED else 0.3)
        axes.tick_params(which="minor", length=0)
    for (row, column), count in np.ndenumerate(counts):
        if count and size <= MOST_COUNTED:
            ink = style.ink_on(image.cmap(shares[row, column]))
            axes.text(column, row, str(int(count)), ha="center", va="center", color=ink, fontsize=style.SMALL)
    bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 4 / side), aspect=18, pad=0.02, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(["0", "25 %", "50 %", "75 %", "100 %"])
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    return figure
