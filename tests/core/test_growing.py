"""Arrays that grow are what was added, in memory or in a file that leaves nothing behind."""

import errno
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentcli.core import growing
from latentcli.core.errors import DataError
from latentcli.core.growing import GrowingArray, filled, joined
from latentcli.core.rows import is_mapped


@pytest.fixture
def many(monkeypatch, tmp_path):
    """Any number of bytes is many, and the folder for temporary files is an empty one."""
    monkeypatch.setattr(growing, "COPIED", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def grown(parts, mapped):
    array = GrowingArray(sum(map(len, parts)), parts[0].dtype, parts[0].shape[1:], mapped)
    for part in parts:
        array.add(part)
    return array.whole()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans())
def test_it_is_its_rows_in_their_order(lengths, fortran):
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(length, 2, 3)).astype(np.float32) for length in lengths]
    given = [np.asfortranarray(part) for part in parts] if fortran else parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "COPIED", 0)
        for mapped in (False, True):
            found = grown(given, mapped)
            assert is_mapped(found) is mapped
            assert (found.dtype, found.tolist()) == (np.float32, np.concatenate(parts).tolist())


def test_a_mapped_one_is_read_only_and_leaves_no_file(many):
    found = grown([np.arange(6.0).reshape(3, 2)], mapped=True)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1
    assert not list(many.iterdir())


def test_few_rows_are_in_memory_all_the_same():
    assert not is_mapped(grown([np.zeros((3, 2))], mapped=True))


def test_joined_arrays_are_mapped_where_one_of_them_is_and_all_are_many(many):
    plain = np.arange(6.0).reshape(3, 2)
    mapped = grown([plain + 10], mapped=True)
    assert not is_mapped(joined([plain, plain]))
    found = joined([mapped, plain])
    assert is_mapped(found)
    assert np.array_equal(found, np.concatenate([mapped, plain]))


def test_a_full_disk_is_told_with_what_to_do(many, monkeypatch):
    class Full:
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(growing.tempfile, "TemporaryFile", lambda prefix: Full())
    with pytest.raises(DataError, match=r"(?s)temporary files\n  No space left on device\n  .*TMPDIR"):
        grown([np.zeros((3, 2))], mapped=True)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_blocks_fill_an_array_for_each_name(sizes):
    rows = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    found = filled(({"one": each, "two": np.stack([each, -each], axis=1)} for each in rows), sum(sizes))
    assert found["one"].tolist() == list(range(sum(sizes)))
    assert found["two"].tolist() == [[row, -row] for row in range(sum(sizes))]
