"""Files and folders written whole or not at all."""

import errno
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from latentcli.core.errors import OutputError
from latentcli.core.stages import stage
from latentcli.formats.regular_files import kind, reason
from latentcli.formats.temporaries import held, is_passing, lasting


def check_writable(path: Path) -> None:
    """Raise an OutputError, before hours of work, where a file cannot be written or would not be a regular one."""
    if is_stream(path):
        return
    folder, problem = path.parent, f"cannot write {path}"
    if not folder.is_dir():
        there = next(each for each in (folder, *folder.parents) if kind(each) is not None or each == each.parent)
        if kind(there) not in (None, stat.S_IFDIR):
            raise OutputError(problem, f"{there} is a file, and no folder", "name an output elsewhere")
        raise OutputError(problem, f"there is no folder {folder}", f"make it first: mkdir -p {folder}")
    if path.is_symlink():
        raise OutputError(problem, "it is a symbolic link", "remove it, or name the file it points to")
    if path.exists() and not path.is_file():
        raise OutputError(problem, "it exists and is not a regular file", "name another output")
    if not _accepts_files(folder):
        raise OutputError(problem, f"the folder {folder} is read-only", "name an output elsewhere")


def is_stream(path: Path) -> bool:
    """Whether what is written to a path goes on to a reader: a named pipe, a terminal, ``/dev/null``, ``/dev/fd/3``."""
    return kind(path) in (stat.S_IFIFO, stat.S_IFCHR) or _descriptor(path) is not None


def _descriptor(path: Path) -> int | None:
    """The number of the descriptor that a path stands for, such as ``/dev/stdout``, which may be any file; or None."""
    named = {"/dev/stdout": "1", "/dev/stderr": "2"}.get(str(path))
    if named is None and str(path.parent) in ("/dev/fd", "/proc/self/fd"):
        named = path.name
    return int(named) if named is not None and named.isdecimal() and kind(path) is not None else None


def check_folder(path: Path) -> None:
    """Raise an OutputError unless files can be written to a folder, or to the first one above it that exists."""
    above = path
    while not above.exists() and above != above.parent:
        above = above.parent
    if not _accepts_files(above):
        found = f"{above} is not a folder that can be written to"
        raise OutputError(f"cannot write to the folder {path}", found, "name another")


def make_folder(path: Path) -> Path:
    """A folder, made if need be, and those above it; an OutputError if it cannot be made."""
    with output_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def check_new_folder(path: Path) -> None:
    """Raise an OutputError unless the path is an empty folder, or can be made one in the folder above it."""
    problem = f"cannot write the folder {path}"
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise OutputError(problem, "it is not a folder", "name another")
    if path.exists() and any(path.iterdir()):
        raise OutputError(problem, "it exists and is not empty", "remove it, or name another")
    if not path.name:  # nothing can take its place
        raise OutputError(problem, "it is where you are", "name a new one within it")
    if not _accepts_files(path.parent):
        raise OutputError(problem, f"{path.parent} is not a folder that can be written to", "name another")


def _accepts_files(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Raise an OSError of the block, which does nothing but write ``path``, as an OutputError.

    Where that lies in a folder that is temporary so far, the message has the name that this will have.
    """
    try:
        yield
    except OSError as error:
        found, remedy = reason(error), "name another output"
        if error.errno in _NO_SPACE:
            remedy = f"free space, or {remedy}"
        elif error.errno in _NO_FILES and path.parent.is_dir():  # as in /proc, whatever its permissions say
            found, remedy = f"the folder {path.parent} takes no new files: {found}", "name an output elsewhere"
        if is_passing(path):
            problem = f"cannot write to the folder for temporary files {tempfile.gettempdir()}"
            remedy = "free space, or name another one: TMPDIR=…"
            raise OutputError(problem, found, remedy) from error
        raise OutputError(f"cannot write {lasting(path)}", found, remedy) from error


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_FILES = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that replaces ``path`` when the block succeeds, and leaves no trace when it fails.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is renamed
    over ``path``; the folder is flushed last. A reader sees the old file or the new one, never a part.
    What a run that was killed meanwhile has left is deleted by the next one, see ``temporaries``.
    Into a stream, see ``is_stream``, all bytes are written when the block has succeeded.
    An OSError of the block itself, as when its input cannot be read, is raised unchanged.

    Raises:
        OutputError: the file cannot be written: no such folder, no permission, no space.
    """
    path = Path(path)
    check_writable(path)
    if is_stream(path):
        with stage("writing"), tempfile.TemporaryFile() as file:
            yield file
            file.seek(0)
            with output_errors(path), _opened_stream(path) as stream:
                shutil.copyfileobj(file, stream)
        return
    with held(path, lambda name: _Output(name, path)) as (temporary, raw):
        try:
            with stage("writing"), raw, io.BufferedWriter(raw) as file:
                yield file
                file.flush()
                with output_errors(path):
                    os.fsync(file.fileno())
            with output_errors(path):
                temporary.replace(path)
            _flush_folder(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink()


def write_or_rescue(path: Path, write: Callable[[Path], None], what: str) -> None:
    """Write a file; where that fails, write it to the folder for temporary files, so that no work is lost.

    Args:
        path: of the file.
        write: writes it to a path, and raises an OutputError where it cannot.
        what: it holds, for the message.

    Raises:
        OutputError: the file cannot be written; it says where it is.
    """
    try:
        write(path)
    except OutputError as error:
        try:
            rescued = Path(tempfile.mkdtemp(prefix="latentcli-")) / path.name
            write(rescued)
        except (OSError, OutputError):
            raise error from None
        remedy = f"nothing is lost, {what} in {rescued}: make room, and move it to {path}"
        raise OutputError(error.problem, error.found, remedy) from error


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """An empty folder that is renamed to ``path`` when the block succeeds, and leaves no trace when it fails.

    Its files, which the block writes within ``output_errors``, are flushed to the disk first.
    """
    check_new_folder(path)

    def make(folder: Path) -> None:
        with output_errors(path):
            folder.mkdir()

    with held(path, make) as (temporary, _):
        try:
            with stage("writing"):
                yield temporary
            with stage("writing"), output_errors(path):
                with ThreadPoolExecutor(16) as pool:  # since each flush waits for the disk
                    list(pool.map(_flush, filter(Path.is_file, temporary.rglob("*"))))  # the list raises their errors
                _flush_folder(temporary)
                temporary.replace(path)
            _flush_folder(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


class _Output(io.FileIO):
    """A new file that raises OutputErrors naming ``path`` when it cannot be written, whoever writes to it."""

    def __init__(self, temporary: Path, path: Path) -> None:
        self.path = path
        with output_errors(path):
            super().__init__(str(temporary), "xb")  # with the permissions of any new file of this user (umask)

    def write(self, data: Any) -> Any:
        with output_errors(self.path):
            return super().write(data)


def _opened_stream(path: Path) -> IO[bytes]:
    """A stream to write to; a descriptor's own place in its file is kept."""
    number = _descriptor(path)
    return path.open("wb") if number is None else os.fdopen(os.dup(number), "wb")


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot open or flush a folder; the rename is done nevertheless
        _flush(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
