"""The part of an image that is given, as codes: what samples finish."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.models.code_prior import codes_of

if TYPE_CHECKING:
    from latentcli.models.trained import TrainedModel

PARTS = ("top", "left")
"""Halves of an image that may be kept, by name; anything else is a mask."""

GREY = np.uint8(127)


@dataclass(frozen=True, eq=False)
class Given:
    """Codes (h, w) int64 of an image, and (h, w) bool: those that stay; the image (C, H, W) uint8, elsewhere grey."""

    codes: np.ndarray
    kept: np.ndarray
    image: np.ndarray


def given(image: ImageSet | np.ndarray, keep: str | np.ndarray, model: "TrainedModel") -> Given:
    """The codes of the part of an image that is kept; nothing is read of the rest of it.

    A code stays where all pixels of its place do. What its place sees beyond them has the value of the nearest one.

    Args:
        image: a set of one, or (C, H, W) uint8.
        keep: "top" or "left", a half of it; or a mask (H, W) bool of pixels that stay.
        model: that has codes.

    Raises:
        UsageError: the part is unknown, or no place of a code lies in it, or all of them; or the model has no codes.
        DataError: there are more images than one, or image or mask are of another shape than the model's.
    """
    (height, width), _ = codes_of(model)
    pixels = image.images if isinstance(image, ImageSet) else np.asarray(image)[None]
    if len(pixels) != 1:
        raise DataError(f"`complete` names {len(pixels)} images", "one is completed, in many ways", "name one")
    if pixels.dtype != np.uint8:
        raise DataError(f"the pixels of the image to complete are {pixels.dtype}", "expected uint8, from 0 to 255")
    if pixels.shape[1:] != tuple(model.image_shape):
        raise DataError(
            f"the image to complete does not fit {model.name}",
            f"expected {model.image_shape} (channels, height, width), found {pixels.shape[1:]}",
            "load it for this model: `image_shape`",
        )
    mask = _mask(keep, model.image_shape[1:])
    rows, columns = (_touching(*sizes) for sizes in zip((height, width), mask.shape, strict=True))
    kept = rows @ (~mask).astype(int) @ columns.T == 0  # (h, w): no pixel of the place is unknown
    if kept.all() or not kept.any():
        raise UsageError(
            f"`keep` keeps {'every code' if kept.all() else 'no code'} of the image",
            f"it has {height}×{width}, each of about {mask.shape[0] // height}×{mask.shape[1] // width} pixels, all of "
            "which must be kept",
            f"keep {'less' if kept.all() else 'more'} of it",
        )  # fmt: skip
    codes = model.encode(_filled(pixels, mask)).arrays["codes"][0]
    return Given(codes.astype(np.int64), kept, np.where(mask, pixels[0], GREY))


def _mask(keep: str | np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool: the pixels that stay."""
    if isinstance(keep, str):
        if keep not in PARTS:
            raise UsageError(f"`keep` is {keep!r}", f"expected one of: {', '.join(PARTS)}; or a mask")
        rows, columns = np.indices(size)
        return 2 * rows < size[0] if keep == "top" else 2 * columns < size[1]
    if keep.shape != tuple(size) or keep.dtype != bool:
        raise DataError("the mask does not fit the model", f"expected {size} truth values, found {keep.shape}")
    return keep


def _touching(places: int, pixels: int) -> np.ndarray:
    """(places, pixels) int: 1 where a pixel belongs, if only in part, to a place, along one side."""
    place, pixel = np.ogrid[:places, :pixels]
    return (((pixel + 1) * places > place * pixels) & (pixel * places < (place + 1) * pixels)).astype(int)


def _filled(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(N, C, H, W): images whose pixels outside a mask (H, W) are as the nearest in it."""
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return np.ascontiguousarray(pixels[:, :, rows, columns])
