"""Names of shards, and what patterns of them mean."""

import glob
import re
from collections.abc import Sequence
from itertools import product

from latentcli.core.errors import DataError
from latentcli.data import addresses

TARS, PARQUET = (".tar", ".tar.gz", ".tgz"), ".parquet"
SUFFIXES = (*TARS, PARQUET)
WEB = re.compile(r"(https?|ftp)://", re.IGNORECASE)
"""How an address begins that may have a query."""

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
_MOST = 1_000_000  # shards


def is_called_so(text: str) -> bool:
    return _without_query(text).lower().endswith(SUFFIXES)


def _without_query(text: str) -> str:
    return text.partition("?")[0] if WEB.match(text) else text


def is_pattern(text: str) -> bool:
    return bool(re.search(r"[*?]|\[.+\]", _without_query(text)))


def matching(pattern: str) -> list[str]:
    if addresses.is_address(pattern):
        return [each for each in addresses.matching(pattern) if is_called_so(each)]
    return sorted(each for each in glob.glob(pattern, recursive=True) if is_called_so(each))  # noqa: PTH207 (absolute)


def expanded(text: str) -> list[str]:
    """A text for each value in its braces, as the shell means them: numbers from … to, or what stands between commas.

    Raises:
        DataError: they are more than a million.
    """
    literals, choices = _BRACES.split(text)[::2], _BRACES.findall(text)
    values: list[Sequence[str]] = []
    count = 1
    for choice in choices:
        of_range = _RANGE.fullmatch(choice)
        numbers = range(0) if of_range is None else range(int(of_range[1]), int(of_range[2]) + 1)
        count *= len(numbers) if of_range is not None else choice.count(",") + 1
        if count > _MOST or (of_range is not None and not numbers):
            found = "it means none" if count <= _MOST else f"it means more than {_MOST:,}"
            raise DataError(
                f"{addresses.public(text)} is no range of shards", found, "such as shards/{00000..00999}.tar"
            )
        ends = [] if of_range is None else [*of_range.groups()]
        padded = any(len(end) > 1 and end[0] == "0" for end in ends)
        digits = max(map(len, ends)) if padded else 0
        values.append(choice.split(",") if of_range is None else [f"{number:0{digits}d}" for number in numbers])
    made = []
    for chosen in product(*values):
        pieces = [literal + each for literal, each in zip(literals, (*chosen, ""), strict=True)]
        made.append("".join(pieces))
    return made
