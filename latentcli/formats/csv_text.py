"""CSV whose cells a spreadsheet never takes for formulas, and which can be read back unchanged."""

import math
import string
from collections.abc import Iterable, Sequence

_QUOTE = '"'
_EMPTY = 2 * _QUOTE  # a row with one empty cell: an empty line would not be read as a row
_TO_QUOTE = frozenset(',"\r\n')
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Rows that end in "\\n", their cells escaped by ``escape_formula``.

    ``csv.writer`` would leave a carriage return unquoted, which readers take for the end of a row.
    """
    return "".join(f"{','.join(map(_cell, row)) or _EMPTY}\n" for row in rows)


def _cell(value: object) -> str:
    text = escape_formula(str(value))
    return f'"{text.replace(_QUOTE, 2 * _QUOTE)}"' if _TO_QUOTE & set(text) else text


def escape_formula(cell: str) -> str:
    """The cell, with ' before it where a spreadsheet would take it for a formula: after = + - @, tab or return.

    Plain numbers stay unchanged, since a class may be called -1. What looks escaped already gets another ', so that
    ``unescape_formula`` gives back any cell.
    """
    return f"'{cell}" if _is_formula(cell.lstrip("'")) else cell


def unescape_formula(cell: str) -> str:
    """What ``escape_formula`` was given."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell.lstrip("'")) else cell


def _is_formula(cell: str) -> bool:
    try:
        number = math.isfinite(float(cell)) and set(cell) <= set(string.digits + "+-.eE")
    except ValueError:
        number = False
    return cell.startswith(_FORMULA_STARTS) and not number
