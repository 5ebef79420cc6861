"""The plane: where images lie, what lies between them, and how all of it is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import latentcli as lc
from latentcli.explore import drawing, plane
from latentcli.numerics import planes

CLUSTERS = np.random.default_rng(0).integers(4, size=600)
LATENTS = (
    np.random.default_rng(1).normal(size=(4, 6))[CLUSTERS] * 4 + np.random.default_rng(2).normal(size=(600, 6))
).astype(np.float32)


def same_up_to_sign(found: np.ndarray, expected: np.ndarray) -> None:
    for one, other in zip(found.T, expected.T, strict=True):
        np.testing.assert_allclose(one * np.sign(one @ other), other, atol=2e-3 * np.abs(other).max())


def test_the_principal_plane_is_scikit_learns():
    found = plane.make("principal", LATENTS)
    same_up_to_sign(found.points, PCA(2).fit_transform(LATENTS))
    np.testing.assert_allclose(found.at(LATENTS[:9].astype(float)), found.points[:9], atol=1e-3)
    assert "of the variance" in found.axes[0]


def test_the_discriminant_plane_separates_as_scikit_learns():
    found = plane.make("discriminant", LATENTS, CLUSTERS)
    expected = LinearDiscriminantAnalysis(solver="eigen", n_components=2).fit_transform(LATENTS, CLUSTERS)
    correlation = np.corrcoef(found.points.T, expected.T)[:2, 2:]
    np.testing.assert_allclose(np.abs(np.diag(correlation)), 1, atol=0.01)


def test_many_dimensions_are_shown_by_their_principal_ones(monkeypatch):
    expected = plane.make("principal", LATENTS), plane.make("discriminant", LATENTS, CLUSTERS)
    monkeypatch.setattr(planes, "WIDE", 4)
    same_up_to_sign(plane.make("principal", LATENTS).points, expected[0].points)
    found = plane.make("discriminant", LATENTS, CLUSTERS)
    same_up_to_sign(found.points, expected[1].points)
    np.testing.assert_allclose(found.at(LATENTS[:9].astype(float)), found.points[:9], atol=1e-3)


def test_two_classes_are_told_apart_along_the_first_axis():
    codes = np.where(CLUSTERS < 2, CLUSTERS, -1)
    found = plane.make("discriminant", LATENTS, codes).points
    first = [found[codes == code, 0] for code in range(2)]
    assert max(first[0].min(), first[1].min()) > min(first[0].max(), first[1].max())
    assert np.isfinite(found).all()
    assert found[:, 1].std() > 0


def test_classes_are_needed_to_tell_them_apart():
    with pytest.raises(lc.DataError, match="two classes"):
        plane.make("discriminant", LATENTS, np.zeros(600, int))


def test_two_dimensions_are_shown_as_they_are():
    assert [*plane.kinds_for(2)] == ["latents"]
    np.testing.assert_array_equal(plane.make("latents", LATENTS[:, :2]).points, LATENTS[:, :2])
    single = plane.make("latents", LATENTS[:, :1])
    np.testing.assert_array_equal(single.points[:, 1], 0)


def test_a_map_is_computed_once_and_kept(tmp_path, monkeypatch):
    from latentcli.figures import tsne

    monkeypatch.setattr(plane, "MOST_EMBEDDED", 200)
    kept = tmp_path / "labels.tsne.npz"
    found = plane.make("tsne", LATENTS, kept=kept)
    purity = [
        CLUSTERS[found.nearest(*map(float, found.points[row]), count=6)[1:]] == CLUSTERS[row]
        for row in range(0, 600, 7)
    ]
    assert np.mean(purity) > 0.9  # also of those that were not embedded themselves

    def never(*_):
        raise AssertionError("it was computed again")

    with monkeypatch.context() as patch:
        patch.setattr(tsne, "embed", never)
        np.testing.assert_array_equal(plane.make("tsne", LATENTS, kept=kept).points, found.points)
        with pytest.raises(AssertionError):
            plane.make("tsne", LATENTS + 1, kept=kept)  # other latents
        kept.write_bytes(b"damaged")
        with pytest.raises(AssertionError):
            plane.make("tsne", LATENTS, kept=kept)


@pytest.mark.parametrize("kind", ["principal", "discriminant"])
def test_what_is_decoded_at_a_point_lies_there(kind):
    found = plane.make(kind, LATENTS, CLUSTERS)
    details = np.hstack([LATENTS, np.ones((600, 2), np.float32)])  # which no classifier reads
    for x, y in ((0.0, 0.0), tuple(map(float, found.points[3]))):
        latent = found.latent_at(x, y, details)
        assert latent.shape == (8,)
        np.testing.assert_allclose(found.at(latent[None, :6].astype(float))[0], (x, y), atol=1e-2)
    np.testing.assert_allclose(found.latent_at(*map(float, found.points[3]), LATENTS), LATENTS[3], atol=0.05)


def test_ellipses_enclose_what_they_say():
    found = plane.make("principal", LATENTS)
    mean, covariance = LATENTS.mean(axis=0), np.cov(LATENTS.T)
    (outline,) = found.ellipses(mean[None], covariance[None])
    flat = np.linalg.inv(np.cov(found.points.T))
    apart = outline - found.points.mean(axis=0)
    np.testing.assert_allclose(np.einsum("nd,de,ne->n", apart, flat, apart), 4, rtol=1e-2)


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=3, max_size=3),
    st.integers(0, 1000),
)  # fmt: skip
def test_a_lasso_selects_what_matplotlib_finds_within(corners, seed):
    points = np.random.default_rng(seed).uniform(-1.2, 1.2, (200, 2))
    xs, ys = zip(*corners, strict=True)
    found = plane.inside(points, xs, ys)
    (x0, y0), (x1, y1), (x2, y2) = corners
    if abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) > 1e-3:
        assert set(found) == set(np.flatnonzero(Outline(corners).contains_points(points)))


def test_a_lasso_that_crosses_itself_follows_the_even_odd_rule():
    """A pentagram, whose middle lies outside."""
    turn = np.pi / 2 + np.arange(5) * 4 * np.pi / 5
    found = plane.inside(np.array([[0, 0], [0, 0.8], [2, 2]]), np.cos(turn), np.sin(turn))
    assert found.tolist() == [1]
    assert len(plane.inside(LATENTS[:, :2], [0, 1], [0, 1])) == 0
    assert len(plane.inside(LATENTS[:, :2], [0, 1, np.nan], [0, 1, 2])) == 0


def test_points_are_drawn_where_they_lie():
    points = np.array([[0.5, 0.5], [9.5, 0.5], [0.5, 4.5], [20, 20]], np.float32)
    colours = drawing.packed([(1, 2, 3), (250, 0, 0)])
    picture = drawing.Painter(points).draw(np.array([0, 1, 0, 1]), colours, (0, 10), (0, 5), (100, 50))
    assert picture.shape == (50, 100)
    assert (picture[5, 5], picture[5, 95], picture[45, 5]) == (colours[0], colours[1], colours[0])
    assert picture[25, 50] == 0  # transparent
    assert picture.view(np.uint8).reshape(50, 100, 4)[5, 95].tolist() == [250, 0, 0, 255]


def test_what_is_not_selected_is_paler_and_what_is_marked_has_a_rim():
    points = np.array([[2.5, 2.5], [7.5, 2.5]], np.float32)
    colours = drawing.packed([(0, 0, 200)])
    painter = drawing.Painter(points)
    picture = painter.draw(np.zeros(2, int), colours, (0, 10), (0, 5), (100, 50), selected=np.array([True, False]))
    assert picture[25, 25] == colours[0]
    assert picture[25, 75] == drawing.paler(colours)[0] != colours[0]
    marked = painter.draw(np.zeros(2, int), colours, (0, 10), (0, 5), (100, 50), marked=np.array([0]))
    assert marked[25, 28] == drawing.packed([drawing.INK])[0]
    assert marked[25, 25] == colours[0]


@pytest.mark.parametrize("count", [10, 6_000, 30_000, 300_000])
def test_no_point_is_drawn_outside_however_many_there_are(count):
    random = np.random.default_rng(count)
    points = random.normal(size=(count, 2)).astype(np.float32) * 3
    picture = drawing.Painter(points).draw(
        np.zeros(count, int), drawing.packed([(9, 9, 9)]), (-1, 1), (-1, 1), (64, 48)
    )
    inside = (np.abs(points) < 1).all(axis=1)
    column, row = ((points[inside] + 1) / 2 * [64, 48]).astype(int).T
    assert (picture[row, column] != 0).all()


def test_a_million_points_are_drawn_in_a_moment():
    import time

    points = np.random.default_rng(0).normal(size=(1_000_000, 2)).astype(np.float32)
    painter, index = drawing.Painter(points), np.zeros(1_000_000, np.int8)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        painter.draw(index, drawing.packed([(1, 2, 3)]), (-4, 4), (-4, 4), (660, 570))
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.4  # 0.03 where nothing else runs


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 40), (1, 200, 100), (3, 8, 8)])
def test_tiles_show_images_without_their_shape_changed(shape):
    image = np.full(shape, 200, np.uint8)
    tile = drawing.fitted(image, 56)
    tall, wide = tile.shape
    assert max(tall, wide) == 56
    assert abs(tall / wide - shape[1] / shape[2]) < 0.02
    assert (tile == drawing.packed([(200, 200, 200)])[0]).all()
    whole = drawing.mosaic(image[None], 3, 2, 64, [(255, 0, 0)])
    assert whole.shape == (128, 192)
    assert whole[127 - 32, 32] == drawing.packed([(200, 200, 200)])[0]  # above, at the left
    assert (whole[:64] == 0).all()


def test_ranges_have_a_length_also_where_all_points_are_one():
    (low, high), (down, up) = drawing.limits(np.zeros((5, 2), np.float32))
    assert low < high
    assert down < up


@pytest.mark.parametrize("dimensions", [3, planes.WIDE + 1])
def test_a_single_image_lies_somewhere_on_its_plane(dimensions):
    found = planes.principal(np.ones((1, dimensions), np.float32))
    assert found.at(np.ones((1, dimensions))).tolist() == [[0, 0]]
    assert found.directions.shape == (2, dimensions)
