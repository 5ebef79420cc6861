"""Opening files of unknown origin, where a path may lead to a pipe that never ends."""

import errno
import os
import stat
from io import BufferedIOBase
from pathlib import Path
from typing import IO


def open_regular(path: Path) -> tuple[IO[bytes], int]:
    """A regular file, or a symbolic link to one, opened for reading; and its size in bytes.

    FIFOs, sockets and devices are not even opened: that alone may block forever, or have an effect.

    Raises:
        OSError: the file cannot be read, or is not a regular file.
    """
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
