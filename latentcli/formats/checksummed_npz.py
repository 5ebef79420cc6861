"""``.npz`` files with a SHA-256 of their arrays inside; the same arrays give the same bytes."""

import math
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np

from latentcli.core.errors import DataError
from latentcli.formats import npz_reader
from latentcli.formats.atomic import atomic_write, output_errors
from latentcli.formats.digests import DigestInParts, bytes_of, digest, short
from latentcli.formats.regular_files import kind

CHECKSUM = "sha256"  # the array that holds the SHA-256 of all others
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip: real times would make the same content differ
_BLOCK = 2**22  # bytes copied at a time

Shape = tuple[int, ...]
Write = Callable[[bytes | memoryview], None]
Member = Callable[[str, np.dtype, Shape], AbstractContextManager[Write]]
"""Opens an array of a name, a dtype and a shape, to be written from its first byte to its last."""


def read_arrays(path: Path, *, strict: bool = False, mmap: bool = False) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz``, without ``sha256``, which is checked where it is present.

    ``strict`` requires it: one flipped bit in an archive's directory can hide its last members, this one among them.
    With ``mmap`` those of a file that has it stay on the disk, mapped read-only, where they can.

    Raises:
        DataError: the file is missing, damaged, unsafe, or changed after it was written.
    """
    remedy = "make it again, or copy it again from where it is intact"
    if kind(path) is None:
        raise DataError(f"there is no file {path}", remedy="give the path of one that latentcli wrote")
    try:
        arrays = npz_reader.read_npz(path, mapped_beside=CHECKSUM if mmap else None)
    except npz_reader.UnsafeArrays as error:
        raise DataError(f"cannot read {path}", str(error), remedy) from error
    if strict and CHECKSUM not in arrays:
        raise DataError(f"{path} was not written by latentcli, or is not whole", "expected an array sha256", remedy)
    expected = arrays.pop(CHECKSUM, None)
    if expected is not None and str(expected) != (found := digest(arrays)):
        difference = f"expected SHA-256 {short(str(expected))}, found {short(found)}"
        raise DataError(f"{path} was changed after it was written", difference, remedy)
    return arrays


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of numbers, truth values or strings whole or not at all, with their SHA-256 as ``sha256``.

    Raises:
        OutputError: the file cannot be written.
    """
    plain = {name: np.asarray(array) for name, array in arrays.items() if name != CHECKSUM}
    with _archive(path, len(plain)) as member:
        for name in sorted(plain):
            _write_whole(member, name, plain[name])


@contextmanager
def arrays_writer(
    path: Path, shapes: Mapping[str, tuple[np.dtype, Shape]], known: Mapping[str, np.ndarray] | None = None
) -> Iterator[Callable[..., None]]:
    """Write an ``.npz`` like ``write_arrays``, but the next rows of all its arrays at a time.

    An archive takes one array after another, so the rows of all but the first wait in temporary files beside it.

    Args:
        shapes: dtype and shape of each array that comes in rows: the function yielded takes the next of each, by name.
        known: arrays that are complete.

    Raises:
        OutputError: the file cannot be written.
        ValueError: there are more or fewer rows than the shapes say.
    """
    whole = {name: np.asarray(array) for name, array in (known or {}).items()}
    names = sorted({*shapes, *whole})
    first = next(name for name in names if name in shapes)
    with _archive(path, len(names)) as member, ExitStack() as opened:
        with output_errors(path):
            later = [name for name in shapes if name != first]
            waiting = {name: opened.enter_context(tempfile.TemporaryFile(dir=path.parent)) for name in later}

        def finish(name: str) -> None:
            if name in whole:
                _write_whole(member, name, whole[name])
                return
            with member(name, *shapes[name]) as write, output_errors(path):
                waiting[name].seek(0)
                while block := waiting[name].read(_BLOCK):
                    write(block)

        for name in names[: names.index(first)]:
            finish(name)
        with member(first, *shapes[first]) as write_first:

            def write(**rows: np.ndarray) -> None:
                for name, (dtype, _) in shapes.items():
                    for block in bytes_of(np.asarray(rows[name], dtype=dtype)):
                        with output_errors(path):
                            (write_first if name == first else waiting[name].write)(block)

            yield write
        for name in names[names.index(first) + 1 :]:
            finish(name)


@contextmanager
def _archive(path: Path, count: int) -> Iterator[Member]:
    """An ``.npz`` of ``count`` arrays, written in the order of their names; ``sha256`` is added at the end."""
    sha256 = DigestInParts(count)
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:

        @contextmanager
        def member(name: str, dtype: np.dtype, shape: Shape) -> Iterator[Write]:
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _NO_TIME), "w", force_zip64=True) as target:
                header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(target, header)
                sha256.begin(name, dtype, shape)
                missing = math.prod(shape) * dtype.itemsize

                def write(block: bytes | memoryview) -> None:
                    nonlocal missing
                    missing -= len(block)
                    sha256.update(block)
                    target.write(block)

                yield write
            if missing:
                raise ValueError(f"the array {name} of shape {shape} lacks {missing:,} bytes")

        yield member
        with archive.open(zipfile.ZipInfo(f"{CHECKSUM}.npy", _NO_TIME), "w", force_zip64=True) as target:
            np.lib.format.write_array(target, np.asarray(sha256.hexdigest()), version=(1, 0), allow_pickle=False)


def _write_whole(member: Member, name: str, array: np.ndarray) -> None:
    with member(name, array.dtype, array.shape) as write:
        for block in bytes_of(array):
            write(block)
