"""Products are in bfloat16 in training, and only where the hardware has units for them."""

import pytest
import torch

from latentcli.numerics import precision


@pytest.fixture(autouse=True)
def forgotten():
    """The answer for this machine's own GPU is kept by the process."""
    precision._cuda_has_bfloat16.cache_clear()
    yield
    precision._cuda_has_bfloat16.cache_clear()


@pytest.mark.parametrize(("amx", "training", "expected"), [
    (True, True, torch.bfloat16), (True, False, torch.float32), (False, True, torch.float32),
])  # fmt: skip
def test_on_a_processor_products_are_reduced_in_training_with_amx_alone(monkeypatch, amx, training, expected):
    monkeypatch.setattr(precision, "AMX", amx)
    with precision.reduced_precision("cpu", training):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


@pytest.mark.parametrize(("available", "native", "expected"), [
    (True, True, torch.bfloat16), (True, False, torch.float32), (False, False, torch.float32),
])  # fmt: skip
def test_on_cuda_they_are_where_bfloat16_is_not_emulated(monkeypatch, available, native, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert precision.product_dtype("cuda") == expected


def test_apples_gpu_multiplies_float32_and_adds_up_in_it():
    assert precision.product_dtype("mps") == torch.float32
    assert [precision.widest_dtype(device) for device in ("cpu", "cuda", "mps")] == [
        torch.float64, torch.float64, torch.float32
    ]  # fmt: skip
