"""EM against scikit-learn's mixture, step by step, and against what is known of it."""

import subprocess
import sys
import warnings
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from latentcli.classifiers.mixture.expectation_maximisation import (
    CollapsedComponent,
    Samples,
    expectation,
    maximise_likelihood,
)
from latentcli.classifiers.mixture.gaussians import COVARIANCE_TYPES, Mixture, from_statistics, log_joint, log_sum
from latentcli.core.labels import UNLABELLED


def problem(seed, samples=400, components=4, dimensions=3):
    """Overlapping clusters, and means to start from."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(scale=2.0, size=(components, dimensions))
    skew = generator.normal(size=(components, dimensions, dimensions))
    owner = generator.integers(components, size=samples)
    points = centres[owner] + np.einsum("nij,nj->ni", skew[owner], generator.normal(size=(samples, dimensions)))
    return points + 10.0, points[generator.permutation(samples)[:components]] + 10.0


def unit_start(means, covariance_type):
    components, dimensions = means.shape
    covariances = {
        "full": np.repeat(np.eye(dimensions)[None], components, axis=0),
        "tied": np.eye(dimensions),
        "diag": np.ones((components, dimensions)),
        "spherical": np.ones(components),
    }[covariance_type]
    return Mixture(np.full(components, 1 / components), means, covariances, covariance_type)


def unlabelled(points, chunk_size=64, device="cpu"):
    return Samples(points, np.full(len(points), UNLABELLED), chunk_size, device)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_equals_scikit_learn_at_every_iteration(covariance_type, dimensions):
    points, means = problem(dimensions, dimensions=dimensions)
    start = unit_start(means, covariance_type)
    steps = []
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        maximise_likelihood(
            unlabelled(points), start, reg_covar=0.0, tol=0.0, max_iter=12,
            on_iteration=lambda _, mixture, likelihood: steps.append((mixture, likelihood)),
        )  # fmt: skip
    for count in range(1, len(steps)):
        reference = GaussianMixture(
            len(means), covariance_type=covariance_type, tol=0.0, reg_covar=0.0, max_iter=count,
            weights_init=start.weights, means_init=means, precisions_init=start.covariances,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reference.fit(points)
        mixture, likelihood = steps[count]
        assert_allclose(likelihood, reference.score(points), atol=1e-9)
        assert_allclose(log_sum(log_joint(points, mixture, points.mean(0))), reference.score_samples(points), atol=1e-7)
        assert_allclose(mixture.covariances, reference.covariances_, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(COVARIANCE_TYPES), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_the_likelihood_never_falls(seed, covariance_type, components, dimensions, some_labels):
    points, means = problem(seed, 120, components, dimensions)
    labels = np.full(len(points), UNLABELLED)
    if some_labels:
        labels[: 3 * components] = np.arange(3 * components) % components
    likelihoods = []
    with suppress(CollapsedComponent):  # without a floor of the covariances the likelihood has no upper bound
        maximise_likelihood(
            Samples(points, labels, 50), unit_start(means, covariance_type), component_classes=np.arange(components),
            reg_covar=0.0, tol=0.0, max_iter=15, on_iteration=lambda *step: likelihoods.append(step[2]),
        )  # fmt: skip
    assert len(likelihoods) > 1
    assert (np.diff(likelihoods) > -1e-9).all()


def test_labels_clamp_responsibilities():
    points = np.array([[0.0], [1.0], [10.0], [11.0]])
    start = unit_start(np.array([[0.0], [10.0]]), "full")
    everywhere = Samples(points, np.array([1, 1, 0, 0]), 3)
    step = expectation(everywhere, start, component_classes=np.array([0, 1]))
    mixture = from_statistics(step.statistics, everywhere.origin, "full", np.zeros(1))
    assert_allclose(mixture.means, [[10.5], [0.5]])  # against all density, as the labels say
    assert_allclose(mixture.covariances, [[[0.25]], [[0.25]]])
    joint = [np.log(0.5) + multivariate_normal(m).logpdf(x) for x, m in zip(points[:, 0], (10, 10, 0, 0), strict=True)]
    assert_allclose(step.log_likelihood, np.mean(joint))


def test_labels_are_shared_within_the_components_of_their_class():
    start = unit_start(np.array([[0.0], [1.0], [0.5]]), "full")
    samples = Samples(np.array([[0.0], [5.0]]), np.array([0, UNLABELLED]), 10)
    step = expectation(samples, start, component_classes=np.array([0, 0, 1]))
    free = expectation(Samples(np.array([[5.0], [5.0]]), np.full(2, UNLABELLED), 10), start)
    labelled = step.statistics[:, 0] - free.statistics[:, 0] / 2
    assert_allclose(labelled, [1 / (1 + np.exp(-0.5)), np.exp(-0.5) / (1 + np.exp(-0.5)), 0.0], atol=1e-12)


def test_fully_labelled_data_is_fitted_in_closed_form():
    points, _ = problem(3, components=2)
    labels = (np.arange(len(points)) % 3 == 0).astype(int)
    start = unit_start(np.zeros((2, 3)), "full")
    fit = maximise_likelihood(Samples(points, labels, 32), start, component_classes=np.arange(2), reg_covar=0.0)
    for one in (0, 1):
        assert_allclose(fit.mixture.weights[one], (labels == one).mean())
        assert_allclose(fit.mixture.means[one], points[labels == one].mean(axis=0))
        assert_allclose(fit.mixture.covariances[one], np.cov(points[labels == one].T, bias=True), atol=1e-9)


def test_shrinkage_draws_covariances_to_their_mean():
    points, _ = problem(5, components=2)
    samples = Samples(points, (np.arange(len(points)) < 100).astype(int), 32)
    step = expectation(samples, unit_start(points[:2], "full"), component_classes=np.arange(2))
    no_floor = np.zeros(3)
    plain, drawn, flat = (
        from_statistics(step.statistics, samples.origin, "full", no_floor, s) for s in (0.0, 50 / 6, 1e12)
    )
    pooled = from_statistics(step.statistics, samples.origin, "tied", no_floor).covariances
    share = 50 / (100 + 50)  # 50 pseudo-samples beside the 100 of class 1
    assert_allclose(drawn.covariances[1], (1 - share) * plain.covariances[1] + share * pooled)
    assert_allclose(flat.covariances[0], pooled)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_narrow_components_far_from_the_origin_keep_their_digits(covariance_type):
    generator = np.random.default_rng(0)
    centres = np.array([[1e4, 0.0], [1e4, 1.0]])
    points = centres[np.arange(500) % 2] + generator.normal(scale=1e-3, size=(500, 2))
    fit = maximise_likelihood(unlabelled(points), unit_start(centres, covariance_type), reg_covar=0.0, max_iter=50)
    reference = multivariate_normal(fit.mixture.means[0], fit.mixture.full_covariances()[0])
    own = points[::2]
    assert_allclose(
        log_sum(log_joint(own, fit.mixture, points.mean(0))), reference.logpdf(own) + np.log(0.5), atol=1e-6
    )


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_torch_gives_what_numpy_gives(covariance_type, monkeypatch):
    import torch

    points, means = problem(2)
    labels = np.where(np.arange(len(points)) < 20, np.arange(len(points)) % 4, UNLABELLED)
    start = unit_start(means, covariance_type)
    reference = maximise_likelihood(Samples(points, labels, 64), start, component_classes=np.arange(4), max_iter=5)
    monkeypatch.setattr("latentcli.classifiers.mixture.expectation_maximisation._namespace", lambda device: torch)
    fit = maximise_likelihood(Samples(points, labels, 64), start, component_classes=np.arange(4), max_iter=5)
    assert_allclose(fit.log_likelihoods, reference.log_likelihoods, atol=1e-10)
    assert_allclose(fit.shared, reference.shared, atol=1e-7)


def test_what_two_components_share():
    start = unit_start(np.array([[-1.0], [1.0]]), "full")
    step = expectation(unlabelled(np.array([[0.0], [0.0], [50.0]])), start)
    assert_array_equal(step.shared.round(12), [[0.5, 0.5], [0.5, 1.5]])


def test_the_cpu_needs_no_torch():
    program = (
        "import sys, numpy as np; from latentcli.classifiers import CLASSIFIERS;"
        "x = np.random.default_rng(0).normal(size=(60, 2)); CLASSIFIERS['gmm'](2).fit(x, np.arange(60) % 2).predict(x);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_number_of_threads_changes_no_bit():
    points, means = problem(3, samples=3_000, dimensions=20)
    fits = []
    for threads in (1, 2, 5):
        with threadpool_limits(threads, user_api="blas"):
            fits.append(maximise_likelihood(unlabelled(points), unit_start(means, "full"), tol=0.0, max_iter=5))
    for fit in fits[1:]:
        assert fit.log_likelihoods == fits[0].log_likelihoods
        assert_array_equal(fit.mixture.covariances, fits[0].mixture.covariances)
