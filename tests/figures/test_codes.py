"""The picture of discrete latents shows each map of codes beside its image, and the use of the whole codebook."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.patches import StepPatch
from matplotlib.text import Text

from latentcli.core.errors import DataError
from latentcli.figures import codes as figure_codes
from latentcli.figures import style

random = np.random.default_rng(0)


def draw(count=4, channels=1, grid=(4, 4), size=512, many=30):
    """The figure of random codes, and what it was drawn from."""
    codes = random.integers(0, size, (max(many, count), *grid))
    images = random.random((count, channels, 16, 16))
    vectors = random.normal(size=(size, 5))
    return figure_codes.draw(images, 1 - images, codes[:count], codes, vectors), images, codes, vectors


def drawn(figure, kind):
    return [image for image in figure.axes[0].images if image.get_gid() == kind]


def words(figure):
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "shown"), [(1, 1), (3, 3), (4, 4), (20, 15)])
def test_each_image_has_its_reconstruction_and_its_map_to_the_right(count, shown, channels):
    figure, images, codes, vectors = draw(count, channels)
    kinds = [drawn(figure, kind) for kind in ("image", "reconstruction", "codes")]
    assert [len(kind) for kind in kinds] == [shown] * 3
    order, _ = figure_codes.colour_order(vectors, np.bincount(codes.ravel(), minlength=512))
    for index, (original, decoded, coded) in enumerate(zip(*kinds, strict=True)):
        np.testing.assert_array_equal(original.get_array(), style.as_pixels(images[index]))
        np.testing.assert_array_equal(decoded.get_array(), style.as_pixels(1 - images[index]))
        colours = colormaps[figure_codes.COLOURS](order[codes[index]], bytes=True)[..., :3]
        np.testing.assert_array_equal(coded.get_array(), colours)
        assert coded.get_interpolation() == "nearest"
        boxes = [image.get_extent() for image in (original, decoded, coded)]
        assert boxes[0][2:] == boxes[1][2:] == boxes[2][2:]
        assert boxes[0][1] < boxes[1][0] < boxes[1][1] < boxes[2][0]


def test_the_histogram_is_the_share_of_each_code_sorted_and_its_title_has_the_measures():
    codes = np.repeat([0, 1, 2, 5], [2, 4, 8, 2]).reshape(1, 4, 4)
    images = random.random((1, 1, 8, 8))
    figure = figure_codes.draw(images, images, codes, codes, random.normal(size=(8, 3)))
    panel = figure.axes[1]
    (steps,) = [patch for patch in panel.patches if isinstance(patch, StepPatch)]
    np.testing.assert_allclose(steps.get_data().values, [1 / 2, 1 / 4, 1 / 8, 1 / 8])
    np.testing.assert_allclose(steps.get_data().edges, [0.5, 1.5, 2.5, 3.5, 4.5])
    assert panel.get_yscale() == "log"
    assert panel.get_xlim() == (0.5, 8.5)
    assert panel.lines[0].get_ydata() == pytest.approx([1 / 8, 1 / 8])
    entropy = 0.5 * np.log(2) + 0.25 * np.log(4) + 0.25 * np.log(8)
    heading = f"Codebook use over 1 image: perplexity {np.exp(entropy):.1f} of 8, 50.0 % of the codes used"
    assert heading in words(figure)
    assert "even use: 12 % each" in words(figure)


@pytest.mark.parametrize(
    ("codes", "size"),
    [(np.zeros((1, 2, 2), int), 512), (np.zeros((1, 1, 1), int), 1), (np.arange(1000).reshape(10, 10, 10), 1000)],
)
def test_collapsed_and_even_codebooks_have_ticks_around_all_that_is_drawn(codes, size):
    images = random.random((1, 1, 8, 8))
    panel = figure_codes.draw(images, images, codes[:1], codes, random.normal(size=(size, 2))).axes[1]
    low, high = panel.get_ylim()
    shares = np.bincount(codes.ravel()) / codes.size
    assert low < min(shares[shares > 0].min(), 1 / size) <= shares.max() <= high
    assert len([tick for tick in panel.get_yticks() if low <= tick <= high]) >= 2


def test_a_codes_colour_is_its_rank_along_the_principal_direction_of_the_used():
    places = np.array([3.0, -1.0, 100.0, 0.5, 7.0])
    vectors = places[:, None] * [[0.6, 0.8]] + [[5.0, -3.0]]
    order, share = figure_codes.colour_order(vectors, np.array([1, 9, 0, 1, 1]))
    np.testing.assert_allclose(order, [2 / 3, 0, 0, 1 / 3, 1])  # the third is far off, but not used
    assert share == pytest.approx(1)
    order, _ = figure_codes.colour_order(vectors, np.array([1, 1, 0, 1, 9]))
    np.testing.assert_allclose(order, [1 / 3, 1, 0, 2 / 3, 0])  # the most used has the dark end


def test_the_caption_states_the_share_of_the_variance_as_an_independent_decomposition_has_it():
    figure, _, codes, vectors = draw(size=10)
    used = vectors[np.unique(codes)]
    share = np.linalg.eigvalsh(np.cov(used.T))[-1] / np.trace(np.cov(used.T))
    assert any(f"holds {100 * share:.0f} % of their variance" in word for word in words(figure))


def test_few_images_are_large_and_have_the_numbers_of_the_codes_where_they_fit():
    figure, _, codes, _ = draw(count=2, grid=(10, 10))
    numbers = [text.get_text() for text in figure.axes[0].texts if text.get_gid() == "code"]
    assert numbers == [str(code) for code in codes[:2].ravel()]
    for figure in (draw(count=2, grid=(20, 20))[0], draw(count=4, grid=(4, 4))[0]):
        assert not [text for text in figure.axes[0].texts if text.get_gid() == "code"]


@pytest.mark.parametrize(("count", "shape"), [(1, (256, 16)), (15, (16, 256)), (15, (28, 28)), (1, (28, 28))])
def test_a_thousand_codes_of_images_of_any_shape_fit_the_sheet(count, shape):
    codes = random.integers(0, 1000, (count, 10, 10))
    images = random.random((count, 1, *shape))
    figure = figure_codes.draw(images, images, codes, codes, random.normal(size=(1000, 3)))
    width, height = figure.axes[0].get_xlim()[1], figure.axes[0].get_ylim()[0]
    for image in figure.axes[0].images:
        left, right, bottom, top = image.get_extent()
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    with style.look():
        figure.draw_without_rendering()
        for text in figure.axes[0].texts:
            assert text.get_window_extent().x1 <= figure.bbox.x1


IMAGES, MAPS, VECTORS = np.zeros((2, 1, 8, 8)), np.zeros((2, 4, 4), int), np.zeros((3, 2))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((IMAGES[:0], IMAGES[:0], MAPS[:0], MAPS, VECTORS), "nothing to draw"),
        ((IMAGES, IMAGES[:1], MAPS, MAPS, VECTORS), "cannot pair"),
        ((IMAGES, IMAGES, MAPS[:1], MAPS, VECTORS), "cannot pair"),
        ((IMAGES, IMAGES, MAPS, MAPS[:, 0], VECTORS), "cannot pair"),
        ((IMAGES, IMAGES, MAPS, MAPS[:0], VECTORS), "cannot pair"),
        ((IMAGES, IMAGES, MAPS, MAPS, VECTORS[:0]), "codebook of shape"),
        ((IMAGES, IMAGES, MAPS, MAPS, VECTORS * np.nan), "codebook of shape"),
        ((IMAGES, IMAGES, MAPS + 3, MAPS, VECTORS), "codes from 3 to 3"),
        ((IMAGES, IMAGES, MAPS, MAPS - 1, VECTORS), "codes from -1 to -1"),
        ((IMAGES, IMAGES, MAPS, MAPS + 0.5, VECTORS), "codes from 0.5"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, problem):
    with pytest.raises(DataError, match=problem):
        figure_codes.draw(*arguments)
