"""Labelled images and hybrids as the examples of a classifier: shares, columns, and what is held out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from latentcli.core.errors import DataError, UsageError
from latentcli.data import ImageSet, Labels
from latentcli.training import mixing
from latentcli.training.config import ClassifierTrainingConfig

SHAPE = (1, 8, 8)


def labelled(names, count: int = 12, shape=SHAPE) -> ImageSet:
    """Images whose pixels are all their row's number, of these classes in turn."""
    images = np.empty((count, *shape), np.uint8)
    images[:] = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return ImageSet(images, Labels(np.arange(count) % len(names), tuple(names)), name="set")


def hybrids(names, count: int = 30, shape=(8, 8)):
    soft = np.random.default_rng(0).dirichlet(np.ones(len(names)), count)
    return {
        "images": np.full((count, *shape), 200, np.uint8), "soft_labels": soft, "classes": np.array(names),
        "latents": np.zeros((count, 2)),
    }  # fmt: skip


@given(
    first=st.integers(1, 300),
    second=st.integers(1, 300),
    share=st.floats(0.02, 0.98),
    seed=st.integers(0, 5),
)
def test_each_row_is_there_and_the_share_is_right(first, second, share, seed):
    rows = mixing.repeated_rows(np.arange(first), 1000 + np.arange(second), share, seed)
    counts = np.bincount(rows, minlength=1000 + second)
    assert counts[:first].sum() == pytest.approx(share * len(rows), abs=1)
    for kind in (counts[:first], counts[1000:]):
        assert kind.min() >= 1
        assert kind.max() - kind.min() <= 1
    assert min(counts[:first].max(), counts[1000:].max()) <= 2  # only one kind is repeated, up to rounding


def test_a_share_of_zero_or_one_leaves_one_kind_out():
    assert mixing.repeated_rows(np.arange(3), np.arange(3, 9), 0.0, 0).tolist() == [3, 4, 5, 6, 7, 8]
    assert mixing.repeated_rows(np.arange(3), np.arange(3, 9), 1.0, 0).tolist() == [0, 1, 2]


def test_a_share_that_takes_too_many_repeats_is_refused():
    with pytest.raises(UsageError, match="labelled fraction of 1e-09"):
        mixing.repeated_rows(np.arange(10), np.arange(10, 20), 1e-9, 0)


def test_repeats_favour_no_class():
    """Images of a folder come class by class; half of them once more must not be the first classes."""
    rows = mixing.repeated_rows(np.arange(1000), 1000 + np.arange(1500), 0.5, 0)
    twice = np.flatnonzero(np.bincount(rows)[:1000] == 2)
    assert len(twice) == 500
    assert 200 < (twice < 500).sum() < 300


def test_columns_are_matched_by_name_and_are_the_union_in_order():
    images, mixed = labelled(["10", "9"]), hybrids(["8", "10"])
    classes = mixing.classes_of(images, mixed)
    assert classes == ("10", "9", "8")  # the images' own order, then what the hybrids alone have
    found = mixing.examples(images, classes, ClassifierTrainingConfig(), hybrids=mixed)
    assert_allclose(found.targets.sum(axis=1), 1, rtol=1e-6)
    assert found.targets[:2].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert_allclose(found.targets[12:, [2, 0]], mixed["soft_labels"], rtol=1e-6)
    assert (found.images[12:] == 200).all()
    assert (found.images[:12, 0, 0, 0] == np.arange(12)).all()
    assert (found.train_rows < 12).mean() == pytest.approx(0.5)


def test_hybrids_in_colour_keep_their_channels():
    mixed = hybrids(["a", "b"], shape=(8, 8, 3))
    mixed["images"][..., 2] = 7
    found = mixing.examples(
        labelled(["a", "b"], shape=(3, 8, 8)), ("a", "b"), ClassifierTrainingConfig(), hybrids=mixed
    )
    assert (found.images[12:, 2] == 7).all()


def test_few_labelled_images_are_all_learnt_from_and_many_give_some_to_validation():
    config = ClassifierTrainingConfig(held_out=0.1)
    few = mixing.examples(labelled(["a", "b"], 200), ("a", "b"), config)
    assert (len(few.train_rows), len(few.held_out_rows)) == (200, 0)
    many = mixing.examples(labelled(["a", "b"], 400), ("a", "b"), config, hybrids=hybrids(["a", "b"], 1000))
    assert len(many.held_out_rows) == 40
    assert many.held_out_rows.max() < 400
    assert not set(many.held_out_rows) & set(many.train_rows)


def test_validation_images_are_the_only_ones_held_out():
    validation = labelled(["b", "c", "a"], 9)
    found = mixing.examples(
        labelled(["a", "b"], 1000), ("a", "b"), ClassifierTrainingConfig(), validation, hybrids(["a", "b"], 500)
    )
    assert found.held_out_rows.tolist() == [*range(1000, 1006)]  # those of class c are unknown
    assert found.targets[1000:1002].tolist() == [[0, 1], [1, 0]]
    assert set(found.train_rows) == {*range(1000), *range(1006, 1506)}


def test_the_final_rows_are_the_labelled_ones_that_are_learnt_from():
    config = ClassifierTrainingConfig(held_out=0.1, finish=0.3)
    images, names = labelled(["a", "b"], 400), ("a", "b")
    found = mixing.examples(images, names, config, hybrids=hybrids(names, 1000), share=0.25)
    assert sorted([*found.final_rows, *found.held_out_rows]) == [*range(400)]
    assert found.final_fraction == 0.3
    assert mixing.examples(images, names, config).final_rows is None


def test_the_labelled_images_alone_are_kept():
    images = labelled(["a", "b"])
    some = ImageSet(
        images.images, Labels(np.where(np.arange(12) < 7, images.labels.codes, -1), images.class_names), name="set"
    )
    assert mixing.labelled(some, None, 0).images[:, 0, 0, 0].tolist() == [*range(7)]
    assert np.bincount(mixing.labelled(some, 2, 0).labels.codes).tolist() == [2, 2]
    with pytest.raises(DataError, match="too few labels"):
        mixing.labelled(some, 5, 0)


def test_what_does_not_fit_is_refused():
    images, config = labelled(["a", "b"]), ClassifierTrainingConfig()
    with pytest.raises(DataError, match="no labels"):
        mixing.labelled(ImageSet(images.images), None, 0)
    with pytest.raises(DataError, match="one class"):
        mixing.classes_of(labelled(["a"]), None)
    with pytest.raises(DataError, match="no class in common"):
        mixing.classes_of(images, hybrids(["c", "d"]))
    for shape in ((9, 8), (8, 8, 3)):
        with pytest.raises(DataError, match="another shape"):
            mixing.examples(images, ("a", "b"), config, hybrids=hybrids(["a", "b"], shape=shape))
    with pytest.raises(DataError, match="no hybrids"):
        mixing.examples(images, ("a", "b"), config, hybrids=hybrids(["a", "b"], 0))
    with pytest.raises(DataError, match="no labels to validate with"):
        mixing.examples(images, ("a", "b"), config, labelled(["c"]))
