"""What processes make of the rows of a batch that each has is what one makes of all; here threads stand for them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from latentcli.models.agreement import disagreement
from latentcli.models.mixture_prior import mutual_information
from latentcli.numerics import shared_batches

ROWS = [slice(0, 5), slice(5, 6), slice(6, 9)]
"""Of each of three processes; one image alone has no statistics of its own."""
TOTAL = 9


def shared_out(function: Callable[[slice], Any]) -> list[Any]:
    """What the function makes of the rows of each process, which wait for one another to add up."""
    barrier, given = threading.Barrier(len(ROWS), timeout=60), {}

    def of(number: int) -> Any:
        def add_up(tensor: Tensor) -> Tensor:
            given[number] = tensor.clone()
            barrier.wait()
            total = torch.stack([given[other] for other in range(len(ROWS))]).sum(dim=0)
            barrier.wait()
            return tensor.copy_(total)

        with shared_batches.sharing(ROWS, number, add_up) as rows:
            try:
                return function(rows)
            except BaseException:
                barrier.abort()
                raise

    with ThreadPoolExecutor(len(ROWS)) as pool:
        return [*pool.map(of, range(len(ROWS)))]


def gradients(loss: Callable[[Tensor], Tensor], values: Tensor) -> tuple[Tensor, Tensor]:
    """A loss of a whole batch, and its gradients by the rows of its values (N, …): by one process, and by three."""
    alone = values.clone().requires_grad_()
    expected = loss(alone)
    expected.backward()

    def of(rows: slice) -> tuple[Tensor, Tensor]:
        own = values[rows].clone().requires_grad_()
        found = loss(own)
        (shared_batches.weight() * found).backward()
        return found.detach() * shared_batches.weight(), own.grad

    parts = shared_out(of)
    torch.testing.assert_close(sum(part for part, _ in parts), expected.detach())
    return torch.cat([each for _, each in parts]), alone.grad


def two(values: Tensor) -> list[Tensor]:
    return [*values.chunk(2, dim=1)]


@pytest.mark.parametrize(
    "loss",
    [
        lambda values: values.square().sum(dim=1).mean(),
        lambda values: disagreement(*two(values), 0.2),
        lambda values: mutual_information(*(each.softmax(dim=1) for each in two(values))),
        lambda values: shared_batches.gathered(values).prod(dim=0).sin().sum(),
        lambda values: shared_batches.picked(values, torch.tensor([8, 0, 5, 0])).square().sum(),
    ],
    ids=["mean", "disagreement", "information", "gathered", "picked"],
)
def test_gradients_add_up_to_those_of_the_whole_batch(loss):
    found, expected = gradients(loss, torch.randn(TOTAL, 6, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("kind", "shape"), [(nn.BatchNorm1d, (4,)), (nn.BatchNorm2d, (4, 3, 2))])
@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"momentum": None}, {"track_running_stats": False}])
def test_batch_normalisation_is_that_of_the_whole_batch(kind, shape, settings):
    random = torch.Generator().manual_seed(0)
    maps, to = (torch.randn(TOTAL, *shape, generator=random) + mean for mean in (10, 0))

    def normalised(rows: slice) -> tuple[Any, ...]:
        layer = nn.Sequential(kind(4, **settings))
        if layer[0].affine:
            nn.init.normal_(layer[0].weight, generator=torch.Generator().manual_seed(1))
        shared_batches.share_statistics(layer)
        own = maps[rows].clone().requires_grad_()
        found = layer(own)
        (found * to[rows]).sum().backward()
        weights = [parameter.grad for parameter in layer.parameters()]
        return found.detach(), own.grad, weights, layer.state_dict(), layer.eval()(maps[:2]).detach()

    values, by_maps, by_weights, state, later = normalised(slice(None))
    parts = shared_out(normalised)
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(torch.cat([part[0] for part in parts]), values, **close)
    torch.testing.assert_close(torch.cat([part[1] for part in parts]), by_maps, **close)
    for found, expected in zip(zip(*(part[2] for part in parts), strict=True), by_weights, strict=True):
        torch.testing.assert_close(sum(found), expected, rtol=1e-4, atol=1e-3)
    for part in parts:
        torch.testing.assert_close(dict(part[3]), dict(state))
        if settings != {"track_running_stats": False}:  # else it normalises by the two alone
            torch.testing.assert_close(part[4], later, **close)


def test_what_is_drawn_is_a_part_of_what_is_drawn_for_all():
    """Several rows an image: all images' first ones, then their second ones; along any dimension."""

    def draw(count: int, dim: int) -> Tensor:
        generator = torch.Generator().manual_seed(2)
        return shared_batches.drawn(
            lambda rows: torch.rand((rows, 3) if dim == 0 else (3, rows), generator=generator), count, dim
        )

    for dim in 0, 1:
        parts = shared_out(lambda rows, dim=dim: draw(2 * (rows.stop - rows.start), dim).chunk(2, dim))
        firsts, seconds = (torch.cat([part[which] for part in parts], dim) for which in (0, 1))
        assert torch.equal(torch.cat([firsts, seconds], dim), draw(2 * TOTAL, dim))
    assert not shared_batches.is_shared()
    assert (shared_batches.whole(7), shared_batches.weight(), shared_batches.first()) == (7, 1.0, 0)
