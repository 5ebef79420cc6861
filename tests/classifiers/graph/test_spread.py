"""Label spreading and Poisson learning against dense systems and scikit-learn; a label left out against a fit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix
from sklearn.semi_supervised import LabelSpreading as Reference

from latentcli.classifiers.graph.laplacian import Graph
from latentcli.classifiers.graph.spread import LabelSpreading, PoissonLearning, leave_one_out

CLASSES = np.array([0, 0, 1, 1, 2, 2, 2])
ROWS = np.array([0, 7, 11, 20, 21, 30, 39])


def dense_weights(count=40, seed=0):
    points = np.random.default_rng(seed).normal(size=(count, 2))
    weights = np.exp(-np.square(points[:, None] - points[None]).sum(axis=2))
    np.fill_diagonal(weights, 0)
    return weights


def counts_of(rows=ROWS, classes=CLASSES, count=40):
    counts = np.zeros((count, 3))
    counts[rows, classes] = 1
    return counts


def scores(spread, weights, counts):
    sources, labelled = np.zeros_like(counts), counts.any(axis=1)
    sources[labelled] = spread.sources(counts[labelled])
    return spread.kernel(Graph(csr_matrix(weights)), sources)


def test_poisson_learning_solves_its_equation():
    weights, counts = dense_weights(), counts_of()
    found = scores(PoissonLearning(), weights, counts)
    degrees = weights.sum(axis=1)
    charges = np.zeros((40, 3))
    charges[ROWS] = np.eye(3)[CLASSES] - np.eye(3)[CLASSES].mean(axis=0)
    assert_allclose((np.diag(degrees) - weights) @ found, charges, atol=1e-5)
    assert_allclose(degrees @ found, 0, atol=1e-5)


def test_label_spreading_is_zhous():
    weights = dense_weights()
    root = np.sqrt(weights.sum(axis=1))
    similarity = weights / root[:, None] / root[None]
    dense = np.linalg.solve(np.eye(40) - 0.9 * similarity, counts_of())
    assert_allclose(scores(LabelSpreading(0.9), weights, counts_of()), dense, atol=1e-5)


def test_label_spreading_agrees_with_scikit_learn():
    points, weights = np.random.default_rng(0).normal(size=(40, 2)), dense_weights()
    labels = np.full(40, -1)
    labels[ROWS] = CLASSES

    def kernel(one, other):  # scikit-learn zeroes the diagonal itself
        return np.exp(-np.square(one[:, None] - other[None]).sum(axis=2))

    reference = Reference(kernel=kernel, alpha=0.9, max_iter=10_000, tol=1e-10).fit(points, labels)
    found = scores(LabelSpreading(0.9), weights, counts_of())
    assert_allclose(found / found.sum(axis=1, keepdims=True), reference.label_distributions_, atol=1e-5)


@pytest.mark.parametrize("spread", [LabelSpreading(0.9), PoissonLearning()])
def test_leaving_one_out_is_what_a_fit_without_it_gives(spread):
    weights, counts = dense_weights(), counts_of()
    counts[7, 1] = 1  # a point of two classes
    rows, classes = np.array([0, 7, 7, 21, 39]), np.array([0, 0, 1, 2, 2])
    found = leave_one_out(spread, Graph(csr_matrix(weights)), counts, rows, classes)
    for row, label, left in zip(rows, classes, found, strict=True):
        others = counts.copy()
        others[row, label] -= 1
        assert_allclose(left, scores(spread, weights, others)[row], atol=1e-5)
