"""What the commands ask of a fitted classifier of latents, whether it is a mixture, a graph or a probe."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

MOST_KEPT = 1_000
"""Labelled points of each class that a classifier remembers, for others to be compared with it: the first of them."""


def first_of_each(classes: np.ndarray) -> np.ndarray:
    """Rows of the first ``MOST_KEPT`` of each class, of classes (L,); ascending."""
    rows = [np.flatnonzero(classes == label)[:MOST_KEPT] for label in np.unique(classes)]
    return np.sort(np.concatenate(rows))


class LatentClassifier(ABC):
    """scikit-learn's classifier, which also says which features of which model it reads.

    Attributes:
        features: name of the features, one of the model's ``FEATURES``; None: the first of them.
        fitted_on_: fingerprint of the checkpoint whose features it reads; "" where that is unknown.
        classes_: (C,) the labels that occur, in the order that ``fit`` says.
        n_features_in_: F, how many numbers it reads of each image.
    """

    MADE_BY: ClassVar[str] = "`fit_mixture(latents)`, `fit_graph`, `fit_probe`, or `load_classifier(path)`"

    features: str | None
    fitted_on_: str = ""
    classes_: np.ndarray
    n_features_in_: int

    @abstractmethod
    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, C) float64: p(class | features) of X (N, F), columns as in ``classes_``; rows sum to 1."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        """(N,) the likeliest of ``classes_`` for each row of X (N, F)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    @abstractmethod
    def to_params(self) -> dict[str, Any]:
        """The content of its file as plain values and arrays, with ``checkpoint`` where ``fitted_on_`` is known."""

    def save(self, path: str | Path) -> None:
        """Write ``gmm_params.pkl``, ``graph.npz`` or ``probe.pth``, whole or not at all.

        Raises:
            OutputError: the file cannot be written.
        """
        import latentcli

        latentcli.save_classifier(self, path)


class DensityClassifier(LatentClassifier):
    """A classifier that also knows where points are, so that it can reject others, and hybrids can be drawn from it."""

    MADE_BY: ClassVar[str] = "`fit_mixture(latents)`, `fit_graph`, or `load_classifier(path)`"

    LIKELIHOOD: ClassVar[str]
    """What its own probabilities are called among the likelihoods of hybrids."""

    @abstractmethod
    def typicality(self, X: np.ndarray) -> np.ndarray:
        """(N,) in [0, 1]: the fraction of the fitted points that are less likely than each of X (N, F)."""

    @abstractmethod
    def draw_of_classes(self, classes: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """(n, F): a point of each of these classes (n,), indices into ``classes_``.

        Raises:
            UsageError: there is no point of a class.
        """

    @property
    @abstractmethod
    def learned_from(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Labelled points that it was fitted to, at most ``MOST_KEPT`` of a class: where they are, and their classes.

        (L, d) ``coordinates``, and (L,) indices into ``classes_``; None where there were none, or it was not kept.
        """

    def predict_log_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, C) float64: log p(class | features) of X (N, F); −∞ where p is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def coordinates(self, X: np.ndarray) -> np.ndarray:
        """(N, d): the points X (N, F) in the space that distances between them are measured in."""
        return X

    def points_at(self, coordinates: np.ndarray) -> np.ndarray:
        """(N, F): the points at coordinates (N, d) of that space."""
        return coordinates
