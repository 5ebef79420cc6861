"""Rows in blocks are the same rows in the same order, whatever the blocks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from latentcli.numerics.blocks import Kept, gathered, length, slices

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def blocks(sizes: list[int]) -> list[dict[str, np.ndarray]]:
    """Two arrays in blocks of these sizes, which tell the number of each row."""
    rows = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return [{"one": each, "two": np.stack([each, -each], axis=1)} for each in rows]


@given(SIZES, st.integers(1, 12))
def test_gathered_blocks_have_one_size_and_all_rows_in_order(sizes, size):
    found = list(gathered(iter(blocks(sizes)), size))
    assert [length(block) for block in found] == [rows.stop - rows.start for rows in slices(sum(sizes), size)]
    assert np.concatenate([block["one"] for block in found]).tolist() == list(range(sum(sizes)))
    for block in found:
        assert block["two"].tolist() == [[row, -row] for row in block["one"].tolist()]


@given(SIZES, st.data())
def test_rows_are_kept_wherever_blocks_end(sizes, data):
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, sum(sizes) - 1), min_size=1))))
    kept = Kept(rows)
    for block in blocks(sizes):
        kept.add(block)
    assert kept.arrays["one"].tolist() == rows.tolist()
    assert kept.arrays["two"][:, 1].tolist() == (-rows).tolist()
    assert all(array.flags.owndata for array in kept.arrays.values())  # blocks are not held by what is kept of them
