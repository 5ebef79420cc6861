"""Temporary files and folders, which are gone with the run that made them, also where it was killed.

Whoever makes one holds a lock of the operating system on it, which ends with the process. So the next run that writes
the same finds, by its name and without a lock, what a killed one has left, and deletes it. Where a system has no such
locks, nothing is deleted.
"""

import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from latentcli.core.errors import OutputError
from latentcli.formats.regular_files import reason

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Made = TypeVar("Made")

_NAME = re.compile(r"\..{1,40}\.[0-9a-f]{16}\.tmp", re.DOTALL)
_PASSING = "latentcli"  # in names of folders that are never renamed
_seen: dict[Path, list[str]] = {}
"""Names of temporary files in folders, as this process saw them first: a folder of parts is not listed for each."""
_held: set[tuple[int, Path]] = set()
"""Process, and name, of what ``held`` has not seen end."""


def name_beside(path: Path) -> Path:
    """A name beside ``path`` that nobody can guess, short enough where the name of ``path`` is long."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.tmp")


def lasting(path: Path) -> Path:
    """The path with the names that temporary folders in it are to have in the end."""
    return Path(*(part[1:-21] if _NAME.fullmatch(part) else part for part in path.parts))


def is_passing(path: Path) -> bool:
    """Whether it lies in a ``temporary_folder`` of the system's folder for temporary files, and so never lasts."""
    with suppress(OSError, ValueError):
        first, *_ = path.relative_to(tempfile.gettempdir()).parts
        return _NAME.fullmatch(first) is not None and first[1:-21] == _PASSING
    return False


def clear(path: Path) -> None:
    """Delete what killed runs have left beside ``path`` under names of ``name_beside``."""
    if fcntl is None:
        return
    folder = path.parent.absolute()
    left = _seen.get(folder)
    if left is None:
        left = []
        with suppress(OSError), os.scandir(folder) as found:
            left = [each.name for each in found if _NAME.fullmatch(each.name)]
    mine = [name for name in left if name[1:-21] == path.name[:40]]
    _seen[folder] = [name for name in left if name not in mine]
    for name in mine:
        with suppress(OSError):
            _delete_if_left(folder / name)


def _delete_if_left(path: Path) -> None:
    """Delete a file or folder of this user that no process holds; an OSError where that is not so."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)


@contextmanager
def held(path: Path, make: Callable[[Path], Made]) -> Iterator[tuple[Path, Made]]:
    """A new name beside ``path``, and the file or folder that ``make`` makes of it, held until the block ends.

    The block renames or deletes it.
    """
    clear(path)
    while True:
        name = name_beside(path)
        _held.add((os.getpid(), name))
        made = make(name)
        with _lock(name) as is_there:
            if is_there:
                yield name, made
        _held.discard((os.getpid(), name))
        if is_there:
            return


def clear_interrupted() -> None:
    """Delete what this process still holds: an interrupt may fall between any two steps, before its deletion, too."""
    for process, name in [*_held]:
        if process == os.getpid():
            with suppress(OSError):
                shutil.rmtree(name) if name.is_dir() else name.unlink()


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Hold a file or folder that was just made; whether it is still there: another process may have cleared it away."""
    descriptor = -1
    try:
        with suppress(OSError):  # a file system without locks
            if fcntl is not None:
                descriptor = os.open(path, os.O_RDONLY)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield path.exists()
    finally:
        if descriptor >= 0:
            os.close(descriptor)


@contextmanager
def temporary_folder(within: Path | None = None) -> Iterator[Path]:
    """A new folder, for this user alone, which is gone after the block.

    Args:
        within: where; None: in the system's folder for temporary files.

    Raises:
        OutputError: it cannot be made.
    """

    def refused(where: str, error: OSError) -> OutputError:
        problem = f"cannot make a folder for temporary files{where}"
        return OutputError(problem, reason(error), "free space, or name another one: TMPDIR=…")

    def make(folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise refused(f" in {place}", error) from error

    try:
        place = Path(tempfile.gettempdir()) if within is None else within
    except OSError as error:
        raise refused("", error) from error

    with held(place / _PASSING, make) as (folder, _):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
