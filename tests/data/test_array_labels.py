"""Labels of arrays: numbers that have names, and those that mean no label."""

import numpy as np
import pytest

from latentcli.core.errors import DataError
from latentcli.core.labels import read_labels
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
