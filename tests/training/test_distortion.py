"""Distorted copies keep what an image shows, and its label."""

import numpy as np

from latentcli.data import ImageSet, Labels
from latentcli.training.distortion import augmented_copies


def few(count: int = 7, channels: int = 1) -> ImageSet:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, channels, 12, 12)).astype(np.uint8)
    return ImageSet(images, Labels(np.arange(count) % 3, ("a", "b", "c")), name="few")


def test_distorted_copies_follow_the_images_and_keep_their_labels():
    images = few()
    many = augmented_copies(images, 50, seed=3)
    assert len(many) == 56  # eight of each
    assert np.array_equal(many.images[:7], images.images)
    assert np.array_equal(many.labels.codes, np.tile(images.labels.codes, 8))
    assert many.images.dtype == np.uint8
    copies = many.images.reshape(8, -1)
    assert len(np.unique(copies, axis=0)) == 8  # each its own distortion
    again, other = augmented_copies(images, 50, seed=3), augmented_copies(images, 50, seed=4)
    assert np.array_equal(many.images, again.images)
    assert not np.array_equal(many.images[7:], other.images[7:])


def test_distorted_copies_look_like_their_images():
    """A bright square in the middle stays there, whichever way its copies are turned."""
    pixels = np.zeros((2, 1, 24, 24), np.uint8)
    pixels[:, :, 8:16, 8:16] = 255
    many = augmented_copies(ImageSet(pixels, Labels(np.array([0, 1]), ("a", "b")), name="squares"), 200, seed=0)
    assert (many.images[:, 0, 11:13, 11:13] > 150).all()
    assert (many.images[:, 0, :2, :2] < 50).all()


def test_images_that_are_enough_stay_as_they_are():
    images = few()
    for count in (0, 5, 7):
        assert np.array_equal(augmented_copies(images, count, seed=0).images, images.images)
