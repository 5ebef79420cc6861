"""Files written whole or not at all, and the SHA-256 that proves them unchanged."""

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from latentcli.core.errors import OutputError


def check_writable(path: Path) -> None:
    """Refuse an output path before hours of work are spent on it.

    Raises:
        OutputError: the folder is missing or read-only, or the path is a folder or a symbolic link.
    """
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {path}", f"there is no folder {folder}", f"make it first: mkdir -p {folder}")
    if path.is_symlink():
        raise OutputError(f"cannot write {path}", "it is a symbolic link", "remove it, or name the file it points to")
    if path.exists() and not path.is_file():
        raise OutputError(f"cannot write {path}", "it exists and is not a regular file", "name another output")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}", f"the folder {folder} is read-only", "name an output elsewhere")


def check_folder(path: Path) -> None:
    """Refuse a folder that files are to be written to, and that neither is there nor can be made.

    Raises:
        OutputError: it, or the first folder above it that exists, is no folder or read-only.
    """
    above = path
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write to the folder {path}", f"{above} is no folder that can be written to", "name another"
        )


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """An empty folder that takes the place of ``path`` when the block ends well, and leaves no trace when it does not.

    Raises:
        OutputError: the folder cannot be made, or there is something in its place that is not an empty folder.
    """
    check_new_folder(path)
    temporary: Path | None = None
    try:
        with _output_errors(path):
            temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
            yield temporary
            temporary.chmod(_mode_of_new_files() | 0o111)
            temporary.replace(path)
            temporary = None
            _flush_folder(path.parent)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def check_new_folder(path: Path) -> None:
    """Refuse a folder that is to be made, and that is there already with something in it, or cannot be made.

    Raises:
        OutputError: as said.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise OutputError(f"cannot write the folder {path}", "it is no folder", "name another")
    if path.exists() and any(path.iterdir()):
        raise OutputError(f"cannot write the folder {path}", "it exists and is not empty", "remove it, or name another")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write the folder {path}", f"{path.parent} is no folder that can be written to", "name another"
        )


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that replaces ``path`` when the block ends well, and leaves no trace when it does not.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is renamed
    over ``path``; the folder is flushed last. A reader sees the old file or the new one, never a part.

    Raises:
        OutputError: the file cannot be written: no such folder, no permission, no space.
    """
    path = Path(path)
    check_writable(path)
    temporary: str | None = None
    try:
        with _output_errors(path):
            descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(_mode_of_new_files())
            Path(temporary).replace(path)
            temporary = None
            _flush_folder(path.parent)
    finally:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink()


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    """What the system says of writing ``path``, as an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {path}", error.strerror or str(error), "free space, or name another output"
        ) from error


def _mode_of_new_files() -> int:
    """What ``open`` would give a new file: mkstemp makes them private, and outputs are to be shared."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot open or flush a folder; the rename stands all the same
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def size_of_regular(path: Path) -> int:
    """Bytes of a file that can be read to its end: to open a FIFO would block, and a device may never end.

    Raises:
        OSError: it is missing, or is no regular file; ``strerror`` says so.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return status.st_size


def shown(path: Path) -> str:
    """The path for a message of one line: as it is, or quoted where a newline or an escape is in it."""
    return str(path) if str(path).isprintable() else repr(str(path))


def is_digest(text: Any) -> bool:
    """Whether this is a SHA-256 as ``digest`` gives it."""
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")


def short(sha256: Any) -> str:
    """The beginning of a SHA-256, for a message."""
    return f"{sha256[:6]}…" if is_digest(sha256) else repr(sha256)[:20]


def digest(content: Mapping[Any, Any]) -> str:
    """SHA-256 of a mapping of arrays and plain values, independent of file format and of key order.

    Arrays enter with dtype, shape and bytes (C order); every other value through its ``repr``; mappings
    and sequences recursively. Lengths go before what they measure, so that no content reads like another.
    """
    sha256 = hashlib.sha256()
    _absorb(sha256, content)
    return sha256.hexdigest()


class DigestInParts:
    """``digest`` of a mapping of arrays that need never be in memory as a whole, given in the order of their names.

    Args:
        count: of arrays.
    """

    def __init__(self, count: int) -> None:
        self.sha256 = hashlib.sha256(b"{%d:" % count)

    def begin(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        """The next array, whose bytes in C order follow by ``update``."""
        _absorb(self.sha256, name)
        self.sha256.update(_header(dtype, shape))

    def update(self, part: bytes | memoryview) -> None:
        """The next bytes of the array that was begun last."""
        self.sha256.update(part)

    def hexdigest(self) -> str:
        """What ``digest`` gives for all of them together."""
        return self.sha256.hexdigest()


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
    elif isinstance(value, np.ndarray):
        sha256.update(_header(value.dtype, value.shape))
        sha256.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data if value.size else b"")
    else:
        text = repr(value).encode()
        sha256.update(b"%d:%s" % (len(text), text))
