"""Labels of arrays: numbers that have names, and those that mean no label."""

import re

import numpy as np
import pytest

from latentcli.core.errors import DataError
from latentcli.core.labels import read_labels
from latentcli.data import load
from latentcli.data.array_labels import encode_labels


@pytest.mark.parametrize(("void", "dtype"), [(255, "u1"), (255, "i8"), (99, "i4")])
def test_a_number_that_means_no_label_needs_no_name(void, dtype):
    values, names = np.array([0, 1, void, 2], dtype), np.array(["a", "b", "c"])
    labels, notes = encode_labels(values, names, "set", [str(void)])
    assert labels.texts.tolist() == ["a", "b", "", "c"]
    assert not any("is what -1 becomes" in note for note in notes)
    with pytest.raises(DataError, match=f"'{void}', which has no name") as refused:
        encode_labels(values, names, "set")
    assert refused.value.remedy == f"if it means no label: `no_label` {void}"


@pytest.mark.parametrize("other", ["Cat", " cat", "cat\u200b", "\uff43at", "CAT\ufeff"])
def test_classes_that_look_the_same_are_told_and_stay_apart(other):
    texts, notes = read_labels(["cat", other, "dog"], "set")
    assert list(texts) == ["cat", other, "dog"]
    assert any("stay apart" in note and repr(other) in note for note in notes)
    assert not any("stay apart" in note for note in read_labels(["cat", "cart", "dog"], "set")[1])


@pytest.mark.parametrize("values", [np.array(["2020-01-01"], "M8[D]"), np.array([1 + 2j]), np.array([None])])
def test_labels_that_are_neither_numbers_nor_texts_are_refused_with_the_calls_that_make_them_such(values):
    told = (
        rf"set holds labels of type {re.escape(str(values.dtype))}\n  expected whole numbers or strings\n  convert them"
    )
    with pytest.raises(DataError, match=told):
        encode_labels(values, None, "set")


@pytest.mark.parametrize("values", [[["a", "b"], ["c", "d"]], [[[1], [0]], [[0], [1]]], [[2, 0], [0, 2]]])
def test_rows_that_are_no_single_1_among_0_are_no_label_an_image(tmp_path, values):
    np.save(tmp_path / "x.npy", np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8))
    np.save(tmp_path / "y.npy", values)
    with pytest.raises(
        DataError, match=r"y\.npy holds labels of shape \(2, 2.*\n  expected one for each of the 2 images"
    ):
        load(tmp_path / "x.npy", labels=tmp_path / "y.npy")
