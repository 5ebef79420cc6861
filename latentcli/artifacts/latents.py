"""``latents.npz``: latents of images, with the model's fingerprint and the images' labels and files."""

import shlex
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from latentcli.artifacts import latents_table
from latentcli.artifacts.latent_parts import read_latent_parts
from latentcli.core.errors import DataError
from latentcli.core.labels import Labels
from latentcli.core.latents import ARRAYS_OF_FEATURES, Latents
from latentcli.core.stages import stage
from latentcli.formats import own_files
from latentcli.formats.checksummed_npz import arrays_writer, read_arrays, write_arrays
from latentcli.formats.digests import is_digest
from latentcli.numerics.blocks import slices

_ROWS = 4_096


def write_latents(path: str | Path, latents: Latents) -> None:
    """Write ``latents.npz``, or a table ``latents.parquet``.

    That is the arrays, ``checkpoint``, and ``labels``, ``class_names`` and ``files`` where known.

    Raises:
        OutputError: the file cannot be written.
        UsageError: its name ends in ``.parquet``, and pyarrow is not installed.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> lc.write_latents("latents.npz", vae.encode(images))
        >>> lc.read_latents("latents.npz").flat.shape
        (431, 4)
    """
    if Path(path).suffix.lower() == latents_table.SUFFIX:
        with latents_table.writer(Path(path), latents.checkpoint, latents.labels, latents.files) as write:
            write(latents.arrays)
        return
    write_arrays(Path(path), {**latents.arrays, **_known(latents.checkpoint, latents.labels, latents.files)})


@contextmanager
def latents_writer(
    path: str | Path, checkpoint: str, labels: Labels, files: Sequence[str] | None = None
) -> Iterator[Callable[[Mapping[str, np.ndarray]], None]]:
    """Write ``latents.npz`` like ``write_latents``, but the next rows of its arrays at a time, and the same bytes.

    In memory are 8 bytes an image, of the labels, and the names of the files; all arrays but the first in the order of
    their names wait on the disk, beside the file, and need its room twice.

    Args:
        path: of the file, replaced whole when the block ends well.
        checkpoint, labels, files: as of ``Latents``; of all images.

    Yields:
        a function that takes the next rows of each array; it must be given as many as there are labels.

    Raises:
        OutputError: the file cannot be written.
        ValueError: there are more or fewer rows, or none.
    """
    if Path(path).suffix.lower() == latents_table.SUFFIX:
        with latents_table.writer(Path(path), checkpoint, labels, files) as rows_of_table:
            yield rows_of_table
        return
    with ExitStack() as opened:
        writers: list[Callable[..., None]] = []

        def write(arrays: Mapping[str, np.ndarray]) -> None:
            if not writers:  # the first rows tell how long the arrays are
                shapes = {name: (array.dtype, (len(labels), *array.shape[1:])) for name, array in arrays.items()}
                known = _known(checkpoint, labels, files)
                writers.append(opened.enter_context(arrays_writer(Path(path), shapes, known)))
            writers[0](**arrays)

        yield write
        if not writers:
            raise ValueError("there are no latents to write")


def _known(checkpoint: str, labels: Labels, files: Sequence[str] | None) -> dict[str, np.ndarray]:
    """The entries of ``latents.npz`` that are no latents."""
    entries = {"checkpoint": np.asarray(checkpoint)}
    if labels.names:
        entries |= {"labels": labels.codes, "class_names": np.array(labels.names, dtype=str)}
    if files is not None:
        entries["files"] = np.array(files, dtype=str)
    return entries


def holds_latents(path: Path) -> bool:
    """Whether this is an ``.npz`` with latents in it, by the names of its members, a Parquet file that says so, or a
    folder of such parts."""
    if latents_table.is_parquet(path):
        return latents_table.holds(path)
    try:
        if path.is_dir():
            return own_files.kind_of(path) == own_files.PARTS_OF_LATENTS
        if not path.is_file():
            return False
        with zipfile.ZipFile(path) as archive:
            return not {f"{name}.npy" for name in ARRAYS_OF_FEATURES.values()}.isdisjoint(archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError):
        return False


@stage("reading latents")
def read_latents(path: str | Path, *, strict: bool = True, mmap: bool = False) -> Latents:
    """Latents from a file that ``write_latents`` wrote, or from a folder of the parts that ``encode_shards`` made.

    Args:
        path: of the file or the folder; of the latter's images those that could be read, and a warning where parts
            are missing.
        strict: insist on all that ``write_latents`` writes. Otherwise the checkpoint may be missing ("" then), and
            codes alone are enough, which only the model turns into points.
        mmap: leave latents that ``write_latents`` wrote on the disk, mapped and read-only; only the labels and names of
            files are in memory. Many of a folder of parts are copied to the system's folder for temporary files first.

    Raises:
        DataError: the file is missing, damaged or unsafe, holds no latents, or its parts do not fit each other.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> lc.write_latents("latents.npz", vae.encode(images))
        >>> latents = lc.read_latents("latents.npz")
        >>> latents.checkpoint == vae.fingerprint, latents.class_names
        (True, ('1', '4', '8'))
    """
    path = Path(path)
    if path.is_dir():
        return read_latent_parts(path, mmap)
    table = latents_table.is_parquet(path)
    arrays = latents_table.read(path) if table else read_arrays(path, strict=strict, mmap=mmap)
    checkpoint, labels = arrays.pop("checkpoint", None), arrays.pop("labels", None)
    class_names, names = arrays.pop("class_names", np.empty(0)), arrays.pop("files", None)

    def check(holds: bool, found: str) -> None:
        if not holds:
            remedy = f"encode again: latentcli encode DATA MODEL.pth -o {shlex.quote(str(path))}"
            raise DataError(f"{path} holds no latents", found, remedy)

    enough = ("mu", "quantized") if strict else tuple(ARRAYS_OF_FEATURES.values())
    check(not set(enough).isdisjoint(arrays), f"expected an array {' or '.join(enough)}")
    rows = {name: array.shape[:1] for name, array in arrays.items()}
    check(len(set(rows.values())) == 1 and () not in rows.values(), "expected one row per image in each array")
    check((0,) not in rows.values(), "expected one image or more")
    check(all(array.dtype.kind in "fiu" and array.ndim >= 2 for array in arrays.values()), "expected rows of numbers")
    check(all(map(_finite, arrays.values())), "found numbers that are not finite")
    named = checkpoint is not None and is_digest(str(checkpoint))
    check(named or (checkpoint is None and not strict), "expected the SHA-256 of a checkpoint")
    count = next(iter(rows.values()))
    if labels is not None:
        check(labels.dtype.kind in "iu" and labels.shape == count, "expected one label per image")
        check(class_names.dtype.kind == "U" and class_names.ndim == 1, "expected class names")
        within = labels.size == 0 or (labels.min() >= -1 and labels.max() < len(class_names))
        check(bool(within), f"expected labels from -1 to {len(class_names) - 1}")
    if isinstance(names, np.ndarray):
        check(names.dtype.kind == "U" and names.ndim == 1, "expected file names")
        names = names.tolist()
    check(names is None or len(names) == count[0], "expected one file name per image")
    known = Labels.none(*count) if labels is None else Labels(labels.astype(np.int64), tuple(class_names.tolist()))
    files = None if names is None else tuple(names)
    return Latents(arrays, "" if checkpoint is None else str(checkpoint), known, files)


def _finite(array: np.ndarray) -> bool:
    """Whether all numbers are, some thousand rows at a time."""
    return all(bool(np.isfinite(array[rows]).all()) for rows in slices(len(array), _ROWS))
