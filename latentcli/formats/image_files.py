"""One image file as bytes of the wanted size, whatever its mode, depth and orientation.

The same rules for every file:

* The format is found by content, among PNG, JPEG, BMP, TIFF, WebP, GIF, PPM (with PGM and PBM) and, where Pillow has
  it, AVIF; the suffix only says that it is an image.
* EXIF orientation is applied. In animations and files with several pages only the first image is read, and told.
* 16 bits become 8 by scaling 0…65535 to 0…255; floats must lie in 0…1; unless a ``Span`` for all files is given. No
  image is stretched to its own range, which would give equal objects unequal values.
* Transparent pixels are laid on black, which stands for nothing in most scientific images; but on white where the
  visible ones are so dark that they would vanish (a mean luma below ``DARK``); or on the ground that is asked for.
* The whole image is resized, whatever its aspect ratio: cropping could remove what distinguishes the classes, and
  padding would teach a model the shapes of files. Lanczos' filter, antialiased.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, features

from latentcli.formats.pixel_values import Span, extremes
from latentcli.formats.regular_files import open_regular, reason

HAS_AVIF = bool(features.check("avif"))
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", *(("AVIF",) if HAS_AVIF else ()))
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm",
    *((".avif",) if HAS_AVIF else ()),
)  # fmt: skip
"""What the names of such files end in, in lower case."""

FRAMES, PAGES = "only the first frame is read", "only the first page is read"
"""What ``decode`` tells of a file of which more could have been read."""
ON_GROUND = "transparent pixels are laid on {}"
"""What it tells of a file with transparent pixels, with the name of the ground."""

MAX_PIXELS = 64_000_000  # in one file, by its header: a file of fifty kilobytes can claim a hundred times as many
GREY_TOLERANCE = 8  # levels out of 255 by which JPEG may make the channels of a grey image differ

_LARGE = 4_000_000  # pixels
_one_large_image = threading.Lock()  # limits the memory that many threads take
_ORIENTATION = 0x0112
_SUBFILE_TYPE = 254  # of a TIFF's page: bit 0 marks a smaller copy, bit 2 a mask
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
        large = image.width * image.height > _LARGE
        with _one_large_image if large else nullcontext():
            several = _several(image)
            plain = _in_8_bits(_loaded(image, 2 * max(height, width)), tell, background, span, tell_deep)
            pixels = _converted(image, plain, height, width, channels)
    if several:
        tell(PAGES if several == "TIFF" else FRAMES)
    return pixels


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
        with file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImage(f"{image.width:,}×{image.height:,}, more than the {MAX_PIXELS:,} pixels allowed")
            yield image
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, which is higher
        raise UnreadableImage(f"more than the {MAX_PIXELS:,} pixels allowed") from error
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(f"not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image") from error
    except OSError as error:
        raise UnreadableImage(reason(error) if error.errno else f"damaged: {str(error)[:100]}") from error
    except Exception as error:  # the parsers of damaged files raise errors of any class
        raise UnreadableImage(f"damaged: {type(error).__name__}") from error


def _several(image: Image.Image) -> str | None:
    """The format of a file that has more than one image; a TIFF's thumbnails and masks do not count."""
    try:
        if not getattr(image, "is_animated", False):
            return None
        if image.format == "TIFF":
            image.seek(1)
            reduced = int(image.tag_v2.get(_SUBFILE_TYPE, 0)) & 5  # type: ignore[attr-defined]
            image.seek(0)
            return None if reduced else "TIFF"
        return image.format
    except Exception:  # what follows the first image may be damaged; it is not read
        with suppress(Exception):
            image.seek(0)
        return None


def _loaded(image: Image.Image, side: int) -> Image.Image:
    image.draft(None, (side, side))  # lets JPEG decode a large image at a fraction of its size
    image.load()
    return image


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


def _in_8_bits(
    image: Image.Image, tell: Tell, background: str | None, span: Span | None, tell_deep: TellDeep | None
) -> Image.Image:  # fmt: skip
    """The same image in mode L or RGB, without transparency."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        pixels = np.asarray(image)  # Pillow gives some 16-bit files as 32-bit integers
        low, high = extremes(pixels)
        if math.isnan(low):
            raise UnreadableImage("pixels that are not finite, outside 0…1")
        if pixels.dtype.kind == "i" and DEEP_SPANS["u"].holds(low, high):
            pixels = pixels.astype(np.uint16)
        span = span or DEEP_SPANS["f" if image.mode == "F" else "u"]
        if tell_deep is not None:
            tell_deep(pixels.dtype, low, high)
        elif not span.holds(low, high):
            beyond = ", beyond 16 bits" if pixels.dtype.kind == "i" else ""
            raise UnreadableImage(f"pixels from {low:g} to {high:g}, outside {span}{beyond}")
        return Image.fromarray(span.bytes_of(pixels))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _on_ground(image, tell, background)
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _on_ground(image: Image.Image, tell: Tell, background: str | None) -> Image.Image:
    """The image without transparency: what is visible of it on the ground asked for, or else on black or white."""
    grey = image.mode in ("L", "LA", "La", "1")
    layered = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
    alpha = layered.getchannel("A")
    plain = layered.convert("RGB")
    if alpha.getextrema()[0] == 255:
        return plain.convert("L") if grey else plain
    visible = np.asarray(alpha, dtype=np.float64)
    luma = np.asarray(plain.convert("L"))
    dark = visible.any() and float((luma * visible).sum() / visible.sum()) < DARK
    name = background or ("white" if dark else "black")
    ground = Image.new("RGB", image.size, name)
    ground.paste(plain, mask=alpha)
    tell(ON_GROUND.format(name))
    colourless = len(set(ImageColor.getrgb(name)[:3])) == 1
    return ground.convert("L") if grey and colourless else ground
