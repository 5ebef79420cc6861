"""One run at a time for each output."""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from latentcli.core.errors import OutputError


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """The right to write ``path``, which no other run has meanwhile, whether in this process or in another.

    The lock is the operating system's, so it ends with the process, however that ends. Its file lies in the user's
    cache folder, under a name made of the output's whole path, and stays there, empty: whoever deletes a lock file
    may delete it from under a run that has just opened it, and then two runs hold "the" lock. Beside the output it
    would be litter. Where there can be no lock, as in a home that is read-only, the block runs without.

    Args:
        path: of a file or a folder, there already or not.

    Raises:
        OutputError: another run is writing it.
    """
    key = hashlib.sha256(os.fsencode(os.path.normcase(path.resolve()))).hexdigest()
    folder = user_cache_path("latentcli") / "locks"
    holder = folder / f"{key}.json"
    lock = FileLock(folder / f"{key}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(
            f"another run is writing {path}", _described(holder), "wait for it, or name another output"
        ) from None
    except (OSError, NotImplementedError):
        yield
        return
    try:
        with suppress(OSError):
            holder.write_text(json.dumps(_this_run()), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _this_run() -> dict[str, str | int]:
    started = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "since": started}


def _described(holder: Path) -> str | None:
    """Which run holds a lock; None where it has not said so yet."""
    try:
        run = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {run['process']} on {run['host']}, since {run['since']}"
    except (OSError, ValueError, TypeError, KeyError):
        return None
