"""Work that takes longer than a moment, one piece at a time, beside the page that goes on answering."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

Apply = Callable[[Any], None]
Refuse = Callable[[Exception], None]


class Jobs:
    """Runs work on a thread of its own; what it returns is applied by ``poll``, on the thread that calls that.

    Work that waits is replaced by newer work of the same name: of ten labels given in a second the last one's fit is
    made.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="explore")
        self._waiting: dict[str, tuple[Callable[[], Any], Apply, Refuse]] = {}
        self._running: tuple[str, Future[Any], Apply, Refuse] | None = None

    @property
    def doing(self) -> str:
        """The name of what runs now; "" where nothing does."""
        return "" if self._running is None else self._running[0]

    @property
    def busy(self) -> bool:
        return self._running is not None or bool(self._waiting)

    def submit(self, name: str, work: Callable[[], Any], apply: Apply, refuse: Refuse) -> None:
        """Do this as soon as nothing else is done.

        Args:
            name: what it is, a present participle.
            work: is called on the other thread, and must change nothing that this one reads.
            apply, refuse: called by ``poll`` with what it returned, or with the error that it raised.
        """
        self._waiting.pop(name, None)
        self._waiting[name] = (work, apply, refuse)
        self._begin()

    def poll(self) -> bool:
        """Apply what has ended, and begin what waits; whether anything had ended."""
        if self._running is None or not self._running[1].done():
            return False
        _, future, apply, refuse = self._running
        self._running = None
        error = future.exception()
        if error is None:
            apply(future.result())
        elif isinstance(error, Exception):
            refuse(error)
        else:
            raise error
        self._begin()
        return True

    def finish(self) -> None:
        """Wait for all work, and apply it."""
        while self._running is not None:
            self._running[1].exception()
            self.poll()

    def close(self) -> None:
        """Begin nothing more; what runs may end."""
        self._waiting.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        if self._running is None and self._waiting:
            name = next(iter(self._waiting))
            work, apply, refuse = self._waiting.pop(name)
            self._running = name, self._pool.submit(work), apply, refuse
