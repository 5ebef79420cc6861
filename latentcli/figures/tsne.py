"""Which latents are near to each other: their t-SNE embedding in the plane, by class (van der Maaten & Hinton 2008)."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path

from latentcli.core.errors import DataError
from latentcli.figures import style

DIMENSIONS = 50
"""Principal components that are embedded, where there are more dimensions: noise goes, and so does time."""

PERPLEXITY = 30
"""Neighbours, about, that a point is held to."""

NAMES_A_COLUMN = 25
"""Of the legend."""


@style.look()
def draw(
    features: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    seed: int = 0,
    title: str = "",
) -> Figure:
    """Points coloured by class, the shape of a point telling apart classes of one colour.

    Args:
        features: (N, D), what a classifier reads; all are drawn.
        labels: (N,) indices into ``class_names``, -1 (drawn grey) where unlabelled; None when nothing is known.
        class_names: names of the classes.
        seed: of the embedding.
        title: above the picture.

    Raises:
        DataError: there are no features, the labels are not theirs, or a value is not finite.
    """
    features = np.asarray(features)
    labels = np.full(len(features), -1) if labels is None else np.asarray(labels)
    _check(features, labels, len(class_names))
    names, present = style.shown_names(class_names), np.unique(labels)
    columns = math.ceil(len(present) / NAMES_A_COLUMN)
    legend = columns * (0.4 + 0.085 * max(map(len, names), default=0))
    figure = style.new_figure(7.2 + legend, 7.2)
    axes = figure.add_subplot()
    _scatter(axes, embed(features, seed), labels, seed)
    count = f"{len(features):,} image{'s' if len(features) > 1 else ''}"
    axes.set_title(style.shown(title, 90), loc="left")
    axes.set_xlabel(f"t-SNE of {count}: neighbours are alike, but axes and long distances have no meaning", loc="left")
    if list(present) != [-1]:
        _add_legend(figure, present, names, columns)
    return figure


def evenly_by_class(labels: np.ndarray | None, count: int, most: int, seed: int) -> np.ndarray:
    """At most ``most`` of ``count`` rows, ascending: as many of each class, or all of those that have fewer.

    Args:
        labels: (count,) integers, the unlabelled (-1) being one more class; None when nothing is known.
        count: of rows.
        most: rows wanted.
        seed: which ones.
    """
    order = np.random.default_rng(seed).permutation(count)
    drawn = np.zeros(count, np.int64) if labels is None else labels[order]
    turns = np.empty(count, np.int64)  # how many rows of its class come before each
    for label in np.unique(drawn):
        turns[drawn == label] = np.arange((drawn == label).sum())
    return np.sort(order[np.argsort(turns, kind="stable")[:most]])


def embed(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """(N, 2): the t-SNE embedding of (N, D) features, of their first 50 principal components where D is more.

    Points that are all alike, or fewer than four, come as their principal components: they have no neighbourhoods.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    points = features.reshape(len(features), -1).astype(np.float64)
    points = points - points.mean(axis=0)
    size = min(DIMENSIONS, *points.shape)
    if points.any() and points.shape[1] > DIMENSIONS:
        points = PCA(size, svd_solver="randomized", random_state=seed).fit_transform(points)
    points = np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))  # it begins with two principal components
    if len(points) < 4 or not points.any():
        return points[:, :2]
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    return TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(points)


def _check(features: np.ndarray, labels: np.ndarray, classes: int) -> None:
    if features.ndim != 2 or not features.size or labels.shape != features.shape[:1]:
        raise DataError(f"cannot embed features of shape {features.shape} with labels of shape {labels.shape}")
    if not np.isfinite(features).all():
        raise DataError("cannot embed features that are not finite")
    if labels.max() >= classes or labels.min() < -1:
        raise DataError(f"cannot draw labels from {labels.min()} to {labels.max()} with {classes} class names")


def _scatter(axes: Axes, points: np.ndarray, labels: np.ndarray, seed: int) -> None:
    """One collection of all points in random order, so that no class or shape lies over the others."""
    order = np.random.default_rng(seed).permutation(len(points))
    size = float(np.clip(50_000 / len(points), 12, 60))  # square points
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


def _add_legend(figure: Figure, present: np.ndarray, names: Sequence[str], columns: int) -> None:
    handles = [
        Line2D([], [], linestyle="", marker=style.marker(label), color=style.colour(label), markersize=7,
               label="unlabelled" if label < 0 else names[label])
        for label in sorted(present, key=lambda label: label % (len(names) + 1))
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside right upper", title="class", ncols=columns)
