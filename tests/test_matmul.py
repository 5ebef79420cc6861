"""Linear layers through oneDNN: the same function, the same gradients."""

import pytest
import torch
from torch.nn import functional as F

from latentcli.matmul import FastLinear


def values(x, weight, bias, upstream):
    inputs = [tensor.clone().requires_grad_() for tensor in (x, weight, bias) if tensor is not None]
    result = F.linear(*inputs)
    return [result.detach(), *torch.autograd.grad(result, inputs, upstream)]


@pytest.fixture(autouse=True)
def wherever_it_can(monkeypatch):
    monkeypatch.setattr(FastLinear, "worthwhile", FastLinear.possible)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (3, 5, 2), (64, 784, 100), (7, 33, 130)])
def test_results_and_gradients_are_those_of_pytorch(rows, inputs, outputs, with_bias):
    generator = torch.Generator().manual_seed(rows)
    x, weight, bias, upstream = (
        torch.randn(shape, generator=generator)
        for shape in ((rows, inputs), (outputs, inputs), (outputs,), (rows, outputs))
    )
    bias = bias if with_bias else None
    exact = values(*(None if tensor is None else tensor.double() for tensor in (x, weight, bias, upstream)))
    with FastLinear():
        fast = values(x, weight, bias, upstream)
    for found, expected in zip(fast, exact, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 3, 4)])
def test_inputs_of_other_shapes_go_the_usual_way(shape):
    x, weight = torch.ones(shape), torch.ones(5, 4)
    with FastLinear():
        assert torch.equal(F.linear(x, weight), x @ weight.T)
        assert F.linear(x.double(), weight.double()).dtype == torch.float64


@pytest.mark.skipif(not FastLinear.possible, reason="PyTorch has no such operation here")
def test_the_context_is_what_turns_it_on():
    x, weight = torch.ones(2, 4), torch.ones(5, 4, requires_grad=True)
    with FastLinear():
        assert "_Linear" in type(F.linear(x, weight).grad_fn).__name__
    assert "_Linear" not in type(F.linear(x, weight).grad_fn).__name__


def test_where_it_is_not_worth_while_nothing_changes(monkeypatch):
    monkeypatch.setattr(FastLinear, "worthwhile", False)
    x, weight = torch.ones(2, 4), torch.ones(5, 4, requires_grad=True)
    with FastLinear():
        assert "_Linear" not in type(F.linear(x, weight).grad_fn).__name__
