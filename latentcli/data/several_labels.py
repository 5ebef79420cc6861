"""Labels that hold several, such as "cat|dog", in a cell of a table or an entry of an array."""

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from latentcli.core.errors import DataError

_MARK = re.compile(r"[|;,/&+]")
_LONGEST = 2**12  # of a label that may be a list or an object


def several_in_one(
    labels: Iterable[str], name: str, where: str = "cells", known: Collection[str] = ()
) -> list[str]:  # fmt: skip
    """A note on labels such as "cat|dog" that may be several; a DataError where they are: others have each alone.

    Marks between labels may be any of ``|;,/&+``; without each of them alone, bars and semicolons count where some part
    is in another label as well, or where all labels have them. Lists of several, as JSON and Python write them, are
    certain, and so are objects, which are no label.

    Args:
        labels: of all images, "" for none.
        name: of their source, for messages.
        where: what they stand in: "cells" of a table, or "entries" of an array.
        known: names of classes, which are one label each, as if others had them alone.
    """
    counts = Counter(label for label in labels if label)
    parts_of = {label: [part.strip(" '\"") for part in _MARK.split(label.strip("[](){} "))] for label in counts}
    several = {label: parts for label, parts in parts_of.items() if len(parts) > 1 and all(parts)}
    several = {label: parts for label, parts in several.items() if label not in known}
    lists = {label: _value(label) for label in counts if label not in known}
    lists = {label: value for label, value in lists.items() if value is not None}
    for label in (label for label, value in lists.items() if isinstance(value, dict)):
        key = next(iter(lists[label]), "")
        raise DataError(
            f"{name} has an object for a label", f"expected a text or a number, found {label[:80]!r}",
            f"write the value of one of its keys in its place{f', such as that of {key!r}' * bool(key)}",
        )  # fmt: skip
    several |= {label: [str(each) for each in value] for label, value in lists.items()}
    alone = (counts.keys() - several.keys()) | {*known}
    certain = [label for label, parts in several.items() if label in lists or alone.issuperset(parts)]
    of_part = Counter(part for label, parts in parts_of.items() for part in {*parts})
    may_be = [
        label for label, parts in several.items()
        if set("|;") & set(label) and (len(several) == len(counts) or any(of_part[p] > 1 for p in parts))
    ]  # fmt: skip
    if certain:
        label = min(certain)
        found = f"found {label!r}, and {' and '.join(map(repr, several[label]))} alone elsewhere"
        if label in lists:
            found = f"found {label[:80]!r}, a list of {len(several[label])}"
        remedy = f"keep one of them, such as {several[label][0]!r}, or leave such rows out"
        mark = _MARK.search(label)
        if where == "entries" and mark is not None and label not in lists:
            remedy = f"keep one of them, such as the first: [label.split({mark[0]!r})[0] for label in labels]"
        joined = " and ".join(several[label])
        raise DataError(
            f"{name} has several labels in {sum(counts[each] for each in certain)} of {counts.total()} {where}",
            f"expected one label per image, {found}", f"{remedy}; if it is a class of its own, call it {joined!r}",
        )  # fmt: skip
    if not may_be:
        return []
    count = sum(counts[each] for each in may_be)
    return [f"{name}: {count} {where} such as {min(may_be)!r} may be several labels, and were read as one class each"]


def out_of_list(label: str) -> str:
    """The one label of a text that is a list of one, as JSON or Python writes it, or of none; any other as it is."""
    value = _read(label)
    return str(next(iter(value), "")) if isinstance(value, list | tuple | set) and len(value) < 2 else label


def _value(label: str) -> Any:
    """The list of several, or the object, that a text is; None of any other text."""
    value = _read(label)
    if isinstance(value, list | tuple | set) and len(value) > 1:
        return [*value] if not isinstance(value, set) else sorted(map(str, value))
    return value if isinstance(value, dict) else None


def _read(label: str) -> Any:
    """What a text in brackets is as JSON or Python writes it; None of any other text."""
    if len(label) > _LONGEST or not label.startswith(("[", "(", "{")) or not label.endswith(("]", ")", "}")):
        return None
    try:
        return ast.literal_eval(re.sub(r"\bnull\b", "None", label))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
