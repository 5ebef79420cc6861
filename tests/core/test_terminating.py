"""Signals that end a run: each is heard once, and what was there before comes back, but for a terminal's."""

import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from latentcli.core.terminating import (
    at_first,
    ending,
    interruptible_once,
    interrupts_kept,
    terminable,
    uninterrupted,
)

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


SENT: list[int] = []


def send(number: int) -> None:
    SENT.append(number)
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def received() -> Iterator[list[int]]:
    """The signals that had their usual effect; as a terminal has it, whatever runs these tests ignores."""
    found: list[int] = []
    SENT.clear()
    before = {number: signal.signal(number, lambda number, frame: found.append(number)) for number in NUMBERS}
    handlers = {number: signal.getsignal(number) for number in NUMBERS}
    yield found
    if signal.SIGHUP in SENT:
        handlers[signal.SIGHUP] = signal.SIG_IGN
    assert {number: signal.getsignal(number) for number in NUMBERS} == handlers
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_a_run_interrupts_it(number, received):
    with pytest.raises(KeyboardInterrupt), terminable():
        send(number)
    assert received == []
    send(number)  # behind the block, too, a terminal that was closed ends nothing
    assert received == ([] if number == signal.SIGHUP else [number])


def test_a_second_one_has_its_usual_effect_but_a_terminal_is_closed_once(received):
    heard = []
    with at_first(ending(), lambda: heard.append(True)):
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            send(number)
    assert (heard, received) == ([True], [signal.SIGTERM])


def test_what_nohup_began_outlives_its_terminal(received):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ending() == (signal.SIGTERM,)
        with terminable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_has_to_be_done_is_interrupted_once_at_most(received):
    done = []

    def work() -> None:
        with interruptible_once():
            try:
                send(signal.SIGINT)
            finally:
                send(signal.SIGINT)
                send(signal.SIGTERM)
                done.append("saved")

    with uninterrupted():
        for number in reversed(NUMBERS):
            send(number)
        done.append("whole")
        with pytest.raises(KeyboardInterrupt):
            work()
    assert (done, received) == (["whole", "saved"], [])


class Deleted:
    """Something in whose deletion this is raised."""

    def __init__(self, error):
        self.error = error

    def __del__(self):
        raise self.error


def interrupted_in_a_deletion(seconds):
    with interrupts_kept():
        Deleted(KeyboardInterrupt)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
    pytest.fail("it went on")


@pytest.mark.parametrize("seconds", [0, 60])
def test_an_interrupt_that_falls_into_a_deletion_is_raised_behind_it(capsys, seconds):
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted_in_a_deletion(seconds)
    assert time.monotonic() - began < 30
    assert capsys.readouterr().err == ""


def test_other_errors_of_a_deletion_are_told_as_ever(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with interrupts_kept():
        Deleted(ValueError("odd"))
    assert [each.exc_type for each in told] == [ValueError]
    Deleted(KeyboardInterrupt)
    assert len(told) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_falls_into_an_import_interrupts_behind_it(tmp_path, monkeypatch, number):
    """A library that is interrupted while it is loaded may end the interpreter."""
    monkeypatch.syspath_prepend(tmp_path)
    text = f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(0.05)\nwhole = True\n"
    (tmp_path / "loaded_in_a_moment.py").write_text(text)
    before, began = signal.signal(signal.SIGINT, signal.default_int_handler), time.monotonic()

    def work() -> None:
        importlib.import_module("loaded_in_a_moment")
        time.sleep(60)

    try:
        with pytest.raises(KeyboardInterrupt), interrupts_kept(), terminable():
            work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert sys.modules.pop("loaded_in_a_moment").whole
    assert time.monotonic() - began < 30


def test_a_run_within_an_import_is_interrupted_at_once(tmp_path, monkeypatch):
    """As of a script that another one imports."""
    monkeypatch.syspath_prepend(tmp_path)
    text = "import os, signal, time\nfrom latentcli.core.terminating import terminable\nwith terminable():\n"
    text += "    os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(30)\n"
    (tmp_path / "script_of_a_run.py").write_text(text)
    with pytest.raises(KeyboardInterrupt):
        importlib.import_module("script_of_a_run")


def test_of_what_an_interrupt_leaves_half_done_nothing_is_told(capsys):
    def work() -> None:
        try:
            send(signal.SIGTERM)
            time.sleep(30)
        finally:
            Deleted(ValueError("seek of closed file"))

    with pytest.raises(KeyboardInterrupt), interrupts_kept(), terminable():
        work()
    assert capsys.readouterr().err == ""
