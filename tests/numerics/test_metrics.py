"""The metrics agree with scikit-learn, scikit-image and closed forms."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcli.numerics import metrics

names = st.sampled_from(["1", "4", "8", "cat"])
maybe = st.one_of(names, st.sampled_from([None, ""]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(names, maybe), min_size=1, max_size=40))
def test_classification_agrees_with_scikit_learn(pairs):
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    truth, predicted = (list(column) for column in zip(*pairs, strict=True))
    result = metrics.classification(truth, predicted, ["8", "4", "1"])
    guesses = [guess or "" for guess in predicted]
    occurring = sorted(set(truth) | set(guesses) - {""})
    for average in ("macro", "micro"):
        reference = precision_recall_fscore_support(truth, guesses, labels=occurring, average=average, zero_division=0)
        ours = [result[f"{average}_{name}"] for name in ("precision", "recall", "f1")]
        np.testing.assert_allclose(ours, reference[:3])
    assert result["accuracy"] == pytest.approx(accuracy_score(truth, guesses))
    assert result["images"] == len(pairs)
    assert result["classes"] == ["8", "4", "1", "cat"][: len(result["classes"])]
    reference = confusion_matrix([*truth, "8"], [*guesses, "8"], labels=result["classes"])
    reference[0, 0] -= 1  # scikit-learn refuses labels that do not occur
    assert result["confusion_matrix"] == reference.tolist()


def test_images_of_unknown_class_are_left_out():
    truth, predicted = ["1", None, "4", "", "4"], ["1", "4", "1", "1", "4"]
    known = metrics.classification(["1", "4", "4"], ["1", "1", "4"], ["1", "4"])
    assert metrics.classification(truth, predicted, ["1", "4"]) == known
    assert metrics.classification([None, ""], ["1", "4"], ["1", "4"]) == {}


def test_a_rejected_image_is_a_miss_of_its_class_and_a_false_alarm_of_none():
    result = metrics.classification(["1", "1", "4", "4"], ["1", None, "4", ""], ["1", "4"])
    assert result["accuracy"] == result["micro_recall"] == result["macro_recall"] == 0.5
    assert result["micro_precision"] == result["macro_precision"] == 1.0
    assert result["micro_f1"] == pytest.approx(2 / 3)
    assert result["confusion_matrix"] == [[1, 0], [0, 1]]


def test_classes_that_do_not_occur_stay_in_the_matrix_and_out_of_the_averages():
    result = metrics.classification(["1", "4"], ["1", "4"], ["0", "1", "4"])
    assert result["macro_f1"] == 1.0
    assert np.shape(result["confusion_matrix"]) == (3, 3)


def test_arrays_of_names_do_as_well_as_lists_and_the_result_is_json():
    truth, predicted = np.array(["1", "4"]), np.array(["1", None], dtype=object)
    result = metrics.classification(truth, predicted, np.array(["1", "4"]))
    assert json.loads(json.dumps(result)) == result


def test_truth_and_predictions_of_unlike_length_are_refused():
    with pytest.raises(ValueError, match="2 true classes, but 1 predictions"):
        metrics.classification(["1", "4"], ["1"], ["1", "4"])


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (4, 3, 11, 9), (2, 1, 28, 28)])
def test_reconstruction_agrees_with_scikit_image(shape):
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    random = np.random.default_rng(0)
    originals = random.integers(0, 256, shape, dtype=np.uint8)
    exact = originals / 255.0
    reconstructions = np.clip(exact + random.normal(0, 0.2, shape), 0, 1)
    reference = [
        structural_similarity(x, y, data_range=1, channel_axis=0) for x, y in zip(exact, reconstructions, strict=True)
    ]
    np.testing.assert_allclose(metrics.ssim_per_image(originals, reconstructions), reference, rtol=0, atol=1e-12)
    result = metrics.reconstruction(originals, reconstructions)
    assert result["ssim"] == pytest.approx(np.mean(reference), abs=1e-12)
    assert result["psnr"] == pytest.approx(peak_signal_noise_ratio(exact, reconstructions, data_range=1))
    assert result["mse"] == pytest.approx(np.mean((exact - reconstructions) ** 2))
    assert result["images"] == len(originals)


def test_batches_of_any_size_give_the_figures_of_the_whole(monkeypatch):
    random = np.random.default_rng(1)
    x, y = random.random((2, 17, 3, 10, 12), dtype=np.float32)
    whole = metrics.reconstruction(x, y)
    score = metrics.ReconstructionScore()
    monkeypatch.setattr(metrics, "_VALUES_AT_ONCE", 3 * 10 * 12 * 2)
    for rows in np.array_split(np.arange(17), 4):
        score.add(x[rows], y[rows])
    assert score.result() == pytest.approx(whole)
    assert len(metrics.ssim_per_image(x, y)) == 17


def test_an_exact_reconstruction_has_no_psnr():
    images = np.random.default_rng(2).integers(0, 256, (2, 1, 8, 8), dtype=np.uint8)
    result = metrics.reconstruction(images, images / 255)
    assert result == {"images": 2, "mse": 0.0, "ssim": pytest.approx(1.0)}


def test_no_images_no_figures():
    nothing = np.zeros((0, 1, 8, 8), dtype=np.uint8)
    assert metrics.reconstruction(nothing, nothing) == {}
    assert metrics.ssim_per_image(nothing, nothing).shape == (0,)


@pytest.mark.parametrize(
    ("shape", "other"), [((2, 1, 8, 8), (2, 3, 8, 8)), ((2, 8, 8), (2, 8, 8)), ((1, 1, 6, 9), (1, 1, 6, 9))]
)
def test_images_that_cannot_be_compared_are_refused(shape, other):
    with pytest.raises(ValueError, match=r"expected two arrays|the window has 7"):
        metrics.reconstruction(np.zeros(shape), np.zeros(other))


@pytest.mark.parametrize(
    ("numbers", "size", "perplexity", "used"),
    [([[0, 1], [2, 3]], 4, 4.0, 1.0), ([[5, 5, 5]], 10, 1.0, 0.1), ([0, 0, 1, 1], 4, 2.0, 0.5)],
    ids=["all alike", "one code", "half"],
)
def test_perplexity_is_the_number_of_codes_where_they_are_used_alike(numbers, size, perplexity, used):
    assert metrics.codes(np.array(numbers), size) == pytest.approx({"perplexity": perplexity, "codes_used": used})


def test_active_units_are_the_dimensions_that_vary():
    random = np.random.default_rng(3)
    mu = random.normal(size=(500, 4)).astype(np.float32) * np.array([1.0, 0.2, 0.05, 0.0], dtype=np.float32) + 7
    assert metrics.active_units(mu) == 2
