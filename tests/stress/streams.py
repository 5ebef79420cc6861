"""Row 12: streams that are closed, full or read by nobody, terminals of odd kinds and widths, and signals.

Each command is run on real descriptors in a copy of this process. Exit codes are those that are promised; no traceback
and no interpreter's own complaint is on stderr; and what is written to files is what it is otherwise.
"""

import os
import pty
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from latentcli.cli.app import run as run_command

from .commands import COMMANDS, SLOW, Listing, Outcome, Place, forked
from .trial import Trial

TITLE = "streams and signals"

Descriptors = Callable[[], None]


def _null(number: int, flags: int) -> Descriptors:
    def change() -> None:
        os.dup2(os.open(os.devnull, flags), number)

    return change


def _closed(*numbers: int) -> Descriptors:
    return lambda: [os.close(number) for number in numbers] and None


def _full(number: int) -> Descriptors:
    return lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), number) and None


def _unread(number: int) -> Descriptors:
    def change() -> None:
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, number)

    return change


def _both(*changes: Descriptors) -> Descriptors:
    return lambda: [change() for change in changes] and None


STREAMS: dict[str, tuple[Descriptors, tuple[int, ...]]] = {
    "stdin closed": (_closed(0), (0,)), "stdin empty": (_null(0, os.O_RDONLY), (0,)),
    "stdout closed": (_closed(1), (0, 6)), "stderr closed": (_closed(2), (0,)), "both closed": (_closed(1, 2), (0, 6)),
    "all closed": (_closed(0, 1, 2), (0, 6)), "stdout full": (_full(1), (6,)), "stderr full": (_full(2), (0,)),
    "both full": (_both(_full(1), _full(2)), (6,)), "stdout unread": (_unread(1), (6,)),
    "stderr unread": (_unread(2), (0,)), "both unread": (_both(_unread(1), _unread(2)), (6,)),
}  # fmt: skip
"""Changes of the descriptors, and the exit codes that are right then."""

TERMINALS = (
    {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "20"}, {"COLUMNS": "400"}, {"COLUMNS": "0"}, {"COLUMNS": "x"},
    {"TERM": ""}, {"TERM": "nonsense"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"FORCE_COLOR": "1"},
)  # fmt: skip

ON_STDOUT = {
    "classify": "classify photos vae.pth gmm.pkl -o -", "suggest": "suggest unlabelled.npz vae.pth -n 3 -o -",
    "check": "check train.npz vae.pth -o -", "info": "info vae.pth", "info --json": "info vae.pth --json",
    "settings": "settings", "help": "--help", "train --help": "train --help", "version": "--version",
    "cache list": "cache list",
}  # fmt: skip
"""Commands that write to standard output alone."""

SIGNALS = {signal.SIGINT: (130,), signal.SIGTERM: (130,), signal.SIGHUP: (-signal.SIGHUP, 130)}
"""Which exit codes are right: a hang-up ends a process that does not handle it."""


@dataclass(frozen=True)
class Case:
    """A call and what is odd around it."""

    line: str
    command: str | None
    stream: str = ""
    terminal: int | None = None
    number: int = 0
    after: float = 0.0

    def __str__(self) -> str:
        odd = self.stream or (f"on a terminal with {TERMINALS[self.terminal]}" if self.terminal is not None else "")
        return f"{self.line}, {odd or signal.Signals(self.number).name + f' after {self.after:.3f} s'}"


def run(trial: Trial, place: Place, fast: bool = False) -> None:
    """Run them."""
    for case in trial.cases(cases(trial, place, fast)):
        folder = place.fresh()
        before = place.listed()
        told = place.tmp / "told"
        done = _run(case, folder, told)
        trial.count("calls")
        err = done.err + (told.read_bytes().decode("utf-8", "replace") if told.exists() else "")
        told.unlink(missing_ok=True)
        if "Traceback" in err or "Exception ignored" in err:
            trial.fail(f"{case}: {err.strip()[-500:]}")
        right = STREAMS[case.stream][1] if case.stream else (0, *SIGNALS.get(case.number, (0,)))
        if done.code not in right:
            trial.fail(f"{case}: exit code {done.code}, not {right}: {err.strip()[-300:]}")
        for what in _judged(case, done, before, place.listed(), place):
            trial.fail(f"{case}: {what}")


def cases(trial: Trial, place: Place, fast: bool) -> Iterator[Case]:
    """Each odd stream with each command; each terminal with some; signals at moments that are drawn."""
    files = {name: line for name, line in COMMANDS.items() if name not in SLOW}
    for stream in STREAMS:
        for name, line in (files | ON_STDOUT).items():
            yield Case(line, name if name in files and name not in ON_STDOUT else None, stream)
    for terminal in range(len(TERMINALS)):
        for name in ("train", "classify", "encode shards", "fit-graph"):
            yield Case(COMMANDS[name], name, terminal=terminal)
        yield Case("train --help", None, terminal=terminal)
        yield Case("info vae.pth gmm.pkl", None, terminal=terminal)
    for number in (*SIGNALS, signal.SIGTSTP):
        for name, line in files.items():
            for _ in range(1 if fast else 4):
                yield Case(line, name, number=number, after=float(trial.random.uniform(0.0, 0.4)))


def _run(case: Case, folder: Path, told: Path) -> Outcome:
    def work() -> Outcome:
        os.chdir(folder)
        if case.terminal is not None:
            return Outcome(_on_terminal(case, told))
        target = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(target, number)
        os.close(target)
        if case.stream:
            STREAMS[case.stream][0]()
        return Outcome(_call(case.line))

    def signalled(child: int) -> None:
        def send() -> None:
            try:
                while not _hears(child):  # of a busy machine the command has not begun yet
                    time.sleep(0.001)
                time.sleep(case.after)
                os.kill(child, case.number)
                if case.number == signal.SIGTSTP:
                    time.sleep(0.05)
                    os.kill(child, signal.SIGCONT)
            except (ProcessLookupError, FileNotFoundError):
                return

        threading.Thread(target=send, daemon=True).start()

    return forked(work, begun=signalled if case.number else None)


def _hears(child: int) -> bool:
    """Whether a process handles SIGTERM, as each command does from its beginning on."""
    caught = re.search(r"SigCgt:\s+(\w+)", Path(f"/proc/{child}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) >> signal.SIGTERM - 1 & 1)


def _call(line: str) -> int:
    """Run a command on the process's own descriptors, and flush these as an interpreter does that ends."""
    import shlex

    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        try:
            os.fstat(number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        except OSError:
            setattr(sys, name, None)
    code: int = 0
    try:
        run_command(shlex.split(line))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        code = 120
    return code


def _on_terminal(case: Case, told: Path) -> int:
    """Run it on a terminal, whose output goes to a file."""
    child, terminal = pty.fork()
    if not child:
        with mock.patch.dict(os.environ, TERMINALS[case.terminal or 0]):
            os._exit(_call(case.line))
    with told.open("wb") as file:
        while True:
            try:
                data = os.read(terminal, 65_536)
            except OSError:
                break
            if not data:
                break
            file.write(data)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _judged(case: Case, done: Outcome, before: Listing, after: Listing, place: Place) -> Iterator[str]:
    expected = place.expected(case.command) if case.command else {}
    for name in sorted({*before, *after, *expected}):
        if name.startswith(("cache/", "tmp/")):
            continue
        was, now, to_be = (each.get(name, b"\0") for each in (before, after, expected))
        if now in (was, to_be):
            if done.code == 0 and case.command and now != to_be and "--help" not in case.line:
                yield f"{name} was not written"
            continue
        if done.code and (name.endswith((".partial", ".metrics.jsonl")) or "shards" in case.line):
            continue
        if case.command is None and name == "bad_files.csv":
            continue
        yield f"{name} is neither what it was nor what it is to be"
