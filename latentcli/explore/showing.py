"""What a window shows of an ``Exploration``.

Points are drawn in Python, into a picture of the size that the plane has on the screen: a call-back that comes every 60
milliseconds compares what the plane shows with what was drawn, and draws again. Names of files and classes are text: in
HTML they are escaped.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.core.property.descriptors import UnsetValueError
from bokeh.models.css import InlineStyleSheet
from bokeh.models.sources import ColumnDataSource
from bokeh.models.widgets.buttons import Button

from latentcli.core.errors import printable
from latentcli.core.image_set import ImageSet
from latentcli.explore import drawing
from latentcli.explore.exploration import VIEWS, Exploration
from latentcli.explore.layout import MODES, ROWS, Layout
from latentcli.explore.markup import put, text_of
from latentcli.explore.tiles import COLUMNS, TILE, bars, hexadecimal, legend, picture, rim

SHOWN = COLUMNS * ROWS
"""Tiles of a page of the gallery."""

_CUT = "overflow: hidden; text-overflow: ellipsis;"


class Showing:
    """Draws what has changed.

    Args:
        parts: of the window.
        explored: what is shown.
        give: is called with the name of a class whose button is pressed.

    Attributes:
        first: place, in the gallery's images, of the first one that is shown.
        cursor: place, from there on, of the one that is looked at.
    """

    def __init__(self, parts: Layout, explored: Exploration, give: Callable[[str], None]) -> None:
        self.parts, self.explored, self.give = parts, explored, give
        self.first = self.cursor = 0
        self.version, self.drawn = -1, tuple[Any, ...]()
        self.shown: tuple[Any, ...] = ()
        self.names: tuple[str, ...] = ()
        self.tiles: dict[Any, tuple[Any, ...]] = {}

    def draw(self) -> None:
        """Show what has changed since it was drawn last."""
        explored = self.explored
        width, height = self.size()
        ranges = (self.parts.x_range.start, self.parts.x_range.end, self.parts.y_range.start, self.parts.y_range.end)
        if explored.board.version != self.version:
            self.version = explored.board.version
            self._draw_panels(explored)
            self._draw_gallery(explored)
        if not width or not height or not all(map(is_number, ranges)) or ranges[0] >= ranges[1]:
            return
        seen = (ranges, width, height, id(explored.plane), explored.labelling.version, id(explored.learning.reading),
                explored.colouring, id(explored.selected), id(explored.excluded))  # fmt: skip
        if seen == self.drawn:
            return
        if self.drawn and self.drawn[3] != seen[3]:  # another plane
            self.whole()
            self.drawn = ()
            return
        self.drawn = seen
        drawn = explored.picture(ranges[:2], ranges[2:], (min(width, 2000), min(height, 1600)))
        self.parts.pixels.data = {
            "image": [drawn], "x": [ranges[0]], "y": [ranges[2]], "w": [ranges[1] - ranges[0]],
            "h": [ranges[3] - ranges[2]],
        }  # fmt: skip
        outlines = explored.ellipses() if explored.colouring in ("class", "label") else []
        colours = [hexadecimal(code) for _, code in outlines]
        self.parts.outlines.data = {
            "xs": [outline[:, 0] for outline, _ in outlines], "ys": [outline[:, 1] for outline, _ in outlines],
            "colour": colours,
        }  # fmt: skip
        put(self.parts.plot.xaxis[0], axis_label=explored.plane.axes[0])
        put(self.parts.plot.yaxis[0], axis_label=explored.plane.axes[1])

    def _draw_panels(self, explored: Exploration) -> None:
        known = int((explored.labelling.codes >= 0).sum())
        doing = "".join(f" · {text_of(name)} …" for name in explored.jobs.doing)
        right, count, low, high = explored.learning.accuracy
        estimate = f"<br>right about {right} of the last {count} labels before they were given: " * bool(count)
        estimate += f"<b>{right / count:.2f}</b> ({low:.2f} to {high:.2f})" if count else ""
        targets = len(explored.targets) if explored.selected.any() else 0
        chosen = f" · <b>{targets:,} selected</b>" if targets else ""
        put(self.parts.status, text=f"{len(explored):,} images · {known:,} with a label{chosen}{doing}{estimate}")
        if explored.names != self.names:
            self.names = explored.names
            self.parts.classes.children = [self._class_button(explored, code) for code in range(len(self.names))]
        put(self.parts.legend, text=f"<p class=muted>{legend(explored)}</p>")
        put(self.parts.buttons["undo"], disabled=not explored.labelling.can_undo)
        put(self.parts.buttons["redo"], disabled=not explored.labelling.can_redo)
        latest = explored.board.told[:-7:-1]
        told = "".join(f"<p class='line{' bad' * bad}'>{'⚠ ' * bad}{text_of(text)}</p>" for bad, text in latest)
        put(self.parts.messages, text=f"<div aria-live=polite>{told}</div>")
        put(self.parts.planes, value=explored.wanted_plane)
        put(self.parts.colouring, value=explored.colouring)
        put(self.parts.views, active=[*VIEWS].index(explored.view))
        self._draw_looked(explored)

    def _class_button(self, explored: Exploration, code: int) -> Button:
        name = explored.names[code]
        key = next((f"{key}  " for key, of in explored.keys.items() if of == name != key), "")
        style = f":host .bk-btn {{ text-align: left; border-left: 10px solid {hexadecimal(code)}; {_CUT} }}"
        button = Button(
            label=f"{key}{printable(name)}", width=102 if len(explored.names) > 6 else 330,
            stylesheets=[InlineStyleSheet(css=style)], name=f"class {code}"
        )  # fmt: skip
        button.on_click(lambda: self.give(name))
        return button

    def _draw_looked(self, explored: Exploration) -> None:
        row = explored.current
        point = explored.plane.points[row]
        self.parts.here.data = {"x": [float(point[0])], "y": [float(point[1])]}
        decoding = MODES[self.parts.mode.active or 0] == "decode" and explored.view == "between"
        if decoding and explored.between is not None and explored.between.ends is None:
            self._draw_decoded(explored)
            return
        shown = (row, explored.labelling.version, id(explored.learning.reading), explored.view, id(explored.selected),
                 id(explored.excluded))  # fmt: skip
        if shown == self.shown:
            return
        self.shown = shown
        image = explored.images.images[row]
        decoded = explored.reconstruction(row)
        label = explored.label(row)
        likely = bars(explored, explored.learning.probabilities(row)[:4])
        given = f"label <b>{text_of(label)}</b>" if label else "<span class=muted>no label</span>"
        meant = explored.targets
        if len(meant) and not (len(meant) == 1 and meant[0] == row):
            name = text_of(explored.file(int(meant[0]))) if len(meant) == 1 else f"the {len(meant):,} selected"
            given += f" <b>· a key labels {name}</b>"
        put(self.parts.looked, text=(
            f"{picture(image, 'the image')}{picture(decoded, 'its reconstruction')}"
            f"<div class=file>{text_of(explored.file(row))}</div><div>{given}</div>{likely}"
        ))  # fmt: skip

    def _draw_decoded(self, explored: Exploration) -> None:
        self.shown = ()
        decoded = explored.between
        assert decoded is not None
        names = () if explored.learning.reading is None else explored.learning.reading.names
        soft = [] if decoded.soft is None else sorted(zip(names, decoded.soft[0].tolist(), strict=False),
                                                      key=lambda pair: -pair[1])  # fmt: skip
        put(self.parts.looked, text=f"{picture(decoded.images[0], 'decoded here', 140)}<div>decoded here</div>"
                               f"{bars(explored, soft[:4])}")  # fmt: skip

    def _draw_gallery(self, explored: Exploration) -> None:
        codes = explored.labelling.codes
        rows = explored.learning.suggestions[:COLUMNS]
        rims: list[drawing.Colour | None] = [rim(int(code)) for code in codes[rows]]
        if explored.following and explored.current in rows:
            rims[int(np.flatnonzero(rows == explored.current)[0])] = drawing.INK
        self._fill(self.parts.next_source, (tuple(rows.tolist()),), explored.images, rows, 1, rims)
        if explored.view == "between":
            found = explored.between
            images = np.empty((0, *explored.images.shape), np.uint8) if found is None else found.images
            rims = [None] * len(images)
            if found is not None and found.soft is not None and explored.learning.reading is not None:
                best = [explored.learning.reading.names[code] for code in found.soft.argmax(axis=1)]
                rims = [rim(explored.labelling.code(name)) for name in best]
            self._fill(self.parts.gallery_source, (id(found),), images, np.arange(len(images)), ROWS, rims)
            told = "drag over the plane in mode “decode”, or choose two ends (e); click one to keep it"
            if found is not None and found.ends is not None:
                told = " to ".join(text_of(explored.file(row)) for row in found.ends)
            put(self.parts.counted, text=told)
            return
        rows = explored.gallery()
        self.first = min(self.first, max(0, len(rows) - 1) // SHOWN * SHOWN)
        page = rows[self.first : self.first + SHOWN]
        rims = [rim(int(code)) for code in codes[page]]
        if explored.current in page:
            if self.cursor >= len(page) or page[self.cursor] != explored.current:
                self.cursor = int(np.flatnonzero(page == explored.current)[0])
            rims[self.cursor] = drawing.INK
        self._fill(
            self.parts.gallery_source,
            (tuple(page.tolist()),),
            explored.images,
            page,
            ROWS,
            rims,
            explored.excluded[page],
        )
        upto = f"{self.first + 1:,} to {self.first + len(page):,} of {len(rows):,}" if len(rows) else "none"
        what = ""
        if explored.view == "trouble" and len(page):
            finding = explored.findings[self.first + min(self.cursor, len(page) - 1)]
            what = f" · {text_of(finding.kind)} {finding.score:.2f} {text_of(finding.beside)}"
        put(self.parts.counted, text=f"<span class=muted>{upto}{what}; click takes one out</span>")

    def _fill(
        self, source: ColumnDataSource, of: tuple[Any, ...], images: Any, rows: np.ndarray, lines: int,
        rims: list[drawing.Colour | None], faded: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """Show tiles, unless the same ones are shown already."""
        key = (*of, tuple(rims), None if faded is None else faded.tobytes())
        if self.tiles.get(source.name) == key:
            return
        self.tiles[source.name] = key
        pixels = images.images[rows] if isinstance(images, ImageSet) else images
        source.data = {"image": [drawing.mosaic(np.asarray(pixels), COLUMNS, lines, TILE, rims, faded)]}

    def size(self) -> tuple[int, int]:
        """Pixels of the plane, across and up; 0 before the window has told."""
        try:
            return int(self.parts.plot.inner_width), int(self.parts.plot.inner_height)
        except UnsetValueError:
            return 0, 0

    def unit(self) -> tuple[float, float]:
        """How much of each axis a pixel is."""
        width, height = self.size()
        x, y = self.parts.x_range, self.parts.y_range
        return (x.end - x.start) / max(1, width), (y.end - y.start) / max(1, height)

    def zoom(self, factor: float) -> None:
        """Show more or less of the plane, around the image that is looked at."""
        explored = self.explored
        for of, middle in zip((self.parts.x_range, self.parts.y_range), explored.plane.points[explored.current],
                              strict=True):  # fmt: skip
            half = (of.end - of.start) / 2 * factor
            of.update(start=float(middle) - half, end=float(middle) + half)

    def whole(self) -> None:
        """Show all of the plane."""
        for of, (low, high) in zip(
            (self.parts.x_range, self.parts.y_range), drawing.limits(self.explored.plane.points), strict=True
        ):
            of.update(start=low, end=high)


def is_number(value: Any) -> bool:
    """Whether it is a finite number: what the browser tells may be anything."""
    return isinstance(value, int | float) and math.isfinite(value)
