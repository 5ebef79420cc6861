"""Distortions of images: what they leave as it is, and what mixing does to labels."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from latentcli.models.augmentation import AFFINE, VIEWS, Distortion, distorted, views_of
from latentcli.models.mixup import mixup


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 7) -> torch.Tensor:
    return torch.rand(shape, generator=generator(seed))


def mirrored(images: torch.Tensor, flip: float) -> torch.Tensor:
    return distorted(images, Distortion(flip=flip), generator())


def moved_and_mirrored(images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return distorted(images, replace(AFFINE, flip=0.5), generator(seed))


def test_mirroring_is_left_to_right():
    images = drawn(5, 3, 9, 12)
    assert_close(mirrored(images, 1.0), images.flip(3), atol=1e-5, rtol=0)
    assert_close(mirrored(images, 0.0), images, atol=1e-5, rtol=0)


def test_about_the_fraction_that_was_asked_for_is_mirrored():
    images = drawn(1000, 1, 8, 8)
    moved = mirrored(images, 0.3)
    changed = (moved - images).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 0.25 < changed.float().mean() < 0.35


def test_each_image_is_moved_apart_and_stays_in_range():
    images = drawn(1, 3, 16, 16).expand(8, -1, -1, -1)
    moved = moved_and_mirrored(images)
    assert moved.shape == images.shape
    assert ((moved >= 0) & (moved <= 1)).all()
    assert not torch.equal(moved[0], moved[1])
    assert torch.equal(moved, moved_and_mirrored(images))
    assert not torch.equal(moved, moved_and_mirrored(images, 1))


def test_beyond_its_edge_an_image_goes_on_as_it_is_there():
    images = torch.full((20, 3, 10, 10), 0.7)
    assert_close(moved_and_mirrored(images), images)


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


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_stays_in_range_differs_from_image_to_image_and_repeats_with_its_seed(name):
    images = drawn(1, 3, 24, 20).expand(6, -1, -1, -1)
    moved = distorted(images, VIEWS[name], generator())
    assert moved.shape == images.shape
    assert ((moved >= 0) & (moved <= 1)).all()
    assert len(torch.unique(moved.flatten(1), dim=0)) == 6
    assert torch.equal(moved, distorted(images, VIEWS[name], generator()))


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_a_plain_grey_image_is_plain(name):
    moved = distorted(torch.full((9, 1, 16, 16), 0.5), VIEWS[name], generator())
    assert_close(moved, moved[:, :, :1, :1].expand_as(moved))


def test_a_crop_is_a_part_of_the_image_enlarged_and_never_reaches_outside():
    ramp = torch.linspace(0, 1, 64).expand(200, 1, 64, 64)  # brighter to the right
    moved = distorted(ramp, Distortion(area=0.25), generator())
    steps = moved[:, 0, :, 1:] - moved[:, 0, :, :-1]
    assert (steps[:, :, 1:-1] > 0).all()  # where an edge is continued nothing changes
    widths = (moved[:, 0, 0, -1] - moved[:, 0, 0, 0]) / (1 - 1 / 64)
    assert 0.4 < widths.min() < 0.6
    assert widths.max() > 0.9


def test_turned_hues_keep_the_brightness_that_the_eye_sees():
    images = 0.3 + 0.4 * drawn(50, 3, 4, 4)
    turned = distorted(images, Distortion(hue=0.1), generator())
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert_close((turned * luma).sum(dim=1), (images * luma).sum(dim=1), atol=5e-3, rtol=0)
    assert (turned - images).abs().amax(dim=(1, 2, 3)).median() > 0.02


def test_a_colour_image_without_saturation_is_grey():
    red = torch.tensor(colorsys.hsv_to_rgb(0.0, 0.5, 0.8))[None, :, None, None].expand(4, -1, 8, 8)
    grey = distorted(red, Distortion(grey=1.0), generator())
    assert_close(grey, grey[:, :1].expand_as(grey))


def test_views_are_chosen_by_the_images_alone():
    random = np.random.default_rng(0)
    strokes = np.where(random.random((50, 1, 28, 28)) < 0.2, 255, 0).astype(np.uint8)
    noise = random.integers(0, 256, (50, 1, 28, 28), dtype=np.uint8)
    colours = random.integers(0, 256, (50, 3, 28, 28), dtype=np.uint8)
    assert views_of(strokes) == views_of(255 - strokes) == views_of(strokes.repeat(3, axis=1)) == "digits"
    assert views_of(noise) == views_of(noise.repeat(3, axis=1)) == "scans"
    assert views_of(noise[:, :, :8, :8]) == "digits"
    assert views_of(colours) == "photos"
