"""Files that stand in one another's places: a failed call is looked at once more, and put right where that is known."""

import inspect
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from latentcli.core.errors import LatentError, UsageError

_RANKS = {"DATA": 0, "VAL": 0, "VAE.PTH": 1, "GMM_PARAMS": 2}
"""By how arguments begin: which of ``own_files.PLACES`` theirs is."""
_GO_ON = ("--continue-from", "--from")


def put_right(
    problem: LatentError,
    command: str,
    parameters: Sequence[inspect.Parameter],
    arguments: Mapping[str, Any],
    options: Collection[str],
) -> LatentError:
    """The error that says which file stands in another's place, and the right call; ``problem`` where none does.

    Args:
        problem: of the call.
        command: as it is called.
        parameters: of the command.
        arguments: by their names.
        options: that it has, as they are spelled.
    """
    from latentcli.formats import own_files

    slots = [(metavar, arguments.get(parameter.name)) for parameter in parameters if (metavar := _metavar(parameter))]
    more = arguments.get("more") or []  # of pictures, which are one DATA
    given = [str(value) for _, value in slots if isinstance(value, str | Path)] + [*map(str, more)]
    ranks = [rank for metavar, _ in slots for mark, rank in _RANKS.items() if metavar.startswith(mark)]
    if not given or len(ranks) < len(slots) or own_files.kind_of(Path(given[0])) == "file of latents":
        return problem
    files = list(zip(given[len(more) :], ranks, strict=False))
    names = list(own_files.PLACES)
    found = ((name, own_files.misplaced(Path(name), names[rank])) for name, rank in files)
    name, error = next(((name, error) for name, error in found if error is not None), ("", None))
    if error is None:
        return problem
    right = sorted(given, key=_rank)
    if [_rank(name) for name in right[len(more) :]] == [rank for _, rank in files] and right != given:
        remedy = f"{command} {shlex.join(right)}"
    elif error.remedy and (option := next((each for each in options if each in _GO_ON), None)):
        remedy = f"to go on from it: {option} {shlex.quote(name)}"
    else:
        remedy = " ".join([command, *(metavar for metavar, _ in slots)])
    return UsageError(error.problem, None, remedy)


def _rank(name: str) -> int:
    """Where an argument of this kind stands among the others."""
    from latentcli.formats import own_files

    found = own_files.kind_of(Path(name))
    return next((row for row, kinds in enumerate(own_files.PLACES.values()) if row and found in kinds), 0)


def _metavar(parameter: inspect.Parameter) -> str:
    """The name of an argument in the usage line; "" of an option."""
    for declared in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(declared, typer.models.ArgumentInfo):
            return str(declared.metavar or "")
    return ""
