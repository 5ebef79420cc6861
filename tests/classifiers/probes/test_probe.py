"""Probes: scikit-learn's contract, what they learn, how they stop, and that nothing forged gets in."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from latentcli.artifacts.models import load_classifier
from latentcli.classifiers import CLASSIFIERS, PROBES
from latentcli.classifiers.base import DensityClassifier
from latentcli.classifiers.fitting import fit_probe
from latentcli.classifiers.probes import network_probes, probe_training
from latentcli.classifiers.probes.probe_network import OneHotLinear
from latentcli.core.errors import DataError, FitError, ModelFileError, UsageError
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents

SETTINGS = {kind: {each.name for each in PROBES[kind].described_settings()} for kind in PROBES}
probes = pytest.mark.parametrize("kind", PROBES)
trained = pytest.mark.parametrize("kind", [kind for kind in PROBES if "epochs" in SETTINGS[kind]])


def probe_of(kind, inputs=4, **settings):
    """A probe of so many features, which those that read maps find at a single place."""
    shape = (1, 1, inputs) if PROBES[kind].READS_MAPS else None
    return PROBES[kind](**{"shape": shape} | settings)


def small(kind, inputs=4, **settings):
    """A probe of that kind that is fitted in no time."""
    few = {"epochs": 12, "hidden": 64, "width": 32, "lr": 0.02}
    return probe_of(kind, inputs, **{name: few[name] for name in few if name in SETTINGS[kind]} | settings)


def brief(kind, **settings):
    """A probe of that kind that has hardly begun to learn."""
    return small(kind, **({"epochs": 4} if "epochs" in SETTINGS[kind] else {}) | settings)


def blobs(samples=300, classes=3, dimensions=4, seed=0, spread=6.0):
    """Round clusters: points (N, D) float32, and their classes' names (N,)."""
    generator = np.random.default_rng(seed)
    centres = spread * np.eye(classes, dimensions)
    truth = np.arange(samples) % classes
    points = centres[truth] + generator.normal(size=(samples, dimensions))
    return points.astype(np.float32), np.array(["one", "four", "eight"])[truth]


def maps(samples=300, positions=6, codes=20, seed=0):
    """Codes (N, P), of which each class prefers its own at every position, and their classes (N,)."""
    generator = np.random.default_rng(seed)
    truth = np.arange(samples) % 3
    preferred = np.random.default_rng(99).integers(0, codes, (3, positions))[truth]
    noise = generator.integers(0, codes, (samples, positions))
    return np.where(generator.random((samples, positions)) < 0.6, preferred, noise).astype(np.int32), truth


class OfAnyNumber(PROBES["conv"]):
    """Without a shape it takes any number of features for those of a single place."""

    def _map_shape(self):
        return self.shape or (1, 1, self.n_features_in_)


readings = pytest.mark.parametrize(("kind", "make"), [(kind, make) for make in (blobs, maps) for kind in PROBES])


@probes
@pytest.mark.filterwarnings("ignore")
def test_keeps_the_contract_of_scikit_learn(kind, monkeypatch):
    monkeypatch.setattr(network_probes, "ENSEMBLE_BELOW", 0)  # several networks keep it where one does
    few = {"epochs": 3, "lr": 0.05, "hidden": 32, "width": 16}
    settings = {name: few[name] for name in few if name in SETTINGS[kind]}
    expected = {"check_classifiers_classes": "uses the label -1 as a class: here it says unlabelled"}
    probe = (OfAnyNumber if PROBES[kind].READS_MAPS else PROBES[kind])(**settings)
    results = check_estimator(probe, expected_failed_checks=expected, on_skip=None, on_fail=None)
    assert [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"] == []


@probes
def test_every_setting_has_a_meaning_and_a_range(kind):
    described = PROBES[kind].described_settings()
    given_by_fit_probe = {"features", "shape", "random_state", "device"}
    assert SETTINGS[kind] == PROBES[kind]().get_params().keys() - given_by_fit_probe
    assert all(each.meaning and each.range and each.kind in ("number", "whole number") for each in described)
    assert {each.name: each.default for each in described}.items() <= PROBES[kind]().get_params().items()


@probes
def test_a_setting_that_a_probe_does_not_have_is_refused_with_those_it_has(kind):
    points, names = blobs()
    with pytest.raises(UsageError, match="colour") as refused:
        fit_probe(Latents({"mu": points}, "0" * 64, Labels.of(names)), probe=kind, colour="red")
    assert all(name in refused.value.found for name in SETTINGS[kind])


@probes
def test_it_writes_its_own_file(kind, tmp_path):
    fitted = brief(kind).fit(*blobs())
    fitted.fitted_on_ = "0" * 64
    fitted.save(tmp_path / "probe.pth")
    assert_array_equal(load_classifier(tmp_path / "probe.pth").predict(blobs()[0]), fitted.predict(blobs()[0]))


@probes
def test_is_a_classifier_by_its_registered_name_and_no_mixture(kind):
    assert CLASSIFIERS[kind] is PROBES[kind]
    assert kind == PROBES[kind].KIND
    assert not isinstance(small(kind), DensityClassifier)


def test_a_mixture_is_more_than_a_classifier():
    points, names = blobs()
    assert isinstance(CLASSIFIERS["gmm"]().fit(points, names), DensityClassifier)


@readings
def test_learns_what_can_be_learnt(kind, make):
    points, names = make(600)
    unseen, truth = make(300, seed=1)
    fitted = small(kind, points.shape[1], features="mean").fit(points, names)
    assert np.mean(fitted.predict(unseen) == truth) > 0.93
    probabilities = fitted.predict_proba(unseen)
    assert probabilities.dtype == np.float64
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert fitted.features == "mean"


@probes
def test_fifteen_labelled_images_are_enough_to_begin_with(kind):
    points, names = blobs(15)
    unseen, truth = blobs(300, seed=1)
    fitted = small(kind).fit(points, names)
    assert np.mean(fitted.predict(unseen) == truth) > 0.9
    assert all("val_loss" not in row for row in fitted.history_)  # too few to hold any out


@probes
@pytest.mark.parametrize("unlabelled", ["", None, -1])
def test_rows_without_a_label_have_no_class(kind, unlabelled):
    points, _ = blobs(60)
    numbers = np.arange(60) % 3 + 5
    labels = np.array([*numbers[:30], *[unlabelled] * 30], dtype=int if unlabelled == -1 else object)
    if unlabelled != -1:
        labels[:30] = labels[:30].astype(str)
    if unlabelled == "":
        labels = labels.astype(str)
    fitted = small(kind).fit(points, labels)
    assert [str(name) for name in fitted.classes_] == ["5", "6", "7"]
    assert np.mean(fitted.predict(points).astype(str) == numbers.astype(str)) > 0.9


@trained
def test_a_row_an_epoch_is_told_and_kept(kind):
    points, names = blobs()
    rows = []
    fitted = probe_of(kind, epochs=4).fit(points, names, rows.append)
    assert rows == fitted.history_
    several = fitted.NETWORKS > 1
    expected = [(float(number + 1), epoch) for number in range(fitted.NETWORKS) for epoch in range(1, 5)]
    assert [(row.get("network", 1.0), row["epoch"]) for row in rows] == expected
    assert {*rows[0]} == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"} | ({"network"} if several else set())
    assert rows[-1]["loss"] < rows[0]["loss"]


@trained
def test_of_few_rows_networks_vote_that_have_seen_other_rows(kind, monkeypatch):
    points, names = blobs()
    one, several = probe_of(kind, epochs=2), probe_of(kind, epochs=2).fit(points, names)
    monkeypatch.setattr(network_probes, "ENSEMBLE_BELOW", 0)
    one.fit(points, names)
    assert (len(one.networks_), len(several.networks_)) == (1, several.NETWORKS)
    of_each = [probe_training.probabilities(network, points) for network in several.networks_]
    assert_allclose(several.predict_proba(points), np.mean(of_each, axis=0), rtol=1e-12)
    assert_array_equal(of_each[0], one.predict_proba(points))
    assert len({of.tobytes() for of in of_each}) == several.NETWORKS
    assert len(several.best_rows()) == several.NETWORKS


@trained
def test_the_best_weights_are_kept_and_patience_ends(kind):
    generator = np.random.default_rng(0)
    points, names = generator.normal(size=(400, 30)).astype(np.float32), generator.integers(0, 2, 400)  # noise
    fitted = small(kind, 30, epochs=30).fit(points, names)
    for best in fitted.best_rows():
        own = [row for row in fitted.history_ if row.get("network") == best.get("network")]
        assert len(own) < 30
        assert best["val_accuracy"] == max(row["val_accuracy"] for row in own)


def test_classes_are_held_out_alike():
    labels = np.array([0] * 300 + [1] * 100 + [-1] * 50 + [2] * 3)
    schedule = probe_training.Schedule(None, None, 1e-3, 0.0, 0.1, 0)
    rows, held_out = probe_training.split(labels, schedule)
    assert_array_equal(np.sort([*rows, *held_out]), np.flatnonzero(labels >= 0))
    assert np.bincount(labels[held_out]).tolist() == [30, 10]
    assert probe_training.split(labels[:200], schedule)[1].size == 0


@trained
@pytest.mark.parametrize("rows", [15, 16, 17])
def test_no_batch_is_of_a_single_row_which_batch_normalisation_cannot_learn_from(kind, rows):
    fitted = brief(kind, batch_size=2).fit(*blobs(rows))
    assert np.isfinite(fitted.predict_proba(blobs()[0])).all()


@given(st.integers(2, 300), st.integers(2, 300))
def test_batches_are_of_the_size_asked_for_or_less_but_never_of_one(rows, batch_size):
    schedule = probe_training.Schedule(1, batch_size, 1e-3, 0.0, 0.0, 0)
    sizes = [len(batch) for batch in np.array_split(np.arange(rows), schedule.steps_for(rows))]
    assert min(sizes) > 1
    assert max(sizes) <= max(batch_size, 3)
    assert max(sizes) - min(sizes) <= 1


@probes
def test_classes_keep_the_order_they_are_given_in(kind, monkeypatch):
    monkeypatch.setattr(network_probes, "ENSEMBLE_BELOW", 0)
    points, names = blobs(60)
    numbers = np.select([names == "one", names == "four"], ["10", "2"], "9")
    given, sorted_ = brief(kind).fit(points, numbers, classes=("2", "x", "9", "10")), brief(kind).fit(points, numbers)
    assert list(given.classes_) == list(sorted_.classes_) == ["2", "9", "10"]
    turned = small(kind).fit(points, numbers, classes=("10", "9", "2"))
    again = PROBES[kind].from_params(turned.to_params())
    assert list(again.classes_) == list(turned.classes_) == ["10", "9", "2"]
    assert_array_equal(again.predict_proba(points), turned.predict_proba(points))
    likeliest = again.predict_proba(points).argmax(axis=1)
    assert np.mean(np.array(["10", "9", "2"])[likeliest] == numbers) > 0.8
    with pytest.raises(DataError, match="not among `classes`: 10"):
        brief(kind).fit(points, numbers, classes=("2", "9"))


@probes
def test_the_checkpoint_whose_features_are_read_is_kept(kind):
    points, names = blobs(30)
    fitted = brief(kind).fit(points, names)
    assert (fitted.fitted_on_, "checkpoint" in fitted.to_params()) == ("", False)
    fitted.fitted_on_ = "a" * 64
    again = PROBES[kind].from_params(fitted.to_params())
    assert again.fitted_on_ == again.to_params()["checkpoint"] == "a" * 64
    assert PROBES[kind].from_params(fitted.to_params() | {"checkpoint": "b" * 64}).fitted_on_ == "b" * 64
    assert fitted.fit(points, names).fitted_on_ == ""  # of another fit nothing is known


@readings
def test_the_same_seed_gives_the_same_bytes(kind, make):
    points, names = make()
    torch.manual_seed(1)
    first = brief(kind, inputs=points.shape[1], random_state=3).fit(points, names).to_params()
    torch.manual_seed(2)
    again = brief(kind, inputs=points.shape[1], random_state=3).fit(points, names).to_params()
    assert first["history"] == again["history"]
    for name, array in first["arrays"].items():
        assert array.tobytes() == again["arrays"][name].tobytes(), name


def test_linear_agrees_with_logistic_regression():
    points, names = blobs(600, spread=3.0)
    unseen, _ = blobs(600, seed=1, spread=3.0)
    ours = PROBES["linear"]().fit(points, names)
    scale = StandardScaler().fit(points)
    theirs = LogisticRegression().fit(scale.transform(points), names)
    assert np.mean(ours.predict(unseen) == theirs.predict(scale.transform(unseen))) > 0.98


def test_nearest_neighbours_are_those_of_scikit_learn():
    points, names = blobs(spread=2.0)
    unseen, _ = blobs(seed=1, spread=2.0)
    scale = StandardScaler().fit(points)
    theirs = KNeighborsClassifier(5, weights="distance").fit(scale.transform(points), names)
    ours = PROBES["knn"]().fit(points, names)
    assert_allclose(ours.predict_proba(unseen), theirs.predict_proba(scale.transform(unseen)), atol=1e-3)


def test_nearest_codes_differ_in_the_fewest_places():
    codes, classes = maps()
    unseen, _ = maps(seed=1)
    differing = (unseen[:, None] != codes[None]).mean(axis=2)
    fitted = PROBES["knn"](n_neighbors=1).fit(codes, classes)
    voted = fitted.predict(unseen)
    nearest = [set(classes[row == row.min()]) for row in differing]
    assert all(vote in candidates for vote, candidates in zip(voted, nearest, strict=True))


def test_rows_of_codes_sum_to_a_dense_layer_of_one_hot_codes():
    generator = torch.Generator().manual_seed(0)
    layer = OneHotLinear(positions=4, codes=7, outputs=5)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.bias.normal_(generator=generator)
    codes = torch.randint(0, 7, (20, 4), generator=generator)
    dense = torch.nn.functional.one_hot(codes, 8).float().flatten(1)
    torch.testing.assert_close(layer(codes), dense @ layer.weight + layer.bias)


@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_codes_that_were_never_seen_add_nothing_of_their_own(kind):
    codes, classes = maps(codes=10)
    fitted = PROBES[kind](epochs=5).fit(codes, classes)
    strange = codes.copy()
    strange[:, 0] = 400
    stranger = codes.copy()
    stranger[:, 0] = 10
    assert_array_equal(fitted.predict_proba(strange), fitted.predict_proba(stranger))
    assert np.isfinite(fitted.predict_proba(strange)).all()


def test_dead_features_are_not_blown_up():
    points, names = blobs(300, spread=6.0)
    rare = np.zeros((300, 50), np.float32)
    rare[np.arange(50), np.arange(50)] = 1e-3
    fitted = PROBES["knn"]().fit(np.hstack([points, rare]), names)
    assert np.mean(fitted.predict(np.hstack([points, rare + 1e-3])) == names) > 0.98


@readings
def test_what_is_kept_gives_the_probe_back(kind, make):
    points, names = make()
    shape = (1, 1, points.shape[1])
    fitted = brief(kind, features="encoder", shape=shape).fit(points, names)
    again = PROBES[kind].from_params(fitted.to_params())
    assert_array_equal(again.predict_proba(points), fitted.predict_proba(points))
    assert [str(name) for name in fitted.classes_] == list(again.classes_)
    assert (again.features, again.shape, again.history_) == ("encoder", shape, fitted.history_)


@functools.cache
def honest_params(kind, **settings):
    """What a fitted probe of that kind is kept as."""
    return brief(kind, **settings).fit(*blobs(30)).to_params()


FORGERIES = {
    "no kind": {"kind": None},
    "another kind": {"kind": "gmm"},
    "features": {"features": 3},
    "classes of numbers": {"classes": [1, 2, 3]},
    "one class twice": {"classes": ["a", "a", "b"]},
    "more classes": {"classes": list("abcd")},
    "no classes": {"classes": []},
    "no features": {"inputs": 0},
    "other features": {"inputs": 5},
    "endless features": {"inputs": 10**30},
    "a float of features": {"inputs": 4.0},
    "codes": {"codes": 7},
    "endless codes": {"codes": 2**60},
    "settings": {"settings": {"colour": "red"}},
    "no settings": {"settings": None},
    "arrays": {"arrays": {}},
    "no arrays": {"arrays": None},
    "arrays of others": {"arrays": {"mean": np.zeros(4), "scale": np.ones(3)}},
    "history": {"history": [{"epoch": "first"}]},
    "no history": {"history": None},
    "a checkpoint that is a number": {"checkpoint": 3},
}


@probes
@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_parameters_are_refused(kind, forgery):
    params = honest_params(kind) | FORGERIES[forgery]
    with pytest.raises(ModelFileError):
        PROBES[kind].from_params(params)


@probes
def test_each_forged_setting_and_array_is_refused(kind):
    params = honest_params(kind)
    for name in params["settings"]:
        for value in (-1, "many", True, 10**30):
            with pytest.raises(ModelFileError):
                PROBES[kind].from_params(params | {"settings": params["settings"] | {name: value}})
    for name, array in params["arrays"].items():
        for other in (array[..., None], array.astype(np.complex64), array * np.nan, "text", np.zeros(0)):
            with pytest.raises(ModelFileError):
                PROBES[kind].from_params(params | {"arrays": params["arrays"] | {name: other}})


@probes
def test_bad_data_is_refused(kind):
    points, names = blobs(30)
    codes, classes = maps(30)
    for X, y in [
        (np.full_like(points, np.nan), names), (points, names[:-1]), (points, np.full(30, "")),
        (points, np.full(30, "one")), (codes - 50, classes), (codes * 100_000, classes), (points, None),
    ]:  # fmt: skip
        with pytest.raises(DataError):
            small(kind, X.shape[1]).fit(X, y)
    with pytest.raises(DataError):
        small(kind, 6).fit(codes, classes).predict(codes.astype(np.float32))


@probes
@pytest.mark.parametrize("shape", [(2, 2, 2), (4,), (-1, -1, 4), (1.0, 1.0, 4.0), (4, 0, 0), "141"])
def test_a_shape_that_is_not_that_of_the_features_is_refused(kind, shape):
    with pytest.raises(UsageError, match="shape is not"):
        small(kind, shape=shape).fit(*blobs(30))
    fitted = honest_params(kind, shape=(1, 2, 2))
    with pytest.raises(ModelFileError):
        PROBES[kind].from_params(fitted | {"settings": fitted["settings"] | {"shape": shape}})


@trained
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_bad_settings_and_a_loss_that_is_not_finite_are_refused(kind):
    points, names = blobs(30)
    for settings in ({"epochs": 0}, {"lr": -1.0}, {"held_out": 0.9}, {"batch_size": 1}, {"device": "tpu"}):
        with pytest.raises(UsageError):
            probe_of(kind, **settings).fit(points, names)
    with pytest.raises(FitError):
        small(kind).fit(points.astype(np.float64) * 1e200, names)
