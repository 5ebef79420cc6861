"""CIFAR-10 and CIFAR-100 as their authors publish them: pickles of Python 2, unpacked or in their ``.tar.gz``.

Pickles are programs, so they go through ``formats.pickle_reader``; archives are read in memory, and nothing in them is
ever written to a path that they name.
"""

import math
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.core.progress import Progress
from latentcli.data.download import find_or_download
from latentcli.formats.pickle_reader import UnsafePickle, loads
from latentcli.formats.regular_files import open_regular, reason

_LARGEST_BATCH = 256 * 2**20  # bytes; CIFAR-100's training file has 155 MB
_LARGEST_ARCHIVE = 512 * 2**20  # bytes when inflated; the real ones have 186 MB
_CHUNK = 2**20
_SHAPE = (3, 32, 32)


@dataclass(frozen=True)
class _Variant:
    """A set's name, its folder and archive, the files of its splits, and the entries of its pickles."""

    name: str
    folder: str
    archive: str
    batches: Mapping[str, tuple[str, ...]]
    meta: str
    labels: str
    class_names: str


_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
_CIFAR10 = _Variant(
    "cifar10", "cifar-10-batches-py", "cifar-10-python.tar.gz", _BATCHES, "batches.meta", "labels", "label_names"
)
_CIFAR100 = _Variant(
    "cifar100", "cifar-100-python", "cifar-100-python.tar.gz", {"train": ("train",), "test": ("test",)}, "meta",
    "fine_labels", "fine_label_names",
)  # fmt: skip
_CIFAR100_COARSE = replace(_CIFAR100, name="cifar100-coarse", labels="coarse_labels", class_names="coarse_label_names")


def _load(variant: _Variant, split: str, roots: Sequence[Path], progress: Progress) -> ImageSet:
    wanted = (*variant.batches[split], variant.meta)
    files = f"{variant.archive}, or the folder {variant.folder} that is in it"
    path = find_or_download(
        variant.name.removesuffix("-coarse"), files, ".", roots, (variant.folder, variant.archive),
        lambda path: all((path / name).is_file() for name in wanted) if path.is_dir() else path.is_file(), progress,
    )  # fmt: skip
    batches: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    class_names: tuple[str, ...] = ()
    for name, data in (_folder_members if path.is_dir() else _archive_members)(path, variant.folder, wanted):
        content = _unpickle(data, path / name)
        if name == variant.meta:
            names = content.get(variant.class_names)
            if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
                raise _not_cifar(path / name, f"no list of strings under {variant.class_names!r}")
            class_names = tuple(names)
        else:
            batches[name] = _batch(content, variant, path / name)
    pixels, labels = zip(*(batches[name] for name in variant.batches[split]), strict=True)
    if len({len(codes) for codes in labels}) > 1:
        raise _not_cifar(path, f"batches of {', '.join(str(len(codes)) for codes in labels)} images")
    codes = np.concatenate(labels)
    if codes.min() < 0 or codes.max() >= len(class_names):
        raise _not_cifar(path, f"labels from {codes.min()} to {codes.max()} and {len(class_names)} class names")
    images = np.concatenate(pixels).reshape(-1, *_SHAPE)
    return ImageSet(images, Labels(codes, class_names), name=variant.name, layout="NCHW")


cifar10 = partial(_load, _CIFAR10)
"""CIFAR-10: 50,000 and 10,000 colour images of 32×32, in ten classes (Krizhevsky 2009)."""

cifar100 = partial(_load, _CIFAR100)
"""CIFAR-100: 50,000 and 10,000 colour images of 32×32, in a hundred fine classes (Krizhevsky 2009)."""

cifar100_coarse = partial(_load, _CIFAR100_COARSE)
"""CIFAR-100 in its twenty superclasses."""


def _folder_members(path: Path, folder: str, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for name in wanted:
        try:
            file, size = open_regular(path / name)
            with file:
                if size > _LARGEST_BATCH:
                    raise _not_cifar(path / name, f"{size:,} bytes")
                yield name, file.read(size)
        except OSError as error:
            raise DataError(f"cannot read {path / name}", reason(error)) from error


def _archive_members(path: Path, folder: str, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a ``.tar.gz``, in its own order; links and all other names are skipped."""
    missing = set(wanted)
    try:
        file, _ = open_regular(path)
        with (
            file,
            GzipFile(fileobj=file) as inflated,
            tarfile.open(fileobj=_Limited(inflated), mode="r|") as archive,  # type: ignore[call-overload]
        ):
            for member in archive:
                name = member.name.removeprefix(f"{folder}/")
                if not (member.isreg() and member.name == f"{folder}/{name}" and name in missing):
                    continue
                if member.size > _LARGEST_BATCH:
                    raise _not_cifar(path / name, f"{member.size:,} bytes")
                content = archive.extractfile(member)
                assert content is not None  # since it is a regular file
                yield name, content.read()
                missing.remove(name)
                if not missing:
                    return
    except (tarfile.TarError, EOFError, zlib.error, BadGzipFile) as error:
        raise _not_cifar(path, f"a damaged archive: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}", reason(error)) from error
    raise _not_cifar(path, f"an archive without {folder}/{min(missing)}")


class _Limited:
    """A stream that fails once it has inflated to more than any real archive."""

    def __init__(self, stream: GzipFile) -> None:
        self._stream, self._left = stream, _LARGEST_ARCHIVE

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, _CHUNK))
        self._left -= len(data)
        if self._left < 0:
            raise tarfile.ReadError(f"it inflates to more than {_LARGEST_ARCHIVE:,} bytes")
        return data


def _unpickle(data: bytes, path: Path) -> dict[Any, Any]:
    try:
        content = loads(data, encoding="latin1")
    except UnsafePickle as error:
        raise _not_cifar(path, str(error)) from error
    if not isinstance(content, dict):
        raise _not_cifar(path, f"a pickle of {type(content).__name__}")
    return content


def _batch(content: Mapping[Any, Any], variant: _Variant, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3072) uint8 pixels and (N,) int64 labels."""
    pixels, labels = content.get("data"), content.get(variant.labels)
    pixel_count = math.prod(_SHAPE)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (pixel_count,):
        raise _not_cifar(path, f"no rows of {pixel_count:,} bytes under 'data'")
    if not isinstance(labels, list) or len(labels) != len(pixels) or not len(pixels):
        raise _not_cifar(path, f"{len(pixels)} images, and not one of {variant.labels!r} for each")
    if not all(type(label) is int and 0 <= label < 1000 for label in labels):
        raise _not_cifar(path, f"{variant.labels!r} that are not class numbers")
    return pixels, np.array(labels, dtype=np.int64)


def _not_cifar(path: Path, found: str) -> DataError:
    remedy = "delete it, and download it again"
    return DataError(f"{path} is not a file of CIFAR's Python version", f"found {found}", remedy)
