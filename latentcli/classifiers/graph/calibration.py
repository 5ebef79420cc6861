"""Probabilities from scores of classes: a temperature, and the sizes of the classes where they are known."""

import numpy as np
from scipy.special import log_softmax, softmax

TEMPERATURES = np.geomspace(0.02, 50, 81)
_MAX_ITERATIONS = 1_000
_TOLERANCE = 1e-6


def temperature(logits: np.ndarray, classes: np.ndarray) -> float:
    """Of ``TEMPERATURES`` that with which logits (n, C) make their true classes (n,) likeliest.

    Half an image more is counted that is of every class alike, so that a few images that are all right do not make
    the probabilities 0 and 1.

    Source: temperature scaling (Guo et al. 2017); targets that fall short of 1, as by Platt 1999; a half: Jeffreys.
    """

    def likelihood(of: float) -> float:
        logs = log_softmax(logits / of, axis=1)
        return float(logs[np.arange(len(classes)), classes].sum() + logs.mean() / 2)

    return float(max(TEMPERATURES, key=likelihood))


def probabilities(logits: np.ndarray, temperature: float, shares: np.ndarray | None = None) -> np.ndarray:
    """(N, C) float64, rows summing to 1: softmax(logits / temperature + b).

    Args:
        shares: (C,) of the classes, positive, summing to 1: b is such that the mean of the probabilities is this. None:
            b = 0.

    Source: Saerens, Latinne & Decaestecker 2002 for probabilities whose classes have other shares; the iteration is
    proportional fitting (Deming & Stephan 1940), which converges.
    """
    scaled = logits / temperature
    if shares is None:
        return np.asarray(softmax(scaled, axis=1))
    found = np.asarray(softmax(scaled, axis=1))
    for _ in range(_MAX_ITERATIONS):
        means = found.mean(axis=0)
        if np.abs(means - shares).max() < _TOLERANCE:
            break
        found *= shares / np.maximum(means, 1e-300)
        found /= found.sum(axis=1, keepdims=True)
    return found
