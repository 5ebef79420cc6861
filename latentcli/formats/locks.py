"""One run at a time for each output."""

import errno
import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout
from platformdirs import user_cache_path

from latentcli.core.errors import OutputError


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the right to write the file or folder ``path`` while the block runs, against this and other processes.

    The lock is the operating system's, so it ends with the process, even after a crash. Its empty file lies in the
    user's cache folder, so that outputs stay alone, under a hash of the output's path. It is deleted with the lock: a
    run that had just opened it sees that, and takes a new one. Where no lock can be made, as with a read-only home, the
    block runs without.

    Raises:
        OutputError: another run is writing the path.
    """
    key = hashlib.sha256(os.fsencode(os.path.normcase(path.resolve()))).hexdigest()
    folder = user_cache_path("latentcli") / "locks"
    holder, lock = folder / f"{key}.json", _lock(folder / f"{key}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0.1)  # long enough for a second look
    except Timeout:
        remedy = "wait for it, or name another output"
        raise OutputError(f"another run is writing {path}", _described(holder), remedy) from None
    except (OSError, NotImplementedError):
        yield
        return
    try:
        started = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        run = {"process": os.getpid(), "host": socket.gethostname(), "since": started}
        with suppress(OSError):
            holder.write_text(json.dumps(run), encoding="utf-8")
        yield
    finally:
        for file in (holder, Path(lock.lock_file)):
            with suppress(OSError):
                file.unlink(missing_ok=True)
        lock.release()


@contextmanager
def in_turn(lock: Path, waiting: Callable[[], AbstractContextManager[object]]) -> Iterator[None]:
    """Run the block when no other block, of this or another process, holds the same lock file.

    The block may delete the file, where systems let it: a run that had just opened it does not take it for the lock.

    Args:
        lock: path of the file; its folder is made.
        waiting: makes the context within which it waits, where it has to.

    Raises:
        OSError: there can be no lock there.
    """
    held = _lock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire(timeout=0)
        except Timeout:
            with waiting():
                held.acquire()
    except NotImplementedError as error:
        raise OSError(errno.ENOLCK, "the file system knows no locks") from error
    try:
        yield
    finally:
        held.release()


def _lock(path: Path) -> BaseFileLock:
    """A lock of the operating system's or none: a mere file would stay after a crash, for all to wait for."""
    return FileLock(path, fallback_to_soft=False)


def _described(holder: Path) -> str | None:
    """The run that holds a lock; None where it has not written its file yet."""
    try:
        run = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {run['process']} on {run['host']}, since {run['since']}"
    except (OSError, ValueError, TypeError, KeyError):
        return None
