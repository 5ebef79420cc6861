"""Bits per image against structural similarity, coloured by accuracy, and the front of what no other point beats."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from latentcli.core.errors import DataError
from latentcli.figures import style
from latentcli.numerics.front import non_dominated

COLOURS = "viridis"
LISTED = 16  # points of the front that the legend has room for


class Size(NamedTuple):
    """One size of a model.

    Attributes:
        name: of its settings.
        family: of the model.
        bits: of an image's codes.
        ssim: of reconstructions, up to 1.
        accuracy: in [0, 1]; None where it is not known.
    """

    name: str
    family: str
    bits: float
    ssim: float
    accuracy: float | None = None


@style.drawn
def draw(sizes: Sequence[Size], title: str = "", read_by: str = "accuracy, %") -> Figure:
    """A point for each size; those that no other dominates are joined, numbered and named.

    Args:
        sizes: one or more.
        title: of the picture.
        read_by: what the accuracy is of.

    Raises:
        DataError: there is nothing to draw.
    """
    if not sizes:
        raise DataError("there are no sizes to draw", "expected bits per image and structural similarity of some")
    bits, ssim = np.array([size.bits for size in sizes]), np.array([size.ssim for size in sizes])
    front = non_dominated(bits, ssim)
    figure, axes = style.new_chart(10.0, 5.6, title)
    joined = axes.plot(bits[front], ssim[front], color=style.INK, linewidth=1.0, zorder=1)
    percent = np.array([np.nan if size.accuracy is None else 100 * size.accuracy for size in sizes])
    known = percent[np.isfinite(percent)]
    shades = {"cmap": COLOURS, "vmin": known.min(), "vmax": known.max()} if len(known) else {}
    families = list(dict.fromkeys(size.family for size in sizes))
    handles: list[Line2D] = []
    names: list[str] = []
    for number, family in enumerate(families):
        rows = [row for row, size in enumerate(sizes) if size.family == family]
        marker = style.MARKERS[number % len(style.MARKERS)]
        inside = {"c": percent[rows], "plotnonfinite": True} if len(known) else {"color": style.MUTED}
        drawn = axes.scatter(
            bits[rows], ssim[rows], marker=marker, s=50, edgecolors=style.INK, linewidths=0.6, zorder=2,
            **inside, **shades,
        )  # fmt: skip
        handles.append(Line2D([], [], linestyle="", marker=marker, color=style.MUTED))
        names.append(style.shown(family))
    handles += joined
    names.append("no other has fewer bits and is more alike:")
    if len(known):
        figure.colorbar(drawn, ax=axes, label=read_by, pad=0.02)
    for number, row in enumerate(front[:LISTED], 1):
        axes.annotate(
            str(number), (bits[row], ssim[row]), (-4, 5), textcoords="offset points", ha="right", fontsize=style.SMALL
        )  # fmt: skip
        handles.append(Line2D([], [], linestyle=""))
        names.append(f"{number}  {style.shown(sizes[row].name, 44)}")
    axes.set(xscale="log", xlabel="bits per image", ylabel="structural similarity of held-out images")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.08, y=0.08)
    axes.grid()
    axes.set_axisbelow(True)
    style.legend(figure, handles, names, loc="outside right upper")
    return figure
