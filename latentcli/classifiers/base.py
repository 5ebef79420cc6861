"""What the commands ask of a fitted latent classifier, whether it is a mixture or a probe."""

from typing import Any, Protocol, runtime_checkable

import numpy as np


class LatentClassifier(Protocol):
    """scikit-learn's classifier, and which features of an image it reads.

    Attributes:
        features: name of the features, one of the model's ``FEATURES``; None: the first of them.
        classes_: (C,) the classes.
        n_features_in_: F, how many numbers it reads of each image.
    """

    features: str | None
    classes_: np.ndarray
    n_features_in_: int

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, C): p(class | features) for features X (N, F); rows sum to 1."""


@runtime_checkable
class DensityClassifier(LatentClassifier, Protocol):
    """A classifier that also knows how likely a point is: it can reject strangers and be sampled from."""

    def typicality(self, X: np.ndarray) -> np.ndarray:
        """(N,) in [0, 1]: the fraction of the fitted points that are less likely than each of X (N, F)."""

    def sample(self, n: int = 1, seed: Any = 0) -> tuple[np.ndarray, np.ndarray]:
        """Draw points: (n, F), and the component each came from, (n,) int."""
