"""The pickle reader agrees with Python's own on everything plain, and refuses the rest without a stumble."""

import contextlib
import pickle
import random
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from latentcli.formats import pickle_reader, pickle_writer
from latentcli.formats.pickle_reader import MAX_DEPTH, UnsafePickle, loads

DTYPES = ["?", "u1", "i1", "<i2", "<u4", "<i8", ">i4", "<f2", "<f4", "<f8", ">f8", "<U3", "S2"]

plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
)
arrays = hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
values = st.recursive(
    plain | arrays,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 2**40) | st.binary(max_size=2), inner, max_size=4)
    ),
    max_leaves=8,
)


def assert_same(found, expected):
    """Equal in value and type; arrays also in dtype (this machine's byte order) and shape."""
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype.newbyteorder("=")
        assert np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


@given(values)
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_reads_what_python_writes(protocol, value):
    assert_same(loads(pickle.dumps(value, protocol=protocol)), value)


@given(values)
def test_python_and_we_read_what_we_write(value):
    written = pickle_writer.dumps({"value": value})
    assert_same(loads(written)["value"], value)
    native = pickle.loads(written)["value"]
    assert pickle_writer.dumps({"value": native}) == written


def test_python_reads_our_pickles_without_a_warning():
    written = pickle_writer.dumps({"weights": np.ones(3), "names": np.array(["a"]), "k": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pickle.loads(written)["k"] == 3


def test_the_same_content_gives_the_same_bytes_whatever_holds_it():
    shared = "ab"
    one = {"a": shared, "b": shared, "c": np.arange(6.0).reshape(2, 3), "n": np.int64(2)}
    other = {
        "a": "ab",
        "b": "".join(["a", "b"]),
        "c": np.arange(6, dtype=">f8").reshape((2, 3)).copy(order="F"),
        "n": 2,
    }
    assert pickle_writer.dumps(one) == pickle_writer.dumps(other)


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, 1j, np.array([None]), np.zeros(1, "M8[s]"), np.zeros(1, [("a", "u1")])]
)
def test_only_plain_values_are_written(value):
    with pytest.raises((TypeError, ValueError)):
        pickle_writer.dumps({"value": value})


@pytest.mark.parametrize("scalar", [np.float64(2.5), np.int32(-4), np.bool_(True), np.str_("é"), np.float32(0.5)])
@pytest.mark.parametrize("protocol", [3, 5])
def test_numpy_scalars_become_pythons(scalar, protocol):
    found = loads(pickle.dumps(scalar, protocol=protocol))
    assert found == scalar
    assert type(found) is type(scalar.item())


# {"data": array([[1, 2], [3, 4]], dtype=uint8), "labels": [0, 1], "name": "caf\xe9"}, as CIFAR's files are
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05"
    b"(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x04\x01\x02\x03\x04tbU\x06labelsq\x08]q\x09(K\x00K\x01eU\x04nameq\nU\x04caf\xe9q\x0bu."
)


def test_reads_pickles_of_python_2():
    for encoding, key in (("latin1", str), ("bytes", str.encode)):
        found = loads(PYTHON_2, encoding=encoding)
        reference = pickle.loads(PYTHON_2, encoding=encoding)
        assert list(found) == [key("data"), key("labels"), key("name")] == list(reference)
        for name in found:
            assert_same(found[name], reference[name])
    with pytest.raises(UnsafePickle):
        loads(PYTHON_2)  # é is not ASCII


def test_shared_arrays_and_shapes_are_read():
    array, shape = np.arange(4.0), (2, 3)
    found = loads(pickle.dumps([array, array, shape, shape]))
    assert_same(found, [array, array, shape, shape])


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


def test_depth_is_limited():
    assert loads(pickle.dumps(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(UnsafePickle, match="deep"):
        loads(pickle.dumps(nested(MAX_DEPTH + 1)))


def test_tuples_that_are_too_deep_are_refused_before_the_rest_is_read():
    of_tuples, unknown = b"\x80\x02)" + b"\x85" * (MAX_DEPTH + 1), b"\x82\x01."
    with pytest.raises(UnsafePickle, match="deep"):
        loads(of_tuples + unknown)


@pytest.mark.parametrize("left", [b"K\x01K\x02.", b"K\x01(K\x02."])
def test_values_that_are_left_over_are_refused(left):
    with pytest.raises(UnsafePickle, match="unfinished values"):
        loads(b"\x80\x02" + left)


def sample():
    generator = np.random.default_rng(0)
    return {
        "kind": "gmm",
        "weights": np.full(3, 1 / 3),
        "means": generator.normal(size=(3, 2)),
        "labels": np.array([0, 1, 2]),
        "classes": np.array(["1", "4", "8"]),
        "checkpoint": "a" * 64,
        "plain": [3, np.float64(2.5), True, (1, None)],
    }


@pytest.mark.parametrize("protocol", [None, 2, 3, 4, 5])
def test_every_cut_is_refused(protocol):
    data = pickle_writer.dumps(sample()) if protocol is None else pickle.dumps(sample(), protocol=protocol)
    assert_same(loads(data), loads(data))
    for end in range(len(data)):
        with pytest.raises(UnsafePickle):
            loads(data[:end])


def mutated(
    data, generator, opcodes=b"(.ctRbeusahqr}])\x81\x85\x86\x87\x8a\x8c\x93\x94\x95\x96NKMJGCBXUTiIlLSVoOp0d1gFPQ"
):
    """The data with a few bytes flipped, replaced, cut out, copied, or made operations."""
    changed = bytearray(data)
    for _ in range(generator.choice((1, 1, 1, 2, 4, 16))):
        place = generator.randrange(len(changed))
        match generator.randrange(6):
            case 0:
                changed[place] ^= 1 << generator.randrange(8)
            case 1:
                changed[place] = generator.randrange(256)
            case 2:
                changed[place] = generator.choice(opcodes)
            case 3:
                del changed[place : place + generator.randrange(1, 20)]
            case 4:
                start = generator.randrange(len(changed))
                changed[place:place] = changed[start : start + generator.randrange(1, 60)]
            case 5:
                changed[place:place] = bytes([generator.choice(opcodes)]) * generator.randrange(1, 5)
        if not changed:
            break
    return bytes(changed)


ALLOWED = (dict, list, tuple, str, bytes, int, float, bool, type(None), np.ndarray)


def assert_plain(value):
    assert type(value) in ALLOWED
    if isinstance(value, np.ndarray):
        assert value.dtype.kind in "biufUS"
        value.tolist()
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        assert_plain(item)


def test_mutations_are_refused_or_load_as_plain_values():
    generator = random.Random(0)
    seeds = [pickle_writer.dumps(sample()), PYTHON_2] + [
        pickle.dumps(sample(), protocol=protocol) for protocol in (2, 3, 4, 5)
    ]
    loaded = 0
    for _ in range(4000):
        try:
            value = loads(mutated(generator.choice(seeds), generator), encoding="latin1")
        except UnsafePickle:
            continue
        assert_plain(value)
        loaded += 1
    assert loaded > 100  # the mutations are mild enough to reach deep into the reader


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage):
    for start in (b"", b"\x80\x02", b"\x80\x04"):
        with contextlib.suppress(UnsafePickle):
            assert_plain(loads(start + garbage))


def test_reading_imports_nothing():
    program = (
        "import sys; from latentcli.formats import pickle_reader; before = set(sys.modules)\n"
        "try: pickle_reader.loads(b'\\x80\\x02cantigravity\\nfly\\n.')\n"
        "except pickle_reader.UnsafePickle: sys.exit(len(set(sys.modules) - before))\n"
        "sys.exit(99)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_program_of_too_many_operations_is_refused(monkeypatch):
    content = pickle.dumps([1, 2, 3])
    assert loads(content) == [1, 2, 3]
    monkeypatch.setattr(pickle_reader, "MAX_OPERATIONS", 5)
    with pytest.raises(UnsafePickle, match="a pickle of more than 5 operations"):
        loads(content)


def test_arrays_of_objects_and_of_no_bytes_are_refused():
    with pytest.raises(UnsafePickle, match="an array of Python objects, which could run code"):
        loads(pickle.dumps(np.array(["a", None], object)))
    content = pickle.dumps(np.zeros(1, np.uint8), protocol=4)
    forged = content.replace(b"C\x01\x00", b"K\x01")
    assert len(forged) == len(content) - 1
    with pytest.raises(UnsafePickle, match="a damaged pickle: an array without bytes"):
        loads(forged)
