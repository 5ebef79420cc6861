"""Processes that do one piece of work together, as ``torchrun`` starts them: which one this is, and sums over all.

Whoever starts them says so in the environment: ``WORLD_SIZE`` processes, of which this is number ``RANK`` in all and
``LOCAL_RANK`` on its machine; they meet at ``MASTER_ADDR`` and ``MASTER_PORT``. Without these there is one process, and
nothing here does anything, or loads torch. All else is sums: of tensors on CUDA through NCCL, of others through gloo.

A process that has ended is noticed at the next sum, and ends all others: ``ProcessLost``.

Source: https://docs.pytorch.org/docs/stable/elastic/run.html and .../distributed.html
"""

import atexit
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.core import device as devices
from latentcli.core.errors import FitError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

PATIENCE = timedelta(minutes=30)
"""How long processes wait for one that has not ended and does not answer, as one that reads from a slower disk."""

SILENCE = 3.0
"""Seconds that the others give the first one to say why all of them end, before another does."""

POLLED = 0.2
"""Seconds between two looks whether all have told what they found."""

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_meeting: Any = None  # torch.distributed.Store, once joined
_speaks: bool | None = None  # once it is decided
_lost = False  # whether another process is
_told = 0  # how often each has told what it found


class ProcessLost(FitError):
    """Another process of this run has ended, or cannot be reached."""


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default


def count() -> int:
    """How many processes do this work together; 1 where nothing in the environment says otherwise."""
    return max(1, _number("WORLD_SIZE", 1)) if all(name in os.environ for name in _NEEDED) else 1


def rank() -> int:
    """The number of this one among them, from 0."""
    return _number("RANK", 0) if count() > 1 else 0


def is_first() -> bool:
    """Whether it is the one that writes files and shows how the work goes."""
    return rank() == 0


def share(rows: int, of: int | None = None) -> slice:
    """Which of so many rows are a process's (None: this one's): contiguous, and nearly as many as each other's.

    Raises:
        UsageError: there are fewer rows than processes.
    """
    number, processes = rank() if of is None else of, count()
    if rows < processes:
        raise UsageError(f"{rows} rows cannot be shared out to {processes} processes", None, f"start at most {rows}")
    return slice(rows * number // processes, rows * (number + 1) // processes)


def check_environment() -> None:
    """Raise a ``UsageError`` where the environment speaks of processes, and makes no sense."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT") if set(_NEEDED) <= set(os.environ) else ():
        if not os.environ.get(name, "0").isdecimal():
            expected = "expected a number, as torchrun sets it"
            raise UsageError(f"{name} is {os.environ[name]!r} in the environment", expected, f"unset {name}")


def join(device: str = "auto") -> None:
    """Meet the others, once; with CUDA each process of a machine takes a device of its own.

    Args:
        device: as ``core.device.resolve`` takes it, without a number.

    Raises:
        UsageError: they do not meet, or there are not enough devices.
    """
    global _meeting
    check_environment()
    if count() == 1 or _meeting is not None:
        return
    import torch
    from torch import distributed

    problem, expected = f"{count()} processes cannot meet", "torchrun starts them so that they do"
    try:
        store, _, _ = next(distributed.rendezvous("env://", timeout=PATIENCE))
        _meeting = distributed.PrefixStore("latentcli", store)
        kind, _, index = device.partition(":")
        if index:
            raise UsageError(
                f"`device` is {device}, and each of {count()} processes takes its own", None, f"leave out :{index}"
            )
        here, there = _number("LOCAL_WORLD_SIZE", 1), torch.cuda.device_count()
        if kind != "cpu" and 0 < there < here:
            raise UsageError(
                f"{here} processes on a machine with {there} CUDA device(s)", "each takes one of its own",
                f"torchrun --nproc-per-node {there}, or the `device` cpu",
            )  # fmt: skip
        own = devices.resolve(kind)
        if own.type == "mps":
            raise UsageError("several processes cannot share Apple's MPS", None, "take the `device` cpu")
        if own.type == "cuda":
            torch.cuda.set_device(own)
        backend = "cpu:gloo,cuda:nccl" if own.type == "cuda" else "gloo"
        with _stdout_kept_clean():
            distributed.init_process_group(
                backend, store=distributed.PrefixStore("group", _meeting), rank=rank(), world_size=count(),
                timeout=PATIENCE,
            )  # fmt: skip
        atexit.register(_part)
    except (RuntimeError, ValueError) as error:
        raise UsageError(problem, str(error).splitlines()[0], expected) from error


@contextmanager
def _stdout_kept_clean() -> Iterator[None]:
    """Drop what libraries that are not Python's write to standard output, as some versions of gloo do."""
    try:
        kept = os.dup(1)
    except OSError:  # there is none
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _part() -> None:
    """Leave the others in order, at the end of the process; where one is lost the rest may never come to that."""
    if not _lost:
        from torch import distributed

        distributed.destroy_process_group()


def speaks() -> bool:
    """Whether this process is the one that says why all of them end: the first, or another where that is silent."""
    global _speaks
    if count() == 1:
        return True
    if _speaks is None:
        _speaks = _is_to_speak()
    return _speaks


def _is_to_speak() -> bool:
    if _meeting is None:  # what went wrong before they met went wrong in all
        return is_first()
    try:
        end = time.monotonic() + (0.0 if is_first() else SILENCE)
        while time.monotonic() < end and not _meeting.check(["spoken"]):
            time.sleep(0.05)
        return bool(_meeting.add("spoken", 1) == 1)
    except RuntimeError:  # nobody knows who has spoken
        return True


def add_up(tensor: "Tensor") -> "Tensor":
    """The sum of this tensor over all processes, in place: the same bytes in each of them.

    Raises:
        ProcessLost: one of them has ended.
    """
    global _lost
    if count() > 1:
        from torch import distributed

        try:
            distributed.all_reduce(tensor)
        except RuntimeError as error:
            _lost = True
            raise ProcessLost(
                f"one of {count()} processes has ended, or cannot be reached", str(error).splitlines()[0][:200]
            ) from error
    return tensor


def summed(array: np.ndarray) -> np.ndarray:
    """The sum of an array over all processes; itself where there is one."""
    if count() == 1:
        return array
    import torch

    return add_up(torch.from_numpy(np.array(array))).numpy()


def gathered(rows: np.ndarray) -> np.ndarray:
    """The rows (n, …) of all processes, in their order; of as many columns in each, and of one type."""
    if count() == 1:
        return rows
    lengths = np.zeros(count(), np.int64)
    lengths[rank()] = len(rows)
    ends = np.cumsum(summed(lengths))
    whole = np.zeros((ends[-1], *rows.shape[1:]), rows.dtype)
    whole[ends[rank()] - len(rows) : ends[rank()]] = rows
    return summed(whole)


def as_first(tensors: "Iterable[Tensor]") -> None:
    """Have all processes go on with the first one's tensors, in place: processors of other makes round otherwise."""
    if count() > 1:
        for tensor in tensors:
            add_up(tensor if is_first() else tensor.zero_())


def any_of(here: bool) -> bool:
    """Whether something holds in one of the processes: all of them decide by it, so all have to ask."""
    return bool(summed(np.array([here], np.int64))[0]) if count() > 1 else here


def together() -> None:
    """Wait until all of them are here."""
    any_of(False)


def told(text: str) -> list[str] | None:
    """What each process has to say at the end of its work, for the first one, which waits for it however long.

    Others need not wait, and get None. One that ends without a word ends all: whoever started them sees to that.
    """
    global _told
    if count() == 1:
        return [text]
    _told += 1  # what was told before stays in the store
    _meeting.set(f"told/{_told}/{rank()}", text)
    if not is_first():
        return None
    keys = [f"told/{_told}/{number}" for number in range(count())]
    while not _meeting.check(keys):
        time.sleep(POLLED)
    return [_meeting.get(key).decode() for key in keys]


def check_alike(what: str) -> None:
    """Refuse to work on unlike things together.

    Args:
        what: all that decides what this process will do.

    Raises:
        UsageError: it is another than the first one's, in this process or in another.
    """
    digests = gathered(np.frombuffer(hashlib.sha256(what.encode()).digest(), np.int64)[None])
    if odd := np.flatnonzero((digests != digests[0]).any(axis=1)).tolist():
        raise UsageError(
            "the processes do not find the same data, settings and state",
            f"what number {', '.join(map(str, odd))} found is not what number 0 found",
            "call all of them alike, on files that all machines see",
        )
