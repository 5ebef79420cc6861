"""An interpreter of pickles for the forty operations that dicts of arrays need; it looks no name up.

What the names in a pickle mean is left to a subclass: the machine alone knows plain values.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn

MOST_OPERATIONS = 1_000_000  # CIFAR-100's training file has some 300,000
DEEPEST = 20
_LONGEST_NAME = 100
_LONGEST_INTEGER = 32  # bytes


class UnsafePickle(ValueError):
    """A pickle is damaged, or holds more than plain values and arrays; the message says what."""


def refuse(reason: str) -> NoReturn:
    """Raise UnsafePickle."""
    raise UnsafePickle(reason)


class PickleMachine(ABC):
    """The machine that a pickle programs: a stack, marks in it, and a memo.

    Each operation is a method below, and does no more than its own line in ``pickletools`` says. A length is never
    believed beyond the end of the data, so memory is bounded by a few times the data's own size.
    """

    def __init__(self, data: bytes, encoding: str) -> None:
        self.data, self.encoding = bytes(data), encoding
        self.position = 0
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        if self.data[:1] != b"\x80" or self.data[1:2] not in (b"\x02", b"\x03", b"\x04", b"\x05"):
            refuse("not a pickle of protocol 2 to 5")
        self.position = 2
        for _ in range(MOST_OPERATIONS):
            code = self.take(1)
            if code == b".":
                break
            operation = _OPERATIONS.get(code)
            if operation is None:
                refuse(f"a pickle with the operation {code!r}, which plain values and arrays do not need")
            operation(self)
        else:
            refuse(f"a pickle of more than {MOST_OPERATIONS:,} operations")
        if self.position != len(self.data):
            refuse(f"a pickle with {len(self.data) - self.position} bytes of something else behind it")
        value = self.pop()
        if self.stack or self.marked:
            refuse("a pickle that leaves unfinished values")
        return value

    # Reading the program

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            refuse("a pickle that is cut short")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.position, self.position + _LONGEST_NAME)
        if end < 0:
            refuse("a pickle with a damaged name")
        return self.take(end + 1 - self.position)[:-1].decode("ascii")

    def python2_string(self, count: int) -> None:
        value = self.take(count)
        self.push(value if self.encoding == "bytes" else value.decode(self.encoding))

    # The stack

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop() if self.stack else refuse("a damaged pickle: its stack is empty")

    def top(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            refuse(f"a damaged pickle: no {kind.__name__} to fill")
        return self.stack[-1]

    def mark(self) -> None:
        if len(self.marked) > DEEPEST:
            refuse(f"a pickle nested deeper than {DEEPEST} levels")
        self.marked.append(self.stack)
        self.stack = []

    def to_mark(self) -> list[Any]:
        if not self.marked:
            refuse("a damaged pickle: no mark")
        items, self.stack = self.stack, self.marked.pop()
        return items

    def tuple_of(self, items: list[Any]) -> None:
        value = tuple(items)
        if _levels(value) > DEEPEST:  # here, not at the end: a million levels take long to make and to undo
            refuse(f"a pickle nested deeper than {DEEPEST} levels")
        self.push(value)

    # The memo

    def put(self, index: int) -> None:
        if index >= MOST_OPERATIONS or not self.stack:
            refuse("a damaged pickle: a memo beyond its end")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        """Give back what is memoised: values that cannot contain others, and tuples of such (shapes)."""
        if index not in self.memo:
            refuse("a damaged pickle: nothing under that number in the memo")
        value = self.memo[index]
        if isinstance(value, dict | list) or (
            isinstance(value, tuple) and any(type(item) is not int for item in value)
        ):
            refuse("a pickle with the same list, dict or tuple in two places")
        self.push(value)

    # Containers

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

    # What makes values that are not plain: for the machine's owner to say

    @abstractmethod
    def named(self, module: Any, name: Any) -> None:
        """GLOBAL, STACK_GLOBAL: push what stands for this name."""

    @abstractmethod
    def reduce(self) -> None:
        """REDUCE: pop arguments and a function, push what a call would give."""

    @abstractmethod
    def build(self) -> None:
        """BUILD: pop a state, and put the value below it into this state."""

    @abstractmethod
    def outside(self) -> None:
        """BINPERSID: pop a name of something outside the pickle, push what it names."""


_Operation = Callable[[PickleMachine], None]

_OPERATIONS: dict[bytes, _Operation] = {
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


def _long(machine: PickleMachine) -> int:
    count = machine.number("<B")
    if count > _LONGEST_INTEGER:
        refuse(f"a pickle with a whole number of {count} bytes")
    return int.from_bytes(machine.take(count), "little", signed=True)


def _text(machine: PickleMachine, form: str) -> str:
    return machine.take(machine.number(form)).decode("utf-8", "surrogatepass")
