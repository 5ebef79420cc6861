"""How fast the page of ``explore`` is, in a headless browser: run by ``python tests/benchmarks/page.py COUNT``.

Points are drawn from ten Gaussians in 32 dimensions; each image is the same one, and the model knows nothing, since
neither changes what is measured. What is told is the median of five.
"""

import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

import latentcli as lc
from latentcli.core.progress import Progress, silent
from latentcli.explore import serving
from latentcli.explore.exploration import Exploration
from latentcli.explore.fitting import Fitting
from latentcli.explore.labelling import Labelling
from latentcli.explore.material import Material

DIMENSIONS, TIMES = 32, 5
MODEL = "Bokeh.documents[0].get_model_by_name('{}')"
SHARP = (
    f"() => {{ const r = {MODEL.format('plane')}.x_range, w = {MODEL.format('pixels')}.data.w[0];"
    " return Math.abs(r.end - r.start - window.before) > 1e-9 && Math.abs(w - (r.end - r.start)) < 1e-9 }"
)


def prepared(count: int, folder: Path) -> Callable[[Progress], Any]:
    """So many points, to be explored."""
    digits = lc.load("digits")
    vae = lc.train(digits, backbone="mlp", width=64, latent_dim=DIMENSIONS, epochs=1)
    random = np.random.default_rng(0)
    centres = random.normal(size=(10, DIMENSIONS)) * 2
    points = (centres[random.integers(10, size=count)] + random.normal(size=(count, DIMENSIONS))).astype(np.float32)
    images = lc.ImageSet(np.broadcast_to(digits.images[:1], (count, *digits.shape)))
    latents = lc.Latents({"mu": points, "logvar": np.zeros_like(points)}, vae.fingerprint)

    @contextmanager
    def prepare(_: Progress) -> Iterator[Exploration]:
        labelling = Labelling(images, folder / "labels.csv")
        yield Exploration(Material(images, vae, latents, Fitting(latents)), labelling, folder / "graph.npz")

    return prepare


def measure(page: Any, address: str) -> dict[str, float]:
    """Seconds by what a person waits for."""

    def wait(expression: str, **more: Any) -> None:
        page.wait_for_function(expression, polling=5, timeout=600_000, **more)

    def median(act: Callable[[int], None], until: str, before: str) -> float:
        seconds = []
        for turn in range(TIMES):
            page.evaluate(f"() => {{ window.before = {before} }}")
            began = time.perf_counter()
            act(turn)
            wait(until)
            seconds.append(time.perf_counter() - began)
            time.sleep(0.5)
        return statistics.median(seconds)

    began = time.perf_counter()
    page.goto(address)
    wait(f"() => window.Bokeh && Bokeh.documents.length && {MODEL.format('pixels')}?.data.w[0] > 1")
    found = {"usable": time.perf_counter() - began}
    page.mouse.move(500, 300)
    width = f"{MODEL.format('plane')}.x_range.end - {MODEL.format('plane')}.x_range.start"
    found["sharp after a wheel"] = median(lambda _: page.mouse.wheel(0, -200), SHARP, width)
    page.keyboard.press("b")
    time.sleep(1)

    def lasso(turn: int) -> None:
        page.mouse.move(300 + 20 * turn, 200)
        page.mouse.down()
        for x, y in ((600, 210), (600, 400), (300, 400), (300, 210)):
            page.mouse.move(x + 20 * turn, y, steps=3)
        page.mouse.up()

    image = f"{MODEL.format('pixels')}.data.image[0]"
    found["lasso, drawn and highlighted"] = median(lasso, f"() => {image} !== window.before", image)
    looked = f"{MODEL.format('looked')}.text"
    hover: Callable[[int], None] = lambda turn: page.mouse.move(430 + 21 * turn, 280 + 7 * turn)  # noqa: E731
    found["image under the pointer"] = median(hover, f"() => {looked} !== window.before", looked)
    found["megabytes of the browser's heap"] = page.evaluate("() => performance.memory.usedJSHeapSize / 1e6")
    page.get_by_text("decode", exact=True).click()
    page.evaluate(
        f"() => {{ window.n = 0; {MODEL.format('looked')}.properties.text.change.connect(() => window.n++) }}"
    )
    page.mouse.move(400, 300)
    page.mouse.down()
    began = time.perf_counter()
    for step in range(100):
        page.mouse.move(400 + 2 * step, 300 + step)
        time.sleep(0.01)
    found["images decoded a second"] = page.evaluate("() => window.n") / (time.perf_counter() - began)
    page.mouse.up()
    return found


def main(count: int) -> None:
    """Serve so many points, measure, and print."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        told: list[str] = []
        how = {"no_browser": True, "progress": silent, "tell": told.append}
        served = threading.Thread(
            target=_serving, args=(prepared(count, Path(folder)), Path(folder) / "labels.csv", how), daemon=True
        )
        served.start()
        while not told:
            time.sleep(0.05)
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        for name, value in measure(page, told[0].split()[2]).items():
            print(f"{name:<34} {value:.2f}")
        browser.close()


def _serving(prepare: Any, labels: Path, how: dict[str, Any]) -> None:
    import asyncio

    asyncio.set_event_loop(asyncio.new_event_loop())
    serving.run(prepare, labels, **how)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
