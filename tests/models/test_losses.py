"""The losses against torch.distributions, scikit-image and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity as reference_ssim
from torch.distributions import Bernoulli, Normal
from torch.testing import assert_close

from latentcli.core.errors import UsageError
from latentcli.models import losses

seeds = st.integers(0, 2**31)


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_bernoulli_likelihood_agrees_with_torch_distributions():
    logits, target = 6 * draw(0, 4, 3, 8, 9) - 3, draw(1, 4, 3, 8, 9).round()
    reference = -Bernoulli(logits=logits).log_prob(target).flatten(1).sum(dim=1)
    assert_close(losses.bernoulli_nll(logits, target), reference)


def test_squared_error_is_the_likelihood_of_a_gaussian_of_variance_one_twelfth():
    logits, target = draw(0, 4, 1, 8, 8), draw(1, 4, 1, 8, 8)
    gaussian = Normal(torch.sigmoid(logits), math.sqrt(1 / 12))
    constant = 64 * math.log(math.sqrt(2 * math.pi / 12))
    assert_close(losses.squared_error(logits, target), -gaussian.log_prob(target).flatten(1).sum(dim=1) - constant)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 20), (1, 8, 8), (1, 7, 7), (1, 80, 80)])
def test_ssim_equals_scikit_image(shape):
    x, y = draw(0, 3, *shape), draw(1, 3, *shape)
    y = 0.7 * x + 0.3 * y  # alike, as reconstructions are
    ours = losses.structural_similarity(x, y)
    theirs = [
        np.mean([reference_ssim(a[c].numpy(), b[c].numpy(), data_range=1) for c in range(shape[0])])
        for a, b in zip(x, y, strict=True)
    ]
    assert_close(ours, torch.tensor(theirs), rtol=0, atol=1e-9)


@given(seeds)
def test_ssim_is_symmetric_bounded_and_one_only_for_equals(seed):
    x, y = draw(seed, 2, 1, 9, 9), draw(seed + 1, 2, 1, 9, 9)
    similarity = losses.structural_similarity(x, y)
    assert_close(similarity, losses.structural_similarity(y, x))
    assert ((similarity < 1) & (similarity >= -1)).all()
    assert_close(losses.structural_similarity(x, x), torch.ones(2, dtype=torch.float64))


def test_ssim_gradient_agrees_with_finite_differences():
    x, y = draw(0, 1, 1, 8, 8).requires_grad_(), draw(1, 1, 1, 8, 8)
    assert torch.autograd.gradcheck(lambda image: losses.structural_similarity(image, y), x)


def test_a_sum_of_losses_is_the_sum_of_its_terms():
    logits, target = draw(0, 4, 1, 8, 8), draw(1, 4, 1, 8, 8)
    both = losses.reconstruction("bce+ssim", logits, target, ssim_weight=0.5)
    dissimilarity = 1 - losses.structural_similarity(torch.sigmoid(logits), target)
    assert_close(both, losses.bernoulli_nll(logits, target) + 0.5 * 64 * dissimilarity)


@pytest.mark.parametrize("loss", ["", "l1", "bce+", "bce+bce", "BCE"])
def test_an_unknown_loss_is_refused_with_the_known_ones(loss):
    with pytest.raises(UsageError, match="bce, mse, ssim"):
        losses.parse(loss)
