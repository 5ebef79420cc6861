"""Fusing changes how a network computes, and not what."""

import pytest
import torch
from torch import nn

from latentcli.numerics.fusing import ActivatedConvolution, fused


def settled(*layers):
    """A network of these layers whose normalisations have seen something."""
    torch.manual_seed(0)
    network = nn.Sequential(*layers)
    for _ in range(5):
        network(3 + 2 * torch.randn(8, 4, 9, 9))
    return network


NETWORKS = {
    "normalised": [nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.SiLU()],
    "plain": [nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 1)],
    "without a bias": [nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU()],
    "in groups": [nn.Conv2d(4, 6, 3, groups=2, dilation=2), nn.SiLU()],
    "transposed": [nn.ConvTranspose2d(4, 6, 4, stride=2), nn.BatchNorm2d(6), nn.SiLU()],
    "fully connected": [nn.Flatten(), nn.Linear(324, 7), nn.BatchNorm1d(7), nn.SiLU()],
    "flattened": [nn.Conv2d(4, 6, 3, stride=2), nn.SiLU(), nn.Flatten(), nn.Linear(96, 7)],
    "flattened and normalised": [
        nn.Conv2d(4, 6, 3, stride=2),
        nn.BatchNorm2d(6),
        nn.SiLU(),
        nn.Flatten(),
        nn.Sequential(nn.Linear(96, 7), nn.BatchNorm1d(7), nn.SiLU(), nn.Linear(7, 2)),
    ],
    "reflecting": [nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), nn.SiLU()],
    "padded by name": [nn.Conv2d(4, 6, 3, padding="same"), nn.SiLU()],
    "nothing": [nn.Conv2d(4, 6, 3), nn.Tanh()],
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_function_is_the_same(name, layout):
    network = settled(*NETWORKS[name])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.randn(5, 4, 9, 9).to(memory_format=layout)
    with torch.inference_mode():
        expected = network.eval()(images)
        torch.testing.assert_close(fused(network)(images), expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_what_is_fused_is_gone():
    kinds = {type(module) for module in fused(settled(*NETWORKS["normalised"])).modules()}
    assert nn.BatchNorm2d not in kinds
    assert (nn.SiLU in kinds) != ActivatedConvolution.is_possible()


@pytest.mark.parametrize("missing", ["library", "operator", "signature"])
def test_without_the_private_operator_activations_stay_layers(monkeypatch, missing):
    def another_signature(maps, weight):
        raise RuntimeError

    match missing:
        case "library":
            monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
        case "operator":
            monkeypatch.setattr(torch.ops, "mkldnn", object())
        case "signature":
            monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", another_signature)
    ActivatedConvolution.is_possible.cache_clear()
    network, images = settled(*NETWORKS["flattened and normalised"]), torch.randn(5, 4, 9, 9)
    with torch.inference_mode():
        result = fused(network)
        torch.testing.assert_close(result(images), network.eval()(images), rtol=1e-4, atol=1e-5)
    kinds = {type(module) for module in result.modules()}
    ActivatedConvolution.is_possible.cache_clear()
    assert nn.SiLU in kinds
    assert not kinds & {ActivatedConvolution, nn.BatchNorm2d}


def test_a_network_with_nothing_to_fuse_is_itself():
    network = settled(*NETWORKS["nothing"])
    assert fused(network) is network
    once = fused(settled(*NETWORKS["normalised"]))
    assert fused(once) is once
