"""Stages: every moment is counted once, for the innermost stage, and nothing is counted where nobody asked."""

import threading
import time

import pytest

from latentcli.core import stages
from latentcli.core.stages import REST, stage, timed


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves by what is added to it alone."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_each_moment_counts_for_the_innermost_stage(clock):
    @stage("inner")
    def inner(seconds):
        clock[0] += seconds

    with timed() as seconds:
        clock[0] += 1
        with stage("outer"):
            clock[0] += 2
            inner(4)
            clock[0] += 8
            inner(16)
        clock[0] += 32
    assert seconds == {REST: 33, "outer": 10, "inner": 20}


def test_an_error_ends_its_stages(clock):
    @stage("failing")
    def fail():
        clock[0] += 1
        raise ZeroDivisionError

    with timed() as seconds:
        with stage("outer"), pytest.raises(ZeroDivisionError):
            fail()
        clock[0] += 2
    assert seconds == {"failing": 1, "outer": 0, REST: 2}


def test_stages_of_other_threads_and_of_nobody_are_not_counted(clock):
    with stage("before"):
        assert stages._clock.get() is None

    def elsewhere():
        with stage("elsewhere"):
            clock[0] += 1

    with timed() as seconds:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert seconds == {REST: 1}
