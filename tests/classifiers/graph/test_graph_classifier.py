"""The graph as a classifier: scikit-learn's contract, bent classes, degenerate data."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.estimator_checks import check_estimator

from latentcli.classifiers import CLASSIFIERS
from latentcli.classifiers.graph import graph_classifier
from latentcli.classifiers.graph.graph_classifier import PLANE, GraphClassifier
from latentcli.core.errors import DataError, FitError, ModelFileError, UsageError

NOT_APPLICABLE = {"check_classifiers_classes": "uses the label -1 as a class: here it says unlabelled"}


def moons(samples=600, per_class=1, seed=0):
    """Two bent clusters: points (N, 2), true classes (N,), and a few labels, -1 elsewhere."""
    random = np.random.default_rng(seed)
    truth = np.arange(samples) % 2
    angles = random.uniform(0, np.pi, samples)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points[truth == 1] = np.array([1.0, 0.4]) - points[truth == 1]
    points += random.normal(scale=0.08, size=points.shape)
    return points, truth, np.where(np.arange(samples) < 2 * per_class, truth, -1)


@pytest.mark.filterwarnings("ignore")
def test_keeps_the_contract_of_scikit_learn():
    results = check_estimator(GraphClassifier(), expected_failed_checks=NOT_APPLICABLE, on_skip=None, on_fail=None)
    assert [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"] == []


def test_is_registered():
    assert CLASSIFIERS["graph"] is GraphClassifier


@pytest.mark.parametrize("method", ["auto", "poisson", "spreading"])
def test_it_follows_bent_classes_from_one_label_each(method):
    points, truth, labels = moons()
    fitted = GraphClassifier(method=method).fit(points, labels)
    others, their_truth, _ = moons(seed=1)
    enough = 0.97 if fitted.method_ == "poisson" else 0.85  # a Gaussian each: 0.71
    assert fitted.score(points, truth) > enough
    assert fitted.score(others, their_truth) > enough
    assert fitted.method_ == ("spreading" if method == "spreading" else "poisson")
    assert fitted.left_out_accuracy_ == {}


def test_leaving_out_decides_where_each_class_has_two_labels():
    points, _, labels = moons(per_class=5)
    fitted = GraphClassifier().fit(points, labels)
    assert fitted.left_out_accuracy_.keys() == {"poisson", "spreading"}
    assert fitted.left_out_accuracy_[fitted.method_] == max(fitted.left_out_accuracy_.values())
    one = GraphClassifier(method="spreading").fit(points, labels)
    assert one.left_out_accuracy_ == {"spreading": fitted.left_out_accuracy_["spreading"]}


def test_votes_are_distributions_and_points_far_away_get_one_too():
    points, _, labels = moons(per_class=3)
    fitted = GraphClassifier().fit(points.astype(np.float32), labels)
    for queries in (points, 1e6 * points):
        found = fitted.predict_proba(queries)
        assert_allclose(found.sum(axis=1), 1)
        assert (found >= 0).all()


def test_the_order_of_the_points_changes_nothing():
    points, _, labels = moons(per_class=5)
    order = np.random.default_rng(0).permutation(len(points))
    one, other = GraphClassifier().fit(points, labels).to_params(), GraphClassifier().fit(points[order], labels[order])
    for name, value in other.to_params().items():
        assert_array_equal(value, one[name])


def test_units_of_the_dimensions_change_nothing():
    points, _, labels = moons(per_class=5)
    units = np.array([1.0, 5.0])
    one, other = GraphClassifier().fit(points, labels), GraphClassifier().fit(points * units, labels)
    assert_allclose(one.predict_proba(points), other.predict_proba(points * units), atol=1e-4)


def test_copies_of_points_are_one_point():
    points, truth, labels = moons(per_class=5)
    many = np.repeat(points, 30, axis=0)  # more copies than neighbours
    copies = np.full(len(many), -1)
    copies[::30] = labels
    one, other = GraphClassifier().fit(points, labels), GraphClassifier().fit(many, copies)
    assert_array_equal(one.probabilities_, other.probabilities_)
    assert other.score(many, np.repeat(truth, 30)) == one.score(points, truth)


def test_a_point_with_labels_of_two_classes_is_in_doubt():
    points, _, labels = moons(per_class=5)
    fitted = GraphClassifier().fit(np.concatenate([points, points[:1]]), [*labels, 1])
    row = np.flatnonzero((fitted.points_ == points[0]).all(axis=1))[0]
    assert (fitted.labelled_ == row).sum() == 2
    assert len(fitted.labels_) == 11


def test_parts_without_a_label_hang_on_the_nearest_one():
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(size=(40, 2)) + x for x in (0, 20, 100)])
    labels = np.full(120, -1)
    labels[[0, 40]] = 0, 1
    fitted = GraphClassifier().fit(points, labels)
    assert (fitted.components_, fitted.unreached_) == (3, pytest.approx(1 / 3))
    assert_array_equal(fitted.predict(points), np.repeat([0, 1, 1], 40))


def test_class_sizes_are_met():
    random = np.random.default_rng(0)
    points = random.normal(size=(400, 2)) * [3, 1]  # one cloud: nothing but the sizes says where it is cut
    labels = np.full(400, -1)
    labels[points[:, 0].argmin()], labels[points[:, 0].argmax()] = 0, 1
    fitted = GraphClassifier(class_sizes={0: 300, 1: 100}).fit(points, labels)
    assert_allclose(fitted.probabilities_.mean(axis=0), [0.75, 0.25], atol=1e-4)
    assert abs((fitted.predict(points) == 0).mean() - 0.75) < 0.1
    for wrong in ({0: 1}, {0: 1, 1: 0}, {0: 1, 1: 1, 2: 1}, {0: "a", 1: 1}):
        with pytest.raises(UsageError, match="class_sizes"):
            GraphClassifier(class_sizes=wrong).fit(points, labels)


def test_typicality_is_uniform_for_the_points_and_0_far_away():
    points, _, labels = moons(per_class=3)
    fitted = GraphClassifier().fit(points, labels)
    new = fitted.typicality(moons(seed=5)[0])
    assert 0.4 < new.mean() < 0.6
    assert (fitted.typicality(points + 50) == 0).all()


def test_probabilities_are_calibrated():
    random = np.random.default_rng(0)
    truth = np.arange(4_000) % 2
    points = random.normal(size=(4_000, 2)) + 1.5 * truth[:, None]  # they overlap: 0.86 is as good as it gets
    labels = np.where(np.arange(4_000) < 100, truth, -1)
    found = GraphClassifier().fit(points, labels).predict_proba(points)
    confidence, right = found.max(axis=1), found.argmax(axis=1) == truth
    assert abs(confidence.mean() - right.mean()) < 0.06


@pytest.mark.parametrize("kind", [float, np.float32])
def test_params_hold_the_classifier(kind):
    points, _, labels = moons(per_class=5)
    fitted = GraphClassifier(7, features="encoder").fit(points.astype(kind), np.array(["a", "b", ""])[labels])
    again = GraphClassifier.from_params(fitted.to_params())
    assert_array_equal(again.predict_proba(points[:9].astype(kind)), fitted.predict_proba(points[:9].astype(kind)))
    assert_array_equal(again.typicality(points[:9]), fitted.typicality(points[:9]))
    assert again.summary() == fitted.summary()
    assert (again.features, again.n_neighbors) == ("encoder", 7)


def turned(points: np.ndarray, width: int = 300, seed: int = 0) -> np.ndarray:
    """The points on a plane of a space of so many dimensions, in which there is a little noise."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(random.normal(size=(width, points.shape[1])))[0].T
    return points @ directions + 5 + random.normal(size=(len(points), width)) / 1_000


def test_in_very_many_dimensions_the_graph_lives_on_the_principal_plane():
    points, truth, labels = moons(per_class=5)
    wide = turned(points)
    fitted = GraphClassifier().fit(wide, labels)
    assert fitted.points_.shape == (len(points), PLANE)
    assert (fitted.predict(wide) == truth).mean() > 0.97
    # Distances on the plane are those of the whole space but for its noise.
    rows = np.random.default_rng(0).permutation(len(wide))
    own = fitted.in_units(wide[rows])
    assert_allclose(np.linalg.norm(own[1:] - own[:-1], axis=1), np.linalg.norm(np.diff(points[rows], axis=0), axis=1),
                    atol=0.02)  # fmt: skip
    # Points that are given back are those of the whole space.
    drawn = fitted.draw_of_classes(np.array([0, 1, 1]), np.random.default_rng(0))
    assert np.abs(drawn[:, None] - wide).max(axis=2).min(axis=1).max() < 0.01
    learned, classes = fitted.learned_from
    assert np.abs(learned - wide[[np.flatnonzero(labels == label)[0] for label in classes]]).max() < 1
    assert learned.shape[1] == 300
    # The order of the points changes nothing but rounding, and the file holds the plane.
    again = GraphClassifier().fit(wide[rows], labels[rows])
    assert_allclose(again.predict_proba(wide), fitted.predict_proba(wide), atol=1e-6)
    read = GraphClassifier.from_params(fitted.to_params())
    assert_array_equal(read.predict_proba(wide), fitted.predict_proba(wide))
    assert read.n_features_in_ == 300


@pytest.mark.parametrize("change", [
    {"offset": np.zeros(299)}, {"projection": np.ones((PLANE, 300))}, {"projection": np.full((PLANE, 300), np.nan)},
    {"projection": np.eye(3, 300)}, {"offset": "none"}, {"projection": np.eye(PLANE, 300).astype(int)},
])  # fmt: skip
def test_a_plane_that_is_none_is_refused(change):
    points, _, labels = moons(per_class=5)
    params = GraphClassifier().fit(turned(points), labels).to_params()
    with pytest.raises(ModelFileError, match="not a graph"):
        GraphClassifier.from_params(params | change)
    del params["offset"]
    with pytest.raises(ModelFileError, match="not a graph"):
        GraphClassifier.from_params(params)


@pytest.mark.parametrize("change", [
    {"kind": "gmm"}, {"kind": 3}, {"points": np.zeros((3, 2))}, {"points": np.full((600, 2), np.nan)},
    {"points": np.zeros((600, 0))}, {"probabilities": np.full((600, 2), 0.4)}, {"probabilities": np.ones((600, 3)) / 3},
    {"probabilities": np.full((600, 2), [2.0, -1.0])}, {"labelled": np.full(10, 600)}, {"labelled": np.arange(3)},
    {"labels": np.full(10, 2)}, {"labels": np.full(10, -1)}, {"classes": np.array(["a", "a"])}, {"classes": None},
    {"distance_quantiles": np.arange(1001.0)[::-1]}, {"distance_quantiles": np.arange(3.0)}, {"n_neighbors": 0},
    {"n_neighbors": True}, {"temperature": float("nan")}, {"method": "magic"}, {"left_out_accuracy_poisson": 2.0},
    {"features": 3}, {"checkpoint": 3},
    {"scale": np.zeros(2, np.float32)}, {"scale": np.ones(3, np.float32)},
    {"scale": np.full(2, 1e-40, np.float32)},
])  # fmt: skip
def test_params_are_not_trusted(change):
    points, _, labels = moons(per_class=5)
    params = GraphClassifier().fit(points, labels).to_params()
    with pytest.raises(ModelFileError, match="not a graph"):
        GraphClassifier.from_params(params | change)


def test_what_makes_no_graph_is_refused():
    points, _, labels = moons(per_class=1)
    with pytest.raises(FitError, match="all points are the same"):
        GraphClassifier().fit(np.ones((5, 2)), [0, 1, -1, -1, -1])
    with pytest.raises(DataError, match="not finite"):
        GraphClassifier().fit(np.where(points > 1, np.nan, points), labels)
    with pytest.raises(DataError, match="one class"):
        GraphClassifier().fit(points, np.where(labels == 0, 0, -1))
    with pytest.raises(UsageError, match="n_neighbors"):
        GraphClassifier(0).fit(points, labels)
    with pytest.raises(UsageError, match="method"):
        GraphClassifier(method="magic").fit(points, labels)
    two = GraphClassifier().fit(points[:2], labels[:2])  # fewer points than neighbours
    assert_array_equal(two.predict(points[:2]), labels[:2])


def test_more_points_times_classes_than_memory_holds_are_refused_before_any_work(monkeypatch):
    points, _, labels = moons(per_class=2)
    monkeypatch.setattr(graph_classifier, "MOST_PROBABILITIES", 2 * len(points) - 1)
    fitted, neighbours = GraphClassifier(), []
    monkeypatch.setattr(graph_classifier, "neighbours", lambda *given: neighbours.append(given))
    with pytest.raises(DataError, match="has 1,200 probabilities"):
        fitted.fit(points, labels)
    assert neighbours == []
