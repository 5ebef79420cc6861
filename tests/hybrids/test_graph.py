"""Hybrids of a graph: between its points, labelled by its vote."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from latentcli.classifiers.graph.graph_classifier import GraphClassifier
from latentcli.core.errors import ModelFileError, UsageError
from latentcli.hybrids import HybridMaker, Posteriors, Recipe


class Model:
    """A model whose images are its latents, in one row of two pixels; its prior is around (200, 200)."""

    def prior(self, count, random):
        return random.normal(200, 1, (count, 2)).astype(np.float32)

    def valid(self, latents):
        return np.asarray(latents, np.float32)

    def images(self, latents):
        return np.clip(latents, 0, 255).astype(np.uint8)[:, None, None]


PLACES = np.array([[20.0, 20.0], [80.0, 20.0], [20.0, 80.0]])
TRUTH = np.arange(300) % 3
POINTS = (PLACES[TRUTH] + 4 * np.random.default_rng(0).normal(size=(300, 2))).astype(np.float32)


@pytest.fixture(scope="module")
def graph():
    labels = np.where(np.arange(300) < 15, TRUTH, 3)
    return GraphClassifier().fit(POINTS, np.array(["a", "b", "c", ""])[labels])


def made(graph, count=300, images=None, **recipe):
    blocks = list(HybridMaker(Recipe(**recipe), graph, Model(), images).blocks(count))
    return [np.concatenate([getattr(block, name) for block in blocks]) for name in ("soft_labels", "latents")]


def test_paths_end_at_points_of_the_graph(graph):
    for ratio, label in ((0.0, 1), (1.0, 2)):
        _, latents = made(graph, strategy="mixup", classes=("b", "c"), ratio=ratio)
        of_class = {tuple(point) for point in POINTS[label == TRUTH]}
        assert {tuple(point) for point in latents} <= of_class


@pytest.mark.parametrize("strategy", ["between", "mixup", "boundary", "prior"])
def test_soft_labels_are_the_graphs_vote(graph, strategy):
    labels, latents = made(graph, strategy=strategy)
    assert_allclose(labels.sum(axis=1), 1)
    if strategy != "mixup":
        assert_allclose(labels, graph.predict_proba(latents), atol=1e-9)
    if strategy == "boundary":
        assert np.sort(labels, axis=1)[:, 1].min() > 0.3


def test_around_and_between_images(graph):
    images = Posteriors(np.float32([[20.0, 20.0], [80.0, 20.0]]))
    assert {tuple(point) for point in made(graph, images=images, strategy="posterior")[1]} == {(20, 20), (80, 20)}
    _, latents = made(graph, images=images, classes=("a", "b"))
    assert_allclose(latents[:, 1], 20)
    labels, _ = made(graph, images=Posteriors(POINTS), likelihood="neighbours")
    assert labels.shape == (300, 3)


def test_what_is_far_from_the_graph_is_dropped(graph):
    assert (graph.typicality(made(graph, reject=0.2)[1]) >= 0.2).all()
    with pytest.raises(UsageError, match="hardly any"):
        made(graph, strategy="prior", reject=0.1)


def test_what_needs_a_mixture_is_refused(graph):
    with pytest.raises(UsageError, match="strategy mixture draws from a mixture"):
        made(graph, strategy="mixture")
    with pytest.raises(UsageError, match="likelihood mixture is of a mixture"):
        made(graph, likelihood="mixture")
    with pytest.raises(ModelFileError, match="Gaussian for each class"):
        made(graph, likelihood="class-gaussian")
    with pytest.raises(UsageError, match="the graph has no class 'x'"):
        made(graph, classes=("a", "x"))


def test_a_class_that_no_point_has_is_told(graph):
    other = GraphClassifier.from_params(graph.to_params())
    other.probabilities_ = np.tile(np.float32([0.5, 0.4, 0.1]), (len(other.points_), 1))
    with pytest.raises(UsageError, match="no image of the graph is of class 'b'"):
        made(other)
