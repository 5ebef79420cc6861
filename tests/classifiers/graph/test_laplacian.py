"""Conjugate gradients on a graph against dense linear algebra."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix

from latentcli.classifiers.graph.laplacian import Graph

by_both = pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # by numpy; by torch, as on an accelerator


def graph(count=40, seed=0, device="cpu"):
    random = np.random.default_rng(seed)
    weights = random.uniform(size=(count, count)) * (random.uniform(size=(count, count)) < 0.2)
    path = np.eye(count, k=1) * 0.1  # connected
    return Graph(csr_matrix(weights + weights.T + path + path.T), device)


@by_both
@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.99])
def test_solves_what_a_dense_solver_does(alpha, device):
    of, right = graph(device=device), np.random.default_rng(1).normal(size=(40, 3))
    dense = np.linalg.solve(np.eye(40) - alpha * of.similarity.toarray(), right)
    assert_allclose(of.solve(right, alpha), dense, atol=1e-5)


@by_both
def test_a_singular_system_is_solved_in_the_complement_of_its_null_space(device):
    of, right = graph(device=device), np.random.default_rng(1).normal(size=(40, 3))
    dense = np.linalg.pinv(np.eye(40) - of.similarity.toarray(), rcond=1e-10) @ right
    assert_allclose(of.solve(right, 1.0), dense, atol=1e-5)


@by_both
def test_columns_do_not_depend_on_how_many_are_solved_together(monkeypatch, device):
    of, right = graph(device=device), np.eye(40)[:, :7]
    together = of.solve(right, 0.9)
    monkeypatch.setattr("latentcli.classifiers.graph.laplacian._COLUMNS_AT_ONCE", 2)
    at_once = dict.fromkeys(("cpu", "an accelerator"), 80)
    monkeypatch.setattr("latentcli.classifiers.graph.laplacian._VALUES_AT_ONCE", at_once)
    assert_allclose(of.solve(right, 0.9), together, atol=1e-6)


def test_nothing_in_gives_nothing_out():
    assert (graph().solve(np.zeros((40, 2)), 1.0) == 0).all()
