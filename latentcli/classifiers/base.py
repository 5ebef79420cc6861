"""What the commands ask of a fitted classifier of latents, whether it is a mixture or a probe."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np


class LatentClassifier(Protocol):
    """scikit-learn's classifier, which also says which features of which model it reads.

    Attributes:
        features: name of the features, one of the model's ``FEATURES``; None: the first of them.
        fitted_on_: fingerprint of the checkpoint whose features it reads; "" where that is unknown.
        classes_: (C,) the classes.
        n_features_in_: F, how many numbers it reads of each image.
    """

    features: str | None
    fitted_on_: str
    classes_: np.ndarray
    n_features_in_: int

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, C): p(class | features) for features X (N, F); rows sum to 1."""

    def to_params(self) -> dict[str, Any]:
        """The content of its file, with ``checkpoint`` where ``fitted_on_`` is known."""


@runtime_checkable
class DensityClassifier(LatentClassifier, Protocol):
    """A classifier that also knows how likely a point is, so that it can reject points of unknown classes."""

    def typicality(self, X: np.ndarray) -> np.ndarray:
        """(N,) in [0, 1]: the fraction of the fitted points that are less likely than each of X (N, F)."""


class Savable:
    """A fitted classifier that knows how to write itself."""

    fitted_on_: str = ""

    def save(self, path: str | Path) -> None:
        """Write ``gmm_params.pkl`` or ``probe.pth``, whole or not at all.

        Raises:
            OutputError: the file cannot be written.
        """
        import latentcli

        latentcli.save_classifier(self, path)
