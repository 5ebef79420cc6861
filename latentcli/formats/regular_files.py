"""Opening files of unknown origin, where a path may lead to a pipe that never ends, or that lie within others."""

import errno
import os
import stat
from dataclasses import dataclass
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import IO, Protocol


class Held(Protocol):
    """A file without a path: in memory, or within another file, such as a tar or a Parquet file."""

    @property
    def name(self) -> str:
        """What it is called, without folders."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    def open(self) -> tuple[IO[bytes], int]:
        """Its content, and the number of bytes; an OSError where it cannot be read."""


File = Path | Held
"""What an image can be read from."""


class Files(Protocol):
    """A folder, or what finds held files by their names in the same way."""

    def __truediv__(self, name: str, /) -> File: ...


@dataclass(frozen=True)
class InMemory:
    """A file that is ``content``; a ``Held``."""

    name: str
    content: bytes

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.content)

    def open(self) -> tuple[IO[bytes], int]:
        """Its bytes, and their number."""
        return BytesIO(self.content), len(self.content)


@dataclass(frozen=True)
class Within:
    """A file that is ``size`` bytes of a regular file from ``start`` on; a ``Held``."""

    name: str
    path: Path
    start: int
    size: int

    def open(self) -> tuple[IO[bytes], int]:
        """Its bytes, copied, and their number."""
        file, _ = open_regular(self.path)
        with file:
            file.seek(self.start)
            content = file.read(self.size)
        if len(content) < self.size:
            raise OSError(errno.EIO, "cut short")
        return BytesIO(content), self.size


def open_regular(path: File) -> tuple[IO[bytes], int]:
    """A regular file, or a symbolic link to one, opened for reading; and its size in bytes. Or a held file.

    FIFOs, sockets and devices are not even opened: that alone may block forever, or have an effect.

    Raises:
        OSError: the file cannot be read, or is not a regular file.
    """
    if not isinstance(path, Path):
        return path.open()
    try:
        _check_regular(path.stat())
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a null byte in the path
        raise OSError(errno.EINVAL, "not a path") from error
    try:
        status = os.fstat(descriptor)  # of the opened file, in case the path was changed meanwhile
        _check_regular(status)
        return os.fdopen(descriptor, "rb"), status.st_size
    except OSError:
        os.close(descriptor)
        raise


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")


def read_into(file: IO[bytes] | BufferedIOBase, target: memoryview) -> int:
    """Fill ``target`` from a file, a megabyte at a time; the number of bytes, fewer where the file ends before."""
    position = 0
    while chunk := file.read(min(2**20, len(target) - position)):
        target[position : position + len(chunk)] = chunk
        position += len(chunk)
    return position


def kind(path: Path) -> int | None:
    """The type of the file that a path leads to, such as ``stat.S_IFDIR``; None if there is none."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):  # also for a text that is too long for a path, or has a null byte
        return None


def reason(error: OSError) -> str:
    """What went wrong, without the path."""
    return error.strerror or str(error)
