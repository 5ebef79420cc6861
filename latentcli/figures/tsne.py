"""Which latents are near to each other: their t-SNE embedding in the plane, by class (van der Maaten & Hinton 2008)."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path

from latentcli.figures import style

DIMENSIONS = 50  # principal components that are embedded where there are more dimensions: less noise, less time
PERPLEXITY = 30  # roughly the number of neighbours that count for a point
NAMES_A_COLUMN = 25  # of the legend


@style.drawn
def draw(
    features: np.ndarray, labels: np.ndarray | None = None, class_names: Sequence[str] = (), seed: int = 0
) -> Figure:
    """Points coloured by class; classes of the same colour differ in their points' shape.

    Args:
        features: (N, D), what a classifier reads; all are drawn.
        labels: (N,) indices into ``class_names``, -1 (drawn grey) where unlabelled; None when nothing is known.

    Raises:
        DataError: there are no features, the labels are not (N,) or have no name, or a value is not finite.
    """
    features = np.asarray(features)
    labels = np.full(len(features), -1) if labels is None else np.asarray(labels)
    style.check_points(features, labels, len(class_names))
    names, present = style.shown_names(class_names), np.unique(labels)
    columns = math.ceil(len(present) / NAMES_A_COLUMN) if len(present) <= style.MOST_NAMED else 0
    legend = columns * (0.4 + 0.085 * max(map(style.width, names), default=0))
    figure, axes = style.new_chart(7.2 + legend, 7.2)
    _scatter(axes, embed(features, seed), labels, seed)
    count = f"{len(features):,} image{'s' if len(features) > 1 else ''}"
    axes.set_xlabel(f"t-SNE of {count}: neighbours are alike, but axes and long distances have no meaning", loc="left")
    style.add_legend(figure, present, names, columns=columns, sizes=(7, 7))
    return figure


def evenly_by_class(labels: np.ndarray | None, count: int, most: int, seed: int) -> np.ndarray:
    """At most ``most`` of ``count`` rows, ascending: equally many of each class, or all of a class that has fewer.

    The unlabelled (-1) are one more class; without ``labels`` there is one class.
    """
    order = np.random.default_rng(seed).permutation(count)
    drawn = np.zeros(count, np.int64) if labels is None else labels[order]
    turns = np.empty(count, np.int64)  # for each row, the number of rows of its class before it
    for label in np.unique(drawn):
        turns[drawn == label] = np.arange((drawn == label).sum())
    return np.sort(order[np.argsort(turns, kind="stable")[:most]])


def embed(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """(N, 2): the t-SNE embedding of (N, D) features, of their first 50 principal components where D is more.

    Points that are all equal, or fewer than four, have no neighbourhoods: their first two coordinates are returned.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    points = features.reshape(len(features), -1).astype(np.float64)
    points = points - points.mean(axis=0)
    size = min(DIMENSIONS, *points.shape)
    if points.any() and points.shape[1] > DIMENSIONS:
        points = PCA(size, svd_solver="randomized", random_state=seed).fit_transform(points)
    points = np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))  # t-SNE starts from two principal components
    if len(points) < 4 or not points.any():
        return points[:, :2]
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    return TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(points)


def _scatter(axes: Axes, points: np.ndarray, labels: np.ndarray, seed: int) -> None:
    """One collection of all points in random order, so that no class or shape lies over the others."""
    order = np.random.default_rng(seed).permutation(len(points))
    size = float(np.clip(50_000 / len(points), 12, 60))  # points squared
    drawn = axes.scatter(
        points[order, 0], points[order, 1], s=size, c=[style.colour(label) for label in labels[order]],
        edgecolors=style.PAPER, linewidths=0.3, alpha=0.85,
    )  # fmt: skip
    drawn.set_paths([shape(label) for label in labels[order]])
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.03)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def shape(label: int) -> Path:
    """The outline of a class's points, about the origin, one unit wide."""
    marker = MarkerStyle(style.marker(label))
    return marker.get_path().transformed(marker.get_transform())
