"""The cells of a study: pieces of work whose results are kept as they finish, so that nothing is computed twice."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentcli.errors import DataError, UsageError
from latentcli.files import atomic_write, digest, shown

Result = dict[str, Any]
"""Plain numbers, strings and lists by name."""


@dataclass(frozen=True)
class Cell:
    """One piece of work.

    Attributes:
        name: of its file, unlike all others of the study.
        identity: everything that its result depends on, as plain values: another identity is another piece of work.
        work: computes the result.
    """

    name: str
    identity: Mapping[str, Any]
    work: Callable[[], Result]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the identity."""
        return digest({"identity": json.dumps(self.identity, sort_keys=True)})


def finished(folder: Path, cell: Cell) -> Result | None:
    """The result of an earlier run of the same cell; None when there is none.

    Raises:
        DataError: its file cannot be read.
        UsageError: it is the result of another piece of work of the same name, such as one with other settings.
    """
    path = _file(folder, cell)
    try:
        kept = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read {shown(path)}", str(error), "delete it, and its cell is computed again"
        ) from error
    if not (isinstance(kept, dict) and isinstance(kept.get("result"), dict)):
        raise DataError(f"{shown(path)} holds no result", remedy="delete it, and its cell is computed again")
    if kept.get("fingerprint") != cell.fingerprint:
        raise UsageError(
            f"the folder {shown(folder)} holds another study",
            f"{path.name} is of other data, settings or seeds",
            "name another folder: -o DIR",
        )
    return kept["result"]


def run(
    cells: Sequence[Cell], folder: Path, on_cell: Callable[[Cell, int, bool], None] = lambda cell, number, known: None
) -> list[Result]:
    """The results of all cells, in their order; those that are not there yet are computed and kept one by one.

    Args:
        cells: of the study.
        folder: where the results lie; it is made.
        on_cell: called before each cell with its number, from 0, and whether its result is there already.

    Raises:
        OutputError: a result cannot be kept.
        UsageError: the folder holds another study.
    """
    known = [finished(folder, cell) for cell in cells]  # a folder of another study is refused before any work
    results = []
    for number, (cell, result) in enumerate(zip(cells, known, strict=True)):
        on_cell(cell, number, result is not None)
        results.append(compute(cell, folder) if result is None else result)
    return results


def run_side_by_side(
    cells: Sequence[Cell], folder: Path, jobs: int, on_cell: Callable[[Cell, bool], None] = lambda cell, known: None
) -> list[Result]:
    """``run`` in several processes, of one thread each where torch computes on the CPU.

    Args:
        cells: of the study; they do not need one another.
        folder: where the results lie; it is made.
        jobs: how many processes; 1 is this one.
        on_cell: called when a cell is done, with whether its result was there already.

    Raises:
        OutputError: a result cannot be kept.
        UsageError: the folder holds another study.
    """
    from joblib import Parallel, delayed

    known = [finished(folder, cell) for cell in cells]
    for cell, result in zip(cells, known, strict=True):
        if result is not None:
            on_cell(cell, True)
    missing = [number for number, result in enumerate(known) if result is None]
    work = (delayed(_numbered)(number, cells[number], folder) for number in missing)
    for number, result in Parallel(n_jobs=jobs, return_as="generator_unordered")(work):
        known[number] = result
        on_cell(cells[number], False)
    return [result for result in known if result is not None]


def _numbered(number: int, cell: Cell, folder: Path) -> tuple[int, Result]:
    return number, compute(cell, folder)


def compute(cell: Cell, folder: Path, made: Path | None = None) -> Result:
    """The result of a cell, kept; it is computed unless it is there already.

    Args:
        cell: the work.
        folder: where its result is kept.
        made: a file that the work makes beside its result; without it the work is done again.

    Raises:
        OutputError: it cannot be kept.
    """
    result = None if made is not None and not made.exists() else finished(folder, cell)
    if result is None:
        result = cell.work()
        _file(folder, cell).parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(_file(folder, cell)) as file:
            kept = {"name": cell.name, "identity": cell.identity, "fingerprint": cell.fingerprint, "result": result}
            file.write((json.dumps(kept, indent=1) + "\n").encode())
    return result


def _file(folder: Path, cell: Cell) -> Path:
    return folder / "cells" / f"{cell.name}.json"
