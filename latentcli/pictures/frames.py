"""Frames: what a model in training makes of the same few images at one epoch, and a strip of those of all epochs.

They are put together from pixels, by Pillow, in a few milliseconds each: matplotlib would take longer than many an
epoch.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentcli.core.image_set import Shape
from latentcli.core.progress import InTraining
from latentcli.numerics.blocks import evenly

MOST = 20
"""Epochs of a run, at most, at which a model is looked at."""

_ROOM, _COLUMNS, _FEWEST, _WIDE = 84, 10, 4, 960
"""Pixels that small images are enlarged to; images in a row, at most and at least; pixels that a row shall not pass."""
_GAP, _EDGE, _LEFT, _TOP, _APART = 4, 12, 124, 36, 28  # pixels; the last is between the columns of a strip
_SIZE, _INK, _PAPER = 16, "#222222", "#ffffff"  # of text


def due(epochs: int) -> set[int]:
    """Numbers of the epochs, from 1, after which a model is looked at: 20 at most, evenly spaced, the first and last
    among them."""
    return {int(row) + 1 for row in evenly(epochs, MOST)}


def taken(model: InTraining, row: Mapping[str, float], epochs: int) -> tuple[Image.Image | None, list[str]]:
    """The frame of a model after the epoch of this row of its history, of so many, and the kinds of images that its
    rows show; None where the model makes no images."""
    layout = Layout(model.image_shape)
    pictures = model.pictures(layout.columns)
    title = f"epoch {row['epoch']:.0f} of {epochs}    loss {row['loss']:.5g}"
    return (layout.frame(pictures, title) if pictures else None), [*pictures]


class Layout:
    """Where the images of a frame lie: a row for each kind, such as images, reconstructions and samples.

    Args:
        shape: channels, height and width of an image.

    Attributes:
        columns: images in a row.
    """

    def __init__(self, shape: Shape) -> None:
        channels, height, width = shape
        self.scale = max(1, _ROOM // max(height, width))
        self.height, self.width = height * self.scale, width * self.scale
        self.columns = max(_FEWEST, min(_COLUMNS, _WIDE // (self.width + _GAP)))
        self.row = self.columns * (self.width + _GAP) - _GAP  # its width, in pixels
        self.mode = "L" if channels == 1 else "RGB"

    def size(self, kinds: int) -> tuple[int, int]:
        """Width and height of a frame with rows of so many kinds, in pixels."""
        return _LEFT + self.row + _EDGE, _TOP + kinds * (self.height + _GAP) - _GAP + _EDGE

    def frame(self, pictures: Mapping[str, np.ndarray], title: str) -> Image.Image:
        """A row of images (n, C, H, W) uint8 for each kind, n ≤ ``columns``, its name before it, under a title."""
        canvas = Image.new(self.mode, self.size(len(pictures)), _PAPER)
        _write(canvas, _LEFT, _TOP // 2, title, "lm")
        for number, (kind, images) in enumerate(pictures.items()):
            left, top, _, bottom = self._box(number)
            _write(canvas, left - _EDGE, (top + bottom) // 2, kind, "rm")
            for column, image in enumerate(images):
                enlarged = image.repeat(self.scale, axis=1).repeat(self.scale, axis=2)
                tile = enlarged[0] if self.mode == "L" else enlarged.transpose(1, 2, 0)
                canvas.paste(Image.fromarray(np.ascontiguousarray(tile)), (left + column * (self.width + _GAP), top))
        return canvas

    def strip(self, frames: Mapping[int, Image.Image], kinds: list[str]) -> Image.Image:
        """A row for each epoch, from its frame, and above them the row of "image"s, where there is one.

        Args:
            frames: with rows of these kinds, by epoch.
            kinds: all kinds but "image", which is the same in all frames, stand side by side.
        """
        beside, originals = [kind for kind in kinds if kind != "image"], "image" in kinds
        lines = len(frames) + originals
        width = _LEFT + len(beside) * (self.row + _APART) - _APART + _EDGE
        canvas = Image.new(self.mode, (width, self.size(lines)[1]), _PAPER)
        lefts = [_LEFT + column * (self.row + _APART) for column in range(len(beside))]
        for left, kind in zip(lefts, beside, strict=True):
            _write(canvas, left, _TOP // 2, kind, "lm")
        line = 0
        if originals:
            first = next(iter(frames.values()))
            self._copy(first, kinds.index("image"), canvas, lefts[0], line, "image")
            line += 1
        for epoch, frame in frames.items():
            for left, kind in zip(lefts, beside, strict=True):
                self._copy(frame, kinds.index(kind), canvas, left, line, f"epoch {epoch}")
            line += 1
        return canvas

    def _copy(self, frame: Image.Image, number: int, canvas: Image.Image, left: int, line: int, name: str) -> None:
        """Copy a row of a frame to a line of a strip, and write its name before the line."""
        _, top, _, bottom = self._box(line)
        canvas.paste(frame.crop(self._box(number)), (left, top))
        if left == _LEFT:
            _write(canvas, _LEFT - _EDGE, (top + bottom) // 2, name, "rm")

    def _box(self, number: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a row."""
        top = _TOP + number * (self.height + _GAP)
        return _LEFT, top, _LEFT + self.row, top + self.height


def _write(canvas: Image.Image, x: int, y: int, text: str, anchor: str) -> None:
    ImageDraw.Draw(canvas).text((x, y), text, fill=_INK, font=_font(), anchor=anchor)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(_SIZE)
