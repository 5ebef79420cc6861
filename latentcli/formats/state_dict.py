"""Weights of networks that other programs wrote with ``torch.save``: a dict of tensors by their names.

Both formats are read without ``torch.load``, as checkpoints are (``torch_zip``): the archive, and the older one that
many published weights still have: five pickles one after another (a number, a version, facts about the machine, the
tensors without their bytes, the order of these), then the bytes of each tensor behind their count.
"""

import io
import pickletools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentcli.core.errors import ModelFileError, UsageError, printable
from latentcli.formats import own_files, torch_zip
from latentcli.formats.pickle_reader import MAX_OPERATIONS, UnsafePickle, loads, refuse
from latentcli.formats.regular_files import open_regular, reason

MAX_BYTES = 4 * 2**30
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

_WRAPPED = (
    "state_dict",
    "model_state_dict",
    "model",
)  # the names under which programs keep weights beside other things


def read(path: Path, remedy: str) -> dict[str, Tensor]:
    """The weights in a file, tensors on the CPU; the ``remedy`` is for the message.

    Where weights lie beside other plain values, under "state_dict", "model_state_dict" or "model", these are taken.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, or holds no weights.
        UsageError: it is a file that latentcli wrote.
    """
    problem = f"cannot read {path}"
    if (own := own_files.kind_of(path)) not in (None, own_files.ARRAYS):
        kind = own if own == own_files.PICTURE else f"latentcli {own}"
        went_on = "to go on from it when training: `continue_from`" if own == "model" else "name a file of weights"
        raise UsageError(f"{printable(str(path))} is a {kind}, not the weights of a network", None, went_on)
    try:
        file, size = open_regular(path)
        with file:
            if file.read(2) == b"PK":
                content = torch_zip.read(path, remedy)
            elif size > MAX_BYTES:
                raise ModelFileError(problem, f"expected at most {MAX_BYTES:,} bytes, found {size:,}", remedy)
            else:
                file.seek(0)
                content = _legacy(file.read(size))
    except UnsafePickle as error:
        raise ModelFileError(problem, str(error), remedy) from error
    except OSError as error:
        raise ModelFileError(problem, reason(error), remedy) from error
    for name in _WRAPPED:
        if type(content) is dict and type(content.get(name)) is dict:
            content = content[name]
    named = type(content) is dict and all(type(key) is str and type(item) is Tensor for key, item in content.items())
    if not named or not content:
        raise ModelFileError(f"{path} holds no weights", "expected a dict of tensors by their names", remedy)
    if not all(bool(torch.isfinite(item).all()) for item in content.values() if item.is_floating_point()):
        raise ModelFileError(f"{path} holds weights that are not finite", remedy=remedy)
    return content


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of weights, by their names."""
    return torch_zip.digest(torch_zip.plain(weights))


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: torch.dtype
    count: int


def _legacy(data: bytes) -> Any:
    """The content of a file of torch.save's older format."""
    stream, programs = io.BytesIO(data), []
    for _ in range(5):
        start = stream.tell()
        try:
            operations = sum(1 for _ in zip(pickletools.genops(stream), range(MAX_OPERATIONS), strict=False))
        except ValueError as error:
            refuse(f"neither of torch's formats: {error}")
        if operations >= MAX_OPERATIONS:
            refuse(f"a pickle of more than {MAX_OPERATIONS:,} operations")
        programs.append(data[start : stream.tell()])
    magic, version, machine, tensors, order = programs
    if loads(magic) != MAGIC or loads(version) != PROTOCOL:
        refuse("not a file of torch.save")
    facts, keys = loads(machine), loads(order)
    if type(facts) is not dict or facts.get("little_endian") is not True:
        refuse("written on a machine of the other byte order")
    if type(keys) is not list or not all(type(key) is str for key in keys) or len(set(keys)) < len(keys):
        refuse("a damaged list of its tensors")
    described: dict[str, _Storage] = {}
    loads(tensors, stand_ins=torch_zip.stand_ins(lambda *_: None), persistent=lambda name: _storage(name, described))
    if described.keys() != set(keys):
        refuse("its tensors are not those that it lists")
    return _Tensors(data, stream.tell(), [described[key] for key in keys]).content(tensors)


def _storage(name: Any, described: dict[str, _Storage]) -> _Storage:
    match name:
        case ("storage", torch.dtype() as dtype, str() as key, str(), int() as count, None):
            found = _Storage(key, dtype, count)
            if described.setdefault(key, found) != found:
                refuse("a tensor that is described twice")
            return found
    refuse("it names something outside itself that is no tensor")


class _Tensors:
    """The bytes of each tensor, all of which must be there and nothing else, and the tensors made from these."""

    def __init__(self, data: bytes, start: int, storages: list[_Storage]) -> None:
        self.views: dict[str, memoryview] = {}
        self.described: dict[str, _Storage] = {}
        for storage in storages:
            size = storage.count * storage.dtype.itemsize
            begin = start + 8
            if int.from_bytes(data[start:begin], "little") != storage.count or not 0 <= size <= len(data) - begin:
                refuse(f"a tensor of {size:,} bytes that are not there")
            self.views[storage.key], start = memoryview(data)[begin : begin + size], begin + size
        if start != len(data):
            refuse(f"{len(data) - start:,} bytes of something else behind its tensors")

    def content(self, program: bytes) -> Any:
        stand_ins = torch_zip.stand_ins(self.tensor)
        content = loads(program, stand_ins=stand_ins, persistent=lambda name: _storage(name, self.described))
        return content if not self.views else refuse("bytes that are no tensor")

    def tensor(self, *arguments: Any) -> Tensor:
        match arguments:
            case (_Storage() as storage, 0, tuple() as shape, tuple() as stride, bool(), dict() as hooks) if not hooks:
                if not torch_zip.is_dense(shape, stride, storage.count):
                    refuse("a tensor that is a view of another, such as a slice: tensor.clone() makes a whole one")
                if storage.key not in self.views:
                    refuse("two tensors over the same bytes")
                data = bytearray(self.views.pop(storage.key))
                flat = torch.frombuffer(data, dtype=storage.dtype) if data else torch.empty(0, dtype=storage.dtype)
                return torch_zip.laid_out(flat, shape, stride)
        refuse("a damaged tensor")
