"""Files that hold images and are not read: what is refused comes with the Python that makes of it what is read."""

import csv
import json
import math
import re
import shlex
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from latentcli.core.errors import DataError
from latentcli.formats.csv_text import PART_COLUMNS
from latentcli.formats.json_tables import SUFFIXES as JSON_SUFFIXES
from latentcli.formats.npz_reader import UnsafeArrays, open_npz, read_npy
from latentcli.formats.regular_files import open_regular

_ROW = 2**20  # bytes of a row of a CSV file
_LABELS = ("label", "labels", "class", "target", "y")
_FEWEST_PIXELS = 64
_NUMBER = r"[0-9.]+"
_PIXELS = re.compile(rf"\[?\s*({_NUMBER}[\s,;]+){{{_FEWEST_PIXELS - 1},}}{_NUMBER}\s*\]?")
_MOST_JSON = 2**26  # bytes of a JSON file that is looked at
_COLOURS = ((1,), (3,), (4,))
_MOST_SHAPES = 64  # array files of a folder that are looked at

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
}  # fmt: skip
"""By suffixes: what such a file is, the lines that read it, and the arrays that are saved."""


_PACKED = {
    ".bz2": "tar -xf", ".tbz2": "tar -xf", ".xz": "tar -xf", ".txz": "tar -xf", ".zst": "tar -xf", ".7z": "7z x",
    ".rar": "unrar x",
}  # fmt: skip
"""Suffixes of archives that are not read, and what unpacks them."""

_NO_PICTURES = ("BUFR", "GRIB", "HDF5", "IPTC", "MPEG", "WMF", "EPS")
"""What Pillow knows by name alone, or opens with programs beside it only."""
_NUMBERS = ("FITS", "IM", "PSD", "PPM")  # Pillow's formats of which PNG would not hold every mode; PFM is PPM there
_PACKAGES = {(".heic", ".heif"): "import pillow_heif; pillow_heif.register_heif_opener(); "}
"""Suffixes of formats that Pillow opens with the help of another package, and how."""


def suffix_of(path: str) -> str:
    """The end of a name, in lower case, that says its format: ".png", or ".nii.gz" with both parts; "" of none."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    packed = suffixes[-1:] in ([".gz"], [".bz2"], [".xz"], [".zst"], [".z"]) and len(suffixes) > 1
    inner = suffixes[-2] if packed and suffixes[-2][1:].isalnum() and not suffixes[-2][1:].isdecimal() else ""
    return inner + (suffixes[-1] if suffixes else "")


def converting(folder: Path, paths: Sequence[str]) -> str:
    """What to do with files of a folder in formats that Pillow opens and that are not read; nothing where none is.

    Their names grow, so that no file takes the place of another: ``cat.tga.png``.
    """
    known = _pillows()
    found = sorted({suffix for path in paths if (suffix := suffix_of(path)) in known})
    if not found:
        return ""
    first, to = _opening(found)
    files = f"for f in pathlib.Path({str(folder)!r}).rglob('*') if f.suffix.lower() in {tuple(found)}"
    saved = f"[PIL.Image.open(f).save(f'{{f}}{to}') {files}]"
    what = f"{', '.join(found)} files are not read: convert them to {_CALLED[to]}"
    return f"{what} in Python: import pathlib, PIL.Image; {first}{saved}"


_VOLUMES = (".mgz", ".mgh", ".hdr", ".img.gz", ".mnc", ".par")


def converting_more(folder: Path, paths: Sequence[str]) -> str:
    """As ``converting``, of other files: volumes that nibabel opens, CIFAR's batches, PDF and tables; or nothing."""
    volumes = sorted({suffix for path in paths if (suffix := suffix_of(path)) in _VOLUMES})
    if volumes:
        files = f"for f in pathlib.Path({str(folder)!r}).rglob('*') if f.name.lower().endswith({tuple(volumes)})"
        saved = f"nibabel.save(nibabel.Nifti1Image.from_image(nibabel.load(f)), f'{{f}}.nii.gz') {files}"
        what = f"{', '.join(volumes)} files are not read: convert them to NIfTI"
        return f"{what} in Python: import nibabel, pathlib; [{saved}]"
    if batch := next((path for path in paths if PurePosixPath(path).name in _BATCHES), ""):
        return _of_cifar(folder / batch)
    if pdf := next((path for path in paths if path.lower().endswith(".pdf")), ""):
        made = shlex.join(["pdftoppm", "-png", str(folder / pdf), str(folder / pdf)])
        return f"PDF files are not read: make pictures of each, such as: {made}"
    if table := next((path for path in paths if path.lower().endswith((".csv", ".tsv"))), ""):
        return f"tables are no images; if one holds pixels, name it, and it is told how it is read: {folder / table}"
    return ""


_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def _of_cifar(path: Path) -> str:
    """How the batches of CIFAR-10 are read."""
    folder = "cifar-10-batches-py"
    root = path.resolve().parent.parent if path.resolve().parent.name == folder else None
    put = "" if root else f"put its files into a folder {folder}, and "
    return f"these are CIFAR-10's own: {put}name the set: cifar10 `data_root` {root or 'the folder above'}"


def unpacking(folder: Path, archives: Sequence[str]) -> str:
    """What to do with a folder that holds these archives and no images; nothing where there are none."""
    if not archives:
        return ""
    first = f"archives are read one at a time: name {folder / archives[0]}"
    if len(archives) == 1:
        return first
    suffix = suffix_of(archives[0])
    if suffix != ".zip" and all("/" not in path and suffix_of(path) == suffix for path in archives):
        pattern = shlex.quote(f"{folder}/*{suffix}")
        first = f"if no folders in them are classes, name them as shards: {pattern}"
    safely = "" if suffix == ".zip" else ", filter='data'"
    files = f"for f in pathlib.Path({str(folder)!r}).rglob('*{suffix}')"
    unpacked = f"[shutil.unpack_archive(f, str(f).removesuffix('{suffix}'){safely}) {files}]"
    return f"{first}; or unpack each to a folder beside it, in Python: import pathlib, shutil; {unpacked}"


def reading_arrays(folder: Path, paths: Sequence[str]) -> str:
    """What to do with a folder that holds array files at these paths and no images; nothing where it holds none."""
    arrays = sorted(path for path in paths if path.lower().endswith((".npz", ".npy")))
    if not arrays:
        return ""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(arrays[:_MOST_SHAPES], ())
    keys = {""}  # of arrays that are alone in their files
    for path in shapes:
        with suppress(UnsafeArrays):
            if path.lower().endswith(".npy"):
                shapes[path] = read_npy(folder / path, mmap=True).shape
                continue
            with open_npz(folder / path) as archive:
                if len(archive.arrays) == 1:
                    ((key, array),) = archive.arrays.items()
                    keys, shapes[path] = (keys - {""}) | {key}, array.shape
    unlike = {*shapes.values()}
    suffix, one = (".npz", f"[{next(iter(keys))!r}]") if keys != {""} else (".npy", "")
    alike = len(keys) == 1 and all(path.lower().endswith(suffix) for path in arrays)
    if (
        alike
        and len(arrays) > 1
        and all(len(shape) == 2 or shape[2:] in _COLOURS or shape[:-2] == (3,) for shape in unlike)
    ):
        files = f"f = sorted(pathlib.Path({str(folder)!r}).rglob('*{suffix}'))"
        labels = ", labels=[i.parent.name for i in f]" if any("/" in path for path in arrays) else ""
        made, of = "one .npz file", "numpy, pathlib"
        saved = f"numpy.savez({f'{folder}.npz'!r}, data=numpy.stack([numpy.load(i){one} for i in f]){labels})"
        if len(unlike) > 1:
            made, of = "TIFF files", "numpy, pathlib, PIL.Image"
            saved = f"[PIL.Image.fromarray(numpy.load(i){one}).save(f'{{i}}.tif') for i in f]"
        return f"an image each? make {made} of them in Python: import {of}; {files}; {saved}"
    first = max(shapes, key=lambda path: (path.lower().endswith(".npz"), len(shapes[path])))
    other = next((path for path in shapes if len(shapes[path]) == 1), None)
    labels = f", and, if they are its labels, `labels` {folder / other}" if other and len(shapes[first]) > 1 else ""
    return f"array files are read one at a time: name {folder / first}{labels}"


_CALLED = {".png": "PNG", ".tif": "TIFF"}


def _opening(suffixes: Collection[str]) -> tuple[str, str]:
    """What goes before ``PIL.Image.open`` of such files, and the suffix of a format that holds all that is in them."""
    known = _pillows()
    first = "".join(dict.fromkeys(known[suffix][1] for suffix in suffixes))
    return first, ".tif" if any(known[suffix][0] in _NUMBERS for suffix in suffixes) else ".png"


def _pillows() -> dict[str, tuple[str, str]]:
    """Of each suffix of images that Pillow opens and that are not read: its name of the format, and the first lines.

    Source: Pillow's own registry, so that formats of later versions are among them.
    """
    from PIL import Image

    from latentcli.formats.opened_images import SUFFIXES

    Image.init()
    found = {
        suffix: (form, "") for suffix, form in Image.registered_extensions().items()
        if form in Image.OPEN and form not in _NO_PICTURES and suffix not in SUFFIXES
    }  # fmt: skip
    return found | {
        suffix: ("HEIF", first) for suffixes, first in _PACKAGES.items() for suffix in suffixes if suffix not in found
    }


def refusal(path: Path) -> DataError | None:
    """The error that says how to make what is read of this file, which is no image here; None where it is not known."""
    suffix = path.suffix.lower()
    from latentcli.formats.medical_files import INSTALL, PACKAGES, kind_by_name

    if (kind := kind_by_name(path.name)) is not None:
        return DataError(f"{path} is a {kind} file, and {PACKAGES[kind]} is not there to read it", None, INSTALL)
    if suffix in (".csv", ".tsv"):
        return _of_table(path)
    if path.name in _BATCHES:
        return DataError(f"{path} is a part of a set", None, _of_cifar(path))
    if suffix in JSON_SUFFIXES:
        return _of_json(path)
    if suffix in (".pkl", ".pickle"):  # no lines that read it: they would run what is in it
        remedy = "have the program that made it write an .npz file: numpy.savez(file, data=images, labels=labels)"
        return DataError(f"{path} is a pickle, which can run any program, not images", None, remedy)
    if suffix in _PACKED:
        remedy = f"unpack it, and name the folder: {_PACKED[suffix]} {shlex.quote(str(path))}"
        return DataError(f"{path} is packed in a way that is not read", "expected .zip, .tar or .tar.gz", remedy)
    for suffixes, (what, reading, arrays) in _RECIPES.items():
        if suffix in suffixes:
            return _refused(path, what, "", reading.format(file=str(path)), arrays)
    if suffix in _pillows():
        first, to = _opening([suffix])
        saved = f"import PIL.Image; {first}PIL.Image.open({str(path)!r}).save({f'{path}{to}'!r})"
        remedy = f"convert it to {_CALLED[to]} in Python: {saved}"
        return DataError(f"{path} is an image in a format that is not read", f"found {suffix}", remedy)
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
    csv.field_size_limit(max(csv.field_size_limit(), _ROW))
    mark = max(",;\t", key=lines[0].count)
    header, row = ([cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])] for line in lines)
    for cells, named in ((header, ()), (row, header)):
        if (cell := next((number for number, each in enumerate(cells) if _PIXELS.fullmatch(each)), None)) is not None:
            return _of_cells(path, mark, named if len(named) == len(cells) else (), cells, cell)
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


def _of_cells(path: Path, mark: str, header: Sequence[str], row: Sequence[str], cell: int) -> DataError:
    """A table that has the pixels of an image in one cell, such as FER2013's, is told with the columns beside it."""
    pixels = len(re.findall(_NUMBER, row[cell]))
    others = {number: name.casefold() for number, name in enumerate(header) if number != cell}
    parts = [number for number, name in others.items() if name in PART_COLUMNS]
    rest = [number for number in range(len(row)) if number not in (cell, *parts)]
    labels = [number for number in rest if others.get(number) in _LABELS] or rest
    reading = (
        f"import csv, numpy, re; csv.field_size_limit(2**30); r = [i for i in csv.reader(open({str(path)!r}, "
        f"newline='', encoding='utf-8-sig'), delimiter={mark!r}) if i]{'[1:]' if header else ''}"
    )
    whole = "." not in row[cell]
    pixel = f"numpy.array([re.findall({_NUMBER!r}, i[{cell}]) for i in r]).astype({'uint8' if whole else 'float'!r})"
    arrays = f"data={pixel}.reshape({_shape(pixels) or '-1, HEIGHT, WIDTH'})"
    for name, columns in (("labels", labels), ("split", parts)):
        arrays += f", {name}=[i[{columns[0]}] for i in r]" if columns else ""
    return _refused(path, "a table", f"found {pixels:,} pixels in each cell of a column", reading, arrays)


def _of_json(path: Path) -> DataError:
    """JSON of pixels is told apart from that of labels by its numbers, where it is not too long to look at."""
    labels = DataError(
        f"{path} is JSON, not images", None, f"labels of images are given beside them: DATA `labels` {path}"
    )
    try:
        file, size = open_regular(path)
        with file:
            value = json.loads(file.read() if size <= _MOST_JSON else b"")
    except (OSError, ValueError, RecursionError):
        return labels
    found = {"d": value}
    if isinstance(value, dict):
        found = {f"d[{key!r}]": each for key, each in value.items()}
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        found = {f"[i[{key!r}] for i in d]": [each.get(key) for each in value] for key in value[0]}
    for made, values in found.items():
        try:
            array = np.array(values, dtype=float)
        except (ValueError, TypeError, OverflowError):
            continue
        pixels = math.prod(array.shape[1:])
        if array.ndim < 2 or pixels < _FEWEST_PIXELS or not array.size:
            continue
        as_bytes = ".astype('uint8')" if array.min() >= 0 and 1 < array.max() <= 255 and not (array % 1).any() else ""
        axes = f".reshape({_shape(pixels) or '-1, HEIGHT, WIDTH'})" if array.ndim == 2 else ""
        arrays = f"data=numpy.array({made}){as_bytes}{axes}"
        if (other := next((each for each, of in found.items() if _one_each(of, len(array))), None)) is not None:
            arrays += f", labels={other}"
        reading = f"import json, numpy; d = json.load(open({str(path)!r}, encoding='utf-8-sig'))"
        return _refused(path, "JSON", f"found {pixels:,} numbers for each image", reading, arrays)
    return labels


def _one_each(values: Any, count: int) -> bool:
    """Whether a value is a list of so many texts or whole numbers."""
    return isinstance(values, list) and len(values) == count and all(isinstance(each, str | int) for each in values)


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).isdecimal()


def _shape(pixels: int) -> str | None:
    """The axes of square images of so many values, grey or in colour, for ``reshape``."""
    for channels, last in ((1, ""), (3, ", 3")):
        side = math.isqrt(pixels // channels)
        if channels * side**2 == pixels:
            return f"-1, {side}, {side}{last}"
    return None
