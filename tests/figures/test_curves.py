"""Curves and fields show the numbers they are given."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from numpy.testing import assert_allclose
from scipy.stats import t

from latentcli.core.errors import DataError
from latentcli.figures import curve, field


def test_a_curve_has_the_mean_and_the_95_percent_interval_of_each_size():
    values = [0.5, 0.6, 0.9]
    first = {1: curve.Accuracy(np.mean(values), np.std(values, ddof=1), 3), 10: curve.Accuracy(0.8, 0.0, 1)}
    figure = curve.draw({"one": first, "other": {10: curve.Accuracy(0.725, 0.035, 2)}}, "digits")
    axes = figure.axes[0]
    first, second = axes.lines
    assert_allclose(first.get_xydata(), [[1, 100 * np.mean(values)], [10, 80]])
    assert_allclose(second.get_xydata(), [[10, 72.5]])
    band = next(artist for artist in axes.collections if isinstance(artist, PolyCollection))
    half = 100 * t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    heights = band.get_paths()[0].vertices[:, 1]
    assert_allclose(heights.min(), 100 * np.mean(values) - half)
    assert heights.max() <= 100
    (both,) = (artist for artist in axes.collections if isinstance(artist, LineCollection))
    assert_allclose(both.get_segments()[0][:, 1], [72.5 - 3.5 / np.sqrt(2), 72.5 + 3.5 / np.sqrt(2)])
    assert figure.legends[0].get_title().get_text() == "bands: 95 %, 3 seeds; bars: both seeds"
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "10"]


def test_means_near_all_are_told_apart_and_none_falls_off_the_picture():
    accuracies = {1: 0.0, 2: 0.5, 5: 0.98, 10: 0.99, 20: 0.995, 50: 1.0}
    figure = curve.draw({"one": {size: curve.Accuracy(mean, 0.3, 2) for size, mean in accuracies.items()}})
    axes = figure.axes[0]
    places = axes.transAxes.inverted().transform(axes.transData.transform(axes.lines[0].get_xydata()))[:, 1]
    assert (np.diff(places) > 0.03).all()
    assert -1e-9 < places.min() < places.max() < 1 + 1e-9
    assert {"50", "99", "99.9"} <= {label.get_text() for label in axes.get_yticklabels()}


@pytest.mark.parametrize("percent", [0.05, 1, 50, 97.3, 99.95])
def test_log_odds_have_an_inverse(percent):
    assert_allclose(curve.from_log_odds(curve.log_odds(percent)), percent)
    assert_allclose(curve.log_odds(percent), -curve.log_odds(100 - percent))


def test_nothing_is_no_curve():
    with pytest.raises(DataError):
        curve.draw({})


def test_a_field_is_coloured_by_what_is_likely_there():
    likelihoods = np.zeros((4, 6, 2))
    likelihoods[:, :3, 0] = likelihoods[:, 3:, 1] = 1
    points = np.array([[-0.5, 0.0], [0.5, 0.0]])
    figure = field.draw(likelihoods, (-1.0, 1.0, -2.0, 2.0), points, np.eye(2), ["a", "b"])
    axes = figure.axes[0]
    pixels = axes.images[0].get_array()
    assert not np.allclose(pixels[0, 0], pixels[0, 5])
    assert_allclose(pixels[:, 0], np.broadcast_to(pixels[0, 0], (4, 3)))
    drawn = {
        tuple(offset): tuple(points.get_facecolor()[0])
        for points in axes.collections
        for offset in points.get_offsets()
    }
    assert len(drawn) == len(set(drawn.values())) == 2


@pytest.mark.parametrize(
    ("likelihoods", "points", "soft_labels"),
    [
        (np.ones((3, 3, 1)), np.zeros((2, 2)), np.eye(2)),
        (np.ones((3, 3, 2)), np.zeros((2, 3)), np.eye(2)),
        (np.ones((3, 3, 2)), np.zeros((3, 2)), np.eye(2)),
        (np.full((3, 3, 2), np.nan), np.zeros((2, 2)), np.eye(2)),
        (np.ones((3, 3, 2)), np.full((2, 2), np.inf), np.eye(2)),
    ],
)
def test_a_field_that_does_not_fit_its_points_is_refused(likelihoods, points, soft_labels):
    with pytest.raises(DataError):
        field.draw(likelihoods, (0.0, 1.0, 0.0, 1.0), points, soft_labels, ["a", "b"])
