"""A reader of pickles of unknown origin that accepts plain values and numpy arrays, and runs no code.

A pickle is a program, and Python's own unpickler calls what it names. An allow-list of numpy's constructors does not
help, because they crash the interpreter on hostile arguments. So this module interprets the forty operations that
dicts of arrays need. It imports nothing that a pickle names: the few names that describe arrays become constants
(:class:`_Known`), and the arrays are rebuilt from their bytes after every size was checked.

Read: dict, list, tuple, str, bytes, int, float, bool, None, numpy arrays and numpy scalars (as Python numbers), in
protocols 2 to 5 of Python 2 and 3, numpy 1 and 2. References to a value that occurred before are accepted only where
they are harmless: a list within itself, or a tuple doubled forty times, is refused.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn

import numpy as np

from latentcli.formats.dtypes import UnsafeArrays, from_bytes, plain_dtype

MAX_OPERATIONS = 1_000_000  # CIFAR-100's training file has some 300,000
MAX_DEPTH = 20
_MAX_NAME = 100
_MAX_INTEGER = 32  # bytes
_ORDERS = ("<", ">", "|", b"<", b">", b"|")  # byte orders of dtypes, in Python 3 and 2


class UnsafePickle(ValueError):
    """A pickle is damaged, or holds more than plain values and arrays; the message says what."""


def refuse(reason: str) -> NoReturn:
    """Raise UnsafePickle."""
    raise UnsafePickle(reason)


_Known = Enum("_Known", "RECONSTRUCT FROM_BUFFER SCALAR DTYPE NDARRAY ENCODE")
"""What a pickle may name. The members stand for the functions of these names, which are never called."""

_GLOBALS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Known.DTYPE, ("numpy", "ndarray"): _Known.NDARRAY, ("_codecs", "encode"): _Known.ENCODE,
}  # fmt: skip
for _core in ("numpy.core", "numpy._core"):  # of numpy 1 and 2
    _GLOBALS[f"{_core}.multiarray", "_reconstruct"] = _Known.RECONSTRUCT
    _GLOBALS[f"{_core}.multiarray", "scalar"] = _Known.SCALAR
    _GLOBALS[f"{_core}.numeric", "_frombuffer"] = _Known.FROM_BUFFER


@dataclass
class _Dtype:
    """A dtype as the pickle describes it: a code such as "f8", then its byte order."""

    code: str
    order: str = ""


@dataclass
class _Array:
    """An array that the pickle announced, None until the pickle gives its bytes."""

    array: np.ndarray | None = None


def loads(
    data: bytes, *, encoding: str = "ascii", stand_ins: Mapping[tuple[str, str], Any] | None = None,
    persistent: Callable[[Any], Any] | None = None,
) -> Any:  # fmt: skip
    """The value that a pickle describes: new plain values; arrays are read-only and in this machine's byte order.

    Args:
        data: the whole pickle, and nothing after it.
        encoding: of the strings of Python 2, or "bytes" to return them as bytes.
        stand_ins: replacements of other names, by (module, name). A function here is called with arguments that may
            be anything a pickle holds, so it must check them all.
        persistent: called with the names of things outside the pickle; without it they are refused.

    Raises:
        UnsafePickle: the pickle is damaged, too long or too deep, or asks for anything but plain values and arrays.
    """
    try:
        return _plain(_Machine(data, encoding, stand_ins or {}, persistent).run(), depth=0)
    except (UnsafeArrays, UnicodeError, struct.error) as error:
        raise UnsafePickle(f"a damaged pickle: {error}") from error


def _plain(value: Any, depth: int) -> Any:
    """The value with its arrays inserted; its containers form a tree, since none of them can come from the memo."""
    if depth > MAX_DEPTH:
        refuse(f"a pickle nested deeper than {MAX_DEPTH} levels")
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


class _Machine:
    """The machine that a pickle programs: a stack, marks in it, and a memo.

    Each operation is a method below, as ``pickletools`` describes it. No length may reach beyond the end of the
    data, so memory is bounded by a few times the data's own size.
    """

    def __init__(
        self, data: bytes, encoding: str, stand_ins: Mapping[tuple[str, str], Any],
        persistent: Callable[[Any], Any] | None,
    ) -> None:  # fmt: skip
        self.data, self.encoding, self.persistent = bytes(data), encoding, persistent
        self.position = 0
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.globals = {**_GLOBALS, **stand_ins}
        self.functions = [value for value in stand_ins.values() if callable(value)]
        self.copies_left = 4 * len(data)  # bytes; many arrays may refer to the same memoised bytes

    def run(self) -> Any:
        if self.data[:1] != b"\x80" or self.data[1:2] not in (b"\x02", b"\x03", b"\x04", b"\x05"):
            refuse("not a pickle of protocol 2 to 5")
        self.position = 2
        for _ in range(MAX_OPERATIONS):
            code = self.take(1)
            if code == b".":
                break
            operation = _OPERATIONS.get(code)
            if operation is None:
                refuse(f"a pickle with the operation {code!r}, which plain values and arrays do not need")
            operation(self)
        else:
            refuse(f"a pickle of more than {MAX_OPERATIONS:,} operations")
        if self.position != len(self.data):
            refuse(f"a pickle followed by {len(self.data) - self.position} bytes of something else")
        value = self.pop()
        if self.stack or self.marked:
            refuse("a pickle that leaves unfinished values")
        return value

    def take(self, count: int) -> bytes:
        start, self.position = self.position, self.position + count
        if self.position > len(self.data):
            refuse("a pickle that is cut short")
        return self.data[start : self.position]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.position, self.position + _MAX_NAME)
        if end < 0:
            refuse("a pickle with a damaged name")
        return self.take(end + 1 - self.position)[:-1].decode("ascii")

    def python2_string(self, count: int) -> None:
        value = self.take(count)
        self.push(value if self.encoding == "bytes" else value.decode(self.encoding))

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop() if self.stack else refuse("a damaged pickle: its stack is empty")

    def top(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            refuse(f"a damaged pickle: no {kind.__name__} to fill")
        return self.stack[-1]

    def mark(self) -> None:
        if len(self.marked) > MAX_DEPTH:
            refuse(f"a pickle nested deeper than {MAX_DEPTH} levels")
        self.marked.append(self.stack)
        self.stack = []

    def to_mark(self) -> list[Any]:
        if not self.marked:
            refuse("a damaged pickle: no mark")
        items, self.stack = self.stack, self.marked.pop()
        return items

    def tuple_of(self, items: list[Any]) -> None:
        value = tuple(items)
        if _levels(value) > MAX_DEPTH:  # here, not at the end: a million levels take long to build and to delete
            refuse(f"a pickle nested deeper than {MAX_DEPTH} levels")
        self.push(value)

    def put(self, index: int) -> None:
        if index >= MAX_OPERATIONS or not self.stack:
            refuse("a damaged pickle: a memo beyond its end")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        """Push a memoised value, if it cannot contain others or is a tuple of whole numbers (a shape)."""
        if index not in self.memo:
            refuse("a damaged pickle: nothing under that number in the memo")
        value = self.memo[index]
        shape = isinstance(value, tuple) and all(type(item) is int for item in value)
        if isinstance(value, dict | list | tuple) and not shape:
            refuse("a pickle that uses the same list, dict or tuple twice")
        self.push(value)

    def extend(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2:
            refuse("a damaged pickle: a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, bytes, int) or key in target:
                refuse("a pickle of a dict with a key that is repeated, or is no string and no whole number")
            target[key] = value

    def named(self, module: Any, name: Any) -> None:
        """GLOBAL, STACK_GLOBAL: push what stands for this name."""
        if not (isinstance(module, str) and isinstance(name, str)) or (module, name) not in self.globals:
            refuse(f"a pickle that asks for {str(module)[:60]!r}, {str(name)[:60]!r}, which could run code")
        self.push(self.globals[module, name])

    def reduce(self) -> None:
        """REDUCE: pop arguments and a function, push what the call would return."""
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
        """BINPERSID: pop the name of something outside the pickle, push what it stands for."""
        if self.persistent is None:
            refuse("a pickle that names something outside itself")
        self.push(self.persistent(self.pop()))

    def build(self) -> None:
        """BUILD: pop a state, and put the value below it into this state."""
        state = self.pop()
        if type(state) is not tuple:
            refuse("a damaged pickle: a state that is no tuple")
        target = self.stack[-1] if self.stack else None
        match target, state:
            case _Array(array=None), (int(), tuple() as shape, _Dtype() as dtype, int() as fortran, raw):
                target.array = self.array(raw, dtype, shape, bool(fortran))
            case _Dtype(order=""), (3, str() | bytes() as order, None, None, None, int(), int(), _) if order in _ORDERS:
                target.order = order if isinstance(order, str) else order.decode()
            case _:
                refuse("a pickle with a state that no array needs")

    def array(self, raw: Any, dtype: _Dtype, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
        if isinstance(raw, str):  # of Python 2, which was decoded when it was read
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
            refuse("a pickle that expands to many times its size")


_OPERATIONS: dict[bytes, Callable[[_Machine], None]] = {
    b"\x95": lambda machine: machine.number("<Q"),  # FRAME: only a hint for buffers
    b"(": lambda machine: machine.mark(),
    b"N": lambda machine: machine.push(None),
    b"\x88": lambda machine: machine.push(True),
    b"\x89": lambda machine: machine.push(False),
    b"K": lambda machine: machine.push(machine.number("<B")),
    b"M": lambda machine: machine.push(machine.number("<H")),
    b"J": lambda machine: machine.push(machine.number("<i")),
    b"\x8a": lambda machine: machine.push(_long(machine)),
    b"G": lambda machine: machine.push(machine.number(">d")),
    b"U": lambda machine: machine.python2_string(machine.number("<B")),
    b"T": lambda machine: machine.python2_string(machine.number("<I")),
    b"\x8c": lambda machine: machine.push(_text(machine, "<B")),
    b"X": lambda machine: machine.push(_text(machine, "<I")),
    b"C": lambda machine: machine.push(machine.take(machine.number("<B"))),
    b"B": lambda machine: machine.push(machine.take(machine.number("<I"))),
    b"\x96": lambda machine: machine.push(bytearray(machine.take(machine.number("<Q")))),
    b"]": lambda machine: machine.push([]),
    b"a": lambda machine: machine.extend([machine.pop()]),
    b"e": lambda machine: machine.extend(machine.to_mark()),
    b"}": lambda machine: machine.push({}),
    b"s": lambda machine: machine.set_items([machine.pop(), machine.pop()][::-1]),
    b"u": lambda machine: machine.set_items(machine.to_mark()),
    b")": lambda machine: machine.push(()),
    b"t": lambda machine: machine.tuple_of(machine.to_mark()),
    b"\x85": lambda machine: machine.tuple_of([machine.pop()]),
    b"\x86": lambda machine: machine.tuple_of([machine.pop(), machine.pop()][::-1]),
    b"\x87": lambda machine: machine.tuple_of([machine.pop(), machine.pop(), machine.pop()][::-1]),
    b"h": lambda machine: machine.get(machine.number("<B")),
    b"j": lambda machine: machine.get(machine.number("<I")),
    b"q": lambda machine: machine.put(machine.number("<B")),
    b"r": lambda machine: machine.put(machine.number("<I")),
    b"\x94": lambda machine: machine.put(len(machine.memo)),
    b"c": lambda machine: machine.named(machine.line(), machine.line()),
    b"\x93": lambda machine: machine.named(*[machine.pop(), machine.pop()][::-1]),
    b"R": lambda machine: machine.reduce(),
    b"b": lambda machine: machine.build(),
    b"Q": lambda machine: machine.outside(),
}
"""By opcode, in the order of the protocol's own tables; STOP and PROTO are in ``run``."""


def _levels(value: Any) -> int:
    return 1 + max(map(_levels, value), default=0) if type(value) is tuple else 0


def _long(machine: _Machine) -> int:
    count = machine.number("<B")
    if count > _MAX_INTEGER:
        refuse(f"a pickle with a whole number of {count} bytes")
    return int.from_bytes(machine.take(count), "little", signed=True)


def _text(machine: _Machine, form: str) -> str:
    return machine.take(machine.number(form)).decode("utf-8", "surrogatepass")
