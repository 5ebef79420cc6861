"""Nearest neighbours, and the graph that they make."""

import sys
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from latentcli.classifiers.graph import device_search
from latentcli.classifiers.graph import neighbours as module
from latentcli.classifiers.graph.neighbours import graph_of, nearest, nearness, neighbours
from latentcli.core.errors import UsageError
from latentcli.core.progress import silent


@pytest.mark.parametrize("dimensions", [2, 30])
def test_neighbours_are_the_nearest_others(dimensions):
    points = np.random.default_rng(0).normal(size=(200, dimensions)) + 1e4  # where squares of float32 cancel
    rows, distances = neighbours(points, 5)
    apart = cdist(points, points)
    np.fill_diagonal(apart, np.inf)
    assert_array_equal(rows, apart.argsort(axis=1)[:, :5])
    assert_allclose(distances, np.sort(apart, axis=1)[:, :5])


def test_nearest_of_new_points():
    random = np.random.default_rng(0)
    points, queries = random.normal(size=(100, 7)), random.normal(size=(9, 7))
    rows, distances = nearest(queries, points, 4)
    assert_allclose(distances, np.sort(cdist(queries, points), axis=1)[:, :4])
    assert_allclose(np.linalg.norm(points[rows] - queries[:, None], axis=2), distances)


@pytest.mark.parametrize("block", [1, 7, 2**20])
def test_an_accelerators_search_finds_the_same(monkeypatch, block):
    """Here PyTorch's CPU stands in for it. Far from the origin float32 alone would mistake most neighbours."""
    random, told = np.random.default_rng(3), []
    points = random.normal(size=(300, 6)).astype(np.float32) * 1e-2 + 50
    queries = random.normal(size=(40, 6)).astype(np.float32) * 1e-2 + 50

    @contextmanager
    def progress(doing, total):
        yield told.append

    found = device_search.candidates(queries, points, 5, "cpu", silent)
    assert found.shape == (40, 5 + device_search.SPARE)
    monkeypatch.setattr(device_search, "PAIRS", block * len(points))
    search = device_search.candidates
    monkeypatch.setattr(device_search, "candidates", lambda *given: search(*given[:3], "cpu", given[4]))
    rows, distances = nearest(queries, points, 5, progress, "cuda")
    assert_array_equal(rows, nearest(queries, points, 5)[0])
    assert_array_equal(distances, nearest(queries, points, 5)[1])
    assert sum(told) == 40
    monkeypatch.setattr(module, "EXACT", 10)
    others, _ = neighbours(points, 3, device="cuda")
    assert_array_equal(others, nearest(points, points, 4)[0][:, 1:])
    assert nearest(queries[:2], points[:3], 3, device="cuda")[0].shape == (2, 3)


def test_weights_fall_from_one_to_that_of_the_farthest():
    assert_allclose(nearness(np.array([[0.0, 1.0, 2.0]])), [[1, np.exp(-1), np.exp(-4)]])
    assert_allclose(nearness(np.array([[0.0]])), [[1]])


def test_the_graph_is_symmetric_and_bridges_join_what_is_apart():
    random = np.random.default_rng(0)
    places = np.array([[0, 0], [100, 0], [0, 100], [300, 300]])
    points = np.concatenate([random.normal(size=(30, 2)) + place for place in places])
    rows, distances = neighbours(points, 5)
    graph, components = graph_of(points, rows, distances)
    assert_array_equal(components, np.repeat(np.arange(4), 30))
    weights = graph.weights.toarray()
    assert_array_equal(weights, weights.T)
    assert connected_components(graph.weights)[0] == 1
    across = weights * (components[:, None] != components[None])
    assert set(across[across > 0]) == {np.exp(-4)}
    assert (across > 0).sum() == 2 * 3  # a tree of the four
    assert_allclose(weights.diagonal(), 0)


def test_beyond_a_number_of_points_the_search_is_approximate_and_repeats_itself(monkeypatch):
    pytest.importorskip("usearch")
    points = np.random.default_rng(0).normal(size=(3_000, 12)).astype(np.float32) + 50
    exact, _ = neighbours(points, 10)
    monkeypatch.setattr(module, "EXACT", 1_000)
    rows, distances = neighbours(points, 10)
    found = np.mean([len(set(one) & set(other)) / 10 for one, other in zip(rows, exact, strict=True)])
    assert 0.97 < found <= 1
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (rows != np.arange(3_000)[:, None]).all()
    assert_array_equal(neighbours(points, 10)[0], rows)


def test_without_the_library_for_many_points_the_error_names_it(monkeypatch):
    monkeypatch.setattr(module, "EXACT", 10)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(UsageError, match=r"usearch") as caught:
        neighbours(np.random.default_rng(0).normal(size=(20, 12)), 3)
    assert "pip install 'latentcli[graph]'" in caught.value.remedy
    assert len(neighbours(np.random.default_rng(0).normal(size=(20, 2)), 3)[0]) == 20  # few dimensions need none
