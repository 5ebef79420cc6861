"""The classifier of a space that is being labelled, and how good it is thought to be."""

import numpy as np
import pytest
from scipy.stats import norm

import latentcli as lc
from latentcli.explore import fitting
from latentcli.explore.fitting import Fitting, Guesses, Reading, changed, wilson


def some(truth: np.ndarray, each: int) -> lc.Labels:
    """The first labels of each class."""
    texts = np.full(len(truth), "", truth.dtype)
    for name in np.unique(truth):
        rows = np.flatnonzero(truth == name)[:each]
        texts[rows] = name
    return lc.Labels.of(texts)


@pytest.fixture(scope="module")
def latents(digits, vae) -> lc.Latents:
    return vae.encode(digits)


@pytest.mark.parametrize("kind", ["graph", "mixture", "linear", "knn"])
def test_each_kind_learns_from_the_labels(latents, truth, kind):
    found = Fitting(latents, kind).quick(some(truth, 5))
    assert found.names == ("1", "4", "8")
    assert (found.texts(np.arange(len(truth))) == truth).mean() > 0.7
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (found.typicality is not None) == (kind in ("graph", "mixture"))


@pytest.mark.parametrize("kind", ["graph", "mixture"])
def test_of_few_images_the_quick_fit_is_the_whole_one(latents, truth, kind):
    work, labels = Fitting(latents, kind), some(truth, 5)
    quick, whole = work.quick(labels), work.whole(labels)
    assert quick.whole
    np.testing.assert_allclose(quick.probabilities, whole.probabilities, atol=1e-6)


def test_the_whole_fit_is_what_the_command_makes(latents, truth):
    labels = some(truth, 5)
    signed = lc.Latents(latents.arrays, latents.checkpoint, labels, shapes=latents.shapes)
    found = Fitting(latents, "graph", seed=3).whole(labels).classifier
    expected = lc.fit_graph(signed, seed=3)
    assert found.fitted_on_ == latents.checkpoint
    np.testing.assert_array_equal(found.probabilities_, expected.probabilities_)


def test_a_core_does_where_there_are_many(latents, truth, monkeypatch):
    """Also where the images with labels are none of it."""
    monkeypatch.setattr(fitting, "CORE", 150)
    for kind in ("graph", "mixture"):
        work = Fitting(latents, kind)
        assert not work.is_whole
        outside = np.setdiff1d(np.arange(len(truth)), work._core)
        texts = np.full(len(truth), "", truth.dtype)
        for name in np.unique(truth):
            rows = outside[truth[outside] == name][:6]
            texts[rows] = name
        found = work.quick(lc.Labels.of(texts))
        assert not found.whole
        assert (found.texts(np.arange(len(truth))) == truth).mean() > 0.7


def test_a_graph_is_built_once(latents, truth, monkeypatch):
    work = Fitting(latents, "graph")
    work.prepare()

    def never(*_, **__):
        raise AssertionError("neighbours were searched again")

    monkeypatch.setattr("latentcli.classifiers.graph.graph_classifier.neighbours", never)
    monkeypatch.setattr("latentcli.classifiers.graph.graph_classifier.nearest", never)
    assert len({work.quick(some(truth, each)).codes.tobytes() for each in (1, 5, 20)}) > 1


def test_a_graph_takes_other_labels_as_if_it_were_fitted_to_them(latents, truth):
    labels = some(truth, 4).texts
    first = np.full(len(truth), -1)
    first[:2] = [0, 1]
    from latentcli.classifiers.graph.graph_classifier import GraphClassifier

    found = GraphClassifier().fit(latents.flat, first).relabelled(labels, ["8", "4", "1"])
    expected = GraphClassifier().fit(latents.flat, labels, ["8", "4", "1"])
    assert found.classes_.tolist() == ["8", "4", "1"]
    np.testing.assert_array_equal(found.probabilities_, expected.probabilities_)
    assert found.summary() == expected.summary()
    read = GraphClassifier.from_params(expected.to_params())
    with pytest.raises(lc.UsageError, match="read from a file"):
        read.relabelled(labels)


def test_one_class_is_none(latents):
    with pytest.raises(lc.DataError, match="one class"):
        Fitting(latents, "graph").quick(lc.Labels.of(["a", *[""] * (len(latents) - 1)]))


def test_what_changed_is_counted_by_name():
    before = Reading(None, ("a", "b"), np.eye(2)[[0, 0, 1, 1]], np.array([0, 0, 1, 1]))
    after = Reading(None, ("b", "c", "a"), np.eye(3)[[2, 1, 0, 0]], np.array([2, 1, 0, 0]))
    assert changed(before, after) == 1
    assert changed(None, after) == 0


def test_the_interval_is_where_the_normal_test_does_not_reject():
    """Its ends are the frequencies from which what was seen lies 1.96 standard errors of theirs away."""
    z = norm.ppf(0.975)
    for right, count in ((0, 1), (3, 10), (50, 50), (87, 100)):
        low, high = wilson(right, count)
        for end in (end for end in (low, high) if 1e-9 < end < 1 - 1e-9):
            assert abs(right / count - end) == pytest.approx(z * np.sqrt(end * (1 - end) / count), rel=1e-4)
        assert low - 1e-9 <= right / count <= high + 1e-9
    assert wilson(0, 0) == (0, 1)


def test_guesses_count_the_first_label_of_an_image_and_the_latest_images():
    guesses = Guesses()
    guesses.note(np.arange(10), np.arange(10) < 7)
    guesses.note(np.array([0]), np.array([False]))  # labelled again
    assert guesses.counts == (7, 10)
    guesses.forget(np.array([0, 9]))
    assert guesses.counts == (6, 8)
    guesses.note(np.arange(100, 300), np.ones(200, bool))
    assert guesses.counts == (fitting.RECENT, fitting.RECENT)
