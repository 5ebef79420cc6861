"""Distortions of images: what they leave as it is, and what mixing does to labels."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from latentcli.models import augmentation
from latentcli.models.mixup import mixup


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 7) -> torch.Tensor:
    return torch.rand(shape, generator=generator(seed))


@pytest.fixture
def still(monkeypatch):
    """Ranges of zero: nothing is moved but by mirroring."""
    for name in ("ROTATION", "SCALE", "SHEAR", "SHIFT"):
        monkeypatch.setattr(augmentation, name, 0.0)


def test_mirroring_is_left_to_right(still):
    images = drawn(5, 3, 9, 12)
    assert_close(augmentation.random_affine(images, generator(), 1.0), images.flip(3), atol=1e-5, rtol=0)
    assert_close(augmentation.random_affine(images, generator(), 0.0), images, atol=1e-5, rtol=0)


def test_about_the_fraction_that_was_asked_for_is_mirrored(still):
    images = drawn(1000, 1, 8, 8)
    moved = augmentation.random_affine(images, generator(), 0.3)
    mirrored = (moved - images).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 0.25 < mirrored.float().mean() < 0.35


def test_each_image_is_moved_apart_and_stays_in_range():
    images = drawn(1, 3, 16, 16).expand(8, -1, -1, -1)
    moved = augmentation.random_affine(images, generator(), 0.5)
    assert moved.shape == images.shape
    assert ((moved >= 0) & (moved <= 1)).all()
    assert not torch.equal(moved[0], moved[1])
    assert torch.equal(moved, augmentation.random_affine(images, generator(), 0.5))
    assert not torch.equal(moved, augmentation.random_affine(images, generator(1), 0.5))


def test_beyond_its_edge_an_image_goes_on_as_it_is_there():
    images = torch.full((20, 3, 10, 10), 0.7)
    assert_close(augmentation.random_affine(images, generator(), 0.5), images)


@given(seed=st.integers(0, 2**31), alpha=st.sampled_from([0.01, 0.2, 1.0, 8.0]), count=st.integers(1, 9))
def test_mixed_labels_sum_to_one_and_are_mixed_as_their_images_are(seed, alpha, count):
    targets = drawn(count, 5, seed=seed).softmax(dim=1)
    images = targets[:, None, None, :].expand(-1, 3, 4, -1)  # an image that shows its soft label
    mixed_images, mixed_targets = mixup(images, targets, alpha, generator(seed))
    assert_close(mixed_targets.sum(dim=1), torch.ones(count))
    assert (mixed_targets >= 0).all()
    assert_close(mixed_images, mixed_targets[:, None, None, :].expand(-1, 3, 4, -1))
    assert_close(mixed_targets.mean(dim=0), targets.mean(dim=0))  # every image is the other of one


@given(seed=st.integers(0, 2**31))
def test_a_mixed_label_is_the_weighted_mean_of_two(seed):
    _, mixed = mixup(torch.zeros(8, 1, 2, 2), torch.eye(8), 1.0, generator(seed))
    weight = max(float(mixed[0, 0]), float(mixed.diag().min()))
    others = mixed - weight * torch.eye(8)
    assert_close(others.sum(dim=1), torch.full((8,), 1 - weight))
    assert ((others > 1e-6).sum(dim=1) <= 1).all()


def test_the_weight_is_drawn_from_a_beta_distribution():
    weights = []
    for seed in range(400):
        images = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
        mixed, _ = mixup(images, torch.eye(2), 2.0, generator(seed))
        weights.append(float(mixed.min()))  # λ or 1 − λ; 0 where an image met itself
    met = torch.tensor([weight for weight in weights if weight > 0])
    reference = torch.distributions.Beta(2.0, 2.0).sample((100_000,))
    assert abs(met.mean() - torch.minimum(reference, 1 - reference).mean()) < 0.03
