"""The page: what its events do to an ``Exploration``.

The only JavaScript of our own tells which key was pressed, and empties and leaves fields.
"""

import math
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.events import MouseLeave, MouseMove, Pan, PanEnd, PanStart, SelectionGeometry, Tap

from latentcli.explore import plane
from latentcli.explore.exploration import VIEWS, Exploration
from latentcli.explore.layout import MODES, ROWS, Layout
from latentcli.explore.showing import SHOWN, Showing, is_number
from latentcli.explore.tiles import COLUMNS

NEAR = 24
"""Pixels from the pointer within which an image is looked at."""


class Page:
    """One window. Windows of one server show the same exploration, each its own part of the plane.

    Args:
        document: of the window.
        root: where it is shown.
        explored: by all windows.
    """

    def __init__(self, document: Document, root: Any, explored: Exploration) -> None:
        self.document, self.explored = document, explored
        self.parts = Layout(explored)
        self.showing = Showing(self.parts, explored, lambda name: self._do(lambda: explored.give(name)))
        self.pointer: tuple[float, float] | None = None
        self.hovered: tuple[float, float] | None = None
        self.dragged = False
        self._listen()
        root.children = [self.parts.whole, *root.children[1:]]

    def tick(self) -> None:
        """Look at what has changed: called every ``PERIOD``."""
        self.explored.poll()
        self._hover()
        self.showing.draw()

    def _listen(self) -> None:
        """Let events do what they are for."""
        parts, explored = self.parts, self.explored
        parts.plot.on_event(MouseMove, self._on_move)
        parts.plot.on_event(MouseLeave, lambda _: setattr(self, "pointer", None))
        parts.plot.on_event(Tap, self._on_tap)
        parts.plot.on_event(SelectionGeometry, self._on_geometry)
        parts.plot.on_event(PanStart, lambda event: self._on_drag(event, True))
        parts.plot.on_event(Pan, lambda event: self._on_drag(event, True))
        parts.plot.on_event(PanEnd, lambda event: self._on_drag(event, False))
        parts.next.on_event(Tap, lambda event: self._on_tile(event, "next"))
        parts.gallery.on_event(Tap, lambda event: self._on_tile(event, "gallery"))
        parts.mode.on_change("active", self._on_mode)
        parts.views.on_change("active", self._on_view)
        parts.planes.on_change("value", lambda _, __, kind: self._choose_plane(kind))
        parts.colouring.on_change("value", lambda _, __, kind: self._colour(kind))
        parts.new_class.on_change("value", self._on_new_class)
        acts: dict[str, Any] = {
            "whole": self.showing.whole, "back": lambda: self._turn(-1), "on": lambda: self._turn(1),
            "none": lambda: explored.give(None), "undo": explored.undo, "redo": explored.redo,
            "fit": lambda: explored.learning.fit(whole=True), "save": explored.save, "keep": explored.keep,
            "end": explored.mark_end,
        }  # fmt: skip
        for name, act in acts.items():
            parts.buttons[name].on_click(lambda act=act: self._do(act))

    def _do(self, act: Any) -> None:
        act()
        self.showing.draw()

    def press(self, key: str) -> None:
        """What a key does; see ``layout.KEYS``."""
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
            "d": self._decode_here, "+": lambda: self.showing.zoom(0.6), "=": lambda: self.showing.zoom(0.6),
            "-": lambda: self.showing.zoom(1 / 0.6), "b": self.showing.whole,
            "x": lambda: explored.toggle(explored.current),
            "ArrowLeft": lambda: self._step(-1), "ArrowRight": lambda: self._step(1),
            "ArrowUp": lambda: self._step(-COLUMNS), "ArrowDown": lambda: self._step(COLUMNS),
            "PageUp": lambda: self._turn(-1), "PageDown": lambda: self._turn(1),
        }  # fmt: skip
        if key in acts:
            acts[key]()
        self.showing.draw()

    def _select_class(self) -> None:
        """Select all images without a label that are taken for what this one is."""
        explored = self.explored
        if explored.learning.reading is not None:
            same = explored.learning.reading.codes == explored.learning.reading.codes[explored.current]
            explored.select(np.flatnonzero(same & (explored.labelling.codes < 0)))

    def _decode_here(self) -> None:
        explored = self.explored
        x, y = map(float, explored.plane.points[explored.current])
        self.parts.mode.active = MODES.index("decode")
        self._decode(x, y)

    def _decode(self, x: float, y: float) -> None:
        self.parts.probe.data = {"x": [x], "y": [y]}
        self.explored.decode(x, y)

    def _step(self, by: int) -> None:
        """Look at another image of the gallery, or of the suggestions where that is empty."""
        explored = self.explored
        rows = explored.gallery()
        if not len(rows):
            rows = explored.learning.suggestions
        if len(rows):
            at = self.showing.first + self.showing.cursor
            if at >= len(rows) or rows[at] != explored.current:  # the same image may be there more than once
                at = next(iter(np.flatnonzero(rows == explored.current).tolist()), -1 if by > 0 else 0)
            to = min(max(at + by, 0), len(rows) - 1)
            self.showing.cursor = to % SHOWN
            self.showing.first = to - self.showing.cursor
            explored.look_at(int(rows[to]), within=True)
            explored.board.version += 1

    def _turn(self, by: int) -> None:
        """Another page of the gallery."""
        explored = self.explored
        last = max(0, len(explored.gallery()) - 1) // SHOWN * SHOWN
        self.showing.first = min(max(self.showing.first + by * SHOWN, 0), last)
        explored.board.version += 1
        self.showing.draw()

    def _choose_plane(self, kind: str) -> None:
        if kind != self.explored.wanted_plane:
            self.explored.choose_plane(kind)

    def _colour(self, kind: str) -> None:
        self.explored.colouring = kind
        self.explored.board.version += 1

    def _nearest(self, x: float, y: float) -> int | None:
        """The image nearest to a point of the plane, if it is near."""
        unit = self.showing.unit()
        row = int(self.explored.plane.nearest(x, y, unit)[0])
        at = self.explored.plane.points[row]
        apart = math.hypot((float(at[0]) - x) / unit[0], (float(at[1]) - y) / unit[1])
        return row if apart <= NEAR else None

    def _on_move(self, event: Any) -> None:
        if is_number(event.x) and is_number(event.y):
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
        if not (is_number(event.x) and is_number(event.y)):
            return
        x, y = float(event.x), float(event.y)
        if MODES[self.parts.mode.active or 0] == "decode":
            self._decode(x, y)
        elif (row := self._nearest(x, y)) is None:
            explored.select(np.empty(0, np.int64))
        else:
            explored.select(np.array([row]), more=bool(getattr(event, "modifiers", {}).get("shift")))
        self.showing.draw()

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
        self.showing.first = 0
        explored.select(plane.inside(explored.plane.points, xs, ys))
        self.showing.draw()

    def _on_drag(self, event: Any, going: bool) -> None:
        self.dragged = going
        if MODES[self.parts.mode.active or 0] == "decode" and is_number(event.x) and is_number(event.y):
            self._decode(float(event.x), float(event.y))
            self.showing.draw()

    def _on_mode(self, _: str, __: int, active: int) -> None:
        drags: dict[str, Any] = {"lasso": self.parts.lasso, "box": self.parts.box, "move": self.parts.pan}
        self.parts.plot.toolbar.active_drag = drags.get(MODES[active])
        self.explored.board.version += 1

    def _on_view(self, _: str, __: int, active: int) -> None:
        if (view := [*VIEWS][active]) != self.explored.view:
            self.showing.first = 0
            self.explored.look_through(view)
            self.showing.draw()

    def _on_new_class(self, _: str, __: str, name: str) -> None:
        if name.strip():
            self.explored.add_class(name)
            self.showing.draw()

    def _on_tile(self, event: Any, where: str) -> None:
        explored = self.explored
        if not (is_number(event.x) and is_number(event.y)):
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
        elif self.showing.first + place < len(found := explored.gallery()):
            explored.toggle(int(found[self.showing.first + place]))
        self.showing.draw()
