"""Tables that are JSON, or a line of JSON for each row, as ``csv_text`` has those that are CSV."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from latentcli.core.errors import DataError
from latentcli.formats.csv_text import FILE_COLUMNS, Table, columns_called, escape_formula, text_of

SUFFIXES = (".json", ".jsonl", ".ndjson")

_PAIR, _ALONE = ("File", "Label"), ("Label",)
_FORMS = 'expected {"cat/1.png": "cat"}, [{"file": "cat/1.png", "label": "cat"}], or a line of such for each'
_COCO = {"images", "annotations", "categories"}


def read_json_table(path: Path, is_header: Callable[[Sequence[str]], bool]) -> Table:
    """A table of one of these forms, of which the keys are the header.

    An object of a label, or of an object, for each file; one of a list, or of an object, for each column, as pandas
    writes it; one of a list of files for each class; a list, or lines, of objects, of pairs of a file and its label, or
    of labels alone; or an object that holds nothing but one of these.

    Args:
        path: of the table.
        is_header: whether these cells are the header of such a table as is wanted.

    Raises:
        DataError: the file cannot be read, is no JSON, names a file twice, or holds none of these.
    """
    text, encoding = text_of(path)
    value = _parsed(text, path)
    while isinstance(value, dict) and len(value) == 1 and _holds_rows(inner := next(iter(value.values())), is_header):
        value = inner
    if isinstance(value, dict) and {*value} >= _COCO:
        raise DataError(f"{path} is of objects in images, as COCO has them", _FORMS, _from_coco(path))
    header, rows = _of_object(value, is_header) if isinstance(value, dict) else _of_list(value)
    if not rows or not (is_header(header) or columns_called(header, FILE_COLUMNS)):
        found = f"found {', '.join(map(repr, header[:8] or [text[:40].strip()]))}"
        remedy = "call the keys of files and of labels so, or write a CSV table File,Label"
        raise DataError(f"{path} is not a table of labels", f"{_FORMS}, {found}", remedy)
    cells = [(number, [escape_formula(_cell(each)) for each in row]) for number, row in enumerate(rows, 1)]
    return Table(header, 0, cells, ",", encoding)


def _holds_rows(value: Any, is_header: Callable[[Sequence[str]], bool]) -> bool:
    """Whether a value is a table, and no cells of one row."""
    if isinstance(value, dict):
        return bool(value) and not is_header([*value])
    return isinstance(value, list) and any(isinstance(each, list | dict) for each in value)


def _parsed(text: str, path: Path) -> Any:
    """The value of a text that is JSON, or the list of those of its lines."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found and found[key] != value:
                problem = f"{path} has two values of {key!r}"
                raise DataError(problem, f"found {_cell(found[key])!r} and {_cell(value)!r}", "keep one of them")
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        values = []
        for number, line in lines:
            try:
                values.append(json.loads(line, object_pairs_hook=once))
            except (ValueError, RecursionError) as of_line:
                of_lines = path.suffix.lower() != ".json" or values
                where = f"{_said(of_line)} in line {number}" if of_lines else _said(error)
                raise DataError(f"{path} is no JSON", f"found {where}", "mend it, or write CSV") from error
        return values


def _said(error: Exception) -> str:
    return str(error).partition("; use sys.")[0]  # what a program may do about it


def _of_object(value: Mapping[str, Any], is_header: Callable[[Sequence[str]], bool]) -> tuple[list[str], list[Any]]:
    """Header and rows of an object; one with the keys of a header is one row."""
    values = [*value.values()]
    if is_header([*value]) and not any(isinstance(each, dict | list) for each in values):
        return [*value], [values]
    if is_header([*value]) and all(isinstance(each, dict) for each in values):
        rows = [*dict.fromkeys(key for each in values for key in each)]
        return [*value], [[each.get(row) for each in values] for row in rows]
    if is_header([*value]) and all(isinstance(each, list) and len(each) == len(values[0]) for each in values):
        return [*value], [*zip(*values, strict=True)]
    if values and all(isinstance(each, dict) for each in values):
        return _of_list([{_PAIR[0]: file} | each for file, each in value.items()])
    if values and all(isinstance(each, list) for each in values) and not any(map(_has_suffix, value)):
        pairs = [(file, label) for label, each in value.items() for file in each]
        if all(isinstance(file, str) and _has_suffix(file) for file, _ in pairs):
            return [*_PAIR], pairs
    return [*_PAIR], [*value.items()]


def _of_list(value: Any) -> tuple[list[str], list[Any]]:
    """Header and rows of a list; no rows of anything else."""
    if not isinstance(value, list) or not value:
        return [], []
    if all(isinstance(each, dict) for each in value):
        header = [*dict.fromkeys(key for each in value for key in each)]
        return header, [[each.get(key) for key in header] for each in value]
    if all(isinstance(each, list) and len(each) == len(_PAIR) for each in value):
        return [*_PAIR], value
    return ([], []) if any(isinstance(each, list | dict) for each in value) else ([*_ALONE], [[each] for each in value])


def _cell(value: Any) -> str:
    """A value as the cell of a table; that of a list of one is the one, that of an empty one is empty."""
    if isinstance(value, list) and len(value) < 2:
        return _cell(value[0] if value else None)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _has_suffix(file: str) -> bool:
    return bool(PurePosixPath(file).suffix)


def _from_coco(path: Path) -> str:
    rows = "[(n[a['image_id']], c[a['category_id']]) for a in d['annotations']]"
    return (
        "where each image has one, make a table of it in Python: import csv, json; "
        f"d = json.load(open({str(path)!r}, encoding='utf-8')); "
        "n = {i['id']: i['file_name'] for i in d['images']}; c = {k['id']: k['name'] for k in d['categories']}; "
        f"t = open({str(path.with_suffix('.csv'))!r}, 'w', newline='', encoding='utf-8'); "
        f"csv.writer(t).writerows([('File', 'Label')] + {rows}); t.close()"
    )
