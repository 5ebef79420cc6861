"""The principal plane against scikit-learn's, and the mixture that lives on it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score

from latentcli.classifiers.mixture import principal
from latentcli.classifiers.mixture.expectation_maximisation import Samples
from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.core.errors import DataError, FitError, ModelFileError, UsageError


def wide(samples=400, dimensions=300, classes=3, precision=np.float64, seed=0):
    """Three clusters in the first dimensions of many, turned; points (N, D), true classes, five labels for each."""
    generator = np.random.default_rng(seed)
    truth = np.arange(samples) % classes
    points = generator.normal(size=(samples, 12)) * np.linspace(2, 1, 12)
    points[:, :classes] += 8 * np.eye(classes)[truth]
    turn = np.linalg.qr(generator.normal(size=(dimensions, 12)))[0].T
    points = points @ turn + 0.05 * generator.normal(size=(samples, dimensions)) + 3
    return points.astype(precision), truth, np.where(np.arange(samples) < 5 * classes, truth, -1)


def plane_of(points, dimensions, seed=0):
    samples = Samples(points, np.full(len(points), -1), 64)
    return principal.fit(samples, dimensions, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("shape", "precision", "tolerance"),
    [((400, 300), np.float64, 1e-6), ((400, 300), np.float32, 1e-4), ((40, 5000), np.float32, 1e-4)],
    ids=str,
)
def test_the_plane_is_that_of_scikit_learn(shape, precision, tolerance):
    points, _, _ = wide(*shape, precision=precision)
    plane, reference = plane_of(points, 8), PCA(8, svd_solver="full").fit(points.astype(np.float64))
    signs = np.sign((plane.directions * reference.components_).sum(axis=1))
    assert_allclose(plane.directions, reference.components_ * signs[:, None], atol=tolerance)
    assert_allclose(plane.transform(points), reference.transform(points) * signs, atol=100 * tolerance)
    assert_allclose(plane.directions @ plane.directions.T, np.eye(8), atol=1e-12)


def test_units_and_distance_from_the_origin_do_not_matter():
    points, _, _ = wide(precision=np.float32)
    plain = plane_of(points, 8).directions
    assert_allclose(plane_of(points * np.float32(1e-25), 8).directions, plain, atol=1e-4)
    assert_allclose(plane_of(points * np.float32(1e25), 8).directions, plain, atol=1e-4)
    assert_allclose(plane_of(points + np.float32(100), 8).directions, plain, atol=1e-3)


def test_there_and_back_is_the_nearest_point_of_the_plane():
    points, _, _ = wide()
    plane = plane_of(points, 8)
    nearest = plane.inverse_transform(plane.transform(points))
    assert_allclose((points - nearest) @ plane.directions.T, 0, atol=1e-9)  # what is left is orthogonal to it
    assert_allclose(plane.inverse_transform(plane.transform(nearest)), nearest, atol=1e-9)


def test_fewer_points_than_dimensions_span_fewer():
    assert plane_of(wide(10)[0], 32).directions.shape == (9, 300)


def test_a_mixture_in_many_dimensions_is_one_of_the_principal_components():
    points, truth, labels = wide()
    fitted = GaussianMixtureClassifier(3, max_dimensions=8).fit(points, labels)
    reduced = PCA(8, svd_solver="full").fit_transform(points)
    reference = GaussianMixtureClassifier(3).fit(reduced, labels)
    assert fitted.means_.shape == (3, 8)
    assert fitted.n_features_in_ == 300
    assert_allclose(fitted.predict_proba(points), reference.predict_proba(reduced), atol=1e-6)
    assert_allclose(fitted.score_samples(points), reference.score_samples(reduced), atol=1e-6)
    assert_allclose(fitted.typicality(points), reference.typicality(reduced), atol=1e-6)
    assert accuracy_score(truth, fitted.predict(points)) > 0.97


def test_up_to_the_limit_there_is_no_plane():
    points, _, labels = wide(dimensions=40)
    fitted = GaussianMixtureClassifier(3, max_dimensions=40).fit(points, labels)
    assert fitted.projection_ is None
    assert fitted.transform(points) is points
    assert fitted.inverse_transform(points) is points
    assert not {"projection", "offset"} & set(fitted.to_params())


def test_the_same_seed_gives_the_same_bits():
    points, _, labels = wide()
    first, again = (GaussianMixtureClassifier(random_state=3).fit(points, labels).to_params() for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_samples_lie_in_the_whole_space():
    points, _, labels = wide()
    fitted = GaussianMixtureClassifier(3, max_dimensions=8).fit(points, labels)
    drawn, components = fitted.sample(2_000, seed=1)
    assert drawn.shape == (2_000, 300)
    assert np.mean(fitted.predict(drawn) == components) > 0.97
    assert_allclose(drawn.mean(axis=0), points.mean(axis=0), atol=0.3)


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (lambda x: x * 0 + 0.1, FitError, "all points are the same"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 17, np.nan, x), DataError, "row 17"),
        (lambda x: x[:2], FitError, "too few"),
    ],
)
def test_points_that_no_plane_can_be_found_of_are_refused(spoil, error, says):
    points = spoil(wide()[0])
    with pytest.raises(error, match=says):
        GaussianMixtureClassifier(3).fit(points)


def test_a_limit_below_one_is_refused():
    with pytest.raises(UsageError, match="max_dimensions"):
        GaussianMixtureClassifier(max_dimensions=0).fit(*wide()[::2])


@pytest.fixture
def params():
    points, _, labels = wide(dimensions=50)
    return GaussianMixtureClassifier(3, max_dimensions=4).fit(points, labels).to_params()


def test_parameters_there_and_back(params):
    points = wide(dimensions=50)[0]
    again = GaussianMixtureClassifier.from_params(params)
    assert again.n_features_in_ == 50
    assert_array_equal(again.transform(points), (points - params["offset"]) @ params["projection"].T)
    assert all(np.array_equal(value, again.to_params()[name]) for name, value in params.items())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p.pop("offset"),
        lambda p: p.pop("projection"),
        lambda p: p.update(offset=p["offset"][1:]),
        lambda p: p.update(offset=p["offset"][None]),
        lambda p: p.update(offset=p["offset"] * np.nan),
        lambda p: p.update(offset=list(p["offset"])),
        lambda p: p.update(offset=p["offset"].astype(int)),
        lambda p: p.update(projection=p["projection"][:3]),
        lambda p: p.update(projection=p["projection"][0]),
        lambda p: p.update(projection=p["projection"].T),
        lambda p: p.update(projection=p["projection"] * 1.001),
        lambda p: p.update(projection=p["projection"] * 1e200),
        lambda p: p.update(projection=p["projection"][[0, 1, 2, 2]]),
        lambda p: p.update(projection=p["projection"] + np.inf),
        lambda p: p.update(projection=p["projection"].astype(complex)),
        lambda p: p.update(projection=np.eye(4)[:, :3], offset=np.zeros(3)),
        lambda p: p.update(projection=np.eye(4, 300_001), offset=np.zeros(300_001)),
        lambda p: p.update(projection=np.broadcast_to(np.zeros(1), (4, 2**40))),
    ],
)
def test_a_plane_that_is_none_is_refused(params, spoil):
    spoil(params)
    with pytest.raises(ModelFileError, match="not a mixture"):
        GaussianMixtureClassifier.from_params(params)
