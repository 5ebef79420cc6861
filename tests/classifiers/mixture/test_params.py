"""A mixture as plain arrays, there and back, and what is not one."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from latentcli.classifiers.mixture import params as mixture_params
from latentcli.classifiers.mixture import semi_supervised
from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.classifiers.mixture.gaussians import COVARIANCE_TYPES
from latentcli.core.errors import DataError, ModelFileError

POINTS = np.random.default_rng(0).normal(size=(90, 3)) + 4 * (np.arange(90) % 3)[:, None]
LABELS = np.where(np.arange(90) < 15, np.arange(90) % 3, -1)


@cache
def fitted(covariance_type="full", n_components=5):
    return GaussianMixtureClassifier(n_components, covariance_type=covariance_type).fit(POINTS, LABELS)


def params(covariance_type="full", n_components=5):
    return fitted(covariance_type, n_components).to_params()


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("n_components", [3, 5])
def test_round_trip(covariance_type, n_components):
    before = fitted(covariance_type, n_components)
    again = GaussianMixtureClassifier.from_params(before.to_params())
    assert_array_equal(again.predict(POINTS), before.predict(POINTS).astype(str))
    assert_array_equal(again.predict_proba(POINTS), before.predict_proba(POINTS))
    assert_array_equal(again.score_samples(POINTS), before.score_samples(POINTS))
    assert_array_equal(again.sample(9)[0], before.sample(9)[0])
    assert all(np.array_equal(value, again.to_params()[key]) for key, value in before.to_params().items())


def test_labelled_points_are_kept_the_first_of_each_class(monkeypatch):
    monkeypatch.setattr("latentcli.classifiers.base.MOST_KEPT", 2)
    few = GaussianMixtureClassifier(3).fit(POINTS, LABELS)
    points, classes = GaussianMixtureClassifier.from_params(few.to_params()).learned_from
    rows = np.sort(np.concatenate([np.flatnonzero(label == LABELS)[:2] for label in np.unique(LABELS[LABELS >= 0])]))
    assert_array_equal(points, POINTS[rows].astype(np.float32))
    assert_array_equal(classes, LABELS[rows])
    older = {name: value for name, value in params().items() if name not in ("labels", "labelled_points")}
    assert GaussianMixtureClassifier.from_params(older).learned_from is None


def test_only_plain_values():
    assert all(isinstance(value, str) or value.dtype.kind in "fiU" for value in params().values())


def set_item(name, index, value):
    def change(given):
        given[name] = given[name].copy()
        given[name][index] = value

    return change


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p.pop("kind"),
        lambda p: p.update(kind="knn"),
        lambda p: p.pop("weights"),
        lambda p: p.update(covariance_type="round"),
        lambda p: p.update(covariance_type=["full"]),
        lambda p: p.update(covariance_type="diag"),
        lambda p: p.update(weights=p["weights"] * 1.01),
        lambda p: p.update(weights=p["weights"][:-1]),
        lambda p: p.update(weights=p["weights"].astype(complex)),
        lambda p: p.update(weights=list(p["weights"])),
        lambda p: p.update(weights=np.array(["1"] * 5)),
        lambda p: p.update(weights=p["weights"] - np.array([2, 0, 0, 0, -2])),
        lambda p: p.update(means=p["means"][0]),
        lambda p: p.update(means=np.empty((5, 0))),
        lambda p: p.update(means=p["means"][:, :2]),
        lambda p: p.update(covariances=-p["covariances"]),
        lambda p: p.update(covariances=p["covariances"] * 0),
        lambda p: p.update(component_labels=p["component_labels"] - 1),
        lambda p: p.update(component_labels=p["component_labels"] + 1),
        lambda p: p.update(component_labels=p["component_labels"].astype(float)),
        lambda p: p.update(component_labels=p["component_labels"][1:]),
        lambda p: p.update(classes=np.array(["1", "1", "2"])),
        lambda p: p.update(classes=np.array([1, 2, 3])),
        lambda p: p.update(classes=["a", "b", "c"]),
        lambda p: p.update(classes=np.array([], dtype=str)),
        lambda p: p.pop("labels"),
        lambda p: p.update(labels=p["labels"] + 1),
        lambda p: p.update(labels=p["labels"][1:]),
        lambda p: p.update(labelled_points=p["labelled_points"][:, 1:]),
        lambda p: p.update(labelled_points=p["labelled_points"] * np.nan),
        lambda p: p.update(means=np.broadcast_to(np.zeros(1), (5, 2**40))),
        set_item("means", (0, 0), np.nan),
        set_item("weights", 0, np.inf),
        set_item("covariances", (0, 0, 1), 0.5),
        set_item("covariances", (0, 0, 0), 1e9 * -1),
    ],
)
def test_what_is_no_mixture_is_refused(spoil):
    given = params()
    spoil(given)
    with pytest.raises(ModelFileError, match="not a mixture"):
        GaussianMixtureClassifier.from_params(given)


VALUES = st.one_of(
    st.none(), st.integers(-2, 2), st.text(max_size=3), st.floats(),
    st.lists(st.floats(width=32), max_size=6).map(np.array), st.just(np.zeros((5, 3))), st.just(np.array(["a"])),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(params())), VALUES, min_size=1))
def test_anything_else_is_refused_or_works(changes):
    try:
        again = GaussianMixtureClassifier.from_params(params() | changes)
    except ModelFileError:
        return
    assert np.isfinite(again.predict_proba(POINTS)).all()


@pytest.mark.parametrize(("limit", "least"), [("MAX_COMPONENTS", 4), ("_MAX_DIMENSIONS", 2)])
def test_a_mixture_larger_than_any_that_is_read_is_neither_read_nor_fitted(monkeypatch, limit, least):
    given = params()
    monkeypatch.setattr(mixture_params, limit, least + 1)
    assert GaussianMixtureClassifier.from_params(given).means_.shape == (5, 3)
    monkeypatch.setattr(mixture_params, limit, least)
    with pytest.raises(ModelFileError, match="too large"):
        GaussianMixtureClassifier.from_params(given)
    with pytest.raises(DataError, match="the mixture is too large\n  found 5 components in 3 dimensions"):
        GaussianMixtureClassifier(5).fit(POINTS, LABELS)


def test_its_covariances_count():
    assert (mixture_params.is_too_large(2**7, 2**10), mixture_params.is_too_large(2**7 + 1, 2**10)) == (False, True)


def test_more_components_for_each_class_are_not_tried_where_none_could_be_read(monkeypatch):
    points = np.random.default_rng(1).normal(size=(600, 2))  # classes that are one cloud
    labels = np.where(np.arange(600) < 60, np.arange(600) % 2, -1)
    tried = []
    plain = semi_supervised._likeliest
    monkeypatch.setattr(semi_supervised, "_likeliest", lambda *given: tried.append(given[1]) or plain(*given))
    GaussianMixtureClassifier().fit(points, labels)
    assert tried == [2, 6]
    monkeypatch.setattr(mixture_params, "MAX_COMPONENTS", 5)
    GaussianMixtureClassifier().fit(points, labels)
    assert tried == [2, 6, 2]
