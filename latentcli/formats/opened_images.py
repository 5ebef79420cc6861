"""Image files opened: their format by content, their header checked, every error a reason."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from PIL import Image, TiffImagePlugin, features

from latentcli.formats.image_limits import MAX_PIXELS, UnreadableImage
from latentcli.formats.regular_files import File, open_regular, reason

HAS_AVIF = bool(features.check("avif"))
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", *(("AVIF",) if HAS_AVIF else ()))
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm",
    *((".avif",) if HAS_AVIF else ()),
)  # fmt: skip
"""What the names of such files end in, in lower case."""

BITS, PHOTOMETRIC, _SAMPLES, SAMPLE_FORMAT = 258, 262, 277, 339  # of a TIFF's pixels
UNSIGNED, SIGNED = 1, 2
_POINTER = b"version https://git-lfs"
_SMALLER = (
    "make them smaller, in Python: import PIL.Image; PIL.Image.MAX_IMAGE_PIXELS = None; i = PIL.Image.open(file); "
    "i.thumbnail((4096, 4096)); i.save(file)"
)
_MOST_CHANNELS = 4  # that mean colours and alpha
_TYPES = {UNSIGNED: "unsigned", SIGNED: "signed", 3: "floating-point", 5: "complex whole", 6: "complex"}
UNREAD_TYPE = "a TIFF of {}, which is not read: save it as bytes, as uint16, or as float32 in one channel"


@contextmanager
def opened(path: File) -> Iterator[Image.Image]:
    """An image file with its header read; any error in the block becomes an UnreadableImage."""
    with reasons():
        file, _ = open_regular(path)
        with file, _opened(file) as image:
            check_size(image)
            yield image


@contextmanager
def reasons() -> Iterator[None]:
    """Any error in the block becomes an UnreadableImage."""
    try:
        yield
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, which is higher
        raise UnreadableImage(f"more than the {MAX_PIXELS:,} pixels allowed; {_SMALLER}") from error
    except OSError as error:
        raise UnreadableImage(reason(error) if error.errno else f"damaged: {str(error)[:100]}") from error
    except Exception as error:  # the parsers of damaged files raise errors of any class
        raise UnreadableImage(f"damaged: {type(error).__name__}") from error


def check_size(image: Image.Image) -> None:
    """Refuse a page of more than ``MAX_PIXELS``; its pixels have not been read."""
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(
            f"{image.width:,}×{image.height:,}, more than the {MAX_PIXELS:,} pixels allowed; {_SMALLER}"
        )


def _opened(file: IO[bytes]) -> Image.Image:
    try:
        return Image.open(file, formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        file.seek(0)
        if file.read(len(_POINTER)) == _POINTER:
            raise UnreadableImage("a pointer of Git LFS, not the image; fetch the images: git lfs pull") from error
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
        bits, kind = tags.get(BITS, (1,))[0], _TYPES.get(tags.get(SAMPLE_FORMAT, (1,))[0], "unknown")
        channels = tags.get(_SAMPLES, 1)
        if channels > _MOST_CHANNELS:
            return f"a TIFF of {channels} channels, which is not read: save three of them, or one"
        white = " where 0 is white" * (tags.get(PHOTOMETRIC) == 0 and channels == 1)
        what = f"{kind} numbers of {bits} bits" + (f" in {channels} channels" * (channels > 1)) + white
        return f"{UNREAD_TYPE.format(what)}{', where 0 is black' * bool(white)}"
    return "damaged: no TIFF whose tags can be read"


def tag(image: Any, tag: int) -> int:
    """A number of a TIFF, the first where there are several; 0 where there is none, as in other files."""
    found = image.tag_v2.get(tag, 0) if image.format == "TIFF" else 0
    return int(found[0] if isinstance(found, tuple) else found)
