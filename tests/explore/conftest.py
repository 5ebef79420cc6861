"""Something small to explore: handwritten digits, a model that is trained in a second, and their latents."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentcli as lc
from latentcli.explore import labelling
from latentcli.explore.exploration import Exploration
from latentcli.explore.labelling import Labelling
from latentcli.explore.material import Material, material


@pytest.fixture(autouse=True)
def changes_are_whole_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another program changes in the labels is not waited for to settle, where a test is not of that."""
    monkeypatch.setattr(labelling, "SETTLED", 0)


@pytest.fixture(scope="session")
def digits() -> lc.ImageSet:
    """Digits 1, 4 and 8, without labels."""
    return lc.load("digits", classes=["1", "4", "8"]).unlabelled()


@pytest.fixture(scope="session")
def truth() -> np.ndarray:
    """What they are."""
    return lc.load("digits", classes=["1", "4", "8"]).labels.texts


@pytest.fixture(scope="session")
def vae(digits) -> lc.TrainedModel:
    return lc.train(digits, backbone="mlp", width=128, latent_dim=8, batch_size=32, epochs=20, seed=0)


@pytest.fixture(scope="session")
def prepared(digits, vae) -> Material:
    return material(digits, vae)


@pytest.fixture
def exploration(prepared, tmp_path) -> Exploration:
    """Work that goes on beside it is done when it is asked for: ``exploration.jobs.finish()``."""
    explored = Exploration(prepared, Labelling(prepared.images, tmp_path / "labels.csv"), tmp_path / "graph.npz")
    yield explored
    explored.jobs.close()


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path


HOSTILE = ["<img src=x onerror=alert(1)>.png", "quote'\".png", "\u202egnp.thgir.png", "$$x^2$$.png", "new\nline.png"]


@pytest.fixture(scope="session")
def photos(tmp_path_factory, digits, truth, vae) -> Path:
    """A folder to work in: pictures of digits, some of them of hostile names, and a model of them."""
    where = tmp_path_factory.mktemp("explored")
    (where / "photos").mkdir()
    for row, image in enumerate(digits.images):
        name = HOSTILE[row] if row < len(HOSTILE) else f"{row:04d}-{truth[row]}.png"
        Image.fromarray(image[0]).save(where / "photos" / name)
    vae.save(where / "vae.pth")
    return where


class Served:
    """A page of a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        began = time.monotonic()
        self.told = process.stderr.readline()
        self.seconds = time.monotonic() - began
        found = re.search(r"http://(127\.0\.0\.1):(\d+)(/[\w-]+/)", self.told)
        assert found, self.told + process.stderr.read()
        self.address, self.port, self.path = found[0], int(found[2]), found[3]

    def status(self, path: str | None = None, **headers: str) -> int:
        """The status of a request of its page, or of another path."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest("GET", self.path if path is None else path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        return connection.getresponse().status

    def hang_up(self) -> dict:
        """Close the terminal, of which a process may hear more than once; the result that it prints."""
        for _ in range(3):
            self.process.send_signal(signal.SIGHUP)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        assert "Traceback" not in err, err
        return json.loads(out)


def heeding() -> None:
    """Heed signals: what a shell runs in the background ignores Ctrl-C, and so does all that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Served]:
    """``latentcli explore``, in a folder; killed at the end."""
    command = [sys.executable, "-m", "latentcli", "explore", *arguments, "--no-browser", "--json"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeding
    )  # fmt: skip
    try:
        yield Served(process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def served() -> Callable[..., AbstractContextManager[Served]]:
    """``serving``, for tests."""
    return serving


@pytest.fixture(scope="session")
def hostile() -> list[str]:
    """Names of files that are text, whatever they look like."""
    return HOSTILE
