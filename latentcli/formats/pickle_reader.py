"""A reader of pickles of unknown origin that accepts plain values and numpy arrays, and runs no code.

A pickle is a program, and Python's own unpickler calls what it names. An allow-list of numpy's constructors does not
help, because they crash the interpreter on hostile arguments. So this module interprets the forty operations that
dicts of arrays need. It imports nothing that a pickle names: the few names that describe arrays become constants
(:class:`_Known`), and the arrays are rebuilt from their bytes after every size was checked.

Read: dict, list, tuple, str, bytes, int, float, bool, None, numpy arrays and numpy scalars (as Python numbers), in
protocols 2 to 5 of Python 2 and 3, numpy 1 and 2. References to a value that occurred before are accepted only where
they are harmless: a list within itself, or a tuple doubled forty times, is refused.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn

import numpy as np

from latentcli.formats.dtypes import from_bytes, plain_dtype

MAX_OPERATIONS = 1_000_000  # CIFAR-100's training file has some 300,000
MAX_DEPTH = 20
_MAX_INTEGER_BITS = 256
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
    except UnsafePickle:
        raise
    except ValueError as error:  # of pickletools, of text that cannot be decoded, and UnsafeArrays
        raise UnsafePickle(f"a damaged pickle: {error}") from error


def _plain(value: Any, depth: int) -> Any:
    """The value with its arrays inserted; its containers form a tree, since none of them can come from the memo."""
    if depth > MAX_DEPTH:
        refuse(f"a pickle nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, depth + 1) for item in value)
    if isinstance(value, _Array):
        return value.array if value.array is not None else refuse("a pickle of an array without its bytes")
    if isinstance(value, _Dtype | _Known | bytearray):
        refuse("a pickle of something other than plain values and arrays")
    return value


class _Machine:
    """The machine that a pickle programs: a stack, marks in it, and a memo.

    Each operation is a method below, as ``pickletools`` describes it, which also splits the program into operations.
    It believes no length beyond the end of the data, so memory is bounded by a few times the data's own size.
    """

    def __init__(
        self, data: bytes, encoding: str, stand_ins: Mapping[tuple[str, str], Any],
        persistent: Callable[[Any], Any] | None,
    ) -> None:  # fmt: skip
        self.data, self.encoding = bytes(data), encoding
        self.persistent = persistent or (lambda name: refuse("a pickle that names something outside itself"))
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.globals = {**_GLOBALS, **stand_ins}
        self.functions = [value for value in stand_ins.values() if callable(value)]
        self.copies_left = 4 * len(data)  # bytes; many arrays may refer to the same memoised bytes

    def run(self) -> Any:
        program = pickletools.genops(self.data)
        opcode, version, _ = next(program)
        if opcode.name != "PROTO" or version not in range(2, 6):
            refuse("not a pickle of protocol 2 to 5")
        for count, (opcode, argument, position) in enumerate(program):
            if count == MAX_OPERATIONS:
                refuse(f"a pickle of more than {MAX_OPERATIONS:,} operations")
            if opcode.name == "STOP":
                if remaining := len(self.data) - (position or 0) - 1:
                    refuse(f"a pickle followed by {remaining} bytes of something else")
                break
            if opcode.name not in _OPERATIONS:
                refuse(f"a pickle with the operation {opcode.name}, which plain values and arrays do not need")
            _OPERATIONS[opcode.name](self, argument)
        value = self.pop()
        if self.stack or self.marked:
            refuse("a pickle that leaves unfinished values")
        return value

    def push_python2(self, text: str) -> None:
        """Push a string of Python 2, whose bytes ``pickletools`` gives as Latin-1."""
        raw = text.encode("latin-1")
        self.push(raw if self.encoding == "bytes" else raw.decode(self.encoding))

    def push_long(self, number: int) -> None:
        if number.bit_length() > _MAX_INTEGER_BITS:
            refuse(f"a pickle with a whole number of {number.bit_length()} bits")
        self.push(number)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop() if self.stack else refuse("a damaged pickle: its stack is empty")

    def last(self, count: int) -> list[Any]:
        return [self.pop() for _ in range(count)][::-1]

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

    def build(self) -> None:
        """BUILD: pop a state, and put the value below it into this state.

        Versions of layers, which torch attaches to a dict of weights, are dropped.
        """
        state = self.pop()
        target = self.stack[-1] if self.stack else None
        if type(target) is dict and type(state) is dict and state.keys() == {"_metadata"}:
            return
        if type(state) is not tuple:
            refuse("a damaged pickle: a state that is no tuple")
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


_PUSHED = (
    "NONE", "BININT1", "BININT2", "BININT", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES",
    "BYTEARRAY8",
)  # fmt: skip
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(_PUSHED, _Machine.push),
    **dict.fromkeys(("SHORT_BINSTRING", "BINSTRING"), _Machine.push_python2),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.put),
    "FRAME": lambda machine, _: None,  # only a hint for buffers
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "LONG1": _Machine.push_long,
    "MARK": lambda machine, _: machine.mark(),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.to_mark()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "SETITEM": lambda machine, _: machine.set_items(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.to_mark()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE": lambda machine, _: machine.tuple_of(machine.to_mark()),
    "TUPLE1": lambda machine, _: machine.tuple_of(machine.last(1)),
    "TUPLE2": lambda machine, _: machine.tuple_of(machine.last(2)),
    "TUPLE3": lambda machine, _: machine.tuple_of(machine.last(3)),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "GLOBAL": lambda machine, names: machine.named(*names.split(" ", 1)),  # no name that is known has a space
    "STACK_GLOBAL": lambda machine, _: machine.named(*machine.last(2)),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.push(machine.persistent(machine.pop())),
}
"""By the names of ``pickletools``; STOP and PROTO are in ``run``."""


def _levels(value: Any) -> int:
    return 1 + max(map(_levels, value), default=0) if type(value) is tuple else 0
