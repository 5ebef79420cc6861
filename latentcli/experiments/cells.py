"""The cells of a study: pieces of work whose results are kept as they finish, so that nothing is computed twice."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentcli.errors import DataError
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
    """The result of an earlier run of the same cell; None when there is none, or it was another piece of work.

    Raises:
        DataError: its file cannot be read.
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
    same = isinstance(kept, dict) and kept.get("fingerprint") == cell.fingerprint
    return kept["result"] if same and isinstance(kept.get("result"), dict) else None


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
    """
    results = []
    for number, cell in enumerate(cells):
        result = finished(folder, cell)
        on_cell(cell, number, result is not None)
        if result is None:
            result = cell.work()
            _file(folder, cell).parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(_file(folder, cell)) as file:
                kept = {"name": cell.name, "identity": cell.identity, "fingerprint": cell.fingerprint, "result": result}
                file.write((json.dumps(kept, indent=1) + "\n").encode())
        results.append(result)
    return results


def _file(folder: Path, cell: Cell) -> Path:
    return folder / "cells" / f"{cell.name}.json"
