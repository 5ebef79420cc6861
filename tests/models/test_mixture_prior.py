"""The mixture prior against torch.distributions and closed forms."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence
from torch.testing import assert_close

from latentcli.models.mixture_prior import MixturePrior, mutual_information


def prior(components: int, dimensions: int, seed: int = 0) -> MixturePrior:
    made = MixturePrior(components, dimensions).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made.means.normal_(0, 2, generator=generator)
        made.log_variances.uniform_(-1, 1, generator=generator)
    return made


def posterior(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    return draw[0], draw[1]


def test_responsibilities_agree_with_bayes_rule():
    mixture, (points, _) = prior(4, 3), posterior()
    normals = Independent(Normal(mixture.means, (0.5 * mixture.log_variances).exp()), 1)
    assert_close(mixture.log_responsibilities(points).exp(), normals.log_prob(points[:, None]).softmax(dim=1))


def test_kl_of_one_standard_component_is_the_standard_kl():
    mean, log_variance = posterior()
    reference = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(dim=1)
    assert_close(MixturePrior(1, 3).double().kl(mean, log_variance), reference)


def test_kl_is_the_weighted_sum_of_the_components_divergences():
    mixture, (mean, log_variance) = prior(4, 3), posterior()
    q = Normal(mean[:, None], (0.5 * log_variance).exp()[:, None])
    each = kl_divergence(q, Normal(mixture.means, (0.5 * mixture.log_variances).exp())).sum(dim=2)
    gamma = mixture.log_responsibilities(mean).exp()
    assert_close(mixture.kl(mean, log_variance), (gamma * (each + (4 * gamma).log())).sum(dim=1))


def test_kl_bounds_the_divergence_from_the_mixture():
    mixture, (mean, log_variance) = prior(4, 3), posterior()
    normals = Independent(Normal(mixture.means, (0.5 * mixture.log_variances).exp()), 1)
    p = MixtureSameFamily(Categorical(torch.full((4,), 0.25, dtype=torch.float64)), normals)
    q = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    torch.manual_seed(0)
    samples = q.sample((20_000,))
    monte_carlo = (q.log_prob(samples) - p.log_prob(samples)).mean(dim=0)
    assert (mixture.kl(mean, log_variance) > monte_carlo - 0.1).all()


def test_moments_are_those_of_samples():
    mixture = prior(3, 2)
    generator = torch.Generator().manual_seed(0)
    component = torch.randint(3, (200_000,), generator=generator)
    noise = torch.randn(200_000, 2, generator=generator, dtype=torch.float64)
    samples = mixture.means[component] + (0.5 * mixture.log_variances[component]).exp() * noise
    mean, covariance = mixture.moments()
    assert_close(samples.mean(dim=0), mean, rtol=0, atol=0.03)
    assert_close(torch.cov(samples.T), covariance, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("components", [2, 10])
def test_mutual_information_of_equal_sure_and_balanced_views_is_log_k(components):
    view = torch.eye(components).repeat(7, 1)
    assert_close(mutual_information(view, view).item(), math.log(components), rtol=0, atol=1e-4)


def test_mutual_information_is_zero_for_unrelated_or_collapsed_views():
    view = torch.eye(4).repeat(4, 1)
    unrelated = torch.eye(4).repeat_interleave(4, dim=0)
    collapsed = torch.zeros(16, 4).index_fill(1, torch.tensor([0]), 1.0)
    assert mutual_information(view, unrelated).item() == pytest.approx(0, abs=1e-4)
    assert mutual_information(collapsed, collapsed).item() == pytest.approx(0, abs=1e-4)


def test_the_widest_plane_is_that_of_the_covariance_where_the_means_decide():
    mixture = prior(6, 5)
    with torch.no_grad():
        mixture.means.mul_(100)
        mixture.log_variances.zero_()
    mean, directions = mixture.widest_plane()
    values, vectors = torch.linalg.eigh(mixture.moments()[1])
    assert_close(mean, mixture.means.mean(dim=0))
    assert_close(directions.norm(dim=1), values.flip(0)[:2].sqrt())
    assert_close((directions[0] @ vectors[:, -1]).abs(), values[-1].sqrt())


def test_the_widest_plane_of_one_gaussian_are_its_widest_dimensions():
    mixture = prior(1, 4)
    with torch.no_grad():
        mixture.log_variances.copy_(torch.tensor([[0.0, 4.0, 1.0, 2.0]]))
    expected = torch.zeros(2, 4, dtype=torch.float64)
    expected[0, 1], expected[1, 3] = math.exp(2), math.exp(1)
    assert_close(mixture.widest_plane()[1], expected)


@pytest.mark.parametrize("value", [-1e3, 1e3])
def test_variances_of_any_weights_are_finite_and_positive(value):
    mixture, (mean, log_variance) = prior(4, 3).float(), posterior()
    with torch.no_grad():
        mixture.log_variances.fill_(value)
        assert mixture.kl(mean.float(), log_variance.float()).isfinite().all()
        assert mixture.log_responsibilities(mean.float()).isfinite().all()
        assert mixture.draw(5, torch.Generator()).isfinite().all()
        _, covariance = mixture.moments()
    assert covariance.isfinite().all()
    assert (covariance.diag() > 0).all()
