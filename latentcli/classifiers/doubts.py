"""Labels that are likely wrong: what others that have not seen it say of an image's label.

Source: probabilities that were computed without an image's own label, and of these that of the given label, as in
confident learning (Northcutt, Jiang & Chuang 2021, self-confidence); the mean of two models (Kuan & Mueller 2022).
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from latentcli.classifiers.base import LatentClassifier
from latentcli.classifiers.graph.neighbours import nearness, neighbours
from latentcli.classifiers.probes.probe import standardisation
from latentcli.core.labels import Labels
from latentcli.core.progress import Progress, silent

FOLDS, FEWEST = 5, 3
"""Parts of the labels, each of which is left out once; and labels of a class below which it is left alone."""

NEIGHBOURS = 10
MOST_LEARNED = 10_000
"""Labelled images that a logistic regression learns from at most."""

DOUBTED = 0.5
"""A label is doubted that has less than this part of an even share: with ten classes, a probability below 0.05."""


class Doubts(NamedTuple):
    """What is said of R labels: their ``rows`` (R,), ``probabilities`` (R, K), and whether each is ``doubted`` (R,)."""

    rows: np.ndarray
    probabilities: np.ndarray
    doubted: np.ndarray


def doubts(
    points: np.ndarray, labels: Labels, classifier: LatentClassifier | None = None, *, seed: int = 0,
    progress: Progress = silent,
) -> Doubts:  # fmt: skip
    """Probabilities of the classes of each labelled point, by all labels but its own.

    They are the mean of two: the vote of its ten nearest labelled neighbours, each weighted as in a graph, and one even
    vote more; and what a classifier says that was fitted to the other four fifths of the labels.

    Args:
        points: (N, F) floats.
        labels: of these; none is judged of classes with fewer than ``FEWEST``, nor where all others are one class.
        classifier: one of the kind to fit, which itself is not asked, as it may have seen the labels; None: a logistic
            regression.
        seed: of the split.
        progress: told about the fits.

    Raises:
        FitError: the classifier cannot be fitted to four fifths of the labels.
    """
    judged = np.flatnonzero(labels.counts >= FEWEST)
    rows = np.flatnonzero(np.isin(labels.codes, judged))
    if len(judged) < 2:
        return Doubts(np.empty(0, int), np.empty((0, len(labels.names))), np.empty(0, bool))
    given, width = labels.codes[rows], len(labels.names)
    mean, scale = standardisation(points)
    standard = (points - mean) / scale
    near, distances = neighbours(standard[rows], min(NEIGHBOURS, len(rows) - 1), progress)
    votes = np.zeros((len(rows), width))
    np.add.at(votes, (np.arange(len(rows))[:, None], given[near]), nearness(distances))
    votes[:, judged] += 1 / len(judged)
    of_neighbours = votes / votes.sum(axis=1, keepdims=True)
    fold_of, random = np.empty(len(rows), int), np.random.default_rng([seed, FOLDS])
    for code in judged:
        of_class = random.permutation(np.flatnonzero(given == code))
        fold_of[of_class] = np.arange(len(of_class)) % FOLDS
    of_classifier = np.zeros((len(rows), width))
    with progress("fitting without a fifth of the labels", FOLDS) as advance:
        for fold in range(FOLDS):
            out = fold_of == fold
            if out.any():
                seen = Labels(np.full(len(points), -1), labels.names)
                seen.codes[rows[~out]] = given[~out]
                learner = _fitted(points if classifier is not None else standard, seen, classifier, random)
                columns = [labels.names.index(str(name)) for name in learner.classes_]
                asked = points if classifier is not None else standard
                of_classifier[np.ix_(out, columns)] = learner.predict_proba(asked[rows[out]])
            advance(1)
    found = (of_neighbours + of_classifier) / 2
    return Doubts(rows, found, found[np.arange(len(rows)), given] < DOUBTED / len(judged))


def _fitted(points: np.ndarray, seen: Labels, classifier: LatentClassifier | None, random: np.random.Generator) -> Any:
    rows = np.flatnonzero(seen.known)
    if classifier is not None:
        learner, classes = clone(classifier), len(np.unique(seen.codes[rows]))
        if (learner.get_params().get("n_components") or classes) < classes:  # a mixture that knew fewer classes
            learner.set_params(n_components=classes)
        return learner.fit(points, seen.texts)
    if len(rows) > MOST_LEARNED:
        rows = np.sort(random.choice(rows, MOST_LEARNED, replace=False))
    return LogisticRegression(C=0.1, max_iter=1_000, tol=1e-3).fit(points[rows], seen.texts[rows])
