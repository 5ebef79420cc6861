"""The likelihoods of the classes over a plane of the latent space, and the points that were sampled there."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from latentcli.core.errors import DataError
from latentcli.figures import style
from latentcli.figures.latent import MOST_IN_LEGEND

MOST_POINTS = 2_000  # only the first points up to this number are drawn


@style.drawn
def draw(
    likelihoods: np.ndarray, extent: tuple[float, float, float, float], points: np.ndarray, soft_labels: np.ndarray,
    classes: Sequence[str], axes_names: tuple[str, str] = ("latent dimension 1", "latent dimension 2"), title: str = "",
) -> Figure:  # fmt: skip
    """A field in the mixture of its classes' colours, with the points on it.

    Args:
        likelihoods: (H, W, K) of the K classes on a grid, rows from the bottom; each sums to 1 over the classes.
        extent: left, right, bottom and top of the grid.
        points: (N, 2) in the same plane; the first 2,000 are drawn.
        soft_labels: (N, K): a point has the colour of its likeliest class.

    Raises:
        DataError: a shape does not fit, or a value is not finite.
    """
    count = len(classes)
    fits = likelihoods.ndim == 3 and likelihoods.shape[2] == count and soft_labels.shape == (len(points), count)
    if not fits or points.shape[1:] != (2,) or not count:
        raise DataError(f"cannot draw likelihoods {likelihoods.shape} of {count} classes with points {points.shape}")
    if not (np.isfinite(likelihoods).all() and np.isfinite(points).all()):
        raise DataError("cannot draw likelihoods or points that are not finite")
    points, labels = points[:MOST_POINTS], soft_labels[:MOST_POINTS].argmax(axis=1)
    colours = np.array([to_rgb(style.colour(index)) for index in range(count)])
    figure, axes = style.new_chart(7.2, 5.8, title)
    field = 0.45 * (likelihoods @ colours) + 0.55  # pale, so that the points stand out
    axes.imshow(field.clip(0, 1), origin="lower", extent=extent, aspect="auto", interpolation="bilinear")
    for label in np.unique(labels):
        rows = labels == label
        axes.scatter(
            points[rows, 0], points[rows, 1], s=float(np.clip(6_000 / len(points), 5, 24)), marker=style.marker(label),
            color=style.colour(label), edgecolors=style.PAPER, linewidths=0.4,
        )  # fmt: skip
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1], xlim=extent[:2], ylim=extent[2:])
    if count <= MOST_IN_LEGEND:
        style.add_legend(figure, range(count), style.shown_names(classes), "likeliest class")
    return figure
