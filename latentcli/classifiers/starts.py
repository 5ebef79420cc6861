"""Where EM starts: at the labelled class means, and beyond these at points spread over the data."""

import numpy as np

from latentcli.classifiers.expectation_maximisation import Samples
from latentcli.classifiers.gaussians import Mixture

_CANDIDATES = 6  # per new mean, of which the one that leaves the points nearest to a mean is taken
_SPREAD_OVER = 5000  # points drawn from the data to spread the means over


def start(
    samples: Samples, components: int, classes: int, covariance_type: str, generator: np.random.Generator
) -> Mixture:
    """Equal weights; means at the labelled class means, and more spread over the data; one covariance for all.

    With labels the covariance is the labelled samples' within their classes, pooled, and steadied by a tenth of the
    data's, which counts for D samples: from the data's own, EM has been seen to merge two classes on the way.
    Without, it is the data's. Either is shrunk so that the ellipsoids of the components keep the volume: by
    (classes / K)^(2/D). The further means follow greedy k-means++ in the data's own metric.

    Args:
        samples: the data, with labels of all the classes, if any.
        components: K, at least ``classes``.
        classes: how many classes there are; 0 without labels.
        covariance_type: of the mixture.
        generator: draws the points that the further means are chosen from.

    Source: Arthur & Vassilvitskii 2007, section 5, for the greedy choice of means.
    """
    dimensions = samples.points.shape[1]
    rows = np.sort(generator.permutation(len(samples))[:_SPREAD_OVER])
    points = np.asarray(samples.points[rows], dtype=np.float64)
    overall = np.cov(points.T, bias=True).reshape(dimensions, dimensions) + np.diag(1e-6 * samples.scale)
    means, covariance = _within_classes(samples, classes, overall) if classes else (np.empty((0, dimensions)), overall)
    if len(means) < components:
        means = _spread(points, means, components, overall, generator)
    covariance = covariance * (max(classes, 1) / components) ** (2 / dimensions)
    covariances = {
        "full": np.repeat(covariance[None], components, axis=0),
        "tied": covariance,
        "diag": np.repeat(np.diag(covariance)[None], components, axis=0),
        "spherical": np.full(components, np.diag(covariance).mean()),
    }[covariance_type]
    return Mixture(np.full(components, 1 / components), means, covariances, covariance_type)


def _within_classes(samples: Samples, classes: int, overall: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The means of the labelled samples of each class (C, D), and their pooled covariance (D, D), steadied."""
    dimensions = len(overall)
    counts, sums = np.zeros(classes), np.zeros((classes, dimensions))
    products = np.zeros((dimensions, dimensions))
    for points, labels in samples.labelled():
        members = np.eye(classes)[labels]
        counts += members.sum(axis=0)
        sums += members.T @ (points - samples.origin)
        products += (points - samples.origin).T @ (points - samples.origin)
    means = sums / counts[:, None]
    scatter = products - (means * counts[:, None]).T @ means
    covariance = (scatter + dimensions * 0.1 * overall) / (counts.sum() - classes + dimensions)
    return means + samples.origin, covariance


def _spread(
    points: np.ndarray, means: np.ndarray, components: int, covariance: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    whiten = np.linalg.inv(np.linalg.cholesky(covariance)).T
    white = points @ whiten
    chosen = list(means) if len(means) else [points[generator.integers(len(points))]]
    nearest = np.min([((white - mean @ whiten) ** 2).sum(axis=1) for mean in chosen], axis=0)
    while len(chosen) < components:
        total = nearest.sum()
        odds = nearest / total if total > 0 else None  # all points lie on means: any will do
        candidates = generator.choice(len(points), _CANDIDATES, p=odds)
        left = [np.minimum(nearest, ((white - white[one]) ** 2).sum(axis=1)) for one in candidates]
        best = int(np.argmin([distances.sum() for distances in left]))
        chosen.append(points[candidates[best]])
        nearest = left[best]
    return np.array(chosen)
