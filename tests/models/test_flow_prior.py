"""The prior of points against closed forms: a flow of one velocity, densities that sum to one, classes and guidance."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from latentcli.models import create
from latentcli.models.flow_prior import FlowPrior, FlowPriorConfig

SHAPE = (1, 8, 8)


def prior(dimensions: int = 3, strength: float = 0.0, **config) -> FlowPrior:
    """A prior with the weights that it begins with; with a strength those of the last layer are drawn, too."""
    given = {"classes": 3, "width": 16, "layers": 2} | config
    network = create("flow", FlowPriorConfig(SHAPE, dimensions, **given), 0).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        network.to_velocity.weight.normal_(0.0, strength, generator=generator) if strength else None
        network.mean.normal_(generator=generator)
        network.scale.uniform_(0.5, 2.0, generator=generator)
    return network


def noise(count: int, dimensions: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((count, dimensions), dtype=np.float32))


def of_class(network: FlowPrior, one: int, count: int) -> torch.Tensor:
    return torch.eye(network.config.classes)[[one] * count]


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_of_one_velocity_it_draws_a_gaussian_and_knows_its_density(temperature):
    network = prior()  # the last layer's weights are 0: the velocity is its bias everywhere
    drawn = network.sample(noise(20_000), temperature=temperature, steps=3)
    centre = network.mean + network.scale * network.to_velocity.bias
    assert_close(drawn.mean(dim=0), centre, atol=0.05, rtol=0)
    assert_close(drawn.std(dim=0), temperature * network.scale, atol=0.03, rtol=0.02)
    points = drawn[:50]
    expected = torch.distributions.Normal(centre, network.scale).log_prob(points).sum(dim=1)
    assert_close(network.log_likelihood(points), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("one", [None, 1])
def test_in_one_dimension_the_density_sums_to_one_and_is_that_of_the_samples(one):
    network = prior(1, strength=0.3)
    ends = torch.linspace(-12, 12, 1201)[:, None] * network.scale + network.mean
    classes = None if one is None else of_class(network, one, len(ends))
    density = network.log_likelihood(ends, classes, steps=100).exp().double()
    width = float(ends[1, 0] - ends[0, 0])
    assert float(density.sum() * width) == pytest.approx(1.0, abs=2e-3)
    evenly = (torch.arange(5_000) + 0.5)[:, None] / 5_000  # as noise: no chance is in it
    drawn = network.sample(evenly, None if one is None else of_class(network, one, 5_000), steps=100)
    cumulative = ((density.cumsum(0) - density / 2) * width).numpy()
    shares = np.searchsorted(np.sort(drawn[:, 0].numpy()), ends[:, 0].numpy()) / 5_000
    assert np.abs(shares - cumulative).max() < 3e-3


def test_in_several_dimensions_the_density_is_that_of_the_whole_divergence():
    """The mean over many directions is what all second derivatives together give."""
    network, points = prior(3, strength=0.7), torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    steps, condition = 20, network.condition(2, None)
    place, gained = (points - network.mean) / network.scale, torch.zeros(2)
    for step in range(steps, 0, -1):
        half = place - 0.5 / steps * network.velocity(place, step / steps, condition)
        for row in range(2):
            with torch.enable_grad():
                jacobian = torch.autograd.functional.jacobian(
                    lambda one, row=row, step=step: network.velocity(
                        one[None], (step - 0.5) / steps, condition[row : row + 1]
                    )[0],
                    half[row],
                )
            gained[row] += jacobian.trace() / steps
        place = place - network.velocity(half, (step - 0.5) / steps, condition) / steps
    exact = torch.distributions.Normal(0.0, 1.0).log_prob(place).sum(1) - gained - network.scale.log().sum()
    found = network.log_likelihood(points.repeat_interleave(2_000, dim=0), steps=steps).view(2, 2_000)
    assert ((found.mean(dim=1) - exact).abs() < 4 * found.std(dim=1) / math.sqrt(2_000) + 1e-4).all()


def test_guidance_is_of_what_the_class_adds():
    network = prior(strength=0.7)
    classes = of_class(network, 2, 6)
    nothing, given = network.sample(noise(6)), network.sample(noise(6), classes)
    assert_close(network.sample(noise(6), classes, guidance=0.0), nothing)
    assert_close(network.sample(noise(6), torch.zeros(6, 3)), nothing)
    assert not torch.allclose(given, nothing, atol=1e-2)
    one_step = [network.sample(noise(6), classes, guidance=w, steps=1) for w in (0.0, 1.0, 3.0)]
    by_hand = _one_step(network, noise(6), classes, 3.0)
    assert_close(one_step[2], by_hand)
    assert not torch.allclose(one_step[2], one_step[1], atol=1e-2)


def _one_step(network: FlowPrior, noise: torch.Tensor, classes: torch.Tensor, guidance: float) -> torch.Tensor:
    start = torch.distributions.Normal(0.0, 1.0).icdf(noise)

    def velocity(points, time):
        nothing = network.velocity(points, time, network.condition(6, None))
        return nothing + guidance * (network.velocity(points, time, network.condition(6, classes)) - nothing)

    first = velocity(start, 0.0)
    return network.mean + network.scale * (start + 0.5 * (first + velocity(start + first, 1.0)))


def test_a_class_that_is_known_in_part_is_the_mean_of_what_stands_for_it():
    network = prior()
    found = network.condition(1, torch.tensor([[0.25, 0.5, 0.0]]))
    own = network.embeddings
    assert_close(found, 0.25 * own.classes[:1] + 0.5 * own.classes[1:2] + 0.25 * own.no_class)


def test_the_loss_is_least_where_the_velocity_is_known():
    """Latents that are all the same: every line ends there, and the mean velocity at (x, t) is (1 − x) / (1 − t)."""
    network = prior(2).train()
    network.mean.zero_(), network.scale.fill_(1.0)

    def perfect(points, times, condition):
        return (1 - points) / (1 - times)

    found = network.loss(torch.ones(64, 2), torch.Generator().manual_seed(0)).total
    network._velocity = perfect
    assert float(network.loss(torch.ones(64, 2), torch.Generator().manual_seed(0)).total) < 1e-8 < float(found)
