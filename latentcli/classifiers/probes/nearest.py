"""Nearest neighbours as a probe: nothing is learnt, so it shows how images of one class cluster."""

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from latentcli.classifiers.probes.probe import Arrays, OnEpoch, Probe, standardisation
from latentcli.core.labels import UNLABELLED
from latentcli.core.settings import setting


@dataclass(kw_only=True, eq=False, repr=False)
class NearestNeighbours(Probe):
    """The vote of the nearest labelled images, each weighted by the inverse of its distance.

    The distance is Euclidean after standardising, and of codes the number of positions that differ (Hamming).

    Attributes:
        n_neighbors: how many vote; all where there are fewer.
    """

    KIND = "knn"

    n_neighbors: int = setting(5, between=(1, 10_000))

    def _learn(self, X: np.ndarray, labels: np.ndarray, on_epoch: OnEpoch) -> None:
        if not self.codes_:
            self.mean_, self.scale_ = standardisation(X)
        rows = np.flatnonzero(labels != UNLABELLED)
        self._remember(self._coordinates(X[rows]), labels[rows])

    def _remember(self, points: np.ndarray, labels: np.ndarray) -> None:
        metric = "hamming" if self.codes_ else "euclidean"
        count = min(self.n_neighbors, len(points))
        self.points_, self.labels_ = points, labels
        self.neighbours_ = KNeighborsClassifier(count, weights="distance", algorithm="brute", metric=metric)
        self.neighbours_.fit(points, labels)

    def _coordinates(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32, which distances are measured between; it is exact for codes."""
        points = X.astype(np.float32)
        if not self.codes_:
            points -= self.mean_
            points /= self.scale_
        return points

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.neighbours_.predict_proba(self._coordinates(X)), dtype=np.float64)

    def _arrays(self) -> Arrays:
        standard = {} if self.codes_ else {"mean": self.mean_, "scale": self.scale_}
        return {**standard, "points": self.points_, "labels": self.labels_.astype(np.int64)}

    def _adopt(self, arrays: Arrays) -> None:
        width, count = self.n_features_in_, len(np.atleast_1d(arrays.get("labels", ())))
        expected = {"points": (count, width), "labels": (count,)}
        expected |= {} if self.codes_ else {"mean": (width,), "scale": (width,)}
        if {name: array.shape for name, array in arrays.items()} != expected or not width * count:
            raise ValueError(f"expected arrays of the shapes {expected}")
        labels, floats = arrays["labels"], [array for name, array in arrays.items() if name != "labels"]
        if any(array.dtype != np.float32 for array in floats) or labels.dtype != np.int64:
            raise ValueError("expected float32 numbers, and int64 labels")
        if sorted(set(labels.tolist())) != list(range(len(self.classes_))):
            raise ValueError("expected labels of each of its classes")
        if not self.codes_:
            self.mean_, self.scale_ = arrays["mean"], arrays["scale"]
            if not (self.scale_ > 0).all():
                raise ValueError("expected a positive scale")
        self._remember(arrays["points"], labels)
