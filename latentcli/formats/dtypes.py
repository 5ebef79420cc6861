"""The arrays that a file may hold: plain numbers, truth values and short strings, with all their bytes present."""

import math
import re
import sys
from typing import Any

import numpy as np

MAX_STRING_LENGTH = 4096  # characters: longer than any path or class name
MAX_DIMENSIONS = 32
_PLAIN_DTYPE = re.compile(r"[<>|=]?(?:\?|b1|[iu][1248]|f[248]|[US](?P<length>[1-9][0-9]{0,4}))")

_UNREAD = {
    "c": "complex numbers", "f16": "long doubles", "f12": "long doubles", "M": "dates", "m": "durations"
}  # fmt: skip
"""Types of numbers that are not read, by how their descriptions begin."""


class UnsafeArrays(ValueError):
    """A file of arrays is damaged, or holds something other than plain arrays; the message says what."""


class UnreadType(UnsafeArrays):
    """An array of a type that is not read, such as Python objects."""


def plain_dtype(description: Any) -> np.dtype:
    """The dtype that a file names, such as ``"<f4"``: a truth value, an integer, a float or a short string.

    Raises:
        UnreadType: it is another one, such as an object or a structure.
    """
    if isinstance(description, list) and all(isinstance(field, tuple) and field for field in description):
        raise UnreadType(f"an array of structures: {', '.join(str(field[0])[:40] for field in description[:8])}")
    if not isinstance(description, str) or len(description) > 8:
        raise UnreadType("an array of structures or of an unknown type")
    if "O" in description:
        raise UnreadType("an array of Python objects, which could run code")
    match = _PLAIN_DTYPE.fullmatch(description)
    if match is None or int(match["length"] or 0) > MAX_STRING_LENGTH:
        kind = next((name for mark, name in _UNREAD.items() if description.lstrip("<>|=").startswith(mark)), None)
        what = f"{kind}, of type {description!r}" if kind else f"type {description!r}"
        raise UnreadType(f"an array of {what}, which {'are not read' if kind else 'is neither a number nor a text'}")
    return np.dtype(description)


def size_in_bytes(dtype: np.dtype, shape: Any) -> int:
    """The bytes that an array of that shape, a tuple of up to 32 sizes, takes, without making it."""
    sizes = shape if isinstance(shape, tuple) and len(shape) <= MAX_DIMENSIONS else (None,)
    if not all(type(size) is int and 0 <= size < 2**62 for size in sizes):
        raise UnsafeArrays("an array whose shape is no tuple of sizes")
    if math.prod(size for size in shape if size) * dtype.itemsize >= 2**62:  # numpy multiplies past a zero, too
        raise UnsafeArrays("an array larger than any memory")
    return math.prod(shape) * dtype.itemsize


def from_bytes(data: Any, dtype: np.dtype, shape: tuple[int, ...], fortran: bool = False) -> np.ndarray:
    """An array over just these bytes, read-only if they are; in this machine's byte order."""
    expected = size_in_bytes(dtype, shape)
    if len(data) != expected:
        raise UnsafeArrays(f"an array of {expected} bytes of which {len(data)} are there")
    flat = np.frombuffer(data, dtype=dtype) if expected else np.empty(0, dtype=dtype)
    array = flat.reshape(shape, order="F" if fortran else "C")
    check_values(array)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def check_values(array: np.ndarray) -> None:
    """Raise UnsafeArrays for values that numpy reads but fails on later: truth values above 1, unknown characters."""
    flat = array.reshape(-1, order="A")
    if array.dtype.kind == "b" and flat.view(np.uint8).max(initial=0) > 1:
        raise UnsafeArrays("truth values that are neither true nor false")
    if array.dtype.kind == "U" and array.size:
        code_points = flat.view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if code_points.max() > sys.maxunicode:
            raise UnsafeArrays("strings with characters that do not exist")
