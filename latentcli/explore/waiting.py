"""A window of the page before there is anything to see: what is being done."""

from typing import TYPE_CHECKING

from bokeh import layouts
from bokeh.document import Document
from bokeh.events import DocumentReady
from bokeh.models.callbacks import CustomJS
from bokeh.models.widgets.inputs import TextInput
from jinja2 import Template

from latentcli.explore.markup import PERIOD, html_of, put, text_of

if TYPE_CHECKING:
    from latentcli.explore.page import Page
    from latentcli.explore.preparation import Preparation

_LISTEN = """
if (window.exploring) return
window.exploring = true
let pressed = 0
document.addEventListener("keydown", (event) => {
  const on = event.composedPath()[0]
  const name = on.tagName
  if (name == "TEXTAREA" || name == "SELECT" || (name == "INPUT" && on.type != "radio")) {
    if (event.key == "Escape") on.blur()
    return
  }
  if (event.altKey || event.metaKey || (event.ctrlKey && event.key != "z" && event.key != "y")) return
  if (name == "BUTTON" && (event.key == " " || event.key == "Enter")) return
  if (/^(Arrow|Page)/.test(event.key) || event.ctrlKey) event.preventDefault()
  keys.value = `${pressed++} ${event.ctrlKey ? "Ctrl" : ""}${event.key}`
})
"""
"""Tells ``keys`` which key was pressed, unless it was in a field, which Escape leaves."""


_TEMPLATE = Template(
    """{% extends base %}{% block preamble %}<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width">{% endblock %}"""
)


def show(document: Document, state: "Preparation") -> None:
    """Build the document of a window."""
    Window(document, state)


class Window:
    """One window: it says what is being done, and then becomes a ``Page``."""

    def __init__(self, document: Document, state: "Preparation") -> None:
        self.document, self.state = document, state
        self.page: Page | None = None
        document.title = "latentcli explore"
        document.template = _TEMPLATE
        self.waiting = html_of("waiting", "starting …")
        self.keys = TextInput(name="keys", visible=False)
        self.keys.on_change("value", lambda _, __, value: self.press(value.partition(" ")[2]))
        document.js_on_event(DocumentReady, CustomJS(args={"keys": self.keys}, code=_LISTEN))
        self.root = layouts.column(self.waiting, self.keys, sizing_mode="stretch_both", name="root")
        document.add_root(self.root)
        document.add_periodic_callback(self.tick, PERIOD)

    def press(self, key: str) -> None:
        """A key was pressed."""
        if self.page is not None:
            self.page.press(key)

    def tick(self) -> None:
        """Look at what has changed."""
        state = self.state
        if self.page is not None:
            self.page.tick()
        elif state.exploration is not None:
            from latentcli.explore.page import Page

            self.page = Page(self.document, self.root, state.exploration)
        elif state.error is not None:
            put(self.waiting, text=f"<p class=bad>{text_of(state.error)}</p>")
        else:
            count = f" {state.done:,} of {state.total:,}" if state.total else ""
            put(self.waiting, text=f"<p>{text_of(state.doing)}{count} …</p>")
