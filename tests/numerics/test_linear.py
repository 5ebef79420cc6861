"""Linear layers by another product: the same function, the same gradients, as exactly as the product promises."""

import pytest
import torch
from torch.nn import functional as F

from latentcli.numerics import linear
from latentcli.numerics.linear import FastLinear


def values(x, weight, bias, upstream):
    inputs = [tensor.clone().requires_grad_() for tensor in (x, weight, bias) if tensor is not None]
    result = F.linear(*inputs)
    return [result.detach(), *torch.autograd.grad(result, inputs, upstream)]


@pytest.fixture
def fast(monkeypatch):
    """oneDNN's product in use on every processor, for matrices of any size."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise") or not torch.backends.mkldnn.is_available():
        pytest.skip("PyTorch has no oneDNN here")
    monkeypatch.setattr(FastLinear, "product", staticmethod(linear._through_onednn))
    monkeypatch.setattr(linear, "LEAST", 1)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (3, 5, 2), (64, 784, 100), (7, 33, 130)])
def test_results_and_gradients_are_those_of_pytorch(fast, rows, inputs, outputs, with_bias):
    generator = torch.Generator().manual_seed(rows)
    x, weight, bias, upstream = (
        torch.randn(shape, generator=generator)
        for shape in ((rows, inputs), (outputs, inputs), (outputs,), (rows, outputs))
    )
    bias = bias if with_bias else None
    exact = values(*(None if tensor is None else tensor.double() for tensor in (x, weight, bias, upstream)))
    sizes = values(*(None if tensor is None else tensor.double().abs() for tensor in (x, weight, bias, upstream)))
    with FastLinear():
        results = values(x, weight, bias, upstream)
    for found, expected, size in zip(results, exact, sizes, strict=True):
        assert found.dtype == torch.float32
        assert ((found - expected).abs() <= 1e-5 * size + 1e-6).all()


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 3, 4)])
def test_inputs_of_other_shapes_go_the_usual_way(fast, shape):
    x, weight = torch.ones(shape), torch.ones(5, 4, requires_grad=True)
    with FastLinear():
        assert torch.equal(F.linear(x, weight), x @ weight.T)
        assert F.linear(x.double(), weight.double()).dtype == torch.float64


def test_the_context_is_what_turns_it_on(fast):
    x, weight = torch.ones(2, 4), torch.ones(5, 4, requires_grad=True)
    with FastLinear():
        assert "_Linear" in type(F.linear(x, weight).grad_fn).__name__
    assert "_Linear" not in type(F.linear(x, weight).grad_fn).__name__


def test_small_products_are_pytorchs_own(fast, monkeypatch):
    """A call of oneDNN would take longer than they do."""
    monkeypatch.setattr(linear, "LEAST", 3 * 4 * 5)
    for rows, another in ((2, False), (3, True)):
        x, weight = torch.ones(rows, 4), torch.ones(5, 4, requires_grad=True)
        with FastLinear():
            assert ("_Linear" in type(F.linear(x, weight).grad_fn).__name__) == another


def test_where_no_product_is_better_nothing_changes(monkeypatch):
    monkeypatch.setattr(FastLinear, "product", None)
    x, weight = torch.ones(2, 4), torch.ones(5, 4, requires_grad=True)
    with FastLinear():
        assert "_Linear" not in type(F.linear(x, weight).grad_fn).__name__
