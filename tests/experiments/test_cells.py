"""Finished work is kept and not done again; other work under the same name is."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from latentcli.core.errors import DataError, UsageError
from latentcli.experiments.cells import Cell, compute, run


def cells(done: list[str], **identity):
    def cell(name):
        def work():
            done.append(name)
            return {"name": name, "value": len(name) / 3}

        return Cell(name, {"of": name} | identity, work)

    return [cell("one"), cell("two"), cell("three")]


class Listening:
    def __init__(self):
        self.said = []

    def __call__(self, cell, event, seconds):
        assert (seconds > 0) == (event != "begins")
        self.said.append(f"{cell.name} {event}")


def test_results_come_in_order_and_are_not_computed_again(tmp_path):
    done, first, again = [], Listening(), Listening()
    plan = cells(done)
    results = run(plan, tmp_path, first)
    assert [result["name"] for result in results] == ["one", "two", "three"]
    assert first.said == ["one begins", "one done", "two begins", "two done", "three begins", "three done"]
    (tmp_path / "cells" / "two.json").unlink()
    assert run(plan, tmp_path, again) == results
    assert done == ["one", "two", "three", "two"]
    assert again.said == ["one kept from before", "three kept from before", "two begins", "two done"]


def test_cells_side_by_side_give_the_same_results(tmp_path):
    plan = [Cell(f"c-{number}", {"of": number}, partial(dict, value=number)) for number in range(5)]
    watch = Listening()
    assert run(plan, tmp_path, watch, jobs=2) == [{"value": number} for number in range(5)]
    assert sorted(watch.said) == [f"c-{number} done" for number in range(5)]


STUDY = """
import os, sys, time
from functools import partial
from pathlib import Path
from latentcli.experiments.cells import Cell, run

def work(folder):
    (folder / "begun").write_text(str(os.getpid()))
    time.sleep(600)

folder = Path(sys.argv[1])
run([Cell(name, {}, partial(work, folder)) for name in ("one", "two")], folder, jobs=2)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="which processes there are is told by /proc")
def test_workers_end_with_the_command_that_was_killed(tmp_path):
    program, end = [sys.executable, "-c", STUDY, str(tmp_path)], time.monotonic() + 60
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not (tmp_path / "begun").exists() or not (tmp_path / "begun").read_text():
                assert time.monotonic() < end
                time.sleep(0.05)
        finally:
            process.kill()
    worker = Path("/proc") / (tmp_path / "begun").read_text() / "cmdline"
    while worker.exists() and worker.read_bytes():  # one that has ended, and whom nobody waited for, has none
        assert time.monotonic() < end, "it still works"
        time.sleep(0.05)


def test_an_interrupted_study_goes_on_with_the_cell_it_stopped_in(tmp_path):
    done = []
    plan = cells(done)

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([plan[0], Cell(plan[1].name, plan[1].identity, stop), plan[2]], tmp_path)
    run(plan, tmp_path)
    assert done == ["one", "two", "three"]


def test_the_folder_of_another_study_is_refused_before_any_work(tmp_path):
    done = []
    run(cells(done, seed=0), tmp_path)
    (tmp_path / "cells" / "one.json").unlink()
    with pytest.raises(UsageError, match="holds another study"):
        run(cells(done, seed=1), tmp_path)
    assert len(done) == 3


def test_what_a_cell_made_is_made_again_where_it_is_gone(tmp_path):
    done, made = [], tmp_path / "made"
    cell = cells(done)[0]
    for existing, expected in ((False, 1), (True, 1), (False, 2)):
        made.touch() if existing else made.unlink(missing_ok=True)
        compute(cell, tmp_path, made)
        assert len(done) == expected


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"{}"])
def test_a_damaged_result_is_named(tmp_path, content):
    run(cells([]), tmp_path)
    (tmp_path / "cells" / "two.json").write_bytes(content)
    with pytest.raises(DataError, match="delete it"):
        run(cells([]), tmp_path)


@pytest.mark.parametrize("content", [[1], {}, {"fingerprint": 3}, {"result": {"value": 1}}])
def test_what_is_no_result_of_the_cell_is_never_taken_for_one(tmp_path, content):
    run(cells([]), tmp_path)
    (tmp_path / "cells" / "two.json").write_text(json.dumps(content))
    with pytest.raises((DataError, UsageError)):
        run(cells([]), tmp_path)


def test_sigterm_interrupts_a_study_as_ctrl_c_does(tmp_path):
    before = signal.getsignal(signal.SIGTERM)

    def stopped():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        run([Cell("a", {}, stopped)], tmp_path)
    assert signal.getsignal(signal.SIGTERM) == before
