"""Inference gives what the model itself gives, whatever is done to be quick."""

import numpy as np
import pytest
import torch

from latentcli import inference
from latentcli.models import create
from latentcli.models.vae import VAEConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (300, 1, 12, 12), dtype=np.uint8)


def model(backbone: str):
    return create("vae", VAEConfig((1, 12, 12), backbone=backbone, width=64, latent_dim=3, components=2), seed=1)


@pytest.mark.parametrize("backbone", ["mlp", "conv"])
def test_encode_decode_and_reconstruct_agree_with_the_model_and_leave_it_alone(backbone):
    network = model(backbone)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found, images = inference.encode(network, IMAGES), inference.reconstruct(network, IMAGES)
    with torch.no_grad():
        expected = network.eval().encode(torch.from_numpy(IMAGES).float() / 255)
        pictures = network.decode(expected.flat).numpy()
    for name, array in expected.arrays.items():
        np.testing.assert_allclose(found[name], array.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(images, pictures, atol=1e-4)
    np.testing.assert_allclose(inference.decode(network, expected.flat.numpy()), pictures, atol=1e-4)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_nothing_in_gives_nothing_out():
    assert inference.decode(model("mlp"), np.empty((0, 3), np.float32)).shape == (0, 1, 12, 12)
