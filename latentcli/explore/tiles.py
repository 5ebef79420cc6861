"""What parts of the page show: tiles of images, bars of probabilities, colours and what they mean."""

import base64
import io
from typing import Any

import numpy as np
from bokeh.models.ranges import Range1d
from bokeh.models.sources import ColumnDataSource
from bokeh.plotting import figure

from latentcli.explore import drawing
from latentcli.explore.colouring import colour, coloured
from latentcli.explore.exploration import Exploration
from latentcli.explore.markup import text_of

COLUMNS, TILE = 12, 64
"""Tiles in a row, and pixels of one."""


def shown_range(ends: tuple[float, float]) -> Any:
    """The range of an axis."""
    return Range1d(start=ends[0], end=ends[1])


def mosaic(name: str, rows: int) -> tuple[Any, ColumnDataSource]:
    """A figure of tiles, and its source."""
    shown = figure(
        sizing_mode="scale_width", max_width=COLUMNS * TILE, aspect_ratio=COLUMNS / rows,
        x_range=shown_range((0, COLUMNS)), y_range=shown_range((0, rows)), tools=[], toolbar_location=None, name=name,
        min_border=0, outline_line_color=None, frame_align=False,
    )  # fmt: skip
    shown.axis.visible = shown.grid.visible = False
    source = ColumnDataSource({"image": [np.zeros((1, 1), np.uint32)]}, name=f"{name} pixels")
    shown.image_rgba("image", 0, 0, COLUMNS, rows, source=source)
    return shown, source


def rim(code: int) -> drawing.Colour | None:
    """The colour of a class around an image of it; None of no class."""
    return None if code < 0 else colour(code)


def hexadecimal(code: int) -> str:
    """The colour of a class, grey of none, as CSS has it."""
    return "#{:02x}{:02x}{:02x}".format(*(drawing.NONE if code < 0 else colour(code)))


def bars(explored: Exploration, values: list[tuple[str, float]]) -> str:
    """Classes and their probabilities."""
    lines = (
        f"<tr><td>{text_of(name)}</td><td><span class=bar style='width:{max(1, round(100 * value))}px; "
        f"background:{hexadecimal(explored.labelling.code(name))}'></span>{value:.3f}</td></tr>"
        for name, value in values
    )
    return f"<table>{''.join(lines)}</table>"


def legend(explored: Exploration) -> str:
    """What the colours of points mean."""
    if explored.colouring in ("class", "label"):
        return "" if explored.marked is None else "with a label: large, with a dark rim"
    _, colours, named = coloured(explored.colouring, explored.labelling.labels, explored.learning.reading)
    chips = []
    for name, place in named:
        red, green, blue = (int(colours[place]) >> shift & 0xFF for shift in (0, 8, 16))
        chips.append(f"<span class=chip style='background:rgb({red},{green},{blue})'></span>{text_of(name)}")
    return " ".join(chips)


def picture(image: np.ndarray, alternative: str, side: int = 110) -> str:
    """An image (C, H, W) uint8 as HTML, with a text in its place."""
    from PIL import Image

    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "png")
    data = base64.b64encode(file.getvalue()).decode()
    tall, wide = (round(side * part / max(pixels.shape[:2])) for part in pixels.shape[:2])
    return f"<img alt='{alternative}' width={wide} height={tall} src='data:image/png;base64,{data}'>"
