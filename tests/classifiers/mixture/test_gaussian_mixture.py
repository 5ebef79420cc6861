"""The mixture as a classifier: scikit-learn's contract, labels, degenerate data."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.utils.estimator_checks import check_estimator
from threadpoolctl import ThreadpoolController

from latentcli.artifacts.models import load_classifier
from latentcli.classifiers import CLASSIFIERS
from latentcli.classifiers.mixture import expectation_maximisation, gaussian_mixture, semi_supervised, starts
from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.classifiers.mixture.gaussians import Mixture
from latentcli.core.errors import DataError, FitError, ModelFileError, UsageError
from latentcli.core.labels import UNLABELLED, class_order

TYPES = ("full", "tied", "diag", "spherical")


def blobs(samples=300, classes=3, dimensions=2, seed=0, spread=6.0):
    """Round clusters on a circle: points (N, D), true classes (N,), and five labels for each class, -1 elsewhere."""
    generator = np.random.default_rng(seed)
    truth = np.arange(samples) % classes
    angles = 2 * np.pi * truth / classes
    points = generator.normal(size=(samples, dimensions))
    points[:, 0] += spread * np.cos(angles)
    points[:, 1] += spread * np.sin(angles)
    labels = np.where(np.arange(samples) < 5 * classes, truth, -1)
    return points, truth, labels


def moons(samples=3000, seed=0):
    """Two bent clusters, no Gaussians, and five labels for each."""
    generator = np.random.default_rng(seed)
    truth = np.arange(samples) % 2
    angles = generator.uniform(0, np.pi, samples)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points[truth == 1] = np.array([1.0, 0.4]) - points[truth == 1]
    points += generator.normal(scale=0.1, size=points.shape)
    return points, truth, np.where(np.arange(samples) < 10, truth, -1)


NEEDS_COMPONENTS = "asks for 1 component for 2 or 3 classes: each class needs a component of its own"
NOT_APPLICABLE = {
    "check_dont_overwrite_parameters": NEEDS_COMPONENTS,
    "check_methods_sample_order_invariance": NEEDS_COMPONENTS,
    "check_methods_subset_invariance": NEEDS_COMPONENTS,
    "check_fit2d_1feature": NEEDS_COMPONENTS,
    "check_fit2d_predict1d": NEEDS_COMPONENTS,
    "check_classifiers_classes": "uses the label -1 as a class: here it says unlabelled",
}


@pytest.mark.filterwarnings("ignore")
def test_keeps_the_contract_of_scikit_learn():
    results = check_estimator(
        GaussianMixtureClassifier(), expected_failed_checks=NOT_APPLICABLE, on_skip=None, on_fail=None
    )
    assert [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"] == []


def test_is_registered():
    assert CLASSIFIERS["gmm"] is GaussianMixtureClassifier


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("n_components", [None, 3, 7])
def test_five_labels_name_the_clusters(covariance_type, n_components):
    points, truth, labels = blobs()
    fitted = GaussianMixtureClassifier(n_components, covariance_type=covariance_type).fit(points, labels)
    assert accuracy_score(truth, fitted.predict(points)) > 0.97
    assert set(fitted.component_labels_) == {0, 1, 2}


def test_one_component_for_each_class_where_these_are_gaussian():
    points, _, labels = blobs(3000)
    fitted = GaussianMixtureClassifier().fit(points, labels)
    assert_array_equal(fitted.component_labels_, [0, 1, 2])


def test_more_components_where_classes_are_bent():
    points, truth, labels = moons()
    one = GaussianMixtureClassifier(2).fit(points, labels)
    fitted = GaussianMixtureClassifier().fit(points, labels)
    assert len(fitted.weights_) == 10
    assert accuracy_score(truth, fitted.predict(points)) > max(0.98, accuracy_score(truth, one.predict(points)))


@pytest.mark.parametrize("n_components", [3, 6])
def test_probabilities_and_densities_agree(n_components):
    points, _, labels = blobs(spread=2.0)
    fitted = GaussianMixtureClassifier(n_components).fit(points, labels)
    probabilities = fitted.predict_proba(points)
    assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert_array_equal(fitted.predict(points), fitted.classes_[probabilities.argmax(axis=1)])
    inside = np.zeros((len(points), 3))
    for owner, weight, mean, covariance in zip(
        fitted.component_labels_, fitted.weights_, fitted.means_, fitted.covariances_, strict=True
    ):
        from scipy.stats import multivariate_normal

        inside[:, owner] += weight * multivariate_normal(mean, covariance).pdf(points)
    assert_allclose(fitted.score_samples(points), np.log(inside.sum(axis=1)), atol=1e-9)
    assert_allclose(probabilities, inside / inside.sum(axis=1, keepdims=True), atol=1e-9)


def test_far_points_have_finite_densities():
    points, _, labels = blobs()
    fitted = GaussianMixtureClassifier(3).fit(points, labels)
    far = np.full((1, 2), 1e6)
    assert np.isfinite(fitted.score_samples(far)).all()
    assert_allclose(fitted.predict_proba(far).sum(), 1.0)


@pytest.mark.parametrize("names", [["4", "1", "8"], ["a b", "é", "z"]])
@pytest.mark.parametrize("unlabelled", ["", None])
def test_classes_may_be_names(names, unlabelled):
    points, truth, labels = blobs()
    kind = object if unlabelled is None else str
    named = np.array([unlabelled if one < 0 else names[one] for one in labels], dtype=kind)
    fitted = GaussianMixtureClassifier(3).fit(points, named)
    assert list(fitted.classes_) == sorted(names)
    assert accuracy_score(np.array(names)[truth], fitted.predict(points)) > 0.97


ORDER = ("2", "9", "10")


@pytest.mark.parametrize("order", [ORDER, ("10", "2", "9"), ("10", "x", "9", "2")])
def test_classes_keep_the_order_they_are_given_in(order):
    points, truth, labels = blobs()
    names = np.array([*ORDER, ""])[labels]
    fitted = GaussianMixtureClassifier(6).fit(points, names, classes=order)
    again = GaussianMixtureClassifier.from_params(fitted.to_params())
    expected = [name for name in order if name in ORDER]  # a name that labels nothing is left out
    assert list(fitted.classes_) == list(again.classes_) == expected
    for probabilities in (fitted.predict_proba(points), again.predict_proba(points)):
        assert accuracy_score(np.array(ORDER)[truth], np.array(expected)[probabilities.argmax(axis=1)]) > 0.97
    for column, name in enumerate(expected):
        mean = points[names == name].mean(axis=0)
        assert_allclose(fitted.class_gaussians_.means[column], mean)


def test_without_an_order_whole_numbers_are_sorted_by_value_and_other_texts_by_letter():
    points, truth, labels = blobs()
    for names in (["10", "9", "2"], ["b", "a", "10"]):
        fitted = GaussianMixtureClassifier(3).fit(points, np.array([*names, ""])[labels])
        assert tuple(fitted.classes_) == class_order(names)
        assert accuracy_score(np.array(names)[truth], fitted.predict(points)) > 0.97


def test_an_order_of_numbers_is_by_their_texts_and_needs_all_of_them():
    points, _, labels = blobs()
    fitted = GaussianMixtureClassifier(3).fit(points, labels, classes=("2", "0", "1"))
    assert_array_equal(fitted.classes_, [2, 0, 1])
    with pytest.raises(DataError, match="not among `classes`: 1"):
        GaussianMixtureClassifier(3).fit(points, labels, classes=("2", "0"))


def test_the_checkpoint_whose_latents_are_read_is_kept():
    points, _, labels = blobs()
    fitted = GaussianMixtureClassifier(3).fit(points, labels)
    assert (fitted.fitted_on_, "checkpoint" in fitted.to_params()) == ("", False)
    fitted.fitted_on_ = "a" * 64
    again = GaussianMixtureClassifier.from_params(fitted.to_params())
    assert again.fitted_on_ == again.to_params()["checkpoint"] == "a" * 64
    assert GaussianMixtureClassifier.from_params(fitted.to_params() | {"checkpoint": "b"}).fitted_on_ == "b"
    with pytest.raises(ModelFileError, match="checkpoint"):
        GaussianMixtureClassifier.from_params(fitted.to_params() | {"checkpoint": 3})
    assert fitted.fit(points, labels).fitted_on_ == ""  # of another fit nothing is known


def test_it_writes_its_own_file(tmp_path):
    points = np.random.default_rng(0).normal(size=(50, 2))
    fitted = GaussianMixtureClassifier(2).fit(points)
    fitted.fitted_on_ = "0" * 64
    fitted.save(tmp_path / "gmm_params.pkl")
    assert_array_equal(load_classifier(tmp_path / "gmm_params.pkl").predict_proba(points), fitted.predict_proba(points))


def test_without_labels_classes_are_components():
    points, _, _ = blobs()
    fitted = GaussianMixtureClassifier(3, n_init=3).fit(points)
    assert_array_equal(fitted.classes_, [0, 1, 2])
    assert_array_equal(fitted.component_labels_, [0, 1, 2])
    assert_allclose(np.sort(fitted.weights_), 1 / 3, atol=0.02)


def test_the_likeliest_of_several_starts_is_kept():
    points, _, _ = blobs(classes=6, spread=8.0)
    bounds = [GaussianMixtureClassifier(6, n_init=n).fit(points).lower_bound_ for n in (1, 2, 5)]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_order_and_chunks_do_not_matter(covariance_type):
    points, _, labels = blobs(spread=3.0)
    order = np.random.default_rng(1).permutation(len(points))
    reference = GaussianMixtureClassifier(3, covariance_type=covariance_type).fit(points, labels)
    for chunk_size in (1, 7, 10_000):
        other = GaussianMixtureClassifier(3, covariance_type=covariance_type, chunk_size=chunk_size)
        other.fit(points[order], labels[order])
        assert_allclose(other.means_, reference.means_, atol=1e-8)
        assert_allclose(other.covariances_, reference.covariances_, atol=1e-8)
        assert_allclose(other.predict_proba(points), reference.predict_proba(points), atol=1e-8)


def test_units_do_not_matter():
    points, _, labels = blobs(spread=3.0)
    units = np.array([1e-6, 1e4])
    plain = GaussianMixtureClassifier(3).fit(points, labels)
    scaled = GaussianMixtureClassifier(3).fit(points * units + 5 * units, labels)
    assert_allclose(scaled.predict_proba(points * units + 5 * units), plain.predict_proba(points), atol=1e-6)


def test_a_memory_mapped_array_gives_the_same(tmp_path):
    points, _, labels = blobs()
    np.save(tmp_path / "points.npy", points.astype(np.float32))
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    held = GaussianMixtureClassifier(3).fit(points.astype(np.float32), labels)
    assert_array_equal(GaussianMixtureClassifier(3).fit(mapped, labels).means_, held.means_)


def test_samples_come_from_the_mixture():
    points, _, labels = blobs()
    fitted = GaussianMixtureClassifier(3).fit(points, labels)
    drawn, components = fitted.sample(30_000, seed=4)
    assert drawn.shape == (30_000, 2)
    for component in range(3):
        own = drawn[components == component]
        assert_allclose(len(own) / 30_000, fitted.weights_[component], atol=0.02)
        assert_allclose(own.mean(axis=0), fitted.means_[component], atol=0.05)
        assert_allclose(np.cov(own.T), fitted.covariances_[component], atol=0.08)
    assert_array_equal(drawn, fitted.sample(30_000, seed=4)[0])


def test_a_fit_cut_short_warns():
    points, _, labels = blobs(spread=1.0)
    with pytest.warns(ConvergenceWarning, match="in 2 iterations of EM(.|\n)*`covariance` tied"):
        fitted = GaussianMixtureClassifier(3, max_iter=2).fit(points, labels)
    assert not fitted.converged_


def test_a_fit_in_peace_does_not_warn():
    points, _, labels = blobs()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = GaussianMixtureClassifier().fit(points, labels)
    assert fitted.converged_
    assert fitted.lower_bound_ == fitted.log_likelihoods_[-1]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda x, y: (x * 0 + 0.1, y), FitError, "all points are the same"),
        (lambda x, y: (x[:4], None), FitError, "too few images"),
        (lambda x, y: (np.where(np.arange(len(x))[:, None] == 17, np.nan, x), y), DataError, "row 17"),
        (lambda x, y: (np.where(np.arange(len(x))[:, None] == 3, np.inf, x), y), DataError, "row 3"),
        (lambda x, y: (x * 1e200, y), DataError, "too large"),
        (lambda x, y: (x, np.where(y == 0, 0, -1)), DataError, "one class"),
        (lambda x, y: (x, np.full(len(x), -1)), DataError, "no sample is labelled"),
        (lambda x, y: (x, y[:-1]), DataError, "expected 300 labels, found 299"),
        (lambda x, y: (x, np.arange(len(x)) % 9), FitError, "9 classes"),
    ],
)
def test_degenerate_data_is_refused(change, error, says):
    points, labels = change(*blobs()[::2])
    with pytest.raises(error, match=says) as caught:
        GaussianMixtureClassifier(6).fit(points, labels)
    assert isinstance(caught.value, ValueError)  # what scikit-learn's callers catch


def test_a_component_on_a_single_point_has_collapsed():
    generator = np.random.default_rng(0)
    points = np.concatenate([generator.normal(size=(50, 2)), np.full((50, 2), 40.0)])
    with pytest.raises(FitError, match="collapsed: it sits on a single point"):
        GaussianMixtureClassifier(2, shrinkage=0).fit(points)
    assert GaussianMixtureClassifier(2, covariance_type="tied", shrinkage=0).fit(points).converged_  # as it says


@pytest.mark.parametrize(
    ("count", "labelled", "says"),
    [(1, 1, "has one labelled image and no spread(.|\n)*51 labelled images among 51"),
     (50, 1, "has one labelled image and no spread(.|\n)*among 100"),
     (50, 5, "has 5 labelled images, all alike to the model, and no spread(.|\n)*55 labelled images among 100")],
)  # fmt: skip
def test_a_class_on_a_single_point_is_named(count, labelled, says):
    generator = np.random.default_rng(0)
    points = np.concatenate([generator.normal(size=(50, 2)), np.full((count, 2), 40.0)])
    labels = np.array(["disc"] * 50 + ["ring"] * labelled + [""] * (count - labelled))
    with pytest.raises(FitError, match=rf"class 'ring' {says}(.|\n)*`covariance` tied"):
        GaussianMixtureClassifier(shrinkage=0).fit(points, labels)
    assert GaussianMixtureClassifier(covariance_type="tied", shrinkage=0).fit(points, labels).converged_


RANDOM = np.random.default_rng(4)
ALONE = {
    "each its own": (RANDOM.normal(size=(24, 4)), np.arange(24), "24 of 24 classes have one labelled image each"),
    "one of three": (RANDOM.normal(size=(3, 2)), np.arange(3), "3 of 3 classes have one labelled image each"),
    "many": (RANDOM.normal(size=(300, 8)), np.arange(300), "'0', '1', '2', '3', '4' …"),
    "copies": (
        RANDOM.normal(size=(3, 4)).repeat(9, 0),
        np.arange(27) // 9,
        "classes have 9 labelled images, all alike",
    ),
    "two points": (
        np.repeat([[0.0, 1.0], [2.0, 5.0]], 9, 0),
        np.arange(18) // 9,
        "2 of 2 classes have 9 labelled images",
    ),
}


@pytest.mark.parametrize("case", ALONE)
def test_classes_without_spread_are_named_and_what_is_advised_works(case):
    points, labels, says = ALONE[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FitError, match=says) as caught:
            GaussianMixtureClassifier().fit(points, labels)
        assert caught.value.remedy.startswith(
            "label more images of such a class, that differ, or take `covariance` tied"
        )
        tied = GaussianMixtureClassifier(covariance_type="tied").fit(points, labels)
        assert_array_equal(tied.predict(points), labels)
        more = np.concatenate([points + noise for noise in RANDOM.normal(size=(4, *points.shape)) / 9])
        assert GaussianMixtureClassifier().fit(more, np.tile(labels, 4)).converged_


def test_too_many_components_are_told_with_a_number_and_what_is_advised_works():
    points, labels = np.random.default_rng(0).normal(size=(24, 8)), np.arange(24) % 2
    with pytest.raises(FitError, match=r"found 24 images for 24 Gaussians of 8 dimensions") as caught:
        GaussianMixtureClassifier(24).fit(points, labels)
    assert caught.value.remedy == "ask for fewer `components` than 24, or take `covariance` tied"
    assert GaussianMixtureClassifier(12).fit(points, labels).converged_
    assert GaussianMixtureClassifier(24, covariance_type="tied").fit(points, labels).converged_


def test_where_full_covariances_do_not_converge_a_tied_one_does():
    points, _, labels = blobs(spread=1.0)
    full, tied = (GaussianMixtureClassifier(9, covariance_type=kind).fit(points, labels) for kind in ("full", "tied"))
    assert tied.n_iter_ < full.n_iter_


def test_a_covariance_without_volume_has_collapsed():
    line = np.linspace(0, 1, 50)
    with pytest.raises(FitError, match="positive definite"):
        GaussianMixtureClassifier(2, shrinkage=0, reg_covar=0).fit(np.stack([line, 2 * line], axis=1))


def test_a_dead_dimension_is_borne():
    points, truth, labels = blobs()
    fitted = GaussianMixtureClassifier(3).fit(np.column_stack([points, np.zeros(len(points))]), labels)
    assert accuracy_score(truth, fitted.predict(np.column_stack([points, np.zeros(len(points))]))) > 0.97


def test_settings_may_be_numbers_of_numpy():
    points, _, labels = blobs()
    plain, other = GaussianMixtureClassifier(3, tol=1e-4), GaussianMixtureClassifier(np.int64(3), tol=np.float32(1e-4))
    assert_allclose(other.fit(points, labels).means_, plain.fit(points, labels).means_, atol=1e-6)


@pytest.mark.parametrize(
    "setting",
    [{"n_components": 0}, {"covariance_type": "round"}, {"tol": -1}, {"reg_covar": -1}, {"shrinkage": -1},
     {"max_iter": 0}, {"n_init": 0}, {"chunk_size": 0}, {"device": "abacus"},
     {"max_iter": 5.5}, {"tol": float("nan")}, {"max_dimensions": True}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(setting):
    points, _, labels = blobs()
    with pytest.raises(UsageError):
        GaussianMixtureClassifier(**setting).fit(points, labels)


def test_no_product_of_the_fit_is_on_several_threads(monkeypatch):
    blas, seen = ThreadpoolController().select(user_api="blas"), set()

    def watched(function):
        def call(*given, **how):
            seen.add(max(library["num_threads"] for library in blas.info()))
            return function(*given, **how)

        return call

    for module, name in ((starts.np, "cov"), (expectation_maximisation, "features"), (gaussian_mixture, "log_joint"),
                         (expectation_maximisation, "from_statistics")):  # fmt: skip
        monkeypatch.setattr(module, name, watched(getattr(module, name)))
    points, _, labels = blobs()
    with blas.limit(limits=2):
        GaussianMixtureClassifier(random_state=0).fit(points, labels)
    assert seen == {1}


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_entropy_of_classes_is_the_mean_over_all_of_few_samples(count):
    points = np.arange(count, dtype=np.float64)[:, None]
    means = np.array([[0.0], [1.0], [4.0]])
    likelihoods = np.exp(-0.5 * (points - means.T) ** 2)  # equal weights and unit variances
    shares = likelihoods @ np.array([[1, 0], [0, 1], [1, 0]]) / likelihoods.sum(axis=1, keepdims=True)
    samples = expectation_maximisation.Samples(points, np.full(count, UNLABELLED), 100)
    mixture = Mixture(np.full(3, 1 / 3), means, np.ones((3, 1)), "diag")
    fit = expectation_maximisation.Fit(mixture, np.array([0, 1, 0]))
    expected = -(shares * np.log(shares)).sum(axis=1).mean()
    assert semi_supervised.class_entropy(samples, fit, 2) == pytest.approx(expected)
