"""The metrics agree with their definitions, scikit-image and closed forms."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from latentcli.numerics import metrics

names = st.sampled_from(["1", "4", "8", "cat"])
maybe = st.one_of(names, st.sampled_from([None, ""]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(names, maybe), min_size=1, max_size=40))
def test_classification_follows_its_definitions(pairs):
    truth, predicted = (list(column) for column in zip(*pairs, strict=True))
    result = metrics.classification(truth, predicted, ["8", "4", "1"])
    classes = [name for name in ["8", "4", "1", "cat"] if name != "cat" or "cat" in truth + predicted]
    matrix = [[sum((true, guess) == (row, column) for true, guess in pairs) for column in classes] for row in classes]
    assert (result["classes"], result["confusion_matrix"]) == (classes, matrix)
    assert result["images"] == len(pairs)
    hits = sum(true == guess for true, guess in pairs)
    assert result["accuracy"] == result["micro_recall"] == pytest.approx(hits / len(pairs))
    claims = sum(bool(guess) for guess in predicted)
    assert result["micro_precision"] == pytest.approx(hits / claims if claims else 0)
    assert result["micro_f1"] == pytest.approx(2 * hits / (len(pairs) + claims))
    each = []
    for index, name in enumerate(classes):
        right, there, claimed = matrix[index][index], truth.count(name), predicted.count(name)
        if there or claimed:
            each.append(
                (right / claimed if claimed else 0, right / there if there else 0, 2 * right / (there + claimed))
            )
    found = [result[f"macro_{name}"] for name in ("precision", "recall", "f1")]
    assert found == pytest.approx([sum(column) / len(each) for column in zip(*each, strict=True)])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(names, maybe), min_size=1, max_size=40))
def test_classification_is_scikit_learns_to_the_last_bit(pairs):
    truth, predicted = [true for true, _ in pairs], [guess or "" for _, guess in pairs]
    result = metrics.classification(truth, predicted, ["8", "4", "1"])
    occurring = sorted({*truth, *predicted} - {""})
    for average in ("macro", "micro"):
        expected = precision_recall_fscore_support(
            truth, predicted, labels=occurring, average=average, zero_division=0
        )[:3]
        assert [result[f"{average}_{name}"] for name in ("precision", "recall", "f1")] == [*expected]
    assert result["confusion_matrix"] == confusion_matrix(truth, predicted, labels=result["classes"]).tolist()


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


def test_of_very_many_classes_there_are_scores_and_no_matrix():
    """As where captions stand in the place of labels: it would be larger than any memory."""
    names = [f"a picture of {number}" for number in range(5_000)]
    counts = {(name, names[row % 2 * row]): 1 for row, name in enumerate(names)}
    result = metrics.classification_of_counts(counts, ["none of them"])
    assert (result["images"], result["accuracy"]) == (5_000, pytest.approx(2_501 / 5_000))
    assert {"confusion_matrix", "classes"}.isdisjoint(result)
    assert 0 < result["macro_f1"] < result["micro_f1"]


def test_arrays_of_names_do_as_well_as_lists_and_the_result_is_json():
    truth, predicted = np.array(["1", "4"]), np.array(["1", None], dtype=object)
    result = metrics.classification(truth, predicted, np.array(["1", "4"]))
    assert json.loads(json.dumps(result)) == result


def test_truth_and_predictions_of_unlike_length_are_refused():
    with pytest.raises(ValueError, match="2 true classes, but 1 predictions"):
        metrics.classification(["1", "4"], ["1"], ["1", "4"])


def similarity_of_windows(x: np.ndarray, y: np.ndarray) -> float:
    """Equation 13 of Wang et al. 2004, window by window, of two images (C, H, W) in [0, 1]."""
    values = []
    for channel, row, column in np.ndindex(len(x), x.shape[1] - 6, x.shape[2] - 6):
        first, second = (image[channel, row : row + 7, column : column + 7].ravel() for image in (x, y))
        (var_x, cov), (_, var_y) = np.cov(first, second)
        mean_x, mean_y = first.mean(), second.mean()
        values.append(
            (2 * mean_x * mean_y + 1e-4) * (2 * cov + 9e-4)
            / ((mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4))
        )  # fmt: skip
    return float(np.mean(values))


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (4, 3, 11, 9), (2, 1, 28, 28)])
def test_reconstruction_agrees_with_its_definitions(shape):
    from skimage.metrics import peak_signal_noise_ratio

    random = np.random.default_rng(0)
    originals = random.integers(0, 256, shape, dtype=np.uint8)
    exact = originals / 255.0
    reconstructions = np.clip(exact + random.normal(0, 0.2, shape), 0, 1)
    reference = [similarity_of_windows(x, y) for x, y in zip(exact, reconstructions, strict=True)]
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
