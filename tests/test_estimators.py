"""The estimators keep scikit-learn's contract, and read rows of numbers as images."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import latentcli as lc
from latentcli.core.errors import DataError, UsageError
from latentcli.estimators import LatentClassifier, VAETransformer, images_of_rows, range_of, shape_of_rows

SMALL = {"backbone": "mlp", "width": 16, "batch_size": 16}


def transformer(**more):
    return VAETransformer(**{"latent_dim": 4, "epochs": 2, "settings": SMALL} | more)


def classifier(**more):
    return LatentClassifier(**{"latent_dim": 4, "epochs": 10, "settings": SMALL | {"lr": 0.01}} | more)


def digits():
    pixels, names = load_digits(n_class=3, return_X_y=True)
    return pixels[:240], names[:240]


def unlabelled_minus_one(estimator):
    if isinstance(estimator, LatentClassifier):
        return {"check_classifiers_classes": "uses the label -1 as a class: here it says unlabelled"}
    return {}


@pytest.mark.slow
@parametrize_with_checks(
    [transformer(), classifier(epochs=3, settings=SMALL | {"lr": 0.02}), classifier(classifier="knn", epochs=2)],
    expected_failed_checks=unlabelled_minus_one,
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("features", "given", "expected"),
    [
        (784, None, (1, 28, 28)),
        (12, None, (1, 3, 4)),
        (7, None, (1, 1, 7)),
        (12, (2, 6), (1, 2, 6)),
        (12, (3, 2, 2), (3, 2, 2)),
        (12, [1, 4, 3], (1, 4, 3)),
    ],
)
def test_the_image_that_a_row_is(features, given, expected):
    assert shape_of_rows(features, given) == expected


@pytest.mark.parametrize(
    ("features", "given", "error"),
    [
        (257, None, DataError),  # a prime: 1×257
        (12, (3, 5), DataError),
        (12, (12,), UsageError),
        (12, (2, 2, 3), UsageError),
        (257, (1, 257), UsageError),
        (0, (0, 4), UsageError),
    ],
)
def test_rows_that_are_no_images_are_refused(features, given, error):
    with pytest.raises(error) as refused:
        shape_of_rows(features, given)
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (np.array([[3, 9]], np.uint8), (0, 255)),
        (np.array([[0.25, 0.5]]), (0, 1)),
        (np.array([[0, 1]]), (0, 1)),
        (np.array([[-2.0, 14.0]]), (-2, 14)),
        (np.array([[7.0, 7.0]]), (7, 8)),
    ],
)
def test_which_numbers_become_the_bytes_0_and_255(numbers, expected):
    assert range_of(numbers) == expected


def test_bytes_stay_as_they_are_and_others_are_scaled():
    bytes_of = np.arange(256, dtype=np.uint8).reshape(1, 256)
    for given in (bytes_of, bytes_of / 255, bytes_of / 16 - 3):
        images = images_of_rows(given, (1, 16, 16), range_of(given)).images
        np.testing.assert_array_equal(images.reshape(1, 256), bytes_of)


def test_numbers_outside_the_range_count_as_its_ends():
    rows = np.array([[-1e300, 1e300, *range(62)]])
    images = images_of_rows(rows, (1, 8, 8), (0.0, 1.0)).images
    assert images.reshape(-1)[:4].tolist() == [0, 255, 0, 255]


def test_small_images_repeat_their_last_row_and_column():
    images = images_of_rows(np.array([[0, 10, 20, 30, 40, 50]], np.uint8), (1, 2, 3), (0, 255)).images
    assert images.shape == (1, 1, 8, 8)
    assert images[0, 0, 0].tolist() == [0, 10, *[20] * 6]
    assert images[0, 0, :, 1].tolist() == [10, *[40] * 7]


def test_trains_what_the_library_trains():
    pixels, _ = digits()
    images = lc.ImageSet(np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8), name="rows")
    ours, theirs = transformer().fit(pixels), lc.train(images, latent_dim=4, epochs=2, seed=0, device="cpu", **SMALL)
    assert ours.model_.fingerprint == theirs.fingerprint
    np.testing.assert_array_equal(ours.transform(pixels), theirs.encode(images).flat)
    named = LatentClassifier(settings={**SMALL, "latent_dim": 4, "epochs": 2}).fit(*digits())
    mixture = lc.fit_mixture(named.model_.encode(lc.ImageSet(images.images, lc.Labels.of(digits()[1].astype(str)))))
    np.testing.assert_array_equal(named.classifier_.means_, mixture.means_)
    assert named.classifier_.fitted_on_ == named.model_.fingerprint


def test_images_come_back_in_the_units_of_the_rows():
    rng = np.random.default_rng(0)
    rows = rng.choice([-5.0, 15.0], (100, 1)) + rng.normal(0, 0.5, (100, 6))  # two kinds of 2×3 images
    fitted = transformer(latent_dim=1, epochs=40).fit(rows)
    back = fitted.inverse_transform(fitted.transform(rows))
    assert back.shape == rows.shape
    assert np.abs(back - rows).mean() < 2
    with pytest.raises(ValueError, match="not latents"):
        fitted.inverse_transform(np.zeros((1, 2)))


def test_colour():
    rows = np.random.default_rng(0).integers(0, 256, (32, 3 * 8 * 8)).astype(np.uint8)
    fitted = transformer(image_shape=(3, 8, 8)).fit(rows)
    assert fitted.model_.image_shape == (3, 8, 8)
    assert fitted.inverse_transform(fitted.transform(rows)).shape == rows.shape


@pytest.mark.parametrize("model", ["vqvae", "fsq"])
def test_every_family(model):
    pixels, _ = digits()
    fitted = VAETransformer(model=model, epochs=1, settings={"width": 16}).fit(pixels)
    found = fitted.transform(pixels)
    assert list(fitted.get_feature_names_out()) == [f"vaetransformer{column}" for column in range(found.shape[1])]
    assert fitted.inverse_transform(found).shape == pixels.shape


def test_in_pipelines_and_searches():
    pixels, names = digits()
    line = make_pipeline(transformer(epochs=5), LogisticRegression(max_iter=200))
    assert cross_val_score(line, pixels, names, cv=2).mean() > 0.7
    search = GridSearchCV(classifier(epochs=5), {"latent_dim": [2, 4], "classifier": ["mixture", "knn"]}, cv=2)
    search.fit(pixels, names)
    assert search.best_score_ > 0.7
    assert search.best_estimator_.model_.config.latent_dim == search.best_params_["latent_dim"]


def test_clones_and_pickles():
    pixels, names = digits()
    fitted = classifier().fit(pixels, names)
    expected = fitted.predict_proba(pixels)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(pixels), expected)
    again = clone(fitted)
    assert not hasattr(again, "classes_")
    np.testing.assert_array_equal(again.fit(pixels, names).predict_proba(pixels), expected)


@pytest.mark.parametrize("reader", ["mixture", "graph", "knn"])
def test_learns_from_rows_without_labels(reader):
    pixels, names = digits()
    numbers = np.where(np.arange(len(names)) < 30, names, -1)
    texts = np.where(numbers < 0, "", numbers.astype(str))
    found = classifier(classifier=reader).fit(pixels, numbers)
    assert found.classes_.tolist() == [0, 1, 2]
    assert found.score(pixels[30:], names[30:]) > 0.75
    same = clone(found).fit(pixels, texts)
    assert same.classes_.tolist() == ["0", "1", "2"]
    np.testing.assert_array_equal(same.predict_proba(pixels), found.predict_proba(pixels))


def test_a_generator_draws_the_seed():
    pixels, _ = digits()
    one, same, other = (
        transformer(random_state=state, epochs=1).fit(pixels).model_.training["seed"]
        for state in (np.random.RandomState(3), np.random.RandomState(3), None)
    )
    assert one == same != other


def test_errors_are_the_librarys():
    pixels, names = digits()
    with pytest.raises(UsageError, match="unknown model family"):
        VAETransformer(model="gan").fit(pixels)
    with pytest.raises(UsageError, match="unknown classifier"):
        LatentClassifier(classifier="tree").fit(pixels, names)
    with pytest.raises(UsageError, match="unknown setting"):
        VAETransformer(settings={"depht": 2}).fit(pixels)
