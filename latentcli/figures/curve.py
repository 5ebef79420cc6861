"""Accuracy against the number of labelled images, a line for each way to learn from them."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import ArrayLike

from latentcli.core.errors import DataError
from latentcli.figures import style

TICKS = (1, 2, 5, *range(10, 91, 10), 95, 98, 99, 99.5, 99.8, 99.9)
"""Percent."""

NEAREST = 0.05
"""Percent: how near to none and to all the axis goes."""

FEWEST = 3
"""Seeds of an interval."""

ROOM = 0.5
"""Log-odds beyond the lowest and the highest mean."""


class Accuracy(NamedTuple):
    """Of several seeds: mean and sample standard deviation, in [0, 1], and how many they are."""

    mean: float
    sd: float
    seeds: int


@style.look()
def draw(curves: Mapping[str, Mapping[int, Accuracy]], title: str = "") -> Figure:
    """Means over seeds, and their 95 % intervals (Student's t); of two seeds, whose interval tells nothing, both.

    The axis of accuracies is one of log-odds: near 100 %, halving the errors takes as much room anywhere.

    Args:
        curves: by name, accuracies by the number of labelled images of each class.
        title: above the picture.

    Raises:
        DataError: there is nothing to draw.
    """
    from scipy.stats import t as student

    sizes = sorted({size for points in curves.values() for size in points})
    if not sizes:
        raise DataError("there are no accuracies to draw")
    figure = style.new_figure(8.6, 5.2)
    axes = figure.add_subplot()
    axes.set_title(style.shown(title, 90), loc="left")
    drawn: list[float] = []
    drawn_seeds: set[int] = set()
    for number, (name, points) in enumerate(curves.items()):
        places = sorted(points)
        means, sds, seeds = (np.array(values) for values in zip(*(points[size] for size in places), strict=True))
        means = 100 * means
        drawn += means.tolist()
        drawn_seeds.update(seeds.tolist())
        halves = np.where(seeds >= FEWEST, 100 * student.ppf(0.975, np.maximum(seeds - 1, 1)) * sds / np.sqrt(seeds), 0)
        colour = style.colour(number)
        axes.plot(
            places, means, color=colour, marker=style.MARKERS[number % len(style.MARKERS)], label=style.shown(name, 40)
        )
        low, high = np.maximum(means - halves, 0), np.minimum(means + halves, 100)
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
        for place, mean, sd in zip(*(np.array(values)[seeds == 2] for values in (places, means, sds)), strict=True):
            half = 100 * sd / np.sqrt(2)  # of their distance
            axes.vlines(place, mean - half, mean + half, color=colour, linewidth=1.2)
    axes.set_yscale("function", functions=(log_odds, from_log_odds))
    ends = log_odds([min(drawn), max(drawn)]) + np.array([-ROOM, ROOM])
    axes.set_ylim(*from_log_odds(ends))  # wide intervals are cut
    within = [tick for tick in TICKS if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
    axes.yaxis.set_major_locator(FixedLocator(within))
    axes.set_yticklabels([f"{tick:g}" for tick in within])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xscale="log", xlabel="labelled images per class", ylabel="test accuracy, % (scale of log-odds)")
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(size) for size in sizes])
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    figure.legend(loc="outside right upper", title=spread_of(drawn_seeds))
    return figure


def spread_of(seeds: Collection[int]) -> str:
    """What is drawn around means of so many seeds."""
    several = sorted(number for number in seeds if number >= FEWEST)
    said = []
    if several:
        numbers = f"{several[0]}" if len(several) == 1 else f"{several[0]} to {several[-1]}"
        said.append(f"bands: 95 %, {numbers} seeds")
    if 2 in seeds:
        said.append("bars: both seeds")
    return "; ".join(said)


def log_odds(percent: ArrayLike) -> np.ndarray:
    """log(p / (100 − p)), of p at least ``NEAREST`` away from 0 and 100."""
    inside = np.clip(np.asarray(percent, dtype=float), NEAREST, 100 - NEAREST)
    return np.log(inside / (100 - inside))


def from_log_odds(value: ArrayLike) -> np.ndarray:
    """Percent."""
    return 100 / (1 + np.exp(-np.asarray(value, dtype=float)))
