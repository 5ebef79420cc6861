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

from latentcli.formats.dtypes import UnsafeArrays, check_values, plain_dtype, size_in_bytes
from latentcli.formats.regular_files import open_regular, read_into, reason

__all__ = ["UnsafeArrays", "read_npy", "read_npz"]

MAX_ARRAYS = 1000
_FREE_BYTES = 64 * 2**20
_MAX_RATIO = 100  # images compress 2 to 20 times; deflate's own limit is 1032
_MAX_HEADER = 16_384
_MAX_HEADER_TEXT = 512  # without the padding; also keeps ast.literal_eval far from its own limits
_MAGIC = b"\x93NUMPY"


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file, in memory, in the file's order and this machine's byte order.

    Raises:
        UnsafeArrays: the file is not an archive of plain arrays, is damaged (each member has a CRC), or inflates to
            more than 64 MiB plus 100 times its size.
    """
    with _damage_as_unsafe(".npz archive"):
        file, size = open_regular(path)
        with file, zipfile.ZipFile(file) as archive:
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
    with _damage_as_unsafe(".npy file"):
        file, size = open_regular(path)
        with file:
            dtype, shape, fortran, offset = _read_header(file)
            _check_size(dtype, shape, size - offset)
            if not mmap or size == offset:
                return _read_values(file, dtype, shape, fortran)
            array = np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")
            check_values(array)
            return array


@contextmanager
def _damage_as_unsafe(what: str) -> Iterator[None]:
    """Raise errors of the block, which reads a file, as UnsafeArrays."""
    try:
        yield
    except UnsafeArrays:
        raise
    except OSError as error:
        raise UnsafeArrays(f"cannot be read: {reason(error)}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError, struct.error) as error:
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
        dtype, shape, fortran, offset = _read_header(file)
        _check_size(dtype, shape, member.file_size - offset)
        array = _read_values(file, dtype, shape, fortran)
        if file.read(1):  # also makes zipfile compare the CRC of an array without values
            raise UnsafeArrays("an array followed by other data")
    return array


def _read_header(file: IO[bytes]) -> tuple[np.dtype, tuple[int, ...], bool, int]:
    """Dtype, shape, whether the values are in Fortran order, and their offset."""
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
    return plain_dtype(header["descr"]), header["shape"], header["fortran_order"], 8 + width + length


def _check_size(dtype: np.dtype, shape: tuple[int, ...], present: int) -> None:
    expected = size_in_bytes(dtype, shape)
    if expected != present:
        raise UnsafeArrays(f"an array that claims {expected:,} bytes where {present:,} are")


def _read_values(file: IO[bytes], dtype: np.dtype, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
    array = np.empty(shape, dtype=dtype, order="F" if fortran else "C")
    target = array.reshape(-1, order="A").view(np.uint8).data
    present = read_into(file, target)
    if present < len(target):
        raise UnsafeArrays(f"an array of {len(target):,} bytes that ends after {present:,}")
    check_values(array)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))
