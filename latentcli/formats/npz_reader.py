"""Arrays from ``.npz`` and ``.npy`` files of unknown origin, every size checked before it is allocated.

``numpy.load(allow_pickle=False)`` runs no code, but allocates what a header claims: 128 bytes can ask for 8 TiB,
2 MB can inflate to 2 GiB. Here the header must agree with the bytes present, and the inflated size is limited.
Arrays of Python objects are known by their headers, and never unpickled.
"""

import ast
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from latentcli.formats.dtypes import UnreadType, UnsafeArrays, check_values, from_bytes, plain_dtype, size_in_bytes
from latentcli.formats.regular_files import open_regular, read_into, reason

__all__ = ["NpzArchive", "UnreadArray", "UnreadType", "UnsafeArrays", "open_npz", "read_npy", "read_npz"]

MAX_ARRAYS = 1000
_FREE_BYTES = 64 * 2**20
_MAX_RATIO = 400  # images compress 2 to 20 times, drawings in black and white 115 (dSprites) to 300; deflate to 1032
_MAX_HEADER = 16_384
_MAX_HEADER_TEXT = 512  # without the padding; also keeps ast.literal_eval far from its own limits
_LOCAL = struct.Struct("<26sHH")  # what stands before a member's bytes: the lengths of its name and extra field last
_MAGIC = b"\x93NUMPY"
ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError, struct.error, OSError)
"""What zipfile raises for damaged archives (NotImplementedError is a RuntimeError, UnicodeError a ValueError)."""


class UnreadArray:
    """An array of an archive of which the header is read: ``dtype``, ``shape``, ``ndim`` and ``size`` as an array's."""

    def __init__(self, archive: "NpzArchive", name: str, member: zipfile.ZipInfo) -> None:
        self._archive, self._name = archive, name
        self._values: np.ndarray | None = None
        with archive.file.open(member) as file:
            self.dtype, self.shape, _, _ = _read_header(file, member.file_size)
        self.ndim, self.size = len(self.shape), math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self) -> np.ndarray:
        """The values, in memory and this machine's byte order, read once; raises as ``NpzArchive.read``."""
        if self._values is None:
            self._values = self._archive.read(self._name)
        return self._values


class NpzArchive:
    """An open ``.npz`` file: its arrays are read one by one, when they are wanted.

    Attributes:
        arrays: by their names, in the file's order.
        refused: of the other members, why they are not read.
    """

    def __init__(self, file: zipfile.ZipFile, size: int) -> None:
        self.file, self._limit, self._inflated = file, _FREE_BYTES + _MAX_RATIO * size, set[str]()
        _check_members(file.infolist(), size)
        self._members = {member.filename.removesuffix(".npy"): member for member in file.infolist()}
        self.arrays: dict[str, UnreadArray] = {}
        self.refused: dict[str, str] = {}
        for name, member in self._members.items():
            try:
                self.arrays[name] = UnreadArray(self, name, member)
            except UnreadType as error:
                self.refused[name] = str(error)

    def read(self, name: str) -> np.ndarray:
        """The array of this name, in memory.

        Raises:
            UnsafeArrays: it is damaged (each member has a CRC), or too large, see ``check``.
        """
        self.check([name])
        with _damage(".npz archive"):
            return _read_member(self.file, self._members[name])

    def map(self, name: str) -> np.ndarray:
        """The array of this name, read-only and left on the disk where it is stored there as memory would hold it.

        It is then mapped, and its CRC not compared; other arrays are read. Numbers need not be aligned.

        Raises:
            UnsafeArrays: as of ``read``.
        """
        member = self._members[name]
        with _damage(".npz archive"), self.file.open(member) as file:
            dtype, shape, fortran, offset = _read_header(file, member.file_size)
        plain = member.compress_type == zipfile.ZIP_STORED and dtype.isnative and not fortran
        raw = self.file.fp
        if not plain or dtype.kind not in "fiu" or 0 in shape or raw is None:
            return self.read(name)
        with _damage(".npz archive"):
            raw.seek(member.header_offset)
            local = raw.read(_LOCAL.size)
            first = member.header_offset + len(local) + sum(_LOCAL.unpack(local)[1:]) + offset
            return np.memmap(raw, dtype, "r", first, shape).view(np.ndarray)

    def check(self, names: Iterable[str]) -> None:
        """Refuse to read these arrays beside those that were read already, if that is too much.

        Raises:
            UnsafeArrays: they inflate to more than 64 MiB plus 400 times the file's size.
        """
        self._inflated.update(names)
        total = sum(self._members[name].file_size for name in self._inflated)
        if total > self._limit:
            raise UnsafeArrays(f"an archive that inflates to {total:,} bytes, more than the {self._limit:,} allowed")


@contextmanager
def open_npz(path: Path) -> Iterator[NpzArchive]:
    """An ``.npz`` file, with the headers of its arrays read.

    Raises:
        UnsafeArrays: it is no archive of arrays, or damaged.
    """
    with _opened(path) as (file, size), ExitStack() as stack:
        with _damage(".npz archive"):
            archive = NpzArchive(stack.enter_context(zipfile.ZipFile(file)), size)
        yield archive


def read_npz(path: Path, *, mapped_beside: str | None = None) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file, in the file's order and this machine's byte order.

    Args:
        path: of the file.
        mapped_beside: an array by which the caller checks all others: where there is one of this name, arrays are left
            on the disk that can be, see ``NpzArchive.map``. None: all are read into memory.

    Raises:
        UnsafeArrays: as ``open_npz`` and ``NpzArchive.read``; or one array is of a type that is not read.
    """
    with open_npz(path) as archive:
        for reason in archive.refused.values():
            raise UnsafeArrays(reason)
        archive.check(archive.arrays)
        mapped = mapped_beside in archive.arrays
        return {name: archive.map(name) if mapped else array.read() for name, array in archive.arrays.items()}


def read_npy(path: Path, *, mmap: bool = False) -> np.ndarray:
    """The array of an ``.npy`` file.

    Args:
        mmap: leave it on the disk, mapped read-only; otherwise it is read into memory, in this machine's byte order.

    Raises:
        UnsafeArrays: the file is not one plain array, or not of the size that its header claims.
    """
    with _opened(path) as (file, size), _damage(".npy file"):
        dtype, shape, fortran, offset = _read_header(file, size)
        if mmap and size > offset:
            array = np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")
            check_values(array)
            return array
        return _read_values(file, dtype, shape, fortran)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """An open file and its size."""
    try:
        opened, size = open_regular(path)
    except OSError as error:
        raise UnsafeArrays(f"cannot be read: {reason(error)}") from error
    with opened as file:
        yield file, size


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """Damage that the block comes upon becomes UnsafeArrays."""
    try:
        yield
    except UnsafeArrays:
        raise
    except ZIP_DAMAGE as error:
        raise UnsafeArrays(f"not a whole {what}: {error}") from error


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    if len(members) > MAX_ARRAYS:
        raise UnsafeArrays(f"an archive of {len(members)} members, more than {MAX_ARRAYS}")
    names = set()
    for member in members:
        name = member.filename
        apart = name.removesuffix(".npy").split("/")
        if not name.endswith(".npy") or len(name) > 255 or set(name) & set("\\\0") or {"", ".", ".."} & {*apart}:
            raise UnsafeArrays(f"an archive with a member {name[:40]!r}, which is no array")
        if name in names:
            raise UnsafeArrays(f"an archive with two members {name!r}")
        names.add(name)
        if member.flag_bits & 0x1:
            raise UnsafeArrays("an encrypted archive")
        if member.comment:  # numpy writes none: one flipped bit makes one of all members that follow
            raise UnsafeArrays(f"an archive with a comment in the place of members, behind {name[:40]!r}")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnsafeArrays("an archive with an unknown compression")
        if member.compress_size > size:
            raise UnsafeArrays(f"an archive that ends within its member {name!r}")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        dtype, shape, fortran, _ = _read_header(file, member.file_size)
        array = _read_values(file, dtype, shape, fortran)
        if file.read(1):  # also makes zipfile compare the CRC of an array without values
            raise UnsafeArrays("an array followed by other data")
    return array


def _read_header(file: IO[bytes], size: int) -> tuple[np.dtype, tuple[int, ...], bool, int]:
    """Dtype, shape, whether the values are in Fortran order, and their offset: together a file of ``size`` bytes."""
    start = file.read(8)
    if len(start) != 8 or start[:6] != _MAGIC or start[6] not in (1, 2, 3):
        raise UnsafeArrays("not an array in numpy's .npy format")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    if length > _MAX_HEADER:
        raise UnsafeArrays(f"an array with a header of {length} bytes")
    text = file.read(length).decode("utf-8", errors="replace").strip()
    if len(text) > _MAX_HEADER_TEXT:
        raise UnreadType("an array of structures or of an unknown type")
    try:
        header = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise UnsafeArrays("an array with a damaged header") from error
    whole = isinstance(header, dict) and set(header) == {"descr", "fortran_order", "shape"}
    if not whole or not isinstance(header["fortran_order"], bool):
        raise UnsafeArrays("an array with a damaged header")
    try:
        dtype, shape, offset = plain_dtype(header["descr"]), header["shape"], 8 + width + length
    except UnreadType as error:
        raise UnreadType(f"{error}, of shape {header['shape']}"[:200]) from error
    if (expected := size_in_bytes(dtype, shape)) != size - offset:
        raise UnsafeArrays(f"an array that claims {expected:,} bytes where {size - offset:,} are")
    return dtype, shape, header["fortran_order"], offset


def _read_values(file: IO[bytes], dtype: np.dtype, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
    data = np.empty(size_in_bytes(dtype, shape), np.uint8)
    if (present := read_into(file, data.data)) < len(data):
        raise UnsafeArrays(f"an array of {len(data):,} bytes that ends after {present:,}")
    return from_bytes(data, dtype, shape, fortran)
