"""Accuracy against the number of labelled images, a line for each way to learn from them."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from latentcli.core.errors import DataError
from latentcli.figures import style

TICKS = (1, 2, 5, *range(10, 91, 10), 95, 98, 99, 99.5, 99.8, 99.9)  # percent
NEAREST = 0.05  # percent: the axis ends this far from 0 and from 100
FEWEST = 3  # seeds from which an interval is drawn
ROOM = 0.5  # log-odds beyond the lowest and the highest mean


class Accuracy(NamedTuple):
    """Mean and sample standard deviation over several seeds, in [0, 1], and the number of seeds."""

    mean: float
    sd: float
    seeds: int


@style.drawn
def draw(curves: Mapping[str, Mapping[int, Accuracy]], title: str = "") -> Figure:
    """Means over seeds with their 95 % intervals (Student's t); for two seeds, too few for one, both values.

    The axis of accuracies is one of log-odds: near 100 %, halving the errors takes the same room everywhere.

    Args:
        curves: by name, accuracies by the number of labelled images of each class.

    Raises:
        DataError: there is nothing to draw.
    """
    from scipy.stats import t as student

    sizes = sorted({size for points in curves.values() for size in points})
    if not sizes:
        raise DataError("there are no accuracies to draw")
    figure, axes = style.new_chart(8.6, 5.2, title)
    drawn: list[float] = []
    handles: list[Line2D] = []
    drawn_seeds: set[int] = set()
    for number, points in enumerate(curves.values()):
        xs = sorted(points)
        means, sds, seeds = (np.array(values) for values in zip(*(points[size] for size in xs), strict=True))
        means = 100 * means
        drawn += means.tolist()
        drawn_seeds.update(seeds.tolist())
        halves = np.where(seeds >= FEWEST, 100 * student.ppf(0.975, np.maximum(seeds - 1, 1)) * sds / np.sqrt(seeds), 0)
        colour, marker = style.colour(number), style.MARKERS[number % len(style.MARKERS)]
        handles += axes.plot(xs, means, color=colour, marker=marker)
        low, high = np.maximum(means - halves, 0), np.minimum(means + halves, 100)
        axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)
        for x, mean, sd in zip(*(np.array(values)[seeds == 2] for values in (xs, means, sds)), strict=True):
            half = 100 * sd / np.sqrt(2)  # of their distance
            axes.vlines(x, mean - half, mean + half, color=colour, linewidth=1.2)
    axes.set_yscale("function", functions=(log_odds, from_log_odds))
    ends = from_log_odds(log_odds([min(drawn), max(drawn)]) + np.array([-ROOM, ROOM]))
    axes.set_ylim(*ends)  # wide intervals are cut
    within = [tick for tick in TICKS if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
    axes.set(xscale="log", xlabel="labelled images per class", ylabel="test accuracy, % (scale of log-odds)")
    axes.set_yticks(within, [f"{tick:g}" for tick in within])
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.grid()
    axes.set_axisbelow(True)
    names = [style.shown(name, 40) for name in curves]
    style.legend(figure, handles, names, loc="outside right upper", title=spread_of(drawn_seeds))
    return figure


def spread_of(seeds: Collection[int]) -> str:
    """What the bands and bars around means show, given the numbers of seeds that occur."""
    several = sorted(number for number in seeds if number >= FEWEST)
    numbers = " to ".join(dict.fromkeys(map(str, several[:1] + several[-1:])))
    parts = (f"bands: 95 %, {numbers} seeds" if several else "", "bars: both seeds" if 2 in seeds else "")
    return "; ".join(filter(None, parts))


def log_odds(percent: ArrayLike) -> np.ndarray:
    """log(p / (100 − p)), with p clipped to at least ``NEAREST`` from 0 and 100."""
    inside = np.clip(np.asarray(percent, dtype=float), NEAREST, 100 - NEAREST)
    return np.log(inside / (100 - inside))


def from_log_odds(value: ArrayLike) -> np.ndarray:
    """The percentage with these log-odds."""
    return 100 / (1 + np.exp(-np.asarray(value, dtype=float)))
