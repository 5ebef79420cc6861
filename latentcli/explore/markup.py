"""Texts of the page as HTML: names of files and classes stand in it as text alone."""

from html import escape
from typing import Any

from bokeh.models.css import InlineStyleSheet
from bokeh.models.widgets.markups import Div

from latentcli.core.errors import printable

PERIOD = 60
"""Milliseconds from one look at what has changed to the next."""

_STYLE = """
:host { font: 13px/1.4 system-ui, sans-serif; color: #222; }
.bad { color: #a01; } .muted { color: #666; }
img { image-rendering: pixelated; border: 1px solid #ccc; margin-right: 6px; }
.bar { display: inline-block; height: 9px; vertical-align: middle; margin-right: 4px; }
.chip { display: inline-block; width: 11px; height: 11px; margin: 0 3px 0 8px; }
.file { overflow-wrap: anywhere; } .line { margin: 2px 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td { padding: 0 6px 0 0; }
"""


def html_of(name: str, text: str = "", **more: Any) -> Div:
    """HTML, in which TeX between dollar signs is text, too."""
    return Div(text=text, name=name, disable_math=True, stylesheets=[InlineStyleSheet(css=_STYLE)], **more)


def text_of(value: object) -> str:
    """A text of a user, as HTML that shows it: one line, unprintable characters escaped."""
    return f"<bdi>{escape(printable(str(value)))}</bdi>"


def put(model: Any, **values: Any) -> None:
    """Set what is not so already: nothing else crosses the wire."""
    for name, value in values.items():
        if getattr(model, name) != value:
            setattr(model, name, value)
