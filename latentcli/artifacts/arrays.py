"""``.npz`` files: latents, reconstructions, hybrids. The same arrays give the same bytes, with their SHA-256 inside."""

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from latentcli import files, safe_arrays
from latentcli.errors import DataError
from latentcli.latents import ARRAYS_OF_FEATURES, Latents

_BEFORE_ZIP = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name: times would make the same content differ


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an ``.npz`` that any numpy reads: the same bytes for the same arrays, with their SHA-256 as ``sha256``.

    Args:
        path: of the file, replaced whole or not at all.
        arrays: by name; numbers, truth values or strings.

    Raises:
        OutputError: the file cannot be written.
    """
    plain = {name: np.asarray(array) for name, array in arrays.items() if name != "sha256"}
    with files.atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in (plain | {"sha256": np.asarray(files.digest(plain))}).items():
            member = zipfile.ZipInfo(f"{name}.npy", _BEFORE_ZIP)
            with archive.open(member, "w", force_zip64=True) as target:
                np.lib.format.write_array(target, array, version=(1, 0), allow_pickle=False)


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
    try:
        arrays = safe_arrays.read_npz(path)
    except safe_arrays.UnsafeArrays as error:
        raise DataError(f"cannot read {name}", str(error), remedy) from error
    if sealed and "sha256" not in arrays:
        raise DataError(f"{name} was not written by latentcli, or is not whole", "expected an array sha256", remedy)
    expected = arrays.pop("sha256", None)
    if expected is not None and str(expected) != (found := files.digest(arrays)):
        difference = f"expected SHA-256 {files.short(str(expected))}, found {files.short(found)}"
        raise DataError(f"{name} was changed after it was written", difference, remedy)
    return arrays


def write_latents(path: Path, latents: Latents) -> None:
    """Write ``latents.npz``: the arrays, ``checkpoint``, and ``labels``, ``class_names`` and ``files`` where known.

    Raises:
        OutputError: the file cannot be written.
    """
    arrays = {**latents.arrays, "checkpoint": np.asarray(latents.checkpoint)}
    if latents.labels is not None:
        arrays |= {"labels": latents.labels, "class_names": np.array(latents.class_names, dtype=str)}
    if latents.files is not None:
        arrays["files"] = np.array(latents.files, dtype=str)
    write_arrays(path, arrays)


def holds_latents(path: Path) -> bool:
    """Whether this is an ``.npz`` with latents in it, by the names of its members; images and all else are not."""
    try:
        if not path.is_file():
            return False
        with zipfile.ZipFile(path) as archive:
            return not {f"{name}.npy" for name in ARRAYS_OF_FEATURES.values()}.isdisjoint(archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError):
        return False


def read_latents(path: Path, *, sealed: bool = True) -> Latents:
    """Latents from a file that ``write_latents`` wrote.

    Args:
        path: of the file.
        sealed: insist on what ``write_latents`` writes with them. Otherwise a checkpoint ("" if missing) need not be
            there, nor more than codes, which only the model can make points of.

    Raises:
        DataError: the file is missing, damaged or unsafe, holds no latents, or its parts do not fit each other.
    """
    arrays = read_arrays(path, sealed=sealed)
    checkpoint, labels = arrays.pop("checkpoint", None), arrays.pop("labels", None)
    class_names, names = arrays.pop("class_names", np.empty(0)), arrays.pop("files", None)

    def check(holds: bool, found: str) -> None:
        if not holds:
            raise DataError(
                f"{files.shown(path)} holds no latents",
                found,
                f"encode again: latentcli encode DATA vae.pth -o {files.shown(path)}",
            )

    enough = ("mu", "quantized") if sealed else tuple(ARRAYS_OF_FEATURES.values())
    check(not set(enough).isdisjoint(arrays), f"expected an array {' or '.join(enough)}")
    rows = {name: array.shape[:1] for name, array in arrays.items()}
    check(len(set(rows.values())) == 1 and () not in rows.values(), "expected one row per image in each array")
    check((0,) not in rows.values(), "expected one image or more")
    check(all(array.dtype.kind in "fiu" and array.ndim >= 2 for array in arrays.values()), "expected rows of numbers")
    check(all(np.isfinite(array).all() for array in arrays.values()), "found numbers that are not finite")
    named = checkpoint is not None and files.is_digest(str(checkpoint))
    check(named or (checkpoint is None and not sealed), "expected the SHA-256 of a checkpoint")
    count = next(iter(rows.values()))
    if labels is not None:
        check(labels.dtype.kind in "iu" and labels.shape == count, "expected one label per image")
        check(class_names.dtype.kind == "U" and class_names.ndim == 1, "expected class names")
        within = labels.size == 0 or (labels.min() >= -1 and labels.max() < len(class_names))
        check(bool(within), f"expected labels from -1 to {len(class_names) - 1}")
    if names is not None:
        check(names.dtype.kind == "U" and names.shape == count, "expected one file name per image")
    return Latents(
        arrays=arrays,
        checkpoint="" if checkpoint is None else str(checkpoint),
        labels=None if labels is None else labels.astype(np.int64),
        class_names=() if labels is None else tuple(class_names.tolist()),
        files=None if names is None else tuple(names.tolist()),
    )


@contextmanager
def reconstructions_writer(
    path: Path, shape: tuple[int, int, int, int], layout: str = "NHW"
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write ``vae_reconstructed.npz`` batch by batch: one array ``data``, float32 in [0, 1], in the input's shape.

    Args:
        path: of the file, replaced whole when the block ends well.
        shape: N, C, H and W of all images together.
        layout: the input's axes: "NHW" (C must be 1), "NHWC" or "NCHW".

    Yields:
        a function that takes the next (n, C, H, W) float images; in all it must be given N.

    Raises:
        OutputError: the file cannot be written.
    """
    dtype, whole = np.dtype(np.float32), laid_out(np.empty((0, *shape[1:])), layout).shape[1:]
    sha256 = files.digest_in_parts("data", dtype, (shape[0], *whole))
    with files.atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo("data.npy", _BEFORE_ZIP), "w", force_zip64=True) as target:
            header = {"descr": dtype.str, "fortran_order": False, "shape": (shape[0], *whole)}
            np.lib.format.write_array_header_1_0(target, header)

            def write(images: np.ndarray) -> None:
                block = np.ascontiguousarray(laid_out(images, layout), dtype=dtype).tobytes()
                sha256.update(block)
                target.write(block)

            yield write
        with archive.open(zipfile.ZipInfo("sha256.npy", _BEFORE_ZIP), "w", force_zip64=True) as target:
            np.lib.format.write_array(target, np.asarray(sha256.hexdigest()), version=(1, 0), allow_pickle=False)


def laid_out(images: np.ndarray, layout: str) -> np.ndarray:
    """(N, C, H, W) images with the axes of a layout: "NHW" (C must be 1), "NHWC" or "NCHW"."""
    match layout:
        case "NHW":
            return images.squeeze(1)
        case "NHWC":
            return images.transpose(0, 2, 3, 1)
        case "NCHW":
            return images
    raise ValueError(f"layout {layout!r} is none of NHW, NHWC, NCHW")


def write_hybrids(
    path: Path, images: np.ndarray, soft_labels: np.ndarray, classes: Sequence[str], latents: np.ndarray
) -> None:
    """Write ``hybrids.npz``: images of latent points, with how much of each class they are.

    Args:
        path: of the file.
        images: (N, C, H, W) uint8; written as (N, H, W) or (N, H, W, 3).
        soft_labels: (N, classes) float; each row sums to 1.
        classes: names of the columns of ``soft_labels``.
        latents: (N, D) float, the points.

    Raises:
        OutputError: the file cannot be written.
    """
    names = np.array(tuple(classes), dtype=str)
    images = np.ascontiguousarray(laid_out(images, "NHW" if images.shape[1] == 1 else "NHWC"))
    write_arrays(path, {"images": images, "soft_labels": soft_labels, "classes": names, "latents": latents})


def read_hybrids(path: Path) -> dict[str, np.ndarray]:
    """The arrays ``images``, ``soft_labels``, ``classes`` and ``latents`` of a file that ``write_hybrids`` wrote.

    Raises:
        DataError: the file is missing, damaged or unsafe, or its arrays do not fit each other.
    """
    arrays = read_arrays(path, sealed=True)

    def check(holds: bool, found: str) -> None:
        if not holds:
            raise DataError(
                f"{files.shown(path)} holds no hybrids",
                found,
                "make them again: latentcli hybridize vae.pth gmm_params.pkl",
            )

    names = {"images", "soft_labels", "classes", "latents"}
    check(set(arrays) == names, f"expected the arrays {', '.join(sorted(names))}")
    images, soft_labels, classes, latents = (arrays[name] for name in ("images", "soft_labels", "classes", "latents"))
    check(images.dtype == np.uint8 and images.ndim in (3, 4), "expected images (N, H, W[, C]) of uint8")
    check(classes.dtype.kind == "U" and classes.ndim == 1, "expected classes to be names")
    check(
        soft_labels.dtype.kind == "f" and soft_labels.shape == (len(images), len(classes)),
        "expected a column per class",
    )
    check(
        latents.dtype.kind == "f" and latents.ndim == 2 and len(latents) == len(images),
        "expected a latent point per image",
    )
    check(bool(np.isfinite(latents).all()), "found latents that are not finite")
    sums_to_one = (
        np.isfinite(soft_labels).all()
        and (soft_labels >= 0).all()
        and np.allclose(soft_labels.sum(axis=1), 1, atol=1e-3)
    )
    check(bool(sums_to_one), "expected soft labels that sum to 1")
    return arrays
