"""``.npz`` files that tell whether they are whole: the same arrays give the same bytes, with their SHA-256 inside."""

import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np

from latentcli.core.errors import DataError
from latentcli.formats import files, npz_reader
from latentcli.formats.opening import kind

_BEFORE_ZIP = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name: times would make the same content differ
_BLOCK = 2**22  # bytes copied at a time

Shape = tuple[int, ...]
Write = Callable[[bytes | memoryview], None]
Member = Callable[[str, np.dtype, Shape], AbstractContextManager[Write]]
"""Opens an array of a name, a dtype and a shape, to be written from its first byte to its last."""


@contextmanager
def _archive(path: Path, count: int) -> Iterator[Member]:
    """An ``.npz`` of so many arrays, which come in the order of their names; ``sha256`` is added at the end."""
    sha256 = files.DigestInParts(count)
    with files.atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:

        @contextmanager
        def member(name: str, dtype: np.dtype, shape: Shape) -> Iterator[Write]:
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _BEFORE_ZIP), "w", force_zip64=True) as target:
                header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(target, header)
                sha256.begin(name, dtype, shape)

                def write(block: bytes | memoryview) -> None:
                    sha256.update(block)
                    target.write(block)

                yield write

        yield member
        with archive.open(zipfile.ZipInfo("sha256.npy", _BEFORE_ZIP), "w", force_zip64=True) as target:
            np.lib.format.write_array(target, np.asarray(sha256.hexdigest()), version=(1, 0), allow_pickle=False)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an ``.npz`` that any numpy reads: the same bytes for the same arrays, with their SHA-256 as ``sha256``.

    Args:
        path: of the file, replaced whole or not at all.
        arrays: by name; numbers, truth values or strings.

    Raises:
        OutputError: the file cannot be written.
    """
    plain = {name: np.asarray(array) for name, array in arrays.items() if name != "sha256"}
    with _archive(path, len(plain)) as member:
        for name in sorted(plain):
            with member(name, plain[name].dtype, plain[name].shape) as write:
                write(_bytes(plain[name]))


def _bytes(array: np.ndarray) -> memoryview:
    """What an array holds, first row first."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def read_arrays(path: Path, *, sealed: bool = False) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz``, without ``sha256``, which is compared where it is there.

    Args:
        path: of the file.
        sealed: insist on ``sha256``: one flipped bit in an archive's directory can hide its last members, this one
            among them.

    Raises:
        DataError: the file is missing, damaged or unsafe, or its arrays are not those it was written with.
    """
    name, remedy = files.shown(path), "make it again, or copy it again from where it is whole"
    if kind(path) is None:
        raise DataError(f"there is no file {name}", remedy="give the path of one that latentcli wrote")
    try:
        arrays = npz_reader.read_npz(path)
    except npz_reader.UnsafeArrays as error:
        raise DataError(f"cannot read {name}", str(error), remedy) from error
    if sealed and "sha256" not in arrays:
        raise DataError(f"{name} was not written by latentcli, or is not whole", "expected an array sha256", remedy)
    expected = arrays.pop("sha256", None)
    if expected is not None and str(expected) != (found := files.digest(arrays)):
        difference = f"expected SHA-256 {files.short(str(expected))}, found {files.short(found)}"
        raise DataError(f"{name} was changed after it was written", difference, remedy)
    return arrays


@contextmanager
def arrays_writer(
    path: Path, shapes: Mapping[str, tuple[np.dtype, Shape]], known: Mapping[str, np.ndarray] | None = None
) -> Iterator[Callable[..., None]]:
    """Write an ``.npz`` like ``write_arrays`` does, its arrays a few rows at a time, all of them together.

    What cannot be written yet, as an archive takes one array after another, waits in temporary files beside it.

    Args:
        path: of the file, replaced whole when the block ends well.
        shapes: dtype and shape of each array that comes in rows.
        known: arrays that are there as a whole.

    Yields:
        a function that takes the next rows of every array, by name.

    Raises:
        OutputError: the file cannot be written.
    """
    waiting = {name: np.asarray(array) for name, array in (known or {}).items()}
    headers = {**shapes, **{name: (array.dtype, array.shape) for name, array in waiting.items()}}
    names = sorted(headers)
    first = next(name for name in names if name in shapes)
    with _archive(path, len(headers)) as member, ExitStack() as temporary:
        parts = {
            name: temporary.enter_context(tempfile.TemporaryFile(dir=path.parent)) for name in shapes if name != first
        }

        def write_whole(name: str) -> None:
            with member(name, *headers[name]) as write:
                if name in waiting:
                    write(_bytes(waiting[name]))
                    return
                parts[name].seek(0)
                while block := parts[name].read(_BLOCK):
                    write(block)

        for name in names[: names.index(first)]:
            write_whole(name)
        with member(first, *headers[first]) as write_first:

            def write(**rows: np.ndarray) -> None:
                for name, (dtype, _) in shapes.items():
                    block = _bytes(np.asarray(rows[name], dtype=dtype))
                    (write_first if name == first else parts[name].write)(block)

            yield write
        for name in names[names.index(first) + 1 :]:
            write_whole(name)
