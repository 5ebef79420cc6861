"""Temperatures and shares of classes."""

import numpy as np
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
    sure = calibration.probabilities(logits, calibration.temperature(logits, logits.argmax(axis=1)))
    assert 0.8 < sure.max() < 0.999


def test_shares_are_met_and_without_them_it_is_a_softmax():
    logits = np.random.default_rng(0).normal(size=(500, 3))
    shares = np.array([0.7, 0.2, 0.1])
    found = calibration.probabilities(logits, 0.5, shares)
    assert_allclose(found.mean(axis=0), shares, atol=1e-5)
    assert_allclose(found.sum(axis=1), 1)
    offset = np.log(found) - logits / 0.5
    offset -= offset[:, :1]
    assert_allclose(offset, np.broadcast_to(offset[0], offset.shape), atol=1e-6)  # one number a class
    assert_allclose(calibration.probabilities(logits, 0.5), softmax(logits / 0.5, axis=1))
