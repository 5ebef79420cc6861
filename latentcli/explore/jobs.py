"""Work that takes longer than a moment, beside the page that goes on answering."""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from latentcli.core.progress import Advance

Apply = Callable[[Any], None]
Refuse = Callable[[Exception], None]

FITTING, SAVING, LOOKING = range(3)
"""Where work waits its turn: what a person waits for, what is to be done before the end, and what may be given up."""

PATIENCE = 2.0
"""Seconds at the end that work has to notice it."""


@dataclass
class _Lane:
    """Pieces of work that are done one after another, beside those of other lanes."""

    waiting: dict[str, tuple[Callable[[], Any], Apply, Refuse]] = field(default_factory=dict)
    running: "tuple[str, Future[Any], Apply, Refuse] | None" = None

    def begin(self) -> None:
        if self.running is None and self.waiting:
            name = next(iter(self.waiting))
            work, apply, refuse = self.waiting.pop(name)
            self.running = name, _begun(work), apply, refuse

    def poll(self) -> None:
        if self.running is None or not self.running[1].done():
            return
        _, future, apply, refuse = self.running
        self.running = None
        try:
            error = future.exception()
            if error is None:
                apply(future.result())
            elif isinstance(error, Exception):
                refuse(error)
            else:
                raise error
        finally:
            self.begin()


def _begun(work: Callable[[], Any]) -> "Future[Any]":
    """Work on a thread of its own, for which the end of the program does not wait, as it does for those of a pool."""
    found: Future[Any] = Future()

    def do() -> None:
        try:
            found.set_result(work())
        except BaseException as error:  # whatever it is, ``poll`` raises it
            found.set_exception(error)

    Thread(target=do, name="explore", daemon=True).start()
    return found


class Jobs:
    """Does work on other threads, one for each lane; what work returns is applied by ``poll``.

    Work that waits is replaced by newer work of the same name: of ten labels given in a second the last one's fit is
    made.
    """

    def __init__(self) -> None:
        self._lanes = _Lane(), _Lane(), _Lane()
        self._ended = False

    @property
    def doing(self) -> list[str]:
        """The names of what runs now."""
        return [lane.running[0] for lane in self._lanes if lane.running is not None]

    def submit(
        self, name: str, work: Callable[[], Any], apply: Apply, refuse: Refuse, lane: int = FITTING
    ) -> None:  # fmt: skip
        """Do this as soon as its lane has nothing else to do.

        Args:
            name: what it is, a present participle.
            work: is called on another thread, and must change nothing that this one reads.
            apply, refuse: called by ``poll`` with what it returned, or with the error that it raised.
            lane: ``FITTING``, ``SAVING`` or ``LOOKING``.
        """
        if self._ended:
            return
        of = self._lanes[lane]
        of.waiting.pop(name, None)
        of.waiting[name] = (work, apply, refuse)
        of.begin()

    @contextmanager
    def progress(self, doing: str, total: int) -> Iterator[Advance]:
        """A ``Progress`` of work that is given up at the end."""

        def advance(count: int) -> None:
            if self._ended:
                raise CancelledError

        yield advance

    def poll(self) -> None:
        """Apply what has ended, on this thread, and begin what waits."""
        for lane in self._lanes:
            lane.poll()

    def finish(self, *lanes: int) -> None:
        """Wait for all work, or that of these lanes; apply it, and what has ended of others."""
        self.poll()
        of = [self._lanes[lane] for lane in lanes] or self._lanes
        while running := [lane.running for lane in of if lane.running is not None]:
            running[0][1].exception()
            self.poll()

    def close(self) -> None:
        """Begin nothing more; what runs is given up."""
        self._ended = True
        for lane in self._lanes:
            lane.waiting.clear()
        wait([lane.running[1] for lane in self._lanes if lane.running is not None], PATIENCE)
