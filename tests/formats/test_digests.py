"""The digest tells any two contents apart, and is computed without copies of what it is given."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from latentcli.formats import digests

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
content = st.dictionaries(
    st.text(max_size=3),
    st.recursive(
        plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_size=4,
)


@given(content, content)
def test_digests_are_equal_when_and_only_when_contents_are(one, other):
    same = repr(sorted_deep(one)) == repr(sorted_deep(other))  # repr, since 1 == True == 1.0
    assert (digests.digest(one) == digests.digest(other)) == same


def sorted_deep(value):
    if isinstance(value, dict):
        return {key: sorted_deep(value[key]) for key in sorted(value)}
    return [sorted_deep(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 23], [12, 3]),
        ([[1], 2], [[1, 2]]),
        ("1", 1),
        (1, 1.0),
        (True, 1),
        ([], {}),
        (np.arange(6), np.arange(6).reshape(2, 3)),
        (np.zeros(2, np.int32), np.zeros(2, np.float32)),
        (np.zeros(2, np.float64), np.zeros(4, np.float32)),
    ],
)
def test_contents_that_look_alike_have_unlike_digests(one, other):
    assert digests.digest({"a": one}) != digests.digest({"a": other})


@given(
    hnp.arrays(st.sampled_from([np.uint8, np.float32, np.int64, np.bool_]), hnp.array_shapes(max_dims=4, max_side=4))
)
def test_the_digest_of_an_array_does_not_depend_on_its_memory_layout(array):
    assert digests.digest({"a": array}) == digests.digest({"a": np.asfortranarray(array)})
    assert digests.digest({"a": array}) == digests.digest({"a": array[::-1][::-1]})


def test_the_digest_does_not_depend_on_the_order_of_keys():
    assert digests.digest({"a": 1, "b": 2}) == digests.digest({"b": 2, "a": 1})


LAYOUTS = {
    "rows and columns exchanged": (200, 30, 700, 3),
    "one large image": (1, 2000, 3000, 3),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mapped", [False, True])
def test_an_array_of_another_layout_is_digested_without_a_copy_of_it(tmp_path, layout, mapped):
    array = np.random.default_rng(0).integers(0, 256, LAYOUTS[layout], dtype=np.uint8)
    expected = digests.digest({"images": np.ascontiguousarray(array.transpose(0, 3, 1, 2))})
    if mapped:
        np.save(tmp_path / "images.npy", array)
        array = np.load(tmp_path / "images.npy", mmap_mode="r")
    view = array.transpose(0, 3, 1, 2)
    tracemalloc.start()
    found = digests.digest({"images": view})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == expected
    assert peak < array.nbytes / 2
