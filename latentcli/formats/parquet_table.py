"""Parquet files of rows: texts, and arrays of numbers of one shape, with facts about them and a SHA-256 of it all.

Any program that reads Parquet reads the columns; the facts are JSON in the metadata of the schema, under "latentcli",
and beside them, written last, the number of rows and the SHA-256.
The same rows give the same bytes, however many of them are written at a time. Nothing is compressed: latents hardly
are smaller then, and a file of unknown origin cannot become more in memory than it is on the disk.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError
from latentcli.formats import scale
from latentcli.formats.atomic import atomic_write
from latentcli.formats.digests import bytes_of, digest, is_digest, short
from latentcli.formats.json_text import readable_json
from latentcli.formats.parquet_footer import UNCOMPRESSED, codecs
from latentcli.formats.regular_files import open_regular, reason

SUFFIX, MAGIC, KEY, END = ".parquet", b"PAR1", b"latentcli", b"latentcli.end"
GROUP_BYTES, GROUP_ROWS = 2**26, 2**16
"""Rows are written together until they have so many bytes, or are so many."""

TYPES = ("float32", "float64", "int32", "int64")
_AGAIN = "make it again, or copy it again from where it is intact"


@dataclass(frozen=True)
class Column:
    """What a column holds: texts or None where ``dtype`` is "text"; else an array of this type and shape in each row.

    A single number has the shape (); one that is not a number, NaN, is null for those who read it.
    """

    dtype: str
    shape: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Numbers in each row."""
        return prod(self.shape)


TEXT = Column("text")
Rows = Mapping[str, np.ndarray | Sequence[str | None]]
"""The next rows of each column, by its name."""


@dataclass
class Table:
    """A file as it was read.

    Attributes:
        facts: what was written of it.
        columns: arrays (N, …), or lists of N texts, by name.
    """

    facts: dict[str, Any]
    columns: dict[str, Any] = field(default_factory=dict)


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet files do."""
    try:
        file, _ = open_regular(path)
        with file:
            return file.read(4) == MAGIC
    except OSError:
        return False


@contextmanager
def rows_writer(
    path: Path, columns: Mapping[str, Column], facts: Mapping[str, Any]
) -> Iterator[Callable[[Rows], None]]:
    """A function that writes the next rows of a file, whole or not at all.

    Args:
        path: of the file.
        columns: by their names, in their order.
        facts: plain values, to which those of the ``columns`` are added.

    Raises:
        OutputError: the file cannot be written.
        UsageError: pyarrow is not installed.
    """
    pa, pq = scale.parquet()
    whole = {**facts, "columns": {name: [each.dtype, *each.shape] for name, each in columns.items()}}
    schema = _schema(pa, columns).with_metadata({KEY: readable_json(whole)})
    width = sum(column.width * np.dtype(column.dtype).itemsize for column in columns.values() if column != TEXT)
    together = max(1, min(GROUP_ROWS, GROUP_BYTES // max(1, width)))
    waiting: dict[str, list[Any]] = {name: [] for name in columns}
    checksums, count, rows = _Checksums(columns), 0, 0
    texts = [name for name, column in columns.items() if column == TEXT]
    with atomic_write(path) as file:
        options = {"compression": "none", "use_dictionary": texts, "write_statistics": False, "store_schema": True}
        with pq.ParquetWriter(file, schema, **options) as writer:

            def flush(least: int) -> None:
                nonlocal count
                joined = {name: _joined(columns[name], parts) for name, parts in waiting.items()}
                start = 0
                while count - start >= least:
                    some = {name: each[start : start + together] for name, each in joined.items()}
                    start += together
                    writer.write_table(_table(pa, schema, columns, some), row_group_size=together)
                for name, each in joined.items():
                    waiting[name] = [each[start:]]
                count = max(0, count - start)

            def write(some: Rows) -> None:
                nonlocal count, rows
                added = {len(some[name]) for name in columns}
                if len(added) != 1:
                    raise ValueError(f"columns of unlike lengths: {sorted(added)}")
                for name, column in columns.items():
                    part = _as_written(column, some[name])
                    checksums.add(name, part)
                    waiting[name].append(part)
                count, rows = count + min(added), rows + min(added)
                if count >= together:
                    flush(together)

            yield write
            if count:
                flush(1)
            writer.add_key_value_metadata({END: readable_json({"rows": rows, "sha256": checksums.of(whole)})})


def facts_of(path: Path) -> dict[str, Any]:
    """What was written of a file beside its rows; {} of files of other programs, and of what cannot be read."""
    try:
        _, pq = scale.parquet()
        file, _ = open_regular(path)
        with file:
            return _facts(pq.ParquetFile(file), KEY)
    except _damage():
        return {}


def read(path: Path) -> Table:
    """A file that ``rows_writer`` wrote, proved to be unchanged.

    Raises:
        DataError: it is missing, damaged, of another program, or was changed.
        UsageError: pyarrow is not installed.
    """
    pa, pq = scale.parquet()
    problem = f"cannot read {path}"
    try:
        file, size = open_regular(path)
        with file:
            if codecs(file, size) - {UNCOMPRESSED}:
                found = "it is compressed, which latentcli never does"
                raise DataError(f"{path} is no table of latentcli's, or is not whole", found, _AGAIN)
            parquet = pq.ParquetFile(file)
            facts, end = _facts(parquet, KEY), _facts(parquet, END)
            columns = _columns_of(facts)
            if found := _checked(pa, parquet, end, columns, size):
                raise DataError(f"{path} is no table of latentcli's, or is not whole", found, _AGAIN)
            texts = [name for name, column in columns.items() if column == TEXT]
            table = Table(facts, _read(pq.ParquetFile(file, read_dictionary=texts), columns))
    except DataError:
        raise
    except OSError as error:
        raise DataError(problem, reason(error).splitlines()[0], _AGAIN) from error
    except _damage() as error:
        raise DataError(problem, f"damaged, or no Parquet: {str(error).splitlines()[0][:200]}", _AGAIN) from error
    checksums = _Checksums(columns)
    for name, each in table.columns.items():
        checksums.add(name, each)
    if end["sha256"] != (actual := checksums.of(facts)):
        difference = f"expected SHA-256 {short(end['sha256'])}, found {short(actual)}"
        raise DataError(f"{path} was changed after it was written", difference, _AGAIN)
    return table


class _Checksums:
    """A SHA-256 of each column, rows added as they come, and one of all with the facts."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._of = {name: hashlib.sha256() for name in columns}

    def add(self, name: str, rows: Any) -> None:
        if isinstance(rows, np.ndarray):
            for part in bytes_of(rows):
                self._of[name].update(part)
            return
        for text in rows:
            data = b"" if text is None else text.encode()
            self._of[name].update(b"%d:%s" % (-1 if text is None else len(data), data))

    def of(self, facts: Mapping[str, Any]) -> str:
        return digest({"facts": facts, "columns": {name: each.hexdigest() for name, each in self._of.items()}})


def _as_written(column: Column, rows: Any) -> Any:
    """Rows as they are written: numbers in one type, in C order; texts as UTF-8 has them, other bytes escaped."""
    if column != TEXT:
        return np.ascontiguousarray(rows, dtype=column.dtype).reshape(len(rows), *column.shape)
    return [None if text is None else as_text(str(text)) for text in rows]


def as_text(name: str) -> str:
    """A name as columns hold it: its bytes that are no UTF-8 are escaped, as ``\\udcff``."""
    return name.encode("utf-8", "backslashreplace").decode()


def _joined(column: Column, parts: Sequence[Any]) -> Any:
    return np.concatenate(parts) if column != TEXT else [text for part in parts for text in part]


def _schema(pa: Any, columns: Mapping[str, Column]) -> Any:
    def kind(column: Column) -> Any:
        number = None if column == TEXT else getattr(pa, column.dtype)()
        return pa.string() if number is None else pa.list_(number, column.width) if column.shape else number

    return pa.schema([pa.field(name, kind(each), nullable=not each.shape) for name, each in columns.items()])


def _table(pa: Any, schema: Any, columns: Mapping[str, Column], rows: Mapping[str, Any]) -> Any:
    made = []
    for name, column in columns.items():
        if column == TEXT:
            made.append(pa.array(rows[name], pa.string()))
        elif column.shape:
            made.append(pa.FixedSizeListArray.from_arrays(pa.array(rows[name].reshape(-1)), column.width))
        else:
            made.append(pa.array(rows[name], from_pandas=True))
    return pa.Table.from_arrays(made, schema=schema)


def _damage() -> tuple[type[Exception], ...]:
    """What the parsers of damaged files raise."""
    pa, _ = scale.parquet()
    known = (OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError, RecursionError)
    return (pa.ArrowException, *known)


def _facts(parquet: Any, key: bytes) -> dict[str, Any]:
    found = json.loads((parquet.metadata.metadata or {}).get(key, b"{}"))
    return found if type(found) is dict else {}


def _columns_of(facts: Mapping[str, Any]) -> dict[str, Column]:
    """What the facts say of the columns; {} where that is nothing to go by."""
    described: Any = facts.get("columns")
    columns: dict[str, Column] = {}
    for name, each in described.items() if type(described) is dict else ():
        dtype, *shape = each if type(each) is list and each and type(each[0]) is str else ["", 0]
        numbers = dtype in TYPES and all(type(side) is int and 0 < side < 2**31 for side in shape)
        if not numbers and each != [TEXT.dtype]:
            return {}
        columns[name] = Column(str(dtype), tuple(map(int, shape)))
    return columns


def _checked(pa: Any, parquet: Any, end: Mapping[str, Any], columns: Mapping[str, Column], size: int) -> str:
    """What of a file does not fit what it says of itself, before a row of it is read; "" where all does."""
    metadata, rows = parquet.metadata, end.get("rows")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if not columns or not is_digest(end.get("sha256")) or type(rows) is not int:
        return f"expected its facts under {KEY.decode()!r} in the schema's metadata"
    if not parquet.schema_arrow.equals(_schema(pa, columns)):
        return "its columns are others than it says"
    if rows != metadata.num_rows or rows != sum(group.num_rows for group in groups) or rows < 0:
        return f"expected {rows:,} rows, found {metadata.num_rows:,}"
    width = sum(column.width * np.dtype(column.dtype).itemsize for column in columns.values() if column != TEXT)
    if rows * max(1, width) > size:
        return f"it says that it has {rows:,} rows of {width:,} bytes, and has {size:,} bytes"
    return ""


def _read(parquet: Any, columns: Mapping[str, Column]) -> dict[str, Any]:
    count = parquet.metadata.num_rows
    found: dict[str, Any] = {
        name: [] if column == TEXT else np.empty((count, *column.shape), column.dtype)
        for name, column in columns.items()
    }
    start = 0
    for number in range(parquet.metadata.num_row_groups):
        group = parquet.read_row_group(number, use_threads=False)
        for name, column in columns.items():
            part = group.column(name).combine_chunks()
            if column == TEXT:
                words = part.dictionary.to_pylist()  # each once in memory, however often it occurs
                found[name] += [None if code is None else words[code] for code in part.indices.to_pylist()]
                continue
            values = part.flatten() if column.shape else part
            lacking = column.shape and (part.null_count or values.null_count)
            if lacking or len(values) != len(group) * column.width:
                raise ValueError(f"the column {name} lacks numbers")
            rows = values.to_numpy(zero_copy_only=False).reshape(len(group), *column.shape)
            found[name][start : start + len(group)] = rows
        start += len(group)
    if start != count:
        raise ValueError(f"{start:,} of {count:,} rows are there")
    return found
