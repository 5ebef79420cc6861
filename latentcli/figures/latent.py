"""The latent space: its points by class, and the Gaussian mixture that was fitted to them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from latentcli.core.errors import DataError
from latentcli.figures import style
from latentcli.figures.spread import spread_apart
from latentcli.numerics import planes

MOST_POINTS = 5_000  # beyond this number, a fixed random choice that keeps the labelled points where they are few
MOST_IN_LEGEND = 10  # up to this number of classes there is a legend, beside the names at their centres
DEVIATIONS = (1, 2)  # standard deviations at which the ellipses of a component are drawn


class Ellipses(NamedTuple):
    """The mixture's components in the space that is drawn."""

    weights: np.ndarray  # (K,), summing to 1
    means: np.ndarray  # (K, D)
    covariances: np.ndarray  # (K, D, D)
    labels: np.ndarray  # (K,) indices of classes, -1 for none


@style.drawn
def draw(
    points: np.ndarray, labels: np.ndarray | None = None, class_names: Sequence[str] = (),
    mixture: Mapping[str, Any] | None = None, shares: bool = True,
) -> Figure:  # fmt: skip
    """Points coloured by class, under the 1 σ and 2 σ ellipses of the mixture's components in their class's colour.

    Beyond two dimensions points, means and covariances are projected on the first two principal components of the
    points; in one dimension histograms and the densities of the components are drawn.

    Args:
        points: (N, D) latents; of more than 5,000 a fixed choice is drawn.
        labels: (N,) indices into ``class_names``, -1 (drawn grey) where unlabelled; None when nothing is known.
        mixture: ``weights`` (K,), ``means`` (K, D), ``covariances`` (K, D, D) and ``component_labels`` (K,), indices
            into ``class_names``, -1 for none.
        shares: name the principal components' shares of the variance; not for points that are already projected.

    Raises:
        DataError: there are no points, a shape does not fit, a label has no name, or a value is not finite.
    """
    labels = np.full(len(points), -1) if labels is None else np.asarray(labels)
    components = None if mixture is None else _checked_mixture(mixture, points, len(class_names))
    style.check_points(points, labels, len(class_names))
    rows = chosen(labels)
    points, labels = points[rows], labels[rows]
    names = style.shown_names(class_names)
    crowd = float(np.clip(np.sqrt(len(names) / 15), 1, 2))  # many names need much room
    figure, axes = style.new_chart(6.4 * crowd + 0.085 * max(map(style.width, names), default=0), 5.8 * crowd)
    axes_names = "latent dimension 1", "latent dimension 2"
    if points.shape[1] > 2:
        points, components, axes_names = _on_principal_plane(points, components, shares)
    present = np.unique(np.concatenate([labels, [] if components is None else components.labels])).astype(int)
    in_plane = points.shape[1] > 1
    if in_plane:
        _draw_plane(axes, points, labels, components)
        axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    else:
        _draw_line(axes, points[:, 0], labels, present, components)
    if len(present) <= MOST_IN_LEGEND + (-1 in present):
        style.add_legend(figure, present, names, sizes=(6, 9 if in_plane else 6), square=not in_plane)
    if in_plane:
        _name_classes(figure, axes, points, labels, style.shown_names(class_names, 14))
    return figure


def _checked_mixture(mixture: Mapping[str, Any], points: np.ndarray, classes: int) -> Ellipses:
    keys = ("weights", "means", "covariances")
    weights, means, covariances = (np.asarray(mixture[key], dtype=np.float64) for key in keys)
    labels = np.asarray(mixture.get("component_labels", np.full(len(weights), -1)))
    count, size = len(weights), points.shape[-1]
    if means.shape != (count, size) or covariances.shape != (count, size, size) or labels.shape != (count,):
        found = f"found means {means.shape}, covariances {covariances.shape} and labels {labels.shape}"
        raise DataError(f"the mixture does not fit latents of shape {points.shape}", found)
    if not all(np.isfinite(array).all() for array in (weights, means, covariances)):
        raise DataError("cannot draw a mixture that is not finite")
    if count and (labels.max() >= classes or labels.min() < -1):
        raise DataError(f"cannot draw components of class {labels.max()} with {classes} class names")
    return Ellipses(weights, means, covariances, labels)


def _on_principal_plane(
    points: np.ndarray, mixture: Ellipses | None, shares: bool
) -> tuple[np.ndarray, Ellipses | None, tuple[str, str]]:
    """Points and mixture in the plane of the points' first two principal components, and the names of its axes."""
    plane = planes.principal(points)
    if mixture is not None:
        means, covariances = plane.at(mixture.means), plane.directions @ mixture.covariances @ plane.directions.T
        mixture = mixture._replace(means=means, covariances=covariances)
    return plane.at(points), mixture, planes.names(plane if shares else replace(plane, shares=None))


def chosen(labels: np.ndarray) -> np.ndarray:
    """Rows of the points to draw, in a fixed random order, so that no class lies over the others.

    Labelled points go first, up to half of ``MOST_POINTS``.
    """
    random = np.random.default_rng(0)
    order = random.permutation(len(labels))
    kept = order[labels[order] >= 0][: MOST_POINTS // 2]
    others = order[~np.isin(order, kept)][: MOST_POINTS - len(kept)]
    return random.permutation(np.concatenate([kept, others]))


def _draw_plane(axes: Axes, points: np.ndarray, labels: np.ndarray, mixture: Ellipses | None) -> None:
    shapes = np.where(labels >= 0, labels // len(style.PALETTE), -1)
    size = float(np.clip(9_000 / max(1, len(points)), 6, 30))
    for shape in np.unique(shapes):  # one collection per shape: within it the classes mix
        drawn = shapes == shape
        axes.scatter(
            points[drawn, 0], points[drawn, 1], s=size, c=[style.colour(label) for label in labels[drawn]],
            marker=style.marker(-1 if shape < 0 else int(shape) * len(style.PALETTE)), linewidths=0,
            alpha=0.35 if shape < 0 and (labels >= 0).any() else 0.6, zorder=1 if shape < 0 else 2,
        )  # fmt: skip
    components = [] if mixture is None else list(zip(*mixture, strict=True))
    width = 1.8 if len(components) <= MOST_IN_LEGEND else 1.2
    for _, mean, covariance, label in components:
        for ellipse in ellipses(mean, covariance):
            ellipse.set(fill=False, edgecolor=style.colour(label), linestyle=style.dashes(label), linewidth=width)
            ellipse.set_zorder(3)
            style.halo(ellipse, width + 1.6)
            axes.add_patch(ellipse)
    axes.set_aspect("equal", adjustable="datalim")
    axes.autoscale_view()


def ellipses(mean: np.ndarray, covariance: np.ndarray) -> list[Ellipse]:
    """The outlines of a Gaussian in the plane at 1 and 2 standard deviations.

    Their semi-axes are the square roots of the covariance's eigenvalues, times the number of deviations.
    """
    values, vectors = np.linalg.eigh(covariance)
    minor, major = np.sqrt(np.maximum(values, 0))
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    return [Ellipse((mean[0], mean[1]), 2 * k * major, 2 * k * minor, angle=angle) for k in DEVIATIONS]


def _draw_line(
    axes: Axes, values: np.ndarray, labels: np.ndarray, present: np.ndarray, mixture: Ellipses | None
) -> None:
    edges = np.histogram_bin_edges(values, bins=min(60, max(10, len(values) // 20)))
    area = len(values) * (edges[1] - edges[0])
    groups = [values[labels == label] for label in present]
    axes.hist(
        groups, bins=list(edges), weights=[np.full(len(group), 1 / area) for group in groups],
        color=[style.colour(label) for label in present], histtype="stepfilled", alpha=0.4,
    )  # fmt: skip
    at = np.linspace(edges[0], edges[-1], 400)
    for weight, mean, covariance, label in zip(*mixture, strict=True) if mixture else ():
        deviation = np.sqrt(max(covariance[0, 0], 1e-12))
        density = weight * np.exp(-0.5 * ((at - mean[0]) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
        axes.plot(at, density, color=style.colour(label), linewidth=2)
    axes.set(xlabel="latent dimension 1", ylabel="density")


def _name_classes(figure: Figure, axes: Axes, points: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> None:
    """Write a class's name at the median of its points, or beside it where two would overlap.

    Of more than ``MOST_NAMED`` classes those that have the most points are named.
    """
    present, counts = np.unique(labels[labels >= 0], return_counts=True)
    present = np.sort(present[np.argsort(-counts, kind="stable")[: style.MOST_NAMED]])
    weight = "bold" if len(present) <= 2 * MOST_IN_LEGEND else "normal"
    texts = []
    for label in present:
        centre = np.median(points[labels == label], axis=0)
        text = axes.annotate(
            names[label], (centre[0], centre[1]), xytext=(0, 0), textcoords="offset points", ha="center", va="center",
            fontsize=style.SMALL, fontweight=weight, color=style.INK, zorder=5,
            arrowprops={"arrowstyle": "-", "color": style.INK, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        style.halo(text, 3)
        texts.append(text)
    style.fitting_fonts(figure)  # before they are measured
    spread_apart(figure, axes, texts)
