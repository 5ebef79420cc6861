"""Probabilities from scores of classes: a temperature, and the sizes of the classes where they are known."""

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, softmax

TEMPERATURES = np.geomspace(0.02, 50, 81)
_MAX_ITERATIONS = 1_000
_TOLERANCE = 1e-6
_MOST_LOOKED_AT, _STRIDE = 10_000, 5  # images, and temperatures, for a first look


class Calibration(NamedTuple):
    """Probabilities are softmax(logits / ``temperature`` + ``offsets`` (C,))."""

    temperature: float
    offsets: np.ndarray


def calibrated(
    logits: np.ndarray, without: np.ndarray, classes: np.ndarray, shares: np.ndarray | None = None
) -> Calibration:
    """The temperature by labels that were left out, together with the offsets that give classes their shares.

    With shares, each temperature is judged with the offsets that it needs. An answer then counts as often as its class
    is there by its share: labels may be as many of each class, or any number.

    Args:
        logits: (N, C) of all images, on which the shares are to be met.
        without: (n, C) of the images whose labels were left out.
        classes: (n,) of these labels.
        shares: as for ``offsets``.
    """
    if shares is None:
        return Calibration(temperature(without, classes), np.zeros(logits.shape[1]))
    weights = (shares / np.maximum(np.bincount(classes, minlength=len(shares)), 1))[classes]
    weights *= len(classes) / weights.sum()
    some = logits[:: -(-len(logits) // _MOST_LOOKED_AT)]

    def likelihood(of: float) -> float:
        return _likelihood(without, classes, Calibration(of, offsets(some, of, shares)), weights)

    coarse = max(range(0, len(TEMPERATURES), _STRIDE), key=lambda place: likelihood(float(TEMPERATURES[place])))
    near = TEMPERATURES[max(0, coarse - _STRIDE + 1) : coarse + _STRIDE].tolist()
    best = max(near, key=likelihood)
    return Calibration(best, offsets(logits, best, shares))


def temperature(logits: np.ndarray, classes: np.ndarray) -> float:
    """Of ``TEMPERATURES`` that with which logits (n, C) make their true classes (n,) likeliest.

    Half an image more is counted that is of every class alike, so that a few images that are all right do not make
    the probabilities 0 and 1.

    Source: temperature scaling (Guo et al. 2017); targets that fall short of 1, as by Platt 1999; a half: Jeffreys.
    """
    none, alike = np.zeros(logits.shape[1]), np.ones(len(classes))
    of = max(TEMPERATURES, key=lambda each: _likelihood(logits, classes, Calibration(each, none), alike))
    return float(of)


def _likelihood(logits: np.ndarray, classes: np.ndarray, of: Calibration, weights: np.ndarray) -> float:
    """Of these classes (n,), each counted as often as its weight, and the half of an image of all: see there."""
    logs = log_softmax(logits / of.temperature + of.offsets, axis=1)
    return float((logs[np.arange(len(classes)), classes] * weights).sum() + logs.mean() / 2)


def probabilities(logits: np.ndarray, of: Calibration) -> np.ndarray:
    """(N, C) float64, rows summing to 1: softmax(logits / temperature + offsets)."""
    return np.asarray(softmax(logits / of.temperature + of.offsets, axis=1))


def offsets(logits: np.ndarray, temperature: float, shares: np.ndarray | None) -> np.ndarray:
    """(C,): b such that the mean of softmax(logits / temperature + b) over all N images is the shares.

    Args:
        shares: (C,) of the classes, positive, summing to 1. None: b = 0.

    Source: Saerens, Latinne & Decaestecker 2002 for probabilities whose classes have other shares; the iteration is
    proportional fitting (Deming & Stephan 1940), which converges.
    """
    added = np.zeros(logits.shape[1])
    if shares is None:
        return added
    found = np.asarray(softmax(logits / temperature, axis=1))
    for _ in range(_MAX_ITERATIONS):
        means = found.mean(axis=0)
        if np.abs(means - shares).max() < _TOLERANCE:
            break
        factors = shares / np.maximum(means, 1e-300)
        added += np.log(factors)
        found *= factors
        found /= found.sum(axis=1, keepdims=True)
    return added
