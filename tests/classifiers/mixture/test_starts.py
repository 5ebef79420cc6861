"""Where EM starts: classes as the nearest labels draw them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neighbors import KNeighborsClassifier

from latentcli.classifiers.mixture import starts
from latentcli.classifiers.mixture.expectation_maximisation import Samples
from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.core.labels import UNLABELLED


def cloud(samples=600, dimensions=3, classes=3, labelled=30, seed=0):
    """One correlated cloud cut into classes: points (N, D), and labels (N,), of some."""
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(samples, dimensions)) @ generator.normal(size=(dimensions, dimensions)) + 5.0
    order = np.argsort(points[:, 0])
    truth = np.empty(samples, dtype=int)
    truth[order] = np.arange(samples) * classes // samples
    labels = np.where(generator.permutation(samples) < labelled, truth, UNLABELLED)
    return points, labels


def begun(points, labels):
    return starts.start(Samples(points, labels, 100), 3, 3, "full", np.random.default_rng(0))


def test_each_point_begins_in_the_class_of_its_nearest_label():
    points, labels = cloud()
    known = labels != UNLABELLED
    data = np.cov(points.T, bias=True)
    nearest = KNeighborsClassifier(
        1, metric="mahalanobis", metric_params={"VI": np.linalg.inv(data)}, algorithm="brute"
    )
    members = nearest.fit(points[known], labels[known]).predict(points)
    means = np.array([points[members == one].mean(axis=0) for one in range(3)])
    scatter = sum((points[members == one] - means[one]).T @ (points[members == one] - means[one]) for one in range(3))
    found = begun(points, labels)
    assert_allclose(found.means, means, atol=1e-4)
    pooled = (scatter + 3 * 0.1 * data) / (len(points) - 3 + 3)
    assert_allclose(found.covariances, np.repeat(pooled[None], 3, axis=0), rtol=1e-3, atol=1e-4)
    assert_allclose(found.weights, 1 / 3)


def test_a_label_counts_for_its_own_point_whatever_lies_beside_it():
    points, labels = cloud()
    first = np.flatnonzero(labels == 0)[0]
    twice, named = np.concatenate([points, points[[first]]]), np.append(labels, 1)
    moved = begun(twice, named).means - begun(points, labels).means
    assert abs(moved[1]).max() > 0
    assert_allclose(moved[0], 0, atol=1e-4)


def test_torch_begins_where_numpy_does(monkeypatch):
    points, labels = cloud()
    expected = begun(points, labels)
    monkeypatch.setattr("latentcli.classifiers.mixture.expectation_maximisation._namespace", lambda device: torch)
    found = begun(points, labels)
    assert_allclose(found.means, expected.means, atol=1e-9)
    assert_allclose(found.covariances, expected.covariances, atol=1e-9)


def test_of_many_labels_some_of_each_class_are_looked_at():
    generator = np.random.default_rng(0)
    labels = np.where(np.arange(9_000) < 5, 2, np.arange(9_000) % 2)
    samples = Samples(generator.normal(size=(9_000, 2)), labels, 1_000)
    points, theirs = starts._prototypes(samples, 3, generator)
    assert_array_equal(np.bincount(theirs), [333, 333, 5])
    assert len(np.unique(points, axis=0)) == len(points)
    assert {tuple(point) for point in points[theirs == 2]} == {tuple(point) for point in samples.points[:5]}


@pytest.mark.parametrize("at", [(8, 8), (9, 8), (10, 8)])
@pytest.mark.parametrize("seed", range(3))
def test_a_group_apart_stays_with_its_class(at, seed):
    """A tenth of a class lies where another, wider class could reach it, and two of its labels say whose it is."""
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(2_000, 8))
    points[:100, :2] += at
    points[1_000:] *= 3.0
    points[1_000:, 0] += 10.0
    labels = np.full(2_000, UNLABELLED)
    labels[:2] = labels[100:118] = 0
    labels[1_000:1_020] = 1
    fitted = GaussianMixtureClassifier(2).fit(points, labels)
    assert np.mean(fitted.predict(points[:100]) == 0) > 0.9
