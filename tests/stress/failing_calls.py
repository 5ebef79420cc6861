"""Row 5: the n-th write, fsync, rename, mkdir or mmap of every command fails, for every n; or the disk is full from
there on, or takes nothing at all.

Of each call is asked: exit code 6, in a message of three lines at most that says the reason, and every file what it was
before, or what the undisturbed command makes of it. Or the command does without (a log, a cache): then its outputs are
the undisturbed ones, and what is missing was told. Nothing temporary is left.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass

from .commands import COMMANDS, SLOW, SLOWEST, TRAININGS, Listing, Outcome, Place, call, strays
from .faults import Faults, injected
from .trial import Trial

TITLE = "failing system calls"
ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES)


@dataclass(frozen=True)
class Case:
    """A command, and how the system fails in it."""

    command: str
    at: int | None
    error: int
    lasting: bool = False
    room: int | None = None

    def __str__(self) -> str:
        where = f"room for {self.room} bytes" if self.room is not None else f"call {self.at}"
        return f"{self.command}: {where}{' and all others' if self.lasting else ''}, {errno.errorcode[self.error]}"


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Try them.

    Args:
        trial: to tell what was tried.
        place: with the materials.
        fast: whether slow commands are left out.
    """
    for case in trial.cases(cases(trial, place, fast)):
        faults = Faults((place.work, place.kept, place.tmp), case.at, case.error, case.lasting, case.room)
        folder = place.fresh(case.command)
        before = place.listed()
        with injected(faults):
            done = call(COMMANDS[case.command], folder)
        trial.count("calls")
        if faults.hit:
            trial.count(f"failed with {done.code}")
        for what in judged(case, done, before, place.listed(), place.expected(case.command), bool(faults.hit),
                           faults.hit.startswith("mmap")):  # fmt: skip
            trial.fail(f"{case} ({faults.hit.replace(str(place.root), '')}): {what}")


def cases(trial: Trial, place: Place, fast: bool) -> Iterator[Case]:
    """Each system call of each command, with an error drawn for it; some that last; and a disk of sixteen sizes."""
    for command in COMMANDS:
        if fast and command in SLOW:
            continue
        cost = place.cost(command)
        for at in range(1, cost.calls + 1, 8 if command in SLOWEST else 1):
            yield Case(command, at, ERRORS[int(trial.random.integers(len(ERRORS)))])
            if at % 4 == 1:
                yield Case(command, at, ERRORS[at // 4 % len(ERRORS)], lasting=True)
        if command not in SLOWEST:
            yield from (Case(command, None, errno.ENOSPC, room=cost.written * part // 16) for part in range(16))


def judged(
    case: Case, done: Outcome, before: Listing, after: Listing, undisturbed: Listing, hit: bool, mapped: bool
) -> Iterator[str]:
    """What is wrong with how it ended; nothing where all is well."""
    why = os.strerror(case.error)
    allowed = (0, 3, 4, 6) if mapped else (0, 6)  # an input that cannot be mapped is one that cannot be read
    if done.code not in allowed:
        yield f"exit code {done.code}: {done.err.strip()[-600:]}"
        return
    message = done.err[done.err.find("error: ") :] if "error: " in done.err else ""
    if done.code == 6 and (not message or len(message.splitlines()) > 3):
        yield f"no message of at most three lines: {done.err.strip()!r}"
    if done.code == 6 and why not in message and "read-only" not in message:
        yield f"the message does not say why: {message!r}"
    yield from (f"left behind: {name}" for name in strays(after) if name not in before and name not in done.err)
    for name in sorted({*before, *after}):
        now = after.get(name)
        if name.startswith(("cache/", "tmp/")) or name in strays([name]):
            continue
        if name in after and (now == before.get(name) or now == undisturbed.get(name, b"\0")):
            continue
        if name in after and name.endswith(".partial") and done.code and case.command in TRAININGS:
            continue
        if name.endswith(".metrics.jsonl") and now and (undisturbed[name] or b"").startswith(now):  # epochs so far
            continue
        if name in after and "study" in case.command and done.code:  # what is done of it is kept
            continue
        if name in after and done.code and "shards" in case.command and name in undisturbed:
            continue
        yield f"{name} is {'gone' if name not in after else 'neither what it was nor what it is to be'}"
    if done.code == 0 and hit:
        missing = [name for name in undisturbed if after.get(name, b"\0") != undisturbed[name]]
        if missing and why not in done.err:
            yield f"{', '.join(missing)} not as undisturbed, and nothing says so: {done.err.strip()!r}"
