"""DICOM and NIfTI files: which they are, and their slices as numbers with the window that the file says.

Read where the extra ``medical`` is installed, pydicom for the first and nibabel for the header of the second. Files of
unknown origin claim any size and inflate without end: sizes are checked in headers, slices are read one at a time, and
what is deflated as a whole is not inflated.

Sources: DICOM PS3.3 C.7.5.1 (padding), C.7.6.3 (pixels), C.11.1 (modality LUT: rescaling) and C.11.2 (VOI LUT:
windows); NIfTI-1.1.
"""

import gzip
import math
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

import numpy as np

from latentcli.formats.image_limits import MAX_PAGES, MAX_PIXELS, UnreadableImage
from latentcli.formats.pixel_values import Span
from latentcli.formats.regular_files import open_regular, reason

PACKAGES = {"DICOM": "pydicom", "NIfTI": "nibabel"}
SUFFIXES = {"DICOM": (".dcm", ".dicom", ".ima"), "NIfTI": (".nii", ".nii.gz")}
"""What the names of such files end in, in lower case; DICOM files often have no suffix, or a number."""
INSTALL = "pip install 'latentcli[medical]'"

_PREAMBLE = 128  # bytes before DICOM's mark
_NIFTI_BYTES = {348: 1, 540: 2}  # of a header, and its version
_FREE_BYTES = 512 * 2**20
_LARGEST_RATIO = 200  # bytes that a byte of a .nii.gz may inflate to, beyond the free ones; masks have hundreds
_MAX_OFFSET = 16 * 2**20  # bytes before the voxels
_CHUNK = 2**20
_SAVE_AS = "save it as Explicit VR Little Endian"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_OTHERS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_TAGS = (
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation", "NumberOfFrames",
    "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "PixelPaddingValue", "PixelPaddingRangeLimit",
    *(f"{colour}PaletteColorLookupTable{part}" for colour in ("Red", "Green", "Blue")
      for part in ("Descriptor", "Data")),
)  # fmt: skip


def suffixes() -> tuple[str, ...]:
    """What the names of files end in that can be read here."""
    return tuple(each for kind, endings in SUFFIXES.items() if installed(kind) for each in endings)


def installed(kind: str) -> bool:
    """Whether the package that reads "DICOM" or "NIfTI" is there."""
    return find_spec(PACKAGES[kind]) is not None


def kind_by_name(name: str) -> str | None:
    """ "DICOM" or "NIfTI" by the end of a name; None for any other."""
    return next((kind for kind, endings in SUFFIXES.items() if name.lower().endswith(endings)), None)


def holds(path: Path) -> bool:
    """Whether a file is DICOM or NIfTI, where that can be read here: by its name, or else its content.

    Files without a suffix, or with a number for it, may be DICOM, but for the directory of a disc.
    """
    kind, name = kind_by_name(path.name), PurePosixPath(path.name)
    if kind is not None:
        return installed(kind)
    nameless = not name.suffix or name.suffix[1:].isdecimal()
    return nameless and name.name.upper() != "DICOMDIR" and installed("DICOM") and _is("DICOM", _head(path))


def kind_of(path: Path) -> str | None:
    """ "DICOM" or "NIfTI" of a file by its content; None of any other image, whatever it is called.

    Raises:
        UnreadableImage: the file is called one of these, and is none, nor another image.
    """
    head = _head(path)
    kind = next((kind for kind in PACKAGES if _is(kind, head)), None)
    if kind is None and (called := kind_by_name(path.name)) is not None and not head.startswith(_OTHERS):
        raise UnreadableImage(f"called a {called} file, and none by its content" if head else "empty, or not readable")
    return kind


def _is(kind: str, head: bytes) -> bool:
    if kind == "DICOM":
        return head[_PREAMBLE:] == b"DICM"
    return head[:2] == b"\x1f\x8b" or any(
        int.from_bytes(head[:4], order) in _NIFTI_BYTES for order in ("little", "big")
    )


def _head(path: Path) -> bytes:
    try:
        file, _ = open_regular(path)
        with file:
            return file.read(_PREAMBLE + 4)
    except OSError:
        return b""


@dataclass(frozen=True)
class Slice:
    """One slice, or image.

    Attributes:
        numbers: (H, W) of any real type, in the units of the device where the file tells them; or (H, W, 3 or 4) bytes.
        window: what is black and white by the file; None where it does not say.
        sigmoid: whether the window is one of DICOM's sigmoid functions, and not linear.
        inverted: whether the least number is white.
        padding: (H, W) whether the file calls a pixel padding, which is shown black; None where it does not say.
    """

    numbers: np.ndarray
    window: Span | None = None
    sigmoid: bool = False
    inverted: bool = False
    padding: np.ndarray | None = None

    def black(self, shades: np.ndarray) -> np.ndarray:
        """(H, W) uint8, with padding in the shade that will be black."""
        return shades if self.padding is None else np.where(self.padding, np.uint8(255 * self.inverted), shades)

    def bytes_in(self, span: Span | None) -> np.ndarray:
        """(H, W) uint8 of the numbers in a span, or else in the window."""
        window = span or self.window
        assert window is not None
        if self.sigmoid and span is None:
            with np.errstate(over="ignore"):
                steep = -4 * (self.numbers - (window.low + window.high) / 2) / (window.high - window.low)
                return np.rint(np.nan_to_num(255 / (1 + np.exp(steep)))).astype(np.uint8)
        return window.bytes_of(self.numbers)


class Volume:
    """A file whose header was read.

    Attributes:
        height, width: of each slice, in pixels.
        count: of the slices.
    """

    height: int
    width: int
    count: int

    @property
    def middle(self) -> int:
        """The number of the slice in the middle of the first volume."""
        return self.count // 2

    def slices(self, numbers: Sequence[int]) -> Iterator[Slice]:
        """Slices by their numbers, from 0, in rising order."""
        raise NotImplementedError

    def close(self) -> None:
        """Called before the file is closed."""

    def _check(self) -> None:
        if min(self.height, self.width, self.count) < 1:
            raise UnreadableImage(f"it has no pixels: {self.height}×{self.width}, {self.count} slices")
        if self.height * self.width > MAX_PIXELS:
            raise UnreadableImage(f"{self.width:,}×{self.height:,}, more than the {MAX_PIXELS:,} pixels allowed")

    def pages(self) -> list[int]:
        """The numbers of the slices; an ``UnreadableImage`` where they are more than ``MAX_PAGES``."""
        if self.count > MAX_PAGES:
            raise UnreadableImage(f"more than the {MAX_PAGES:,} pages allowed")
        return list(range(self.count))


@contextmanager
def opened(path: Path, kind: str) -> Iterator[Volume]:
    """A file of this kind with its header read; any error in the block becomes an UnreadableImage."""
    try:
        file, size = open_regular(path)
        with file, closing((_Dicom if kind == "DICOM" else _Nifti)(file, path, size)) as volume:
            yield volume
    except UnreadableImage:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableImage(f"damaged: {str(error)[:100]}") from error
    except OSError as error:
        raise UnreadableImage(reason(error) if error.errno else f"damaged: {str(error)[:100]}") from error
    except MemoryError:
        raise UnreadableImage("it does not fit into memory") from None
    except Exception as error:  # the parsers of damaged files raise errors of any class
        raise UnreadableImage(
            f"damaged {kind}: {type(error).__name__}: {' '.join(str(error).split())[:100]}"
        ) from error


class _Dicom(Volume):
    def __init__(self, file: IO[bytes], path: Path, size: int) -> None:
        import pydicom
        from pydicom.filereader import read_file_meta_info

        syntax = read_file_meta_info(path).get("TransferSyntaxUID")
        if syntax is None:
            raise UnreadableImage("damaged DICOM: it does not say its transfer syntax")
        if syntax == _DEFLATED:  # which would be inflated as a whole
            raise UnreadableImage(f"DICOM deflated as a whole is not read: {_SAVE_AS}")
        if syntax.is_private and not syntax.is_transfer_syntax:
            raise UnreadableImage(f"DICOM in the private transfer syntax {syntax}, which is not known: {_SAVE_AS}")
        self._file, self._syntax = file, syntax
        self._frames: Iterator[np.ndarray] = iter(())
        self._header = header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
        if "Rows" not in header or "Columns" not in header:
            raise UnreadableImage("a DICOM file without pixels, such as a report")
        self.height, self.width = int(header.Rows), int(header.Columns)
        self.count = int(header.get("NumberOfFrames") or 1)
        self._check()

    def slices(self, numbers: Sequence[int]) -> Iterator[Slice]:
        from pydicom.pixels import iter_pixels

        self._file.seek(0)
        try:
            self._frames = iter_pixels(cast(BinaryIO, self._file), indices=list(numbers))
            for number, frame in zip(numbers, self._frames, strict=True):
                yield self._slice(frame, number)
        except (NotImplementedError, RuntimeError, AttributeError) as error:
            if "pixel data" in str(error).lower() and "has no" in str(error).lower():
                raise UnreadableImage("a DICOM file without pixels, such as a report") from error
            if isinstance(error, NotImplementedError) or self._syntax.is_private or self._syntax.is_compressed:
                what = f"DICOM compressed as {self._syntax.name}, which cannot be decompressed here"
                raise UnreadableImage(f"{what}: {_SAVE_AS}") from error
            raise

    def close(self) -> None:
        """End pydicom's generator, which seeks in the file when it ends, while that is open."""
        if isinstance(self._frames, Generator):
            self._frames.close()

    def _slice(self, frame: np.ndarray, number: int) -> Slice:
        from pydicom.pixels import apply_color_lut, apply_modality_lut

        header = self._header
        kind = str(header.get("PhotometricInterpretation", "MONOCHROME2")).strip()
        if kind == "PALETTE COLOR":
            frame = apply_color_lut(frame, header)
        if frame.ndim == 3:
            top = max(255, 2 ** (8 * frame.dtype.itemsize) - 1)
            return Slice(Span(0, top).bytes_of(frame))
        rescaled = self._functional(number, "PixelValueTransformationSequence", "RescaleSlope")
        values, padding = apply_modality_lut(frame, rescaled), self._padding(frame)
        inverted = kind == "MONOCHROME1"
        of_window = self._functional(number, "FrameVOILUTSequence", "WindowCenter")
        centre, width = (_number(of_window.get(name)) for name in ("WindowCenter", "WindowWidth"))
        function = str(of_window.get("VOILUTFunction") or "LINEAR").strip()
        if math.isfinite(centre) and width > 0:
            if function == "LINEAR":  # C.11.2.1.2.1: a width of w covers w whole numbers
                centre, width = centre - 0.5, max(width - 1, 1e-3)
            window = Span(centre - width / 2, centre + width / 2)
            return Slice(values, window, function == "SIGMOID", inverted, padding)
        if int(header.get("BitsStored") or 8) == 1:
            values = values * 255
        elif values.dtype.kind == "f" and np.array_equal(values, np.rint(values)):
            values = _whole(values, frame.dtype)  # rescaled by whole numbers
        if header.BitsAllocated <= 8 and 0 <= values.min() <= values.max() < 256:
            values = values.astype(np.uint8)
        return Slice(values, inverted=inverted, padding=padding)

    def _padding(self, frame: np.ndarray) -> np.ndarray | None:
        """Where stored numbers are padding; its value is signed or not as they are, whatever the file says of it.

        Source: DICOM PS3.3, C.7.5.1.1.2.
        """
        first = self._header.get("PixelPaddingValue")
        if first is None or frame.dtype.kind not in "iu":
            return None
        last = self._header.get("PixelPaddingRangeLimit")
        ends = [np.asarray(int(_number(end))).astype(frame.dtype) for end in (first, first if last is None else last)]
        return (frame >= min(ends)) & (frame <= max(ends))

    def _functional(self, number: int, sequence: str, name: str) -> Any:
        """The data set that has an element: the header, or the functional groups of a frame or of all frames."""
        shared = self._header.get("SharedFunctionalGroupsSequence") or []
        of_frames = self._header.get("PerFrameFunctionalGroupsSequence") or []
        groups = [*of_frames[number : number + 1], *shared[:1]]
        found = (group.get(sequence) for group in groups)
        return next((items[0] for items in found if items and name in items[0]), self._header)


def _whole(values: np.ndarray, stored: np.dtype) -> np.ndarray:
    """Whole numbers in floats, of any shape, in the type that they are stored in, or else the least that holds them."""
    own = [stored] if stored.kind in "iu" and stored.itemsize > 1 else []
    held = [*own, *map(np.dtype, ("i2", "i4", "i8"))]
    ends = values.min(initial=0), values.max(initial=0)
    fits = (each for each in held if np.iinfo(each).min <= ends[0] and ends[1] <= np.iinfo(each).max)
    return values.astype(next(fits, np.dtype("i8")))


def _number(value: Any) -> float:
    """A number of a DICOM element, the first where there are several; nan where there is none."""
    if value is None or value == "":
        return math.nan
    several = not isinstance(value, str | float | int) and hasattr(value, "__getitem__") and len(value)
    return float(value[0] if several else value)


class _Nifti(Volume):
    def __init__(self, file: IO[bytes], path: Path, size: int) -> None:
        from nibabel.nifti1 import Nifti1Header
        from nibabel.nifti2 import Nifti2Header
        from nibabel.orientations import aff2axcodes

        self._zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        self._file: IO[bytes] = gzip.GzipFile(fileobj=file) if self._zipped else file  # type: ignore[assignment]
        first = self._file.read(4)
        sizes = {int.from_bytes(first, order) for order in ("little", "big")} if len(first) == 4 else set()
        length = next((each for each in _NIFTI_BYTES if each in sizes), None)
        if length is None:
            raise UnreadableImage("not a NIfTI file: it does not begin with 348 or 540")
        block = first + self._file.read(length - 4)
        header = (Nifti1Header if _NIFTI_BYTES[length] == 1 else Nifti2Header)(block, check=False)
        if not bytes(header["magic"]).startswith(b"n+"):
            raise UnreadableImage("the header of a NIfTI file without its voxels, or an Analyze file: save it as .nii")
        shape = (*(int(each) for each in header.get_data_shape()), 1, 1, 1)
        self.width, self.height, self.count = shape[0], shape[1], math.prod(shape[2:])
        self._between = shape[2]
        self._check()
        self._dtype, self._offset = header.get_data_dtype(), int(header.get_data_offset())
        slope, inter = header.get_slope_inter()
        self._slope, self._inter = 1.0 if slope is None else slope, inter or 0.0
        low, high = float(header["cal_min"]), float(header["cal_max"])
        self._window = Span(low, high) if -math.inf < low < high < math.inf else None
        codes = aff2axcodes(header.get_best_affine())
        self._flipped = [code in ("R", "A", "S") for code in codes[:2]]
        if not 0 <= self._offset <= _MAX_OFFSET:
            raise UnreadableImage(f"damaged NIfTI: its voxels begin at byte {self._offset:,}")
        if self._dtype.kind not in "biufV" or (self._dtype.kind == "V" and set(self._dtype.names or ()) - set("RGBA")):
            raise UnreadableImage(f"a NIfTI file of {self._dtype} numbers, which is not read")
        self._bytes = self.width * self.height * self._dtype.itemsize
        wanted, limit = self._offset + self.count * self._bytes, _FREE_BYTES + _LARGEST_RATIO * size
        if self._zipped and wanted > limit:
            raise UnreadableImage(f"it inflates to {wanted:,} bytes, more than the {limit:,} that there may be")

    @property
    def middle(self) -> int:
        return self._between // 2

    def slices(self, numbers: Sequence[int]) -> Iterator[Slice]:
        at = self._file.tell()
        for number in numbers:
            start = self._offset + number * self._bytes
            if not self._zipped:
                self._file.seek(start)
            while self._zipped and at < start:
                skipped = len(self._file.read(min(_CHUNK, start - at)))
                if not skipped:
                    raise UnreadableImage("damaged NIfTI: it ends before its last slice")
                at += skipped
            content = self._file.read(self._bytes)
            at = start + self._bytes
            if len(content) < self._bytes:
                raise UnreadableImage("damaged NIfTI: it ends before its last slice")
            yield self._slice(np.frombuffer(content, self._dtype).reshape(self.height, self.width))

    def _slice(self, stored: np.ndarray) -> Slice:
        """Turned as DICOM shows slices: left, posterior and inferior in the body are right and below."""
        if self._flipped[1]:
            stored = stored[::-1]
        if self._flipped[0]:
            stored = stored[:, ::-1]
        if stored.dtype.names:
            return Slice(np.stack([stored[name] for name in stored.dtype.names], axis=-1))
        plain = (self._slope, self._inter) == (1.0, 0.0)
        return Slice(stored if plain else stored.astype(np.float64) * self._slope + self._inter, self._window)
