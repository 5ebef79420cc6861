"""Planes through points of many dimensions: of most variance, or that which tells classes apart."""

from dataclasses import dataclass

import numpy as np

WIDE, KEPT = 512, 100
"""Dimensions, such as of maps of codes, of which so many principal components stand for all."""


@dataclass(frozen=True, eq=False)
class LinearPlane:
    """A plane: a point lies at (point − origin) · directionsᵀ.

    Attributes:
        origin: (D,).
        directions: (2, D) float64; the largest entry of each is positive, so that the same points give the same plane,
            and not its mirror image.
        shares: of the points' variance along the two, of principal components.
    """

    origin: np.ndarray
    directions: np.ndarray
    shares: tuple[float, float] | None = None

    def at(self, points: np.ndarray) -> np.ndarray:
        """(n, 2): where points (n, D) lie."""
        return (points - self.origin) @ self.directions.T


def names(plane: LinearPlane) -> tuple[str, str]:
    """What the axes of principal components are called."""
    shares = [f" ({share:.0%} of the variance)" for share in plane.shares or ()] or ["", ""]
    return f"principal component 1{shares[0]}", f"principal component 2{shares[1]}"


def latent(points: np.ndarray) -> LinearPlane:
    """The first two dimensions themselves, of points (N, D); of a single one the second coordinate is 0."""
    return LinearPlane(np.zeros(points.shape[1]), np.eye(2, points.shape[1]))


def principal(points: np.ndarray) -> LinearPlane:
    """The plane in which points (N, D) vary most: their first two principal components."""
    if len(points) == 1:  # it varies in no direction
        return LinearPlane(points[0].astype(np.float64), np.eye(2, points.shape[1]), (0.0, 0.0))
    if points.shape[1] > WIDE:
        mean, directions, shares = _components(points, 2)
    else:
        mean, covariance = _moments(points)
        values, vectors = np.linalg.eigh(covariance)
        directions, shares = vectors[:, ::-1][:, :2].T, values[::-1][:2] / max(float(values.sum()), 1e-300)
    first, second = map(float, shares)
    return LinearPlane(mean, _upright(directions), (first, second))


def discriminant(points: np.ndarray, codes: np.ndarray) -> LinearPlane:
    """The plane in which classes lie farthest apart for their spread: the first two linear discriminants.

    Of two classes, which one direction tells apart, the other is that of most variance within them.

    Args:
        points: (N, D).
        codes: (N,) of their classes, two or more; negative where there is none.

    Source: Fisher 1936; Rao 1948 for several classes.
    """
    classes = np.unique(codes[codes >= 0])
    if points.shape[1] <= WIDE:
        directions, mean = _discriminants(points, codes, classes)
    else:
        origin, components, _ = _components(points, KEPT)
        directions, mean = _discriminants((points - origin) @ components.T, codes, classes)
        directions, mean = directions @ components, origin + mean @ components
    return LinearPlane(mean, _upright(directions))


def _components(points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of many dimensions the mean (D,), the first principal directions (count, D) and their shares of the variance."""
    from sklearn.decomposition import PCA

    some = points[:: -(-len(points) // 20_000)]
    found = PCA(min(count, *some.shape), svd_solver="randomized", random_state=0).fit(some)
    return found.mean_, found.components_, found.explained_variance_ratio_


def _discriminants(points: np.ndarray, codes: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two directions (2, D), and the mean (D,) of points (N, D) whose codes (N,) are those of a class."""
    known = codes >= 0
    mean, total = _moments(points[known])
    between = np.zeros_like(total)
    for code in classes:
        apart = points[codes == code].mean(axis=0, dtype=np.float64) - mean
        between += (codes == code).sum() / known.sum() * np.outer(apart, apart)
    within = total - between
    within += 1e-3 * np.trace(total) / len(total) * np.eye(len(total))  # few images span few of the dimensions
    lower = np.linalg.cholesky(within)
    whitened = np.linalg.solve(lower, np.linalg.solve(lower, between).T)
    _, vectors = np.linalg.eigh(whitened)
    white = vectors[:, ::-1][:, :2]
    if len(classes) == 2:
        first = white[:, 0]
        spread = np.linalg.solve(lower, np.linalg.solve(lower, total).T)
        rest = np.eye(len(first)) - np.outer(first, first)
        white = np.stack([first, np.linalg.eigh(rest @ spread @ rest)[1][:, -1]], axis=1)
    return np.linalg.solve(lower.T, white).T, mean


def _moments(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and covariance (D, D) of points (N, D), some thousand at a time in float64."""
    mean = points.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((len(mean), len(mean)))
    for start in range(0, len(points), 65_536):
        centred = points[start : start + 65_536] - mean
        covariance += centred.T @ centred
    return mean, covariance / len(points)


def _upright(directions: np.ndarray) -> np.ndarray:
    """Directions whose largest entry is positive: the same data gives the same picture, not its mirror image."""
    largest = np.abs(directions).argmax(axis=1)
    return directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
