"""IDX files, the format of MNIST and similar sets, plain or gzipped.

Format: Y. LeCun, C. Cortes, "The MNIST database of handwritten digits": two zero bytes, the type (8 is unsigned
bytes), the number of dimensions, each size as a big-endian uint32, then the values, big-endian, too. The files are
called as MNIST's, EMNIST's (``emnist-letters-test-images-idx3-ubyte.gz``) or QMNIST's (``qmnist-…-labels-idx2-int``).
"""

import gzip
import math
import os
import re
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
from latentcli.data import splits
from latentcli.data.array_labels import encode_labels
from latentcli.data.arrays import to_images
from latentcli.data.download import find_or_download
from latentcli.formats.pixel_values import PixelRules
from latentcli.formats.regular_files import open_regular, read_into, reason

PREFIXES = {"train": "train", "test": "t10k"}
FASHION_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

_FREE_BYTES = 64 * 2**20
_LARGEST_RATIO = 100  # bytes that a byte of a gzipped file may inflate to, beyond the free ones; MNIST has 5
_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_NAME = re.compile(
    r"(?:(?P<set>.+)[-_.])?(?P<part>[a-z0-9]+)[-_.](?P<what>images|labels)[-_.]idx\d[-_.]"
    r"(?:u?byte|short|int|float|double)(?:\.gz)?",
    re.IGNORECASE,
)


def _named(
    name: str, folder: str, class_names: tuple[str, ...], split: str, roots: Sequence[Path], progress: Progress
) -> ImageSet:
    path = find_or_download(
        name, f"{PREFIXES[split]}-images-idx3-ubyte.gz and -labels-idx1-ubyte.gz", f"{folder}/raw", roots,
        (f"{folder}/raw", folder), lambda path: None not in _sets(path).get("", {}).get(split, (None,)), progress,
    )  # fmt: skip
    images = load(_sets(path)[""][split][0], splits.Wanted(split), no_label=())
    codes = np.array([int(label) for label in images.class_names], dtype=np.int64)
    wrong = [str(code) for code in codes if not 0 <= code < len(class_names)]
    wrong = wrong if images.labels.known.all() else ["images without a label"]
    if wrong:
        raise DataError(f"{path} is not {name}", f"expected labels 0 to {len(class_names) - 1}, found {wrong[-1]}")
    return replace(images, labels=Labels(codes[images.labels.codes], class_names), name=name, notes=(), parts=())


mnist = partial(_named, "mnist", "MNIST", tuple("0123456789"))
"""MNIST: 60,000 and 10,000 grey images of 28×28, in torchvision's layout: ``MNIST/raw``."""

fashion_mnist = partial(_named, "fashion-mnist", "FashionMNIST", FASHION_NAMES)
"""Fashion-MNIST: 60,000 and 10,000 grey images of 28×28, in torchvision's layout: ``FashionMNIST/raw``."""


Parts = dict[str, tuple[Path, Path | None]]
"""The files of images and of labels, if there are some, of each part of a set."""


def find_folder(path: Path) -> Path | None:
    """The folder itself, or ``raw`` within it, if it holds IDX files of images; None otherwise."""
    return next((folder for folder in (path, path / "raw") if _sets(folder)), None)


def is_images(path: Path) -> bool:
    """Whether a file is called as an IDX file of images."""
    found = _NAME.fullmatch(path.name)
    return found is not None and found["what"].lower() == "images" and _part(found["part"]) is not None


def load(
    path: Path, wanted: splits.Wanted, name: str | None = None, no_label: Sequence[str] | None = None,
    labelled: bool = True, rules: PixelRules | None = None,
) -> ImageSet:  # fmt: skip
    """The images of one part of a set, with labels where their file is present; class names are the numbers themselves.

    Plain images stay on the disk, memory-mapped. Of labels with several columns, as of QMNIST, the first is the class.

    Args:
        path: a folder with the files of one set; or one file of images, which is of the set and part that it names.
        wanted: the part, where a folder is given; of a file the only one that can be asked for is its own.
        name: of the set, for messages; None: as the path.
        no_label, labelled, rules: as for ``arrays.load``.

    Raises:
        DataError: a file is missing, damaged or too large, images and labels differ in number, or a folder holds
            several sets.
    """
    folder, name = path, name or str(path)
    if path.is_dir():
        sets = _sets(path)
        if len(sets) > 1:
            first = next(iter(next(iter(sets.values())).values()))[0]
            found = f"found {', '.join(label or first.name for label in sets)}"
            raise DataError(f"{path} holds several sets of IDX files", found, f"name a file of images: {first}")
        parts = next(iter(sets.values()), {})
        if not parts:
            raise DataError(f"{path} has no IDX images", "expected such as train-images-idx3-ubyte")
        (images_path, labels_path), note = splits.chosen(name, parts, wanted)
        notes: tuple[str, ...] = (note,)
    else:
        folder, found_name = path.parent, _NAME.fullmatch(path.name)
        assert found_name is not None  # see is_images
        part = _part(found_name["part"]) or wanted.part
        if wanted.asked and part != wanted.part:
            found = f"found the {part} part by its name"
            raise DataError(f"{name} is not the {wanted.part} part", found, "name the folder, or leave out `split`")
        same = _sets(folder).get((found_name["set"] or "").lower(), {})
        images_path, labels_path = path, same.get(part, (path, None))[1]
        parts, notes = {}, ()
    if "emnist" in images_path.name.lower():
        notes = (*notes, f"{name}: EMNIST publishes its images with rows and columns exchanged, and so they are read")
    pixels = to_images(read(images_path), str(images_path), rules)
    images = replace(pixels.as_set(name, notes), parts=tuple(parts))
    if labels_path is None or not labelled:
        return images
    values, told = read(labels_path), []
    if values.ndim == 2 and len(values) == len(images) and values.shape[1]:
        told = [f"{labels_path} has {values.shape[1]} columns: the first is the class"]
        values = values[:, 0]
    if values.shape != (len(images),):
        problem = f"{folder} holds {len(images)} images and labels of shape {values.shape}"
        raise DataError(problem, f"in {labels_path}")
    labels, of_labels = encode_labels(values.astype(values.dtype.newbyteorder("=")), None, name, no_label)
    return replace(images, labels=labels, notes=(*images.notes, *told, *of_labels))


def _part(name: str) -> str | None:
    return "test" if name.lower() == "t10k" else splits.part_of(name)


def _sets(folder: Path) -> dict[str, Parts]:
    """The sets whose IDX files are in a folder, by what stands before the part in their names; plain files go first."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if "idx" in entry.name.lower())
    except OSError:
        return {}
    files: dict[str, dict[str, dict[str, Path]]] = {}
    for name in names:
        found = _NAME.fullmatch(name)
        if found is not None and (part := _part(found["part"])) is not None and (folder / name).is_file():
            of_part = files.setdefault((found["set"] or "").lower(), {}).setdefault(part, {})
            of_part.setdefault(found["what"].lower(), folder / name)
    sets = {
        name: {part: (parts[part]["images"], parts[part].get("labels")) for part in splits.PARTS
               if "images" in parts.get(part, {})}
        for name, parts in files.items()
    }  # fmt: skip
    return {name: parts for name, parts in sets.items() if parts}


def read(path: Path) -> np.ndarray:
    """The array of one IDX file, memory-mapped unless it is gzipped; damage is a DataError."""
    try:
        file, size = open_regular(path)
        with file:
            if file.read(2) == b"\x1f\x8b":
                file.seek(0)
                with gzip.GzipFile(fileobj=file) as inflated:
                    dtype, shape = _header(inflated, path)
                    return _read_values(inflated, dtype, shape, path, _FREE_BYTES + _LARGEST_RATIO * size)
            file.seek(0)
            dtype, shape = _header(file, path)
            expected = file.tell() + math.prod(shape) * dtype.itemsize
            if size != expected:
                raise _damaged(path, f"its header says {expected:,} bytes, it has {size:,}")
            if not math.prod(shape):
                return np.empty(shape, dtype)
            return np.memmap(path, dtype=dtype, mode="r", offset=file.tell(), shape=shape)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise DataError(f"cannot read {path}", reason(error)) from error


def _header(file: IO[bytes] | gzip.GzipFile, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    start = file.read(4)
    if len(start) != 4 or start[:2] != bytes(2) or start[2] not in _TYPES or not 1 <= start[3] <= 4:
        found = start.hex(" ") or "nothing"
        raise _damaged(path, f"it begins with {found}, expected 00 00 08 and 1 to 4 dimensions")
    sizes = file.read(4 * start[3])
    if len(sizes) != 4 * start[3]:
        raise _damaged(path, "it ends within its header")
    return np.dtype(_TYPES[start[2]]), struct.unpack(f">{start[3]}I", sizes)


def _read_values(
    file: gzip.GzipFile, dtype: np.dtype, shape: tuple[int, ...], path: Path, limit: int
) -> np.ndarray:  # fmt: skip
    """The values of a stream, whose length is only known at its end."""
    count = math.prod(shape) * dtype.itemsize
    if count > limit:
        raise _damaged(path, f"its header says {count:,} bytes, more than the {limit:,} a file of its size may hold")
    values = np.empty(count, dtype=np.uint8)
    present = read_into(file, values.data)
    if present < count:
        raise _damaged(path, f"its header says {count:,} bytes, it has {present:,}")
    if file.read(1):  # reading to the end of the stream also checks its checksum
        raise _damaged(path, f"its header says {count:,} bytes, it has more")
    return values.view(dtype).reshape(shape)


def _damaged(path: Path, found: str) -> DataError:
    return DataError(f"{path} is not a whole IDX file", found, f"download it again, or delete it: {path}")
