"""Labels against plain lists of names, of which "" is none."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentcli.core.errors import DataError, ModelFileError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import UNLABELLED, Labels, class_order, labelled_per_class, read_labels
from latentcli.core.latents import Latents

NAMES = st.lists(st.sampled_from(["10", "9", "cat", "dög", "-1"]), unique=True).map(tuple)


@st.composite
def labels(draw, names=NAMES):
    """Labels of a few images, some unlabelled, with names in any order, of which some may label none."""
    chosen = draw(names)
    codes = draw(st.lists(st.integers(UNLABELLED, len(chosen) - 1), max_size=12))
    return Labels(np.array(codes, dtype=np.int64), chosen)


def texts(given_labels) -> list[str]:
    """The same by plain Python."""
    return ["" if code < 0 else given_labels.names[code] for code in given_labels.codes.tolist()]


@given(labels())
def test_what_is_known_of_labels_is_known_of_their_names(given_labels):
    expected = texts(given_labels)
    assert given_labels.texts.tolist() == expected
    assert len(given_labels) == len(expected)
    assert given_labels.known.tolist() == [text != "" for text in expected]
    assert given_labels.any == any(expected)
    counts = Counter(expected)
    assert given_labels.counts.tolist() == [counts[name] for name in given_labels.names]
    assert given_labels.occurring == tuple(name for name in given_labels.names if counts[name])


@given(labels())
def test_names_in_their_order_give_the_labels_back(given_labels):
    again = Labels.of(given_labels.texts, given_labels.names)
    assert (again.codes.tolist(), again.names) == (given_labels.codes.tolist(), given_labels.names)
    assert again.codes.dtype == np.int64


@given(labels())
def test_without_an_order_the_names_that_occur_are_in_that_of_classes(given_labels):
    found = Labels.of(given_labels.texts.tolist())
    assert found.texts.tolist() == texts(given_labels)
    assert found.names == class_order(set(texts(given_labels)) - {""}) == found.occurring or not found.names


@given(labels(), NAMES)
def test_among_other_names_labels_keep_their_name_or_are_lost(given_labels, names):
    found = given_labels.among(names)
    assert found.names == names
    assert found.texts.tolist() == [text if text in names else "" for text in texts(given_labels)]
    assert given_labels.among(given_labels.names).codes.tolist() == given_labels.codes.tolist()


@given(labels(), labels())
def test_labels_follow_each_other_and_the_first_ones_order_of_names_survives(first, second):
    both = first.followed_by(second)
    assert both.texts.tolist() == texts(first) + texts(second)
    assert both.names[: len(first.names)] == first.names
    assert both.codes[: len(first)].tolist() == first.codes.tolist()
    assert sorted(both.names) == sorted({*first.names, *second.names})
    new = [name for name in second.names if name not in first.names]
    assert list(both.names[len(first.names) :]) == new


@given(labels(), st.data())
def test_rows_are_taken_by_number_and_by_mask(given_labels, data):
    count = len(given_labels)
    rows = data.draw(st.lists(st.integers(0, count - 1), max_size=20) if count else st.just([]))
    mask = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    expected = texts(given_labels)
    assert given_labels.take(np.array(rows, dtype=int)).texts.tolist() == [expected[row] for row in rows]
    some = given_labels.take(np.array(mask, dtype=bool))
    assert some.texts.tolist() == [text for text, kept in zip(expected, mask, strict=True) if kept]
    assert some.names == given_labels.names  # also those that label no image any more


@given(st.integers(0, 9))
def test_of_images_of_which_nothing_is_known_there_is_no_label(count):
    none = Labels.none(count)
    assert none.texts.tolist() == [""] * count
    assert (none.any, none.names, none.counts.tolist()) == (False, (), [])
    pixels = np.zeros((count, 1, 8, 8), np.uint8)
    assert ImageSet(pixels).labels.codes.tolist() == none.codes.tolist()
    assert Latents({"mu": np.zeros((count, 2))}, "").labels.codes.tolist() == none.codes.tolist()


def test_names_that_are_numbers_are_ordered_by_value():
    assert class_order(["10", "9", "-1", "9"]) == ("-1", "9", "10")
    assert class_order(["10", "9", "x"]) == ("10", "9", "x")
    assert class_order(["01", "1"]) == ("01", "1")


# Few labels of each class


def images(of, name="set"):
    return ImageSet(np.zeros((len(of), 1, 8, 8), dtype=np.uint8), of, name=name)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**31))
def test_few_labels_are_kept_of_each_class(n, classes, seed):
    known = Labels(np.repeat(np.arange(classes), 6), tuple(map(str, range(classes))))
    found = labelled_per_class(images(known), n, seed).labels
    assert found.counts.tolist() == [n] * classes
    assert found.names == known.names
    assert (found.codes[found.known] == known.codes[found.known]).all()
    assert np.array_equal(found.codes, known.per_class(n, seed).codes)
    assert known.counts.tolist() == [6] * classes  # those that are given stay as they are


@given(st.integers(1, 5), st.integers(0, 2**31))
def test_which_labels_of_a_class_are_kept_does_not_depend_on_the_others(n, seed):
    alone = Labels(np.repeat([0, -1, -1], 6), ("a", "b", "c")).codes
    among_others = Labels(np.repeat([0, 1, 2], 6), ("a", "b", "c")).per_class(n, seed)
    kept = np.flatnonzero(among_others.codes == 0)
    assert np.array_equal(np.flatnonzero(Labels(alone, ("a",)).per_class(n, seed).codes == 0), kept)


def test_more_labels_than_there_are():
    known = Labels(np.array([0, 0, 1, -1]), ("a", "b"))
    with pytest.raises(DataError, match=r"set has too few labels of class 'b'\n.*expected 2, found 1"):
        labelled_per_class(images(known), 2, 0)
    for unlabelled in (Labels.none(2), Labels(np.array([-1, -1]), ("a",))):
        with pytest.raises(DataError, match="no labels"):
            labelled_per_class(images(unlabelled), 1, 0)


# Sets that have labels


def test_latents_of_two_checkpoints_are_never_mixed():
    labels = Labels.of(["b", "a"], ("b", "a"))
    one = Latents({"mu": np.zeros((2, 3)), "logvar": np.zeros((2, 3))}, "a" * 64, labels)
    both = one.followed_by(Latents(one.arrays, one.checkpoint, Labels.of(["c", "a"])))
    assert (both.labels.texts.tolist(), both.class_names) == (["b", "a", "c", "a"], ("b", "a", "c"))
    assert (len(both), both.checkpoint, both.arrays["logvar"].shape) == (4, "a" * 64, (4, 3))
    for other in (
        Latents(one.arrays, "b" * 64, labels),  # the same shapes: nothing else would tell
        Latents({"mu": np.zeros((2, 4)), "logvar": np.zeros((2, 4))}, "b" * 64, labels),
        Latents({"codes": np.zeros((2, 1, 1), int), "quantized": np.zeros((2, 1, 1, 3))}, "b" * 64, labels),
    ):
        with pytest.raises(ModelFileError, match="different checkpoints") as caught:
            one.followed_by(other)
        assert caught.value.found == "expected latents of aaaaaa…, found bbbbbb…"
    with pytest.raises(ModelFileError, match="different checkpoints"):  # unsigned, but of other dimensions
        Latents({"mu": np.zeros((2, 4))}, "").followed_by(Latents({"mu": np.zeros((2, 3))}, ""))


def test_images_of_some_classes_are_those_in_the_order_given():
    known = images(Labels(np.array([0, 1, 2, -1, 1]), ("a", "b", "c")))
    found = known.only(["c", "b"])
    assert (found.labels.texts.tolist(), found.class_names) == (["b", "c", "b"], ("c", "b"))
    with pytest.raises(DataError, match="no class 'x'"):
        known.only(["x", "a"])
    with pytest.raises(DataError, match="no labels"):
        images(Labels.none(2)).only(["a"])


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["Cat", "cat", "dog"], "'Cat', 'cat'"),
        (["cat ", "cat", "dog"], "'cat', 'cat '"),
        (["Straße", "STRASSE", "dog"], "'STRASSE', 'Straße'"),
        (["nan", "NaN", "dog"], ""),
        (["cat", "cats", "1", "01"], ""),
    ],
)
def test_classes_that_look_alike_are_told(texts, told):
    names, notes = read_labels(texts, "set")
    lines = [note for note in notes if "stay apart" in note]
    assert len(lines) == bool(told)
    assert all(told in line for line in lines)
    assert names == ["" if name.casefold() == "nan" else name for name in texts]


def test_too_few_labels_are_told_of_the_smallest_class_so_that_what_is_advised_is_enough():
    labels = Labels.of([*"aaaaabbbcccc", ""])
    with pytest.raises(DataError, match="of class 'b'\n  expected 4, found 3\n  ask for at most 3 per class"):
        labels.per_class(4, seed=0)
    assert labels.per_class(3, seed=0).known.sum() == 9


@pytest.mark.parametrize("text", ["N/A", "None", "NULL", "?", "-", "-100", "-9", "-999", "NA"])
def test_what_may_mean_no_label_is_a_class_and_is_told(text):
    names, notes = read_labels(["cat", text, "cat"], "set")
    assert names == ["cat", text, "cat"]
    assert notes == (f"set: {text} may mean no label; if so: `no_label` {text}",)
    assert read_labels(["cat", text], "set", [text])[0] == ["cat", ""]
    assert not read_labels(["cat", text], "set", [])[1]
