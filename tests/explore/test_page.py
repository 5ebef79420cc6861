"""The page in a real browser: what a person does, what the page shows, and what is in the files then."""

import re
import shutil
import signal
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentcli as lc
from latentcli.explore.labelling import Labelling

pytest.importorskip("bokeh", reason="the page is made with Bokeh, which is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright, which drives a browser, is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
SECONDS = 40
"""Until something is given up that takes a moment on a machine with nothing else to do."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        try:
            started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no browser here: {str(error).splitlines()[0]}")
        yield started
        started.close()


class Window:
    """A window of a browser that shows the page."""

    def __init__(self, browser: Any, address: str, width: int = 1300, height: int = 900) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self.troubles: list[str] = []
        host = address.split("/")[2]
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: self.troubles.append(f"dialog {dialog.message}"))
        self.page.on(
            "request", lambda each: None if host in each.url or each.url.startswith(("data:", "blob:"))
            else self.troubles.append(f"asked for {each.url}"),
        )  # fmt: skip
        self.page.goto(address)
        self.until("Bokeh.documents[0]?.get_model_by_name('plane')?.inner_width > 0")
        self.until(self._drawn())

    def _drawn(self) -> str:
        return "Bokeh.documents[0].get_model_by_name('pixels').data.w[0] != 1"

    def until(self, expression: str) -> None:
        """Wait for it."""
        self.page.wait_for_function(f"() => window.Bokeh && Bokeh.documents.length && ({expression})",
                                    timeout=1000 * SECONDS, polling=30)  # fmt: skip

    def until_text(self, name: str, text: str) -> None:
        """Wait until a part of the page shows a text."""
        self.page.wait_for_function(
            "([name, text]) => Bokeh.documents[0].get_model_by_name(name).text.includes(text)", arg=[name, text],
            timeout=1000 * SECONDS, polling=30,
        )  # fmt: skip

    def text(self, name: str) -> str:
        """What a part of the page shows, without its markup."""
        found = self.page.evaluate("name => Bokeh.documents[0].get_model_by_name(name).text", name)
        return unescape(re.sub(r"<[^>]+>", " ", found))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the plane is on the screen."""
        return tuple(self.page.evaluate(
            """([x, y]) => {
              const view = Bokeh.index.find_one_by_id ? Bokeh.index.find_one_by_id(
                Bokeh.documents[0].get_model_by_name("plane").id) : null
              const box = view.el.getBoundingClientRect(), frame = view.frame
              return [box.left + frame.x_scale.compute(x), box.top + frame.y_scale.compute(y)]
            }""", [x, y],
        ))  # fmt: skip

    def drag(self, *points: tuple[float, float], steps: int = 3) -> None:
        """Press at the first point of the screen, and let go at the last."""
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point, steps=steps)
        self.page.mouse.up()

    def frame(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the plane on the screen."""
        return tuple(self.page.evaluate(
            """() => {
              const view = Bokeh.index.find_one_by_id(Bokeh.documents[0].get_model_by_name("plane").id)
              const box = view.el.getBoundingClientRect(), frame = view.frame.bbox
              return [box.left + frame.left, box.top + frame.top, frame.width, frame.height]
            }"""
        ))  # fmt: skip

    def lasso(self, left: float, top: float, right: float, bottom: float) -> None:
        """Around a part of the plane, in fractions of it."""
        x, y, width, height = self.frame()
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top + 0.01)]
        self.drag(*[(x + width * across, y + height * down) for across, down in corners])

    def new_class(self, name: str) -> None:
        field = self.page.get_by_placeholder("a new class")
        field.fill(name)
        field.press("Enter")


def labels_of(path: Path) -> dict[str, str]:
    """The labels in a file, as ``--labels`` takes them."""
    from latentcli.formats.csv_text import read_table, unescape_formula

    rows = read_table(path, lambda cells: cells == ["File", "Label"]).rows
    return {unescape_formula(cells[0]): unescape_formula(cells[1]) for _, cells in rows}


def wait_for(found: Any) -> Any:
    """What a function returns, as soon as that is true."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if value := found():
            return value
        time.sleep(0.03)
    raise AssertionError("waited in vain")


@pytest.mark.slow
def test_a_person_labels_with_pointer_and_keys(browser, photos, served, hostile, tmp_path):
    labels, graph = tmp_path / "labels.csv", tmp_path / "graph.npz"
    with served(photos, "photos", "vae.pth", "--labels", str(labels), "-o", str(graph)) as page:
        window = Window(browser, page.address)
        # The pointer over a point shows its image; names of files are text.
        x, y, width, height = window.frame()
        for step in range(40):
            window.page.mouse.move(x + width * (0.3 + step / 100), y + height / 2)
        window.until_text("looked", "png")
        assert "no label" in window.text("looked")
        # A lasso selects, a key labels, and it is in the file at once.
        window.new_class("one")
        window.new_class("<script>alert(2)</script>")
        window.until("Bokeh.documents[0].get_model_by_name('classes').children.length == 2")
        window.lasso(0.05, 0.05, 0.45, 0.95)
        window.until_text("status", "selected")
        window.page.keyboard.press("1")
        first = wait_for(lambda: labels.exists() and labels_of(labels))
        assert {*first.values()} == {"one"}
        window.lasso(0.6, 0.05, 0.95, 0.95)
        wait_for(lambda: f"{len(first):,} with a label" in window.text("status"))
        wait_for(lambda: f"{len(first):,} selected" not in window.text("status"))
        window.page.keyboard.press("2")
        window.until_text("messages", "changed class")
        both = labels_of(labels)
        assert {*both.values()} == {"one", "<script>alert(2)</script>"}
        window.page.get_by_text("2 <script>alert(2)</script>").wait_for()
        # Undone and done again.
        window.page.keyboard.press("u")
        wait_for(lambda: labels_of(labels) == first)
        window.page.keyboard.press("r")
        wait_for(lambda: labels_of(labels) == both)
        # What to label next; a second window sees it, as narrow as a phone's.
        other = Window(browser, page.address, 390, 844)
        wait_for(lambda: f"{len(both):,} with a label" in other.text("status"))
        left, top, across, down = other.frame()
        assert across > 250
        assert down > 150
        assert left + across <= 390 == other.page.evaluate("document.documentElement.scrollWidth")
        save = other.page.get_by_text("save (s)").bounding_box()
        assert save["y"] > top + down  # below, and it scrolls
        assert save["x"] + save["width"] < 390
        # A choice that is made takes no keys any more.
        window.page.locator("select").nth(1).focus()
        window.page.locator("select").nth(1).select_option(index=1)
        window.page.keyboard.press("n")
        window.until_text("status", "1 selected")
        window.page.keyboard.press("1")
        wait_for(lambda: len(labels_of(labels)) == len(both) + 1)
        wait_for(lambda: f"{len(both) + 1:,} with a label" in other.text("status"))
        # Dragged over the plane, points are decoded as they pass; what is decoded is kept.
        window.page.get_by_text("decode", exact=True).click()
        window.drag((x + width / 2, y + height / 2), (x + width * 0.7, y + height * 0.4), steps=12)
        window.until_text("looked", "decoded here")
        window.page.keyboard.press("k")
        window.until_text("messages", "hybrids.npz holds 1 hybrid")
        # Saved.
        window.page.keyboard.press("s")
        window.until_text("messages", "saved: ")
        saved = lc.load_classifier(graph, lc.load_model(photos / "vae.pth"))
        assert {*saved.classes_.tolist()} == {*both.values()}
        assert lc.read_hybrids(tmp_path / "hybrids.npz")["soft_labels"].shape == (1, 2)
        assert (tmp_path / "plane.png").exists()
        # Hostile names are shown as they are, and nothing of them was run or loaded from elsewhere.
        window.page.reload()
        window.until(window._drawn())
        assert f"{len(both) + 1:,} with a label" in window.text("status")
        assert window.troubles == other.troubles == []
        other.page.close()
        window.page.close()
        found = page.hang_up()
    assert found["labelled"] == len(both) + 1 == len(labels_of(labels))
    again = lc.load(photos / "photos", labels=labels)
    assert again.labels.known.sum() == len(both) + 1
    assert {*hostile} <= {*again.files}


@pytest.mark.slow
def test_keys_alone_suffice_and_a_killed_server_loses_nothing(browser, photos, served, tmp_path):
    labels = tmp_path / "labels.csv"
    with served(photos, "photos", "vae.pth", "--labels", str(labels)) as page:
        window = Window(browser, page.address)
        for name in ("a", "b"):
            field = window.page.get_by_placeholder("a new class")
            field.focus()
            window.page.keyboard.type(name)
            window.page.keyboard.press("Enter")
        window.until("Bokeh.documents[0].get_model_by_name('classes').children.length == 2")
        window.page.keyboard.press("Tab")
        for count, key in enumerate("1212", 1):
            window.page.keyboard.press("n")
            window.until_text("status", "1 selected")
            window.page.keyboard.press(key)
            wait_for(lambda count=count: labels.exists() and len(labels_of(labels)) == count)
        window.page.keyboard.press("g")  # the nearest, all but one
        window.until_text("status", "36 selected")
        window.page.keyboard.press("ArrowRight")
        window.page.keyboard.press("x")
        window.until_text("status", "35 selected")
        window.page.keyboard.press("1")
        page.process.send_signal(signal.SIGKILL)  # whatever of it was done
        page.process.wait()
        window.page.close()
    found = labels_of(labels)  # whole
    assert len(found) in (4, 39)
    again = Labelling(lc.load(photos / "photos", no_classes=True), labels)
    assert int(again.labels.known.sum()) == len(found)


@pytest.mark.slow
def test_a_hundred_thousand_points_are_drawn_turned_and_labelled(browser, photos, digits, served, tmp_path):
    labels, random = tmp_path / "labels.csv", np.random.default_rng(0)
    noisy = digits.images[random.integers(len(digits), size=100_000)] // 2
    np.save(tmp_path / "many.npy", (noisy + random.integers(0, 128, size=noisy.shape)).astype(np.uint8))
    with served(tmp_path, "many.npy", str(photos / "vae.pth"), "--labels", str(labels)) as page:
        window = Window(browser, page.address)
        assert "100,000 images" in window.text("status")
        x, y, width, height = window.frame()
        window.page.mouse.move(x + width / 2, y + height / 2)
        window.until_text("looked", "no label")
        across = "(r => r.end - r.start)(Bokeh.documents[0].get_model_by_name('plane').x_range)"
        before = window.page.evaluate(across)
        window.page.mouse.wheel(0, -300)
        window.until(f"{across} < 0.9 * {before}")
        window.until(f"Math.abs(Bokeh.documents[0].get_model_by_name('pixels').data.w[0] - {across}) < 1e-9")
        window.new_class("one")
        window.until("Bokeh.documents[0].get_model_by_name('classes').children.length == 1")
        window.lasso(0.2, 0.2, 0.8, 0.8)
        window.until_text("status", "selected")
        selected = int(re.search(r"([\d,]+) selected", window.text("status"))[1].replace(",", ""))
        window.page.keyboard.press("1")
        wait_for(lambda: f"{selected:,} with a label" in window.text("status"))
        assert window.troubles == []
        window.page.close()
    assert 1_000 < selected < 100_000
    assert {*labels_of(labels).values()} == {"one"}
    assert len(labels_of(labels)) == selected
