"""Measures of sets of images against closed forms, scipy, and all pairs compared one by one."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, stats

from latentcli.inference import fidelity

random = np.random.default_rng(0)


def points(mean: np.ndarray, covariance: np.ndarray, count: int = 50) -> np.ndarray:
    """Points whose mean and sample covariance are exactly these."""
    size = len(mean)
    drawn = np.random.default_rng(size + count).normal(size=(count, size))
    drawn -= drawn.mean(axis=0)
    white = drawn @ np.linalg.inv(linalg.cholesky(np.cov(drawn, rowvar=False).reshape(size, size)))
    return white @ linalg.cholesky(covariance) + mean


def covariance(size: int, seed: int) -> np.ndarray:
    factors = np.random.default_rng(seed).normal(size=(size, size + 1))
    return factors @ factors.T


def test_the_frechet_distance_of_gaussians_whose_axes_are_the_same_is_that_of_each_axis():
    mean, other = np.array([1.0, 2.0, -3.0]), np.array([0.5, 2.0, 1.0])
    variances, others = np.array([1.0, 4.0, 0.25]), np.array([9.0, 1.0, 0.25])
    found = fidelity.frechet_distance(points(mean, np.diag(variances)), points(other, np.diag(others)))
    expected = np.square(mean - other).sum() + np.square(np.sqrt(variances) - np.sqrt(others)).sum()
    assert found == pytest.approx(expected)


def test_the_frechet_distance_of_any_gaussians_is_that_by_scipys_square_root():
    mean, other, first, second = np.arange(5.0), np.ones(5), covariance(5, 1), covariance(5, 2)
    root = np.real(linalg.sqrtm(first @ second))
    expected = np.square(mean - other).sum() + np.trace(first + second - 2 * root)
    a, b = points(mean, first), points(other, second, 80)
    assert fidelity.frechet_distance(a, b) == pytest.approx(expected)
    assert fidelity.frechet_distance(b, a) == pytest.approx(expected)
    turned = linalg.qr(random.normal(size=(5, 5)))[0]
    assert fidelity.frechet_distance(a @ turned, b @ turned) == pytest.approx(expected)


def test_fewer_points_than_dimensions_are_as_far_apart_as_they_were_moved():
    few = random.normal(size=(6, 40)).astype(np.float32)
    assert fidelity.frechet_distance(few, few) == pytest.approx(0.0, abs=1e-9)
    assert fidelity.frechet_distance(few, few + np.float32(0.5)) == pytest.approx(40 * 0.25, rel=1e-5)


def of_all_pairs(real: np.ndarray, made: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage by their definitions, in whole numbers."""

    def squared(a, b):
        return int(np.square(a - b).sum())

    def inside(point, centres):
        found = []
        for row, centre in enumerate(centres):
            others = sorted(squared(centre, other) for place, other in enumerate(centres) if place != row)
            found.append(squared(point, centre) <= others[k - 1])
        return found

    in_real = np.array([inside(point, real) for point in made])
    in_made = np.array([inside(point, made) for point in real])
    return in_real.any(1).mean(), in_made.any(1).mean(), in_real.sum() / (k * len(made)), in_real.any(0).mean()


whole_points = st.tuples(st.integers(6, 14), st.integers(6, 14), st.sampled_from([1, 2, 7]), st.integers(0, 10**6))


@given(whole_points, st.integers(1, 5))
def test_precision_recall_density_and_coverage_are_those_of_all_pairs_ties_and_equal_points_among_them(sizes, k):
    count, other, dimensions, seed = sizes
    drawn = np.random.default_rng(seed)
    real, made = drawn.integers(0, 4, (count, dimensions)), drawn.integers(1, 6, (other, dimensions))
    precision, recall, density, coverage = of_all_pairs(real, made, k)
    as_features = real.astype(np.float32), made.astype(np.float32)
    assert fidelity.precision_and_recall(*as_features, k) == pytest.approx((precision, recall))
    assert fidelity.density_and_coverage(*as_features, k) == pytest.approx((density, coverage))


def test_two_sets_of_one_distribution_have_the_density_and_coverage_that_is_expected():
    real, made = random.normal(size=(2, 2000, 8))
    density, coverage = fidelity.density_and_coverage(real, made)
    assert density == pytest.approx(1.0, abs=0.05)
    expected = 1 - np.prod([(2000 - i) / (4000 - i) for i in range(1, 6)])
    assert coverage == pytest.approx(expected, abs=0.01)


def test_half_of_what_there_is_has_precision_and_half_the_recall():
    real = random.normal(size=(400, 6)) + 20 * np.repeat([0, 1], 200)[:, None]
    made = random.normal(size=(400, 6))
    precision, recall = fidelity.precision_and_recall(real, made)
    assert precision > 0.7
    assert 0.35 < recall <= 0.5


def test_memory_does_not_grow_with_the_pairs_and_blocks_change_nothing(monkeypatch):
    real, made = random.normal(size=(2, 1500, 6))
    whole = fidelity.measures(real, made)
    monkeypatch.setattr(fidelity, "_VALUES_AT_ONCE", 2**15)
    fidelity.measures(real[:50], made[:50])  # what is imported on the way counts for nothing
    tracemalloc.start()
    assert fidelity.measures(real, made) == pytest.approx(whole)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6 < 8 * 1500**2


@pytest.mark.parametrize("at_once", [20, 2**20])
def test_the_nearest_image_is_that_of_all_and_a_copy_is_at_0(monkeypatch, at_once):
    monkeypatch.setattr(fidelity, "_VALUES_AT_ONCE", at_once)
    among = random.integers(0, 256, (30, 1, 3, 3), dtype=np.uint8)
    images = np.concatenate([random.integers(0, 256, (10, 1, 3, 3), dtype=np.uint8), among[7:8]])
    apart = np.sqrt(np.square(images[:, None] / 255.0 - among / 255.0).sum(axis=(2, 3, 4)))
    rows, distances = fidelity.nearest_images(images, among)
    np.testing.assert_array_equal(rows, apart.argmin(axis=1))
    np.testing.assert_allclose(distances, apart.min(axis=1), atol=1e-6)
    assert (rows[-1], distances[-1]) == (7, 0.0)


def test_nearer_is_the_statistic_of_mann_and_whitney_and_copies_are_nearer_than_nearly_all():
    distances, of_real = random.integers(0, 30, 300), random.integers(5, 40, 200)
    statistic = stats.mannwhitneyu(of_real, distances).statistic
    assert fidelity.nearer(distances, of_real) == pytest.approx(statistic / (300 * 200))
    assert fidelity.nearer(of_real, of_real) == 0.5
    assert fidelity.copied(np.zeros(5), of_real) == 1.0
    assert fidelity.copied(np.arange(1000.0), np.arange(1000.0)) == pytest.approx(0.01)
