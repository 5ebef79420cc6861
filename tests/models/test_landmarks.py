"""Looking up where in a crowded latent space an image is decoded best."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from latentcli import inference
from latentcli.models import create
from latentcli.models.landmarks import MOST_VALUES, Landmarks
from latentcli.models.vae import FEW_DIMENSIONS, LOOKED_UP, VAEConfig
from latentcli.training.config import TrainingConfig
from latentcli.training.loop import Callbacks, Run


def random_images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)


def remember(landmarks, latents, images=None):
    """Keep latents (N, D), all of deviation 0.1; without images what they were decoded to does not matter."""
    blank = torch.zeros(len(latents), 1, 1, landmarks.values)
    landmarks.remember(latents, torch.full_like(latents, 0.1), blank if images is None else images)


def test_the_last_ones_are_kept_in_the_place_of_the_oldest():
    landmarks = Landmarks(1, MOST_VALUES // 3)
    for batch in ([0.0, 1.0], [2.0, 3.0], [4.0]):
        remember(landmarks, torch.tensor(batch)[:, None])
    assert sorted(landmarks.latents.flatten().tolist()) == [2.0, 3.0, 4.0]
    landmarks = Landmarks(1, 10_000_000)
    for batch in (torch.arange(2.0), torch.arange(10.0)):  # more at once than are kept
        landmarks.remember(batch[:, None], batch[:, None], torch.zeros(len(batch), 1, 1, 10_000_000))
    assert landmarks.known.flatten().tolist() == [9.0]


def decoded(latents: torch.Tensor) -> torch.Tensor:
    """Images (N, 1, 8, 8) in [0, 1], of points (N, 2) no two of which look alike."""
    weights = torch.randn(2, 64, generator=torch.Generator().manual_seed(5))
    return (0.5 + 0.5 * torch.sin(3 * latents @ weights)).unflatten(1, (1, 8, 8))


def test_the_nearest_is_found_as_if_each_were_compared():
    landmarks, random = Landmarks(2, 64), torch.Generator().manual_seed(0)
    remember(landmarks, torch.rand(3000, 2, generator=random))
    images = torch.rand(20, 1, 8, 8, generator=random)
    found, errors = landmarks.nearest(decoded)(images)
    known = landmarks.latents[:3000]
    table = (decoded(known)[None] - images[:, None]).square().sum(dim=(2, 3, 4))
    assert torch.equal(found, known[table.argmin(dim=1)])
    assert_close(errors, table.min(dim=1).values)


def test_what_a_landmark_was_decoded_to_is_recalled_without_decoding_it():
    landmarks, random = Landmarks(2, 64), torch.Generator().manual_seed(0)
    assert landmarks.recall(torch.rand(3, 1, 8, 8)) is None
    points = torch.rand(500, 2, generator=random)
    for part in points.split(100):
        remember(landmarks, part, decoded(part))
    images = torch.rand(50, 1, 8, 8, generator=random)
    found, deviations = landmarks.recall(images)
    assert torch.equal(deviations, torch.full((50, 2), 0.1))
    errors = (decoded(found) - images).square().sum(dim=(1, 2, 3))
    table = (decoded(points)[None] - images[:, None]).square().sum(dim=(2, 3, 4))
    assert (errors <= table.min(dim=1).values * 1.05).all()  # products may be in bfloat16
    assert torch.equal(landmarks.recall(decoded(points[:1]))[0], points[:1])


def test_pictures_of_landmarks_are_for_training_alone():
    landmarks = Landmarks(2, 64)
    remember(landmarks, torch.rand(5, 2))
    assert landmarks.state_dict().keys() == {"latents", "seen"}


def test_at_the_end_of_training_the_decoder_learns_alone_where_images_are_decoded_best():
    model = create("vae", VAEConfig.for_data((1, 8, 8), None, latent_dim=2, width=64, components=1), seed=0)
    images, random = torch.rand(16, 1, 8, 8), torch.Generator()

    def learns(progress: float) -> set[str]:
        model.zero_grad()
        model.loss(images, random.manual_seed(1), progress).total.backward()
        return {name.partition(".")[0] for name, weights in model.named_parameters() if weights.grad is not None}

    everything = {"encoder", "posterior", "expand", "decoder"}
    assert learns(1.0) == everything  # nothing is known before the first step
    assert learns(0.99 - LOOKED_UP) == everything
    assert learns(1.01 - LOOKED_UP) == {"expand", "decoder"}
    assert int(model.landmarks.seen) == 3 * 16


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
