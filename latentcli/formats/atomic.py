"""Files and folders written whole or not at all."""

import io
import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from latentcli.core.errors import OutputError
from latentcli.formats.regular_files import reason


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
    if not _accepts_files(folder):
        raise OutputError(f"cannot write {path}", f"the folder {folder} is read-only", "name an output elsewhere")


def check_folder(path: Path) -> None:
    """Refuse a folder that files are to be written to, unless it exists or can be made.

    Raises:
        OutputError: the folder, or the first one above it that exists, is not a folder or is read-only.
    """
    above = path
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir() or not _accepts_files(above):
        raise OutputError(
            f"cannot write to the folder {path}", f"{above} is no folder that can be written to", "name another"
        )


def check_new_folder(path: Path) -> None:
    """Refuse a folder that is to be made, unless it can be made or is empty.

    Raises:
        OutputError: there is something else in its place, or the folder above it is missing or read-only.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise OutputError(f"cannot write the folder {path}", "it is no folder", "name another")
    if path.exists() and any(path.iterdir()):
        raise OutputError(f"cannot write the folder {path}", "it exists and is not empty", "remove it, or name another")
    if not path.parent.is_dir() or not _accepts_files(path.parent):
        raise OutputError(
            f"cannot write the folder {path}", f"{path.parent} is no folder that can be written to", "name another"
        )


def _accepts_files(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """What the system says of writing ``path``, as an OutputError. Nothing but writing belongs into the block."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}", reason(error), "free space, or name another output") from error


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that replaces ``path`` when the block ends well, and leaves no trace when it does not.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is renamed
    over ``path``; the folder is flushed last. A reader sees the old file or the new one, never a part.
    An OSError of the block itself, as when its input cannot be read, passes as it is.

    Raises:
        OutputError: the file cannot be written: no such folder, no permission, no space.
    """
    path = Path(path)
    check_writable(path)
    temporary = _temporary_name(path)
    try:
        with _Output(temporary, path) as raw, io.BufferedWriter(raw) as file:
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


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """An empty folder that takes the place of ``path`` when the block ends well, and leaves no trace when it does not.

    What is in it then is flushed to the disk first. The block writes its files within ``output_errors``.

    Raises:
        OutputError: the folder cannot be made, or there is something in its place that is not an empty folder.
    """
    check_new_folder(path)
    temporary = _temporary_name(path)
    try:
        with output_errors(path):
            temporary.mkdir()
        yield temporary
        with output_errors(path):
            _flush_files(temporary)
            temporary.replace(path)
        _flush_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Output(io.FileIO):
    """A new file, whose failures to take bytes are OutputErrors that name ``path``, whoever writes them."""

    def __init__(self, temporary: Path, path: Path) -> None:
        self.path = path
        with output_errors(path):
            super().__init__(str(temporary), "xb")  # with the mode that the user's mask gives any new file

    def write(self, data: Any) -> Any:
        with output_errors(self.path):
            return super().write(data)


def _temporary_name(path: Path) -> Path:
    """A name beside ``path`` that nobody can guess; the beginning of a long name tells enough."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.tmp")


def _flush_files(folder: Path) -> None:
    """Flush the files of a folder and the folder; side by side, since each waits for the disk by itself."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(_flush, (path for path in folder.rglob("*") if path.is_file())))  # the list raises what they do
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot open or flush a folder; the rename stands all the same
        _flush(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
