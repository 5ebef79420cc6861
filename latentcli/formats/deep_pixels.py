"""Pixels of more than 8 bits in image files, as the numbers that they are."""

import sys
from typing import Any

import numpy as np
from PIL import Image

from latentcli.formats.image_limits import UnreadableImage
from latentcli.formats.opened_images import BITS, PHOTOMETRIC, SAMPLE_FORMAT, SIGNED, UNREAD_TYPE, UNSIGNED, opened, tag
from latentcli.formats.regular_files import File

_NOT_NATIVE = "B" if sys.byteorder == "little" else "L"
_OTHER_BYTE = {
    "RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGB;16N": f"RGB;16{_NOT_NATIVE}", "LA;16B": "RGBA",
    "RGBA;16B": "RGBA;16L", "RGBA;16L": "RGBA;16B", "RGBA;16N": f"RGBA;16{_NOT_NATIVE}",
}  # fmt: skip
"""By the way in which Pillow unpacks channels of 16 bits to their high bytes, the way that gives the low ones."""


def deep_channels(path: File, image: Image.Image) -> np.ndarray | None:
    """(H, W, C) uint16: the pixels of a file with several channels of 16 bits, of which Pillow gives the high bytes.

    Its decoder is called twice, with one way to unpack and with the other. None of any other file.
    """
    unpacking = _unpacking(image)
    if unpacking not in _OTHER_BYTE:
        if image.mode in ("RGB", "RGBA") and image.format == "TIFF" and tag(image, BITS) > 8:
            raise UnreadableImage(UNREAD_TYPE.format(f"{tag(image, BITS)} bits in channels apart from one another"))
        return None
    with opened(path) as again:
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


def _with_unpacking(args: object, unpacking: str) -> object:
    return (unpacking, *args[1:]) if isinstance(args, tuple) else unpacking


def deep_numbers(image: Image.Image) -> np.ndarray | None:
    """(H, W): the pixels of a loaded image in one channel of numbers that are not bytes; None of any other."""
    sample, bits = tag(image, SAMPLE_FORMAT), tag(image, BITS)
    if image.mode == "L" and sample == SIGNED:
        return np.asarray(image).view(np.int8)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        pixels = np.asarray(image)
        if image.mode == "I" and bits == 32 and sample <= UNSIGNED:
            return pixels.view(np.uint32)
        if image.mode == "I" and bits != 32:  # Pillow gives some files of 16 bits as 32-bit integers
            return pixels.astype(np.int16 if sample == SIGNED else np.uint16)
        return pixels
    return None


def white_is_least(image: Image.Image) -> bool:
    """Whether the numbers of ``deep_numbers`` are of a TIFF that says WhiteIsZero, which Pillow undoes in bytes alone.

    Source: TIFF 6.0, section 8, tag 262.
    """
    return image.format == "TIFF" and PHOTOMETRIC in image.tag_v2 and tag(image, PHOTOMETRIC) == 0  # type: ignore[attr-defined]
