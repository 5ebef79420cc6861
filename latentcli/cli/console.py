"""What a person or a script reads: results on stdout, all else on stderr. The only printing there is."""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcli.errors import GateError, LatentError, UsageError
from latentcli.progress import Advance

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress


@dataclass
class Verbosity:
    """How much a run says; set once per command."""

    quiet: bool = False
    verbose: bool = False
    started: float = field(default_factory=time.monotonic)


verbosity = Verbosity()


def error(problem: LatentError) -> None:
    """An error, on stderr, in at most three lines."""
    print(f"error: {printable(str(problem))}", file=sys.stderr)


def note(text: str) -> None:
    """Something worth knowing that is no result."""
    if not verbosity.quiet:
        print(printable(text), file=sys.stderr)


def detail(text: str) -> None:
    """Something worth knowing for someone who asked with ``-v``."""
    if verbosity.verbose:
        note(text)


def printable(text: str) -> str:
    """The text with control characters escaped: names of files and classes may hold any."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


def watched() -> bool:
    """Whether a person looks at stderr."""
    return sys.stderr.isatty() and not verbosity.quiet and os.environ.get("TERM") != "dumb"


def progress_bar(*fields: str) -> "RichProgress":
    """A bar on stderr with the time left, and the given task fields behind it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ]
    columns += [TextColumn(f"{{task.fields[{name}]}}") for name in fields]
    return Progress(*columns, console=Console(stderr=True), transient=True)


@contextmanager
def progress(doing: str, total: int) -> Iterator[Advance]:
    """A bar for one piece of work when a person is there to see it."""
    if not watched():
        yield lambda count: None
        return
    with progress_bar() as bar:
        task = bar.add_task(doing, total=total)
        yield lambda count: bar.advance(task, count)


def result(
    figures: Mapping[str, Any], *, as_json: bool, written: Sequence[Path | str] = (), to_stderr: bool = False
) -> None:
    """The result of a command: one JSON object for a script, a table for a person.

    Args:
        figures: by name; None, infinite and not-a-number values are left out.
        as_json: which of the two.
        written: the files that hold the rest.
        to_stderr: print the table there, because stdout carries data.
    """
    kept = {name: value for name, value in figures.items() if value is not None and not _infinite(value)}
    kept["seconds"] = round(time.monotonic() - verbosity.started, 3)
    if as_json:
        files = [str(path) for path in written]
        print(json.dumps(kept | ({"written": files} if files else {}), ensure_ascii=False))
        return
    if to_stderr and verbosity.quiet:
        return
    stream = sys.stderr if to_stderr else sys.stdout
    width = max(len(name) for name in kept)
    for name, value in kept.items():
        if name not in ("confusion_matrix", "classes"):
            print(f"{name:<{width}}  {_readable(value)}", file=stream)
    if "confusion_matrix" in kept:
        _print_confusion(kept["confusion_matrix"], kept["classes"], stream)
    if written:
        print(f"{'written':<{width}}  {printable(', '.join(map(str, written)))}", file=stream)


def _print_confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], stream: Any) -> None:
    """Rows are the true classes, columns the predicted ones."""
    if len(classes) > 20:
        print(f"confusion matrix of {len(classes)} classes: see --json or --figures", file=stream)
        return
    labels = [printable(str(name))[:14] for name in classes]
    columns = labels + ([""] if matrix and len(matrix[0]) > len(labels) else [])
    cell = max(5, *(len(label) + 1 for label in labels), *(len(str(count)) + 1 for row in matrix for count in row))
    margin = max(len(label) for label in labels)
    print(f"\n{'true':<{margin}} {'predicted':>{cell}}", file=stream)
    print(" " * margin, "".join(f"{label:>{cell}}" for label in columns), file=stream)
    for label, row in zip(labels, matrix, strict=False):
        print(f"{label:<{margin}}", "".join(f"{count:>{cell}}" for count in row), file=stream)
    print(file=stream)


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _readable(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_readable(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_readable(item) for item in value)
    return printable(str(value))


def parse_gates(gates: Sequence[str] | None) -> dict[str, float]:
    """``name=value`` options as numbers by name.

    Raises:
        UsageError: one is not of that form.
    """
    parsed = {}
    for gate in gates or ():
        name, _, value = gate.partition("=")
        try:
            parsed[name.strip()] = float(value)
        except ValueError:
            raise UsageError(f"--fail-under {gate!r} is not of the form name=number", "such as accuracy=0.95") from None
    return parsed


def check_gates(figures: Mapping[str, Any], gates: Mapping[str, float]) -> None:
    """Hold a result against ``--fail-under``.

    Raises:
        UsageError: the result has no such figure.
        GateError: a figure is lower than its gate.
    """
    numbers = {name: value for name, value in figures.items() if isinstance(value, int | float)}
    for name in gates:
        if name not in numbers:
            raise UsageError(
                f"--fail-under: the result has no figure {name!r}", f"expected one of: {', '.join(numbers)}"
            )
    missed = [f"{name} {numbers[name]:.4f} < {least:g}" for name, least in gates.items() if not numbers[name] >= least]
    if missed:
        raise GateError(f"gate not met: {'; '.join(missed)}")


Report = Callable[[Mapping[str, Any]], None]
