"""Points to compare: a model family and values of its settings, all combinations of these or some drawn from them."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from latentcli.core.errors import UsageError
from latentcli.core.settings import check_known
from latentcli.formats.digests import digest
from latentcli.models import FAMILIES
from latentcli.training.config import TrainingConfig

MODEL = "model"
"""The name, in place of a setting's, of the model family."""

ALSO_CALLED = {"dimensions": "latent_dim"}
"""What some call a setting, and its name."""

MOST_POINTS = 10_000
LONGEST_NAME = 100  # letters: file systems allow 255 bytes

Over = Mapping[str, Sequence[Any]]
"""Values by the name of their setting; ``model`` is the family."""


@dataclass(frozen=True)
class Point:
    """A model family, and values of those of the settings swept over that it has."""

    family: str
    settings: tuple[tuple[str, Any], ...]

    @property
    def facts(self) -> dict[str, Any]:
        """What a result says of it: numbers as they are, all else as ``--set`` takes it."""
        plain = {name: value if type(value) in (int, float) else spelled(value) for name, value in self.settings}
        return {MODEL: self.family, **plain}

    @property
    def name(self) -> str:
        """Its family and settings, with only characters that suit a file name; no two points have the same."""
        whole = ",".join([self.family, *(f"{name}={spelled(value)}" for name, value in self.settings)])
        plain = "".join(letter if letter.isalnum() or letter in "-_=,.+" else "_" for letter in whole)
        if plain == whole and len(whole) <= LONGEST_NAME:
            return whole
        return f"{plain[:LONGEST_NAME]}-{digest({'name': whole})[:8]}"


def spelled(value: Any) -> str:
    """A value of a setting as ``--set`` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def settings_of(over: Over) -> tuple[str, ...]:
    """The names of the settings that are swept over, without ``model``."""
    return tuple(name for name in _named(over) if name != MODEL)


def points(over: Over, family: str, count: int | None = None, seed: int = 0, fixed: Sequence[str] = ()) -> list[Point]:
    """Points of a grid in its order, in which the last setting changes fastest, and the family most slowly.

    Args:
        over: values of one or more settings; of several families each takes those that it has.
        family: where ``over`` names none.
        count, seed: how many points are drawn by the seed, those of a smaller count among those of a larger one; None:
            all of them, which is also what there is where there are no more.
        fixed: names of settings that are the same for all points.

    Raises:
        UsageError: a family or a setting is unknown, a setting is both swept over and fixed, there are no values, or
            too many points.
    """
    values = _named(over)
    families = values.pop(MODEL, (family,))
    _check(values, families, fixed)
    grids = [(each, {name: values[name] for name in values if name in settable(each)}) for each in families]
    sizes = [math.prod(map(len, grid.values())) for _, grid in grids]
    total = sum(sizes)
    wanted = total if count is None else min(count, total)
    if wanted > MOST_POINTS:
        much = f"there are {wanted:,} points to train"
        raise UsageError(much, f"expected at most {MOST_POINTS:,}", "draw fewer of them: `random`")
    found = []
    for number in drawn(total, wanted, seed):
        which = 0
        while number >= sizes[which]:
            number, which = number - sizes[which], which + 1
        found.append(_point(*grids[which], number))
    return found


def settable(family: str) -> set[str]:
    """Names of the settings that a point of this family takes: those of ``train``, but for the seed."""
    settings: set[str] = FAMILIES[family].Config.settable()
    return settings | _of_training()


def drawn(total: int, count: int, seed: int) -> Sequence[int]:
    """``count`` of the numbers below ``total``, ascending; those of a smaller count among those of a larger one."""
    if count == total:
        return range(total)
    generator, found = random.Random(seed), set[int]()
    while len(found) < count:
        found.add(generator.randrange(total))
    return sorted(found)


def _named(over: Over) -> dict[str, tuple[Any, ...]]:
    """The values by the settings' own names, each once; a list among them, as of levels, as a tuple."""
    named: dict[str, tuple[Any, ...]] = {}
    for given, values in over.items():
        name = ALSO_CALLED.get(given, given)
        if name in named:
            raise UsageError(f"`{name}` is swept over twice", None, "give all of its values at once")
        named[name] = tuple(dict.fromkeys(tuple(each) if isinstance(each, list) else each for each in values))
    return named


def _of_training() -> set[str]:
    return {each.name for each in fields(TrainingConfig)} - {"seed"}


def _check(values: Over, families: Sequence[str], fixed: Sequence[str]) -> None:
    """Raise a ``UsageError`` unless these are settings of one of the families or more."""
    of_models = "; ".join(f"{family}: {', '.join(sorted(FAMILIES[family].Config.settable()))}" for family in families)
    listed = f"of {of_models}", f"of the training: {', '.join(sorted(_of_training()))}"
    if "seed" in (*values, *fixed):
        raise UsageError("`seed` is not a setting of points", "each is trained with as many as `seeds` says")
    check_known([*values, *fixed], set().union(*map(settable, families)), *listed)
    if both := sorted(values.keys() & set(fixed)):
        raise UsageError(f"`{both[0]}` is swept over and has one value for all points", None, "leave one of them out")
    if empty := [name for name in values if not values[name]]:
        raise UsageError(f"there are no values of `{empty[0]}` to sweep over", "expected one or more")
    if not values and len(families) < 2:
        raise UsageError("there is no setting to sweep over", *listed)


def _point(family: str, grid: Over, number: int) -> Point:
    """The point of this number in a family's grid."""
    settings = []
    for name in reversed([*grid]):
        number, place = divmod(number, len(grid[name]))
        settings.append((name, grid[name][place]))
    return Point(family, tuple(reversed(settings)))
