"""Labels that spread among images, against the linear system that they solve and scikit-learn's neighbours."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neighbors import KNeighborsClassifier, kneighbors_graph

from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.core.errors import DataError, UsageError
from latentcli.hybrids import LIKELIHOODS, HybridMaker, Posteriors, Recipe, soft_labels, spreading
from latentcli.hybrids.spreading import ALPHA, NEIGHBOURS, TOLERANCE, SpreadLabels


def mixture_of(means, classes=("a", "b", "c")) -> GaussianMixtureClassifier:
    """One round Gaussian for each class."""
    count = len(means)
    return GaussianMixtureClassifier.from_params({
        "kind": "gmm", "covariance_type": "spherical", "weights": np.full(count, 1 / count),
        "means": np.array(means, float), "covariances": np.ones(count), "component_labels": np.arange(count),
        "classes": np.array(classes[:count]),
    })  # fmt: skip


def crowd(count, seed=0, classes=3):
    """Points around the corners of a triangle, and whose they are."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=count)
    return (np.eye(3)[labels] * 4 + random.normal(0, 1.5, (count, 3))).astype(np.float32), labels


MIXTURE = mixture_of(np.eye(3) * 4)


def test_propagated_labels_solve_the_linear_system_of_label_spreading():
    points, labels = crowd(300)
    names = np.array(["a", "b", "c"])[labels]
    names[30:] = ""
    found = SpreadLabels(MIXTURE, Posteriors(points, names=names)).soft_labels
    first, free = MIXTURE.predict_proba(points), np.arange(300) >= 30
    first[~free] = np.eye(3)[labels[:30]]
    mean = kneighbors_graph(points, NEIGHBOURS, include_self=False).toarray() / NEIGHBOURS
    known = ALPHA * mean[free][:, ~free] @ first[~free] + (1 - ALPHA) * first[free]
    expected = np.linalg.solve(np.eye(free.sum()) - ALPHA * mean[free][:, free], known)
    assert_allclose(found[free], expected, atol=TOLERANCE * ALPHA / (1 - ALPHA))
    assert_array_equal(found[~free], first[~free])


def test_where_every_class_is_known_points_are_what_their_neighbours_vote():
    points, labels = crowd(200)
    likelihood = LIKELIHOODS["neighbours"](MIXTURE, Posteriors(points, names=np.array(["a", "b", "c"])[labels]))
    positions = crowd(500, seed=1)[0]
    reference = KNeighborsClassifier(NEIGHBOURS, algorithm="kd_tree").fit(points, labels)
    assert_allclose(np.exp(likelihood(positions)), reference.predict_proba(positions), atol=1e-12)
    far = soft_labels(likelihood(positions), temperature=1e6)
    assert_array_equal(far == 0, reference.predict_proba(positions) == 0)  # none stays none, however soft


def test_neighbours_correct_images_that_the_mixture_is_confidently_wrong_about():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 300)
    points = random.normal(0, 1, (600, 2)) + np.array([[0, 0], [9, 0]])[labels]
    mistaken = mixture_of([[-4, 0], [7, 0]])  # its boundary runs through the first class
    before = mistaken.predict_proba(points)
    wrong = before.argmax(axis=1) != labels
    assert wrong.sum() > 10
    assert before[wrong].max(axis=1).mean() > 0.9
    after = SpreadLabels(mistaken, Posteriors(points)).soft_labels
    assert (after.argmax(axis=1) != labels).sum() < 0.2 * wrong.sum()


def test_images_of_other_classes_are_left_out():
    points, labels = crowd(200)
    names = np.where(labels == 2, "other", np.array(["a", "", "-"])[labels])
    found = SpreadLabels(MIXTURE, Posteriors(points, names=names))
    alone = SpreadLabels(MIXTURE, Posteriors(points[labels != 2], names=names[labels != 2]))
    assert_array_equal(found.soft_labels, alone.soft_labels)
    with pytest.raises(DataError, match=r"expected some of a, b, c, found other, x"):
        LIKELIHOODS["neighbours"](MIXTURE, Posteriors(points[:2], names=np.array(["x", "other"])))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 25), st.integers(0, 99), st.booleans())
def test_of_few_images_and_of_equal_ones_labels_are_distributions(count, seed, equal):
    points = crowd(count, seed)[0]
    if equal:
        points[:] = points[0]
    names = np.random.default_rng(seed).choice(["", "a", "b"], count)
    likelihood = LIKELIHOODS["neighbours"](MIXTURE, Posteriors(points, names=names))
    assert_allclose(likelihood.soft_labels.sum(axis=1), 1)
    found = soft_labels(likelihood(crowd(7, seed + 1)[0]))
    assert_allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()


def test_of_few_images_so_few_are_asked_that_a_class_can_have_all_votes():
    points = np.repeat(np.eye(3) * 4, 4, axis=0) + np.random.default_rng(0).normal(0, 0.5, (12, 3))
    names = np.repeat(["a", "b", "c"], 4)
    likelihood = LIKELIHOODS["neighbours"](MIXTURE, Posteriors(points, names=names))
    assert_allclose(np.exp(likelihood(points)), np.repeat(np.eye(3), 4, axis=0))


def test_neighbours_are_asked_on_the_plane_of_the_mixture():
    points, labels = crowd(200)
    wide = np.random.default_rng(1).normal(0, 100, (200, 6)).astype(np.float32)
    wide[:, [1, 3, 4]] = points
    params = {name: value for name, value in MIXTURE.to_params().items() if value is not None}
    lifting = {"projection": np.eye(6)[[1, 3, 4]], "offset": np.zeros(6)}
    plane = GaussianMixtureClassifier.from_params(params | lifting)
    names = np.where(np.arange(200) < 50, np.array(["a", "b", "c"])[labels], "")
    found = SpreadLabels(plane, Posteriors(wide, names=names))
    flat = SpreadLabels(MIXTURE, Posteriors(points, names=names))
    assert_allclose(found.soft_labels, flat.soft_labels, atol=1e-9)
    assert_allclose(found(wide[:20]), flat(points[:20]), atol=1e-9)


def test_without_images_there_are_no_neighbours():
    with pytest.raises(UsageError, match="neighbours needs images"):
        HybridMaker(Recipe(likelihood="neighbours"), MIXTURE, None)


def test_more_images_than_can_be_searched_are_refused_before_the_search_begins(monkeypatch):
    monkeypatch.setattr(spreading, "MAX_IMAGES", 150)
    searched = []

    @contextmanager
    def progress(doing, total):
        searched.append(total)
        yield lambda count: None

    points, labels = crowd(200)
    with pytest.raises(DataError, match="too many images") as caught:
        SpreadLabels(MIXTURE, Posteriors(points), progress)
    assert caught.value.found == "expected at most 150, found 200"
    assert "`near`" in caught.value.remedy
    assert not searched
    names = np.where(labels == 2, "other", "")  # images of other classes are not searched
    SpreadLabels(MIXTURE, Posteriors(points, names=names), progress)
    assert searched == [(labels != 2).sum()]
