"""Pictures of a model while it trains: which epochs, what is on them, and that they go on where a run does."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentcli as lc
from latentcli.core.errors import OutputError
from latentcli.core.progress import Listener, Listeners
from latentcli.pictures import snapshots
from latentcli.pictures.frames import MOST, Layout, due

SMALL = {"epochs": 3, "batch_size": 16, "held_out": 0.2, "backbone": "mlp", "width": 16, "latent_dim": 3,
         "views": "none", "device": "cpu"}  # fmt: skip


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def images() -> lc.ImageSet:
    return lc.load("digits", classes=["1", "4"]).take(np.arange(90))


def contents(folder="shots") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.mark.parametrize("epochs", [1, 2, 19, 20, 21, 25, 300, 100_000])
def test_at_most_so_many_epochs_are_taken_evenly_the_first_and_the_last_among_them(epochs):
    taken = sorted(due(epochs))
    assert len(taken) == min(epochs, MOST)
    assert (taken[0], taken[-1]) == (1, epochs)
    assert np.ptp(np.diff(taken)) <= 1 if len(taken) > 1 else taken == [1]


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 20, 30), (3, 224, 224), (1, 256, 128)])
def test_each_image_is_on_the_frame_and_on_the_strip_pixel_by_pixel(shape):
    layout, random = Layout(shape), np.random.default_rng(0)
    kinds = ["image", "reconstruction", "sample"]
    of = {epoch: {kind: random.integers(0, 256, (layout.columns, *shape), dtype=np.uint8) for kind in kinds}
          for epoch in (1, 7)}  # fmt: skip
    for pictures in of.values():
        pictures["image"] = of[1]["image"]
    made = {epoch: layout.frame(pictures, f"epoch {epoch}") for epoch, pictures in of.items()}
    assert {frame.size for frame in made.values()} == {layout.size(3)}
    assert 4 <= layout.columns <= 10
    assert layout.size(3)[0] < 1_300

    def holds(picture: Image.Image, image: np.ndarray) -> bool:
        """Whether the image, enlarged, is somewhere on the picture."""
        pixels = np.asarray(picture).reshape(*picture.size[::-1], -1)
        tile = image.transpose(1, 2, 0).repeat(layout.scale, 0).repeat(layout.scale, 1)
        corners = np.argwhere((pixels == tile[0, 0]).all(axis=2))
        height, width = tile.shape[:2]
        return any(np.array_equal(pixels[y : y + height, x : x + width], tile) for y, x in corners)

    strip = layout.strip(made, kinds)
    for epoch, pictures in of.items():
        for kind in kinds:
            for image in pictures[kind][[0, -1]]:
                assert holds(made[epoch], image), (epoch, kind)
                assert holds(strip, image), (epoch, kind)


def test_a_training_leaves_a_picture_of_each_epoch_a_strip_and_a_film(images):
    shots = lc.Snapshots("shots")
    seen = lc.train(images, listener=shots, **SMALL)
    names = ["epoch-00001.png", "epoch-00002.png", "epoch-00003.png", "strip.png", "training.webp"]
    assert sorted(contents()) == names
    assert shots.written == [Path("shots/strip.png"), Path("shots/training.webp")]
    with Image.open("shots/training.webp") as film:
        assert (film.n_frames, film.size) == (3, Image.open("shots/epoch-00001.png").size)
    for number, row in enumerate(seen.history, 1):
        with Image.open(f"shots/epoch-{number:05}.png") as frame:
            assert json.loads(frame.info["latentcli"])["row"] == dict(row)
    first = contents()
    assert lc.train(images, listener=lc.Snapshots("again"), **SMALL).fingerprint == seen.fingerprint
    assert contents("again") == first


class Stopping(Listener):
    """Sends this process a signal after so many steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    def stepped(self, images, loss):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("after", [2, 5, 7, 10])  # of five steps an epoch
def test_a_training_that_was_stopped_goes_on_with_its_pictures(images, after):
    lc.train(images, listener=lc.Snapshots("whole"), **SMALL)
    with pytest.raises(KeyboardInterrupt):
        lc.train(images, state="state", listener=Listeners(lc.Snapshots("shots"), Stopping(after)), **SMALL)
    assert "strip.png" not in (contents() if Path("shots").exists() else {})
    lc.train(images, state="state", listener=lc.Snapshots("shots"), **SMALL)
    assert contents() == contents("whole")


def test_pictures_of_another_training_are_replaced_and_all_else_stays(images):
    lc.train(images, listener=lc.Snapshots("shots"), **{**SMALL, "epochs": 5, "seed": 7})
    Path("shots/epoch-00009.png").write_bytes(b"my own")
    lc.train(images, listener=lc.Snapshots("alone"), **SMALL)
    lc.train(images, listener=lc.Snapshots("shots"), **SMALL)
    assert contents() == contents("alone") | {"epoch-00009.png": b"my own"}


def test_only_pictures_of_this_very_run_are_on_its_strip(images):
    """An earlier run's lie in the folder, and this run had none before it was stopped."""
    lc.train(images, listener=lc.Snapshots("shots"), **{**SMALL, "seed": 7})
    with pytest.raises(KeyboardInterrupt):
        lc.train(images, state="state", listener=Stopping(7), **SMALL)
    lc.train(images, state="state", listener=lc.Snapshots("shots"), **SMALL)
    assert sorted(contents()) == ["epoch-00002.png", "epoch-00003.png", "strip.png", "training.webp"]
    with Image.open("shots/training.webp") as film:
        assert film.n_frames == 2


def test_a_long_training_that_ends_early_has_the_pictures_until_then(images):
    model = lc.train(images, listener=lc.Snapshots("shots"), **{**SMALL, "epochs": 60, "lr": 0.3, "patience": 0.0})
    last = len(model.history)
    assert last < 60
    frames = {int(name[6:11]) for name in contents() if name.startswith("epoch")}
    assert frames == {epoch for epoch in due(60) if epoch <= last}


def test_what_cannot_be_written_is_told_and_the_training_goes_on(images, monkeypatch):
    told = []

    class Told(Listener):
        def unwritten(self, problem):
            told.append(str(problem))

    def full(path):
        raise OutputError(f"cannot write {path}", "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "atomic_write", full)
        model = lc.train(images, listener=Listeners(lc.Snapshots("shots"), Told()), **SMALL)
    assert model.fingerprint == lc.train(images, **SMALL).fingerprint
    assert len(told) == 3
    assert all("No space left" in text for text in told)
    assert contents() == {}


def test_a_folder_that_cannot_be_one_is_refused_before_anything_is_trained():
    Path("file").write_text("")
    with pytest.raises(OutputError, match="file is not a folder"):
        lc.Snapshots("file/shots")


def test_a_prior_leaves_samples_and_a_classifier_of_pixels_nothing(images):
    vqvae = lc.train(images, model="vqvae", codes=8, latent_dim=4, width=16, backbone="conv", epochs=1, device="cpu")
    small = {"width": 16, "layers": 1, "heads": 2, "epochs": 2, "device": "cpu"}
    lc.fit_prior(vqvae.encode(images), vqvae, listener=lc.Snapshots("prior"), **small)
    assert sorted(contents("prior")) == ["epoch-00001.png", "epoch-00002.png", "strip.png", "training.webp"]
    watching = lc.Snapshots("cnn")
    lc.train_cnn(images, listener=watching, width=16, epochs=1, min_steps=0, device="cpu")
    assert watching.written == []
    assert not Path("cnn").exists()
