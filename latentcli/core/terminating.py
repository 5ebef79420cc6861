"""Signals that end a run as Ctrl-C does, so that what was done is kept, and told.

They are SIGTERM, as schedulers and ``kill`` send it, and SIGHUP, as a terminal does that is closed; unless it is
ignored, as ``nohup`` has it. Only the main thread of a process can handle signals: in any other nothing here has any
effect.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from types import FrameType

INTERRUPTED = 130
"""The exit code of what an interrupt has ended, as shells have it."""

_PAUSE, _SOON = 0.5, 0.01  # seconds
_HANGUP = getattr(signal, "SIGHUP", None)


def ending() -> tuple[int, ...]:
    """The signals that end a run, besides SIGINT."""
    heard = _HANGUP is not None and signal.getsignal(_HANGUP) is not signal.SIG_IGN
    return (signal.SIGTERM, _HANGUP) if heard and _HANGUP is not None else (signal.SIGTERM,)


@contextmanager
def at_first(numbers: tuple[int, ...], do: Callable[[], None], ignore: bool = False) -> Iterator[None]:
    """Within the block the first of these signals calls ``do``; later ones have their usual effect.

    Args:
        numbers: of the signals.
        do: is called; may raise.
        ignore: whether later ones do nothing. Those of a terminal never do, not behind the block either: it is closed
            once, and tells it often, at any time until the process has ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    closed = False

    def first(number: int) -> None:
        nonlocal closed
        closed = closed or number == _HANGUP
        for each, handler in before.items():
            signal.signal(each, signal.SIG_IGN if ignore or each == _HANGUP else handler)
        do()

    heard = _behind_imports(first)
    for number in before:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if closed and number == _HANGUP else handler)


def _behind_imports(do: Callable[[int], None]) -> Callable[[int, FrameType | None], None]:
    """A handler of signals that calls ``do``, with its number, where nothing is imported that was not by now.

    Libraries that are interrupted while they are loaded end the interpreter. A signal that falls into that is sent
    again a moment later.
    """
    imports = _imports(sys._getframe())

    def heard(number: int, frame: FrameType | None) -> None:
        if _imports(frame) > imports:
            threading.Timer(_SOON, _send_again, [number]).start()
        else:
            do(number)

    return heard


def _imports(frame: FrameType | None) -> int:
    """How many frames of imports there are in what is running."""
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename == "<frozen importlib._bootstrap>"
        frame = frame.f_back
    return count


def _send_again(number: int) -> None:
    if hasattr(signal, "pthread_kill") and (main := threading.main_thread().ident) is not None:
        signal.pthread_kill(main, number)  # which ends what it waits for
    else:  # Windows
        signal.raise_signal(number)


def terminable() -> AbstractContextManager[None]:
    """Within the block the first of ``ending`` raises a ``KeyboardInterrupt``; a second one ends the process."""
    return at_first(ending(), _interrupt)


def interruptible_once() -> AbstractContextManager[None]:
    """Within the block the first signal, SIGINT or one of ``ending``, raises a ``KeyboardInterrupt``, later ones none.

    So what has to be done after it is done.
    """
    return at_first((signal.SIGINT, *ending()), _interrupt, ignore=True)


def uninterrupted() -> AbstractContextManager[None]:
    """Within the block SIGINT and ``ending`` do nothing, for what takes a moment and is to be whole."""
    return at_first((signal.SIGINT, *ending()), lambda: None, ignore=True)


_interrupted = threading.Event()
"""Whether a signal has ended what runs."""


def _interrupt() -> None:
    _interrupted.set()
    raise KeyboardInterrupt


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Within the block SIGINT, if it is not ignored, raises its ``KeyboardInterrupt`` where that ends the run cleanly.

    That is behind an import that it falls into; and even where Python drops it, while it deletes an object: it would
    else only tell that it did, and the run would go on. Of what an interrupt leaves half done nothing is told when it
    is deleted.
    """
    with _whole_imports(), _nothing_dropped():
        yield


@contextmanager
def _whole_imports() -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _behind_imports(lambda number: _interrupt()))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _nothing_dropped() -> Iterator[None]:
    _interrupted.clear()
    tell, waiting = sys.unraisablehook, list[threading.Timer]()

    def interrupt() -> None:
        import ctypes

        main = ctypes.c_ulong(threading.main_thread().ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(main, ctypes.py_object(KeyboardInterrupt))

    def dropped(what: "sys.UnraisableHookArgs") -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            waiting.append(threading.Timer(_SOON, interrupt))  # here it would be dropped again
            waiting[-1].start()
        elif not _interrupted.is_set():
            tell(what)

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = tell
        for timer in waiting:
            timer.join()


@cache  # once in a process
def end_with(parent: int) -> None:
    """End this process, without a word, within a second of its parent's end: a worker does not outlive its command.

    Args:
        parent: its process id; this process's own one does nothing.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PAUSE)
        os._exit(1)

    if parent != os.getpid():
        threading.Thread(target=watch, name="end with parent", daemon=True).start()
