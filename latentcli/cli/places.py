"""Files that stand in one another's places: a failed call is looked at once more, and put right where that is known."""

import inspect
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from latentcli.core.errors import LatentError, OutputError, UsageError

_RANKS = {"DATA": 0, "VAL": 0, "VAE.PTH": 1, "GMM_PARAMS": 2}
"""By how arguments begin: which of ``own_files.PLACES`` theirs is."""
_LISTS = ("--classes", "--digits", "--no-label")
_GO_ON = ("--continue-from", "--from")


def put_right(
    problem: LatentError,
    command: str,
    parameters: Sequence[inspect.Parameter],
    arguments: Mapping[str, Any],
    spelled: Mapping[str, str],
) -> LatentError:
    """The error that says which file stands in another's place, and the right call; ``problem`` where none does.

    Args:
        problem: of the call.
        command: as it is called.
        parameters: of the command.
        arguments: by their names.
        spelled: how its options are spelled, by their names.
    """
    from latentcli.artifacts import holds_latents
    from latentcli.formats import own_files

    if isinstance(problem, OutputError):  # what was read was right
        return problem
    values = {metavar: arguments.get(parameter.name) for parameter in parameters if (metavar := _metavar(parameter))}
    slots, more = [*values], arguments.get("more") or []  # of pictures, which are one DATA
    given = [str(value) for value in values.values() if isinstance(value, str | Path)] + [*map(str, more)]
    ranks = [rank for metavar in slots for mark, rank in _RANKS.items() if metavar.startswith(mark)]
    if not given or len(ranks) < len(slots):
        return problem
    of_latents = "LATENTS" in slots[0] and holds_latents(Path(given[0]))
    needed = any(_metavar(each) == "VAE.PTH" and each.default is each.empty for each in parameters)
    if of_latents and 2 in ranks and not needed:  # the classifier stands where the model of images would
        slots = [slot for slot, rank in zip(slots, ranks, strict=True) if rank != 1]
        ranks = [rank for rank in ranks if rank != 1]
    files = list(zip(given[len(more) :], ranks, strict=False))[1 if of_latents else 0 :]
    names = list(own_files.PLACES)
    found = ((name, own_files.misplaced(Path(name), names[rank])) for name, rank in files)
    name, error = next(((name, error) for name, error in found if error is not None), ("", None))
    if error is None:
        return problem
    placed = _in_places(given, slots, ranks, len(more))
    option = next((each for each in spelled.values() if each in _GO_ON), None)
    if error.remedy and option and shlex.quote(name) not in placed:
        return UsageError(error.problem, None, f"to go on from it: {option} {shlex.quote(name)}")
    if placed == [*map(shlex.quote, given)]:  # it has no place in this call
        return error
    right = " ".join([command, *placed, *_options(parameters, arguments, spelled)])
    return UsageError(error.problem, None, right)


def list_apart(line: Sequence[str]) -> UsageError | None:
    """The error that a list has spaces where commas belong, such as ``--digits 1 4 8``; None where it has none.

    Args:
        line: of a failed call, as it was typed.
    """
    from latentcli.data import SOURCES

    for place, option in enumerate(line[:-2]):
        if option in _LISTS:
            rest = [*line[place + 2 :], "-"]
            end = next(row for row, text in enumerate(rest) if text[:1] == "-" or text in SOURCES or _is_there(text))
            more = [text for text in rest[:end] if not Path(text).suffix]
            if more and more == rest[:end]:
                problem = f"{' '.join(more)} behind {option} {line[place + 1]} {'is' if end == 1 else 'are'} no file"
                listed = shlex.quote(",".join([line[place + 1], *more]))
                return UsageError(problem, None, f"a list has commas: {option} {listed}")
    return None


def _is_there(text: str) -> bool:
    from latentcli.formats.regular_files import kind

    return kind(Path(text)) is not None


def _in_places(
    given: Sequence[str], slots: Sequence[str], ranks: Sequence[int], more: int
) -> list[str]:  # fmt: skip
    """The arguments as the shell takes them, each in its place; names of those that are missing, as the help has them.

    Args:
        given: all of them, in any order.
        slots: names of the places.
        ranks: of the files that belong there.
        more: how many pictures stand in the first place beside the first one.
    """
    left = {rank: [name for name in given if _rank(name, slots[0]) == rank] for rank in {*ranks}}
    placed: list[str] = []
    for place, (metavar, rank) in enumerate(zip(slots, ranks, strict=True)):
        count = 1 if place else 1 + more
        taken, left[rank] = left[rank][:count], left[rank][count:]
        placed += map(shlex.quote, taken or [])
        if not taken and place < len(given) - more:
            placed.append(metavar)
    return placed


def _options(
    parameters: Sequence[inspect.Parameter], arguments: Mapping[str, Any], spelled: Mapping[str, str]
) -> list[str]:  # fmt: skip
    """The options of the call that are not as they are by default, nor the environment's, as the shell takes them."""
    written: list[str] = []
    for parameter in parameters:
        (declared,) = getattr(parameter.annotation, "__metadata__", ()) or (None,)
        value = arguments.get(parameter.name)
        if not isinstance(declared, typer.models.OptionInfo) or value is None or value is False:
            continue
        if value == parameter.default or (declared.envvar and os.environ.get(str(declared.envvar)) == str(value)):
            continue
        for each in value if isinstance(value, list) else [value]:
            written += [spelled[parameter.name], *([] if each is True else [shlex.quote(str(each))])]
    return written


def _rank(name: str, first: str) -> int | None:
    """Where an argument of this kind stands among others, of which the first is called so; None where it does not."""
    from latentcli.formats import own_files

    found = own_files.kind_of(Path(name))
    if found == "file of latents" and "LATENTS" not in first:
        return None
    return next((row for row, kinds in enumerate(own_files.PLACES.values()) if row and found in kinds), 0)


def _metavar(parameter: inspect.Parameter) -> str:
    """The name of an argument in the usage line; "" of an option."""
    for declared in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(declared, typer.models.ArgumentInfo):
            return str(declared.metavar or "")
    return ""
