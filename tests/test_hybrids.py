"""Points between classes, against the Gaussians they come from."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from latentcli import hybrids
from latentcli.classifiers.gaussian_mixture import GaussianMixtureClassifier
from latentcli.errors import UsageError


@pytest.fixture(scope="module")
def mixture() -> GaussianMixtureClassifier:
    """Three classes far apart; the first is made of two components."""
    return GaussianMixtureClassifier.from_params(
        {
            "kind": "gmm",
            "covariance_type": "diag",
            "weights": np.array([0.1, 0.3, 0.3, 0.3]),
            "means": np.array([[0.0, 0.0], [1.0, 0.0], [50.0, 0.0], [0.0, 50.0]]),
            "covariances": np.array([[1.0, 4.0], [1.0, 4.0], [1.0, 1.0], [9.0, 1.0]]),
            "component_labels": np.array([0, 0, 1, 2]),
            "classes": np.array(["a", "b", "c"]),
        }
    )


def test_draws_have_the_moments_of_their_class(mixture):
    points = hybrids.draw(mixture, np.zeros(20_000, int), np.random.default_rng(0))
    assert_allclose(points.mean(axis=0), [0.75, 0.0], atol=0.05)  # weights 0.1 and 0.3 at 0 and 1
    assert_allclose(points.var(axis=0), [1 + 0.1875, 4.0], rtol=0.05)


def test_points_lie_between_the_two_classes_asked_for(mixture):
    points = hybrids.between(mixture, 2_000, ["b", "c"], seed=1)
    place = points[:, 1] / 50  # from b at (50, 0) to c at (0, 50)
    assert_allclose(points[:, 0], 50 * (1 - place), atol=15)
    assert place.min() < 0.1
    assert place.max() > 0.9
    assert abs(place.mean() - 0.5) < 0.03


def test_the_same_seed_draws_the_same_points(mixture):
    first = hybrids.between(mixture, 50, None, seed=1)
    assert_allclose(first, hybrids.between(mixture, 50, None, seed=1), rtol=0, atol=0)
    assert not np.array_equal(first, hybrids.between(mixture, 50, None, seed=2))


@pytest.mark.parametrize(
    ("classes", "says"), [(["a"], "two or more"), (["a", "a"], "two or more"), (["a", "x"], "'x'"), ([], "two or more")]
)
def test_classes_that_make_no_pair_are_refused(mixture, classes, says):
    with pytest.raises(UsageError, match=says):
        hybrids.between(mixture, 5, classes, seed=0)


def test_bytes_are_rounded_and_clipped():
    assert hybrids.to_bytes(np.array([-0.1, 0.0, 0.5, 0.999, 1.2])).tolist() == [0, 0, 128, 255, 255]


def test_on_a_plane_of_a_larger_space_points_are_those_of_the_plane(mixture):
    plane = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    offset = np.array([5.0, 0.0, 7.0, 0.0])
    params = {name: value for name, value in mixture.to_params().items() if value is not None}
    lifted = GaussianMixtureClassifier.from_params(params | {"projection": plane, "offset": offset})
    points = hybrids.between(lifted, 50, None, seed=1)
    assert_allclose(points, hybrids.between(mixture, 50, None, seed=1), rtol=0, atol=0)
    latents = lifted.inverse_transform(points)
    assert_allclose(latents[:, [1, 3]], points)
    assert_allclose(latents[:, [0, 2]], np.tile([5.0, 7.0], (50, 1)))
    assert_allclose(lifted.predict_proba(latents), mixture.predict_proba(points))
    assert_allclose(lifted.principal_plane()[0], offset + mixture.principal_plane()[0] @ plane)
