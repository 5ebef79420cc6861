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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError, OutputError
from latentcli.formats import scale
from latentcli.formats.atomic import atomic_write
from latentcli.formats.digests import is_digest
from latentcli.formats.regular_files import open_regular
from latentcli.formats.sealed_json import is_intact, sealed

FORMAT, VERSION = "latentcli-part", 1
LATENTS, PREDICTIONS = "latents", "predictions"

MARK = b"latentcli"
"""Key of the schema's metadata."""
ROWS = 1024
"""Images whose rows are written at a time, at most."""

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
    return arrow.schema(fields, metadata={MARK: facts.encode()})


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
    found = sealed({**found, "sha256": sha256_of(part), **facts})
    lines = [f"{json.dumps(name)}: {json.dumps(fact, ensure_ascii=False)}" for name, fact in found.items()]
    text = ("{" + ",\n ".join(lines) + "}\n").encode("utf-8", "surrogatepass")  # addresses may be paths in any bytes
    if len(text) > _MOST:
        told = f"their counts are {len(text):,} bytes, of the {_MOST:,} that are read again"
        raise DataError(f"the labels of {facts['shard']} are no classes", told, "leave them out: `no_classes`")
    with atomic_write(part.with_suffix(".json")) as file:
        file.write(text)
    return found


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file; an OSError where it cannot be read."""
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
    if not is_intact(found):
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
            strange = "" if MARK in (parquet.read_schema(part).metadata or {}) else part.name
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
