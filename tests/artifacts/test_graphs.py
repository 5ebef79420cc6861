"""``graph.npz`` gives the graph back to its last bit, in the same bytes, and anything else is refused."""

import random

import numpy as np
import pytest

from latentcli.artifacts import graphs
from latentcli.classifiers.graph.graph_classifier import GraphClassifier
from latentcli.core.errors import ModelFileError, OutputError
from latentcli.formats import own_files
from latentcli.formats.checksummed_npz import write_arrays

SIGNED = {"checkpoint": "a" * 64}


def fitted():
    truth = np.arange(30) % 3
    points = (5 * np.eye(3)[truth] + np.random.default_rng(0).normal(size=(30, 3))).astype(np.float32)
    return GraphClassifier(4, features="encoder").fit(points, np.array(["1", "b", "é"])[truth]), points


@pytest.fixture
def path(tmp_path):
    return tmp_path / "graph.npz"


def test_the_graph_comes_back(path):
    graph, points = fitted()
    graphs.write(path, graph.to_params() | SIGNED)
    again = GraphClassifier.from_params(graphs.read(path, fitted_on="a" * 64))
    np.testing.assert_array_equal(again.predict_proba(points), graph.predict_proba(points))
    assert (again.features, list(again.classes_), again.fitted_on_) == ("encoder", ["1", "b", "é"], "a" * 64)
    assert again.summary() == graph.summary()
    first = path.read_bytes()
    graphs.write(path, again.to_params())
    assert path.read_bytes() == first


def test_it_is_known_by_its_content(path, tmp_path):
    graphs.write(path, fitted()[0].to_params() | SIGNED)
    path.rename(tmp_path / "any.name")
    assert own_files.kind_of(tmp_path / "any.name") == "graph"
    write_arrays(path, {"mu": np.zeros((3, 2))})
    assert own_files.kind_of(path) != "graph"
    assert own_files.kind_of(tmp_path / "missing") is None


def test_the_graph_of_another_checkpoint_is_refused(path):
    graphs.write(path, fitted()[0].to_params() | SIGNED)
    with pytest.raises(ModelFileError, match="fitted on another checkpoint"):
        graphs.read(path, fitted_on="b" * 64)


def test_no_damage_goes_unnoticed(path):
    graphs.write(path, fitted()[0].to_params() | SIGNED)
    whole, randomness = path.read_bytes(), random.Random(0)
    for length in [0, 1, 2, 10, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            graphs.read(path)
    expected = read_back(path, whole)
    for _ in range(200):
        position, bit = randomness.randrange(len(whole)), 1 << randomness.randrange(8)
        path.write_bytes(whole[:position] + bytes([whole[position] ^ bit]) + whole[position + 1 :])
        try:
            found = graphs.read(path)
        except ModelFileError:
            continue
        assert found.keys() == expected.keys()  # a bit of the archive that means nothing
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def read_back(path, content):
    path.write_bytes(content)
    return graphs.read(path)


@pytest.mark.parametrize("change", [{"checkpoint": "short"}, {"checkpoint": np.arange(3)}, {"kind": 3}, {"kind": None}])
def test_what_is_no_graph_is_refused(path, change):
    params = {name: value for name, value in (fitted()[0].to_params() | SIGNED | change).items() if value is not None}
    write_arrays(path, {name: np.asarray(value) for name, value in params.items()})
    with pytest.raises(ModelFileError, match="holds no graph"):
        graphs.read(path)
    with pytest.raises(OutputError):
        graphs.write(path.parent / "missing" / "graph.npz", params)
