"""Accuracy against the number of labelled images, a line for each way to learn from them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from latentcli.errors import DataError
from latentcli.figures import style


class Accuracy(NamedTuple):
    """Of several seeds: mean and sample standard deviation, in [0, 1], and how many they are."""

    mean: float
    sd: float
    seeds: int


@style.look()
def draw(curves: Mapping[str, Mapping[int, Accuracy]], title: str = "") -> Figure:
    """Means over seeds, and their 95 % intervals (Student's t) where there are two seeds or more.

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
    for number, (name, points) in enumerate(curves.items()):
        places = sorted(points)
        means, sds, seeds = (np.array(values) for values in zip(*(points[size] for size in places), strict=True))
        means = 100 * means
        halves = np.where(seeds > 1, 100 * student.ppf(0.975, np.maximum(seeds - 1, 1)) * sds / np.sqrt(seeds), 0.0)
        colour = style.colour(number)
        axes.plot(
            places, means, color=colour, marker=style.MARKERS[number % len(style.MARKERS)], label=style.shown(name, 40)
        )
        axes.fill_between(
            places, means - halves, np.minimum(means + halves, 100), color=colour, alpha=0.15, linewidth=0
        )
    axes.set(xscale="log", xlabel="labelled images per class", ylabel="accuracy on the test images, %")
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(size) for size in sizes])
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    figure.legend(loc="outside right upper")
    return figure
