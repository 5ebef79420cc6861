"""The latent scatter shows every class, and the mixture where it is."""

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.patches import Ellipse

from latentcli.core.errors import DataError
from latentcli.figures import latent, spread, style

random = np.random.default_rng(0)


def mixture(count, size):
    factors = random.normal(size=(count, size, size))
    return {
        "weights": np.full(count, 1 / count),
        "means": random.normal(size=(count, size)),
        "covariances": factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(size),
        "component_labels": np.arange(count) % 3,
    }


def points_drawn(figure):
    return sum(len(c.get_offsets()) for c in figure.axes[0].collections if isinstance(c, PathCollection))


def test_each_component_has_its_ellipses_in_the_colour_of_its_class():
    model = mixture(4, 2)
    figure = latent.draw(random.normal(size=(50, 2)), None, ["a", "b", "c"], model)
    drawn = [patch for patch in figure.axes[0].patches if isinstance(patch, Ellipse)]
    assert len(drawn) == 4 * len(latent.DEVIATIONS)
    for patch, label in zip(drawn, np.repeat(model["component_labels"], 2), strict=True):
        assert patch.get_edgecolor() == matplotlib.colors.to_rgba(style.colour(label))


def test_the_ellipse_is_the_line_of_equal_mahalanobis_distance():
    model = mixture(1, 2)
    mean, covariance = model["means"][0], model["covariances"][0]
    for deviations, ellipse in zip(latent.DEVIATIONS, latent.ellipses(mean, covariance), strict=True):
        eigenvalues = np.linalg.eigvalsh(covariance)
        assert [ellipse.height, ellipse.width] == pytest.approx(list(2 * deviations * np.sqrt(eigenvalues)))
        rim = ellipse.get_patch_transform().transform([[1, 0], [0, 1], [-1, 0], [0.6, 0.8]]) - mean
        distances = np.sqrt(np.einsum("ni,ij,nj->n", rim, np.linalg.inv(covariance), rim))
        np.testing.assert_allclose(distances, deviations)


def test_beyond_two_dimensions_the_plane_is_that_of_the_principal_components():
    points = random.normal(size=(200, 5)) @ np.diag([5, 3, 1, 0.5, 0.1]) + 7
    model = mixture(2, 5)
    figure = latent.draw(points, None, ["a", "b", "c"], model)
    _, singular, directions = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    drawn = [patch for patch in figure.axes[0].patches if isinstance(patch, Ellipse)][::2]
    for index, ellipse in enumerate(drawn):
        centre = (model["means"][index] - points.mean(axis=0)) @ directions[:2].T
        np.testing.assert_allclose(np.abs(ellipse.center), np.abs(centre))  # the sign of a component is free
        eigenvalues = np.linalg.eigvalsh(directions[:2] @ model["covariances"][index] @ directions[:2].T)
        assert [ellipse.height, ellipse.width] == pytest.approx(list(2 * np.sqrt(eigenvalues)))
    share = singular[0] ** 2 / (singular**2).sum()
    assert f"({share:.0%} of the variance)" in figure.axes[0].get_xlabel()


def test_at_most_five_thousand_points_are_drawn_always_the_same():
    points = random.normal(size=(6_000, 2))
    labels = np.zeros(6_000, dtype=int)
    labels[:2_000] = -1
    assert points_drawn(latent.draw(points, labels, ["a"])) == latent.MOST_POINTS
    np.testing.assert_array_equal(latent.chosen(labels), latent.chosen(labels))
    assert points_drawn(latent.draw(points[:70])) == 70


def test_a_few_labelled_points_among_very_many_are_all_drawn():
    labels = np.full(60_000, -1)
    labels[::12_345] = 0
    assert set(np.flatnonzero(labels == 0)) < set(latent.chosen(labels))
    drawn = latent.chosen(np.arange(60_000) % 2 - 1)
    assert len(set(drawn)) == latent.MOST_POINTS
    assert 0.5 <= np.mean(drawn % 2) < 0.8  # many labelled ones do not crowd out the others


def test_a_projection_does_not_claim_shares_of_the_variance():
    figure = latent.draw(random.normal(size=(50, 4)), shares=False)
    assert figure.axes[0].get_xlabel() == "principal component 1"


@pytest.mark.parametrize("classes", [1, 2, 3, 10, 20, 100])
def test_every_class_is_named(classes):
    labels = np.arange(200) % classes
    figure = latent.draw(random.normal(size=(200, 2)), labels, [f"class {index}" for index in range(classes)])
    named = {text.get_text() for text in figure.axes[0].texts}
    assert named == {f"class {index}" for index in range(classes)}
    legend = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert len(legend) == (classes if classes <= latent.MOST_IN_LEGEND else 0)


def test_unlabelled_points_are_grey_and_say_so():
    figure = latent.draw(random.normal(size=(30, 2)), np.arange(30) % 3 - 1, ["a", "b"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "unlabelled"]
    assert matplotlib.colors.to_rgba(style.MUTED, 0.35) in {
        tuple(colour) for collection in figure.axes[0].collections for colour in collection.get_facecolor()
    }


def test_one_dimension_has_histograms_that_integrate_to_one_and_the_components_densities():
    points = random.normal(size=(500, 1))
    model = {"weights": [1.0], "means": [[0.0]], "covariances": [[[1.0]]], "component_labels": [0]}
    figure = latent.draw(points, np.arange(500) % 2, ["a", "b"], model)
    (line,) = figure.axes[0].lines
    assert line.get_ydata().max() == pytest.approx(1 / np.sqrt(2 * np.pi), rel=1e-3)
    area = 0.0
    for patch in figure.axes[0].patches:
        x, y = patch.get_xy()[:-1].T
        area += abs(0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    assert area == pytest.approx(1)


@pytest.mark.parametrize(
    "points", [np.zeros((1, 2)), np.zeros((5, 2)), np.zeros((1, 7)), np.zeros((5, 7)), np.zeros((4, 1))]
)
def test_points_without_any_spread_are_drawn(points):
    latent.draw(points, np.zeros(len(points), dtype=int), ["a"]).draw_without_rendering()


@pytest.mark.parametrize(
    ("points", "labels", "names"),
    [
        (np.zeros((0, 2)), None, []),
        (np.zeros(5), None, []),
        (np.full((5, 2), np.nan), None, []),
        (np.zeros((5, 2)), np.zeros(4, dtype=int), ["a"]),
        (np.zeros((5, 2)), np.ones(5, dtype=int), ["a"]),
    ],
)
def test_bad_latents_are_refused(points, labels, names):
    with pytest.raises(DataError, match="cannot draw"):
        latent.draw(points, labels, names)


def test_a_mixture_of_another_space_is_refused():
    with pytest.raises(DataError, match="does not fit latents"):
        latent.draw(np.zeros((5, 2)), None, ["a", "b", "c"], mixture(2, 3))


def test_labels_move_apart_and_stay_in_the_frame():
    centres = np.full((15, 2), 100.0)
    halves = np.tile([20.0, 6.0], (15, 1))
    places = spread.separate(centres, halves, np.array([[0.0, 0.0], [400.0, 400.0]]))
    for first in range(15):
        for second in range(first):
            assert (np.abs(places[first] - places[second]) >= 2 * halves[0] - 1e-9).any()
    assert (places - halves >= 0).all()
    assert (places + halves <= 400).all()


def test_of_very_many_classes_the_largest_are_named_and_nothing_is_slow():
    count = style.MOST_NAMED + 50
    labels = np.concatenate([np.arange(count), np.arange(50, count)])
    figure = latent.draw(random.normal(size=(len(labels), 2)), labels, [f"class {row}" for row in range(count)])
    named = {text.get_text() for text in figure.axes[0].texts}
    assert named == {f"class {row}" for row in range(50, count)}
    assert not figure.legends
