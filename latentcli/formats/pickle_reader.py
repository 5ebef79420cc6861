"""A reader of pickles of unknown origin that admits plain values and numpy arrays, and runs nothing.

A pickle is a program, and Python's own unpickler calls what it names. An allow-list of numpy's constructors is no
way out, because they crash the interpreter on hostile arguments. So this module is an interpreter of its own for the
forty operations that dicts of arrays need. It looks no class up: the few names that describe arrays become
inert marks (:class:`_Known`), and the arrays are rebuilt from their bytes after every size was checked.

Read: dict, list, tuple, str, bytes, int, float, bool, None, numpy arrays and numpy scalars (as Python numbers), in
protocols 2 to 5 of Python 2 and 3, numpy 1 and 2. What is shared in the pickle is shared in the result only where
that is harmless: a list within itself, or a tuple doubled forty times, is refused.
"""

import struct
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import numpy as np

from latentcli.formats.dtypes import UnsafeArrays, from_bytes, plain_dtype
from latentcli.formats.pickle_machine import DEEPEST, PickleMachine, UnsafePickle, refuse

__all__ = ["UnsafePickle", "loads"]


class _Known(Enum):
    """What a pickle may name. The members stand for numpy's functions and are never called."""

    RECONSTRUCT = "_reconstruct"
    FROM_BUFFER = "_frombuffer"
    SCALAR = "scalar"
    DTYPE = "dtype"
    NDARRAY = "ndarray"
    ENCODE = "encode"


_GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"): _Known.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _Known.RECONSTRUCT,
    ("numpy.core.multiarray", "scalar"): _Known.SCALAR,
    ("numpy._core.multiarray", "scalar"): _Known.SCALAR,
    ("numpy.core.numeric", "_frombuffer"): _Known.FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _Known.FROM_BUFFER,
    ("numpy", "dtype"): _Known.DTYPE,
    ("numpy", "ndarray"): _Known.NDARRAY,
    ("_codecs", "encode"): _Known.ENCODE,
}


class _Dtype:
    """A dtype as the pickle describes it: a code such as "f8", then its byte order."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code, ""


class _Array:
    """An array that the pickle announced, empty until the pickle gives its bytes."""

    def __init__(self, array: np.ndarray | None = None) -> None:
        self.array = array


def loads(
    data: bytes,
    *,
    encoding: str = "ascii",
    stand_ins: Mapping[tuple[str, str], Any] | None = None,
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The value that a pickle describes.

    Args:
        data: the whole pickle, and nothing behind it.
        encoding: what the strings of Python 2 become: text in this encoding, or "bytes" to leave them so.
        stand_ins: by (module, name), what else the pickle may name, and what it gets instead: a function here is
            called with arguments that may be anything a pickle holds, so it must check them all.
        persistent: called with the names of things outside the pickle; without it they are refused.

    Returns:
        Fresh plain values; arrays are read-only and in this machine's byte order.

    Raises:
        UnsafePickle: the pickle is damaged, too long or too deep, or asks for anything but plain values and arrays.
    """
    try:
        return _plain(_Interpreter(data, encoding, stand_ins or {}, persistent).run(), depth=0)
    except (UnsafeArrays, UnicodeError, struct.error) as error:
        raise UnsafePickle(f"a damaged pickle: {error}") from error


def _plain(value: Any, depth: int) -> Any:
    """The value with its arrays in place; containers are a tree here, since the memo gives none of them back."""
    if depth > DEEPEST:
        refuse(f"a pickle nested deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, tuple):
        return tuple(_plain(item, depth + 1) for item in value)
    if isinstance(value, _Array):
        return value.array if value.array is not None else refuse("a pickle of an array without its bytes")
    if isinstance(value, _Dtype | _Known | bytearray):
        refuse("a pickle of something other than plain values and arrays")
    return value


class _Interpreter(PickleMachine):
    """The machine, and what numpy's names mean to it: marks, arrays in the making, and nothing that can be called."""

    def __init__(
        self,
        data: bytes,
        encoding: str,
        stand_ins: Mapping[tuple[str, str], Any],
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        super().__init__(data, encoding)
        self.globals = {**_GLOBALS, **stand_ins}
        self.functions = [value for value in stand_ins.values() if callable(value)]
        self.persistent = persistent
        self.copies_left = 4 * len(data)  # bytes; many arrays may name the same memoised bytes

    def named(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)) or (module, name) not in self.globals:
            refuse(f"a pickle that asks for {str(module)[:60]!r}, {str(name)[:60]!r}, which could run code")
        self.push(self.globals[module, name])

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if type(arguments) is not tuple:
            refuse("a damaged pickle: a call without arguments")
        if any(function is allowed for allowed in self.functions):
            self.push(function(*arguments))
            return
        match function, arguments:
            case _Known.RECONSTRUCT, (_Known.NDARRAY, tuple(), _):
                self.push(_Array())
            case _Known.DTYPE, (str() | bytes() as code, _, _):
                self.push(_Dtype(code if isinstance(code, str) else code.decode("ascii")))
            case _Known.FROM_BUFFER, (raw, _Dtype() as dtype, tuple() as shape, "C" | "F" as order):
                self.push(_Array(self.array(raw, dtype, shape, order == "F")))
            case _Known.SCALAR, (_Dtype() as dtype, raw):
                self.push(self.array(raw, dtype, (), False).item())
            case _Known.ENCODE, (str() as text, "latin1"):
                self.push(self.encoded(text))
            case _:
                refuse("a pickle with a call that no array needs")

    def outside(self) -> None:
        if self.persistent is None:
            refuse("a pickle that names something outside itself")
        self.push(self.persistent(self.pop()))

    def build(self) -> None:
        state = self.pop()
        if type(state) is not tuple:
            refuse("a damaged pickle: a state that is no tuple")
        target = self.stack[-1] if self.stack else None
        match target, state:
            case _Array(array=None), (int(), tuple() as shape, _Dtype() as dtype, int() as fortran, raw):
                target.array = self.array(raw, dtype, shape, bool(fortran))
            case _Dtype(order=""), (
                3,
                "<" | ">" | "|" | b"<" | b">" | b"|" as order,
                None,
                None,
                None,
                int(),
                int(),
                _,
            ):
                target.order = order if isinstance(order, str) else order.decode()
            case _:
                refuse("a pickle with a state that no array needs")

    def array(self, raw: Any, dtype: _Dtype, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
        if isinstance(raw, str):  # of Python 2, decoded on the way in
            raw = self.encoded(raw)
        if type(raw) is list:
            refuse("an array of Python objects, which could run code")
        if type(raw) not in (bytes, bytearray):
            refuse("a damaged pickle: an array without bytes")
        self.charge(len(raw))
        return from_bytes(bytes(raw), plain_dtype(dtype.order + dtype.code), shape, fortran)

    def encoded(self, text: str) -> bytes:
        self.charge(len(text))
        return text.encode("latin-1")

    def charge(self, count: int) -> None:
        self.copies_left -= count
        if self.copies_left < 0:
            refuse("a pickle that unfolds to many times its size")
