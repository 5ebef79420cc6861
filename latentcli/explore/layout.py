"""The parts of a window and where they lie: Bokeh's models, which show nothing yet, and do nothing by themselves."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
from bokeh import layouts
from bokeh.models.callbacks import CustomJS
from bokeh.models.css import InlineStyleSheet
from bokeh.models.sources import ColumnDataSource
from bokeh.models.tools import BoxSelectTool, LassoSelectTool, PanTool, WheelZoomTool
from bokeh.models.widgets.buttons import Button
from bokeh.models.widgets.groups import RadioButtonGroup
from bokeh.models.widgets.inputs import Select, TextInput
from bokeh.plotting import figure

from latentcli.explore import drawing
from latentcli.explore.colouring import COLOURINGS
from latentcli.explore.exploration import VIEWS, Exploration
from latentcli.explore.markup import html_of
from latentcli.explore.tiles import mosaic, shown_range

ROWS = 3
"""Of tiles in the gallery."""

WRAPPED: dict[str, Any] = {"sizing_mode": "stretch_width", "styles": {"flex-wrap": "wrap"}}
"""A row that goes on below where the window is narrow."""

NARROW = "@media (max-width: 800px) { :host { flex-wrap: wrap; align-content: flex-start; overflow-y: auto } }"
"""The panels lie below the plane where the window is narrow, and it scrolls."""

GROUP = ".bk-btn-group { flex-wrap: wrap }"

MODES = ["lasso", "box", "move", "decode"]
"""What dragging does."""

KEYS = (
    "digits label · Del no label · u undo · r redo · n next suggestion · arrows look at another · "
    "x take it out, or in · g select the nearest · a select its class · Esc select none · e end of a path · "
    "d decode here · k keep · + − zoom · b whole plane · f fit to all · s save"
)


class Layout:
    """The parts of a window.

    Attributes:
        whole: all of them, as they lie.
        plot: the plane, with the ranges of its axes, its tools, and the sources of what is drawn on it: ``pixels``,
            ``outlines`` of components, the image looked at (``here``), the point that is decoded (``probe``).
        next, gallery: tiles, with the sources of their pixels.
        buttons: by their names.
        classes: where there will be a button for each class.
    """

    def __init__(self, explored: Exploration) -> None:
        self._plane(explored)
        self._panels()
        self.mode = RadioButtonGroup(labels=[*MODES], active=0, name="mode")
        self.planes = _select("plane", explored.planes, explored.plane_kind, "planes", 210)
        self.colouring = _select("colours", COLOURINGS, explored.colouring, "colouring", 240)
        self.views = RadioButtonGroup(
            labels=[*VIEWS.values()], active=0, name="views", stylesheets=[InlineStyleSheet(css=GROUP)]
        )
        self.counted = html_of("counted")
        bar = layouts.row(
            layouts.column(html_of("dragging", "dragging"), self.mode),
            self.planes,
            self.colouring,
            layouts.column(html_of("beside", "&nbsp;"), self._button("whole plane (b)", "whole")),
            self.legend, **WRAPPED,
        )  # fmt: skip
        of_gallery = layouts.row(
            self.views, self._button("◀", "back"), self._button("▶", "on"), self.counted, **WRAPPED
        )
        main = layouts.column(
            bar, self.plot, html_of("next_title", "<b>Label next</b> (n)"), self.next, of_gallery, self.gallery,
            sizing_mode="stretch_both", min_width=320, min_height=640,
        )  # fmt: skip
        self.whole = layouts.row(
            main, self.side, sizing_mode="stretch_both", stylesheets=[InlineStyleSheet(css=NARROW)]
        )

    def _plane(self, explored: Exploration) -> None:
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

    def _panels(self) -> None:
        self.buttons: dict[str, Button] = {}
        self.status = html_of("status")
        self.looked = html_of("looked", height=236)
        self.classes = layouts.row(
            name="classes", width=344, styles={"flex-wrap": "wrap", "max-height": "260px", "overflow-y": "auto"}
        )
        self.new_class = TextInput(placeholder="a new class: its name, Enter", name="new_class", width=330)
        # The window itself empties and leaves it at once: what is typed next is a key again.
        empty = f"setTimeout(() => {{ cb_obj.value = ''; {_leave('INPUT')} }}, 0)"
        self.new_class.js_on_change("value", CustomJS(code=f"if (cb_obj.value != '') {empty}"))
        self.messages = html_of("messages")
        self.side = layouts.column(
            self.status, self.looked, self.classes, self.new_class,
            layouts.row(self._button("no label (Del)", "none"), self._button("undo (u)", "undo"),
                        self._button("redo (r)", "redo")),
            layouts.row(self._button("path from or to here (e)", "end"), self._button("keep (k)", "keep")),
            layouts.row(self._button("fit to all (f)", "fit"), self._button("save (s)", "save")),
            self.messages, html_of("help", f"<p class=muted>{escape(KEYS)}</p>"),
            width=360, sizing_mode="stretch_height", styles={"overflow-y": "auto"}, name="side",
        )  # fmt: skip
        self.legend = html_of("legend", width=150)
        self.next, self.next_source = mosaic("next", 1)
        self.gallery, self.gallery_source = mosaic("gallery", ROWS)

    def _button(self, label: str, name: str) -> Button:
        self.buttons[name] = Button(label=label, name=name)
        return self.buttons[name]


def _select(title: str, options: Mapping[str, str], value: str, name: str, width: int) -> Select:
    """A choice, which is left when it is made: what is typed next is a key again."""
    choices: list[Any] = [*options.items()]
    found = Select(title=title, value=value, options=choices, name=name, width=width)
    found.js_on_change("value", CustomJS(code=_leave("SELECT")))
    return found


def _leave(tag: str) -> str:
    """JavaScript that takes the focus from an element of this kind, if one has it."""
    found = "let a = document.activeElement; while (a?.shadowRoot) a = a.shadowRoot.activeElement"
    return f"{found}; if (a?.tagName == '{tag}') a.blur()"
