"""System calls that fail, or in which the process dies: the n-th that changes a file below some folders.

What Python code asks of the system is told to audit hooks, which may raise the system's error in its place: opening a
file to write it, renaming, making a folder, mapping into memory. Of writing and flushing no hook is told; there the
functions of ``os``, and the files that ``open`` makes, are replaced. So faults lie below all that the package calls.
"""

import builtins
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from latentcli.formats import atomic

_WRITING = os.O_WRONLY | os.O_RDWR


@dataclass
class Faults:
    """Counts the system calls that change something below ``folders``, and lets some fail.

    Attributes:
        at: number of the call that fails, from 1; None: none does.
        error: the system's error number; None: the process is killed there, as by SIGKILL.
        lasting: whether all calls after it fail as well, as on a full disk.
        room: bytes that can be written before all calls fail; None: any number.
        calls: what was called, in order.
        hit: what failed, and its path.
    """

    folders: Sequence[Path]
    at: int | None = None
    error: int | None = None
    lasting: bool = False
    room: int | None = None
    calls: list[str] = field(default_factory=list)
    hit: str = ""

    def called(self, name: str, path: str | None, size: int = 0) -> None:
        """Told of each call; raises in its place.

        Args:
            name: of the call.
            path: that it is about; None where it is not known.
            size: bytes to be written.
        """
        if path is None or not any(path == str(each) or path.startswith(f"{each}/") for each in self.folders):
            return
        self.calls.append(name)
        if self.room is not None:
            self.room -= size
        full = self.room is not None and self.room < 0
        count = len(self.calls)
        if full or (self.at is not None and (count == self.at or (self.lasting and count > self.at))):
            self.hit = self.hit or f"{name} {path}"
            if self.error is None:
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                raise OSError(self.error, os.strerror(self.error), path)


_active: list[Faults] = []
_busy = False  # the hook itself asks the system things


def _told(name: str, path: Callable[[], Any], size: int = 0) -> None:
    global _busy
    if not _active or _busy:
        return
    _busy = True
    try:
        found = _name_of(path())
    finally:
        _busy = False
    _active[-1].called(name, found, size)


def _name_of(path: Any) -> str | None:
    """The absolute path, also of a descriptor; None where there is none."""
    if isinstance(path, int):
        try:
            return str(Path(f"/proc/self/fd/{path}").readlink()).removesuffix(" (deleted)")
        except OSError:
            return None
    try:
        return str(Path(os.fsdecode(path)).absolute())
    except (TypeError, ValueError):
        return None


def _audited(event: str, arguments: tuple[Any, ...]) -> None:
    if not _active or _busy:
        return
    if event == "open":
        path, _, flags = arguments
        if not isinstance(path, int) and isinstance(flags, int) and flags & _WRITING:
            _told("open", lambda: path)
    elif event == "os.rename":
        _told("rename", lambda: arguments[1])
    elif event == "os.mkdir":
        _told("mkdir", lambda: arguments[0])
    elif event == "mmap.__new__" and arguments[0] != -1:
        _told("mmap", lambda: arguments[0])


sys.addaudithook(_audited)


class _File(io.FileIO):
    """A file whose writes are told of."""

    def write(self, data: Any) -> int:
        _told("write", self.fileno, memoryview(data).nbytes)
        return super().write(data)


_open = io.open


def _opened(file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
            newline: Any = None, closefd: bool = True, opener: Any = None) -> Any:  # fmt: skip
    """As ``open``, whose files tell of their writes where they are written."""
    if not set(mode) & set("wax+"):
        return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    raw = _File(file, mode.replace("b", "").replace("t", ""), closefd, opener)
    if not buffering:
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    buffered = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
    return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline, buffering == 1)


def _telling(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(descriptor: int, *rest: Any) -> Any:
        _told(name, lambda: descriptor, len(rest[0]) if name == "write" else 0)
        return function(descriptor, *rest)

    return call


@contextmanager
def injected(faults: Faults) -> Iterator[Faults]:
    """Within the block calls of this process are counted, and fail, as ``faults`` says."""
    with ExitStack() as stack:
        for name, function in (("write", "write"), ("write", "pwrite"), ("fsync", "fsync"), ("fsync", "fdatasync")):
            stack.enter_context(mock.patch.object(os, function, _telling(name, getattr(os, function))))
        for module in (io, builtins):
            stack.enter_context(mock.patch.object(module, "open", _opened))
        stack.callback(setattr, atomic._Output, "__bases__", atomic._Output.__bases__)
        atomic._Output.__bases__ = (_File,)
        _active.append(faults)
        stack.callback(_active.pop)
        yield faults
