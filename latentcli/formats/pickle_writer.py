"""A writer of pickles of plain values and arrays that gives the same bytes for the same content everywhere.

The bytes of Python's own pickler depend on the identity of strings, the versions of Python and numpy and the memory
layout of arrays, and numpy 2's pickles name a module that numpy before 1.26 does not have. This writer uses
protocol 4 without a memo, and numpy's old names, which every numpy keeps for old pickles.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from latentcli.formats.dtypes import plain_dtype

_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
"""numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b"b"): an empty array that is filled afterwards."""


def dumps(content: Mapping[str, Any]) -> bytes:
    """A pickle that any Python 3 with numpy loads.

    It takes strings, whole numbers, floats, truth values, None, bytes and numpy arrays of plain dtypes, and dicts,
    lists and tuples of these. Numpy's scalars become Python's numbers.

    Raises:
        TypeError: a value is of another type.
        UnsafeArrays: an array has a dtype of objects or structures.
    """
    return b"\x80\x04" + b"".join(_value(content)) + b"."


def _value(value: Any) -> Iterator[bytes]:
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case None:
            yield b"N"
        case bool():
            yield b"\x88" if value else b"\x89"
        case int():
            size = value.bit_length() // 8 + 1
            yield b"\x8a" + struct.pack("<B", size) + value.to_bytes(size, "little", signed=True)
        case float():
            yield b"G" + struct.pack(">d", value if not math.isnan(value) else math.nan)
        case str():
            text = value.encode("utf-8", "surrogatepass")
            yield b"X" + struct.pack("<I", len(text)) + text
        case bytes():
            yield b"B" + struct.pack("<I", len(value)) + value
        case np.ndarray():
            yield from _array(value)
        case Mapping():
            yield from _items(b"}(", (part for pair in value.items() for part in pair), b"u")
        case list():
            yield from _items(b"](", value, b"e")
        case tuple():
            yield from _items(b"(", value, b"t")
        case _:
            raise TypeError(f"{type(value).__name__} is neither a plain value nor an array")


def _items(start: bytes, items: Iterable[Any], end: bytes) -> Iterator[bytes]:
    yield start
    for item in items:
        yield from _value(item)
    yield end


def _array(array: np.ndarray) -> Iterator[bytes]:
    """What ``numpy.ndarray.__reduce__`` describes: the state (1, shape, dtype, not Fortran, bytes)."""
    dtype = plain_dtype(array.dtype.newbyteorder("<").str)
    yield _RECONSTRUCT
    yield b"(K\x01"
    yield from _value(array.shape)
    yield from _dtype(dtype)
    yield b"\x89"
    yield from _value(array.astype(dtype, copy=False).tobytes())
    yield b"tb"


def _dtype(dtype: np.dtype) -> Iterator[bytes]:
    """numpy.dtype(code, False, True) and its state (3, byte order, ...), in which strings give size and alignment."""
    yield b"cnumpy\ndtype\n"
    yield from _value((dtype.str[1:], False, True))
    yield b"R"
    size, alignment, flags = -1, -1, 0
    if dtype.kind in "US":
        size, alignment, flags = dtype.itemsize, dtype.alignment, 8 if dtype.kind == "U" else 0
    yield from _value((3, dtype.str[0], None, None, None, size, alignment, flags))
    yield b"b"
