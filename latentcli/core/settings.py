"""Settings of configurations: each has its default, range and meaning in one place, the configuration's dataclass.

A field made by ``setting`` carries its range; ``check`` enforces all ranges of an instance; ``described`` lists them
for people, with the meanings that the class's docstring gives under "Attributes".
"""

import difflib
import inspect
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from latentcli.core.errors import UsageError


def setting(
    default: Any = MISSING, between: tuple[float, float] | None = None, choices: Sequence[str] = (), none: bool = False,
    several: bool = False,
) -> Any:  # fmt: skip
    """A field of a frozen dataclass, and the values that it may have: numbers, texts, and perhaps None.

    The numbers are ``between`` these, inclusive; two ints allow whole numbers only. ``several`` also allows a tuple of
    them, which is not empty.
    """
    rule = {"between": between, "choices": tuple(choices), "none": none, "several": several}
    return field(default=default, metadata=rule)


def check(config: Any, error: type[UsageError] = UsageError) -> None:
    """Raise ``error`` where a field of a dataclass instance has a value that its ``setting`` does not allow."""
    for each in fields(config):
        value, rule = getattr(config, each.name), each.metadata
        if not rule or (value is None and rule["none"]):
            continue
        if rule["between"] is not None:
            low, high = rule["between"]
            several = rule["several"] and isinstance(value, tuple) and value
            for number in value if several else (value,):
                check_number(f"`{each.name}`", number, low, high, error)
        elif rule["choices"] and value not in rule["choices"]:
            raise error(f"unknown {each.name} {value!r}", f"expected one of: {', '.join(rule['choices'])}")
        elif each.type is bool and not isinstance(value, bool):
            raise error(f"`{each.name}` is {value!r}", "expected true or false")


def check_number(name: str, value: Any, low: float, high: float, error: type[UsageError] = UsageError) -> None:
    """Raise ``error`` unless ``value`` is a number in [low, high]: a whole number where both limits are ints."""
    whole = isinstance(low, int) and isinstance(high, int)
    if not isinstance(value, int if whole else (int, float)) or isinstance(value, bool) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise error(f"{name} is {value!r}", f"expected {kind} from {low:g} to {high:g}")


def check_kind(name: str, value: Any, kind: type) -> None:
    """Raise a ``UsageError`` unless ``value`` is an instance of this class, whose ``MADE_BY`` says where to get one."""
    if not isinstance(value, kind):
        found = f"expected `{kind.__name__}`, found {type(value).__name__}"
        raise UsageError(f"`{name}` is of the wrong type", found, f"make it: {kind.MADE_BY}")  # type: ignore[attr-defined]


def check_known(names: Iterable[str], known: Collection[str], *listed: str) -> None:
    """Raise a ``UsageError`` for a name that is not known; it proposes the nearest one and lists all, or ``listed``."""
    for name in sorted(set(names) - set(known)):
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        lines = listed or (f"expected one of: {', '.join(sorted(known))}",)
        raise UsageError(f"unknown setting {name!r}{hint}", *lines)


@dataclass(frozen=True)
class Described:
    """A setting, described for people."""

    name: str
    kind: str  # of its values, such as "whole number" or "text"
    range: str  # in words, "" where there is none
    default: Any  # None where there is none
    meaning: str  # in one line


def described(
    config_class: type, leave_out: Sequence[str] = (), other_defaults: Mapping[str, Any] | None = None
) -> list[Described]:
    """The settings of a configuration's dataclass in the order of its fields, without those in ``leave_out``."""
    meanings = meanings_of(config_class)
    defaults = {each.name: None if each.default is MISSING else each.default for each in fields(config_class)}
    defaults |= other_defaults or {}
    return [
        Described(each.name, _kind(each), _range(each), defaults[each.name], meanings.get(each.name, ""))
        for each in fields(config_class) if each.name not in leave_out
    ]  # fmt: skip


def meanings_of(config_class: type) -> dict[str, str]:
    """The entries under "Attributes" in the docstrings of a class and its bases, by attribute."""
    found: dict[str, str] = {}
    flags = re.DOTALL | re.MULTILINE
    for base in reversed(config_class.__mro__):
        attributes = re.search(r"^Attributes:\n(.*?)(?=^\S|\Z)", inspect.cleandoc(base.__doc__ or ""), flags)
        entries = attributes.group(1) if attributes else ""
        for names, meaning in re.findall(r"^    (\w[\w, ]*): (.*?)(?=^    \w|\Z)", entries, flags):
            found |= dict.fromkeys(re.split(r",\s*", names), " ".join(meaning.replace("``", "").split()))
    return found


def _kind(each: "Field[Any]") -> str:
    text = each.type if isinstance(each.type, str) else getattr(each.type, "__name__", str(each.type))
    first = str(text).split("|")[0].strip()
    return {"int": "whole number", "float": "number", "bool": "true or false", "str": "text"}.get(first, first)


def _range(each: "Field[Any]") -> str:
    if not each.metadata:
        return ""
    between = each.metadata["between"]
    words = ", ".join(each.metadata["choices"]) if between is None else "{:g} to {:g}".format(*between)
    words += ", one or several" if each.metadata["several"] else ""
    return f"{words} or none" if each.metadata["none"] and words else words
