"""Folders of parts: what was made of shards, ``part-00000.parquet`` for each and ``part-00000.json`` beside it.

A part has a row for each image of its shard, in the shard's order: ``file``, ``label`` where it is known, the arrays,
``label_error``, the reason where a label could not be read, and ``error``, the reason where the image could not be
read; the arrays have no value in that row. Arrays of more than one number are lists of one length. The same images
give the same bytes: the time that it took is in the statistics alone, which also have the SHA-256 of the part. They are
written last: a part is whole when they are there.
"""

import hashlib
import json
import math
import re
import shlex
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError, OutputError
from latentcli.core.labels import Labels
from latentcli.core.latents import ARRAYS_OF_FEATURES, Latents
from latentcli.formats import scale
from latentcli.formats.atomic import atomic_write
from latentcli.formats.digests import is_digest
from latentcli.formats.regular_files import open_regular, reason

FORMAT, VERSION = "latentcli-part", 1
LATENTS, PREDICTIONS = "latents", "predictions"

_MARK = b"latentcli"  # key of the schema's metadata
_NAME = re.compile(r"part-(\d{5,})\.json")
_MOST = 2**24  # bytes of statistics
_CODED = ("label", "label_error", "error", "predicted")  # columns of few texts


class MissingParts(UserWarning):
    """A folder of parts does not hold those of all shards of its set."""


@dataclass(frozen=True)
class Columns:
    """What a part holds beside the names, the labels and the errors of images.

    Attributes:
        holds: ``LATENTS`` or ``PREDICTIONS``.
        arrays: the type, and the shape of each image's row, by name: float32, int32, or text of no shape.
        checkpoint: fingerprint of the model that made them.
    """

    holds: str
    arrays: Mapping[str, tuple[np.dtype, tuple[int, ...]]]
    checkpoint: str

    def facts(self) -> dict[str, Any]:
        """What the schema says of them."""
        shapes = {name: list(shape) for name, (_, shape) in self.arrays.items()}
        return {"format": FORMAT, "version": VERSION, "holds": self.holds, "checkpoint": self.checkpoint,
                "shapes": shapes}  # fmt: skip


Write = Callable[[Mapping[str, Sequence[str]], Mapping[str, np.ndarray]], None]
"""Takes n texts of each of ``TEXTS`` by name ("" for none), and the rows of the m ≤ n images without an error."""

TEXTS = ("file", "label", "label_error", "error")
"""The columns of texts that every part has."""


def path_of(folder: Path, number: int) -> Path:
    """Where the part of the shard of this number, from 0, is."""
    return folder / f"part-{number:05d}.parquet"


@contextmanager
def part_writer(path: Path, columns: Columns) -> Iterator[Write]:
    """Write a part, a few images at a time, whole or not at all.

    Raises:
        UsageError: pyarrow is not installed.
        OutputError: the file cannot be written.
    """
    arrow, parquet = scale.parquet()
    schema = _schema(arrow, columns)
    with atomic_write(path) as file:
        writer = parquet.ParquetWriter(
            file, schema, version="2.6", compression="zstd", use_dictionary=[*_CODED], write_statistics=False
        )

        def write(texts: Mapping[str, Sequence[str]], arrays: Mapping[str, np.ndarray]) -> None:
            good = np.array([not error for error in texts["error"]], dtype=bool)
            made = []
            for field in schema:
                if field.name in arrays and field.name in columns.arrays:
                    made.append(_column(arrow, field.type, good, arrays[field.name]))
                else:
                    made.append(arrow.array([*map(_text, texts[field.name])], field.type))
            writer.write_table(arrow.Table.from_arrays(made, schema=schema), row_group_size=max(1, len(good)))

        try:
            yield write
        except BaseException:
            with suppress(Exception):  # the file is not kept
                writer.close()
            raise
        writer.close()


def _schema(arrow: Any, columns: Columns) -> Any:
    fields = [arrow.field("file", arrow.string()), arrow.field("label", arrow.string())]
    for name, (dtype, shape) in columns.arrays.items():
        kind = arrow.string() if dtype.kind == "U" else arrow.from_numpy_dtype(dtype)
        fields.append(arrow.field(name, arrow.list_(kind, math.prod(shape)) if shape else kind))
    fields += [arrow.field(name, arrow.string()) for name in ("label_error", "error")]
    facts = json.dumps(columns.facts(), sort_keys=True)
    return arrow.schema(fields, metadata={_MARK: facts.encode()})


def _column(arrow: Any, kind: Any, good: np.ndarray, rows: np.ndarray) -> Any:
    """The rows of images without an error, and nothing in between where there is one; texts that are empty, too."""
    if rows.dtype.kind == "U":
        texts = np.full(len(good), None, dtype=object)
        texts[good] = [*map(_text, rows.tolist())]
        return arrow.array(texts, kind)
    whole = np.zeros((len(good), *rows.shape[1:]), rows.dtype)
    whole[good] = rows
    if not arrow.types.is_fixed_size_list(kind):
        return arrow.array(whole, kind, mask=~good)
    values = arrow.array(whole.reshape(-1))
    return arrow.FixedSizeListArray.from_arrays(values, type=kind, mask=arrow.array(~good))


def _text(text: str) -> str | None:
    """A text as UTF-8 has it, with bytes of names that are none as ``\\udcNN``; None where it is empty."""
    return text.encode("utf-8", "backslashreplace").decode() or None


def write_statistics(folder: Path, number: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write what there is to know of a part, with its SHA-256 and size, beside it: it is whole from now on.

    Returns:
        what was written.

    Raises:
        DataError: the labels are too many, or too long, to be counted.
        OutputError: the file cannot be written.
    """
    part = path_of(folder, number)
    found = {"format": FORMAT, "version": VERSION, "part": part.name, "bytes": part.stat().st_size}
    found |= {"sha256": _sha256(part), **facts}
    lines = [f"{json.dumps(name)}: {json.dumps(fact, ensure_ascii=False)}" for name, fact in found.items()]
    text = ("{" + ",\n ".join(lines) + "}\n").encode("utf-8", "surrogatepass")  # addresses may be paths in any bytes
    if len(text) > _MOST:
        told = f"their counts are {len(text):,} bytes, of the {_MOST:,} that are read again"
        raise DataError(f"the labels of {facts['shard']} are no classes", told, "leave them out: `no_classes`")
    with atomic_write(part.with_suffix(".json")) as file:
        file.write(text)
    return found


def _sha256(path: Path) -> str:
    file, _ = open_regular(path)
    with file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def statistics(folder: Path, number: int) -> dict[str, Any] | None:
    """What ``write_statistics`` wrote of a part; None where it is not there, or damaged, or its part is not whole."""
    part = path_of(folder, number)
    found = _statistics(part.with_suffix(".json"))
    try:
        return found if found is not None and part.stat().st_size == found["bytes"] else None
    except OSError:
        return None


def _statistics(path: Path) -> dict[str, Any] | None:
    try:
        file, size = open_regular(path)
        with file:
            found = json.loads(file.read(_MOST)) if size <= _MOST else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("version") != VERSION:
        return None
    texts = all(isinstance(found.get(key), str) for key in ("holds", "shard", "checkpoint"))
    numbers = [found.get(key) for key in ("bytes", "images", "failed", "shards")]
    whole = all(type(each) is int and each >= 0 for each in numbers) and isinstance(found.get("settings"), dict)
    kinds, confusion = (found.get("failures"), found.get("label_failures", {})), found.get("confusion", [])
    whole = whole and all(isinstance(of, dict) and all(type(each) is int for each in of.values()) for of in kinds)
    whole = whole and isinstance(confusion, list) and all(map(_is_pair, confusion))
    return found if texts and whole and is_digest(found.get("sha256")) else None


def _is_pair(counted: Any) -> bool:
    """Whether this is how often images of a class got a prediction: two names and a number."""
    kinds = [type(each) for each in counted] if isinstance(counted, list) else []
    return kinds == [str, str, int]


def all_statistics(folder: Path) -> dict[int, dict[str, Any]]:
    """The statistics of all parts of a folder that are whole, by the number of the shard."""
    return {number: found for number in _numbers(folder) if (found := statistics(folder, number)) is not None}


def _numbers(folder: Path) -> list[int]:
    """Of the parts of a folder that have statistics."""
    try:
        return sorted(int(name[1]) for each in folder.iterdir() if (name := _NAME.fullmatch(each.name)))
    except OSError:
        return []


def check_replaceable(folder: Path, number: int) -> None:
    """Raise an OutputError where a part would take the place of a file that is none: another program's, say."""
    part = path_of(folder, number)
    _, parquet = scale.parquet()
    strange = ""
    if part.exists() and _statistics(part.with_suffix(".json")) is None:  # else they say whose it is, damaged or not
        try:
            strange = "" if _MARK in (parquet.read_schema(part).metadata or {}) else part.name
        except Exception:  # arrow has errors of its own, of damaged files
            strange = part.name
    if part.with_suffix(".json").exists() and _statistics(part.with_suffix(".json")) is None:
        strange = part.with_suffix(".json").name
    if strange:
        raise OutputError(f"cannot write to {folder}", f"its {strange} is not latentcli's, or damaged",
                          "remove it, or name another folder")  # fmt: skip


def damaged(folder: Path) -> dict[int, str]:
    """Of each part of a folder that has statistics, and is not what they say, why not; by the number of the shard."""
    found = {}
    for number in _numbers(folder):
        if statistics(folder, number) is None:
            part = path_of(folder, number)
            facts = _statistics(part.with_suffix(".json"))
            size = part.stat().st_size if part.is_file() else None
            found[number] = (
                f"its {part.with_suffix('.json').name} is damaged" if facts is None
                else "it is not there, and its statistics are" if size is None
                else f"expected {facts['bytes']:,} bytes, found {size:,}"
            )  # fmt: skip
    return found


def read_latent_parts(folder: Path) -> Latents:
    """The latents of all images of a folder of parts that could be read, in the order of the shards.

    They are read into arrays made for all of them, so that memory holds them once.

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
    arrays: dict[str, np.ndarray] = {}
    files: list[str] = []
    labels: list[str] = []
    for number, facts in found.items():
        part = path_of(folder, number)
        try:
            _read(part, facts, arrays, files, labels, count)
        except _Unlike as error:
            raise _not_written(part, str(error)) from error
    texts = Labels.of(labels)
    return Latents(arrays, first["checkpoint"], texts if texts.names else Labels.none(count), tuple(files))


def _not_written(part: Path, why: str) -> DataError:
    way = f"make it again: rm {shlex.quote(str(part.with_suffix('.json')))}, and the same encode command"
    return DataError(f"{part} is not the part that was written", why, way)


class _Unlike(Exception):
    """A part is not what its statistics say; the message says why."""


def _read(
    part: Path, facts: Mapping[str, Any], arrays: dict[str, np.ndarray], files: list[str], labels: list[str], count: int
) -> None:  # fmt: skip
    """Add the rows of a part to arrays of ``count`` rows, which are made with the first."""
    arrow, parquet = scale.parquet()
    start = len(files)
    try:
        if (sha256 := _sha256(part)) != facts["sha256"]:
            raise _Unlike(f"expected SHA-256 {facts['sha256'][:6]}…, found {sha256[:6]}…")
        source = parquet.ParquetFile(part, pre_buffer=False)
        schema = source.schema_arrow
        shapes = json.loads((schema.metadata or {})[_MARK])["shapes"]
        stored = {name: _stored(schema.field(name), shape, arrow) for name, shape in shapes.items()}
        if not {*ARRAYS_OF_FEATURES.values()} & {*stored}:
            raise _Unlike(f"expected one of {', '.join(ARRAYS_OF_FEATURES.values())}, found {', '.join(stored)}")
        if not arrays:
            arrays.update({name: np.empty((count, *shape), dtype) for name, (dtype, shape) in stored.items()})
        if {name: (array.dtype, array.shape[1:]) for name, array in arrays.items()} != stored:
            raise _Unlike("its arrays have other shapes than those of the parts before it")
        for group in range(source.num_row_groups):
            table = source.read_row_group(group, use_threads=False)
            good = table.filter(arrow.compute.is_null(table["error"])).combine_chunks()
            rows = slice(len(files), len(files) + len(good))
            if rows.stop > start + facts["images"] - facts["failed"]:
                raise _Unlike("it has more images than its statistics say")
            for name, (dtype, shape) in stored.items():
                values = good[name].combine_chunks()
                flat = (values.flatten() if shape else values).to_numpy(zero_copy_only=False)
                arrays[name][rows] = flat.astype(dtype).reshape(len(good), *shape)
                if not np.isfinite(arrays[name][rows]).all():
                    raise _Unlike("found numbers that are not finite")
            files += good["file"].to_pylist()
            labels += [text or "" for text in good["label"].to_pylist()]
    except _Unlike:
        raise
    except OSError as error:
        raise _Unlike(reason(error)) from error
    except (arrow.ArrowException, ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise _Unlike(f"damaged: {type(error).__name__}") from error
    if len(files) - start != facts["images"] - facts["failed"]:
        raise _Unlike("it has fewer images than its statistics say")


def _stored(field: Any, shape: Any, arrow: Any) -> tuple[np.dtype, tuple[int, ...]]:
    """The type and shape of a column of numbers."""
    sides = tuple(shape)
    kind = field.type.value_type if arrow.types.is_fixed_size_list(field.type) else field.type
    length = field.type.list_size if arrow.types.is_fixed_size_list(field.type) else 1
    if not all(type(side) is int and side > 0 for side in sides) or math.prod(sides) != length:
        raise _Unlike(f"the column {field.name} is not of the shape that it says")
    return np.dtype(kind.to_pandas_dtype()), sides
