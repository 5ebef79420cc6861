"""CSV whose text stays text in a spreadsheet, and comes back as it was."""

import math
import string
from collections.abc import Iterable, Sequence

_QUOTE = '"'
_EMPTY = 2 * _QUOTE
"""A row of one empty cell: an empty line would be no row."""

_TO_QUOTE = frozenset(',"\r\n')
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Rows with "\\n" at their ends, their cells escaped by ``escape_formula``.

    ``csv.writer`` would leave a carriage return unquoted, which readers take for the end of a row.
    """
    return "".join(f"{','.join(map(_cell, row)) or _EMPTY}\n" for row in rows)


def _cell(value: object) -> str:
    text = escape_formula(str(value))
    return f'"{text.replace(_QUOTE, 2 * _QUOTE)}"' if _TO_QUOTE & set(text) else text


def escape_formula(cell: str) -> str:
    """The cell as a spreadsheet takes for text, with ' before what it would take for a formula.

    A leading = + - @, tab or return makes a formula. Plain numbers stay as they are: a class may well be called -1.
    What looks escaped already gets another ', so that ``unescape_formula`` gives back any cell.
    """
    return f"'{cell}" if _is_formula(cell.lstrip("'")) else cell


def unescape_formula(cell: str) -> str:
    """What ``escape_formula`` was given."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell.lstrip("'")) else cell


def _is_formula(cell: str) -> bool:
    return cell.startswith(_FORMULA_STARTS) and not _is_number(cell)


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell)) and set(cell) <= set(string.digits + "+-.eE")
    except ValueError:
        return False
