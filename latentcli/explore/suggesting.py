"""Which images to look at next: those whose labels would help most, and those that seem wrong."""

from typing import NamedTuple

import numpy as np

from latentcli.core.labels import Labels
from latentcli.explore.fitting import Reading


class Finding(NamedTuple):
    """An image that seems to be in trouble: of what kind, how much so, and with which other image; -1 for none."""

    row: int
    kind: str
    score: float
    other: int = -1


def suggested(points: np.ndarray, reading: Reading | None, labels: Labels, count: int, seed: int = 0) -> np.ndarray:
    """(n,) rows of at most ``count`` images without a label whose labels would help most, the best first.

    Those that the classifier tells apart least; without one, images drawn by the seed.
    """
    free = np.flatnonzero(~labels.known)
    if reading is None:
        return np.random.default_rng(seed).permutation(free)[:count]
    return free[np.argsort(-reading.uncertainty[free], kind="stable")[:count]]


def trouble(points: np.ndarray, reading: Reading | None, labels: Labels, count: int) -> list[Finding]:
    """At most ``count`` images that seem to be labelled wrongly, or to be like no other: the worst first."""
    if reading is None:
        return []
    found: list[Finding] = []
    place = {name: code for code, name in enumerate(reading.names)}
    known = np.flatnonzero(labels.known)
    own = np.array([place.get(name, -1) for name in labels.names] or [-1])[labels.codes[known]]
    rows, own = known[own >= 0], own[own >= 0]
    score = 1 - reading.probabilities[rows, own]
    found += [
        Finding(int(row), "label", float(each)) for row, each in zip(rows, score, strict=True) if each > 0.5
    ]  # fmt: skip
    if reading.typicality is not None:
        odd = np.argsort(reading.typicality, kind="stable")[:count]
        found += [Finding(int(row), "outlier", float(1 - reading.typicality[row])) for row in odd]
    return sorted(found, key=lambda each: (each.kind != "label", -each.score))[:count]
