"""The latent space: its points by class, and the Gaussian mixture that was fitted to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from latentcli.core.errors import DataError
from latentcli.figures import style
from latentcli.figures.spread import spread_apart

MOST_POINTS = 5_000
"""Points that are drawn; of more, a fixed random choice, in which a few labelled ones are not lost."""

MOST_IN_LEGEND = 10
"""Classes up to which there is a legend beside the names at their centres."""

DEVIATIONS = (1, 2)
"""Standard deviations at which the ellipses of a component are drawn."""


@dataclass(frozen=True)
class Mixture:
    """Gaussian components in the space that is drawn.

    Attributes:
        weights: (K,) summing to 1.
        means: (K, D).
        covariances: (K, D, D).
        labels: (K,) indices of classes, -1 for none.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    labels: np.ndarray

    def project(self, origin: np.ndarray, directions: np.ndarray) -> "Mixture":
        """The marginal mixture in the coordinates ``(z - origin) @ directions.T``; directions are (d, D)."""
        covariances = directions @ self.covariances @ directions.T
        return Mixture(self.weights, (self.means - origin) @ directions.T, covariances, self.labels)


@style.look()
def draw(
    points: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    mixture: Mapping[str, Any] | None = None,
    title: str = "",
    shares: bool = True,
) -> Figure:
    """Points coloured by class, under the 1 σ and 2 σ ellipses of the mixture's components in their class's colour.

    Beyond two dimensions points, means and covariances are projected on the first two principal components of the
    points; of one dimension histograms and the densities of the components are drawn.

    Args:
        points: (N, D) latents; of more than 5,000 a fixed choice is drawn.
        labels: (N,) indices into ``class_names``, -1 (drawn grey) where unlabelled; None when nothing is known.
        class_names: names of the classes.
        mixture: ``weights`` (K,), ``means`` (K, D), ``covariances`` (K, D, D) and ``component_labels`` (K,), the
            latter indices into ``class_names``, -1 for none.
        title: above the picture.
        shares: name the principal components' shares of the variance; not where the points are a projection already.

    Raises:
        DataError: there are no points, a shape does not fit, a label has no name, or a value is not finite.
    """
    labels = np.full(len(points), -1) if labels is None else np.asarray(labels)
    components = None if mixture is None else _checked_mixture(mixture, points, len(class_names))
    _check(points, labels, len(class_names))
    rows = chosen(labels)
    points, labels = points[rows], labels[rows]
    if not np.isfinite(points).all():
        raise DataError("cannot draw latents that are not finite")
    names = style.shown_names(class_names)
    crowd = float(np.clip(np.sqrt(len(names) / 15), 1, 2))  # many names need much room
    figure = style.new_figure(6.4 * crowd + 0.085 * max(map(len, names), default=0), 5.8 * crowd)
    axes = figure.add_subplot()
    axes.set_title(style.shown(title, 90), loc="left")
    axes_names = ["latent dimension 1", "latent dimension 2"]
    if points.shape[1] > 2:
        points, components, axes_names = _on_principal_plane(points, components, shares)
    present = np.unique(np.concatenate([labels, [] if components is None else components.labels])).astype(int)
    if points.shape[1] == 1:
        _draw_line(axes, points[:, 0], labels, present, components)
    else:
        _draw_plane(axes, points, labels, components)
        axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    if len(present) <= MOST_IN_LEGEND + (-1 in present):
        _add_legend(figure, present, names, in_plane=points.shape[1] > 1)
    if points.shape[1] > 1:
        _name_classes(figure, axes, points, labels, style.shown_names(class_names, 14))
    return figure


def _check(points: np.ndarray, labels: np.ndarray, classes: int) -> None:
    if points.ndim != 2 or not points.size or labels.shape != points.shape[:1]:
        raise DataError(f"cannot draw latents of shape {points.shape} with labels of shape {labels.shape}")
    if labels.max() >= classes or labels.min() < -1:
        raise DataError(f"cannot draw labels from {labels.min()} to {labels.max()} with {classes} class names")


def _checked_mixture(mixture: Mapping[str, Any], points: np.ndarray, classes: int) -> Mixture:
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
    return Mixture(weights, means, covariances, labels)


def _on_principal_plane(
    points: np.ndarray, mixture: Mixture | None, shares: bool
) -> tuple[np.ndarray, Mixture | None, list[str]]:
    """Points and mixture on the two directions of the points' largest variance, and the names of these axes."""
    from sklearn.decomposition import PCA

    if len(points) == 1:  # no variance to find directions by
        origin, directions, explained = points[0], np.eye(2, points.shape[1]), np.zeros(2)
    else:
        with np.errstate(invalid="ignore"):
            pca = PCA(n_components=2, random_state=0).fit(points)
        origin, directions = pca.mean_, pca.components_
        explained = np.nan_to_num(pca.explained_variance_ratio_)
    plane = None if mixture is None else mixture.project(origin, directions)
    names = [
        f"principal component {i + 1}" + (f" ({share:.0%} of the variance)" if shares else "")
        for i, share in enumerate(explained)
    ]
    return (points - origin) @ directions.T, plane, names


def chosen(labels: np.ndarray) -> np.ndarray:
    """Which points are drawn, in a fixed random order, so that no class lies over the others.

    Args:
        labels: (N,), negative where unlabelled. Where few are labelled these are drawn, as up to half of the picture.
    """
    random = np.random.default_rng(0)
    order = random.permutation(len(labels))
    kept = order[labels[order] >= 0][: MOST_POINTS // 2]
    others = order[~np.isin(order, kept)][: MOST_POINTS - len(kept)]
    return random.permutation(np.concatenate([kept, others]))


def _draw_plane(axes: Axes, points: np.ndarray, labels: np.ndarray, mixture: Mixture | None) -> None:
    shapes = np.where(labels >= 0, labels // len(style.PALETTE), -1)
    size = float(np.clip(9_000 / max(1, len(points)), 6, 30))
    for shape in np.unique(shapes):  # one collection a shape: within it the classes mix
        drawn = shapes == shape
        axes.scatter(
            points[drawn, 0],
            points[drawn, 1],
            s=size,
            c=[style.colour(label) for label in labels[drawn]],
            marker=style.marker(-1 if shape < 0 else int(shape) * len(style.PALETTE)),
            linewidths=0,
            alpha=0.35 if shape < 0 and (labels >= 0).any() else 0.6,
            zorder=1 if shape < 0 else 2,
        )
    for index in range(0 if mixture is None else len(mixture.weights)):
        assert mixture is not None
        for ellipse in ellipses(mixture.means[index], mixture.covariances[index]):
            label = int(mixture.labels[index])
            ellipse.set(fill=False, edgecolor=style.colour(label), linestyle=style.dashes(label), zorder=3)
            ellipse.set_linewidth(1.8 if len(mixture.weights) <= MOST_IN_LEGEND else 1.2)
            style.halo(ellipse, ellipse.get_linewidth() + 1.6)
            axes.add_patch(ellipse)
    axes.set_aspect("equal", adjustable="datalim")
    axes.autoscale_view()


def ellipses(mean: np.ndarray, covariance: np.ndarray) -> list[Ellipse]:
    """The lines of 1 and 2 standard deviations of a Gaussian in the plane.

    Half their axes are the square roots of the covariance's eigenvalues, times the deviations.
    """
    values, vectors = np.linalg.eigh(covariance)
    minor, major = np.sqrt(np.maximum(values, 0))
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    return [Ellipse((mean[0], mean[1]), 2 * k * major, 2 * k * minor, angle=angle) for k in DEVIATIONS]


def _draw_line(
    axes: Axes, values: np.ndarray, labels: np.ndarray, present: np.ndarray, mixture: Mixture | None
) -> None:
    edges = np.histogram_bin_edges(values, bins=min(60, max(10, len(values) // 20)))
    width = edges[1] - edges[0]
    axes.hist(
        [values[labels == label] for label in present],
        bins=list(edges),
        weights=[np.full((labels == label).sum(), 1 / (len(values) * width)) for label in present],
        color=[style.colour(label) for label in present],
        histtype="stepfilled",
        alpha=0.4,
    )
    if mixture is not None:
        at = np.linspace(edges[0], edges[-1], 400)
        deviations = np.sqrt(np.maximum(mixture.covariances[:, 0, 0], 1e-12))
        for weight, mean, deviation, label in zip(
            mixture.weights, mixture.means[:, 0], deviations, mixture.labels, strict=True
        ):
            density = weight * np.exp(-0.5 * ((at - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
            axes.plot(at, density, color=style.colour(label), linewidth=2)
    axes.set(xlabel="latent dimension 1", ylabel="density")


def _add_legend(figure: Figure, present: np.ndarray, names: Sequence[str], in_plane: bool) -> None:
    handles = [
        Line2D([], [], linestyle="", marker=style.marker(label) if in_plane else "s", color=style.colour(label),
               markersize=9 if label < 0 and in_plane else 6, label="unlabelled" if label < 0 else names[label])
        for label in sorted(present, key=lambda label: label % (len(names) + 1))
    ]  # fmt: skip
    if list(present) != [-1]:
        figure.legend(handles=handles, loc="outside right upper", title="class")


def _name_classes(figure: Figure, axes: Axes, points: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> None:
    """Each class's name at the median of its points, moved where two would overlap."""
    present = [label for label in np.unique(labels) if label >= 0]
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
    spread_apart(figure, axes, texts)
