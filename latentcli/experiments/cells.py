"""The cells of a study: computations whose results are saved as they finish, so that none is done twice."""

import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latentcli.core.errors import DataError, UsageError
from latentcli.core.terminating import end_with, terminable
from latentcli.formats.atomic import atomic_write, make_folder
from latentcli.formats.digests import digest
from latentcli.formats.sealed_json import is_intact, sealed
from latentcli.numerics import allocator

Result = dict[str, Any]
"""Plain numbers, strings and lists by name."""


@dataclass(frozen=True)
class Cell:
    """One computation.

    Attributes:
        name: of its file, unique in the study.
        identity: everything that its result depends on, as plain values.
        work: computes the result.
    """

    name: str
    identity: Mapping[str, Any]
    work: Callable[[], Result]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the identity."""
        return digest({"identity": json.dumps(self.identity, sort_keys=True)})


@dataclass(frozen=True)
class Finished:
    """A cell's result, and the seconds that the work took; 0 if that was not saved."""

    result: Result
    seconds: float


Watch = Callable[[Cell, str, float], None]
"""Is called for each cell that is "kept from before" or "done", with the seconds that its work took; if cells are
computed one after the other, also when one "begins"."""


def unwatched_cell(cell: Cell, event: str, seconds: float) -> None:
    """Ignore the event."""


def finished(folder: Path, cell: Cell) -> Finished | None:
    """The saved result of an earlier run of the same cell; None if there is none.

    Raises:
        DataError: its file cannot be read.
        UsageError: it is the result of a cell of the same name with another identity, such as other settings.
    """
    path = _file(folder, cell)
    try:
        kept = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}", str(error), "delete it, and its cell is computed again") from error
    if not (isinstance(kept, dict) and isinstance(kept.get("result"), dict)):
        raise DataError(f"{path} holds no result", remedy="delete it, and its cell is computed again")
    if not is_intact(kept):
        found = "it is not as it was written"
        raise DataError(f"{path} is damaged", found, "delete it, and its cell is computed again")
    if kept.get("fingerprint") != cell.fingerprint:
        found = f"{path.name} is of other data, settings, seeds or recipes"
        raise UsageError(f"the folder {folder} holds another study", found, "name another folder")
    seconds = kept.get("seconds", 0.0)
    return Finished(kept["result"], seconds if isinstance(seconds, float) else 0.0)


def run(cells: Sequence[Cell], folder: Path, watch: Watch = unwatched_cell, jobs: int = 1) -> list[Result]:
    """The results of all cells, in their order; missing ones are computed, and saved one by one.

    Args:
        cells: of the study, independent of one another.
        folder: of the results, made if need be.
        watch: is told of each cell.
        jobs: number of processes; 1: this one alone.

    Raises:
        OutputError: a result cannot be written.
        UsageError: the folder holds another study.
    """
    from joblib import Parallel, delayed

    known = [finished(folder, cell) for cell in cells]  # a folder of another study is refused before any work
    for cell, found in zip(cells, known, strict=True):
        if found is not None:
            watch(cell, "kept from before", found.seconds)

    def missing() -> Iterator[Any]:
        for number, found in enumerate(known):
            if found is None:
                if jobs == 1:
                    watch(cells[number], "begins", 0.0)
                yield delayed(_numbered)(number, cells[number], folder, os.getpid())

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*have been cancelled", UserWarning)  # after an interrupt
        with terminable(), closing(Parallel(n_jobs=jobs, return_as="generator_unordered")(missing())) as results:
            for number, computed in results:
                known[number] = computed
                watch(cells[number], "done", computed.seconds)
    return [found.result for found in known if found is not None]


def _numbered(number: int, cell: Cell, folder: Path, parent: int) -> tuple[int, Finished]:
    end_with(parent)
    allocator.keep_freed()  # this may be another process than the command's
    return number, compute(cell, folder)


def compute(cell: Cell, folder: Path, made: Path | None = None) -> Finished:
    """A cell's result, loaded if it was saved before, else computed and saved.

    Args:
        cell: to compute.
        folder: of the results.
        made: a file that the work makes beside its result; if it is missing, the work is done again.

    Raises:
        OutputError: the result cannot be written.
    """
    found = None if made is not None and not made.exists() else finished(folder, cell)
    if found is None:
        began = time.monotonic()
        found = Finished(cell.work(), time.monotonic() - began)
        make_folder(_file(folder, cell).parent)
        with atomic_write(_file(folder, cell)) as file:
            names = {"name": cell.name, "identity": cell.identity, "fingerprint": cell.fingerprint}
            file.write((json.dumps(sealed(names | asdict(found)), indent=1) + "\n").encode())
    return found


def _file(folder: Path, cell: Cell) -> Path:
    return folder / "cells" / f"{cell.name}.json"
