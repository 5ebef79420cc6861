"""Latents from a folder of parts of unknown origin, which are read a few rows at a time."""

import json
import math
import shlex
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.artifacts.parts import LATENTS, MARK, ROWS, MissingParts, all_statistics, damaged, path_of, sha256_of
from latentcli.core.errors import DataError
from latentcli.core.growing import GrowingArray
from latentcli.core.labels import Labels
from latentcli.core.latents import ARRAYS_OF_FEATURES, Latents
from latentcli.formats import scale
from latentcli.formats.regular_files import reason

_FREE_BYTES, _MAX_RATIO = 2**28, 1000  # what a part may inflate to: so many bytes, and these for each of its own
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, NotImplementedError, RecursionError, MemoryError)


def read_latent_parts(folder: Path, mmap: bool = False) -> Latents:
    """The latents of all images of a folder of parts that could be read, in the order of the shards.

    They are read into arrays made for all of them, so that memory holds them once.

    Args:
        folder: of the parts.
        mmap: copy arrays of more than ``core.rows.COPIED`` bytes to the system's folder for temporary files, from where
            they are mapped, read-only, for as long as the process needs them.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: there are none; a part is damaged, or was changed, which is no missing one; two were made otherwise.

    Warns:
        MissingParts: there are shards without a part.
    """
    found, broken = all_statistics(folder), damaged(folder)
    again = "encode again, into another folder: latentcli encode SHARDS MODEL.pth -o OUT"
    for number, why in broken.items():
        raise _not_written(path_of(folder, number), why)
    if not found:
        raise DataError(f"{folder} holds no whole parts", "expected part-00000.parquet and part-00000.json", again)
    first = next(iter(found.values()))
    for number, facts in found.items():
        if any(facts[key] != first[key] for key in ("holds", "checkpoint", "settings")):
            unlike = f"{path_of(folder, number).name} was made otherwise than {path_of(folder, next(iter(found))).name}"
            raise DataError(f"{folder} holds parts that do not belong together", unlike, again)
    if first["holds"] != LATENTS:
        raise DataError(f"{folder} holds no latents", f"found parts of {first['holds'][:40]!r}", again)
    total = max(facts["shards"] for facts in found.values())
    if len(found) < total:
        told = f"{folder} holds {len(found):,} of {total:,} parts: the others are missing here"
        warnings.warn(MissingParts(told), stacklevel=2)
    count = sum(facts["images"] - facts["failed"] for facts in found.values())
    if count <= 0:
        raise DataError(f"{folder} holds no latents", "none of its images could be read", "see the column error")
    columns: _Columns = {}
    for number, facts in found.items():  # all of them before room is made for what they say
        with _as_written(path_of(folder, number)):
            of_part = _checked(path_of(folder, number), facts)
            if of_part != (columns := columns or of_part):
                raise _Unlike("its arrays have other shapes than those of the parts before it")
    arrays = {name: GrowingArray(count, *column, mapped=mmap) for name, column in columns.items()}
    files: list[str] = []
    labels: list[str] = []
    for number, facts in found.items():
        with _as_written(path_of(folder, number)):
            _read(path_of(folder, number), facts, arrays, files, labels)
    texts = Labels.of(labels)
    whole = {name: array.whole() for name, array in arrays.items()}
    return Latents(whole, first["checkpoint"], texts if texts.names else Labels.none(count), tuple(files))


def _not_written(part: Path, why: str) -> DataError:
    way = f"make it again: rm {shlex.quote(str(part.with_suffix('.json')))}, and the same encode command"
    return DataError(f"{part} is not the part that was written", why, way)


class _Unlike(Exception):
    """A part is not what its statistics say; the message says why."""


@contextmanager
def _as_written(part: Path) -> Iterator[None]:
    """Raise what a part that is not the one that was written leads to as a DataError."""
    arrow, _ = scale.parquet()
    try:
        yield
    except _Unlike as error:
        raise _not_written(part, str(error)) from error
    except OSError as error:
        raise _not_written(part, reason(error)) from error
    except (arrow.ArrowException, *_DAMAGE) as error:
        raise _not_written(part, f"damaged: {type(error).__name__}") from error


_Columns = dict[str, tuple[np.dtype, tuple[int, ...]]]
"""The type, and the shape of each row, of columns of numbers by their names."""


def _checked(part: Path, facts: Mapping[str, Any]) -> _Columns:
    """The columns of numbers of a part, which has the rows, and no more bytes, than one that was written."""
    arrow, parquet = scale.parquet()
    with parquet.ParquetFile(part, pre_buffer=False) as source:
        metadata, schema = source.metadata, source.schema_arrow
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        if metadata.num_rows != facts["images"] or sum(group.num_rows for group in groups) != metadata.num_rows:
            raise _Unlike(f"expected {facts['images']:,} images, found {metadata.num_rows:,}")
        shapes = json.loads((schema.metadata or {})[MARK])["shapes"]
        stored = {name: _stored(schema.field(name), shape, arrow) for name, shape in shapes.items()}
        numbers = metadata.num_rows * sum(dtype.itemsize * math.prod(shape) for dtype, shape in stored.values())
        inflated = max(numbers, sum(group.total_byte_size for group in groups))
        if any(group.num_rows > ROWS for group in groups) or inflated > _FREE_BYTES + _MAX_RATIO * facts["bytes"]:
            raise _Unlike("it inflates to more than there may be")
        if other := [name for name in ("file", "label", "error") if not arrow.types.is_string(schema.field(name).type)]:
            raise _Unlike(f"the column {other[0]} holds no texts")
    if not {*ARRAYS_OF_FEATURES.values()} & {*stored}:
        raise _Unlike(f"expected one of {', '.join(ARRAYS_OF_FEATURES.values())}, found {', '.join(stored)}")
    return stored


def _stored(field: Any, shape: Any, arrow: Any) -> tuple[np.dtype, tuple[int, ...]]:
    """The type and shape of a column of rows of numbers."""
    if not arrow.types.is_fixed_size_list(field.type):
        raise _Unlike(f"the column {field.name} holds no rows of one length")
    dtype, sides = np.dtype(field.type.value_type.to_pandas_dtype()), tuple(shape)
    if dtype.kind not in "fiu":
        raise _Unlike(f"the column {field.name} holds no numbers")
    if not all(type(side) is int and side > 0 for side in sides) or math.prod(sides) != field.type.list_size:
        raise _Unlike(f"the column {field.name} is not of the shape that it says")
    return dtype, sides


def _read(
    part: Path, facts: Mapping[str, Any], arrays: Mapping[str, GrowingArray], files: list[str], labels: list[str]
) -> None:  # fmt: skip
    """Add the rows of a part that is ``_checked``."""
    arrow, parquet = scale.parquet()
    if (sha256 := sha256_of(part)) != facts["sha256"]:
        raise _Unlike(f"expected SHA-256 {facts['sha256'][:6]}…, found {sha256[:6]}…")
    names: dict[str | None, str] = {None: ""}  # each once in memory, however often it occurs
    left = facts["images"] - facts["failed"]
    with parquet.ParquetFile(part, pre_buffer=False) as source:
        for group in range(source.num_row_groups):
            table = source.read_row_group(group, use_threads=False)
            good = table.filter(arrow.compute.is_null(table["error"])).combine_chunks()
            left -= len(good)
            if left < 0:
                raise _Unlike("it has more images than its statistics say")
            for name, array in arrays.items():
                values = good[name].combine_chunks().flatten()  # without the rows that are missing
                if values.null_count or len(values) != len(good) * math.prod(array.shape[1:]):
                    raise _Unlike("found numbers that are missing")
                rows = values.to_numpy(zero_copy_only=False).astype(array.dtype).reshape(len(good), *array.shape[1:])
                if not np.isfinite(rows).all():
                    raise _Unlike("found numbers that are not finite")
                array.add(rows)
            files += [text or "" for text in good["file"].to_pylist()]
            labels += [names.setdefault(text, text) for text in good["label"].to_pylist()]
    if left:
        raise _Unlike("it has fewer images than its statistics say")
