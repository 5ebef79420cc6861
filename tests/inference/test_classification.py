"""Predictions against scikit-learn, and classifiers against the models that they were fitted on."""

import csv
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from latentcli.classifiers.fitting import fit_graph, fit_mixture, fit_probe
from latentcli.core.errors import ModelFileError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels, labelled_per_class
from latentcli.core.latents import Latents
from latentcli.inference.classification import Predictions, check_reader, classify, classify_latents
from latentcli.inference.evaluation import evaluate
from latentcli.inference.tally import Tally
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create
from latentcli.models.trained import TrainedModel
from latentcli.numerics import metrics

NAMES = ("10", "9", "2")
"""In an order of their own."""


def blobs(count: int = 150, seed: int = 0) -> Latents:
    """Three clusters of latents on the line, every fifth without a label."""
    random = np.random.default_rng(seed)
    codes = np.arange(count) % 3
    points = np.stack([8.0 * codes, np.zeros(count)], axis=1) + random.normal(size=(count, 2))
    labels = Labels(np.where(np.arange(count) % 5, codes, -1), NAMES)
    return Latents({"mu": points.astype(np.float32)}, "a" * 64, labels)


def images(count: int = 60) -> ImageSet:
    """Black, grey and white squares with some noise, labelled."""
    random = np.random.default_rng(0)
    codes = np.arange(count) % 3
    pixels = (100 * codes[:, None, None, None] + random.integers(0, 50, (count, 1, 8, 8))).astype(np.uint8)
    return ImageSet(
        pixels, Labels(codes, NAMES), tuple(f"{n}.png" for n in range(count)), bad_files=(("x.png", "cut"),)
    )


def model(family: str = "vae") -> TrainedModel:
    if family in PIXEL_CLASSIFIERS:
        network = create(family, PIXEL_CLASSIFIERS[family].Config((1, 8, 8), classes=3, width=16), 0).eval()
        return TrainedModel(family, network, NAMES, name="cnn.pth")
    network = create(family, FAMILIES[family].Config((1, 8, 8), width=32, latent_dim=3), 0).eval()
    return TrainedModel(family, network, fingerprint="a" * 64, name="vae.pth")


def noisy(rejected: bool, seed: int) -> Predictions:
    """Predictions that are right, wrong and, if asked for, missing, of images with and without a label."""
    random = np.random.default_rng(seed)
    known = random.integers(-1, 3, 200)
    predicted = random.integers(-1 if rejected else 0, 3, 200)
    labels = Labels(predicted, ("2", "10", "9"))
    return Predictions(labels, np.full((200, 3), 1 / 3), Labels(known, NAMES), rejects=rejected)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rejected", [False, True])
def test_scores_are_those_of_scikit_learn(seed, rejected):
    predictions = noisy(rejected, seed)
    found = predictions.scores()
    rows = predictions.known.known
    truth, guess = predictions.known.texts[rows], predictions.labels.texts[rows]  # a rejected image is no class's
    assert found["images"] == rows.sum()
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, guess))
    for average in ("macro", "micro"):
        expected = precision_recall_fscore_support(truth, guess, labels=list(NAMES), average=average, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
            assert found[f"{average}_{name}"] == pytest.approx(value)
    assert found["classes"] == ["2", "10", "9"]  # the classifier's order
    assert found["confusion_matrix"] == confusion_matrix(truth, guess, labels=["2", "10", "9"]).tolist()
    assert predictions.rejected == ((predictions.labels.texts == "").sum() if rejected else None)


@pytest.mark.parametrize("rejected", [False, True])
def test_a_tally_counts_what_its_predictions_show(rejected):
    predictions = noisy(rejected, 0)
    tally, known, labels = predictions.tally, predictions.known, predictions.labels
    assert len(tally) == 200
    assert tally.known_counts == known.among(labels.names).counts.tolist()
    assert tally.predicted_counts == labels.counts.tolist()
    in_parts = Tally(known.names, labels.names, rejected)
    for rows in (slice(0, 1), slice(1, 150), slice(150, 200)):
        in_parts.add(known.take(rows), labels.take(rows))
    assert (in_parts.counts == tally.counts).all()
    for row, name in enumerate((*known.names, "")):
        for column, found in enumerate((*labels.names, "")):
            assert tally.counts[row, column] == ((known.texts == name) & (labels.texts == found)).sum()


def test_of_images_without_labels_there_are_no_scores():
    labels = Labels(np.array([0, 1]), NAMES)
    assert Predictions(labels, np.full((2, 3), 1 / 3), Labels.none(2)).scores() == {}


def test_images_get_the_likeliest_class_and_keep_their_order_and_names():
    latents = blobs()
    mixture = fit_mixture(latents, seed=0)
    found = classify_latents(latents, mixture, bad_files=(("x.png", "cut"),))
    assert found.labels.names == tuple(map(str, mixture.classes_)) == NAMES
    assert_array_equal(found.labels.codes, found.probabilities.argmax(axis=1))
    assert_allclose(found.probabilities, mixture.predict_proba(latents.flat))
    assert_array_equal(found.labels.texts, mixture.predict(latents.flat))
    assert_array_equal(found.confidences, found.probabilities.max(axis=1))
    assert (found.rejected, found.bad_files, found.latents is latents) == (None, (("x.png", "cut"),), True)
    assert found.scores()["accuracy"] > 0.99


@pytest.mark.parametrize("reject_below", [0.0, 0.05, 0.5, 1.0])
def test_images_less_likely_than_asked_for_are_rejected_and_no_others(reject_below):
    latents = blobs()
    mixture = fit_mixture(latents, seed=0)
    found = classify_latents(latents, mixture, reject_below)
    rejected = mixture.typicality(latents.flat) < reject_below
    assert_array_equal(~found.labels.known, rejected)
    assert found.rejected == rejected.sum() == pytest.approx(reject_below * len(latents), abs=2)
    kept = classify_latents(latents, mixture)
    assert_array_equal(found.labels.texts[~rejected], kept.labels.texts[~rejected])
    assert_array_equal(found.probabilities, kept.probabilities)
    labelled = latents.labels.known
    right = labelled & ~rejected & (kept.labels.texts == latents.labels.texts)
    assert found.scores()["accuracy"] == pytest.approx(right.sum() / labelled.sum())  # a rejected image is a miss


def test_a_model_and_its_classifier_label_images():
    vae = model()
    given = images()
    for fitted in (
        fit_mixture(vae.encode(given), components=3, seed=0),
        fit_probe(vae.encode(given), probe="knn", seed=0),
        fit_probe(vae.encode(given, "pixels"), probe="knn", features="pixels", seed=0),
    ):
        found = classify(given, vae, fitted)
        features = vae.encode(given, fitted.features)
        expected = features.flat if fitted.features is None else features.features(fitted.features)
        assert_array_equal(found.labels.texts, fitted.predict(expected))
        assert (found.files, found.bad_files) == (given.files, given.bad_files)
        assert found.known.texts.tolist() == given.labels.texts.tolist()


def test_a_classifier_of_pixels_labels_images_by_itself():
    cnn, given = model("cnn"), images()
    found = classify(given, cnn)
    assert_array_equal(found.probabilities, cnn.probabilities(given))
    assert found.labels.names == NAMES
    assert (found.latents, found.rejected, found.bad_files) == (None, None, given.bad_files)


@pytest.mark.parametrize(("known", "told"), [(["4", "", "8"], 2), (["4", "8", "8"], None), (["", "", ""], None)])
def test_the_number_that_scores_are_of_is_told_where_it_is_smaller(known, told):
    found = Predictions(Labels.of(["4", "8", "8"]), np.full((3, 2), 0.5), known=Labels.of(known))
    assert found.labelled == told


def test_what_does_not_fit_is_refused_before_any_image_is_read():
    vae, cnn, latents = model(), model("cnn"), blobs()
    mixture, probe = fit_mixture(latents, seed=0), fit_probe(latents, probe="knn")
    for share in (0, 0.5, 1):
        check_reader(vae, mixture, share)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="expected a number from 0 to 1"):
            check_reader(vae, mixture, share)
    with pytest.raises(UsageError, match="is a model of latents"):
        check_reader(vae, None)
    with pytest.raises(ModelFileError, match="has no latent space"):
        check_reader(cnn, mixture)
    for classifier in (probe, None):
        with pytest.raises(UsageError, match="`reject_below` needs a mixture or a graph"):
            check_reader(vae, classifier, 0.1)
    mixture.fitted_on_ = "b" * 64
    with pytest.raises(ModelFileError, match="fitted on another checkpoint") as caught:
        check_reader(vae, mixture)
    assert caught.value.found == "expected latents of vae.pth aaaaaa…, found bbbbbb…"
    probe.features = "quantized"
    with pytest.raises(ModelFileError, match="reads features that this model does not have: 'quantized'"):
        check_reader(vae, probe)


def test_a_classifier_of_other_dimensions_is_refused():
    latents = blobs()
    mixture = fit_mixture(latents, seed=0)
    with pytest.raises(ModelFileError, match="does not fit this model") as caught:
        classify_latents(Latents({"mu": np.zeros((4, 3))}, "a" * 64), mixture)
    assert caught.value.found == "it reads 2 features, and the model has 3"


def test_the_table_has_a_row_an_image_those_of_unreadable_files_too(tmp_path):
    labels = Labels(np.array([0, -1]), ("cat", "dog"))
    predictions = Predictions(
        labels, np.array([[0.75, 0.25], [0.5, 0.5]]), Labels.none(2), ("a.png", "c.png"), (("b.png", "cut"),)
    )
    predictions.to_csv(tmp_path / "vae.csv")
    with (tmp_path / "vae.csv").open(newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows == [("a.png", "cat", "0.75"), ("b.png", "", ""), ("c.png", "", "0.5")]


def test_a_frame_has_a_row_an_image_and_a_column_a_class():
    pandas = pytest.importorskip("pandas")
    predictions = classify(images(), model("cnn"))
    frame = predictions.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["file", "predicted", "probability", "known", "p(10)", "p(9)", "p(2)"]
    assert frame["file"].tolist() == list(predictions.files)
    assert frame["predicted"].tolist() == predictions.labels.texts.tolist()
    assert_allclose(frame[["p(10)", "p(9)", "p(2)"]], predictions.probabilities)


def test_without_pandas_a_frame_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # as where it is not installed
    with pytest.raises(UsageError, match="pandas is not installed") as caught:
        noisy(False, 0).to_frame()
    assert caught.value.remedy == "install it: pip install pandas"


# Every metric at once


@pytest.mark.parametrize("family", FAMILIES)
def test_an_evaluation_is_the_metrics_of_reconstructions_latents_and_predictions(family):
    vae, given = model(family), images()
    probe = fit_probe(vae.encode(given, "pixels"), probe="knn", features="pixels")
    alone, none = evaluate(given, vae)
    found, predictions = evaluate(given, vae, probe)
    assert none is None
    expected = metrics.reconstruction(given.images, vae.reconstruct(given)) | vae.measures(vae.encode(given))
    assert alone == pytest.approx(expected | {"images": 60})
    assert found == alone | predictions.scores() | {"images": 60}
    assert set(vae.network.MEASURES) <= found.keys()


@pytest.mark.parametrize("fit", [fit_mixture, fit_graph])
def test_beside_a_classifier_stand_simple_ones_of_the_same_labels(fit):
    vae, given = model(), images()
    latents = labelled_per_class(vae.encode(given), 4, seed=0)
    fitted = fit(latents)
    found, _ = evaluate(given, vae, fitted)
    for name, kind in {"nearest_neighbours_accuracy": "knn", "logistic_regression_accuracy": "linear"}.items():
        rows = latents.labels.known
        few = replace(latents, arrays={"mu": latents.flat[rows]}, labels=latents.labels.take(rows), files=None)
        other = fit_probe(few, probe=kind).predict(vae.encode(given).flat)
        assert found[name] == pytest.approx(accuracy_score(given.labels.texts, other), abs=0.04)
    older = type(fitted).from_params(
        {name: value for name, value in fitted.to_params().items() if fit is fit_graph or name[:5] != "label"}
    )
    simple = {"nearest_neighbours_accuracy", "logistic_regression_accuracy"}
    assert simple.isdisjoint(evaluate(given, vae, older)[0]) == (fit is fit_mixture)


def test_only_models_of_latents_are_evaluated():
    with pytest.raises(ModelFileError, match="has no latent space"):
        evaluate(images(), model("cnn"))


def test_thousands_of_classes_are_counted_and_scored_in_memory_of_the_pairs_that_occur():
    count = 2_000
    names = tuple(f"class {number}" for number in range(count))
    codes = np.arange(count)
    tally = Tally(names, names)
    tracemalloc.start()
    try:
        for rows in np.array_split(codes, 8):
            tally.add(Labels(rows, names), Labels(np.where(rows % 4, rows, 0), names))
        scores = tally.scores()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert scores["accuracy"] == 0.75 + 1 / count
    assert most < count**2  # a byte for each pair of classes, of which nearly all are none
