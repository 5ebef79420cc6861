"""One image file as bytes of the wanted size, whatever its mode, depth and orientation.

The same rules for every file:

* The format is found by content, among PNG, JPEG, BMP, TIFF, WebP, GIF, PPM (with PGM and PBM) and, where Pillow has
  it, AVIF; the suffix only says that it is an image.
* EXIF orientation is applied. Of animations and files with several pages the first image is read, and told, or each.
* 16 bits, in one channel or in several, become 8 by scaling 0…65535 to 0…255; floats must lie in 0…1; unless a
  ``Span`` for all files is given. No image is stretched to its own range, which would give equal objects unequal
  values. Padding, see ``found_numbers``, is black.
* DICOM and NIfTI files, where the packages that read them are there, are read in the range or else the window that the
  file says; of several slices the one in the middle is, and told, or each. See ``medical_files``.
* Transparent pixels are laid on black, which stands for nothing in most scientific images; but on white where the
  visible ones are so dark that they would vanish; or on the ground that is asked for. See ``transparency``.
* The whole image is resized, whatever its aspect ratio: cropping could remove what distinguishes the classes, and
  padding would teach a model the shapes of files. Lanczos' filter, antialiased.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from latentcli.formats.deep_pixels import deep_channels, deep_numbers, white_is_least
from latentcli.formats.found_numbers import FoundNumbers, found_in
from latentcli.formats.image_limits import MAX_PAGES, UnreadableImage
from latentcli.formats.opened_images import SUFFIXES, check_size, opened, reasons, tag
from latentcli.formats.pixel_values import AS_PADDING, ROUNDING, Span, span_of
from latentcli.formats.regular_files import File
from latentcli.formats.transparency import Tell, in_8_bits, opaque

if TYPE_CHECKING:
    from latentcli.formats.medical_files import Slice, Volume

FRAMES, PAGES = (f"only the first {each} is read; `pages` makes an image of each" for each in ("frame", "page"))
"""What ``decode`` tells of a file of which more could have been read."""
SLICES = "only the slice in the middle is read; `pages` makes an image of each"
IN_WINDOW = "numbers are read in the window that the file says; `range` says otherwise"
IN_UNITS = "numbers are read as {}, as the images of the model were; `range` says otherwise"

IN_GREY = "the colours, which the model does not take, are left out"

GREY_TOLERANCE = 8  # levels out of 255 by which JPEG may make the channels of a grey image differ

_MANY = MAX_PAGES + 1
_LARGE = 4_000_000  # pixels
_one_large_image = threading.Lock()  # limits the memory that many threads take
_ORIENTATION = 0x0112
_SUBFILE_TYPE, _REDUCED = 254, 0b101  # of a TIFF's page: bit 0 marks a smaller copy, bit 2 a mask
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""How images are turned upright, by EXIF's orientation. Source: CIPA DC-008 (Exif 2.32), tag 274.

``PIL.ImageOps.exif_transpose`` would encode all EXIF data anew, and fail where another tag is damaged.
"""


_ENDS = ", ".join(f"{name}inf=image[numpy.isfinite(image)].{end}()" for name, end in (("pos", "max"), ("neg", "min")))
_MAKE_FINITE = f"save finite ones instead: numpy.nan_to_num(image, nan=numpy.nan, {_ENDS})"

DEEP_SPANS = {"whole": Span(0, 65_535), "float": Span(0, 1)}
"""Of pixels of more than 8 bits, by the kind of their type, where no other is given."""

TellDeep = Callable[[str, FoundNumbers], None]


def unheard(remark: str) -> None:
    """Remarks that nobody listens to."""


def _deaf(kind: str, found: FoundNumbers) -> None:
    """Numbers that nobody asks for."""


@dataclass(frozen=True)
class Wanted:
    """How images are decoded.

    Attributes:
        height, width: in pixels.
        channels: 1 (luma of ITU-R 601) or 3; None: 1 if the content is grey and 3 if not.
        background: name of the colour that transparent pixels are laid on; None: black or white, by the rule above.
        span: of pixels of more than 8 bits; None: ``DEEP_SPANS``.
        units: span of numbers in the units of a device, instead of the window that a file says.
        strict: whether deep pixels outside ``DEEP_SPANS`` are an error; otherwise, and outside a span that is given,
            they are clipped.
        sample: how many numbers of an image of more than 8 bits are told.
        faint: whether images that are grey but for little keep their channels, where ``channels`` is None.
    """

    height: int
    width: int
    channels: int | None = None
    background: str | None = None
    span: Span | None = None
    units: Span | None = None
    strict: bool = True
    sample: int = 1
    faint: bool = False


@dataclass(frozen=True)
class Hearing:
    """Who is told what decoding meets.

    Attributes:
        tell: called with what was not taken as it stands: ``FRAMES``, ``PAGES``, ``ON_GROUND``, ``IN_GREY``.
        tell_deep: called with the kind ("whole", "float", "units") of pixels of more than 8 bits, and what there is.
    """

    tell: Tell = unheard
    tell_deep: TellDeep = _deaf


def decode(
    path: File, height: int, width: int, channels: int | None = None, tell: Tell = unheard
) -> np.ndarray:  # fmt: skip
    """(C, height, width) uint8: the first image of a file, as ``decode_as`` makes it."""
    return decode_as(path, Wanted(height, width, channels), Hearing(tell))


def decode_as(path: File, wanted: Wanted, hearing: Hearing = Hearing()) -> np.ndarray:
    """(C, height, width) uint8: the first image of a file, or the slice in the middle, as wanted.

    Raises:
        UnreadableImage: the file cannot be opened, is no image, is damaged or cut short, is too large, or has
            pixels without a known range.
    """
    with _volume(path) as volume:
        if volume is not None:
            if volume.count > 1:
                hearing.tell(SLICES)
            with _alone(volume):
                return _slice_as(next(volume.slices([volume.middle])), wanted, hearing)
    with opened(path) as image:
        several = _several(image)
        pixels = _page(path, image, wanted, hearing)
    if several:
        hearing.tell(PAGES if several == "TIFF" else FRAMES)
    return pixels


def decode_pages(
    path: File, numbers: Sequence[int], wanted: Wanted, hearing: Callable[[int], Hearing]
) -> list[np.ndarray | str]:
    """What ``decode_as`` makes of pages of one file, or why one of them cannot be read.

    Args:
        path: of the file.
        numbers: of the pages, from 0, in rising order.
        wanted: as for ``decode_as``.
        hearing: who is told of a page, by its number.
    """
    done: list[np.ndarray | str] = []
    try:
        with _volume(path) as volume:
            if volume is not None:
                with _alone(volume):
                    for number, each in zip(numbers, volume.slices(numbers), strict=True):
                        done.append(_or_reason(_slice_as, each, wanted, hearing(number)))
                return done
        with opened(path) as image:
            for number in numbers:
                if image.format != "TIFF":  # each frame is built on the one before
                    image.seek(number)
                    done.append(_page(path, image, wanted, hearing(number)))
                else:
                    done.append(_or_reason(_page_at, path, image, number, wanted, hearing(number)))
    except UnreadableImage as error:
        done += [str(error)] * (len(numbers) - len(done))
    return done


def _or_reason(decode: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray | str:
    """What a function gives, or why it cannot."""
    try:
        with reasons():
            return decode(*arguments)
    except UnreadableImage as error:
        return str(error)


def _page_at(path: File, image: Image.Image, number: int, wanted: Wanted, hearing: Hearing) -> np.ndarray:
    image.seek(number)
    return _page(path, image, wanted, hearing)


def pages(path: File) -> list[int]:
    """The numbers of the images in a file, from 0: of all but a TIFF's thumbnails and masks.

    Raises:
        UnreadableImage: the header cannot be read, or there are more than ``MAX_PAGES``.
    """
    with _volume(path) as volume:
        if volume is not None:
            return volume.pages()
    with opened(path) as image:
        if not getattr(image, "is_animated", False):
            return [0]
        count = _MANY if image.format == "TIFF" else min(_MANY, int(getattr(image, "n_frames", 1)))
        found = []
        for number in range(count):
            if image.format == "TIFF":
                try:
                    image.seek(number)
                except EOFError:
                    break
                if number and tag(image, _SUBFILE_TYPE) & _REDUCED:
                    continue
            found.append(number)
    if len(found) > MAX_PAGES:
        raise UnreadableImage(f"more than the {MAX_PAGES:,} pages allowed")
    return found


def suffixes() -> tuple[str, ...]:
    """What the names of files end in that can be read here, in lower case."""
    from latentcli.formats import medical_files

    return SUFFIXES + medical_files.suffixes()


def is_image(path: Path) -> bool:
    """Whether a file is an image: by its suffix, or, of medical formats and without a suffix, by its content."""
    from latentcli.formats import medical_files

    return path.name.lower().endswith(SUFFIXES) or medical_files.holds(path)


def _page(path: File, image: Image.Image, wanted: Wanted, hearing: Hearing) -> np.ndarray:
    """The page of an open file that was sought; as of ``decode_as``."""
    check_size(image)
    with _alone(image):
        deep = deep_channels(path, image)
        image.draft(None, (2 * max(wanted.height, wanted.width),) * 2)  # lets JPEG decode at a fraction of its size
        image.load()
        deep = deep_numbers(image) if deep is None else deep
        plain = in_8_bits(image) if deep is None else _from_deep(deep, wanted, hearing)
        plain = _negative(plain) if deep is not None and white_is_least(image) else plain
        plain = opaque(plain, hearing.tell, wanted.background)
        # Only now: PNG may store the orientation after the pixels, and TIFF has applied it by now.
        return _converted(plain, wanted, hearing.tell, _orientation(image))


def _alone(image: "Image.Image | Volume") -> AbstractContextManager[object]:
    """Holds back other large images, if this one is large."""
    return _one_large_image if image.width * image.height > _LARGE else nullcontext()


def _slice_as(found: "Slice", wanted: Wanted, hearing: Hearing) -> np.ndarray:
    """One slice of a medical file; as of ``decode_as``."""
    numbers, span = found.numbers, wanted.span or wanted.units
    if numbers.ndim == 3:
        plain = opaque(Image.fromarray(numbers), hearing.tell, wanted.background)
    elif span is not None or found.window is not None:
        measured = _found(numbers, wanted, hearing, found.padding)
        if wanted.span is None:
            hearing.tell(IN_WINDOW if span is None else IN_UNITS.format(span))
        if span is not None:
            hearing.tell_deep("units", measured)
        plain = Image.fromarray(found.bytes_in(span))
    elif numbers.dtype in (np.uint8, np.bool_):
        plain = Image.fromarray(np.ascontiguousarray(numbers))
    else:
        plain = _from_deep(numbers, wanted, hearing, found.padding)
    plain = plain.convert("L") if plain.mode == "1" else plain
    if numbers.ndim == 2 and found.padding is not None:
        plain = Image.fromarray(found.black(np.asarray(plain)))
    return _converted(_negative(plain) if found.inverted else plain, wanted, hearing.tell)


def _negative(plain: Image.Image) -> Image.Image:
    return plain.point(lambda level: 255 - level)


@contextmanager
def _volume(path: File) -> Iterator["Volume | None"]:
    """A file with slices, with its header read; None of any other, and of any that is held."""
    from latentcli.formats import medical_files

    if not isinstance(path, Path) or path.name.lower().endswith(SUFFIXES):
        yield None
        return
    kind = medical_files.kind_of(path)
    if kind is None:
        yield None
    elif not medical_files.installed(kind):
        raise UnreadableImage(f"a {kind} file: {medical_files.INSTALL}")
    else:
        with medical_files.opened(path, kind) as volume:
            yield volume


def measure(path: File) -> tuple[int, int]:
    """Height and width of an image turned upright, from its header alone.

    Raises:
        UnreadableImage: the header cannot be read.
    """
    with _volume(path) as volume:
        if volume is not None:
            return volume.height, volume.width
    with opened(path) as image:
        turned = _orientation(image) in (5, 6, 7, 8) and image.format != "TIFF"  # whose size is given upright
        return (image.width, image.height) if turned else (image.height, image.width)


def measure_pages(path: File) -> list[tuple[int, int]]:
    """Height and width of each of the ``pages`` of a file, of which only those of a TIFF may differ.

    Raises:
        UnreadableImage: as for ``pages``.
    """
    numbers, first = pages(path), measure(path)
    if len(numbers) == 1:
        return [first]
    with _volume(path) as volume:
        if volume is not None:
            return [first] * len(numbers)
    with opened(path) as image:
        if image.format != "TIFF":
            return [first] * len(numbers)
        found = []
        for number in numbers:
            image.seek(number)
            found.append((image.height, image.width))
    return found


def _several(image: Image.Image) -> str | None:
    """The format of a file that has more than one image; a TIFF's thumbnails and masks do not count."""
    try:
        if not getattr(image, "is_animated", False):
            return None
        if image.format == "TIFF":
            image.seek(1)
            reduced = tag(image, _SUBFILE_TYPE) & _REDUCED
            image.seek(0)
            return None if reduced else "TIFF"
        return image.format
    except Exception:  # what follows the first image may be damaged; it is not read
        with suppress(Exception):
            image.seek(0)
        return None


def _converted(plain: Image.Image, wanted: Wanted, tell: Tell, orientation: int = 1) -> np.ndarray:
    """The pixels of an image in mode L or RGB, upright, in the wanted size and channels."""
    height, width, channels = wanted.height, wanted.width, wanted.channels
    if orientation in _TURNS:
        plain = plain.transpose(_TURNS[orientation])
    if plain.size != (width, height):
        plain = plain.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    grey = channels == 1
    if plain.mode == "RGB" and channels != 3:
        colour = np.ptp(np.asarray(plain), axis=2).max()
        if grey and colour > GREY_TOLERANCE:
            tell(IN_GREY)
        grey = grey or colour <= (0 if wanted.faint else GREY_TOLERANCE)
    if grey:  # after the resizing: training, which does not know the channels yet, sees the same
        plain = plain.convert("L")
    pixels = np.asarray(plain)
    return np.broadcast_to(pixels, (channels or 1, height, width)) if plain.mode == "L" else pixels.transpose(2, 0, 1)


def faint_grey(pixels: np.ndarray) -> np.ndarray | None:
    """The luma (1, H, W) of pixels (C, H, W) that are grey but for little; None of others, and of grey ones."""
    if len(pixels) == 1 or np.ptp(pixels, axis=0).max() > GREY_TOLERANCE:
        return None
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).convert("L"))[None]


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data is as good as none, and its parser may raise anything
        return 1


def _found(
    numbers: np.ndarray, wanted: Wanted, hearing: Hearing, padding: np.ndarray | None = None
) -> FoundNumbers:  # fmt: skip
    """What there is among the numbers of an image; padding is told."""
    asked = wanted.span
    ends = None if asked is None else (asked.low - ROUNDING, asked.high + ROUNDING)
    found = found_in(numbers, wanted.sample, ends, padding)
    if not found.finite:
        raise UnreadableImage(f"infinite numbers from {found.low:g} to {found.high:g}; {_MAKE_FINITE}")
    if found.padding:
        hearing.tell(AS_PADDING.format(" and ".join(found.padding)))
    return found


def _from_deep(
    pixels: np.ndarray, wanted: Wanted, hearing: Hearing, padding: np.ndarray | None = None
) -> Image.Image:  # fmt: skip
    """(H, W) or (H, W, C) numbers in mode L, LA, RGB or RGBA. What colours span is theirs alone, alpha's is alpha's."""
    colours = pixels[..., : {2: 1, 4: 3}.get(pixels.shape[2])] if pixels.ndim == 3 else pixels
    found = _found(colours, wanted, hearing, padding)
    kind = "float" if found.dtype.kind == "f" else "whole"
    span = wanted.span or DEEP_SPANS[kind]
    hearing.tell_deep(kind, found)
    if wanted.strict and wanted.span is None and not (found.nothing or span.holds(found.low, found.high)):
        beyond = ", beyond 16 bits" if found.dtype.kind == "i" else ""
        raise UnreadableImage(f"pixels from {found.low:g} to {found.high:g}, outside {span}{beyond}")
    plain = span.bytes_of(colours)
    if colours.shape == pixels.shape:
        return Image.fromarray(plain)
    alpha = pixels[..., -1:]
    alpha = span_of(alpha.dtype, float(alpha.min()), float(alpha.max())).bytes_of(alpha)
    return Image.fromarray(np.concatenate([plain, alpha], axis=-1), "LA" if pixels.shape[2] == 2 else "RGBA")
