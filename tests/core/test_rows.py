"""Rows of mapped arrays are what indexing would give, and are not copied."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentcli.core import rows as rows_module
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.core.rows import Rows, is_mapped, stacked, taken
from latentcli.formats.digests import digest


@pytest.fixture
def mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "COPIED", 100)
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (40, 3, 4, 4), dtype=np.uint8))
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def chosen(seed, count):
    return np.random.default_rng(seed).permutation(40)[:count]


@given(st.data())
def test_it_is_indexed_as_the_stacked_arrays_are(data):
    lengths = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(sum))
    parts = [np.random.default_rng(n).integers(0, 9, (length, 2, 3)) for n, length in enumerate(lengths)]
    rows = np.array(data.draw(st.lists(st.integers(0, sum(lengths) - 1), max_size=8)), np.int64)
    expected, found = np.concatenate(parts)[rows], Rows(parts, rows)
    assert (found.shape, found.dtype, found.nbytes, len(found)) == (
        expected.shape, expected.dtype, expected.nbytes, len(expected)
    )  # fmt: skip
    assert np.array_equal(np.asarray(found), expected)
    assert np.array_equal([*found] or expected, expected)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), bool)
    keys = [slice(None), slice(1, 3), slice(None, None, -1), mask, np.flatnonzero(mask), (slice(None), 1), (mask, 0, 1)]
    for key in (*keys, *range(-len(rows), len(rows))):
        assert np.array_equal(found[key], expected[key])
    assert np.array_equal(found.take(mask)[:], expected[mask])
    if len(rows):
        assert np.array_equal(found[0, 1], expected[0, 1])
    with pytest.raises(IndexError):
        found[len(rows)]


def test_many_rows_of_mapped_images_stay_on_the_disk(mapped):
    rows = chosen(1, 30)
    found = taken(mapped, rows)
    assert isinstance(found, Rows)
    assert np.array_equal(found[:], mapped[rows])
    again = taken(found, np.arange(5, 25)[::-1])
    assert isinstance(again, Rows)
    assert len(again.parts) == 1
    assert np.array_equal(again[:], mapped[rows][5:25][::-1])


def test_few_rows_and_those_of_memory_are_arrays(mapped):
    assert not is_mapped(taken(mapped, chosen(1, 2)))
    plain = np.array(mapped)
    assert type(taken(plain, chosen(1, 30))) is np.ndarray
    assert np.array_equal(taken(plain, chosen(1, 30)), mapped[chosen(1, 30)])


def test_all_rows_and_runs_of_them_are_the_map_itself(mapped):
    assert taken(mapped, np.arange(40)) is mapped
    run = taken(mapped, np.arange(7, 39))
    assert isinstance(run, np.memmap)
    assert np.shares_memory(run, mapped)
    assert len(taken(mapped, np.arange(0))) == 0


def test_stacked_arrays_are_copied_only_where_they_are_few_or_in_memory(mapped):
    assert stacked([mapped]) is mapped
    both = stacked([mapped, np.array(mapped[:3])])
    assert isinstance(both, Rows)
    assert np.array_equal(both[:], np.concatenate([mapped, mapped[:3]]))
    assert type(stacked([np.array(mapped), np.array(mapped)])) is np.ndarray


def test_its_digest_is_that_of_the_array(mapped):
    rows = chosen(2, 33)
    assert digest({"images": taken(mapped, rows)}) == digest({"images": mapped[rows]})


def test_classes_of_a_mapped_set_are_chosen_without_a_copy(mapped):
    codes = np.random.default_rng(3).integers(-1, 3, 40)
    images = ImageSet(mapped, Labels(codes, ("a", "b", "c")))
    found = images.only(["c", "a"])
    assert is_mapped(found.images)
    assert np.array_equal(found.images[:], mapped[(codes == 0) | (codes == 2)])
