"""VAL, labelled images beside DATA: which of them count, and how they are read."""

import csv
import pickle
from pathlib import Path
from tempfile import TemporaryFile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from latentcli.artifacts import checkpoint
from latentcli.core import growing


@pytest.fixture
def folders(trained, tmp_path) -> Path:
    """Folders data and val, each with a sub-folder of five images a class and a file in it that cannot be read."""
    digits = np.load(trained.train)
    for folder, first in (("data", 0), ("val", 5)):
        for label in (1, 4, 8):
            (tmp_path / folder / str(label)).mkdir(parents=True)
            for row in np.flatnonzero(digits["labels"] == label)[first : first + 5]:
                Image.fromarray(digits["data"][row]).save(tmp_path / folder / str(label) / f"{row}.png")
        (tmp_path / folder / "1" / f"broken_{folder}.png").write_bytes(b"\x89PNG broken")
    return tmp_path


TRAIN = ["--image-size", 8]
CALLS = {
    "train": ["train", "data", "val", *TRAIN, "--backbone", "mlp", "--set", "width=16", "--epochs", 1],
    "train-cnn": ["train-cnn", "data", "val", *TRAIN, "--set", "width=16", "--epochs", 1],
    "fit-gmm": ["fit-gmm", "data", "VAE", "--val", "val"],
    "fit-graph": ["fit-graph", "data", "VAE", "--val", "val"],
    "fit-probe": ["fit-probe", "data", "VAE", "--val", "val", "--probe", "knn"],
}
WRITES = {
    "train": "gmm_params.pkl", "train-cnn": "cnn.pth", "fit-gmm": "gmm_params.pkl", "fit-graph": "graph.npz",
    "fit-probe": "probe.pth",
}  # fmt: skip
commands = pytest.mark.parametrize("command", CALLS)


def call_of(command: str, trained) -> list[object]:
    return [trained.vae if part == "VAE" else part for part in CALLS[command]]


@commands
def test_unreadable_files_of_both_are_listed_apart(call, trained, folders, command):
    done = call(*call_of(command, trained), "--max-bad", 1)
    assert done.code == 0, done.err
    for name, unreadable in (("bad_files.csv", "1/broken_data.png"), ("bad_files_val.csv", "1/broken_val.png")):
        with Path(name).open(newline="") as file:
            assert [row["File"] for row in csv.DictReader(file)] == [unreadable]
        assert f"see {name}" in done.err


@commands
def test_as_many_unreadable_files_of_val_are_forgiven_as_of_data(call, trained, folders, command):
    (folders / "data/1/broken_data.png").unlink()
    done = call(*call_of(command, trained), "--max-bad", 0)
    assert (done.code, "broken_val.png" in done.err or "val" in done.err) == (3, True), done.err
    assert not Path(WRITES[command]).exists()


@commands
def test_the_classes_that_are_asked_for_are_those_of_val_too(call, trained, folders, command):
    done = call(*call_of(command, trained), "--max-bad", 1, "--classes", "8,1", "--json", "-q")
    assert done.code == 0, done.err
    if command in ("train", "fit-gmm"):
        assert list(pickle.loads(Path("gmm_params.pkl").read_bytes())["classes"]) == ["8", "1"]
    else:
        assert done.json["classes"] == ["8", "1"]


def test_val_of_other_classes_alone_is_refused(call, trained, folders):
    (folders / "val/1").rename(folders / "val/9")
    done = call("fit-gmm", "data", trained.vae, "--val", "val", "--classes", "1,4", "--max-bad", 1)
    assert (done.code, "no class '1'" in done.err) == (3, True), done.err


@pytest.fixture
def latents_of_two_models(call, trained, tiny) -> None:
    """a.npz of one checkpoint and b.npz of another, whose latents have the same shape."""
    assert call("train", trained.train, "-o", "other.pth", *tiny, "--latent-dim", 8).code == 0
    assert checkpoint.read(Path("other.pth")).fingerprint != checkpoint.read(trained.vae).fingerprint
    assert call("encode", trained.train, trained.vae, "-o", "a.npz", "-q").code == 0
    assert call("encode", trained.test, "other.pth", "-o", "b.npz", "-q").code == 0
    Path("gmm_params.pkl").unlink()


@pytest.mark.parametrize("command", ["fit-gmm", "fit-graph", "fit-probe"])
def test_latents_of_two_checkpoints_are_never_mixed(call, trained, latents_of_two_models, command):
    for given in (["a.npz"], ["a.npz", trained.vae], ["a.npz", "other.pth"]):
        done = call(command, *given, "--val", "b.npz")
        assert (done.code, "checkpoint" in done.err) == (4, True), (given, done.err)
        assert len(done.err.splitlines()) <= 3
        assert not Path("gmm_params.pkl").exists()
        assert not Path("probe.pth").exists()


@pytest.mark.parametrize("command", ["fit-gmm", "fit-graph", "fit-probe"])
def test_latents_that_wait_on_the_disk_are_fitted_to_as_those_of_memory(call, trained, folders, command, monkeypatch):
    assert call(*call_of(command, trained), "--max-bad", 1).code == 0
    expected = Path(WRITES[command]).read_bytes()
    files = []

    def temporary(prefix):
        files.append(prefix)
        return TemporaryFile()

    monkeypatch.setattr(growing, "COPIED", 0)
    monkeypatch.setattr(growing, "tempfile", SimpleNamespace(TemporaryFile=temporary))
    done = call(*call_of(command, trained), "--max-bad", 1)
    assert (done.code, Path(WRITES[command]).read_bytes()) == (0, expected), done.err
    assert len(files) >= 3  # of the data, of the validation images, and both one behind the other
