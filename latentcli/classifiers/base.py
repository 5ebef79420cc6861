"""What the commands ask of a fitted classifier of latents, whether it is a mixture or a probe."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np


class LatentClassifier(ABC):
    """scikit-learn's classifier, which also says which features of which model it reads.

    Attributes:
        features: name of the features, one of the model's ``FEATURES``; None: the first of them.
        fitted_on_: fingerprint of the checkpoint whose features it reads; "" where that is unknown.
        classes_: (C,) the labels that occur, in the order that ``fit`` says.
        n_features_in_: F, how many numbers it reads of each image.
    """

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
        """Write ``gmm_params.pkl`` or ``probe.pth``, whole or not at all.

        Raises:
            OutputError: the file cannot be written.
        """
        import latentcli

        latentcli.save_classifier(self, path)


class DensityClassifier(LatentClassifier):
    """A classifier that also knows how likely a point is, so that it can reject points of unknown classes."""

    @abstractmethod
    def typicality(self, X: np.ndarray) -> np.ndarray:
        """(N,) in [0, 1]: the fraction of the fitted points that are less likely than each of X (N, F)."""
