"""What TensorBoard is told of a training, by a stand-in for its writer and, where it is installed, read back by it."""

import sys
from pathlib import Path

import numpy as np
import pytest

import latentcli as lc
from latentcli.core.errors import OutputError, UsageError
from latentcli.core.progress import Listener, Listeners
from latentcli.pictures import tensorboard

SMALL = {"epochs": 3, "batch_size": 16, "held_out": 0.2, "backbone": "mlp", "width": 16, "latent_dim": 3,
         "views": "none", "device": "cpu"}  # fmt: skip


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def images() -> lc.ImageSet:
    return lc.load("digits", classes=["1", "4"]).take(np.arange(90))


class Writer:
    """Stands in for PyTorch's: keeps what it is told."""

    made: "list[Writer]"

    def __init__(self, folder, purge_step):
        self.purge_step, self.told = purge_step, []
        (Path(folder) / f"events.out.tfevents.{len(self.made)}").touch()
        self.made.append(self)

    def __getattr__(self, name):
        return lambda *arguments, **named: self.told.append((name, *arguments))

    def of(self, name):
        return [each[1:] for each in self.told if each[0] == name]


@pytest.fixture
def writers(monkeypatch) -> list[Writer]:
    monkeypatch.setattr(Writer, "made", [], raising=False)
    monkeypatch.setattr(tensorboard, "_summary_writer", lambda: Writer)
    return Writer.made


def test_it_is_told_losses_pictures_and_latents(images, writers):
    watching = lc.TensorBoard("events")
    model = lc.train(images, listener=watching, **SMALL)
    assert model.fingerprint == lc.train(images, **SMALL).fingerprint
    (writer,) = writers
    scalars = {(tag, step): value for tag, value, step in writer.of("add_scalar")}
    for row in model.history:
        step = int(row["epoch"])
        assert scalars["loss/train", step] == row["loss"]
        assert scalars["loss/val", step] == row["val_loss"]
        assert scalars["lr", step] == row["lr"]
        assert len(row) - 1 == sum(1 for _, each in scalars if each == step)
    assert [(tag, step) for tag, _, step in writer.of("add_image")] == [("pictures", step) for step in (1, 2, 3)]
    assert all(picture.ndim == 3 and picture.dtype == np.uint8 for _, picture, _ in writer.of("add_image"))
    ((points, names, thumbs, step, tag),) = writer.of("add_embedding")
    assert (step, tag, points.shape, tuple(thumbs.shape)) == (3, "latents", (18, 3), (18, 1, 8, 8))
    assert {*names} == {"1", "4"}
    assert [each[0] for each in writer.told][-1] == "close"
    assert watching.written == [Path("events")]


class Stopping(Listener):
    def epoch_ended(self, row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt


def test_a_training_that_is_resumed_goes_on_with_its_curves_and_a_new_one_hides_others(images, writers):
    often = {**SMALL, "save_every": 0.0}
    with pytest.raises(KeyboardInterrupt):
        lc.train(images, state="state", listener=Listeners(lc.TensorBoard("events"), Stopping()), **often)
    lc.train(images, state="state", listener=lc.TensorBoard("events"), **often)
    lc.train(images, listener=lc.TensorBoard("events"), **often)
    first, resumed, new = writers
    assert first.purge_step == new.purge_step == 1
    assert resumed.purge_step in (2, 3)
    steps = [{step for _, _, step in writer.of("add_scalar")} for writer in writers]
    assert steps == [{1, 2}, {*range(resumed.purge_step, 4)}, {1, 2, 3}]


def test_where_there_are_no_events_yet_a_resumed_training_tells_all_epochs(images, writers):
    with pytest.raises(KeyboardInterrupt):
        lc.train(images, state="state", listener=Stopping(), save_every=0.0, **SMALL)
    lc.train(images, state="state", listener=lc.TensorBoard("events"), save_every=0.0, **SMALL)
    assert {step for _, _, step in writers[0].of("add_scalar")} == {1, 2, 3}


def test_a_writer_that_fails_is_given_up_and_told_once(images, writers, monkeypatch):
    told = []

    class Told(Listener):
        def unwritten(self, problem):
            told.append(str(problem))

    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "flush", full, raising=False)
    model = lc.train(images, listener=Listeners(lc.TensorBoard("events"), Told()), **SMALL)
    assert len(model.history) == 3
    assert len(told) == 1
    assert "No space left" in told[0]


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(UsageError, match=r"not installed\n.*pip install 'latentcli\[tensorboard\]'"):
        lc.TensorBoard("events")


def test_a_folder_that_cannot_be_one_is_refused(writers):
    Path("file").write_text("")
    with pytest.raises(OutputError, match="file is not a folder"):
        lc.TensorBoard("file")


@pytest.mark.parametrize(("shape", "thumb"), [((1, 28, 28), (1, 28, 28)), ((3, 256, 130), (3, 64, 64))])
def test_images_for_the_projector_are_small_squares(shape, thumb):
    images = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    small = tensorboard._thumbs(images)
    assert small.shape == (4, *thumb)
    assert small.dtype == np.float32
    np.testing.assert_array_equal(small[:, :, 0, 0], images[:, :, 0, 0].astype(np.float32) / 255)


def test_tensorboard_itself_reads_it_all_back(images, capsys):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'latentcli[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for epochs in (5, 4):  # the second hides the first, whose last epoch it does not reach
        model = lc.train(images, listener=lc.TensorBoard("events"), **{**SMALL, "epochs": epochs})
    assert capsys.readouterr().out == ""
    events = EventAccumulator("events", size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    shown = [(event.step, np.float32(event.value)) for event in events.Scalars("loss/train")]
    assert shown == [(int(row["epoch"]), np.float32(row["loss"])) for row in model.history]
    assert [event.step for event in events.Images("pictures")] == [1, 2, 3, 4]
    config = Path("events/projector_config.pbtxt").read_text()
    assert 'tensor_path: "00004/latents/tensors.tsv"' in config
    assert len(Path("events/00004/latents/tensors.tsv").read_text().splitlines()) == 18
    assert {*Path("events/00004/latents/metadata.tsv").read_text().split()} == {"1", "4"}
