"""Which labels are doubted: planted ones, by labels that do not include their own."""

import tracemalloc

import numpy as np
import pytest

from latentcli.classifiers.doubts import doubts
from latentcli.classifiers.graph.graph_classifier import GraphClassifier
from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.classifiers.probes.nearest import NearestNeighbours
from latentcli.core.labels import Labels

NAMES = ("a", "b", "c")


def clusters(wrong=(3, 44, 77)) -> tuple[np.ndarray, Labels, np.ndarray]:
    """Three clusters of 30 points, their labels, of which these rows have the next class's, and the true ones."""
    truth = np.repeat(np.arange(3), 30)
    points = np.array([[0, 0], [8, 0], [0, 8]])[truth] + np.random.default_rng(0).normal(size=(90, 2))
    codes = truth.copy()
    codes[list(wrong)] = (truth[list(wrong)] + 1) % 3
    return points.astype(np.float32), Labels(codes, NAMES), truth


@pytest.mark.parametrize("classifier", [None, GraphClassifier(), GaussianMixtureClassifier(random_state=0)])
def test_planted_labels_are_doubted_whoever_judges(classifier):
    points, labels, truth = clusters()
    rows, probabilities, doubted = doubts(points, labels, classifier)
    assert rows.tolist() == [*range(90)]
    assert rows[doubted].tolist() == [3, 44, 77]
    assert (probabilities.argmax(axis=1) == truth).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_a_classifier_that_has_learned_the_wrong_labels_does_not_vouch_for_them():
    points, labels, _ = clusters()
    probe = NearestNeighbours(n_neighbors=1).fit(points, labels.texts)
    assert (probe.predict(points) == labels.texts).all()
    assert {3, 44, 77} <= {*np.flatnonzero(doubts(points, labels, probe).doubted)}


def test_what_cannot_be_judged_is_left_alone():
    points, labels, _ = clusters(())
    codes = labels.codes.copy()
    codes[60:] = -1
    codes[[60, 61]] = 2  # two labels of a class are too few
    codes[10:20] = -1
    found = doubts(points, Labels(codes, NAMES))
    assert found.rows.tolist() == [*range(10), *range(20, 60)]
    assert not found.doubted.any()
    assert (found.probabilities[:, 2] == 0).all()
    assert len(doubts(points, Labels(np.zeros(90, int), NAMES)).rows) == 0
    assert len(doubts(points, Labels.none(90)).rows) == 0


def test_many_classes_take_no_room_for_each_neighbour():
    points, codes = np.random.default_rng(0).normal(size=(3_000, 2)), np.arange(3_000) % 600
    labels = Labels(codes, tuple(map(str, range(600))))
    tracemalloc.start()
    doubts(points, labels, NearestNeighbours(n_neighbors=1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 8 * labels.counts.size * len(points)  # eight tables of a number for each label and class


def test_the_seed_decides():
    points, labels, _ = clusters()
    one, two, other = (doubts(points, labels, seed=seed).probabilities for seed in (0, 0, 1))
    assert (one == two).all()
    assert (one != other).any()
