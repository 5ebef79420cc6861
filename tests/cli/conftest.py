"""A command line to call, and a small trained model to call it with."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import latentcli.cli
from latentcli import data
from latentcli.classifiers import comparing
from latentcli.cli.app import run
from latentcli.training import resumable

FAST = ["--backbone", "mlp", "--set", "width=128", "--latent-dim", "8", "--batch-size", "32", "--epochs", "30", "-q"]
"""Options of a training that is over in a second or two and still tells the classes apart."""


TINY = ["--backbone", "mlp", "--set", "width=16", "--latent-dim", "4", "--epochs", "1", "-q"]
"""Options of a training that is over at once and learns next to nothing."""


@pytest.fixture
def tiny() -> list[str]:
    """``TINY``, for tests."""
    return TINY


@pytest.fixture
def fast() -> list[str]:
    """``FAST``, for tests."""
    return FAST


@pytest.fixture(scope="session", autouse=True)
def built_once() -> Iterator[None]:
    """Typer builds all commands anew for each call, which takes longer than many a call; here it does so once."""
    assert latentcli.cli.app is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(run.__globals__, "app", typer.main.get_command(run.__globals__["app"]))
        yield


@contextmanager
def comparing_nothing() -> Iterator[None]:
    """What ``train`` compares classifiers with takes longer than many a training, and has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "compare_classifiers", lambda *_, **__: {})
        yield


@pytest.fixture(scope="module", autouse=True)
def compare_classifiers() -> Iterator[Callable[..., dict[str, float]]]:
    """Nothing is compared here; a test in which it shall be puts back what this is."""
    real = comparing.compare_classifiers
    with comparing_nothing():
        yield real


@dataclass(frozen=True)
class Outcome:
    """What a call came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


Call = Callable[..., Outcome]


@pytest.fixture
def call(capsys, monkeypatch, tmp_path) -> Call:
    """``latentcli`` in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def calling(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(end.value.code or 0), captured.out, captured.err)

    return calling


@pytest.fixture
def interrupted_after(monkeypatch):
    """A context in which a training of this process is stopped after so many steps, as if SIGINT had come."""

    @contextmanager
    def interrupted(steps: int) -> Iterator[None]:
        left = iter(range(steps - 1, -1, -1))
        with monkeypatch.context() as patch:
            patch.setattr(resumable, "stop_requests", lambda: nullcontext(lambda: next(left) == 0))
            yield

    return interrupted


@dataclass(frozen=True)
class Trained:
    """Files of one short training on scikit-learn's digits 1, 4 and 8."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        return self.folder / {"vae": "vae.pth", "gmm": "gmm_params.pkl", "train": "train.npz", "test": "test.npz"}[name]


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Trained:
    """A model and a mixture, with the arrays they were trained and can be tested on."""
    folder = tmp_path_factory.mktemp("trained")
    for split in ("train", "test"):
        images = data.load("digits", split=split, classes=["1", "4", "8"])
        labels = np.array([1, 4, 8])[images.labels.codes]
        np.savez(folder / f"{split}.npz", data=images.images[:, 0], labels=labels)
    files = ["-o", folder / "vae.pth", "--gmm", folder / "gmm_params.pkl"]
    with comparing_nothing(), pytest.raises(SystemExit) as end:
        run([str(part) for part in ["train", folder / "train.npz", *files, "--labels-per-class", 5, *FAST]])
    assert end.value.code == 0
    return Trained(folder)
