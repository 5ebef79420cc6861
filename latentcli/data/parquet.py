"""Parquet files of images: a column of ``{bytes, path}``, as Hugging Face's sets have, or bytes; and one of labels.

Read a few rows at a time, in one thread, so that memory does not grow with the file. The names of classes that are
numbers are those that Hugging Face writes beside the schema, where it does. Source of the layout:
https://huggingface.co/docs/datasets/about_dataset_features.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from latentcli.core.errors import DataError
from latentcli.data.records import MAX_BYTES, TOO_LARGE, Record
from latentcli.formats import scale
from latentcli.formats.regular_files import InMemory, open_regular, reason

IMAGES = ("image", "img", "images", "picture", "photo", "jpg", "jpeg", "png", "webp")
"""What a column of images is called, where there are several it may be; in any case, the first there is."""
LABELS = ("label", "labels", "class", "cls", "target", "category", "fine_label", "y")
"""What a column of labels is called."""

_ROWS = 16  # that are read at once
_NAMED = 12  # columns in a message
_FREE_BYTES, _MAX_RATIO = 2**28, 100  # what a file may inflate to: so many bytes, and these for each of its own
_THRIFT = 2**26  # bytes of a header


def records(path: Path, address: str) -> Iterator[Record]:
    """The rows of a Parquet file, called by their number and, where it is known, their file's name.

    Args:
        path: of the file.
        address: how to call it in messages.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: it is missing, cut short or damaged, has no column of images, or inflates to more than 256 MiB and
            100 times its size.
    """
    arrow, parquet = scale.parquet()
    try:
        file, size = open_regular(path)
    except OSError as error:
        raise DataError(f"cannot read {address}", reason(error), "look how it is spelled") from error
    with file:
        try:
            source = parquet.ParquetFile(
                file, thrift_string_size_limit=_THRIFT, thrift_container_size_limit=_THRIFT, pre_buffer=False
            )
            image, label = _columns(source.schema_arrow, arrow, address)
            names = _class_names(source.schema_arrow).get(label or "", ())
            row, left = 0, (most := _FREE_BYTES + _MAX_RATIO * size)
            wanted = [image, *([] if label is None else [label])]
            for batch in source.iter_batches(_ROWS, columns=wanted, use_threads=False):
                labels = [None] * len(batch) if label is None else batch.column(label)
                for cell, of_cell in zip(batch.column(image), labels, strict=True):
                    record = _record(row, cell.as_py(), None if of_cell is None else of_cell.as_py(), names)
                    left -= len(record.label) + (record.content.size if record.content is not None else 0)
                    if left < 0:
                        found = f"it inflates to more than the {most:,} bytes there may be"
                        raise DataError(f"{address} is no Parquet file of images", found, "make it again")
                    yield record
                    row += 1
        except DataError:
            raise
        except OSError as error:
            raise _damaged(address, error) from error
        except Exception as error:  # arrow has errors of its own, and damaged texts raise others
            raise _damaged(address, error) from error
    if not row:
        raise DataError(f"{address} holds no rows", "expected one image or more", "make it again, or leave it out")


def _damaged(address: str, error: Exception) -> DataError:
    found = f"found {str(error).splitlines()[0][:160] if str(error) else type(error).__name__}"
    return DataError(f"{address} is not a whole Parquet file", found, "make or copy it again")


def _columns(schema: Any, arrow: Any, address: str) -> tuple[str, str | None]:
    """The column of images, and that of labels where there is one.

    Raises:
        DataError: there is no column of images, or it is unclear which.
    """
    kinds = _features(schema)
    able = [field.name for field in schema if _holds_images(field.type, arrow)]
    images = [name for name in able if kinds.get(name, {}).get("_type") == "Image"] or able
    called = [name for known in IMAGES for name in images if name.lower() == known]
    if len(images) != 1 and not called:
        found = ", ".join(f"{field.name} ({field.type})" for field in [*schema][:_NAMED])
        what = "several columns that may be images" if images else "no column of images"
        expected = "expected {bytes: binary, path: string} or binary, found " + found[:300]
        remedy = f"call the one that is meant {IMAGES[0]}" if images else f"call the column of images {IMAGES[0]}"
        raise DataError(f"{address} has {what}", expected, remedy)
    image = called[0] if called else images[0]
    plain = [field.name for field in schema if field.name != image and _holds_labels(field.type, arrow)]
    named = [name for known in LABELS for name in plain if name.lower() == known]
    of_classes = [name for name in plain if kinds.get(name, {}).get("_type") == "ClassLabel"]
    both = [name for name in named if name in of_classes]
    return image, next(iter([*both, *named, *of_classes]), None)


def _holds_images(kind: Any, arrow: Any) -> bool:
    if arrow.types.is_struct(kind):
        inner = {field.name: field.type for field in kind}
        return "bytes" in inner and _is_binary(inner["bytes"], arrow)
    return _is_binary(kind, arrow)


def _is_binary(kind: Any, arrow: Any) -> bool:
    return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))


def _holds_labels(kind: Any, arrow: Any) -> bool:
    if arrow.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(arrow.types.is_integer(kind) or arrow.types.is_string(kind) or arrow.types.is_large_string(kind))


def _features(schema: Any) -> dict[str, Mapping[str, Any]]:
    """What Hugging Face says of columns, by their names; nothing where it says nothing that can be read."""
    try:
        found = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    given = found.items() if isinstance(found, dict) else ()
    return {name: of for name, of in given if isinstance(of, dict)}


def _class_names(schema: Any) -> dict[str, Sequence[str]]:
    found = {name: of.get("names") for name, of in _features(schema).items() if of.get("_type") == "ClassLabel"}
    return {
        name: names for name, names in found.items()
        if isinstance(names, list) and all(isinstance(each, str) for each in names)
    }  # fmt: skip


def _record(row: int, cell: Any, label: Any, names: Sequence[str]) -> Record:
    """A row; a number is one of the names where there are some, and -1 is no label."""
    path = cell.get("path") if isinstance(cell, dict) else None
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    called = PurePosixPath(path.replace("\\", "/")).name if isinstance(path, str) else ""
    name = f"{row:08d}-{called}" if called else f"{row:08d}"
    why = "" if content else "no bytes" if content is None else "empty"
    if content and len(content) > MAX_BYTES:
        content, why = None, TOO_LARGE
    of_label = ""
    if isinstance(label, int) and names and label != -1:
        known = 0 <= label < len(names)
        of_label, label = ("", names[label]) if known else (f"its label {label} is none of {len(names)} classes", None)
    text = "" if label is None else str(label).strip()
    return Record(name, InMemory(name, content) if content and not why else None, text, why, of_label)
