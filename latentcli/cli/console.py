"""What a person or a script reads: results on stdout, all else on stderr. The only printing there is."""

import errno
import io
import json
import math
import os
import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, TYPE_CHECKING, Any

from latentcli.core import errors
from latentcli.core.errors import GateError, OutputError, UsageError
from latentcli.core.progress import Advance

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from latentcli.artifacts.tables import Tabular


@dataclass
class Verbosity:
    """How much a run says, what it calls the arguments of the library, and its line as typed; set once per command.

    ``working`` is whether the command has begun: before it only help and the version are printed.
    """

    quiet: bool = False
    verbose: bool = False
    started: float = field(default_factory=time.monotonic)
    spelled: Mapping[str, str] = field(default_factory=dict)
    line: Sequence[str] = ()
    working: bool = False


verbosity = Verbosity()


def open_streams() -> None:
    """Make do with the streams there are: closed ones, as a daemon has them, and those of encodings with few letters.

    A descriptor 0, 1 or 2 that is closed leads nowhere then: otherwise the next file that is opened would get its
    number, and what others print would be written into it. What an encoding lacks is escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (until the process ends)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """The text with control characters escaped: names of files and classes may hold any."""
    return errors.printable(text, keep="\n")


def error(message: str) -> None:
    """An error, on stderr, in at most three lines; of several processes one tells it."""
    from latentcli.core import processes

    if not processes.speaks():
        return
    with suppress(OSError):
        print(f"error: {printable(message)}", file=sys.stderr)


def note(text: str) -> None:
    """Something worth knowing that is no result; nobody need listen."""
    if not verbosity.quiet:
        with suppress(OSError):
            print(printable(text), file=sys.stderr)


def in_options(message: str) -> str:
    """A message of the library with the arguments that it names in backticks as options of the command line."""

    def option(found: re.Match[str]) -> str:
        name, has_value = found.group(1), found.group(2) or ""
        if name in verbosity.spelled:
            return verbosity.spelled[name] + has_value
        return f"--set {name}=…" if "settings" in verbosity.spelled and not has_value else name + has_value

    return re.sub(r"`(\w+)`( is\b)?", option, message)


def notes(texts: Iterable[str]) -> None:
    """Notes of the library, a line each."""
    for text in texts:
        note(in_options(errors.printable(text)))


def warned(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """A warning, as ``warnings.showwarning`` is told it: our own as a note; others help nobody who did not write them.

    Those of numpy, torch and scikit-learn speak of code, and are seen with ``-v``.
    """
    if category.__module__.startswith("latentcli."):
        notes([f"warning: {message}"])
    else:
        detail(f"{category.__name__}: {message}")


def times(seconds: Mapping[str, float]) -> str:
    """Where the time went, as ``timed`` measured it, the longest first; what took less than a hundredth is left out."""
    longest = sorted(seconds.items(), key=lambda item: -item[1])
    told = ", ".join(f"{each:.2f} {name}" for name, each in longest if each >= 0.005)
    return told and f"seconds: {told}"


def detail(text: str) -> None:
    """Something worth knowing for someone who asked with ``-v``."""
    if verbosity.verbose:
        note(text)


def watched() -> bool:
    """Whether a person looks at stderr."""
    return sys.stderr.isatty() and not verbosity.quiet and os.environ.get("TERM") != "dumb"


def progress_bar(*fields: str) -> "RichProgress":
    """A bar on stderr with the time left, and the given task fields behind it."""
    from rich import progress as rich
    from rich.console import Console

    columns: list[str | rich.ProgressColumn] = ["{task.description}", rich.BarColumn(), rich.MofNCompleteColumn()]
    columns += [rich.TimeElapsedColumn(), "left", rich.TimeRemainingColumn()]
    columns += [f"{{task.fields[{name}]}}" for name in fields]
    return rich.Progress(*columns, console=Console(stderr=True), transient=True)


@contextmanager
def progress(doing: str, total: int) -> Iterator[Advance]:
    """A bar for one piece of work when a person is there to see it."""
    if not watched():
        yield lambda count: None
        return
    with progress_bar() as bar:
        task = bar.add_task(doing, total=total)
        yield lambda count: bar.advance(task, count)


def called() -> str:
    """The call, as the shell takes it."""
    return shlex.join(["latentcli", *verbosity.line])


STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Names of standard output as an output."""


def emit(text: str, table: bool = False) -> None:
    """Write to stdout, for a person or a script.

    Args:
        text: what to write.
        table: whether it is CSV, which is UTF-8 whatever the encoding of a terminal.

    Raises:
        OutputError: stdout is closed or full.
        SystemExit: it is a pipe whose reader has what it wanted, such as ``head``: the end, without a word.
    """
    with to_stdout():
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if table and not sys.stdout.isatty() and hasattr(sys.stdout, "buffer"):
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        else:
            sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()


@contextmanager
def to_stdout() -> Iterator[None]:
    """A block that writes to stdout, whose errors are raised as ``emit`` raises them."""
    try:
        yield
    except BrokenPipeError:
        _drop_stdout()
        sys.exit(OutputError.exit_code)
    except OSError as problem:
        _drop_stdout()
        raise OutputError("cannot write to standard output", problem.strerror) from problem


@contextmanager
def table(target: Path | None) -> Iterator[Path | IO[str]]:
    """Where a table is written: a file, or, for None, standard output, which gets it when the block ends well.

    Raises:
        OutputError: standard output is closed or full, or there is no room where its table waits.
    """
    if target is not None:
        yield target
        return
    with TemporaryFile("w+", encoding="utf-8", newline="") as waiting:
        try:
            yield waiting
            waiting.seek(0)
        except OSError as problem:
            if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            found = f"{problem.strerror} in {gettempdir()}, where the table waits for its end"
            raise OutputError("cannot write to standard output", found, "free space, or name a file: -o FILE") from None
        while text := waiting.read(2**20):
            emit(text, table=True)


def _drop_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush does not fail again."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def result(
    metrics: Mapping[str, Any], *, as_json: bool, written: Sequence[Path | str] = (), to_stderr: bool = False
) -> None:
    """The result of a command: one JSON object for a script, a table for a person.

    Args:
        metrics: by name; None, infinite and not-a-number values are left out.
        as_json: which of the two.
        written: the files that hold the rest.
        to_stderr: print the table there, because stdout carries data.
    """
    kept = {name: value for name, value in metrics.items() if value is not None and not _infinite(value)}
    kept["seconds"] = round(time.monotonic() - verbosity.started, 3)
    if as_json:
        files = [str(path) for path in written]
        emit(json.dumps(kept | ({"written": files} if files else {})) + "\n")
        return
    width = max(len(name) for name in kept)
    lines = [f"{name:<{width}}  {readable(value)}" for name, value in kept.items() if name not in NOT_LISTED]
    if "confusion_matrix" in kept:
        lines += confusion_lines(kept["confusion_matrix"], kept["classes"])
    if written:
        lines.append(f"{'written':<{width}}  {printable(', '.join(map(str, written)))}")
    if to_stderr:
        note("\n".join(lines))
    elif sys.stdout is not None or not written:  # else nobody reads, and the files hold what was asked for
        emit("\n".join(lines) + "\n")


def listing(metrics: Mapping[str, Any], found: "Tabular", target: Path | None, as_json: bool) -> None:
    """The result of a command that makes a list: a table, or with ``--json`` in the object, under ``listed``.

    Args:
        metrics: the rest of the result.
        found: the list.
        target: the file to write; None: standard output.
        as_json: whether one JSON object is asked for.
    """
    from latentcli.artifacts import write_table

    if target is not None or not as_json:
        with table(target) as where:
            write_table(found, where)
    names = [name.lower() for name in found.columns]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*found.columns.values(), strict=True)]
    written = [] if target is None else [target]
    result({**metrics, LISTED: rows}, as_json=as_json, written=written, to_stderr=not written and not as_json)


LISTED = "listed"
NOT_LISTED = ("confusion_matrix", "classes", LISTED)
MOST_CLASSES_SHOWN = 20


def confusion_lines(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> list[str]:
    """A confusion matrix as text: rows are the true classes, columns the predicted ones."""
    if len(classes) > MOST_CLASSES_SHOWN:
        return [f"confusion matrix of {len(classes)} classes: see --json or --figures"]
    names = [errors.printable(str(name)) for name in classes]
    labels = [name if len(name) <= 14 else f"{name[:7]}…{name[-6:]}" for name in names]  # often only ends differ
    margin = max(map(len, ["true", *labels]))
    cell = max(4, *map(len, labels), *(len(str(count)) for row in matrix for count in row)) + 1
    rows = [("", labels), *zip(labels, matrix, strict=True)]
    lines = [f"{name:<{margin}} {''.join(f'{each:>{cell}}' for each in row)}" for name, row in rows]
    return ["", f"{'true':<{margin}} {'predicted':>{cell}}", *lines, ""]


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def readable(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if 0 < abs(value) < 5e-5:  # else it would read as nothing
            return f"{value:.1e}"
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{errors.printable(str(name))} {readable(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(readable(item) for item in value)
    return errors.printable(str(value))


FITS = (
    "images", "dimensions", "log_likelihood", "components", "iterations", "rejected", "left_out_accuracy",
    "train_accuracy", "val_accuracy", "epochs", "nearest_neighbours_accuracy", "logistic_regression_accuracy",
)  # fmt: skip
"""What commands report of a fit; models and metrics name their own."""


def _known_metrics() -> set[str]:
    """Metrics that some command may report, and that a gate may ask for."""
    from latentcli.models import FAMILIES
    from latentcli.numerics import metrics

    return {*FITS, *metrics.NAMES, *(name for family in FAMILIES for name in FAMILIES[family].MEASURES)}


def parse_gates(gates: Sequence[str] | None) -> dict[str, float]:
    """``name=value`` options as numbers by name.

    Raises:
        UsageError: one is not of that form.
    """
    parsed = {}
    for gate in gates or ():
        name, _, value = gate.partition("=")
        name = name.strip()
        try:
            parsed[name] = number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(f"--fail-under {gate!r} is not of the form name=number", "such as accuracy=0.95")
        if name not in (known := sorted(_known_metrics())):
            raise UsageError(f"--fail-under: there is no metric {name!r}", f"expected one of: {', '.join(known)}")
    return parsed


def check_gates(metrics: Mapping[str, Any], gates: Mapping[str, float]) -> None:
    """Hold a result against ``--fail-under``.

    Raises:
        UsageError: the result has no such metric.
        GateError: a metric is lower than its gate.
    """
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    for name in (name for name in gates if name not in numbers):
        raise UsageError(f"--fail-under: the result has no metric {name!r}", f"expected one of: {', '.join(numbers)}")
    missed = [f"{name} {numbers[name]:.4f} < {least:g}" for name, least in gates.items() if not numbers[name] >= least]
    if missed:
        raise GateError(f"gate not met: {'; '.join(missed)}")
