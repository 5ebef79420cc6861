"""The number of images of each class: predicted, and known where there are labels."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from latentcli.core.errors import DataError
from latentcli.figures import style


@style.drawn
def draw(classes: Sequence[str], counts: Mapping[str, Sequence[int] | np.ndarray]) -> Figure:
    """One group of bars per class, each bar with its number; of more than ``MOST_NAMED`` classes the largest.

    Args:
        counts: name of a series ("known", "predicted") → a count for each class; one to ten series.

    Raises:
        DataError: there is nothing to draw, or a series lacks a count or has a negative one.
    """
    series = {name: np.asarray(values) for name, values in counts.items()}
    if not len(classes) or not 0 < len(series) <= len(style.PALETTE):
        raise DataError("there are no label counts to draw", f"found {len(classes)} classes and {len(series)} series")
    for name, values in series.items():
        if values.shape != (len(classes),) or (values < 0).any():
            raise DataError(f"cannot draw {name} counts of shape {values.shape} for {len(classes)} classes")
    count = len(classes)
    largest = np.argsort(-np.max([*series.values()], axis=0), kind="stable")[: style.MOST_NAMED]
    rows = np.sort(largest)
    series, classes = {name: values[rows] for name, values in series.items()}, [classes[row] for row in rows]
    names = style.shown_names(classes)
    thickness = 0.8 / len(series)
    room = 0.17 * len(series) + 0.05  # inches per class: its numbers must not touch
    width, height = 4.6 + 0.085 * max(map(style.width, names)), 1.3 + room * len(classes)
    figure, axes = style.new_chart(width, height)
    positions = np.arange(len(classes))
    groups = []
    for index, values in enumerate(series.values()):
        offset = (index - (len(series) - 1) / 2) * thickness
        bars = axes.barh(positions + offset, values, thickness, color=style.PALETTE[index])
        groups.append(bars)
        axes.bar_label(bars, [f"{value:,}" for value in values], padding=3, fontsize=style.SMALL)
    axes.set_yticks(positions, names, parse_math=False)
    axes.set_ylim(len(classes) - 0.4, -0.6)  # the first class on top
    axes.set_xlim(0, max(1, max(values.max() for values in series.values())) * 1.15)
    axes.set_xlabel("images" if len(classes) == count else f"images: the largest {len(classes)} of {count:,} classes")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(style.few_whole_ticks())
    axes.xaxis.set_major_formatter("{x:,.0f}")
    if len(series) > 1:
        style.legend(figure, groups, [*map(style.shown, series)], loc="outside lower center", ncols=len(series))
    return figure
