"""``.npz`` files: latents, reconstructions, hybrids. The same arrays give the same bytes, with their SHA-256 inside."""

import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from latentcli import files, safe_arrays
from latentcli.errors import DataError
from latentcli.latents import ARRAYS_OF_FEATURES, Latents

_BEFORE_ZIP = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name: times would make the same content differ
_BLOCK = 2**22  # bytes copied at a time


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
def arrays_writer(
    path: Path, shapes: Mapping[str, tuple[np.dtype, tuple[int, ...]]], known: Mapping[str, np.ndarray] | None = None
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
    sha256, names = files.DigestInParts(len(headers)), sorted(headers)
    first = next(name for name in names if name in shapes)
    with (
        files.atomic_write(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
        ExitStack() as temporary,
    ):
        parts = {
            name: temporary.enter_context(tempfile.TemporaryFile(dir=path.parent)) for name in shapes if name != first
        }

        @contextmanager
        def member(name: str) -> Iterator[Callable[[bytes], None]]:
            dtype, shape = headers[name]
            sha256.begin(name, dtype, shape)
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _BEFORE_ZIP), "w", force_zip64=True) as target:
                header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(target, header)

                def write(block: bytes) -> None:
                    sha256.update(block)
                    target.write(block)

                yield write

        def write_whole(name: str) -> None:
            with member(name) as write:
                if name in waiting:
                    write(np.ascontiguousarray(waiting[name]).tobytes())
                    return
                parts[name].seek(0)
                while block := parts[name].read(_BLOCK):
                    write(block)

        for name in names[: names.index(first)]:
            write_whole(name)
        with member(first) as write_first:

            def write(**rows: np.ndarray) -> None:
                for name, (dtype, _) in shapes.items():
                    block = np.ascontiguousarray(rows[name], dtype=dtype).tobytes()
                    (write_first if name == first else parts[name].write)(block)

            yield write
        for name in names[names.index(first) + 1 :]:
            write_whole(name)
        with archive.open(zipfile.ZipInfo("sha256.npy", _BEFORE_ZIP), "w", force_zip64=True) as target:
            np.lib.format.write_array(target, np.asarray(sha256.hexdigest()), version=(1, 0), allow_pickle=False)


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
    whole = laid_out(np.empty((0, *shape[1:])), layout).shape[1:]
    with arrays_writer(path, {"data": (np.dtype(np.float32), (shape[0], *whole))}) as write:
        yield lambda images: write(data=laid_out(images, layout))


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


@contextmanager
def hybrids_writer(
    path: Path, count: int, image_shape: tuple[int, int, int], dimensions: int, classes: Sequence[str]
) -> Iterator[Callable[[np.ndarray, np.ndarray, np.ndarray], None]]:
    """Write ``hybrids.npz`` batch by batch: images of latent points, with how much of each class they are.

    ``images`` (N, H, W) or (N, H, W, 3) uint8, ``soft_labels`` (N, classes) float64, ``classes``, and ``latents``
    (N, D) float32.

    Args:
        path: of the file, replaced whole when the block ends well.
        count: N.
        image_shape: C, H and W.
        dimensions: D.
        classes: names of the columns of ``soft_labels``.

    Yields:
        a function that takes the next images (n, C, H, W) uint8, soft labels and latents; in all it must be given N.

    Raises:
        OutputError: the file cannot be written.
    """
    names, layout = np.array(tuple(classes), dtype=str), "NHW" if image_shape[0] == 1 else "NHWC"
    shapes: dict[str, tuple[np.dtype, tuple[int, ...]]] = {
        "images": (np.dtype(np.uint8), (count, *laid_out(np.empty((0, *image_shape)), layout).shape[1:])),
        "soft_labels": (np.dtype(np.float64), (count, len(names))),
        "latents": (np.dtype(np.float32), (count, dimensions)),
    }
    with arrays_writer(path, shapes, {"classes": names}) as write:
        yield lambda images, soft_labels, latents: write(
            images=laid_out(images, layout), soft_labels=soft_labels, latents=latents
        )


def read_hybrids(path: Path) -> dict[str, np.ndarray]:
    """The arrays ``images``, ``soft_labels``, ``classes`` and ``latents`` of a file that ``hybrids_writer`` wrote.

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
