"""The classifier of a space that is being labelled: fitted again after each label, and what that changed."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from latentcli.classifiers import CLASSIFIERS
from latentcli.classifiers.base import DensityClassifier, LatentClassifier
from latentcli.classifiers.fitting import features_for, features_of, fit_graph, fit_mixture, fit_probe
from latentcli.classifiers.graph.graph_classifier import GraphClassifier
from latentcli.classifiers.graph.neighbours import nearest
from latentcli.core.errors import ModelFileError
from latentcli.core.labels import UNLABELLED, Labels
from latentcli.core.latents import Latents
from latentcli.core.progress import Progress, silent

CORE = 4_000
"""Images that a classifier is fitted to while one labels, drawn by the seed, and those with a label; all of fewer."""

AT_ONCE = 16_384
"""Images that are classified at a time."""

RECENT = 100
"""Of the labels that are held against what the classifier had said before, the latest so many count: it learns."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What a classifier makes of all images.

    Attributes:
        classifier: None for a classifier of pixels, which is not fitted again.
        names: of its classes.
        probabilities: (N, C) float32 of each, rows summing to 1.
        codes: (N,) of the likeliest.
        typicality: (N,) in [0, 1], 0 being unlike all that it was fitted to; None where it has no density.
        whole: whether it was fitted to all images, and not to a core of them.
    """

    classifier: LatentClassifier | None
    names: tuple[str, ...]
    probabilities: np.ndarray
    codes: np.ndarray
    typicality: np.ndarray | None = None
    whole: bool = False

    def texts(self, rows: np.ndarray) -> np.ndarray:
        """(n,) names of the likeliest classes of these images."""
        return np.array(self.names)[self.codes[rows]]

    def uncertainty(self, rows: np.ndarray) -> np.ndarray:
        """(n,) in [0, 1], of these images: 1 less the lead of the likeliest class over the next; 1 of two as likely.

        Source: margin sampling (Scheffer, Decomain & Wrobel 2001).
        """
        if len(self.names) < 2:
            return np.zeros(len(rows), np.float32)
        two = np.partition(self.probabilities[rows], -2, axis=1)[:, -2:]
        return np.asarray(1 - (two[:, 1] - two[:, 0]))


def of_pixels(probabilities: np.ndarray, names: tuple[str, ...]) -> Reading:
    """The reading (N, C) of a classifier of pixels."""
    return Reading(None, names, probabilities, probabilities.argmax(axis=1), whole=True)


def changed(before: Reading | None, after: Reading) -> int:
    """How many images have another class than before; 0 where they had none."""
    if before is None:
        return 0
    place = {name: code for code, name in enumerate(after.names)}
    codes = np.array([place.get(name, -1) for name in before.names])
    return int((codes[before.codes] != after.codes).sum())


class Fitting:
    """Fits a classifier of one kind to the latents of images, to a core of them or to all, as labels come.

    A graph's neighbours are searched once: labels spread anew over the same graph. A mixture is fitted to the core and
    the labelled images, a probe to the labelled ones.

    Args:
        latents: of N images, with the features that it reads.
        kind: "mixture", "graph", or a probe's.
        features: name of these; None: the latents themselves.
        seed: of all draws.
    """

    def __init__(self, latents: Latents, kind: str = "graph", features: str | None = None, seed: int = 0) -> None:
        self.latents = replace(latents, labels=Labels.none(len(latents)))
        self.kind, self.features, self.seed = kind, features, seed
        self._points = features_of(latents, features)
        order = np.random.default_rng(seed).permutation(len(latents))
        self._core = np.sort(order[:CORE])
        self._graph: GraphClassifier | None = None
        self._voters: tuple[np.ndarray, np.ndarray] | None = None
        self._typicality: np.ndarray | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the core is all images."""
        return len(self._core) == len(self.latents)

    def prepare(self, progress: Progress = silent) -> None:
        """What can be done before there are labels: the graph, and which of its points vote on which image."""
        if self.kind != "graph" or self._graph is not None:
            return
        core = self._points[self._core]
        first = np.full(len(core), UNLABELLED)
        first[: min(2, len(core))] = [0, 1][: len(core)]  # any two: what they spread is not looked at
        graph: GraphClassifier = CLASSIFIERS["graph"](features=self.features, random_state=self.seed)
        graph.fit(core, first, progress=progress)
        rows, weights, typical = [], [], []
        with progress("finding neighbours", len(self._points)) as advance:
            for start in range(0, len(self._points), AT_ONCE):
                block = self._points[start : start + AT_ONCE]
                voters = graph.voters(block)
                rows.append(voters[0])
                weights.append(voters[1].astype(np.float32))
                typical.append(graph.typicality(block).astype(np.float32))
                advance(len(block))
        self._voters, self._typicality = (np.concatenate(rows), np.concatenate(weights)), np.concatenate(typical)
        self._graph = graph

    def quick(self, labels: Labels) -> Reading:
        """The classifier with these labels (N,) of two classes or more, fitted to the core.

        Raises:
            DataError, FitError: it cannot be fitted to them.
        """
        if self.kind == "graph":
            return self._spread(labels)
        rows = np.union1d(self._core, np.flatnonzero(labels.known))
        if self.kind != "mixture":
            rows = np.flatnonzero(labels.known)
        arrays = {name: array[rows] for name, array in self.latents.arrays.items()}
        some = replace(self.latents, arrays=arrays, labels=labels.take(rows), files=None)
        return replace(self.read(self._fitted(some)), whole=self.is_whole or self.kind != "mixture")

    def whole(self, labels: Labels) -> Reading:
        """The classifier that its command makes of the same latents and labels, to the last bit; errors as of it."""
        return replace(self.read(self._fitted(replace(self.latents, labels=labels))), whole=True)

    def read(self, classifier: LatentClassifier) -> Reading:
        """What a fitted classifier makes of all images.

        Raises:
            ModelFileError: it reads another number of features.
        """
        points = features_for(classifier, self.latents)
        count, names = len(points), tuple(str(name) for name in classifier.classes_)
        found = np.empty((count, len(names)), np.float32)
        typical = np.empty(count, np.float32) if isinstance(classifier, DensityClassifier) else None
        for start in range(0, count, AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            found[rows] = classifier.predict_proba(points[rows])
            if typical is not None and isinstance(classifier, DensityClassifier):
                try:
                    typical[rows] = classifier.typicality(points[rows])
                except ModelFileError:  # of a file that does not hold it
                    typical = None
        return Reading(classifier, names, found, found.argmax(axis=1), typical)

    def _fitted(self, latents: Latents) -> LatentClassifier:
        if self.kind == "mixture":
            return fit_mixture(latents, seed=self.seed)
        if self.kind == "graph":
            return fit_graph(latents, features=self.features, seed=self.seed)
        return fit_probe(latents, probe=self.kind, features=self.features, seed=self.seed)

    def _spread(self, labels: Labels) -> Reading:
        """Labels spread over the graph of the core; one of another image counts for the core's nearest to it."""
        self.prepare()
        assert self._graph is not None
        assert self._voters is not None
        known = np.flatnonzero(labels.known)
        named = np.array(labels.names)[labels.codes[known]]
        texts = np.full(len(self._core), "", named.dtype)
        place = np.searchsorted(self._core, known)
        own = (place < len(self._core)) & (self._core[np.minimum(place, len(self._core) - 1)] == known)
        others = known[~own]
        if len(others):
            measured = self._graph.in_units
            near, _ = nearest(measured(self._points[others]), measured(self._points[self._core]), 1)
            texts[near[:, 0]] = named[~own]
        texts[place[own]] = named[own]
        graph = self._graph.relabelled(texts, labels.names)
        graph.fitted_on_ = self.latents.checkpoint
        names = tuple(str(name) for name in graph.classes_)
        rows, weights = self._voters
        found = np.empty((len(rows), len(names)), np.float32)
        for start in range(0, len(rows), AT_ONCE):
            block = slice(start, start + AT_ONCE)
            found[block] = graph.voted(rows[block], weights[block])
        return Reading(graph, names, found, found.argmax(axis=1), self._typicality, self.is_whole)


def kind_of(classifier: Any) -> str:
    """The kind of a fitted classifier, as ``Fitting`` calls it."""
    kind = str(classifier.to_params()["kind"])
    return "mixture" if kind == "gmm" else kind


class Guesses:
    """How often a classifier had been right about images before their labels were given.

    Images that one labels because they are hard to tell make it a careful estimate: of others it is right more often.
    """

    def __init__(self) -> None:
        self._right: dict[int, bool] = {}

    def note(self, rows: np.ndarray, right: np.ndarray) -> None:
        """Images (n,) that get their first label, and whether (n,) the classifier had said so."""
        for row, was in zip(rows.tolist(), right.tolist(), strict=True):
            self._right.setdefault(row, was)

    def forget(self, rows: np.ndarray) -> None:
        """Images (n,) whose labels were taken back."""
        for row in rows.tolist():
            self._right.pop(row, None)

    @property
    def counts(self) -> tuple[int, int]:
        """How many of the latest ``RECENT`` were right, and how many they are."""
        latest = [*self._right.values()][-RECENT:]
        return sum(latest), len(latest)


def wilson(right: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """The interval in which a frequency lies with 95 % confidence, of which ``right`` of ``count`` were seen.

    Source: Wilson 1927.
    """
    if not count:
        return 0.0, 1.0
    share, extra = right / count, z * z / count
    centre = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * math.sqrt(share * (1 - share) / count + extra / (4 * count))
    return max(0.0, centre - half), min(1.0, centre + half)
