"""Where EM starts: at the classes that the nearest labels make, and at further points spread over the data."""

import numpy as np

from latentcli.classifiers.mixture.expectation_maximisation import Samples
from latentcli.classifiers.mixture.gaussians import Mixture
from latentcli.core.labels import UNLABELLED

_CANDIDATES = 6  # per new mean, of which the one that leaves the points nearest to a mean is taken
_MAX_SUBSAMPLE = 5000  # points drawn from the data that the further means are chosen from
_MAX_PROTOTYPES = 1000  # labelled points, or one for each class, that the others take their first class from


def start(
    samples: Samples, components: int, classes: int, covariance_type: str, generator: np.random.Generator
) -> Mixture:
    """Equal weights; means of the classes first, and more spread over the data; one covariance for all.

    With labels each point begins in the class of the labelled point that is nearest to it in the data's own metric.
    The covariance is that within these classes, pooled, and regularised by a tenth of the data's, which counts for D
    samples: from the data's own, EM sometimes merged two classes; from the means of the labelled points alone, it gave
    a group of one class, such as crossed sevens, to another. Without labels it is the data's. Either is shrunk by
    (classes / K)^(2/D), so that the ellipsoids of the components keep the volume. The further means follow greedy
    k-means++, in the same metric. ``classes`` is 0 without labels.

    Source: Arthur & Vassilvitskii 2007, section 5, for the greedy choice of means.
    """
    dimensions = samples.points.shape[1]
    rows = np.sort(generator.permutation(len(samples))[:_MAX_SUBSAMPLE])
    points = samples.take(rows)
    overall = np.cov(points.T, bias=True).reshape(dimensions, dimensions) + np.diag(1e-6 * samples.scale)
    whiten = np.linalg.inv(np.linalg.cholesky(overall)).T
    means, covariance = np.empty((0, dimensions)), overall
    if classes:
        means, covariance = _within_classes(samples, classes, overall, whiten, generator)
    if len(means) < components:
        means = _spread(points, means, components, whiten, generator)
    covariance = covariance * (max(classes, 1) / components) ** (2 / dimensions)
    variances = np.diag(covariance)
    covariances = {
        "full": np.repeat(covariance[None], components, axis=0), "tied": covariance,
        "diag": np.repeat(variances[None], components, axis=0), "spherical": np.full(components, variances.mean()),
    }[covariance_type]  # fmt: skip
    return Mixture(np.full(components, 1 / components), means, covariances, covariance_type)


def _within_classes(
    samples: Samples, classes: int, overall: np.ndarray, whiten: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The means (C, D) of the classes that the nearest labels make, and their pooled covariance (D, D), regularised."""
    xp, dimensions = samples.xp, len(overall)
    prototypes, their_labels = _prototypes(samples, classes, generator)
    white = (prototypes - samples.origin) @ whiten
    there = {"device": samples.device, "dtype": xp.float64}
    directions, offsets = xp.asarray(whiten @ white.T, **there), xp.asarray((white**2).sum(axis=1) / 2, **there)
    theirs, memberships = xp.asarray(their_labels, device=samples.device), xp.asarray(np.eye(classes), **there)
    counts, sums, products = (xp.zeros(shape, **there) for shape in (classes, (classes, dimensions), overall.shape))
    for points, labels in samples.chunks():
        own = theirs[(points @ directions - offsets).argmax(1)]  # the nearest: |z|² is the same for all
        if labels is not None:
            own = xp.where(labels != UNLABELLED, labels, own)
        members = memberships[own]
        counts += members.sum(0)
        sums += members.T @ points
        products += points.T @ points
    if xp is not np:
        counts, sums, products = (total.cpu().numpy() for total in (counts, sums, products))
    counts, sums, products = map(samples.add_up, (counts, sums, products))
    means = sums / counts[:, None]
    scatter = products - (means * counts[:, None]).T @ means
    covariance = (scatter + dimensions * 0.1 * overall) / (counts.sum() - classes + dimensions)
    return means + samples.origin, covariance


def _prototypes(samples: Samples, classes: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labelled points (L, D) float64 and their labels (L,): all, or equally many of each class; only these are read."""
    rows = np.flatnonzero(samples.labels != UNLABELLED)
    if len(rows) > _MAX_PROTOTYPES:
        rows, each = generator.permutation(rows), max(1, _MAX_PROTOTYPES // classes)
        rows = np.sort(np.concatenate([rows[samples.labels[rows] == one][:each] for one in range(classes)]))
    return samples.take(rows), samples.labels[rows]


def _spread(
    points: np.ndarray, means: np.ndarray, components: int, whiten: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
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
