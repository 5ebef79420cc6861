"""Classes of data and classifier: what only one side knows is told, with the reason where the names tell it."""

import numpy as np
import pytest

from latentcli.core.labels import Labels
from latentcli.inference.class_names import compare_classes
from latentcli.inference.classification import Predictions


@pytest.mark.parametrize(
    ("of_data", "of_classifier", "told"),
    [
        ("148", "148", []),
        ("", "148", []),
        ("14", "148", ["no image is labelled 8"]),
        ("1489", "148", ["does not know 9"]),
        ("129", "128", ["does not know 9", "no image is labelled 8"]),
        (["seven", "one"], "17", ["no class in common", "the data has one, seven, the classifier 1, 7"]),
        (["1.0", "4.0"], "14", ["no class in common", "how numbers are written: '1.0' and '1'"]),
        (["01", "04"], "14", ["how numbers are written"]),
        ([" cat", "dog "], ["cat", "dog"], ["spaces around them: ' cat' and 'cat'"]),
        ([" Cat", "dog"], ["cat", "dog"], ["does not know  Cat", "capitals"]),
        (["CAT", "Dog"], ["cat", "dog", "emu"], ["no class in common", "capitals: 'CAT' and 'cat'"]),
        ("123", "012", ["does not know 3", "the data's numbers are the classifier's +1"]),
        ("012", ["10", "11", "12"], ["no class in common", "-10"]),
        ("345", "012", ["no class in common", "+3"]),
        (["katze", "hund"], ["cat", "dog"], ["no class in common", "`labels`"]),
    ],
)
def test_what_only_one_side_knows_is_told(of_data, of_classifier, told):
    notes = compare_classes(list(of_data), list(of_classifier))
    assert len(notes) == bool(told)
    for part in told:
        assert part in notes[0]


def test_many_classes_are_counted_not_listed():
    (note,) = compare_classes([f"a{row}" for row in range(600)], ["b"])
    assert "and 592 more" in note
    assert len(note) < 400


def test_letters_in_two_encodings_are_one_class():
    known = Labels.of(["cafe\u0301", "nai\u0308ve"])
    found = Predictions(Labels.of(["caf\u00e9", "na\u00efve"]), np.eye(2), known)
    assert (found.notes, found.scores()["accuracy"]) == ((), 1.0)
    old = Labels(np.array([0, 1, 0]), ("cafe\u0301", "caf\u00e9"))  # of a file that was written before
    assert old.in_composed_names().texts.tolist() == ["caf\u00e9"] * 3
