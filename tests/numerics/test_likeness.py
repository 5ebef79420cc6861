"""How alike images are, against numpy's correlation, and what it does not see."""

import numpy as np
import pytest

from latentcli.numerics.likeness import correlations


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(np.uint8)


def test_it_is_the_correlation_of_the_pixels():
    some = images(4, 3, 9, 11)
    pairs = np.array([[0, 1], [2, 3]])
    found = correlations(some, pairs)
    for (first, second), each in zip(pairs, found, strict=True):
        plain = np.corrcoef(some[first].ravel(), some[second].ravel())[0, 1]
        assert each >= plain - 1e-5  # the best of nine shifts, of which one is none
    moved = np.corrcoef(some[0, :, 1:, :-1].ravel(), some[1, :, :-1, 1:].ravel())[0, 1]
    assert found[0] >= moved - 1e-5


@pytest.mark.parametrize("size", [16, 200])  # 200 pixels a side are compared as 50
def test_brightness_contrast_and_a_pixel_do_not_matter(size):
    smooth = np.kron(images(1, 1, size // 8, size // 8), np.ones((8, 8))).astype(np.uint8)
    by = 1 if size == 16 else 4
    twins = np.concatenate(
        [smooth, smooth // 2 + 40, np.roll(smooth, (by, -by), axis=(2, 3)), images(1, 1, size, size)]
    )
    found = correlations(twins, np.array([[0, 1], [0, 2], [0, 3]]))
    assert found[:2] == pytest.approx([1, 1], abs=2e-3)
    assert found[2] < 0.5


def test_an_image_without_contrast_is_like_none():
    plain = np.concatenate([np.full((2, 1, 8, 8), 7, np.uint8), images(1, 1, 8, 8)])
    assert correlations(plain, np.array([[0, 1], [0, 2]])).tolist() == [0, 0]
    assert correlations(plain, np.empty((0, 2), int)).shape == (0,)
