"""Files of ``torch.save`` that hold plain values and tensors: the same bytes for the same content, and safe to read.

``torch.load(weights_only=True)`` runs no code, but it trusts sizes, inflates compressed records, accepts views of any
stride, and does not notice a flipped bit. So the archive and its pickle are first read without torch: every tensor
must be one whole record of the archive, dense and of the record's size. The checked records are copied into a new
archive, and torch only reads that copy, so it cannot read another file than the one that was checked.
"""

import io
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from latentcli.core.errors import ModelFileError
from latentcli.formats import digests
from latentcli.formats.atomic import atomic_write
from latentcli.formats.pickle_reader import MAX_DEPTH, UnsafePickle, loads, refuse
from latentcli.formats.regular_files import open_regular, reason

MAX_RECORDS = 20_000
MAX_PICKLE = 64 * 2**20  # bytes of everything but tensors

_RECORD = re.compile(
    r"(?P<root>[^/\\\0]{1,200})/(?P<name>data\.pkl|data/(?:0|[1-9][0-9]{0,5})|version|byteorder"
    r"|\.format_version|\.storage_alignment|\.data/serialization_id)"
)
_DTYPES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64, "IntStorage": torch.int32, "ShortStorage": torch.int16,
    "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError, struct.error, OSError)
"""What zipfile raises for damaged archives; UnsafePickle is a ValueError."""


def write(path: Path, content: Mapping[Any, Any]) -> None:
    """Write plain values and tensors, whole or not at all.

    Args:
        content: as ``plain`` returns it; otherwise the bytes depend on more than the content.

    Raises:
        OutputError: the file cannot be written.
    """
    buffer = io.BytesIO()  # torch names the archive after its file, so the path would be in the bytes
    torch.save(content, buffer)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def read(path: Path, remedy: str) -> Any:
    """What ``write`` wrote, its tensors on the CPU.

    Args:
        remedy: for the error message: what to do when the file cannot be read.

    Raises:
        ModelFileError: the file is missing, damaged or unsafe.
    """
    problem = f"cannot read {path}"
    try:
        file, size = open_regular(path)
        with file:
            checked = _checked_copy(file, size)
    except UnsafePickle as error:
        raise ModelFileError(problem, str(error), remedy) from error
    except OSError as error:
        raise ModelFileError(problem, reason(error), remedy) from error
    except _DAMAGE as error:
        raise ModelFileError(problem, f"damaged, or not in torch's zip format: {error}", remedy) from error
    try:
        content = torch.load(checked, map_location="cpu", weights_only=True)
        _check_loaded(content, depth=0)
    except Exception as error:  # on damaged files torch.load raises eleven classes of exception without another base
        raise ModelFileError(problem, f"torch cannot load it: {type(error).__name__}", remedy) from error
    return content


def format_of(path: Path) -> str | None:
    """The entry ``format`` of a file of ``torch.save``, found without reading its tensors; None for other files."""
    try:
        file, size = open_regular(path)
        with file, zipfile.ZipFile(file) as archive:
            _, content = _checked_records(archive, size)
    except _DAMAGE:
        return None
    found = content.get("format") if type(content) is dict else None
    return found if type(found) is str else None


def plain(value: Any, copy: bool = True) -> Any:
    """The value as ``write`` needs it: it depends on the content alone and shares no object with the caller.

    Args:
        value: nested dicts, lists and tuples of strings, numbers, truth values, None and dense tensors (on any device).
        copy: whether to copy the tensors to dense ones on the CPU; False if they are that already and never change.

    Raises:
        TypeError: a value has another type, or a tensor is not dense.
    """
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case None | bool():
            return value
        case torch.Tensor():
            if value.dtype not in _DTYPES.values() or value.layout != torch.strided:
                raise TypeError(f"a tensor of {value.dtype} cannot be saved")
            return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format) if copy else value
        case str():
            return sys.intern(str(value))  # the pickler writes a string once per object
        case int():
            return int(value)
        case float():
            return float(value)
        case Mapping():
            return {plain(key): plain(item, copy) for key, item in value.items()}
        case list():
            return [plain(item, copy) for item in value]
        case tuple():
            return tuple([plain(item, copy) for item in value])
    raise TypeError(f"{type(value).__name__} is neither a plain value nor a tensor")


def digest(content: Mapping[Any, Any]) -> str:
    """SHA-256 of plain values and tensors; lists and tuples of the same items have the same."""
    return digests.digest(_with_arrays(content))


def _with_arrays(value: Any) -> Any:
    if isinstance(value, torch.Tensor):  # numpy has no bfloat16
        return (value.view(torch.int16) if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, Mapping):
        return {key: _with_arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_arrays(item) for item in value]
    return value


def _checked_copy(file: IO[bytes], size: int) -> io.BytesIO:
    """The archive's records in a new archive, after everything was checked."""
    copy = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as fresh:
        records, _ = _checked_records(archive, size)
        for name, info in records.items():
            fresh.writestr(zipfile.ZipInfo(f"archive/{name}"), archive.read(info))  # compares the CRC, too
    copy.seek(0)
    return copy


def _checked_records(archive: zipfile.ZipFile, size: int) -> tuple[dict[str, zipfile.ZipInfo], Any]:
    """The archive's records by name, after everything was checked; and its content, with placeholders for tensors."""
    records = _records(archive, size)
    for name in ("data.pkl", "version"):
        if name not in records:
            refuse(f"not a file of torch.save: it has no record {name}")
    if records["data.pkl"].file_size > MAX_PICKLE:
        refuse(f"more than {MAX_PICKLE:,} bytes beside the tensors")
    program = archive.read(records["data.pkl"])
    sizes = {name.removeprefix("data/"): info.file_size for name, info in records.items() if name.startswith("data/")}
    content = _Claims(sizes).checked(program)
    if "byteorder" in records and archive.read(records["byteorder"]) != b"little":
        refuse("written on a machine of the other byte order")
    return records, content


def _records(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The archive's members by their names below its root folder."""
    members = archive.infolist()
    if len(members) > MAX_RECORDS:
        refuse(f"{len(members)} records, more than {MAX_RECORDS}")
    records: dict[str, zipfile.ZipInfo] = {}
    roots = set()
    for member in members:
        match = _RECORD.fullmatch(member.filename)
        if match is None:
            refuse(f"it holds {member.filename[:60]!r}, which could be code")
        if match["name"] in records:
            refuse(f"it holds {match['name']} twice")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 0x1:
            refuse("its records are compressed or encrypted, which torch.save never does")
        if member.file_size != member.compress_size:
            refuse(f"its record {match['name']} is not of the size it claims")
        records[match["name"]] = member
        roots.add(match["root"])
    if len(roots) > 1:
        refuse("its records lie in several folders")
    if sum(member.file_size for member in members) > size:
        refuse("its records claim more bytes than the file has")
    return records


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: torch.dtype
    count: int


class _Tensor:
    """A placeholder for a tensor while the pickle is checked."""


class _Hooks:
    """A placeholder for the empty OrderedDict that torch writes with each tensor."""


@dataclass
class _Claims:
    """What a pickle says of the tensors, checked against the sizes of their records in bytes."""

    sizes: dict[str, int]
    taken: set[str] = field(default_factory=set)

    def checked(self, program: bytes) -> Any:
        """The pickle's content, with placeholders for tensors.

        Raises:
            UnsafePickle: a record is not one whole, dense tensor.
        """
        if program[:2] != b"\x80\x02":
            refuse("not a file of torch.save: its pickle is not of protocol 2")
        storages: dict[tuple[str, str], Any] = {("torch", name): dtype for name, dtype in _DTYPES.items()}
        functions = {("torch._utils", "_rebuild_tensor_v2"): self.tensor, ("collections", "OrderedDict"): self.hooks}
        content = loads(program, stand_ins=storages | functions, persistent=self.storage)
        if self.taken != set(self.sizes):
            refuse("it holds records that are not tensors")
        return content

    def storage(self, name: Any) -> _Storage:
        match name:
            case ("storage", torch.dtype() as dtype, str() as key, "cpu", int() as count):
                size, present = count * dtype.itemsize, self.sizes.get(key)
                if size != present:
                    refuse(f"a tensor of {size:,} bytes of which {present or 0:,} are there")
                return _Storage(key, dtype, count)
        refuse("it names something outside itself that is no tensor")

    def tensor(self, *arguments: Any) -> _Tensor:
        match arguments:
            case (_Storage() as storage, 0, tuple() as shape, tuple() as stride, False, _Hooks()):
                if not _is_dense(shape, stride, storage.count):
                    refuse("a tensor that is a view: of another size than its bytes, or not dense")
                if storage.key in self.taken:
                    refuse("two tensors over the same bytes")
                self.taken.add(storage.key)
                return _Tensor()
        refuse("a damaged tensor")

    def hooks(self, *arguments: Any) -> _Hooks:
        return _Hooks() if not arguments else refuse("an OrderedDict that is not empty")


def _is_dense(shape: tuple[Any, ...], stride: tuple[Any, ...], count: int) -> bool:
    if len(shape) != len(stride) or not all(type(number) is int and 0 <= number < 2**62 for number in shape + stride):
        return False
    expected = 1
    for size, step in zip(reversed(shape), reversed(stride), strict=True):
        if size != 1 and step != expected and count:
            return False
        expected *= size
    return expected == count


def _check_loaded(value: Any, depth: int) -> None:
    """Raise TypeError where the loaded content holds anything but plain values and dense tensors on the CPU."""
    if depth > MAX_DEPTH:
        raise TypeError("nested too deep")
    if type(value) is torch.Tensor:
        dense = value.is_contiguous() and value.untyped_storage().nbytes() == value.numel() * value.itemsize
        if not dense or value.dtype not in _DTYPES.values() or value.device.type != "cpu":
            raise TypeError("a tensor that is not dense")
    elif type(value) in (dict, list, tuple):
        if type(value) is dict and not all(type(key) in (str, int) for key in value):
            raise TypeError("a key that is neither a string nor a whole number")
        for item in value.values() if type(value) is dict else value:
            _check_loaded(item, depth + 1)
    elif value is not None and type(value) not in (str, int, float, bool):
        raise TypeError(f"a {type(value).__name__}")
