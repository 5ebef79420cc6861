"""Temperatures and shares of classes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax

from latentcli.classifiers.graph import calibration


def test_the_temperature_of_the_data_is_found_again():
    random = np.random.default_rng(0)
    logits = random.normal(size=(5_000, 4))
    classes = np.array([random.choice(4, p=row) for row in softmax(logits / 0.3, axis=1)])
    assert abs(np.log(calibration.temperature(logits, classes) / 0.3)) < 0.15


def test_a_few_labels_that_are_all_right_do_not_make_it_sure():
    logits = 3 * np.eye(3)[np.array([0, 0, 1, 1, 2, 2])]
    sure = calibration.probabilities(logits, calibration.calibrated(logits, logits, logits.argmax(axis=1)))
    assert 0.8 < sure.max() < 0.999


def test_shares_are_met_and_without_them_it_is_a_softmax():
    logits = np.random.default_rng(0).normal(size=(500, 3))
    shares = np.array([0.7, 0.2, 0.1])
    how = calibration.Calibration(0.5, calibration.offsets(logits, 0.5, shares))
    found = calibration.probabilities(logits, how)
    assert_allclose(found.mean(axis=0), shares, atol=1e-5)
    assert_allclose(found.sum(axis=1), 1)
    offset = np.log(found) - logits / 0.5
    offset -= offset[:, :1]
    assert_allclose(offset, np.broadcast_to(offset[0], offset.shape), atol=1e-6)  # one number a class
    plain = calibration.Calibration(0.5, calibration.offsets(logits, 0.5, None))
    assert_allclose(calibration.probabilities(logits, plain), softmax(logits / 0.5, axis=1))


@pytest.mark.parametrize("labels", [(400, 400, 400), (30, 300, 900), (800, 100, 300)])
def test_shares_and_temperature_are_found_together_whatever_the_labels_are(labels):
    """Three Gaussians of unlike weights, whose posteriors are known, and labels that are drawn class by class."""
    random, shares, means = np.random.default_rng(0), np.array([0.7, 0.2, 0.1]), np.array([[0, 0], [2, 0], [0, 2]])

    def logits_of(classes):
        points = means[classes] + random.normal(size=(len(classes), 2))
        return -((points[:, None] - means) ** 2).sum(axis=2) / 2 * 0.4 + np.array([0.0, 0.3, -0.2])

    every = logits_of(random.choice(3, 6_000, p=shares))
    known = np.repeat(np.arange(3), labels)
    found = calibration.calibrated(every, logits_of(known), known, shares)
    assert abs(np.log(found.temperature / 0.4)) < 0.15
    expected = np.log(shares) - np.array([0.0, 0.3, -0.2]) / 0.4
    assert_allclose(found.offsets - found.offsets[0], expected - expected[0], atol=0.25)
    assert_allclose(calibration.probabilities(every, found).mean(axis=0), shares, atol=1e-5)
