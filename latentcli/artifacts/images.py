"""Files of images: ``vae_reconstructed.npz`` and ``hybrids.npz``, written a batch at a time."""

import shlex
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from latentcli.artifacts.hybrid_folders import HybridFolder, are_soft_labels
from latentcli.artifacts.soft_labels import is_foreign, read_soft_labels
from latentcli.core.errors import DataError
from latentcli.core.image_set import ImageSet
from latentcli.formats.checksummed_npz import Shape, arrays_writer, read_arrays, write_arrays
from latentcli.formats.own_files import ARRAYS, kind_of
from latentcli.formats.regular_files import kind


@contextmanager
def reconstructions_writer(
    path: Path, shape: tuple[int, int, int, int], layout: str = "NHW"
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write ``vae_reconstructed.npz`` batch by batch: one array ``data``, float32 in [0, 1], in the input's shape.

    Args:
        path: of the file, replaced whole when the block ends well.
        shape: N, C, H and W of all images together.
        layout: the input's axes, as for ``laid_out``.

    Yields:
        a function that takes the next (n, C, H, W) float images; it must be given N in all.

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


def layout_of(channels: int) -> str:
    """The layout in files of images with this number of channels: "NHW" or "NHWC"."""
    return "NHW" if channels == 1 else "NHWC"


@contextmanager
def hybrids_writer(
    path: Path, count: int, image_shape: tuple[int, int, int], dimensions: int, classes: Sequence[str]
) -> Iterator[Callable[[np.ndarray, np.ndarray, np.ndarray], None]]:
    """Write ``hybrids.npz`` batch by batch: images of latent points, with their soft labels.

    ``images`` (N, H, W) or (N, H, W, 3) uint8, ``soft_labels`` (N, classes) float64, ``classes``, and ``latents``
    (N, D) float32; without classes the first and the last alone.

    Args:
        path: of the file, replaced whole when the block ends well.
        count, image_shape, dimensions: N; C, H and W; D.
        classes: names of the columns of ``soft_labels``.

    Yields:
        a function that takes the next images (n, C, H, W) uint8, soft labels and latents; it must be given N in all.

    Raises:
        OutputError: the file cannot be written.
    """
    names, layout = np.array(tuple(classes), dtype=str), layout_of(image_shape[0])
    shapes: dict[str, tuple[np.dtype, Shape]] = {
        "images": (np.dtype(np.uint8), (count, *laid_out(np.empty((0, *image_shape)), layout).shape[1:])),
        "soft_labels": (np.dtype(np.float64), (count, len(names))),
        "latents": (np.dtype(np.float32), (count, dimensions)),
    }
    if not len(names):
        del shapes["soft_labels"]
    with arrays_writer(path, shapes, {"classes": names} if len(names) else None) as write:
        yield lambda images, soft_labels, latents: write(
            images=laid_out(images, layout), soft_labels=soft_labels, latents=latents
        )


def read_hybrids(path: str | Path, notes: list[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of hybrids, from a file that ``hybrids_writer`` wrote, or from a folder; or of images like them.

    Args:
        path: of the file; or of a folder of images with a table ``soft_labels.csv``; or of an ``.npz`` file of one's
            own images and soft labels, see ``read_soft_labels``.
        notes: gets a line for what was not plain in such a file.

    Returns:
        ``images`` (N, H, W) or (N, H, W, C) uint8, ``soft_labels`` (N, classes), ``classes``; of hybrids ``latents``.

    Raises:
        DataError: the file is missing, damaged or unsafe, or its arrays do not fit each other.

    Example:
        >>> import latentcli as lc
        >>> import numpy as np
        >>> hybrids = {
        ...     "images": np.zeros((2, 8, 8), np.uint8), "soft_labels": np.array([[0.3, 0.7], [1.0, 0.0]]),
        ...     "classes": np.array(["4", "8"]), "latents": np.zeros((2, 4), np.float32),
        ... }  # as lc.hybridize makes them
        >>> lc.write_hybrids("hybrids.npz", hybrids)
        >>> lc.read_hybrids("hybrids.npz")["classes"].tolist()
        ['4', '8']
    """
    path = Path(path)
    if kind(path) == stat.S_IFDIR:
        folder = HybridFolder.read(path)
        pixels = laid_out(folder.images(), layout_of(folder.shape[2]))
        return {"images": pixels, "soft_labels": folder.soft_labels, "classes": np.array(folder.classes)}
    if is_foreign(path):
        return read_soft_labels(path, [] if notes is None else notes)
    if (found := kind_of(path)) not in (None, "file of hybrids", ARRAYS):
        made = "latentcli hybridize and latentcli sample make some"
        raise DataError(f"{path} is a {found}", "expected images with soft labels, such as hybrids.npz", made)
    arrays = read_arrays(path, strict=True)

    def check(holds: bool, found: str) -> None:
        if not holds:
            over = f" -o {shlex.quote(str(path))}" if kind_of(path) == "file of hybrids" else ""
            remedy = f"make them again: latentcli hybridize MODEL.pth gmm_params.pkl{over}, or latentcli sample"
            raise DataError(f"{path} holds no hybrids", found, remedy)

    names = ("classes", "images", "latents", "soft_labels")
    if set(arrays) == {"images", "latents"}:
        raise DataError(
            f"the images of {path} have no soft labels", "they were sampled without a class",
            "sample some of classes: latentcli sample vqvae.pth prior.pth, of a prior that was fitted with labels",
        )  # fmt: skip
    check(set(arrays) == set(names), f"expected the arrays {', '.join(names)}")
    classes, images, latents, soft_labels = (arrays[name] for name in names)
    check(images.dtype == np.uint8 and images.ndim in (3, 4), "expected images (N, H, W[, C]) of uint8")
    count = len(images)
    check(count > 0, "there are no images in it")
    check(classes.dtype.kind == "U" and classes.ndim == 1, "expected classes to be names")
    check(len(set(classes.tolist())) == len(classes), "expected each class to be named once")
    fit = soft_labels.dtype.kind == "f" and soft_labels.shape == (count, len(classes))
    check(fit, "expected soft labels with a row per image and a column per class")
    fit = latents.dtype.kind == "f" and latents.ndim == 2 and len(latents) == count
    check(fit, "expected a latent point per image")
    check(bool(np.isfinite(latents).all()), "found latents that are not finite")
    check(are_soft_labels(soft_labels), "expected soft labels that sum to 1")
    return arrays


def write_hybrids(path: str | Path, hybrids: Mapping[str, np.ndarray]) -> None:
    """Write ``hybrids.npz``.

    Args:
        path: of the file, replaced whole or not at all.
        hybrids: ``images``, ``soft_labels``, ``classes`` and ``latents``, as ``read_hybrids`` gives them.

    Raises:
        OutputError: the file cannot be written.

    Example:
        >>> import latentcli as lc
        >>> import numpy as np
        >>> hybrids = {
        ...     "images": np.zeros((2, 8, 8), np.uint8), "soft_labels": np.array([[0.3, 0.7], [1.0, 0.0]]),
        ...     "classes": np.array(["4", "8"]), "latents": np.zeros((2, 4), np.float32),
        ... }  # as lc.hybridize makes them
        >>> lc.write_hybrids("hybrids.npz", hybrids)
        >>> sorted(lc.read_hybrids("hybrids.npz"))
        ['classes', 'images', 'latents', 'soft_labels']
    """
    write_arrays(Path(path), hybrids)


def write_images(path: str | Path, images: ImageSet) -> None:
    """Write images, and their labels where there are any, as an ``.npz`` that ``load`` reads.

    Raises:
        OutputError: the file cannot be written.

    Example:
        >>> import latentcli as lc
        >>> lc.write_images("ones.npz", lc.load("digits", classes=["1"]))
        >>> lc.load("ones.npz").shape
        (1, 8, 8)
    """
    arrays = {"data": laid_out(images.images, layout_of(images.shape[0]))}
    if images.labels.any:
        arrays["labels"] = images.labels.texts
    write_arrays(Path(path), arrays)
