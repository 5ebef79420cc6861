"""``--snapshots`` and ``--tensorboard`` of the commands that train."""

from pathlib import Path

import pytest
from PIL import Image

import latentcli as lc
from latentcli.pictures import tensorboard

DIGITS = ["digits", "--classes", "1,4", "--device", "cpu", "--seed", 3]


class Writer:
    """Stands in for PyTorch's, which needs the package tensorboard."""

    def __init__(self, folder, purge_step):
        self.file = Path(folder) / f"events.out.tfevents.{purge_step}"
        self.file.touch()

    def __getattr__(self, name):
        return lambda *_, **__: self.file.write_text(f"{self.file.read_text()}{name}\n")


@pytest.fixture
def writer(monkeypatch):
    monkeypatch.setattr(tensorboard, "_summary_writer", lambda: Writer)


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_a_training_that_is_watched_writes_the_same_files_and_python_the_same_pictures(call, tiny, writer):
    few = [*DIGITS, *tiny[:-3], "--epochs", 2]
    assert call("train", *few, "-q").code == 0
    alone = {name: Path(name).read_bytes() for name in ("vae.pth", "gmm_params.pkl")}
    done = call("train", *few, "--snapshots", "shots", "--tensorboard", "events/first", "--json")
    assert done.code == 0, done.err
    seen = ["shots/strip.png", "shots/training.webp", "events/first"]
    assert done.json["written"] == ["vae.pth", "vae.metrics.jsonl", *seen, "gmm_params.pkl"]
    assert {name: Path(name).read_bytes() for name in alone} == alone
    assert Path("events/first/events.out.tfevents.1").read_text().split()[-2:] == ["add_embedding", "close"]
    images = lc.load("digits", classes=["1", "4"])
    lc.train(
        images, backbone="mlp", width=16, latent_dim=4, epochs=2, seed=3, device="cpu",
        listener=lc.Snapshots("of python"),
    )  # fmt: skip
    assert contents("of python") == contents("shots")


def test_an_interrupted_training_goes_on_with_its_pictures(call, tiny, interrupted_after):
    few = [*DIGITS, *tiny[:-3], "--epochs", 3, "-q"]
    assert call("train", *few, "--snapshots", "whole").code == 0
    with interrupted_after(5):
        assert call("train", *few, "--snapshots", "shots").code == 130
    assert call("train", *few, "--snapshots", "shots", "--resume").code == 0
    assert contents("shots") == contents("whole")


def test_a_prior_and_a_cnn_may_be_watched_too(call, writer):
    vqvae = lc.train(
        lc.load("digits", classes=["1", "4"]), model="vqvae", width=16, codes=8, latent_dim=4, epochs=1, device="cpu"
    )
    vqvae.save("vqvae.pth")
    small = ["--set", "width=16", "--set", "layers=1", "--set", "heads=2", "--epochs", 1, "-q"]
    seen = ["--snapshots", "shots", "--tensorboard", "events"]
    assert call("fit-prior", "digits", "vqvae.pth", *DIGITS[1:], *small, *seen).code == 0
    assert sorted(contents("shots")) == ["epoch-00001.png", "strip.png", "training.webp"]
    small = ["--set", "width=16", "--set", "min_steps=0", "--epochs", 1, "--json"]
    done = call("train-cnn", *DIGITS, *small, "--tensorboard", "cnn")
    assert done.json["written"] == ["cnn.pth", "cnn.metrics.jsonl", "cnn"]
    told = Path("cnn/events.out.tfevents.1").read_text().split()
    assert {*told} == {"add_scalar", "flush", "close"}


@pytest.mark.parametrize("option", ["--snapshots", "--tensorboard"])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_read(call, option, writer):
    Path("file").write_text("")
    done = call("train", "no such data", option, "file/inside")
    assert (done.code, "file is not a folder" in done.err) == (6, True), done.err


def test_pictures_would_not_lie_among_the_images(call):
    folder = Path("photos")
    folder.mkdir()
    for number, image in enumerate(lc.load("digits").images[:30, 0]):
        Image.fromarray(image).save(folder / f"{number}.png")
    for inside in ("photos", "photos/shots"):
        done = call("train", "photos", "--snapshots", inside)
        assert (done.code, "its pictures would be read as images" in done.err) == (2, True), done.err
    assert len([*folder.iterdir()]) == 30


def test_without_tensorboard_one_line_says_what_to_install(call, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    done = call("train", *DIGITS, "--tensorboard", "events")
    assert (done.code, done.err.count("\n")) == (2, 3), done.err
    assert done.err.startswith("error: --tensorboard needs the package tensorboard")
    assert "pip install 'latentcli[tensorboard]'" in done.err
    assert not Path("events").exists()
