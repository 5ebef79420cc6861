"""IDX files, the format of MNIST and similar sets, plain or gzipped.

Format: Y. LeCun, C. Cortes, "The MNIST database of handwritten digits": two zero bytes, the type (8 is unsigned
bytes), the number of dimensions, each size as a big-endian uint32, then the values.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.core.progress import Progress
from latentcli.data.array_labels import encode_labels
from latentcli.data.arrays import to_images
from latentcli.data.download import find_or_download
from latentcli.formats.regular_files import open_regular, read_into, reason

PREFIXES = {"train": "train", "test": "t10k"}
FASHION_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

_FREE_BYTES = 64 * 2**20
_LARGEST_RATIO = 100  # bytes that a byte of a gzipped file may inflate to, beyond the free ones; MNIST has 5
_UNSIGNED_BYTES = 8


def _named(
    name: str, folder: str, class_names: tuple[str, ...], split: str, roots: Sequence[Path], progress: Progress
) -> ImageSet:
    path = find_or_download(
        name, f"{PREFIXES[split]}-images-idx3-ubyte.gz and -labels-idx1-ubyte.gz", f"{folder}/raw", roots,
        (f"{folder}/raw", folder), lambda path: None not in _files(path, split), progress,
    )  # fmt: skip
    images = load(path, split)
    codes = np.array([int(label) for label in images.class_names], dtype=np.int64)
    if codes.max(initial=0) >= len(class_names):
        raise DataError(f"{path} is not {name}", f"expected labels 0 to {len(class_names) - 1}, found {codes.max()}")
    return replace(images, labels=Labels(codes[images.labels.codes], class_names), name=name)


mnist = partial(_named, "mnist", "MNIST", tuple("0123456789"))
"""MNIST: 60,000 and 10,000 grey images of 28×28, in torchvision's layout: ``MNIST/raw``."""

fashion_mnist = partial(_named, "fashion-mnist", "FashionMNIST", FASHION_NAMES)
"""Fashion-MNIST: 60,000 and 10,000 grey images of 28×28, in torchvision's layout: ``FashionMNIST/raw``."""


def find_folder(path: Path) -> Path | None:
    """The folder itself, or ``raw`` within it, if it holds IDX files of images; None otherwise."""
    for folder in (path, path / "raw"):
        if any(_files(folder, split)[0] is not None for split in PREFIXES):
            return folder
    return None


def load(folder: Path, split: str) -> ImageSet:
    """The images of one split, with labels where their file is present; the class names are the numbers themselves.

    The folder has ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, or ``t10k-…``, each perhaps followed by
    ``.gz``. Plain images stay on the disk, memory-mapped.

    Raises:
        DataError: a file is missing, damaged or too large, or images and labels differ in number.
    """
    images_path, labels_path = _files(folder, split)
    if images_path is None:
        expected = f"expected {PREFIXES[split]}-images-idx3-ubyte"
        raise DataError(f"{folder} has no IDX images of the {split} split", expected)
    images, layout = to_images(read(images_path), images_path.name)
    if labels_path is None:
        return ImageSet(images, name=folder.name, layout=layout)
    values = read(labels_path)
    if values.shape != (len(images),):
        problem = f"{folder} holds {len(images)} images and labels of shape {values.shape}"
        raise DataError(problem, f"in {labels_path.name}")
    labels, notes = encode_labels(values, None, folder.name)
    return ImageSet(images, labels, name=folder.name, layout=layout, notes=notes)


def _files(folder: Path, split: str) -> tuple[Path | None, Path | None]:
    """The files of images and of labels of one split; plain ones first."""

    def first(what: str, kind: str) -> Path | None:
        names = [f"{PREFIXES[split]}-{what}{joint}{kind}-ubyte{end}" for end in ("", ".gz") for joint in ("-", ".")]
        return next((folder / name for name in names if (folder / name).is_file()), None)

    return first("images", "idx3"), first("labels", "idx1")


def read(path: Path) -> np.ndarray:
    """The array of one IDX file of unsigned bytes, memory-mapped unless it is gzipped; damage is a DataError."""
    try:
        file, size = open_regular(path)
        with file:
            if file.read(2) == b"\x1f\x8b":
                file.seek(0)
                with gzip.GzipFile(fileobj=file) as inflated:
                    return _read_values(inflated, _shape(inflated, path), path, _FREE_BYTES + _LARGEST_RATIO * size)
            file.seek(0)
            shape = _shape(file, path)
            expected = file.tell() + math.prod(shape)
            if size != expected:
                raise _damaged(path, f"its header says {expected:,} bytes, it has {size:,}")
            if not math.prod(shape):
                return np.empty(shape, dtype=np.uint8)
            return np.memmap(path, dtype=np.uint8, mode="r", offset=file.tell(), shape=shape)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise DataError(f"cannot read {path}", reason(error)) from error


def _shape(file: IO[bytes] | gzip.GzipFile, path: Path) -> tuple[int, ...]:
    start = file.read(4)
    if len(start) != 4 or start[:3] != bytes([0, 0, _UNSIGNED_BYTES]) or start[3] not in (1, 3, 4):
        found = start.hex(" ") or "nothing"
        raise _damaged(path, f"it begins with {found}, expected 00 00 08 and 1, 3 or 4 dimensions")
    sizes = file.read(4 * start[3])
    if len(sizes) != 4 * start[3]:
        raise _damaged(path, "it ends within its header")
    return struct.unpack(f">{start[3]}I", sizes)


def _read_values(file: gzip.GzipFile, shape: tuple[int, ...], path: Path, limit: int) -> np.ndarray:
    """The values of a stream, whose length is only known at its end."""
    count = math.prod(shape)
    if count > limit:
        raise _damaged(path, f"its header says {count:,} bytes, more than the {limit:,} a file of its size may hold")
    values = np.empty(count, dtype=np.uint8)
    present = read_into(file, values.data)
    if present < count:
        raise _damaged(path, f"its header says {count:,} bytes, it has {present:,}")
    if file.read(1):  # reading to the end of the stream also checks its checksum
        raise _damaged(path, f"its header says {count:,} bytes, it has more")
    return values.reshape(shape)


def _damaged(path: Path, found: str) -> DataError:
    return DataError(f"{path.name} is not a whole IDX file", found, f"download it again, or delete it: {path}")
