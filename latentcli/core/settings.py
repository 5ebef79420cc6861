"""Settings of configurations: the default, the range and the meaning of each stand in one place, its dataclass.

A field that ``setting`` makes carries its range; ``check`` holds an instance to all of them; ``described`` tells them
to people, with the meaning that the class's docstring gives under "Attributes".
"""

import difflib
import inspect
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from latentcli.core.errors import UsageError


def setting(
    default: Any = MISSING, between: tuple[float, float] | None = None, choices: Sequence[str] = (), none: bool = False
) -> Any:
    """A field of a frozen dataclass with the values that it may have.

    Args:
        default: value of the field; without one it must be given.
        between: lowest and highest number, inclusive; whole numbers where both are.
        choices: the texts it may be.
        none: whether it may also be None.
    """
    return field(default=default, metadata={"between": between, "choices": tuple(choices), "none": none})


def check(config: Any, error: type[UsageError] = UsageError) -> None:
    """Hold each field of a dataclass instance that ``setting`` made to its range.

    Raises:
        UsageError: a value is out of range, of another type, or no choice; or the given error, which is one.
    """
    for each in fields(config):
        value, rule = getattr(config, each.name), each.metadata
        if not rule or (value is None and rule["none"]):
            continue
        if rule["between"] is not None:
            low, high = rule["between"]
            check_number(each.name, value, low, high, error)
        elif rule["choices"] and value not in rule["choices"]:
            raise error(f"unknown {each.name} {value!r}", f"expected one of: {', '.join(rule['choices'])}")
        elif each.type is bool and not isinstance(value, bool):
            raise error(f"{each.name} is {value!r}", "expected true or false")


def check_number(name: str, value: Any, low: float, high: float, error: type[UsageError] = UsageError) -> None:
    """Refuse what is no number in [low, high]; no whole number where both limits are whole.

    Raises:
        UsageError: the value is out of range or of another type; or the given error, which is one.
    """
    whole = isinstance(low, int) and isinstance(high, int)
    kind = int if whole else (int, float)
    if not isinstance(value, kind) or isinstance(value, bool) or not low <= value <= high:
        raise error(
            f"{name} is {value!r}", f"expected {'a whole number' if whole else 'a number'} from {low:g} to {high:g}"
        )


def check_known(names: Iterable[str], known: Collection[str], *listed: str) -> None:
    """Refuse a name that is no setting, and propose the nearest that is one.

    Args:
        names: that were given.
        known: that there are.
        listed: one or two lines that list these; by default one of them all.

    Raises:
        UsageError: a name is unknown.
    """
    for name in sorted(set(names) - set(known)):
        near = difflib.get_close_matches(name, known, 1)
        raise UsageError(
            f"unknown setting {name!r}" + (f"; did you mean {near[0]}?" if near else ""),
            *(listed or [f"expected one of: {', '.join(sorted(known))}"]),
        )


@dataclass(frozen=True)
class Described:
    """What there is to say of one setting.

    Attributes:
        name: of the field.
        kind: what values it has, such as "whole number" or "text".
        range: in words, "" where there is none.
        default: the field's default, None where it has none.
        meaning: in one line.
    """

    name: str
    kind: str
    range: str
    default: Any
    meaning: str


def described(config_class: type, leave_out: Sequence[str] = ()) -> list[Described]:
    """The settings of a configuration, in the order of its fields.

    Args:
        config_class: a dataclass.
        leave_out: names of fields that are no settings.
    """
    meanings = meanings_of(config_class)
    return [
        Described(each.name, _kind(each), _range(each), None if each.default is MISSING else each.default,
                  meanings.get(each.name, ""))
        for each in fields(config_class)
        if each.name not in leave_out
    ]  # fmt: skip


def described_number(name: str, low: float, high: float, none: bool, default: Any, meaning: str) -> Described:
    """What there is to say of a setting that ``check_number`` checks."""
    kind = "whole number" if isinstance(low, int) and isinstance(high, int) else "number"
    return Described(name, kind, f"{low:g} to {high:g}{' or none' if none else ''}", default, meaning)


def meanings_of(config_class: type, section: str = "Attributes") -> dict[str, str]:
    """The lines under a section of the docstrings of a class and of those it is made from, by name."""
    found: dict[str, str] = {}
    for base in reversed(config_class.__mro__):
        documentation = inspect.cleandoc(base.__doc__ or "")
        attributes = re.search(rf"^{section}:\n(.*?)(?=^\S|\Z)", documentation, re.DOTALL | re.MULTILINE)
        for entry in re.finditer(r"^    (\w[\w, ]*): (.*?)(?=^    \w|\Z)", attributes.group(1) if attributes else "",
                                 re.DOTALL | re.MULTILINE):  # fmt: skip
            for name in entry.group(1).split(","):
                found[name.strip()] = " ".join(entry.group(2).replace("``", "").split())
    return found


def _kind(each: "Field[Any]") -> str:
    text = each.type if isinstance(each.type, str) else getattr(each.type, "__name__", str(each.type))
    first = str(text).split("|")[0].strip()
    return {"int": "whole number", "float": "number", "bool": "true or false", "str": "text"}.get(first, first)


def _range(each: "Field[Any]") -> str:
    if not each.metadata:
        return ""
    words = ""
    if each.metadata["between"] is not None:
        low, high = each.metadata["between"]
        words = f"{low:g} to {high:g}"
    elif each.metadata["choices"]:
        words = ", ".join(each.metadata["choices"])
    return f"{words} or none" if each.metadata["none"] and words else words
