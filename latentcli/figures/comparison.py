"""Metrics of several models beside each other: one panel per metric, one dot per training run."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from latentcli.core.errors import DataError
from latentcli.figures import style


@style.drawn
def draw(panels: Sequence[tuple[str, Mapping[str, Mapping[str, Sequence[float]]]]]) -> Figure:
    """One panel per metric: a group for each data set, in it a column of dots for each model, the mean a line.

    Args:
        panels: (title, values); values by data set, then by model, one for each seed. A model that a panel lacks
            gets no column there.

    Raises:
        DataError: there is nothing to draw.
    """
    if not any(values for _, values in panels):
        raise DataError("there are no results to draw")
    models = list(dict.fromkeys(model for _, values in panels for found in values.values() for model in found))
    sets = list(dict.fromkeys(name for _, values in panels for name in values))
    figure = style.new_figure(0.8 + len(panels) * (1.6 + 0.9 * len(sets)), 3.9)
    drawn = {}
    for index, (title, values) in enumerate(panels):
        panel = figure.add_subplot(1, len(panels), index + 1)
        for group, name in enumerate(sets):
            found = {model: values.get(name, {}).get(model, ()) for model in models}
            present = [model for model in models if len(found[model])]
            for column, model in enumerate(present):
                x = group + (column - (len(present) - 1) / 2) * 0.7 / max(len(models), 1)
                ys, number = np.asarray(found[model], dtype=float), models.index(model)
                panel.hlines(ys.mean(), x - 0.1, x + 0.1, color=style.INK, linewidth=1.2)
                (drawn[model],) = panel.plot(
                    np.full(len(ys), x), ys, linestyle="", markersize=6, alpha=0.85,
                    color=style.PALETTE[number % len(style.PALETTE)], marker=style.MARKERS[number % len(style.MARKERS)],
                )  # fmt: skip
        panel.set_xticks(range(len(sets)), [style.shown(name) for name in sets], rotation=20, ha="right")
        panel.set(title=style.shown(title), xlim=(-0.6, len(sets) - 0.4), axisbelow=True)
        panel.margins(y=0.15)
        if title.endswith("%"):
            low, high = panel.get_ylim()
            panel.set_ylim(max(low, -2), min(high, 102))
        panel.grid(axis="y")
    names = [style.shown(model) for model in drawn]
    style.legend(figure, list(drawn.values()), names, loc="outside lower center", ncols=len(drawn))
    return figure
