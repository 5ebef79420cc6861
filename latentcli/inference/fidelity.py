"""How like real images others are, how much of what real ones show is among them, and whether they are copies.

Images are compared as points, the features that a network has of them: such a figure means something beside others of
the same network, of as many images. All pairs of points are compared, a block at a time.
"""

from collections.abc import Iterator

import numpy as np

from latentcli.classifiers.graph.neighbours import nearest, neighbours
from latentcli.numerics.blocks import slices

PRECISION_NEIGHBOURS, DENSITY_NEIGHBOURS = 3, 5
"""k, as the papers have it: the ball around a point reaches as far as the k-th nearest of its own set."""

FEWEST = DENSITY_NEIGHBOURS + 1
"""Points that a set has at least."""

COPIES = 0.01
"""Of real images so many are nearer to a training image than what counts as a copy."""

_VALUES_AT_ONCE = 2**22  # distances, or pixels, at a time: what bounds the memory
_ROUNDING = 1e-12  # of squared distances, beside the squares of which they are differences


def measures(real: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """``frechet_distance``, ``precision``, ``recall``, ``density`` and ``coverage``, of the functions of these names.

    Args:
        real, made: (N, D) and (M, D) features of real images, and of others; ``FEWEST`` or more of each.
    """
    precision, recall = precision_and_recall(real, made)
    density, coverage = density_and_coverage(real, made)
    return {
        "frechet_distance": frechet_distance(real, made), "precision": precision, "recall": recall,
        "density": density, "coverage": coverage,
    }  # fmt: skip


def frechet_distance(real: np.ndarray, made: np.ndarray) -> float:
    """‖μ − μ'‖² + tr(Σ + Σ' − 2 (Σ Σ')^½): between the Gaussians of two sets of points, in squares of their unit.

    It is at least 0, symmetric, and grows as the sets get smaller: compare those of as many points.

    Args:
        real, made: (N, D) and (M, D), two points or more of each.

    Source: Dowson & Landau 1982; of images Heusel et al. 2017, equation 6.
    """
    (mean, root), (other_mean, other_root) = _gaussian(real), _gaussian(made)
    # tr (ΣΣ')^½ is the sum of the singular values of Σ^½ Σ'^½: nothing is the root of what rounding made of a 0
    overlap = np.linalg.svd(root @ other_root, compute_uv=False).sum()
    found = np.square(mean - other_mean).sum() + np.square(root).sum() + np.square(other_root).sum() - 2 * overlap
    return max(0.0, float(found))


def _gaussian(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,), and the symmetric square root (D, D) of the sample covariance, in float64."""
    mean = points.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((points.shape[1], points.shape[1]))
    for rows in _blocks(points, points.shape[1]):
        apart = points[rows] - mean
        scatter += apart.T @ apart
    values, vectors = np.linalg.eigh(scatter / (len(points) - 1))
    return mean, (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T


def precision_and_recall(real: np.ndarray, made: np.ndarray, k: int = PRECISION_NEIGHBOURS) -> tuple[float, float]:
    """The share of points made that lie in the ball of a real point; and of real ones in the ball of one made.

    Args:
        real, made: (N, D) and (M, D), more than k of each.
        k: the ball of a point reaches to the k-th nearest of its own set.

    Source: Kynkäänniemi et al. 2019, equations 1 and 2.
    """

    def covered(points: np.ndarray, others: np.ndarray) -> float:
        found = [inside.any(axis=1) for inside in _in_balls(others, points, k)]
        return float(np.concatenate(found).mean())

    return covered(made, real), covered(real, made)


def density_and_coverage(real: np.ndarray, made: np.ndarray, k: int = DENSITY_NEIGHBOURS) -> tuple[float, float]:
    """In how many balls of real points a point made lies, as a multiple of k; and the share of balls with one in them.

    Two sets of one distribution have a density of 1, and a coverage of 1 − (N − 1)…(N − k) / (N + M − 1)…(N + M − k),
    which for N = M is about 1 − 2⁻ᵏ.

    Args:
        real, made: (N, D) and (M, D), more than k of the first.
        k: the ball of a point reaches to the k-th nearest of its own set.

    Source: Naeem et al. 2020, sections 3.1 and 3.2; what to expect, their lemmas 1 and 2.
    """
    balls, reached = 0, np.zeros(len(real), bool)
    for inside in _in_balls(real, made, k):
        balls += int(inside.sum())
        reached |= inside.any(axis=0)
    return balls / (k * len(made)), float(reached.mean())


def _in_balls(centres: np.ndarray, points: np.ndarray, k: int) -> Iterator[np.ndarray]:
    """(n, N) bool for the next n points: in which balls around N centres they lie; what lies on the rim is inside."""
    reach = np.square(neighbours(centres, k)[1][:, -1])
    middle = centres.mean(axis=0, dtype=np.float64)
    centres = centres - middle
    lengths = np.einsum("nd,nd->n", centres, centres)
    for rows in _blocks(points, len(centres)):
        block = points[rows] - middle
        sums = np.einsum("nd,nd->n", block, block)[:, None] + lengths
        yield sums - 2 * (block @ centres.T) <= reach + _ROUNDING * sums


def nearest_images(images: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of other images is nearest to each image, by its pixels.

    Args:
        images, among: (N, C, H, W) and (M, C, H, W) uint8, in memory or mapped.

    Returns:
        rows (N,) of ``among``, and the distances (N,): roots of sums of squares over pixels in [0, 1].
    """

    def points(some: np.ndarray) -> np.ndarray:
        return np.asarray(some).reshape(len(some), -1).astype(np.float32) / 255

    rows, distances = np.zeros(len(images), np.int64), np.full(len(images), np.inf)
    queries = points(images)
    for part in _blocks(among, queries.shape[1]):
        found, apart = (each[:, 0] for each in nearest(queries, points(among[part]), 1))
        nearer = apart < distances
        rows[nearer], distances[nearer] = part.start + found[nearer], apart[nearer]
    return rows, distances


def nearer(distances: np.ndarray, of_real: np.ndarray) -> float:
    """How probably one of these images is nearer to a training image than a real one is; 0.5 where both are alike.

    Args:
        distances, of_real: (N,) and (M,) of each image to the nearest training image; the real ones are others.

    Source: the Mann-Whitney statistic of Meehan, Chaudhuri & Dasgupta 2020.
    """
    real = np.sort(of_real)
    not_farther, nearer = (np.searchsorted(real, distances, side) for side in ("right", "left"))
    return float(1 - (not_farther + nearer).mean() / (2 * len(real)))


def copied(distances: np.ndarray, of_real: np.ndarray) -> float:
    """The share of images nearer to a training image than all but ``COPIES`` of real images are; as for ``nearer``."""
    return float((distances < np.quantile(of_real, COPIES)).mean())


def _blocks(rows: np.ndarray, width: int) -> Iterator[slice]:
    """All rows, so many at a time that each may take this many values."""
    return slices(len(rows), max(1, _VALUES_AT_ONCE // width))
