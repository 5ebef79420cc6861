"""Looking up where in a crowded latent space an image is decoded best."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from latentcli import inference
from latentcli.models import create
from latentcli.models.landmarks import MOST_VALUES, Landmarks
from latentcli.models.vae import FEW_DIMENSIONS, VAEConfig
from latentcli.training.config import TrainingConfig
from latentcli.training.loop import Callbacks, Run


def random_images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)


def test_the_last_ones_are_kept_in_the_place_of_the_oldest():
    landmarks = Landmarks(1, MOST_VALUES // 3)
    for batch in ([0.0, 1.0], [2.0, 3.0], [4.0]):
        landmarks.remember(torch.tensor(batch)[:, None])
    assert sorted(landmarks.latents.flatten().tolist()) == [2.0, 3.0, 4.0]
    landmarks.remember(torch.arange(10.0)[:, None])  # more at once than are kept
    assert sorted(landmarks.known.flatten().tolist()) == [7.0, 8.0, 9.0]


def test_the_nearest_is_found_as_if_each_were_compared():
    landmarks, random = Landmarks(2, 64), torch.Generator().manual_seed(0)
    landmarks.remember(torch.rand(3000, 2, generator=random))
    weights = torch.randn(2, 64, generator=random)

    def decode(latents):
        return torch.sin(3 * latents @ weights).unflatten(1, (1, 8, 8))

    images = torch.rand(20, 1, 8, 8, generator=random)
    found, errors = landmarks.nearest(decode)(images)
    known = landmarks.latents[:3000]
    table = (decode(known)[None] - images[:, None]).square().sum(dim=(2, 3, 4))
    assert torch.equal(found, known[table.argmin(dim=1)])
    assert_close(errors, table.min(dim=1).values)


@pytest.fixture(scope="module")
def trained():
    """A model of few dimensions, and the images that it has learned."""
    images = random_images(64, 0)
    model = create("vae", VAEConfig.for_data((1, 8, 8), None, latent_dim=2, width=64, components=1), seed=0)
    Run(model, images, TrainingConfig(epochs=60, batch_size=16, held_out=0.0)).fit(Callbacks())
    return model, images


def test_images_come_back_at_least_as_well_as_the_encoder_alone_would_have_it(trained):
    model, learned = trained
    unseen = np.clip(learned.astype(int) + np.random.default_rng(1).integers(-60, 60, learned.shape), 0, 255)
    unseen = unseen.astype(np.uint8)
    alone = inference.decode(model, inference.encode(model, unseen)["mu"])
    looked_up = inference.reconstruct(model, unseen)
    before, after = (np.square(found - unseen / 255).mean(axis=(1, 2, 3)) for found in (alone, looked_up))
    assert (after <= before + 1e-6).all()
    assert after.mean() < 0.98 * before.mean()


def test_the_images_next_to_an_image_do_not_matter(trained):
    model, _ = trained
    images = random_images(40, 3)
    together = inference.reconstruct(model, images)
    apart = np.concatenate([inference.reconstruct(model, image[None]) for image in images])
    np.testing.assert_allclose(together, apart, atol=1e-4)


@pytest.mark.parametrize("dimensions", [FEW_DIMENSIONS, FEW_DIMENSIONS + 1])
def test_only_crowded_spaces_have_them(dimensions):
    model = create("vae", VAEConfig.for_data((1, 8, 8), None, latent_dim=dimensions), seed=0).eval()
    assert (model.landmarks is not None) == (dimensions == FEW_DIMENSIONS)
    images = torch.rand(3, 1, 8, 8)
    with torch.inference_mode():  # untrained, or spacious: the encoder's own
        assert torch.equal(model.inverse()(images), model.encode(images).flat)
