"""The plane that images are shown on: where each of them lies, and which latent lies where."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentcli.core.errors import DataError, LatentError, OutputError
from latentcli.formats.checksummed_npz import read_arrays, write_arrays
from latentcli.formats.digests import digest
from latentcli.numerics import planes
from latentcli.numerics.planes import LinearPlane

KINDS = {
    "principal": "principal components",
    "discriminant": "what tells the classes apart",
    "tsne": "t-SNE: neighbours stay neighbours",
}
"""Planes of latents of more than two dimensions, and what they are called."""

NEIGHBOURS = 8
"""Images around a point of the plane that tell which latent lies there."""

MOST_EMBEDDED = 5_000
"""Images that t-SNE embeds; each of the others comes to lie among its nearest ones of these."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Where images lie on a plane.

    Attributes:
        points: (N, 2) float32.
        linear: of which latents (N, D) these are the coordinates; None where the plane is not linear.
        axes: names of the two.
    """

    points: np.ndarray
    linear: LinearPlane | None
    axes: tuple[str, str]

    def at(self, latents: np.ndarray) -> np.ndarray:
        """(n, 2): where latents (n, D) lie. Raises ``ValueError`` where the plane is not linear."""
        if self.linear is None:
            raise ValueError("only the images themselves lie on this plane")
        return self.linear.at(latents)

    def nearest(self, x: float, y: float, unit: tuple[float, float] = (1.0, 1.0), count: int = 1) -> np.ndarray:
        """(count,) rows of the images nearest to a point, nearest first; distances are in these units of the axes."""
        across, up = (self.points[:, 0] - np.float32(x)) / unit[0], (self.points[:, 1] - np.float32(y)) / unit[1]
        distances = across * across + up * up
        if count == 1:
            return np.array([distances.argmin()])
        count = min(count, len(distances))
        rows = np.argpartition(distances, count - 1)[:count]
        return rows[np.argsort(distances[rows], kind="stable")]

    def latent_at(self, x: float, y: float, latents: np.ndarray) -> np.ndarray:
        """(D,) float32: a latent that lies at a point of the plane, such as images near it have.

        It is the mean of the nearest images' latents, weighted by 1 / distance²; on a linear plane it is moved along
        the plane, so that it lies exactly there.

        Args:
            x, y: on the plane.
            latents: (N, D) of all images, of which the plane may show the first dimensions.
        """
        rows = self.nearest(x, y, count=NEIGHBOURS)
        here = np.array([x, y])
        squares = np.square(self.points[rows].astype(np.float64) - here).sum(axis=1)
        weights = 1 / (squares + 1e-6 * squares.max() + 1e-12)
        found = weights @ latents[rows].astype(np.float64) / weights.sum()
        if self.linear is not None:
            size = self.linear.directions.shape[1]
            found[:size] += np.linalg.pinv(self.linear.directions) @ (here - self.at(found[None, :size])[0])
        return found.astype(np.float32)

    def ellipses(self, means: np.ndarray, covariances: np.ndarray, deviations: float = 2.0) -> list[np.ndarray]:
        """The outlines (64, 2) of Gaussians (K, D), (K, D, D) at so many standard deviations; none if not linear."""
        if self.linear is None:
            return []
        directions = self.linear.directions
        turn = np.linspace(0, 2 * np.pi, 64)
        circle, outlines = np.stack([np.cos(turn), np.sin(turn)], axis=1), []
        for mean, covariance in zip(self.at(means), directions @ covariances @ directions.T, strict=True):
            values, vectors = np.linalg.eigh(covariance)
            outlines.append(mean + deviations * (circle * np.sqrt(np.maximum(values, 0))) @ vectors.T)
        return outlines


def kinds_for(dimensions: int) -> dict[str, str]:
    """The planes that there are of latents of so many dimensions, and what they are called; the first is shown."""
    if dimensions > 2:
        return dict(KINDS)
    return {"latents": "latent dimensions"}


def make(kind: str, latents: np.ndarray, codes: np.ndarray | None = None, *, kept: Path | None = None,
         seed: int = 0) -> Plane:  # fmt: skip
    """The plane of a kind.

    Args:
        kind: one of ``kinds_for``.
        latents: (N, D) float.
        codes: (N,) of the images' classes, negative where there is none, for the discriminant plane.
        kept: a file where a t-SNE is looked up, and kept, since it takes a while.
        seed: of t-SNE.

    Raises:
        DataError: there are no two classes to tell apart.
    """
    match kind:
        case "latents":  # of a single one the second coordinate is 0
            return _linear(latents, planes.latent(latents), ("latent dimension 1", "latent dimension 2"))
        case "principal":
            return principal(latents)
        case "discriminant":
            return discriminant(latents, np.full(len(latents), -1) if codes is None else codes)
        case "tsne":
            return tsne(latents, kept, seed)
    raise ValueError(f"plane {kind!r} is none of {', '.join(kinds_for(latents.shape[1]))}")


def _linear(latents: np.ndarray, plane: LinearPlane, axes: tuple[str, str]) -> Plane:
    points = latents @ plane.directions.T.astype(np.float32) - (plane.directions @ plane.origin).astype(np.float32)
    return Plane(np.asarray(points, np.float32), plane, axes)


def principal(latents: np.ndarray) -> Plane:
    """The plane in which latents (N, D) vary most: their first two principal components."""
    found = planes.principal(latents)
    return _linear(latents, found, planes.names(found))


def discriminant(latents: np.ndarray, codes: np.ndarray) -> Plane:
    """The plane in which classes lie farthest apart for their spread.

    Args:
        latents: (N, D).
        codes: (N,) of the classes, negative where there is none.

    Raises:
        DataError: there are no two classes.
    """
    if len(np.unique(codes[codes >= 0])) < 2:
        raise DataError("there are no two classes to tell apart", None, "label images of two classes or more")
    return _linear(latents, planes.discriminant(latents, codes), ("discriminant 1", "discriminant 2"))


def tsne(latents: np.ndarray, kept: Path | None = None, seed: int = 0) -> Plane:
    """A t-SNE map (van der Maaten & Hinton 2008), computed once.

    Of more than ``MOST_EMBEDDED`` images so many are embedded, and each other one lies at the mean of its three
    nearest ones, weighted by 1 / distance².

    Args:
        latents: (N, D).
        kept: a file with the map of the same latents, which is made where there is none; None: it is not kept.
        seed: of all draws.
    """
    axes = "t-SNE 1 (neighbours are alike; long distances mean nothing)", "t-SNE 2"
    of = digest({"latents": latents, "seed": seed, "embedded": MOST_EMBEDDED})
    if kept is not None and kept.exists():
        try:
            found = read_arrays(kept, strict=True)
            if str(found.get("of")) == of and found["points"].shape == (len(latents), 2):
                return Plane(found["points"], None, axes)
        except (LatentError, KeyError):
            pass  # another file, or a damaged one: it is made again
    from latentcli.classifiers.graph.neighbours import nearest
    from latentcli.figures.tsne import embed

    some = np.sort(np.random.default_rng(seed).permutation(len(latents))[:MOST_EMBEDDED])
    embedded = embed(latents[some], seed)
    if len(some) == len(latents):
        points = embedded
    else:
        rows, distances = nearest(latents, latents[some], 3)
        weights = 1 / (np.square(distances) + 1e-9 * np.square(distances).max() + 1e-300)
        points = np.einsum("nk,nkd->nd", weights, embedded[rows]) / weights.sum(axis=1, keepdims=True)
    points = points.astype(np.float32)
    if kept is not None:
        with suppress(OutputError):  # it is shown all the same, and made again the next time
            write_arrays(kept, {"points": points, "of": np.asarray(of)})
    return Plane(points, None, axes)


def inside(points: np.ndarray, xs: Sequence[float], ys: Sequence[float]) -> np.ndarray:
    """(n,) rows of the points (N, 2) within a polygon, by the even-odd rule."""
    across, up = np.asarray(xs, np.float64), np.asarray(ys, np.float64)
    if len(across) < 3 or not (np.isfinite(across).all() and np.isfinite(up).all()):
        return np.empty(0, np.int64)
    x, y = points[:, 0], points[:, 1]
    boxed = np.flatnonzero((x >= across.min()) & (x <= across.max()) & (y >= up.min()) & (y <= up.max()))
    x, y = x[boxed], y[boxed]
    odd = np.zeros(len(boxed), bool)
    for x0, y0, x1, y1 in zip(across, up, np.roll(across, -1), np.roll(up, -1), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        odd ^= crosses & (x < x0 + (y - y0) * ((x1 - x0) / (y1 - y0)))
    return boxed[odd]
