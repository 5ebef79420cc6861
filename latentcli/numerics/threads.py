"""How many threads the numeric libraries start, and how long they wait for each other.

OpenMP's threads spin for each other at the end of every layer, for milliseconds. Where other work runs on the same
processors, the thread that is waited for does not get to run meanwhile, and training slows down many times over. A
short spin costs next to nothing on a quiet machine (``tests/benchmarks/busy_machine.py``). By default as many threads
start as the machine has processors, also in a container that may use half of one.

Both are read from the environment when a library is loaded, so ``settle`` comes before torch; variables that are set
already are left as they are, and processes that are started later inherit all of them.
"""

import math
import os
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import local
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SPINS = 1_000
"""Turns that a thread of GNU OpenMP spins before it sleeps; by default 300,000."""

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
_COUNTING = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT")


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have libraries that are loaded from now on share the machine, unless the environment says how.

    It sets ``GOMP_SPINCOUNT``, and ``OMP_NUM_THREADS`` where a quota allows fewer processors than there are.
    """
    if not any(name in environment for name in _WAITING):
        environment["GOMP_SPINCOUNT"] = str(SPINS)
    if not any(name in environment for name in _COUNTING) and available() < _by_affinity():
        environment["OMP_NUM_THREADS"] = str(available())


def available() -> int:
    """Processors that this process may use, by its affinity and by the quota of its control group; at least 1."""
    quota = cpu_quota()
    return _by_affinity() if quota is None else max(1, min(_by_affinity(), math.ceil(quota)))


def _by_affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(own: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Processors' worth of time that the control groups of this process allow; None where they set no limit.

    ``own`` lists its groups; under ``root`` are those of version 2, and in ``cpu`` those of version 1.
    """
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return None
    quotas: list[float] = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if not controllers:  # version 2
            quotas += _quotas(root, path, "cpu.max")
        elif "cpu" in controllers.split(","):
            quotas += _quotas(root / "cpu", path, "cpu.cfs_quota_us", "cpu.cfs_period_us")
    return min(quotas, default=None)


def _quotas(root: Path, path: str, *files: str) -> Iterator[float]:
    """The limits of a group and of those above it; within a container the own path may not be there."""
    folder = root / path.strip("/")
    for group in (folder, *(parent for parent in folder.parents if parent.is_relative_to(root))):
        try:
            quota, period = map(float, " ".join((group / name).read_text() for name in files).split())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        if quota > 0 and period > 0:
            yield quota / period


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Within the block torch computes on ``count`` threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


MOST_THREADS, FEWEST_ITEMS = 16, 4
"""Of ``side_by_side``: more threads wait for Python's lock, and with fewer items each they wait for one another."""


def side_by_side(
    compute: Callable[[Item], Result], items: Sequence[Item], fewest: int = FEWEST_ITEMS
) -> Iterator[Result]:
    """What ``compute`` makes of each item by numpy, in their order, on as many threads as numpy's products have.

    Each thread gets ``fewest`` items or more: where they are short it would otherwise wait for others.

    Each product then stays on one of these threads, which sleep while they wait. Those of numpy's BLAS spin, and on a
    machine that does other work, too, make a step of EM on small chunks twenty times as slow. What numpy computes
    besides products is divided as well.
    """
    with one_thread_each() as had:
        threads = min(had, MOST_THREADS, len(items) // fewest)
        if threads < 2:
            yield from map(compute, items)
            return
        pool = ThreadPoolExecutor(threads)
        try:
            yield from pool.map(compute, items)
        finally:  # not waited for: whoever collects what was not read to its end may hold the lock of all threads
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Within the block numpy's products stay on the thread that calls them; how many they have outside of it.

    For work of many small products: the threads of a BLAS go on spinning after each, and take the processors from all
    that is done between them.
    """
    had = getattr(_BLOCK, "had", None)
    if had is not None:  # within another block
        yield had
        return
    blas = _blas()
    had = _BLOCK.had = max((library["num_threads"] for library in blas.info()), default=0) or available()
    try:
        with blas.limit(limits=1):
            yield had
    finally:
        _BLOCK.had = None


_BLOCK = local()
"""Of the outermost ``one_thread_each`` of this thread: how many threads products had before it."""


@cache
def _blas() -> Any:
    """The libraries for products of matrices that are loaded; numpy's own always is."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
