"""The t-SNE picture keeps neighbours together, and twenty classes apart by colour and shape."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

from latentcli.core.errors import DataError
from latentcli.figures import style, tsne

random = np.random.default_rng(0)


def scattered(figure):
    (points,) = figure.axes[0].collections
    return points


def legend(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("dimensions", [1, 2, 60])
def test_neighbours_stay_neighbours(dimensions):
    labels = np.arange(90) % 3
    features = 20 * labels[:, None] + random.normal(size=(90, dimensions))
    places = tsne.embed(features)
    assert places.shape == (90, 2)
    distances = np.square(places[:, None] - places[None]).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.95


def test_the_seed_fixes_the_embedding():
    features = random.normal(size=(40, 60))
    np.testing.assert_array_equal(tsne.embed(features, 3), tsne.embed(features, 3))


@pytest.mark.parametrize("features", [np.zeros((1, 3)), np.ones((9, 3)), np.eye(3), np.eye(4), np.ones((9, 70))])
def test_few_points_and_points_without_spread_are_drawn(features):
    figure = tsne.draw(features)
    figure.draw_without_rendering()
    offsets = scattered(figure).get_offsets()
    assert len(offsets) == len(features)
    assert np.isfinite(offsets).all()
    assert f"t-SNE of {len(features)} image" in figure.axes[0].get_xlabel()


def test_every_point_has_the_colour_and_the_shape_of_its_class():
    labels = np.arange(63) % 21 - 1  # twenty classes, and unlabelled points
    figure = tsne.draw(random.normal(size=(63, 4)), labels, [f"class {index}" for index in range(20)])
    points = scattered(figure)
    looks = list(zip(map(to_hex, points.get_facecolor()), (len(path) for path in points.get_paths()), strict=True))
    expected = {(style.colour(label).lower(), style.marker(label)) for label in range(-1, 20)}
    assert len(expected) == len(set(looks)) == 21
    for label in range(-1, 20):
        assert looks.count((style.colour(label).lower(), len(tsne.shape(label)))) == 3
    assert legend(figure) == [*(f"class {index}" for index in range(20)), "unlabelled"]
    handles = figure.legends[0].legend_handles
    assert [handle.get_marker() for handle in handles] == [style.marker(label) for label in [*range(20), -1]]
    assert [to_rgba(handle.get_color()) for handle in handles] == [
        to_rgba(style.colour(label)) for label in [*range(20), -1]
    ]


def test_points_of_which_nothing_is_known_are_grey_and_need_no_legend():
    figure = tsne.draw(random.normal(size=(10, 4)))
    assert {to_hex(colour) for colour in scattered(figure).get_facecolor()} == {style.MUTED}
    assert not legend(figure)


def test_the_legend_lies_outside_the_points_even_of_a_hundred_classes():
    names = [f"a class of number {index}" for index in range(100)]
    figure = tsne.draw(random.normal(size=(100, 2)), np.arange(100), names)
    with style.look():
        figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert figure.axes[0].get_window_extent().x1 <= box.x0
    assert box.x1 <= figure.bbox.x1
    assert box.y0 >= 0
    assert len(legend(figure)) == 100


def test_rows_are_drawn_evenly_by_class():
    labels = np.repeat([0, 1, 2, -1], [1000, 1000, 10, 300])
    rows = tsne.evenly_by_class(labels, len(labels), 310, seed=0)
    assert np.unique(labels[rows], return_counts=True)[1].tolist() == [100, 100, 100, 10]
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, tsne.evenly_by_class(labels, len(labels), 310, seed=0))
    assert rows.tolist() != tsne.evenly_by_class(labels, len(labels), 310, seed=1).tolist()


def test_all_rows_are_drawn_where_there_are_no_more():
    assert tsne.evenly_by_class(np.arange(7) % 2, 7, 10, seed=0).tolist() == list(range(7))
    assert len(tsne.evenly_by_class(None, 50, 10, seed=0)) == 10


@pytest.mark.parametrize(
    ("features", "labels", "names"),
    [
        (np.zeros((0, 2)), None, []),
        (np.zeros(5), None, []),
        (np.full((5, 2), np.nan), None, []),
        (np.zeros((5, 2)), np.zeros(4, dtype=int), ["a"]),
        (np.zeros((5, 2)), np.ones(5, dtype=int), ["a"]),
    ],
)
def test_bad_features_are_refused(features, labels, names):
    with pytest.raises(DataError, match="cannot"):
        tsne.draw(features, labels, names)


def test_of_more_classes_than_can_be_named_there_is_no_legend():
    count = style.MOST_NAMED + 1
    figure = tsne.draw(np.random.default_rng(0).normal(size=(count, 3)), np.arange(count), ["x"] * count)
    assert not legend(figure)
    assert figure.get_size_inches()[0] < 8
