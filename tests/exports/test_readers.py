"""Classifiers as networks give the probabilities that the classifiers give."""

import numpy as np
import pytest
import torch

from latentcli.classifiers.graph.graph_classifier import GraphClassifier
from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.classifiers.probes.convolutional_probe import ConvolutionalProbe
from latentcli.classifiers.probes.nearest import NearestNeighbours
from latentcli.classifiers.probes.network_probes import LinearProbe, MLPProbe
from latentcli.core.errors import UsageError
from latentcli.exports.readers import reader_of

RANDOM = np.random.default_rng(0)
LABELS = np.array(["a", "b", "c"])[np.arange(90) % 3]
POINTS = (RANDOM.normal(size=(90, 5)) + 3 * np.eye(5)[np.arange(90) % 3]).astype(np.float32)
MAPS = (RANDOM.normal(size=(90, 36)) + (np.arange(90) % 3)[:, None]).astype(np.float32)
CODES = RANDOM.integers(0, 7, (90, 6))
QUICK = {"epochs": 2, "device": "cpu"}


def agrees(classifier, points, atol=2e-6):
    with torch.no_grad():
        found = reader_of(classifier)(torch.from_numpy(points)).numpy()
    np.testing.assert_allclose(found, classifier.predict_proba(points), atol=atol)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("components", [None, 5])
def test_mixtures(covariance, components):
    mixture = GaussianMixtureClassifier(components, covariance_type=covariance, random_state=0).fit(POINTS, LABELS)
    agrees(mixture, POINTS, 1e-5)
    agrees(mixture, 20 * POINTS, 1e-3)  # far from all classes differences of large numbers decide


def test_a_mixture_on_a_principal_plane():
    mixture = GaussianMixtureClassifier(max_dimensions=2, random_state=0).fit(POINTS, LABELS)
    assert mixture.projection_ is not None
    agrees(mixture, POINTS, 1e-5)


@pytest.mark.parametrize(
    ("probe", "points"),
    [
        (LinearProbe(**QUICK), POINTS), (MLPProbe(hidden=8, **QUICK), POINTS), (NearestNeighbours(), POINTS),
        (LinearProbe(**QUICK), CODES), (MLPProbe(hidden=8, **QUICK), CODES),
        (ConvolutionalProbe(shape=(3, 4, 3), width=8, **QUICK), MAPS),
        (ConvolutionalProbe(shape=(2, 3, 1), width=8, **QUICK), CODES),
    ],
)  # fmt: skip
def test_probes(probe, points):
    agrees(probe.fit(points, LABELS), points)


def test_points_that_a_neighbour_was_fitted_on_are_at_no_distance():
    probe = NearestNeighbours(n_neighbors=3).fit(POINTS, LABELS)
    with torch.no_grad():
        found = reader_of(probe)(torch.from_numpy(POINTS)).numpy()
    np.testing.assert_array_equal(found, np.eye(3)[np.arange(90) % 3])


@pytest.mark.parametrize(
    ("classifier", "problem"),
    [(GraphClassifier(), "a graph cannot be exported"), (NearestNeighbours().fit(CODES, LABELS), "of codes")],
)
def test_what_no_graph_can_say_is_refused_with_why(classifier, problem):
    with pytest.raises(UsageError, match=problem) as refused:
        reader_of(classifier)
    assert refused.value.found
    assert "fit" in refused.value.remedy
