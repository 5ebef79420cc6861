"""Where the time of a run goes: stages say when they begin and end, and a clock, where there is one, adds them up."""

import time
from collections.abc import Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar

REST = "the rest, such as loading packages"
"""What a clock calls the time outside of all stages."""

_clock: "ContextVar[_Clock | None]" = ContextVar("clock", default=None)


class _Clock:
    """Seconds by stage, each moment counted for the innermost stage alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.running, self.since = [REST], time.monotonic()

    def count(self) -> None:
        """Add the time since the last call to the stage that is running."""
        now = time.monotonic()
        self.seconds[self.running[-1]] = self.seconds.get(self.running[-1], 0.0) + now - self.since
        self.since = now


class stage(ContextDecorator):
    """A part of a run, as a context or as a decorator of the function that it is; costs nothing without a clock.

    Args:
        name: a present participle, such as "reading images"; stages of one name are added up.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        if (clock := _clock.get()) is not None:
            clock.count()
            clock.running.append(self.name)

    def __exit__(self, *exception: object) -> None:
        if (clock := _clock.get()) is not None and len(clock.running) > 1:
            clock.count()
            clock.running.pop()


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """A clock of the stages of a block, in this thread: seconds by name, in the order in which they first stopped.

    The values add up to the time of the block.

    Example:
        >>> with timed() as seconds:
        ...     with stage("counting"):
        ...         _ = sum(range(1000))
        >>> list(seconds)
        ['the rest, such as loading packages', 'counting']
    """
    clock = _Clock()
    token = _clock.set(clock)
    try:
        yield clock.seconds
    finally:
        clock.count()
        _clock.reset(token)
