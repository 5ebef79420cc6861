"""Arrays from ``.npz`` and ``.npy`` files of unknown origin, every size checked before it is allocated.

``numpy.load(allow_pickle=False)`` runs no code, but allocates what a header claims: 128 bytes can ask for 8 TiB,
2 MB can inflate to 2 GiB. Here the header must agree with the bytes present, and the inflated size is limited.
"""

import ast
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from latentcli.formats.dtypes import UnsafeArrays, check_values, from_bytes, plain_dtype, size_in_bytes
from latentcli.formats.regular_files import open_regular, read_into, reason

__all__ = ["UnsafeArrays", "read_npy", "read_npz"]

MAX_ARRAYS = 1000
_FREE_BYTES = 64 * 2**20
_MAX_RATIO = 100  # images compress 2 to 20 times; deflate's own limit is 1032
_MAX_HEADER = 16_384
_MAX_HEADER_TEXT = 512  # without the padding; also keeps ast.literal_eval far from its own limits
_MAGIC = b"\x93NUMPY"
ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError, struct.error, OSError)
"""What zipfile raises for damaged archives (NotImplementedError is a RuntimeError, UnicodeError a ValueError)."""


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file, in memory, in the file's order and this machine's byte order.

    Raises:
        UnsafeArrays: the file is not an archive of plain arrays, is damaged (each member has a CRC), or inflates to
            more than 64 MiB plus 100 times its size.
    """
    with _opened(path, ".npz archive") as (file, size), zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _check_members(members, size)
        return {member.filename.removesuffix(".npy"): _read_member(archive, member) for member in members}


def read_npy(path: Path, *, mmap: bool = False) -> np.ndarray:
    """The array of an ``.npy`` file.

    Args:
        mmap: leave it on the disk, mapped read-only; otherwise it is read into memory, in this machine's byte order.

    Raises:
        UnsafeArrays: the file is not one plain array, or not of the size that its header claims.
    """
    with _opened(path, ".npy file") as (file, size):
        dtype, shape, fortran, offset = _read_header(file, size)
        if mmap and size > offset:
            array = np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")
            check_values(array)
            return array
        return _read_values(file, dtype, shape, fortran)


@contextmanager
def _opened(path: Path, what: str) -> Iterator[tuple[IO[bytes], int]]:
    """An open file and its size; damage that the block comes upon becomes UnsafeArrays."""
    try:
        opened, size = open_regular(path)
    except OSError as error:
        raise UnsafeArrays(f"cannot be read: {reason(error)}") from error
    try:
        with opened as file:
            yield file, size
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
        if not name.endswith(".npy") or len(name) > 255 or set(name) & set("/\\\0"):
            raise UnsafeArrays(f"an archive with a member {name[:40]!r}, which is no array")
        if name in names:
            raise UnsafeArrays(f"an archive with two members {name!r}")
        names.add(name)
        if member.flag_bits & 0x1:
            raise UnsafeArrays("an encrypted archive")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnsafeArrays("an archive with an unknown compression")
        if member.compress_size > size:
            raise UnsafeArrays(f"an archive that ends within its member {name!r}")
    total, limit = sum(member.file_size for member in members), _FREE_BYTES + _MAX_RATIO * size
    if total > limit:
        raise UnsafeArrays(f"an archive that inflates to {total:,} bytes, more than the {limit:,} allowed")


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
        raise UnsafeArrays("an array of structures or of an unknown type")
    try:
        header = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise UnsafeArrays("an array with a damaged header") from error
    whole = isinstance(header, dict) and set(header) == {"descr", "fortran_order", "shape"}
    if not whole or not isinstance(header["fortran_order"], bool):
        raise UnsafeArrays("an array with a damaged header")
    dtype, shape, offset = plain_dtype(header["descr"]), header["shape"], 8 + width + length
    if (expected := size_in_bytes(dtype, shape)) != size - offset:
        raise UnsafeArrays(f"an array that claims {expected:,} bytes where {size - offset:,} are")
    return dtype, shape, header["fortran_order"], offset


def _read_values(file: IO[bytes], dtype: np.dtype, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
    data = np.empty(size_in_bytes(dtype, shape), np.uint8)
    if (present := read_into(file, data.data)) < len(data):
        raise UnsafeArrays(f"an array of {len(data):,} bytes that ends after {present:,}")
    return from_bytes(data, dtype, shape, fortran)
