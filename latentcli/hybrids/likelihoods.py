"""How much of each class a latent point is."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.special import log_softmax

from latentcli.core.errors import ModelFileError, UsageError
from latentcli.core.progress import Progress, silent
from latentcli.hybrids.posteriors import Posteriors

if TYPE_CHECKING:
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier

LogLikelihood = Callable[[np.ndarray], np.ndarray]
"""log p(class | z), (N, C), of latents (N, D); each row is a distribution; −∞ where a probability is 0."""


class Likelihood(Protocol):
    """Makes a log likelihood from a mixture, and from images where it needs them, which may take a while."""

    def __call__(
        self, mixture: "GaussianMixtureClassifier", images: Posteriors | None = None, progress: Progress = silent
    ) -> LogLikelihood: ...


def of_mixture(
    mixture: "GaussianMixtureClassifier", images: Posteriors | None = None, progress: Progress = silent
) -> LogLikelihood:
    """By the responsibilities of the classes' components."""
    return mixture.predict_log_proba


def of_class_gaussians(
    mixture: "GaussianMixtureClassifier", images: Posteriors | None = None, progress: Progress = silent
) -> LogLikelihood:
    """By one diagonal Gaussian for each class, all classes equally likely a priori.

    Raises:
        ModelFileError: when the mixture's file does not hold them.
    """
    gaussians = mixture.class_gaussians_
    if gaussians is None:
        raise ModelFileError(
            "the mixture does not hold a Gaussian for each class",
            "expected class_means and class_variances in its file",
            "fit it again: latentcli fit-gmm",
        )
    return lambda latents: log_softmax(gaussians.log_densities(mixture.transform(latents)), axis=1)


def of_neighbours(
    mixture: "GaussianMixtureClassifier", images: Posteriors | None = None, progress: Progress = silent
) -> LogLikelihood:
    """By the nearest images, over which the mixture's labels have been propagated.

    Raises:
        UsageError: when there are no images.
        DataError: when there are too many to search, or all of them are of classes that the mixture does not have.
    """
    from latentcli.hybrids.spreading import SpreadLabels

    if images is None:
        raise UsageError(
            "the likelihood neighbours needs images, whose soft labels it averages",
            remedy="give images, or their latents, as `near`",
        )
    return SpreadLabels(mixture, images, progress)


LIKELIHOODS: dict[str, Likelihood] = {
    "mixture": of_mixture,
    "class-gaussian": of_class_gaussians,
    "neighbours": of_neighbours,
}

WITH_IMAGES = ("neighbours",)
"""Those that need images."""


def soft_labels(log_likelihoods: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(N, C) float64, rows summing to 1: p ∝ likelihood^(1 / temperature).

    Args:
        log_likelihoods: (N, C) logarithms, each row known up to a constant.
        temperature: above 0; below 1 sharpens, above 1 softens.
    """
    scaled = (log_likelihoods - log_likelihoods.max(axis=1, keepdims=True)) / temperature
    return np.exp(log_softmax(scaled, axis=1))
