"""Inference: batches, order, and the folding of normalisations change nothing."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from latentcli import inference
from latentcli.models import create
from latentcli.models.backbones import BACKBONES
from latentcli.models.layers import NORMS
from latentcli.models.map_backbones import MAPS
from latentcli.models.vae import VAEConfig


def trained(backbone: str = "conv-mlp", norm: str = "batch"):
    """A model whose normalisations have seen data, so that folding them matters."""
    model = create("vae", VAEConfig((1, 12, 12), backbone=backbone, norm=norm, width=64, latent_dim=8), seed=0).train()
    with torch.no_grad():
        for step in range(5):
            model.loss(torch.rand(16, 1, 12, 12) ** 3, torch.Generator().manual_seed(step))
    return model.eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (300, 1, 12, 12), dtype=np.uint8)


@pytest.mark.parametrize("backbone", [*BACKBONES, *MAPS])
@pytest.mark.parametrize("norm", NORMS)
def test_batches_and_fused_normalisations_change_nothing(images, backbone, norm):
    model = trained(backbone, norm)
    with torch.inference_mode():
        whole = model.encode(torch.from_numpy(images) / 255)
        decoded = model.decode(whole.flat)
    latents = inference.encode(model, images)
    assert_allclose(latents["mu"], whole.arrays["mu"], rtol=1e-3, atol=1e-4)
    assert_allclose(inference.decode(model, latents["mu"]), decoded, rtol=1e-3, atol=1e-4)
    assert_allclose(inference.reconstruct(model, images), decoded, rtol=1e-3, atol=1e-4)


def test_the_model_itself_is_left_as_it_is(images):
    model = trained()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    inference.encode(model, images)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_reconstructions_come_in_order_and_progress_counts_all(images):
    rows = np.concatenate([rows for rows, _ in inference.reconstructions(trained(), images)])
    assert rows.tolist() == list(range(300))
    seen: list[int] = []
    inference.encode(trained(), images, seen.append)
    assert sum(seen) == 300


def test_no_points_are_no_images():
    assert inference.decode(trained(), np.empty((0, 8))).shape == (0, 1, 12, 12)
