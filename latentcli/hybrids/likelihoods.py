"""How much of each class a latent point is."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax

from latentcli.core.errors import ModelFileError, UsageError
from latentcli.hybrids.spreading import SpreadLabels

if TYPE_CHECKING:
    from latentcli.classifiers.base import DensityClassifier

LogLikelihood = Callable[[np.ndarray], np.ndarray]
"""log p(class | z), (N, C), of latents (N, D); each row is a distribution; −∞ where a probability is 0."""


def of_class_gaussians(classifier: "DensityClassifier", *_: object) -> LogLikelihood:
    """By one diagonal Gaussian for each class, all equally likely a priori; the mixture's file must hold them."""
    gaussians = getattr(classifier, "class_gaussians_", None)
    if gaussians is None:
        problem, expected = "the classifier does not hold a Gaussian for each class", "class_means and class_variances"
        raise ModelFileError(
            problem, f"expected a mixture with {expected}", "fit it again: latentcli fit-gmm DATA MODEL.pth -o FILE"
        )
    return lambda latents: log_softmax(gaussians.log_densities(classifier.coordinates(latents)), axis=1)


def its_own(kind: str) -> Callable[..., LogLikelihood]:
    """What a classifier of this kind says itself: the responsibilities of a mixture's components, a graph's vote."""

    def of(classifier: "DensityClassifier", *_: object) -> LogLikelihood:
        if kind != classifier.LIKELIHOOD:
            found = f"found a {classifier.LIKELIHOOD}"
            raise UsageError(f"the likelihood {kind} is of a {kind}", found, "leave out `likelihood`")
        return classifier.predict_log_proba

    return of


LIKELIHOODS: dict[str, Callable[..., LogLikelihood]] = {
    "mixture": its_own("mixture"), "graph": its_own("graph"), "class-gaussian": of_class_gaussians,
    "neighbours": SpreadLabels,
}  # fmt: skip
"""Makers of log likelihoods, from a classifier, and from images where they need them, which may take a while."""

WITH_IMAGES = ("neighbours",)
"""Likelihoods that need images."""


def soft_labels(log_likelihoods: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(N, C) float64, rows summing to 1: p ∝ likelihood^(1 / temperature); each row (C,) is known up to a constant."""
    scaled = (log_likelihoods - log_likelihoods.max(axis=1, keepdims=True)) / temperature
    return np.exp(log_softmax(scaled, axis=1))
