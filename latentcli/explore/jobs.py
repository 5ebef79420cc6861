"""Work that takes longer than a moment, beside the page that goes on answering."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

Apply = Callable[[Any], None]
Refuse = Callable[[Exception], None]


@dataclass
class _Lane:
    """Pieces of work that are done one after another, on a thread of their own."""

    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="explore"))
    waiting: dict[str, tuple[Callable[[], Any], Apply, Refuse]] = field(default_factory=dict)
    running: "tuple[str, Future[Any], Apply, Refuse] | None" = None

    def begin(self) -> None:
        if self.running is None and self.waiting:
            name = next(iter(self.waiting))
            work, apply, refuse = self.waiting.pop(name)
            self.running = name, self.pool.submit(work), apply, refuse

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


class Jobs:
    """Does work on two threads, one of them for what takes long; what work returns is applied by ``poll``.

    Work that waits is replaced by newer work of the same name: of ten labels given in a second the last one's fit is
    made.
    """

    def __init__(self) -> None:
        self._lanes = _Lane(), _Lane()

    @property
    def doing(self) -> list[str]:
        """The names of what runs now."""
        return [lane.running[0] for lane in self._lanes if lane.running is not None]

    def submit(
        self, name: str, work: Callable[[], Any], apply: Apply, refuse: Refuse, long: bool = False
    ) -> None:  # fmt: skip
        """Do this as soon as its thread has nothing else to do.

        Args:
            name: what it is, a present participle.
            work: is called on another thread, and must change nothing that this one reads.
            apply, refuse: called by ``poll`` with what it returned, or with the error that it raised.
            long: whether it takes long: nothing that a person waits for waits for it.
        """
        lane = self._lanes[long]
        lane.waiting.pop(name, None)
        lane.waiting[name] = (work, apply, refuse)
        lane.begin()

    def poll(self) -> None:
        """Apply what has ended, on this thread, and begin what waits."""
        for lane in self._lanes:
            lane.poll()

    def finish(self) -> None:
        """Wait for all work, and apply it."""
        while running := [lane.running for lane in self._lanes if lane.running is not None]:
            running[0][1].exception()
            self.poll()

    def close(self) -> None:
        """Begin nothing more; what runs may end."""
        for lane in self._lanes:
            lane.waiting.clear()
            lane.pool.shutdown(wait=False, cancel_futures=True)
