"""Axes of arrays of images as other programs order them, and hints that are made from what an array holds."""

import math

import numpy as np

from latentcli.core.image_set import LARGEST, SMALLEST

CHANNELS, WITH_ALPHA = (1, 3), (2, 4)
"""Numbers of channels: grey and colour, and the same with transparency."""
_ANY = CHANNELS + WITH_ALPHA


LAST_FIRST = "numpy.moveaxis(data, -1, 0)"
"""The call that puts the last axis before the others."""


def oriented(array: np.ndarray, count: int | None, name: str) -> tuple[np.ndarray, tuple[str, ...], str]:
    """The array with images along its first axis, a view of it, where sizes or labels leave one reading.

    Args:
        array: (H, W, N) and (H, W, C, N), as MATLAB has them, (N, H·W) with H = W, or one that stays as it is.
        count: of the labels beside it; None where there are none.
        name: of the source.

    Returns:
        the array; what is told; and the expression that makes it of ``data``.
    """
    shape = array.shape
    if array.ndim == 4 and shape[2] in _ANY and shape[1] not in _ANY and _last_is_first(shape, count):
        return np.moveaxis(array, -1, 0), (_told(name, shape, shape[3], shape[:3]),), LAST_FIRST
    if array.ndim == 3 and shape[0] == shape[1] != shape[2]:
        of_labels = count == shape[2] if count in (shape[0], shape[2]) else None
        if of_labels or (of_labels is None and shape[2] > LARGEST and _in_range(*shape[:2])):
            return np.moveaxis(array, -1, 0), (_told(name, shape, shape[2], shape[:2]),), LAST_FIRST
        if of_labels is None and _in_range(*shape[:2]):
            other = f"{shape[2]} of {shape[0]}×{shape[1]}: {LAST_FIRST}"
            return array, (_told(name, shape, shape[0], shape[1:]) + f"; if they are {other}",), "data"
    if array.ndim == 2 and count == shape[0]:
        side = math.isqrt(shape[1])
        if side * side == shape[1] and _in_range(side, side):
            told = _told(name, shape, shape[0], (side, side))
            return array.reshape(-1, side, side), (told,), f"data.reshape(-1, {side}, {side})"
    return array, (), "data"


def _last_is_first(shape: tuple[int, ...], count: int | None) -> bool:
    """Whether (H, W, C, N) is the one reading, where N could be channels, too: by the labels, or square images."""
    if shape[3] not in _ANY:
        return True
    if not _in_range(*shape[:2]):
        return False
    return count == shape[3] if count in (shape[0], shape[3]) else shape[0] == shape[1]


def other_order(layout: str, shape: tuple[int, ...]) -> str:
    """The call of numpy that makes of an array, whose images are too narrow for any model, others that are not.

    Args:
        layout: by which it was read.
        shape: of its images, (N, C, H, W).
    """
    count, _, height, width = shape
    if width > max(_ANY) or layout == "NCHW" or not _in_range(count, height):
        return ""
    if layout == "NHWC":
        return f"if images are along the last axis: {LAST_FIRST}"
    alone = "one image in colour? give it an axis: data[numpy.newaxis]; or, " if width > 1 else ""
    return f"{alone}if images are along the last axis: {LAST_FIRST}"


def layout_of(shape: tuple[int, ...]) -> str | None:
    """The axes of an array of images, "NHW", "NHWC" or "NCHW"; None of any other. Alpha is a channel where it has one.

    Where two axes may be the channels, plain ones go before those with alpha, and the last axis before the second.
    """
    if len(shape) != 4:
        return "NHW" if len(shape) == 3 else None
    for channels in (CHANNELS, WITH_ALPHA):
        if shape[3] in channels or shape[1] in channels:
            return "NHWC" if shape[3] in channels else "NCHW"
    return None


def hint_for_shape(shape: tuple[int, ...], otherwise: str, count: int | None = None) -> str:
    """The numpy call that makes images of an array of this shape, where it tells one; ``count`` is that of labels."""
    if len(shape) == 1:
        return "if these are labels, name the images, and give these as `labels`"
    if len(shape) == 2:
        rows_and_columns = (shape[1], "data", "row"), (shape[0], "data.T", "column")
        pixels, data, each = rows_and_columns[shape[1] == count != shape[0]]
        if count not in shape and not _is_square(pixels) and _is_square(shape[0]):
            pixels, data, each = rows_and_columns[1]
        for channels in (1, 3):
            side = math.isqrt(pixels // channels)
            if side * side * channels == pixels and side >= SMALLEST:
                axes = f"-1, {side}, {side}" if channels == 1 else f"-1, 3, {side}, {side}"
                more = "" if channels == 1 else f", or {data}.reshape(-1, {side}, {side}, 3) where colours come last"
                return f"a {each} per image? reshape it: {data}.reshape({axes}){more}"
        if count in shape:
            return (
                f"{count} labels for {count} {each}s of {pixels} pixels, an image each: {_call_for_rows(pixels, data)}"
            )
        if _in_range(*shape):
            rows = f"; {shape[0]} images of {pixels} pixels? {_call_for_rows(pixels)}" if _heights(pixels) else ""
            return f"one image? give it an axis: data[numpy.newaxis]{rows}"
    if len(shape) == 4 and not {shape[1], shape[3]} & {*CHANNELS}:
        return _hint_for_4_axes(shape) or otherwise
    if len(shape) == 5 and shape[4] in CHANNELS and 1 not in shape[1:4] and _in_range(*shape[2:4]):
        return f"several images a row? make each a row: data.reshape({', '.join(map(str, (-1, *shape[2:])))})"
    if len(shape) > 4 and len(kept := [size for size in shape[1:] if size != 1]) in (2, 3):
        return f"leave out axes of 1: data.reshape({', '.join(map(str, (-1, *kept)))})"
    return otherwise


def _is_square(pixels: int) -> bool:
    """Whether so many pixels make a square image, grey or in colour, of a size that is read."""
    sides = [math.isqrt(pixels // channels) for channels in CHANNELS if pixels % channels == 0]
    return any(side >= SMALLEST and pixels % side**2 == 0 and pixels // side**2 in CHANNELS for side in sides)


def _call_for_rows(pixels: int, data: str = "data") -> str:
    """The call for images of which each is a row of so many pixels, which are no square, and what it leaves open."""
    if heights := _heights(pixels):
        sizes = ", ".join(f"{height}×{pixels // height}" for height in heights[1:4])
        others = f", or {sizes}" if sizes else ""
        return f"say their height and width, such as {data}.reshape(-1, {heights[0]}, {pixels // heights[0]}){others}"
    if pixels > LARGEST**2:
        return f"no image of at most {LARGEST}×{LARGEST}: make each smaller where it is made"
    side = max(SMALLEST, math.isqrt(pixels - 1) + 1)
    filled = f"numpy.pad({data}, ((0, 0), (0, {side**2 - pixels}))).reshape(-1, {side}, {side})"
    return f"no rectangle; if they are pixels, fill them up to {side}×{side}: {filled}"


def _heights(pixels: int) -> list[int]:
    """The heights, none above the width, of images of so many pixels that can be read; nearest to a square first."""
    sides = range(math.isqrt(pixels), SMALLEST - 1, -1)
    return [height for height in sides if pixels % height == 0 and _in_range(height, pixels // height)]


def _hint_for_4_axes(shape: tuple[int, ...]) -> str:
    """The call for (C, H, W, N), (C, N, H, W), or more channels, or slices, than are read."""
    first, second, third, last = shape
    if first in CHANNELS and second == third != last and _in_range(second, third):
        return f"channels before all? {LAST_FIRST}"
    if first in CHANNELS and _in_range(third, last):
        return "channels before all? numpy.moveaxis(data, 0, 1)"
    if last > max(_ANY) and _in_range(second, third) and (last < SMALLEST or second == third != last):
        return f"{last} channels? keep three of them: data[..., :3]"
    if _in_range(third, last):
        channels = f"{second} channels? keep three of them: data[:, :3]; " if second < SMALLEST else ""
        return f"{channels}volumes? take one slice of each: data[:, {second // 2}]"
    return ""


def _in_range(height: int, width: int) -> bool:
    return all(SMALLEST <= size <= LARGEST for size in (height, width))


def _told(name: str, shape: tuple[int, ...], count: int, image: tuple[int, ...]) -> str:
    return f"{name}: its array {shape} is read as {count} images of {'×'.join(map(str, image))}"
