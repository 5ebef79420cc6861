"""How typical points are of those a mixture was fitted on."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.core.errors import ModelFileError


def test_typicality_is_uniform_for_the_like_and_zero_far_away():
    random = np.random.default_rng(0)
    mixture = GaussianMixtureClassifier(1).fit(random.normal(size=(20_000, 2)))
    typical = mixture.typicality(random.normal(size=(20_000, 2)))
    assert_allclose(np.quantile(typical, [0.05, 0.25, 0.5, 0.95]), [0.05, 0.25, 0.5, 0.95], atol=0.02)
    assert_allclose(mixture.typicality(np.array([[9.0, 9.0], [0.0, 0.0]])), [0, 1], atol=1e-3)
    read = GaussianMixtureClassifier.from_params(mixture.to_params())
    assert_allclose(read.typicality(np.array([[1.0, 1.0]])), mixture.typicality(np.array([[1.0, 1.0]])))


def test_parameters_of_others_may_lack_it_until_it_is_asked_for():
    mixture = GaussianMixtureClassifier(1).fit(np.random.default_rng(0).normal(size=(100, 2)))
    params = {name: value for name, value in mixture.to_params().items() if name != "log_density_quantiles"}
    read = GaussianMixtureClassifier.from_params(params)
    assert read.predict(np.zeros((1, 2))).shape == (1,)
    assert GaussianMixtureClassifier.from_params(read.to_params()).log_density_quantiles_ is None
    with pytest.raises(ModelFileError, match="fit-gmm"):
        read.typicality(np.zeros((1, 2)))
    with pytest.raises(ModelFileError, match="quantiles"):
        GaussianMixtureClassifier.from_params(params | {"log_density_quantiles": np.arange(1001.0)[::-1]})
