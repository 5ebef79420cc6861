"""The page: Bokeh's models, and what their events do to an ``Exploration``.

Points are drawn in Python, into a picture of the size that the plane has on the screen: a call-back that comes every 60
milliseconds compares what the plane shows with what was drawn, and draws again. The only JavaScript of our own tells
which key was pressed, and empties and leaves fields. Names of files and classes are text: in HTML they are escaped.
"""

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
from bokeh import layouts
from bokeh.core.property.descriptors import UnsetValueError
from bokeh.document import Document
from bokeh.events import MouseLeave, MouseMove, Pan, PanEnd, PanStart, SelectionGeometry, Tap
from bokeh.models.callbacks import CustomJS
from bokeh.models.css import InlineStyleSheet
from bokeh.models.sources import ColumnDataSource
from bokeh.models.tools import BoxSelectTool, LassoSelectTool, PanTool, WheelZoomTool
from bokeh.models.widgets.buttons import Button
from bokeh.models.widgets.groups import RadioButtonGroup
from bokeh.models.widgets.inputs import Select, TextInput
from bokeh.plotting import figure

from latentcli.core.errors import printable
from latentcli.core.image_set import ImageSet
from latentcli.explore import drawing, plane
from latentcli.explore.colouring import COLOURINGS
from latentcli.explore.exploration import VIEWS, Exploration
from latentcli.explore.markup import html_of, put, text_of
from latentcli.explore.tiles import COLUMNS, TILE, bars, hexadecimal, legend, mosaic, picture, rim, shown_range

ROWS = 3
"""Of tiles in the gallery."""

NEAR = 24
"""Pixels from the pointer within which an image is looked at."""

_CUT = "overflow: hidden; text-overflow: ellipsis;"
WRAPPED: dict[str, Any] = {"sizing_mode": "stretch_width", "styles": {"flex-wrap": "wrap"}}
"""A row that goes on below where the window is narrow."""

MODES = ["lasso", "box", "move", "decode"]
"""What dragging does."""

KEYS = (
    "digits label · Del no label · u undo · r redo · n next suggestion · arrows look at another · "
    "x take it out, or in · g select the nearest · a select its class · Esc select none · e end of a path · "
    "d decode here · k keep · + − zoom · b whole plane · f fit to all · s save"
)


class Page:
    """One window. Windows of one server show the same exploration, each its own part of the plane.

    Args:
        document: of the window.
        root: where it is shown.
        explored: by all windows.
    """

    def __init__(self, document: Document, root: Any, explored: Exploration) -> None:
        self.document, self.root, self.explored = document, root, explored
        self._build(explored)

    def tick(self) -> None:
        """Look at what has changed: called every ``PERIOD``."""
        self.explored.poll()
        self._hover()
        self._draw()

    # How it is built.

    def _build(self, explored: Exploration) -> None:
        self.version, self.drawn = -1, tuple[Any, ...]()
        self.cursor = self.first = 0
        self.pointer: tuple[float, float] | None = None
        self.hovered: tuple[float, float] | None = None
        self.shown: tuple[Any, ...] = ()
        self.names: tuple[str, ...] = ()
        self.tiles: dict[Any, tuple[Any, ...]] = {}
        self.dragged = False
        self._build_plane(explored)
        self._build_panels(explored)
        self.mode = RadioButtonGroup(labels=[*MODES], active=0, name="mode")
        self.mode.on_change("active", self._on_mode)
        self.planes = Select(
            title="plane", value=explored.plane_kind, options=_options(explored.planes), name="planes", width=210
        )  # fmt: skip
        self.planes.on_change("value", lambda _, __, kind: self._choose_plane(kind))
        self.planes.js_on_change("value", CustomJS(code=_leave("SELECT")))
        self.colouring = Select(
            title="colours", value="class", options=_options(COLOURINGS), name="colouring", width=240
        )
        self.colouring.on_change("value", lambda _, __, kind: self._colour(kind))
        self.colouring.js_on_change("value", CustomJS(code=_leave("SELECT")))
        whole = self._button("whole plane (b)", "whole", self._whole)
        bar = layouts.row(
            layouts.column(html_of("dragging", "dragging"), self.mode),
            self.planes,
            self.colouring,
            layouts.column(html_of("beside", "&nbsp;"), whole),
            self.legend, **WRAPPED,
        )  # fmt: skip
        main = layouts.column(bar, self.plot, self.next_title, self.next, self._gallery_bar(), self.gallery,
                      sizing_mode="stretch_both")  # fmt: skip
        self.root.children = [layouts.row(main, self.side, sizing_mode="stretch_both"), *self.root.children[1:]]

    def _build_plane(self, explored: Exploration) -> None:
        self.x_range, self.y_range = map(shown_range, drawing.limits(explored.plane.points))
        self.pan, self.lasso, self.box = PanTool(), LassoSelectTool(continuous=False), BoxSelectTool(continuous=False)
        wheel = WheelZoomTool()
        self.plot = figure(
            x_range=self.x_range, y_range=self.y_range, tools=[self.lasso, self.box, self.pan, wheel], name="plane",
            active_drag=self.lasso, active_scroll=wheel, sizing_mode="stretch_both", toolbar_location=None,
            min_height=240, min_border=4, lod_threshold=None,
        )  # fmt: skip
        self.plot.grid.visible = False
        self.pixels = ColumnDataSource({"image": [np.zeros((1, 1), np.uint32)], "x": [0], "y": [0], "w": [1], "h": [1]},
                                       name="pixels")  # fmt: skip
        self.plot.image_rgba("image", "x", "y", "w", "h", source=self.pixels)
        self.outlines = ColumnDataSource({"xs": [], "ys": [], "colour": []})
        self.plot.multi_line("xs", "ys", color="colour", line_width=2, source=self.outlines)
        self.here = ColumnDataSource({"x": [], "y": []}, name="here")
        self.plot.scatter("x", "y", size=13, fill_color=None, line_color="#222222", line_width=2, source=self.here)
        self.probe = ColumnDataSource({"x": [], "y": []})
        self.plot.scatter(
            "x", "y", size=15, marker="cross", line_color="#D55E00", line_width=3, source=self.probe
        )  # fmt: skip
        self.plot.on_event(MouseMove, self._on_move)
        self.plot.on_event(MouseLeave, lambda _: setattr(self, "pointer", None))
        self.plot.on_event(Tap, self._on_tap)
        self.plot.on_event(SelectionGeometry, self._on_geometry)
        self.plot.on_event(PanStart, lambda event: self._on_drag(event, True))
        self.plot.on_event(Pan, lambda event: self._on_drag(event, True))
        self.plot.on_event(PanEnd, lambda event: self._on_drag(event, False))

    def _build_panels(self, explored: Exploration) -> None:
        self.status = html_of("status")
        self.looked = html_of("looked", height=236)
        self.classes = layouts.row(
            name="classes", width=344, styles={"flex-wrap": "wrap", "max-height": "260px", "overflow-y": "auto"}
        )
        self.new_class = TextInput(placeholder="a new class: its name, Enter", name="new_class", width=330)
        self.new_class.on_change("value", self._on_new_class)
        # The window itself empties and leaves it at once: what is typed next is a key again.
        empty = f"setTimeout(() => {{ cb_obj.value = ''; {_leave('INPUT')} }}, 0)"
        self.new_class.js_on_change("value", CustomJS(code=f"if (cb_obj.value != '') {empty}"))
        none = self._button("no label (Del)", "none", lambda: self._do(lambda: explored.give(None)))
        self.undo = self._button("undo (u)", "undo", lambda: self._do(explored.undo))
        self.redo = self._button("redo (r)", "redo", lambda: self._do(explored.redo))
        whole = self._button("fit to all (f)", "fit", lambda: self._do(lambda: explored.learning.fit(whole=True)))
        save = self._button("save (s)", "save", lambda: self._do(explored.save))
        keep = self._button("keep (k)", "keep", lambda: self._do(explored.keep))
        end = self._button("path from or to here (e)", "end", lambda: self._do(explored.mark_end))
        self.messages = html_of("messages")
        self.side = layouts.column(
            self.status, self.looked, self.classes, self.new_class, layouts.row(none, self.undo, self.redo),
            layouts.row(end, keep), layouts.row(whole, save), self.messages,
            html_of("help", f"<p class=muted>{escape(KEYS)}</p>"),
            width=360, sizing_mode="stretch_height", styles={"overflow-y": "auto"}, name="side",
        )  # fmt: skip
        self.legend = html_of("legend", width=150)
        self.next_title = html_of("next_title", "<b>Label next</b> (n)")
        self.next, self.next_source = mosaic("next", 1)
        self.next.on_event(Tap, lambda event: self._on_tile(event, "next"))
        self.gallery, self.gallery_source = mosaic("gallery", ROWS)
        self.gallery.on_event(Tap, lambda event: self._on_tile(event, "gallery"))

    def _gallery_bar(self) -> Any:
        self.views = RadioButtonGroup(labels=[*VIEWS.values()], active=0, name="views")
        self.views.on_change("active", self._on_view)
        self.counted = html_of("counted")
        back = self._button("◀", "back", lambda: self._turn(-1))
        on = self._button("▶", "on", lambda: self._turn(1))
        return layouts.row(self.views, back, on, self.counted, **WRAPPED)

    def _button(self, label: str, name: str, do: Any) -> Button:
        button = Button(label=label, name=name)
        button.on_click(do)
        return button

    # What is drawn.

    def _draw(self) -> None:
        explored = self.explored
        width, height = self._size()
        ranges = (self.x_range.start, self.x_range.end, self.y_range.start, self.y_range.end)
        if explored.board.version != self.version:
            self.version = explored.board.version
            self._draw_panels(explored)
            self._draw_gallery(explored)
        if not width or not height or not all(map(_is_number, ranges)) or ranges[0] >= ranges[1]:
            return
        seen = (ranges, width, height, id(explored.plane), explored.labelling.version, id(explored.learning.reading),
                explored.colouring, id(explored.selected), id(explored.excluded))  # fmt: skip
        if seen == self.drawn:
            return
        if self.drawn and self.drawn[3] != seen[3]:  # another plane
            self._whole()
            self.drawn = ()
            return
        self.drawn = seen
        drawn = explored.picture(ranges[:2], ranges[2:], (min(width, 2000), min(height, 1600)))
        self.pixels.data = {
            "image": [drawn], "x": [ranges[0]], "y": [ranges[2]], "w": [ranges[1] - ranges[0]],
            "h": [ranges[3] - ranges[2]],
        }  # fmt: skip
        outlines = explored.ellipses() if explored.colouring in ("class", "label") else []
        colours = [hexadecimal(code) for _, code in outlines]
        self.outlines.data = {
            "xs": [outline[:, 0] for outline, _ in outlines], "ys": [outline[:, 1] for outline, _ in outlines],
            "colour": colours,
        }  # fmt: skip
        put(self.plot.xaxis[0], axis_label=explored.plane.axes[0])
        put(self.plot.yaxis[0], axis_label=explored.plane.axes[1])

    def _draw_panels(self, explored: Exploration) -> None:
        known = int((explored.labelling.codes >= 0).sum())
        doing = "".join(f" · {text_of(name)} …" for name in explored.jobs.doing)
        right, count, low, high = explored.learning.accuracy
        estimate = f"<br>right about {right} of the last {count} labels before they were given: " * bool(count)
        estimate += f"<b>{right / count:.2f}</b> ({low:.2f} to {high:.2f})" if count else ""
        targets = len(explored.targets) if explored.selected.any() else 0
        chosen = f" · <b>{targets:,} selected</b>" if targets else ""
        put(self.status, text=f"{len(explored):,} images · {known:,} with a label{chosen}{doing}{estimate}")
        if explored.names != self.names:
            self.names = explored.names
            self.classes.children = [self._class_button(explored, code) for code in range(len(self.names))]
        put(self.legend, text=f"<p class=muted>{legend(explored)}</p>")
        put(self.undo, disabled=not explored.labelling.can_undo)
        put(self.redo, disabled=not explored.labelling.can_redo)
        latest = explored.board.told[:-7:-1]
        told = "".join(f"<p class='line{' bad' * bad}'>{'⚠ ' * bad}{text_of(text)}</p>" for bad, text in latest)
        put(self.messages, text=f"<div aria-live=polite>{told}</div>")
        put(self.planes, value=explored.wanted_plane)
        put(self.colouring, value=explored.colouring)
        put(self.views, active=[*VIEWS].index(explored.view))
        self._draw_looked(explored)

    def _class_button(self, explored: Exploration, code: int) -> Button:
        name = explored.names[code]
        key = next((f"{key}  " for key, of in explored.keys.items() if of == name != key), "")
        style = f":host .bk-btn {{ text-align: left; border-left: 10px solid {hexadecimal(code)}; {_CUT} }}"
        button = Button(
            label=f"{key}{printable(name)}", width=102 if len(explored.names) > 6 else 330,
            stylesheets=[InlineStyleSheet(css=style)], name=f"class {code}"
        )  # fmt: skip
        button.on_click(lambda: self._do(lambda: explored.give(name)))
        return button

    def _draw_looked(self, explored: Exploration) -> None:
        row = explored.current
        point = explored.plane.points[row]
        self.here.data = {"x": [float(point[0])], "y": [float(point[1])]}
        decoding = MODES[self.mode.active or 0] == "decode" and explored.view == "between"
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
        likely = bars(explored, explored.probabilities(row)[:4])
        given = f"label <b>{text_of(label)}</b>" if label else "<span class=muted>no label</span>"
        meant = explored.targets
        if len(meant) and not (len(meant) == 1 and meant[0] == row):
            name = text_of(explored.file(int(meant[0]))) if len(meant) == 1 else f"the {len(meant):,} selected"
            given += f" <b>· a key labels {name}</b>"
        put(self.looked, text=(
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
        put(self.looked, text=f"{picture(decoded.images[0], 'decoded here', 140)}<div>decoded here</div>"
                               f"{bars(explored, soft[:4])}")  # fmt: skip

    def _draw_gallery(self, explored: Exploration) -> None:
        codes = explored.labelling.codes
        rows = explored.learning.suggestions[:COLUMNS]
        rims: list[drawing.Colour | None] = [rim(int(code)) for code in codes[rows]]
        if explored.following and explored.current in rows:
            rims[int(np.flatnonzero(rows == explored.current)[0])] = drawing.INK
        self._fill(self.next_source, (tuple(rows.tolist()),), explored.images, rows, 1, rims)
        if explored.view == "between":
            found = explored.between
            images = np.empty((0, *explored.images.shape), np.uint8) if found is None else found.images
            rims = [None] * len(images)
            if found is not None and found.soft is not None and explored.learning.reading is not None:
                best = [explored.learning.reading.names[code] for code in found.soft.argmax(axis=1)]
                rims = [rim(explored.labelling.code(name)) for name in best]
            self._fill(self.gallery_source, (id(found),), images, np.arange(len(images)), ROWS, rims)
            told = "drag over the plane in mode “decode”, or choose two ends (e); click one to keep it"
            if found is not None and found.ends is not None:
                told = " to ".join(text_of(explored.file(row)) for row in found.ends)
            put(self.counted, text=told)
            return
        rows = explored.gallery()
        self.first = min(self.first, max(0, len(rows) - 1) // (COLUMNS * ROWS) * COLUMNS * ROWS)
        page = rows[self.first : self.first + COLUMNS * ROWS]
        rims = [rim(int(code)) for code in codes[page]]
        if explored.current in page:
            if self.cursor >= len(page) or page[self.cursor] != explored.current:
                self.cursor = int(np.flatnonzero(page == explored.current)[0])
            rims[self.cursor] = drawing.INK
        self._fill(
            self.gallery_source, (tuple(page.tolist()),), explored.images, page, ROWS, rims, explored.excluded[page]
        )
        upto = f"{self.first + 1:,} to {self.first + len(page):,} of {len(rows):,}" if len(rows) else "none"
        what = ""
        if explored.view == "trouble" and len(page):
            finding = explored.findings[self.first + min(self.cursor, len(page) - 1)]
            what = f" · {text_of(finding.kind)} {finding.score:.2f} {text_of(finding.beside)}"
        put(self.counted, text=f"<span class=muted>{upto}{what}; click takes one out</span>")

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

    # What is done.

    def _do(self, act: Any) -> None:
        act()
        self._draw()

    def press(self, key: str) -> None:
        """What a key does; see ``KEYS``."""
        explored = self.explored
        if key.isdigit() and len(key) == 1:
            if (name := explored.keys.get(key)) is not None:
                explored.give(name)
            else:
                explored.board.tell(f"no class has the key {key}: type a name below the classes", trouble=True)
        acts: dict[str, Any] = {
            "u": explored.undo, "Ctrlz": explored.undo, "r": explored.redo, "Ctrly": explored.redo,
            "n": explored.next_suggestion, "e": explored.mark_end, "k": explored.keep, "s": explored.save,
            "Delete": lambda: explored.give(None), "Backspace": lambda: explored.give(None),
            "f": lambda: explored.learning.fit(whole=True), "Escape": lambda: explored.select(np.empty(0, np.int64)),
            "g": lambda: explored.select(explored.nearest(explored.current)), "a": self._select_class,
            "d": self._decode_here, "+": lambda: self._zoom(0.6), "=": lambda: self._zoom(0.6),
            "-": lambda: self._zoom(1 / 0.6), "b": self._whole, "x": lambda: explored.toggle(explored.current),
            "ArrowLeft": lambda: self._step(-1), "ArrowRight": lambda: self._step(1),
            "ArrowUp": lambda: self._step(-COLUMNS), "ArrowDown": lambda: self._step(COLUMNS),
            "PageUp": lambda: self._turn(-1), "PageDown": lambda: self._turn(1),
        }  # fmt: skip
        if key in acts:
            acts[key]()
        self._draw()

    def _select_class(self) -> None:
        """Select all images without a label that are taken for what this one is."""
        explored = self.explored
        if explored.learning.reading is not None:
            same = explored.learning.reading.codes == explored.learning.reading.codes[explored.current]
            explored.select(np.flatnonzero(same & (explored.labelling.codes < 0)))

    def _decode_here(self) -> None:
        explored = self.explored
        x, y = map(float, explored.plane.points[explored.current])
        self.mode.active = MODES.index("decode")
        self._decode(x, y)

    def _decode(self, x: float, y: float) -> None:
        self.probe.data = {"x": [x], "y": [y]}
        self.explored.decode(x, y)

    def _step(self, by: int) -> None:
        """Look at another image of the gallery, or of the suggestions where that is empty."""
        explored = self.explored
        rows = explored.gallery()
        if not len(rows):
            rows = explored.learning.suggestions
        if len(rows):
            at = self.first + self.cursor
            if at >= len(rows) or rows[at] != explored.current:  # the same image may be there more than once
                at = next(iter(np.flatnonzero(rows == explored.current)), -1 if by > 0 else 0)
            to = min(max(int(at) + by, 0), len(rows) - 1)
            self.cursor = to % (COLUMNS * ROWS)
            self.first = to - self.cursor
            explored.look_at(int(rows[to]), within=True)
            explored.board.version += 1

    def _turn(self, by: int) -> None:
        """Another page of the gallery."""
        explored = self.explored
        last = max(0, len(explored.gallery()) - 1) // (COLUMNS * ROWS) * COLUMNS * ROWS
        self.first = min(max(self.first + by * COLUMNS * ROWS, 0), last)
        explored.board.version += 1
        self._draw()

    def _zoom(self, factor: float) -> None:
        """Show more or less of the plane, around the image that is looked at."""
        explored = self.explored
        for of, middle in zip((self.x_range, self.y_range), explored.plane.points[explored.current],
                              strict=True):  # fmt: skip
            half = (of.end - of.start) / 2 * factor
            of.update(start=float(middle) - half, end=float(middle) + half)

    def _whole(self) -> None:
        """Show all of the plane."""
        for of, (low, high) in zip(
            (self.x_range, self.y_range), drawing.limits(self.explored.plane.points), strict=True
        ):
            of.update(start=low, end=high)

    def _choose_plane(self, kind: str) -> None:
        if kind != self.explored.wanted_plane:
            self.explored.choose_plane(kind)

    def _colour(self, kind: str) -> None:
        self.explored.colouring = kind
        self.explored.board.version += 1

    # What the pointer does.

    def _size(self) -> tuple[int, int]:
        """Pixels of the plane, across and up; 0 before the window has told."""
        try:
            return int(self.plot.inner_width), int(self.plot.inner_height)
        except UnsetValueError:
            return 0, 0

    def _unit(self) -> tuple[float, float]:
        """How much of each axis a pixel is."""
        width, height = self._size()
        x, y = self.x_range, self.y_range
        return (x.end - x.start) / max(1, width), (y.end - y.start) / max(1, height)

    def _nearest(self, x: float, y: float) -> int | None:
        """The image nearest to a point of the plane, if it is near."""
        unit = self._unit()
        row = int(self.explored.plane.nearest(x, y, unit)[0])
        at = self.explored.plane.points[row]
        apart = math.hypot((float(at[0]) - x) / unit[0], (float(at[1]) - y) / unit[1])
        return row if apart <= NEAR else None

    def _on_move(self, event: Any) -> None:
        if _is_number(event.x) and _is_number(event.y):
            self.pointer = float(event.x), float(event.y)

    def _hover(self) -> None:
        """Look at the image under the pointer, where that has moved."""
        if self.pointer is None or self.pointer == self.hovered or self.dragged:
            return
        self.hovered = self.pointer
        row = self._nearest(*self.pointer)
        if row is not None:
            self.explored.look_at(row)

    def _on_tap(self, event: Any) -> None:
        explored = self.explored
        if not (_is_number(event.x) and _is_number(event.y)):
            return
        x, y = float(event.x), float(event.y)
        if MODES[self.mode.active or 0] == "decode":
            self._decode(x, y)
        elif (row := self._nearest(x, y)) is None:
            explored.select(np.empty(0, np.int64))
        else:
            explored.select(np.array([row]), more=bool(getattr(event, "modifiers", {}).get("shift")))
        self._draw()

    def _on_geometry(self, event: Any) -> None:
        explored, geometry = self.explored, event.geometry
        if not event.final:
            return
        if geometry.get("type") == "poly":
            xs, ys = geometry["x"], geometry["y"]
        elif geometry.get("type") == "rect":
            x0, x1, y0, y1 = (geometry[name] for name in ("x0", "x1", "y0", "y1"))
            xs, ys = [x0, x1, x1, x0], [y0, y0, y1, y1]
        else:
            return
        self.first = 0
        explored.select(plane.inside(explored.plane.points, xs, ys))
        self._draw()

    def _on_drag(self, event: Any, going: bool) -> None:
        self.dragged = going
        if MODES[self.mode.active or 0] == "decode" and _is_number(event.x) and _is_number(event.y):
            self._decode(float(event.x), float(event.y))
            self._draw()

    def _on_mode(self, _: str, __: int, active: int) -> None:
        drags: dict[str, Any] = {"lasso": self.lasso, "box": self.box, "move": self.pan}
        self.plot.toolbar.active_drag = drags.get(MODES[active])
        self.explored.board.version += 1

    def _on_view(self, _: str, __: int, active: int) -> None:
        if (view := [*VIEWS][active]) != self.explored.view:
            self.first = 0
            self.explored.look_through(view)
            self._draw()

    def _on_new_class(self, _: str, __: str, name: str) -> None:
        if name.strip():
            self.explored.add_class(name)
            self._draw()

    def _on_tile(self, event: Any, where: str) -> None:
        explored = self.explored
        if not (_is_number(event.x) and _is_number(event.y)):
            return
        rows = 1 if where == "next" else ROWS
        column, line = int(event.x), rows - 1 - int(event.y)
        if not (0 <= column < COLUMNS and 0 <= line < rows):
            return
        place = line * COLUMNS + column
        if where == "next":
            if place < len(explored.learning.suggestions):
                explored.select(explored.learning.suggestions[place : place + 1])
                explored.following = True
        elif explored.view == "between":
            if explored.between is not None and place < len(explored.between.images):
                explored.keep(np.array([place]))
        elif self.first + place < len(found := explored.gallery()):
            explored.toggle(int(found[self.first + place]))
        self._draw()


def _leave(tag: str) -> str:
    """JavaScript that takes the focus from an element of this kind, if one has it: keys are not typed into it then."""
    found = "let a = document.activeElement; while (a?.shadowRoot) a = a.shadowRoot.activeElement"
    return f"{found}; if (a?.tagName == '{tag}') a.blur()"


def _options(named: Mapping[str, str]) -> list[Any]:
    return [*named.items()]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
