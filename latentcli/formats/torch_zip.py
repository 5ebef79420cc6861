"""Files of ``torch.save`` that hold plain values and tensors: the same bytes for the same content, and safe to read.

``torch.load(weights_only=True)`` runs no code, but it trusts sizes, inflates compressed records, accepts views of any
stride, and does not notice a flipped bit. So the archive and its pickle are read without it: every tensor must be one
whole record of the archive, dense and of the record's size, and is made from the bytes of that record.
"""

import io
import re
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentcli.core.errors import ModelFileError
from latentcli.formats import digests
from latentcli.formats.atomic import atomic_write
from latentcli.formats.npz_reader import ZIP_DAMAGE
from latentcli.formats.pickle_reader import UnsafePickle, loads, refuse
from latentcli.formats.regular_files import open_regular, reason

MAX_RECORDS = 20_000
MAX_PICKLE = 64 * 2**20  # bytes of everything but tensors

_RECORD = re.compile(
    r"(?P<root>[^/\\\0]{1,200})/(?P<name>data\.pkl|data/(?:0|[1-9][0-9]{0,5})|version|byteorder"
    r"|\.format_version|\.storage_alignment|\.data/serialization_id)"
)
DTYPES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64, "IntStorage": torch.int32, "ShortStorage": torch.int16,
    "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip


def write(path: Path, content: Mapping[Any, Any]) -> None:
    """Write what ``plain`` returned, whole or not at all; the bytes of other content depend on more than itself.

    Raises:
        OutputError: the file cannot be written.
    """
    buffer = io.BytesIO()  # torch names the archive after its file, so the path would be in the bytes
    torch.save(content, buffer)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def read(path: Path, remedy: str) -> Any:
    """What ``write`` wrote, its tensors on the CPU; the ``remedy`` is for the message.

    Raises:
        ModelFileError: the file is missing, damaged or unsafe.
    """
    problem = f"cannot read {path}"
    try:
        file, size = open_regular(path)
        with file, zipfile.ZipFile(file) as archive:
            return plain(_content(archive, size), copy=False)
    except UnsafePickle as error:
        raise ModelFileError(problem, str(error), remedy) from error
    except OSError as error:
        raise ModelFileError(problem, reason(error), remedy) from error
    except (*ZIP_DAMAGE, TypeError) as error:
        raise ModelFileError(problem, f"damaged, or not in torch's zip format: {error}", remedy) from error


def format_of(path: Path) -> str | None:
    """The entry ``format`` of a file of ``torch.save``, found without reading its tensors; None for other files."""
    try:
        file, size = open_regular(path)
        with file, zipfile.ZipFile(file) as archive:
            content = _content(archive, size, with_tensors=False)
    except ZIP_DAMAGE:  # UnsafePickle is a ValueError
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
            if value.dtype not in DTYPES.values() or value.layout != torch.strided:
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
        case list() | tuple():
            items = [plain(item, copy) for item in value]
            return items if isinstance(value, list) else tuple(items)
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


def _content(archive: zipfile.ZipFile, size: int, with_tensors: bool = True) -> Any:
    """The content of an archive in a file of ``size`` bytes; None for each tensor where these are not wanted."""
    records = _records(archive, size)
    for name in ("data.pkl", "version"):
        if name not in records:
            refuse(f"not a file of torch.save: it has no record {name}")
    if records["data.pkl"].file_size > MAX_PICKLE:
        refuse(f"more than {MAX_PICKLE:,} bytes beside the tensors")
    if "byteorder" in records and archive.read(records["byteorder"]) != b"little":
        refuse("written on a machine of the other byte order")
    program = archive.read(records["data.pkl"])
    if program[:2] != b"\x80\x02":
        refuse("not a file of torch.save: its pickle is not of protocol 2")
    tensors = _Tensors(archive, records, with_tensors)
    content = loads(program, stand_ins=stand_ins(tensors.tensor), persistent=tensors.storage)
    if tensors.taken != {name for name in records if name.startswith("data/")}:
        refuse("it holds records that are not tensors")
    if with_tensors:  # reading to the end of a record compares its CRC
        for name in records.keys() - tensors.taken - {"data.pkl", "byteorder"}:
            archive.read(records[name])
    return content


def _records(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The archive's members by their names below its root folder."""
    members = archive.infolist()
    if len(members) > MAX_RECORDS:
        refuse(f"{len(members)} records, more than {MAX_RECORDS}")
    records: dict[str, zipfile.ZipInfo] = {}
    roots = set()
    for member in members:
        match = _RECORD.fullmatch(member.filename)
        if match is None and member.filename.endswith(".npy"):
            refuse("it holds arrays of numpy, as latents.npz and graph.npz do, and no network")
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
    record: str
    dtype: torch.dtype
    count: int


@dataclass
class _Tensors:
    """The tensors that a pickle describes, each checked against its record in the archive."""

    archive: zipfile.ZipFile
    records: dict[str, zipfile.ZipInfo]
    wanted: bool  # whether the tensors are read
    taken: set[str] = field(default_factory=set)  # the records that belong to a tensor

    def storage(self, name: Any) -> _Storage:
        match name:
            case ("storage", torch.dtype() as dtype, str() as key, "cpu", int() as count):
                record, size = f"data/{key}", count * dtype.itemsize
                present = self.records[record].file_size if record in self.records else None
                if size != present:
                    refuse(f"a tensor of {size:,} bytes of which {present or 0:,} are there")
                return _Storage(record, dtype, count)
        refuse("it names something outside itself that is no tensor")

    def tensor(self, *arguments: Any) -> torch.Tensor | None:
        match arguments:
            case (_Storage() as storage, 0, tuple() as shape, tuple() as stride, bool(), dict() as hooks) if not hooks:
                if not is_dense(shape, stride, storage.count):
                    refuse("a tensor that is a view of another, such as a slice: tensor.clone() makes a whole one")
                if storage.record in self.taken:
                    refuse("two tensors over the same bytes")
                self.taken.add(storage.record)
                if not self.wanted:
                    return None
                data = bytearray(self.archive.read(self.records[storage.record]))  # compares the CRC, too
                flat = torch.frombuffer(data, dtype=storage.dtype) if data else torch.empty(0, dtype=storage.dtype)
                return laid_out(flat, shape, stride)
        refuse("a damaged tensor")


def stand_ins(tensor: Callable[..., Any]) -> dict[tuple[str, str], Any]:
    """What ``loads`` takes for the names in a pickle of tensors, of which ``tensor`` makes each from its arguments."""
    storages: dict[tuple[str, str], Any] = {("torch", name): dtype for name, dtype in DTYPES.items()}
    return storages | {
        ("torch._utils", "_rebuild_tensor_v2"): tensor, ("torch._utils", "_rebuild_parameter"): _parameter,
        ("collections", "OrderedDict"): _ordered_dict,
    }  # fmt: skip


def _parameter(*arguments: Any) -> Any:
    match arguments:
        case (torch.Tensor() | None as tensor, bool(), dict() as hooks) if not hooks:
            return tensor
    refuse("a damaged parameter")


def _ordered_dict(*arguments: Any) -> dict[Any, Any]:
    """What torch writes as a tensor's hooks, which must stay empty, and as the dict of a network's weights."""
    return {} if not arguments else refuse("an OrderedDict that is not empty")


def is_dense(shape: tuple[Any, ...], stride: tuple[Any, ...], count: int) -> bool:
    """Whether a tensor of this shape covers this many numbers, each once; its dimensions may lie in any order."""
    if len(shape) != len(stride) or not all(type(number) is int and 0 <= number < 2**62 for number in shape + stride):
        return False
    expected = 1
    for step, size in sorted(zip(stride, shape, strict=True)):
        if size != 1 and step != expected and count:
            return False
        expected *= size
    return expected == count


def laid_out(flat: torch.Tensor, shape: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    """The numbers (n,) as a tensor of this shape in C order, from the order that ``is_dense`` allowed."""
    return flat.as_strided(shape, stride).contiguous() if flat.numel() else flat.reshape(shape)
