"""Training curves, the confusion matrix and label counts show the numbers they are given."""

import matplotlib
import numpy as np
import pytest

from latentcli.core.errors import DataError
from latentcli.figures import confusion, history, labels, style

HISTORY = [
    {"epoch": 1, "kl": 1.0, "loss": 9.0, "reconstruction": 8.0, "val_loss": 9.5, "lr": 0.1, "perplexity": 3.0},
    {"epoch": 2, "kl": 2.0, "loss": 7.0, "reconstruction": 5.0, "val_loss": 8.5, "lr": 0.1, "perplexity": 5.0},
    {"epoch": 3, "kl": 2.5, "loss": 6.0, "reconstruction": 3.5, "val_loss": 8.9, "lr": 0.1, "perplexity": 6.0},
]


def test_a_panel_for_the_loss_and_each_term_with_units():
    figure = history.draw(HISTORY)
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["Total loss", "Reconstruction", "KL divergence", "Perplexity"]
    assert [panel.get_ylabel() for panel in figure.axes] == ["nats per image"] * 3 + ["codes"]


def test_what_is_no_loss_has_a_unit_of_its_own():
    row = {"epoch": 1, "loss": 9.0, "commitment": 0.1, "codebook": 0.1, "perplexity": 3.0, "codes_used": 0.5}
    units = [panel.get_ylabel() for panel in history.draw([row]).axes]
    assert units == ["nats per image", "squared distance", "squared distance", "codes", "fraction of all codes"]


def test_curves_are_the_numbers_and_the_epoch_kept_is_that_of_the_lowest_validation_loss():
    figure = history.draw(HISTORY)
    training, validation, best = figure.axes[0].lines
    assert list(training.get_ydata()) == [9, 7, 6]
    assert list(validation.get_ydata()) == [9.5, 8.5, 8.9]
    assert list(best.get_xdata()) == [2, 2]
    assert "epoch kept (2)" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_without_a_validation_loss_the_last_epoch_is_kept_whatever_its_loss():
    figure = history.draw([{"epoch": 4, "loss": 1.0}, {"epoch": 5, "loss": 1.0}, {"epoch": 6, "loss": 2.0}])
    assert list(figure.axes[0].lines[-1].get_xdata()) == [6, 6]


def test_the_legend_names_what_any_panel_shows():
    figure = history.draw([{"epoch": 1, "loss": 9.0, "kl": 1.0, "val_kl": 2.0}])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training", "validation", "epoch kept (1)"]


def test_what_is_missing_or_not_finite_leaves_a_gap():
    figure = history.draw([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": float("inf")}, {"epoch": 3}, HISTORY[2]])
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [1, np.nan, np.nan, 6])


@pytest.mark.parametrize("rows", [[], [{"epoch": 1}], [{"epoch": 1, "loss": float("nan")}]])
def test_a_history_without_a_loss_is_refused(rows):
    with pytest.raises(DataError, match="no training curves"):
        history.draw(rows)


def contrast(ink, paper):
    """The ratio of the Web Content Accessibility Guidelines 2.2, from 1 to 21."""

    def luminance(colour):
        rgb = np.array(matplotlib.colors.to_rgb(colour))
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    light, dark = sorted([luminance(ink), luminance(paper)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_count_of_the_confusion_matrix_can_be_read_on_its_cell():
    shares = np.linspace(0, 100, 26).astype(int)
    matrix = np.zeros((26, 26), dtype=int)
    matrix[:, 0], matrix[:, 1] = shares, 100 - shares
    figure = confusion.draw(matrix, [str(index) for index in range(26)])
    image = figure.axes[0].images[0]
    texts = figure.axes[0].texts
    assert len(texts) == np.count_nonzero(matrix)
    for text in texts:
        column, row = (int(value) for value in text.get_position())
        assert text.get_text() == str(matrix[row, column])
        assert contrast(text.get_color(), image.cmap(image.norm(matrix[row, column] / 100))) >= 3.9


def test_colours_are_shares_of_the_true_class_and_an_empty_class_is_blank():
    figure = confusion.draw([[3, 1], [0, 0]], ["a", "b"], "accuracy 0.75")
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.75, 0.25], [0, 0]])
    assert figure.axes[0].get_title(loc="left") == "accuracy 0.75"


def test_a_hundred_classes_are_all_named_and_not_counted():
    figure = confusion.draw(np.eye(100, dtype=int), [f"class {index}" for index in range(100)])
    assert not figure.axes[0].texts
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()][99] == "class 99"


@pytest.mark.parametrize(("matrix", "classes"), [([], []), ([[1, 2]], ["a"]), ([[1]], ["a", "b"]), ([[-1]], ["a"])])
def test_what_is_no_confusion_matrix_is_refused(matrix, classes):
    with pytest.raises(DataError, match="cannot draw a confusion matrix"):
        confusion.draw(matrix, classes)


def test_label_counts_are_the_lengths_of_the_bars_the_first_class_on_top():
    figure = labels.draw(["a", "b"], {"known": [3, 1000], "predicted": [5, 0]})
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [3, 1000, 5, 0]
    assert [text.get_text() for text in axes.texts] == ["3", "1,000", "5", "0"]
    assert axes.yaxis_inverted()


@pytest.mark.parametrize(
    ("classes", "counts"), [([], {"a": []}), (["a"], {}), (["a"], {"x": [1, 2]}), (["a"], {"x": [-1]})]
)
def test_counts_that_do_not_fit_are_refused(classes, counts):
    with pytest.raises(DataError, match=r"label counts|cannot draw"):
        labels.draw(classes, counts)


@pytest.mark.parametrize("count", [style.MOST_NAMED, style.MOST_NAMED + 1, 1_000])
def test_pictures_of_many_classes_stay_of_a_size_that_can_be_seen(count):
    names = [f"class {number}" for number in range(count)]
    matrix = np.diag(np.arange(1, count + 1))
    counts = {"known": np.arange(count), "predicted": np.zeros(count, int)}
    for figure in (confusion.draw(matrix, names), labels.draw(names, counts)):
        assert figure.get_size_inches().max() * style.DPI < 13_000
    assert len(labels.draw(names, {"known": np.arange(count)}).axes[0].get_yticks()) == min(count, style.MOST_NAMED)
    shown = confusion.draw(matrix, names).axes[0]
    assert shown.images[0].get_array().shape == (count, count)
    assert ("class 3" in [text.get_text() for text in shown.get_yticklabels()]) == (count <= style.MOST_NAMED)


def test_of_many_classes_the_largest_are_counted():
    counts = np.zeros(300, int)
    counts[100:] = 5
    figure = labels.draw([str(number) for number in range(300)], {"known": counts})
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [str(row) for row in range(100, 300)]
    assert figure.axes[0].get_xlabel() == "images: the largest 200 of 300 classes"
