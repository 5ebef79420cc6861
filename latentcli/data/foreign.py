"""Files that hold images and are not read: what is refused comes with the Python that makes an ``.npz`` file of it."""

import csv
import math
from pathlib import Path

from latentcli.core.errors import DataError
from latentcli.formats.regular_files import open_regular

_ROW = 2**20  # bytes of a row of a CSV file
_LABELS = ("label", "labels", "class", "target", "y")
_FEWEST_PIXELS = 64

_RECIPES = {
    (".mat",): (
        "a MATLAB file", "import numpy, scipy.io; f = scipy.io.loadmat({file!r})  # print(f.keys()) tells the names",
        "data=f['X'], labels=f['y'].ravel()",
    ),
    (".h5", ".hdf5", ".hdf"): (
        "an HDF5 file", "import numpy, h5py; f = h5py.File({file!r})  # print(list(f)) tells the names",
        "data=f['images'][:], labels=f['labels'][:]",
    ),
    (".pt", ".pth"): (
        "a file of PyTorch's",
        "import numpy, torch; f = torch.load({file!r}, weights_only=True); "
        "x, y = list(f.values() if isinstance(f, dict) else f)[:2]",
        "data=x.numpy(), labels=y.numpy()",
    ),
    (".parquet",): (
        "a Parquet file",
        "import io, numpy, pandas; from PIL import Image; t = pandas.read_parquet({file!r}); "
        "x = [Image.open(io.BytesIO(i['bytes'])).convert('RGB').resize((64, 64)) for i in t['image']]",
        "data=numpy.stack(x), labels=t['label'].to_numpy()",
    ),
}  # fmt: skip
"""By suffixes: what such a file is, the lines that read it, and the arrays that are saved."""


def refusal(path: Path) -> DataError | None:
    """The error that says how to make an ``.npz`` file of this one; None where that is not known."""
    suffix = path.suffix.lower()
    from latentcli.formats.medical_files import INSTALL, PACKAGES, installed, kind_by_name

    if (kind := kind_by_name(path.name)) is not None:
        if installed(kind):
            return DataError(f"{path} is called a {kind} file, and is none by its content", None, "mend or convert it")
        return DataError(f"{path} is a {kind} file, and {PACKAGES[kind]} is not there to read it", None, INSTALL)
    if suffix in (".csv", ".tsv"):
        return _of_table(path)
    if suffix in (".pkl", ".pickle"):  # no lines that read it: they would run what is in it
        remedy = "have the program that made it write an .npz file: numpy.savez(file, data=images, labels=labels)"
        return DataError(f"{path} is a pickle, which can run any program, not images", None, remedy)
    for suffixes, (what, reading, arrays) in _RECIPES.items():
        if suffix in suffixes:
            return _refused(path, what, "", reading.format(file=str(path)), arrays)
    return None


def _refused(path: Path, what: str, found: str, reading: str, arrays: str) -> DataError:
    saved = f"{reading.split('  #')[0]}; numpy.savez({str(path.with_suffix('.npz'))!r}, {arrays})"
    comment = reading.partition("  # ")[2]
    remedy = f"make an .npz file of it in Python: {saved}{f'  # {comment}' if comment else ''}"
    return DataError(f"{path} is {what}, not images", found, remedy)


def _of_table(path: Path) -> DataError:
    """A table with a pixel a column is told apart from any other by its first rows."""
    try:
        file, _ = open_regular(path)
        with file:
            lines = [file.readline(_ROW).decode("utf-8-sig", "replace").rstrip("\r\n") for _ in range(2)]
    except OSError:
        lines = ["", ""]
    mark = max(",;\t", key=lines[0].count)
    header, row = ([cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])] for line in lines)
    headless = all(map(_is_number, header))
    column = next((number for number, cell in enumerate(header) if cell.casefold() in _LABELS), None)
    if column is None and _shape(len(header)) is None:
        column = 0
    pixels = len(header) - (column is not None)
    shape = _shape(pixels)
    if pixels < _FEWEST_PIXELS or shape is None:
        remedy = f"labels of images are given beside them: DATA `labels` {path}"
        return DataError(f"{path} is a table, not images", f"found the columns {', '.join(header[:5])}", remedy)
    dtype = "int" if all(map(str.isdecimal, row)) else "float" if all(map(_is_number, row)) else "str"
    reading = (
        f"import numpy; t = numpy.loadtxt({str(path)!r}, delimiter={mark!r}, "
        f"skiprows={int(not headless)}, dtype={dtype}, encoding='utf-8-sig')"
    )
    kept = "t" if column is None else f"numpy.delete(t, {column}, 1)"
    pixel = {"int": ".astype('uint8')", "float": "", "str": ".astype(int).astype('uint8')"}[dtype]
    label = "" if column is None else f", labels=t[:, {column}]{'.astype(int)' if dtype == 'float' else ''}"
    arrays = f"data={kept}{pixel}.reshape({shape}){label}"
    return _refused(path, "a table", f"found {pixels:,} columns of pixels", reading, arrays)


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).isdecimal()


def _shape(pixels: int) -> str | None:
    """The axes of square images of so many values, grey or in colour, for ``reshape``."""
    for channels, last in ((1, ""), (3, ", 3")):
        side = math.isqrt(pixels // channels)
        if channels * side**2 == pixels:
            return f"-1, {side}, {side}{last}"
    return None
