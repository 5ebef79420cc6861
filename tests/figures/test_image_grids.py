"""Pictures made of images: the manifold, the reconstructions, the hybrids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import AxesImage
from scipy import stats

from latentcli.core.errors import DataError
from latentcli.figures import hybrids, manifold, reconstructions

random = np.random.default_rng(0)


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_grid_lies_at_the_quantiles_of_the_prior_the_upper_row_first():
    points = manifold.grid_points()
    expected = stats.norm.ppf(np.linspace(0.05, 0.95, 20))
    assert points.shape == (400, 2)
    np.testing.assert_allclose(points[:20, 0], expected)
    np.testing.assert_allclose(points[::20, 1], expected[::-1])
    np.testing.assert_allclose(points[:20, 1], expected[-1])
    np.testing.assert_allclose(manifold.grid_points(1), [[0, 0]], atol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_manifold_shows_each_image_at_its_place_pixel_by_pixel(channels, tmp_path):
    from PIL import Image

    from latentcli.figures import save

    images = random.integers(0, 256, (9, channels, 8, 8)) / 255.0
    save(manifold.draw(images, 3), tmp_path / "a.png")
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    scale = 1400 // 3 // 8
    tile = picture[24 + scale // 2 :: scale, 110 + scale // 2 :: scale][:24, :24]  # the middle of each pixel
    expected = np.rint(manifold.assemble(images, 3) * 255).transpose(1, 2, 0)
    np.testing.assert_array_equal(tile, np.broadcast_to(expected, (24, 24, 3)))


def test_the_ends_of_the_manifolds_axes_are_labelled():
    shown = words(manifold.draw(random.random((400, 1, 8, 8))))
    assert shown.count("−1.64") == shown.count("1.64") == 2
    assert words(manifold.draw(random.random((25, 1, 8, 8)), 5)).count("0.00") == 2


def test_a_manifold_of_another_number_of_images_is_refused():
    with pytest.raises(DataError, match="8 images as a grid of 3×3"):
        manifold.draw(random.random((8, 1, 8, 8)), 3)


@pytest.mark.parametrize(("count", "drawn", "bands"), [(1, 1, 1), (10, 10, 1), (11, 11, 2), (45, 40, 4)])
def test_every_original_stands_over_its_reconstruction_and_its_ssim(count, drawn, bands):
    images = random.random((count, 3, 8, 8))
    figure = reconstructions.draw(images, images, np.arange(count) / 100)
    extents = {kind: [i.get_extent() for i in figure.axes[0].images if i.get_gid() == kind] for kind in (
        "original", "reconstruction")}  # fmt: skip
    assert len(extents["original"]) == len(extents["reconstruction"]) == drawn
    for upper, lower in zip(*extents.values(), strict=True):
        assert upper[:2] == lower[:2]
        assert upper[2] < lower[3]  # y points down: the original's lower rim is above the reconstruction's upper
    assert words(figure).count("original") == words(figure).count("SSIM") == bands
    assert [word for word in words(figure) if word.startswith("0.")] == [f"{i / 100:.3f}" for i in range(drawn)]


def test_other_pairs_have_names_of_their_own():
    images = random.random((3, 1, 8, 8))
    figure = reconstructions.draw(images, images, np.arange(3.0), ("sample", "nearest image", "distance"))
    assert {"sample", "nearest image", "distance", "2.000"} <= {*words(figure)}
    assert not {"original", "reconstruction", "SSIM"} & {*words(figure)}


def test_reconstructions_that_do_not_pair_are_refused():
    with pytest.raises(DataError, match="cannot pair"):
        reconstructions.draw(np.zeros((2, 1, 8, 8)), np.zeros((3, 1, 8, 8)))
    with pytest.raises(DataError, match="cannot pair"):
        reconstructions.draw(np.zeros((2, 1, 8, 8)), np.zeros((2, 1, 8, 8)), np.zeros(3))


@pytest.mark.parametrize(
    ("soft_label", "expected"),
    [
        ([0.2, 0.8], "20 % 4 + 80 % 8"),
        ([1.0, 0.0], "100 % 4"),
        ([0.004, 0.996], "100 % 8"),
        ([0.5, 0.5], "50 % 4 + 50 % 8"),
        ([3.0, 1.0], "75 % 4 + 25 % 8"),
    ],
)
def test_captions(soft_label, expected):
    assert " + ".join(hybrids.caption(soft_label, ["4", "8"])) == expected


def test_the_third_class_and_on_are_summed_up():
    assert hybrids.caption([0.5, 0.1, 0.1, 0.3], list("abcd")) == ["50 % a", "30 % d", "20 % other"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda shares: sum(shares) > 1e-6))
def test_the_percentages_of_a_caption_sum_to_a_hundred(shares):
    caption = hybrids.caption(shares, [f"c{index}" for index in range(len(shares))])
    percents = [int(part.split(" % ")[0]) for part in caption]
    assert sum(percents) == 100
    assert min(percents) >= 1
    assert len(percents) <= 3


@pytest.mark.parametrize("soft_label", [[0.0, 0.0], [np.nan, 1.0], [-0.1, 1.1], [1.0]])
def test_what_is_no_soft_label_is_refused(soft_label):
    with pytest.raises(DataError, match=r"soft labels|cannot caption"):
        hybrids.caption(soft_label, ["4", "8"])


def test_each_hybrid_has_its_caption():
    soft_labels = random.dirichlet(np.ones(2), size=11)
    figure = hybrids.draw(random.random((11, 1, 8, 8)), soft_labels, ["4", "8"])
    assert words(figure) == [" + ".join(hybrids.caption(row, ["4", "8"])) for row in soft_labels]
    assert len(figure.axes[0].images) == 11
    with pytest.raises(DataError, match="cannot caption 11 images"):
        hybrids.draw(random.random((11, 1, 8, 8)), soft_labels[:5], ["4", "8"])


def test_what_images_were_made_of_stands_above_them():
    images, whole = np.zeros((10, 1, 8, 8)), np.ones((1, 8, 8))
    alone, below = (hybrids.draw(images, np.zeros((10, 0)), [], 5, each) for each in (None, whole))
    assert (words(alone), words(below)) == ([], ["given"])
    tiles = [[image.get_array().max() for image in figure.findobj(AxesImage)] for figure in (alone, below)]
    assert tiles == [[0] * 10, [255] + [0] * 10]


def test_without_originals_reconstructions_stand_alone():
    images = random.random((12, 1, 8, 8))
    figure, pairs = reconstructions.draw(None, images), reconstructions.draw(images, images)
    assert words(figure) == ["reconstruction"] * 2
    assert words(pairs) == ["original", "reconstruction"] * 2
    assert figure.get_figheight() < pairs.get_figheight()
    with pytest.raises(DataError, match="cannot pair reconstructions"):
        reconstructions.draw(None, images, ssim=[0.5])
