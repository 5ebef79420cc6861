"""The SHA-256 of arrays and plain values, which shows that they are unchanged and identifies them."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from latentcli.core.rows import Rows

_BLOCK = 2**20  # bytes of an array that are copied at a time, where it is not in C order


def is_digest(text: Any) -> bool:
    """Whether this is a SHA-256 as ``digest`` gives it."""
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")


def short(sha256: Any) -> str:
    """The beginning of a SHA-256, for a message."""
    return f"{sha256[:6]}…" if is_digest(sha256) else repr(sha256)[:20]


def digest(content: Mapping[Any, Any]) -> str:
    """SHA-256 of a mapping of arrays and plain values, independent of file format and of key order.

    Arrays enter with dtype, shape and bytes (C order); every other value through its ``repr``; mappings
    and sequences recursively, each after its length, so that different contents never give the same bytes.
    """
    sha256 = hashlib.sha256()
    _absorb(sha256, content)
    return sha256.hexdigest()


class DigestInParts:
    """``digest`` of a mapping of ``count`` arrays, given in the order of their names, none in memory as a whole."""

    def __init__(self, count: int) -> None:
        self.sha256 = hashlib.sha256(b"{%d:" % count)
        self.update = self.sha256.update  # the next bytes of the array begun last, in C order
        self.hexdigest = self.sha256.hexdigest

    def begin(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        """The next array, whose bytes follow by ``update``."""
        _absorb(self.sha256, name)
        self.sha256.update(_header(dtype, shape))


def bytes_of(array: np.ndarray | Rows) -> Iterator[memoryview]:
    """The bytes of an array in C order: all at once where it is in C order, otherwise copied a megabyte at a time."""
    if isinstance(array, np.ndarray) and (array.flags.c_contiguous or array.nbytes <= _BLOCK):
        if array.nbytes:
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        return
    rows = max(1, _BLOCK // array[0].nbytes)
    for start in range(0, len(array), rows):
        yield from bytes_of(array[start : start + rows] if rows > 1 else array[start])


def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    return f"{dtype.str}{shape}".encode()


def _absorb(sha256: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        sha256.update(b"{%d:" % len(value))
        for key in sorted(value, key=lambda key: (type(key).__name__, key)):
            _absorb(sha256, key)
            _absorb(sha256, value[key])
    elif isinstance(value, list | tuple):
        sha256.update(b"[%d:" % len(value))
        for item in value:
            _absorb(sha256, item)
    elif isinstance(value, np.ndarray | Rows):
        sha256.update(_header(value.dtype, value.shape))
        for part in bytes_of(value):
            sha256.update(part)
    else:
        text = repr(value).encode()
        sha256.update(b"%d:%s" % (len(text), text))
