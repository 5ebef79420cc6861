"""Row 4: SIGKILL at any moment of every command that writes, half of the times while it writes; and ten kills of one
training, each followed by ``--resume``.

Each output is then what it was or what it is to be. The next run makes the bytes of an undisturbed one, and clears away
what the killed one has left.
"""

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from .commands import COMMANDS, SLOW, SLOWEST, TRAININGS, Listing, Outcome, Place, call, forked, strays
from .faults import Faults, injected
from .trial import Trial

TITLE = "SIGKILL"
KILLS = 10


@dataclass(frozen=True)
class Case:
    """A command, and where it is killed: at this system call, or after this fraction of its time."""

    command: str
    at: int | None = None
    after: float | None = None
    chain: bool = False

    def __str__(self) -> str:
        if self.chain:
            return f"{self.command}: {KILLS} kills"
        return f"{self.command}: at call {self.at}" if self.at else f"{self.command}: after {self.after:.3f} s"


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Kill them."""
    for case in trial.cases(cases(trial, place, fast)):
        if case.chain:
            _chain(trial, place, case)
            continue
        folder = place.fresh(case.command)
        before = place.listed()
        done = _killed(place, case, COMMANDS[case.command])
        if done.code != -signal.SIGKILL:
            if done.code != 0:
                trial.fail(f"{case}: it ended with {done.code}: {done.err}")
            trial.count("ended before")
            continue
        trial.count("kills while a file was written" if case.at else "kills at any moment")
        undisturbed = place.expected(case.command)
        for what in judged(case, before, place.listed(), undisturbed):
            trial.fail(f"{case}: {what}")
        line = COMMANDS[case.command]
        if case.command in TRAININGS and (folder / "new.pth.partial").exists():  # else the old file is no run's
            line += " --resume"
        elif "--folder" in line or "export" in line:
            for name in [name for name in undisturbed if name == "new" and (folder / name).exists()]:
                trial.count("done before it was killed")
                line = f"info {name}" if "--folder" in line else ""
        again = call(line, folder) if line else Outcome(0)
        if again.code:
            trial.fail(f"{case}: the next run ended with {again.code}: {again.err}")
            continue
        _compare(trial, str(case), place.listed(), undisturbed)


def cases(trial: Trial, place: Place, fast: bool) -> Iterator[Case]:
    """As many kills of each command at one of its system calls as at any moment, and a chain of each training."""
    for command in COMMANDS:
        if fast and command in SLOW:
            continue
        cost = place.cost(command)
        count = min(cost.calls, 3 if command in SLOWEST else 12)
        for at in sorted(trial.random.choice(cost.calls, count, replace=False) + 1):
            yield Case(command, at=int(at))
            yield Case(command, after=float(trial.random.uniform(0, cost.seconds)))
        if command in TRAININGS:
            yield Case(command, chain=True)


def _killed(place: Place, case: Case, line: str) -> Outcome:
    if case.at:

        def work() -> Outcome:
            with injected(Faults((place.work, place.kept, place.tmp), at=case.at)):
                return call(line, place.work)

        return forked(work)

    def kill(child: int) -> None:
        def later() -> None:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                return

        timer.append(threading.Timer(case.after or 0.0, later))
        timer[0].start()

    timer: list[threading.Timer] = []
    done = forked(lambda: call(line, place.work), begun=kill)
    timer[0].cancel()
    return done


def _chain(trial: Trial, place: Place, case: Case) -> None:
    """A training that is killed ten times, each time at a system call that is drawn, and goes on."""
    undisturbed = place.expected(case.command)
    place.fresh()
    for _ in range(KILLS):
        at = int(trial.random.integers(1, 40))
        done = _killed(place, Case(case.command, at=at), f"{COMMANDS[case.command]} --resume")
        if done.code not in (0, -signal.SIGKILL):
            trial.fail(f"{case}: it ended with {done.code}: {done.err}")
            return
        trial.count("kills in chains", done.code != 0)
    done = call(f"{COMMANDS[case.command]} --resume", place.work)
    if done.code:
        trial.fail(f"{case}: the last run ended with {done.code}: {done.err}")
    _compare(trial, str(case), place.listed(), undisturbed)


def judged(case: Case, before: Listing, after: Listing, undisturbed: Listing) -> Iterator[str]:
    """What is wrong with what a killed run has left."""
    for name in sorted({*before, *after}):
        mine = name.startswith(("cache/", "tmp/")) or name in strays([name]) or name.endswith(".partial")
        if mine or (name in after and after[name] in (before.get(name, b"\0"), undisturbed.get(name, b"\0"))):
            continue
        if name in after and case.command.startswith(("study", "train", "fit-prior")) and name not in undisturbed:
            continue
        if name.endswith(".metrics.jsonl") and name in after:  # of the epochs so far
            continue
        yield f"{name} is {'gone' if name not in after else 'torn'}"


def _compare(trial: Trial, case: str, after: Listing, undisturbed: Listing) -> None:
    for name in sorted({*after, *undisturbed}):
        if name.startswith("cache/"):
            continue
        if name in strays([name]) or name.startswith("tmp/"):
            trial.fail(f"{case}: {name} is still there after the next run")
        elif name not in after:
            trial.fail(f"{case}: {name} is missing after the next run")
        elif name not in undisturbed or after[name] != undisturbed[name]:
            trial.fail(f"{case}: {name} is not as undisturbed")
