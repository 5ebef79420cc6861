"""One image file as bytes of the wanted size, whatever its mode, depth and orientation.

The same rules for every file:

* The format is found by content, among PNG, JPEG, BMP, TIFF, WebP, GIF, PPM (with PGM and PBM) and, where Pillow has
  it, AVIF; the suffix only says that it is an image.
* EXIF orientation is applied. Of animations and files with several pages the first image is read, and told, or each.
* 16 bits, in one channel or in several, become 8 by scaling 0…65535 to 0…255; floats must lie in 0…1; unless a
  ``Span`` for all files is given. No image is stretched to its own range, which would give equal objects unequal
  values.
* Transparent pixels are laid on black, which stands for nothing in most scientific images; but on white where the
  visible ones are so dark that they would vanish (a mean luma below ``DARK``); or on the ground that is asked for.
* The whole image is resized, whatever its aspect ratio: cropping could remove what distinguishes the classes, and
  padding would teach a model the shapes of files. Lanczos' filter, antialiased.
"""

import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageColor, TiffImagePlugin, features

from latentcli.formats.pixel_values import Span, extremes, span_of
from latentcli.formats.regular_files import open_regular, reason

HAS_AVIF = bool(features.check("avif"))
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", *(("AVIF",) if HAS_AVIF else ()))
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm",
    *((".avif",) if HAS_AVIF else ()),
)  # fmt: skip
"""What the names of such files end in, in lower case."""

FRAMES, PAGES = (f"only the first {each} is read; `pages` makes an image of each" for each in ("frame", "page"))
"""What ``decode`` tells of a file of which more could have been read."""
ON_GROUND = "transparent pixels are laid on {}"
"""What it tells of a file with transparent pixels, with the name of the ground."""

MAX_PAGES = 10_000  # of one file; its header may claim any number
MAX_PIXELS = 64_000_000  # in one file, by its header: a file of fifty kilobytes can claim a hundred times as many
GREY_TOLERANCE = 8  # levels out of 255 by which JPEG may make the channels of a grey image differ

_MANY = MAX_PAGES + 1
_LARGE = 4_000_000  # pixels
_one_large_image = threading.Lock()  # limits the memory that many threads take
_ORIENTATION = 0x0112
_SUBFILE_TYPE, _REDUCED = 254, 0b101  # of a TIFF's page: bit 0 marks a smaller copy, bit 2 a mask
_BITS, _SAMPLES, _SAMPLE_FORMAT = 258, 277, 339  # of a TIFF's pixels
_UNSIGNED, _SIGNED = 1, 2
_TYPES = {_UNSIGNED: "unsigned", _SIGNED: "signed", 3: "floating-point", 5: "complex whole", 6: "complex"}
_UNREAD_TYPE = "a TIFF of {}, which is not read: save it as bytes, as uint16, or as float32 in one channel"
_NOT_NATIVE = "B" if sys.byteorder == "little" else "L"
_OTHER_BYTE = {
    "RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGB;16N": f"RGB;16{_NOT_NATIVE}", "LA;16B": "RGBA",
    "RGBA;16B": "RGBA;16L", "RGBA;16L": "RGBA;16B", "RGBA;16N": f"RGBA;16{_NOT_NATIVE}",
}  # fmt: skip
"""By the way in which Pillow unpacks channels of 16 bits to their high bytes, the way that gives the low ones."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""How images are turned upright, by EXIF's orientation. Source: CIPA DC-008 (Exif 2.32), tag 274.

``PIL.ImageOps.exif_transpose`` would encode all EXIF data anew, and fail where another tag is damaged.
"""


DARK = 64  # levels out of 255
DEEP_SPANS = {"u": Span(0, 65_535), "f": Span(0, 1)}
"""Of pixels of more than 8 bits, by the kind of their type, where no other is given."""

Tell = Callable[[str], None]
TellDeep = Callable[[np.dtype, float, float], None]


def unheard(remark: str) -> None:
    """Remarks that nobody listens to."""


class UnreadableImage(Exception):
    """A file is not an image that can be used; the message says why, without its path."""


def decode(
    path: Path, height: int, width: int, channels: int | None, tell: Tell = unheard, background: str | None = None,
    span: Span | None = None, tell_deep: TellDeep | None = None,
) -> np.ndarray:  # fmt: skip
    """(C, height, width) uint8: one image at the wanted size in pixels.

    It has the channels asked for, 1 (luma of ITU-R 601) or 3; with None, 1 if the content is grey and 3 if not.

    Args:
        path, height, width, channels: as above.
        tell: called with what was not taken as it stands: ``FRAMES``, ``PAGES``, ``ON_GROUND``.
        background: name of the colour that transparent pixels are laid on; None: black or white, by the rule above.
        span: of pixels of more than 8 bits; None: ``DEEP_SPANS``.
        tell_deep: called with type, least and largest of such pixels; then none lies outside, but is clipped.

    Raises:
        UnreadableImage: the file cannot be opened, is no image, is damaged or cut short, is too large, or has
            pixels without a known range.
    """
    with _image(path) as image:
        several = _several(image)
        pixels = _page(path, image, height, width, channels, (tell, tell_deep), background, span)
    if several:
        tell(PAGES if several == "TIFF" else FRAMES)
    return pixels


Hearing = tuple[Tell, TellDeep | None]
"""``tell`` and ``tell_deep`` of one page."""


def decode_pages(
    path: Path, numbers: Sequence[int], height: int, width: int, channels: int | None,
    hearing: Callable[[int], Hearing], background: str | None = None, span: Span | None = None,
) -> list[np.ndarray | str]:  # fmt: skip
    """What ``decode`` makes of pages of one file, or why one of them cannot be read.

    Args:
        numbers: of the pages, from 0, in rising order.
        hearing: what a page's remarks are told, by its number.
        path, height, width, channels, background, span: as for ``decode``.
    """
    done: list[np.ndarray | str] = []
    while len(done) < len(numbers):  # a page that is damaged costs no other
        try:
            with _image(path) as image:
                for number in numbers[len(done) :]:
                    image.seek(number)
                    _check_size(image)
                    done.append(_page(path, image, height, width, channels, hearing(number), background, span))
        except UnreadableImage as error:
            done.append(str(error))
    return done


def pages(path: Path) -> list[int]:
    """The numbers of the images in a file, from 0: of all but a TIFF's thumbnails and masks.

    Raises:
        UnreadableImage: the header cannot be read, or there are more than ``MAX_PAGES``.
    """
    with _image(path) as image:
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
                if number and _tag(image, _SUBFILE_TYPE) & _REDUCED:
                    continue
            found.append(number)
    if len(found) > MAX_PAGES:
        raise UnreadableImage(f"more than the {MAX_PAGES:,} pages allowed")
    return found


def _page(
    path: Path, image: Image.Image, height: int, width: int, channels: int | None, hearing: Hearing,
    background: str | None, span: Span | None,
) -> np.ndarray:  # fmt: skip
    """The page of an open file that was sought; as of ``decode``."""
    tell, tell_deep = hearing
    large = image.width * image.height > _LARGE
    with _one_large_image if large else nullcontext():
        deep = _deep_channels(path, image)
        image.draft(None, (2 * max(height, width),) * 2)  # lets JPEG decode a large image at a fraction of its size
        image.load()
        deep = _deep(image) if deep is None else deep
        plain = _in_8_bits(image) if deep is None else _from_deep(deep, span, tell_deep)
        plain = _opaque(plain, tell, background)
        return _converted(image, plain, height, width, channels)


def measure(path: Path) -> tuple[int, int]:
    """Height and width of an image turned upright, from its header alone.

    Raises:
        UnreadableImage: the header cannot be read.
    """
    with _image(path) as image:
        turned = _orientation(image) in (5, 6, 7, 8) and image.format != "TIFF"  # whose size is given upright
        return (image.width, image.height) if turned else (image.height, image.width)


@contextmanager
def _image(path: Path) -> Iterator[Image.Image]:
    """An image file with its header read; any error in the block becomes an UnreadableImage."""
    try:
        file, _ = open_regular(path)
        with file, _opened(file) as image:
            _check_size(image)
            yield image
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, which is higher
        raise UnreadableImage(f"more than the {MAX_PIXELS:,} pixels allowed") from error
    except OSError as error:
        raise UnreadableImage(reason(error) if error.errno else f"damaged: {str(error)[:100]}") from error
    except Exception as error:  # the parsers of damaged files raise errors of any class
        raise UnreadableImage(f"damaged: {type(error).__name__}") from error


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(f"{image.width:,}×{image.height:,}, more than the {MAX_PIXELS:,} pixels allowed")


def _opened(file: IO[bytes]) -> Image.Image:
    try:
        return Image.open(file, formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        unread = _type_of_tiff(file) or f"not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image"
        raise UnreadableImage(unread) from error


def _type_of_tiff(file: IO[bytes]) -> str | None:
    """What the numbers of a TIFF are that Pillow does not read; None of any other file."""
    file.seek(0)
    header = file.read(8)
    if header[:4] not in (b"II*\0", b"MM\0*"):
        return None
    with suppress(Exception):
        tags = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(tags.next)
        tags.load(file)
        bits, kind = tags.get(_BITS, (1,))[0], _TYPES.get(tags.get(_SAMPLE_FORMAT, (1,))[0], "unknown")
        channels = tags.get(_SAMPLES, 1)
        return _UNREAD_TYPE.format(f"{kind} numbers of {bits} bits" + (f" in {channels} channels" * (channels > 1)))
    return "damaged: no TIFF whose tags can be read"


def _several(image: Image.Image) -> str | None:
    """The format of a file that has more than one image; a TIFF's thumbnails and masks do not count."""
    try:
        if not getattr(image, "is_animated", False):
            return None
        if image.format == "TIFF":
            image.seek(1)
            reduced = _tag(image, _SUBFILE_TYPE) & _REDUCED
            image.seek(0)
            return None if reduced else "TIFF"
        return image.format
    except Exception:  # what follows the first image may be damaged; it is not read
        with suppress(Exception):
            image.seek(0)
        return None


def _converted(
    image: Image.Image, plain: Image.Image, height: int, width: int, channels: int | None
) -> np.ndarray:  # fmt: skip
    """The pixels of an image, loaded and made ``plain``, upright, in the wanted size and channels."""
    orientation = _orientation(image)  # only now: PNG may store it after the pixels, and TIFF has applied it by now
    if orientation in _TURNS:
        plain = plain.transpose(_TURNS[orientation])
    if channels == 1:
        plain = plain.convert("L")
    if plain.size != (width, height):
        plain = plain.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if plain.mode == "RGB" and channels is None and np.ptp(np.asarray(plain), axis=2).max() <= GREY_TOLERANCE:
        plain = plain.convert("L")
    pixels = np.asarray(plain)
    return np.broadcast_to(pixels, (channels or 1, height, width)) if plain.mode == "L" else pixels.transpose(2, 0, 1)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data is as good as none, and its parser may raise anything
        return 1


def _deep_channels(path: Path, image: Image.Image) -> np.ndarray | None:
    """(H, W, C) uint16: the pixels of a file with several channels of 16 bits, of which Pillow gives the high bytes.

    Its decoder is called twice, with one way to unpack and with the other. None of any other file.
    """
    unpacking = _unpacking(image)
    if unpacking not in _OTHER_BYTE:
        if image.mode in ("RGB", "RGBA") and image.format == "TIFF" and _tag(image, _BITS) > 8:
            raise UnreadableImage(_UNREAD_TYPE.format(f"{_tag(image, _BITS)} bits in channels apart from one another"))
        return None
    with _image(path) as again:
        file: Any = again  # of a class that knows how its pixels are stored
        file.seek(image.tell())
        if unpacking == "LA;16B":  # four bytes a pixel, grey and alpha
            file._mode = "RGBA"
        file.tile = [each._replace(args=_with_unpacking(each.args, _OTHER_BYTE[unpacking])) for each in file.tile]
        file.load()
        low = np.asarray(again)
    if unpacking == "LA;16B":
        return low[..., ::2] * np.uint16(256) + low[..., 1::2]
    image.load()
    return np.asarray(image) * np.uint16(256) + low


def _unpacking(image: Any) -> str:
    args = image.tile[0].args if image.tile else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _tag(image: Any, tag: int) -> int:
    """A number of a TIFF, the first where there are several; 0 where there is none, as in other files."""
    found = image.tag_v2.get(tag, 0) if image.format == "TIFF" else 0
    return int(found[0] if isinstance(found, tuple) else found)


def _with_unpacking(args: object, unpacking: str) -> object:
    return (unpacking, *args[1:]) if isinstance(args, tuple) else unpacking


def _deep(image: Image.Image) -> np.ndarray | None:
    """(H, W): the pixels of a loaded image in one channel of numbers that are not bytes; None of any other."""
    sample, bits = _tag(image, _SAMPLE_FORMAT), _tag(image, _BITS)
    if image.mode == "L" and sample == _SIGNED:
        return np.asarray(image).view(np.int8)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        pixels = np.asarray(image)  # Pillow gives some 16-bit files as 32-bit integers
        return pixels.view(np.uint32) if image.mode == "I" and bits == 32 and sample <= _UNSIGNED else pixels
    return None


def _from_deep(pixels: np.ndarray, span: Span | None, tell_deep: TellDeep | None) -> Image.Image:
    """(H, W) or (H, W, C) numbers in mode L, LA, RGB or RGBA. Alpha tells, too, what colours span that are not said."""
    colours = pixels[..., : {2: 1, 4: 3}.get(pixels.shape[2])] if pixels.ndim == 3 else pixels
    low, high = extremes(pixels if span is None else colours)
    if math.isnan(low):
        raise UnreadableImage("pixels that are not finite, outside 0…1")
    dtype = colours.dtype
    if dtype.kind == "i" and DEEP_SPANS["u"].holds(low, high):
        dtype = np.dtype(np.uint16)
    span = span or DEEP_SPANS["f" if dtype.kind == "f" else "u"]
    if tell_deep is not None:
        tell_deep(dtype, low, high)
    elif not span.holds(low, high):
        beyond = ", beyond 16 bits" if dtype.kind == "i" else ""
        raise UnreadableImage(f"pixels from {low:g} to {high:g}, outside {span}{beyond}")
    plain = span.bytes_of(colours)
    if colours.shape == pixels.shape:
        return Image.fromarray(plain)
    alpha = pixels[..., -1:]
    alpha = span_of(alpha.dtype, *extremes(alpha)).bytes_of(alpha)
    return Image.fromarray(np.concatenate([plain, alpha], axis=-1), "LA" if pixels.shape[2] == 2 else "RGBA")


def _in_8_bits(image: Image.Image) -> Image.Image:
    """The same image of bytes in mode L or RGB, or with transparency."""
    if image.mode in _LAYERED or "transparency" in image.info:
        return image
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


_LAYERED = ("LA", "La", "PA", "RGBA", "RGBa")


def _opaque(image: Image.Image, tell: Tell, background: str | None) -> Image.Image:
    if image.mode not in _LAYERED and "transparency" not in image.info:
        return image
    plain, ground = on_ground(image, background)
    if ground is not None:
        tell(ON_GROUND.format(ground))
    return plain


def on_ground(image: Image.Image, background: str | None) -> tuple[Image.Image, str | None]:
    """The image in mode L or RGB, without transparency: what is visible of it on the ground asked for, or else on black
    or white; and the name of the ground, None where nothing is transparent.
    """
    grey = image.mode in ("L", "LA", "La", "1")
    layered = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
    alpha = layered.getchannel("A")
    plain = layered.convert("RGB")
    if alpha.getextrema()[0] == 255:
        return plain.convert("L") if grey else plain, None
    visible = np.asarray(alpha, dtype=np.float64)
    luma = np.asarray(plain.convert("L"))
    dark = visible.any() and float((luma * visible).sum() / visible.sum()) < DARK
    name = background or ("white" if dark else "black")
    ground = Image.new("RGB", image.size, name)
    ground.paste(plain, mask=alpha)
    colourless = len(set(ImageColor.getrgb(name)[:3])) == 1
    return ground.convert("L") if grey and colourless else ground, name
