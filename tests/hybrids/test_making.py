"""Hybrids against the Gaussians they come from."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from scipy.stats import multivariate_normal

from latentcli import hybrids
from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.classifiers.mixture.gaussians import ClassGaussians
from latentcli.core.errors import ModelFileError, UsageError
from latentcli.hybrids import LIKELIHOODS, STRATEGIES, Posteriors, Recipe, likelihoods, making, strategies

PARAMS = {
    "kind": "gmm",
    "covariance_type": "diag",
    "weights": np.array([0.1, 0.3, 0.3, 0.3]),
    "means": np.array([[0.0, 0.0], [1.0, 0.0], [50.0, 0.0], [0.0, 50.0]]),
    "covariances": np.array([[1.0, 4.0], [1.0, 4.0], [1.0, 1.0], [9.0, 1.0]]),
    "component_labels": np.array([0, 0, 1, 2]),
    "classes": np.array(["a", "b", "c"]),
    "class_means": np.array([[0.5, 0.0], [50.0, 0.0], [0.0, 50.0]]),
    "class_variances": np.array([[2.0, 4.0], [1.0, 1.0], [9.0, 1.0]]),
    "log_density_quantiles": np.linspace(-10.0, 0.0, 1001),
}
"""Three classes far apart; the first is made of two components."""


@pytest.fixture(scope="module")
def mixture() -> GaussianMixtureClassifier:
    return GaussianMixtureClassifier.from_params(PARAMS)


IMAGES = Posteriors(GaussianMixtureClassifier.from_params(PARAMS).sample(400)[0])
"""Without labels."""

OF_MIXTURES = tuple(name for name in LIKELIHOODS if name != "graph")
ALONE = ("mixture", "class-gaussian")
"""Likelihoods that ask no images."""


class Model:
    """A model whose images are its latents, in one row of two pixels; its prior is around (200, 200)."""

    def prior(self, count, random):
        return random.normal(200, 1, (count, 2)).astype(np.float32)

    def valid(self, latents):
        return np.asarray(latents, np.float32)

    def images(self, latents):
        return np.clip(latents, 0, 255).astype(np.uint8)[:, None, None]


def of(recipe, mixture, model, count, images=None):
    return hybrids.HybridMaker(recipe, mixture, model, images).blocks(count)


def made(mixture, count=300, **recipe):
    blocks = list(of(Recipe(**recipe), mixture, Model(), count))
    return [np.concatenate([getattr(block, name) for block in blocks]) for name in ("images", "soft_labels", "latents")]


# Where they lie


def test_draws_have_the_moments_of_their_class(mixture):
    points = mixture.draw_of_classes(np.zeros(20_000, int), np.random.default_rng(0))
    assert_allclose(points.mean(axis=0), [0.75, 0.0], atol=0.05)  # weights 0.1 and 0.3 at 0 and 1
    assert_allclose(points.var(axis=0), [1 + 0.1875, 4.0], rtol=0.05)


def test_points_lie_between_the_two_classes_asked_for(mixture):
    _, _, points = made(mixture, 2_000, classes=("b", "c"))
    position = points[:, 1] / 50  # from b at (50, 0) to c at (0, 50)
    assert_allclose(points[:, 0], 50 * (1 - position), atol=15)
    assert position.min() < 0.1
    assert position.max() > 0.9
    assert abs(position.mean() - 0.5) < 0.03


@pytest.mark.parametrize(("classes", "expected"), [(("b", "c"), [40, 10]), (("c", "b"), [10, 40])])
def test_a_ratio_counts_from_the_first_class_named(mixture, classes, expected):
    _, _, points = made(mixture, 2_000, classes=classes, ratio=0.2)
    assert_allclose(points.mean(axis=0), expected, atol=0.3)


def test_posteriors_give_points_around_their_images(mixture):
    images = Posteriors(np.array([[50.0, 0.0], [0.0, 50.0]]), np.array([[4.0, 0.25], [1.0, 9.0]]))
    blocks = of(Recipe("posterior"), mixture, Model(), 8_000, images)
    points = np.concatenate([block.latents for block in blocks])
    first = points[points[:, 0] > 25]
    assert abs(len(first) - 4_000) < 200
    assert_allclose(first.mean(axis=0), [50, 0], atol=0.15)
    assert_allclose(first.std(axis=0), [2, 0.5], rtol=0.05)


def test_posteriors_of_points_are_the_points_themselves_and_classes_choose_among_them(mixture):
    images = Posteriors(np.array([[50.0, 0.0], [0.0, 50.0], [1.0, 1.0]]))
    for classes, expected in ((None, {(50, 0), (0, 50), (1, 1)}), (("b",), {(50, 0)})):
        blocks = of(Recipe("posterior", classes=classes), mixture, Model(), 100, images)
        assert {tuple(point) for block in blocks for point in block.latents} == expected


def test_a_posterior_needs_images_and_the_mixture_has_no_use_for_them(mixture):
    with pytest.raises(UsageError, match="needs images"):
        made(mixture, strategy="posterior")
    for strategy in ("mixture", "prior"):
        with pytest.raises(UsageError, match="uses images"):
            next(of(Recipe(strategy), mixture, Model(), 10, Posteriors(np.zeros((1, 2)))))


def test_between_images_paths_end_at_the_images_and_not_at_the_mixture(mixture):
    means = np.array([[52.0, 1.0], [2.0, 51.0], [3.0, 3.0]])  # of b, c and a
    images = Posteriors(means, np.full((3, 2), 4.0))
    blocks = of(Recipe("between", classes=("b", "c")), mixture, Model(), 1_000, images)
    points = np.concatenate([block.latents for block in blocks])
    position = (52 - points[:, 0]) / 50
    assert_allclose(points[:, 1], 1 + 50 * position, atol=1e-4)  # on the one line that joins b's image with c's
    assert 0 <= position.min() < 0.05
    assert 0.95 < position.max() <= 1


def test_at_a_boundary_between_images_two_classes_are_equally_likely(mixture):
    images = Posteriors(np.array([[52.0, 1.0], [2.0, 51.0]]))
    blocks = list(of(Recipe("boundary", classes=("b", "c")), mixture, Model(), 10, images))
    points, labels = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("latents", "soft_labels"))
    assert_allclose(labels[:, 1], labels[:, 2], atol=1e-2)
    assert_allclose(points[:, 0] + points[:, 1], 53, atol=1e-3)  # on the line that joins the two


def test_images_that_are_known_to_be_of_another_class_than_the_likeliest_end_no_path(mixture):
    means = np.array([[52.0, 1.0], [2.0, 51.0], [48.0, 0.0], [49.0, 2.0]])
    images = Posteriors(means, None, np.array(["b", "", "c", "b"]))  # the third lies among b, and is no b
    blocks = of(Recipe("between", classes=("b", "c"), ratio=0.0), mixture, Model(), 300, images)
    assert {tuple(point) for block in blocks for point in block.latents} == {(52, 1), (49, 2)}


def test_mixup_labels_a_point_by_its_position_on_the_path(mixture):
    means = np.array([[52.0, 1.0], [2.0, 51.0], [48.0, 0.0]])
    names = np.array(["b", "", "c"])  # the second is of c by the mixture, which takes the third for b
    images = Posteriors(means, None, names)
    blocks = list(of(Recipe("mixup", classes=("b", "c")), mixture, Model(), 2_000, images))
    points, labels = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("latents", "soft_labels"))
    assert_allclose(labels.sum(axis=1), 1)
    assert (labels[:, 0] == 0).all()
    ends = [labels[:, [1]] * means[0] + labels[:, [2]] * end for end in means[1:]]
    off = np.array([np.abs(points - expected).max(axis=1) for expected in ends])
    assert (off.min(axis=0) < 1e-4).all()
    assert abs((off[0] < 1e-4).mean() - 0.5) < 0.05  # each end of c as often as the other
    assert abs(labels[:, 1].mean() - 0.5) < 0.02
    assert stats.kstest(labels[:, 1], stats.beta(0.4, 0.4).cdf).pvalue > 0.001


def test_between_images_of_mixup_the_likelihood_says_whose_the_unlabelled_are(mixture):
    points = np.array([[52.0, 1.0], [2.0, 51.0], [27.0, 25.5]])
    images = Posteriors(points, None, np.array(["b", "c", ""]))
    ends = {}
    for likelihood in OF_MIXTURES:
        blocks = of(Recipe("mixup", likelihood, classes=("b", "c"), ratio=0.0), mixture, Model(), 300, images)
        ends[likelihood] = {tuple(point) for block in blocks for point in block.latents}
    alone, both = {(52.0, 1.0)}, {(52.0, 1.0), (27.0, 25.5)}  # the last is nearest to b, in the wide tails of others
    assert ends == {"mixture": alone, "class-gaussian": alone, "neighbours": both}


def test_what_is_wrong_is_said_before_the_first_block(mixture):
    maker = hybrids.HybridMaker
    for recipe, images in ((Recipe("posterior"), None), (Recipe("mixture"), IMAGES), (Recipe(classes=("x",)), None)):
        with pytest.raises(UsageError):
            maker(recipe, mixture, Model(), images)


def test_the_search_for_neighbours_tells_its_progress(mixture):
    done = []

    @contextmanager
    def progress(doing, total):
        yield lambda count: done.append((doing, total, count))

    hybrids.HybridMaker(Recipe("posterior", "neighbours"), mixture, Model(), IMAGES, progress)
    assert done == [("finding neighbours", 400, 400)]


def test_mixup_of_the_mixture_keeps_to_its_ratio_and_its_temperature(mixture):
    _, labels, points = made(mixture, 2_000, strategy="mixup", classes=("c", "b"), ratio=0.2)
    assert_allclose(labels, np.tile([0, 0.2, 0.8], (len(labels), 1)))
    assert_allclose(points.mean(axis=0), [10, 40], atol=0.3)
    sharp = made(mixture, strategy="mixup", classes=("c", "b"), ratio=0.2, temperature=0.5)[1]
    assert_allclose(sharp, np.tile([0, 0.04 / 0.68, 0.64 / 0.68], (len(sharp), 1)))
    pure = made(mixture, strategy="mixup", classes=("c", "b"), ratio=0.0)[1]
    assert_allclose(pure, np.tile([0, 0, 1], (len(pure), 1)))


def test_a_class_that_no_image_is_of_has_no_paths(mixture):
    images = Posteriors(np.array([[52.0, 1.0], [2.0, 51.0]]))
    with pytest.raises(hybrids.NoPointAccepted, match="none of the images is of class a"):
        list(of(Recipe("between"), mixture, Model(), 100, images))


def test_the_mixture_gives_each_class_its_share(mixture):
    _, soft_labels, points = made(mixture, 4_000, strategy="mixture")
    assert_allclose(soft_labels.mean(axis=0), [0.4, 0.3, 0.3], atol=0.03)
    _, soft_labels, points = made(mixture, 4_000, strategy="mixture", classes=("b", "c"))
    assert_allclose(soft_labels.mean(axis=0), [0, 0.5, 0.5], atol=0.03)
    assert_allclose(points[soft_labels.argmax(axis=1) == 1].mean(axis=0), [50, 0], atol=0.2)


def test_the_prior_is_the_models_own(mixture):
    assert_allclose(made(mixture, strategy="prior")[2].mean(axis=0), [200, 200], atol=0.3)


@pytest.mark.parametrize("likelihood", ALONE)
def test_at_a_boundary_two_classes_are_equally_likely_and_no_third_is_likelier(mixture, likelihood):
    _, soft_labels, points = made(mixture, strategy="boundary", likelihood=likelihood)
    largest = np.sort(soft_labels, axis=1)[:, ::-1]
    assert_allclose(largest[:, 0], largest[:, 1], atol=1e-2)  # points are rounded to float32
    assert len(np.unique(points.round(1), axis=0)) > 100


class Grid(Model):
    """A model whose latents lie on a grid, as codes do."""

    def __init__(self, step):
        self.step = step

    def valid(self, latents):
        return (np.round(np.asarray(latents) / self.step) * self.step).astype(np.float32)


def test_at_a_boundary_that_codes_jump_over_two_classes_are_about_equally_likely_or_there_is_no_point(
    mixture, monkeypatch
):
    blocks = list(of(Recipe("boundary", classes=("b", "c")), mixture, Grid(0.02), 100))
    labels = np.concatenate([block.soft_labels for block in blocks])
    assert (labels[:, 1:].min(axis=1) >= 1 / 3 - 1e-6).all()
    monkeypatch.setattr(making, "MAX_EMPTY_BLOCKS", 5)
    with pytest.raises(hybrids.NoPointAccepted):  # 35 apart, the classes change positions between two points
        list(of(Recipe("boundary", classes=("b", "c")), mixture, Grid(100.0), 100))


def test_a_boundary_between_two_classes_hidden_behind_a_third_has_no_points(monkeypatch):
    monkeypatch.setattr(making, "MAX_EMPTY_BLOCKS", 5)
    between = {
        "means": np.array([[0.0], [50.0], [100.0]]),
        "covariances": np.ones((3, 1)),
        "weights": np.full(3, 1 / 3),
    }
    numbering = {"component_labels": np.arange(3), "class_means": np.zeros((3, 1)), "class_variances": np.ones((3, 1))}
    mixture = GaussianMixtureClassifier.from_params(PARAMS | between | numbering)
    with pytest.raises(UsageError, match="hardly any"):
        made(mixture, strategy="boundary", classes=("a", "c"))


# How much of each class they are


@pytest.mark.parametrize("likelihood", OF_MIXTURES)
@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(*[st.floats(-5_000, 5_000)] * 2), min_size=1, max_size=5), st.floats(0.05, 1_000))
def test_soft_labels_are_distributions_100_deviations_away_and_farther(likelihood, points, temperature):
    mixture = GaussianMixtureClassifier.from_params(PARAMS)
    logs = LIKELIHOODS[likelihood](mixture, IMAGES)(np.array(points))
    assert (np.isfinite(logs) if likelihood in ALONE else ~np.isnan(logs)).all()
    labels = likelihoods.soft_labels(logs, temperature)
    assert_allclose(labels.sum(axis=1), 1)
    assert (labels >= 0).all()


def closed_form(likelihood, points):
    if likelihood == "mixture":
        weighted = [
            PARAMS["weights"][k]
            * multivariate_normal(PARAMS["means"][k], np.diag(PARAMS["covariances"][k])).pdf(points)
            for k in range(4)
        ]
        densities = np.array([weighted[0] + weighted[1], weighted[2], weighted[3]])
    else:
        pairs = zip(PARAMS["class_means"], PARAMS["class_variances"], strict=True)
        densities = np.array([multivariate_normal(mean, np.diag(spread)).pdf(points) for mean, spread in pairs])
    return (densities / densities.sum(axis=0)).T


@pytest.mark.parametrize("likelihood", ALONE)
def test_soft_labels_equal_the_closed_form(mixture, likelihood):
    points = np.random.default_rng(0).uniform(-5, 55, (200, 2))
    points = points[(points.sum(axis=1) > 0) & (points.sum(axis=1) < 55)]
    with np.errstate(invalid="ignore"):
        expected = closed_form(likelihood, points)
    known = np.isfinite(expected).all(axis=1)  # far away the densities of the closed form underflow
    assert known.sum() > 50
    found = likelihoods.soft_labels(LIKELIHOODS[likelihood](mixture, None)(points))
    assert_allclose(found[known], expected[known], atol=1e-9)


@pytest.mark.parametrize("likelihood", OF_MIXTURES)
@given(order=st.permutations(range(3)))
@settings(deadline=None, max_examples=10)
def test_soft_labels_do_not_depend_on_the_order_of_the_classes(likelihood, order):
    points = np.random.default_rng(0).uniform(-10, 60, (50, 2))
    turned = {name: PARAMS[name][list(order)] for name in ("classes", "class_means", "class_variances")}
    numbering = {"component_labels": np.argsort(order)[PARAMS["component_labels"]]}
    one, other = (
        np.exp(LIKELIHOODS[likelihood](GaussianMixtureClassifier.from_params(params), IMAGES)(points))
        for params in (PARAMS, PARAMS | turned | numbering)
    )
    assert_allclose(other, one[:, list(order)], atol=1e-12)


def test_temperature_sharpens_and_softens():
    logs = np.log([[0.2, 0.8]])
    assert_allclose(likelihoods.soft_labels(logs), [[0.2, 0.8]])
    assert_allclose(likelihoods.soft_labels(logs, 0.5), [[0.04 / 0.68, 0.64 / 0.68]])
    assert_allclose(likelihoods.soft_labels(logs, 1e9), [[0.5, 0.5]], atol=1e-6)


def test_class_gaussians_follow_the_law_of_total_variance():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 60_000)
    labels[labels == 2] = -1  # unlabelled
    means = random.normal([[0, 3], [5, 1], [9, 9]], [[1, 2], [3, 1], [9, 9]], (60_000, 3, 2))[np.arange(60_000), labels]
    spread = random.uniform(0.1, 2.0, (60_000, 2))
    found = ClassGaussians.of(means, labels, 2, spread)
    draws = means + np.sqrt(spread) * random.standard_normal(means.shape)  # of each image's posterior
    for label in range(2):
        assert_allclose(found.means[label], draws[labels == label].mean(axis=0), atol=0.05)
        assert_allclose(found.variances[label], draws[labels == label].var(axis=0), rtol=0.03)


def test_a_single_image_of_a_class_has_a_variance_all_the_same():
    found = ClassGaussians.of(np.array([[0.0, 1.0], [4.0, 1.0]]), np.array([0, 1]), 2)
    assert (found.variances > 0).all()
    assert np.isfinite(found.log_densities(np.array([[2.0, 1.0]]))).all()


def test_a_fitted_mixture_keeps_the_gaussians_of_its_classes_on_a_plane_too():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    points = random.normal(0, 1, (400, 6)) + 9 * labels[:, None]
    variances = random.uniform(1, 2, (400, 6))
    names = np.array(["x", "y"])[labels]
    fitted = GaussianMixtureClassifier(max_dimensions=3).fit(points, names, np.log(variances))
    directions = fitted.projection_.directions
    again = GaussianMixtureClassifier.from_params(
        fitted.to_params() | {"log_density_quantiles": fitted.log_density_quantiles_}
    )
    for found in (fitted.class_gaussians_, again.class_gaussians_):
        expected = (variances[labels == 1] @ directions.T**2).mean(axis=0)
        expected += (points[labels == 1] @ directions.T).var(axis=0)
        assert_allclose(found.variances[1], expected)
    likelihood = LIKELIHOODS["class-gaussian"](again, None)
    assert (likelihood(points).argmax(axis=1) == labels).mean() > 0.99


def test_mixtures_written_before_there_were_class_gaussians_say_so(mixture):
    older = {name: value for name, value in PARAMS.items() if not name.startswith("class_")}
    with pytest.raises(ModelFileError, match="Gaussian for each class"):
        made(GaussianMixtureClassifier.from_params(older), likelihood="class-gaussian")


@pytest.mark.parametrize(
    "change",
    [
        {"class_means": np.zeros((3, 3))},
        {"class_variances": np.zeros((3, 2))},
        {"class_variances": -np.ones((3, 2))},
        {"class_means": np.zeros((2, 2)), "class_variances": np.ones((2, 2))},
        {"class_means": None},
    ],
)
def test_gaussians_of_classes_that_are_wrong_are_refused(change):
    with pytest.raises(ModelFileError):
        GaussianMixtureClassifier.from_params(PARAMS | change)


# Making


def test_the_same_seed_makes_the_same_and_more_begin_like_fewer(mixture):
    few, many = made(mixture, 300), made(mixture, 700)
    assert all(np.array_equal(one, other[:300]) for one, other in zip(few, many, strict=True))
    assert [len(part) for part in many] == [700] * 3
    assert not np.array_equal(few[2], made(mixture, 300, seed=1)[2])


def test_what_is_not_confident_or_not_typical_is_dropped(mixture):
    assert made(mixture, min_confidence=0.9, temperature=50.0)[1].max(axis=1).min() >= 0.9
    _, _, points = made(mixture, reject=0.3)
    assert (mixture.typicality(points) >= 0.3).all()
    assert (mixture.typicality(made(mixture)[2]) < 0.3).any()


def test_where_nothing_passes_the_search_ends(mixture):
    with pytest.raises(UsageError, match="hardly any"):
        made(mixture, strategy="prior", reject=0.5)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"classes": ("a",)}, "between classes"),
        ({"classes": ("a", "a")}, "between classes"),
        ({"classes": ("a", "x")}, "'x'"),
        ({"classes": ()}, "names no class"),
        ({"classes": (), "strategy": "mixture"}, "no class"),
        ({"strategy": "nowhere"}, "unknown strategy"),
        ({"likelihood": "none"}, "unknown likelihood"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"min_confidence": 1.0}, "min_confidence"),
        ({"reject": -0.1}, "reject"),
        ({"strategy": "prior", "classes": ("a",)}, "prior knows no classes"),
        ({"ratio": 0.5}, "ratio"),
        ({"ratio": 0.5, "classes": ("a", "b", "c")}, "ratio"),
        ({"ratio": 1.5, "classes": ("a", "b")}, "ratio"),
        ({"ratio": 0.5, "classes": ("a", "b"), "strategy": "boundary"}, "ratio"),
        ({"classes": ("a",), "strategy": "mixup"}, "between classes"),
        ({"min_confidence": -0.1}, "min_confidence"),
        ({"seed": -1}, "seed"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(mixture, recipe, says):
    with pytest.raises(UsageError, match=says):
        made(mixture, **recipe)


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"posterior"}))  # which draws in the whole space
def test_on_a_plane_of_a_larger_space_points_are_those_of_the_plane(mixture, strategy):
    plane = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    offset = np.array([5.0, 0.0, 7.0, 0.0])
    lifted = GaussianMixtureClassifier.from_params(PARAMS | {"projection": plane, "offset": offset})

    def draw(mixture, size):
        model = Model()
        model.valid = np.asarray
        model.prior = lambda count, random: np.pad(random.normal(size=(count, 2)), ((0, 0), (0, size - 2)))
        sources = strategies.Sources(mixture, model, LIKELIHOODS["mixture"](mixture), np.arange(3))
        return STRATEGIES[strategy](sources, 50, np.random.default_rng(1)).points

    points, latents = draw(mixture, 2), draw(lifted, 4)
    if strategy != "prior":  # which lies in the whole space
        assert_allclose(latents[:, [1, 3]], points, atol=1e-9)
        assert_allclose(latents[:, [0, 2]], np.tile([5.0, 7.0], (len(points), 1)))
        assert_allclose(lifted.predict_proba(latents), mixture.predict_proba(points), atol=1e-9)
    assert latents.shape == (len(points), 4)


def test_blocks_are_small(mixture):
    sizes = [len(block.images) for block in of(Recipe(), mixture, Model(), 1_000)]
    assert max(sizes) <= making.BLOCK
    assert sum(sizes) == 1_000
