"""A checkpoint gives the model back to its last bit, in the same bytes, and anything else is refused."""

import io
import random
import subprocess
import sys
import zipfile
from dataclasses import asdict, replace

import pytest
import torch

from latentcli.artifacts import checkpoint
from latentcli.core.errors import ModelFileError, OutputError
from latentcli.formats import torch_zip
from latentcli.formats.schemas import CHECKPOINT, TRAINING_STATE, fingerprint
from latentcli.models import FAMILIES, create
from latentcli.models.cnn import CNNConfig
from latentcli.models.trained import TrainedModel

SHAPE = (1, 8, 8)
MISFIT = "unknown|cannot be built|more than 10⁹ parameters|weights are not those of the model"
"""What is said of entries that are each as they should be, and do not fit each other."""


def small_model(seed=0):
    torch.manual_seed(seed)
    family = FAMILIES["vae"]
    return family.of(family.Config(image_shape=SHAPE, width=8, latent_dim=2)).eval()


def trained(network=None, class_names=("1", "é")):
    training = {
        "seed": 0,
        "history": [{"epoch": 1.0, "loss": float("nan")}],
        "data": {"name": "digits"},
        "epochs": (1, None),
    }
    return TrainedModel("vae", network or small_model(), class_names, training)


def small_classifier():
    return create("cnn", CNNConfig(SHAPE, classes=2, width=8), seed=0).eval()


def trained_classifier():
    return replace(trained(small_classifier()), family="cnn")


def forge(path, model, **changes):
    """Write a checkpoint with other entries than the model's, and a fingerprint that fits them."""
    CHECKPOINT.write(path, model.entries() | changes)


def read_state(path):
    return TRAINING_STATE.read(path, "")["state"]


def write_state(path, state):
    TRAINING_STATE.write(path, {"state": state})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "vae.pth"


def test_the_model_comes_back(path):
    model = small_model()
    checkpoint.write(path, trained(model))
    loaded = checkpoint.read(path)
    again = loaded.network
    images = torch.rand(3, *SHAPE)
    with torch.no_grad():
        assert torch.equal(again.encode(images).flat, model.encode(images).flat)
        assert torch.equal(again.decode(model.encode(images).flat), model.decode(model.encode(images).flat))
    assert (loaded.image_shape, loaded.class_names, loaded.name) == (SHAPE, ("1", "é"), str(path))
    assert asdict(loaded.config) == asdict(model.config)
    assert (loaded.training["data"], loaded.training["epochs"]) == ({"name": "digits"}, (1, None))
    assert (again.training, loaded.device.type, loaded.state) == (False, "cpu", None)
    assert not any(tensor.is_meta for tensor in (*again.parameters(), *again.buffers()))
    assert [each.requires_grad for each in again.parameters()] == [each.requires_grad for each in model.parameters()]


def test_a_classifier_of_pixels_comes_back(path):
    checkpoint.write(path, trained_classifier())
    again, images = checkpoint.read(path).network, torch.rand(3, *SHAPE)
    with torch.no_grad():
        assert torch.equal(again.predict_proba(images), small_classifier().predict_proba(images))


@pytest.mark.parametrize(
    "changes",
    [
        {"family": "vae"},
        {"config": {"image_shape": [1, 8, 8]}},
        {"config": {"image_shape": [1, 8, 8], "classes": 3, "width": 8}},
        {"config": {"image_shape": [1, 8, 8], "classes": 10**9, "width": 8}},
        {"config": {"image_shape": [1, 8, 8], "classes": 2, "width": 8, "augment": "yes"}},
        {"state_dict": small_model().state_dict()},
    ],
)
def test_a_classifier_that_does_not_fit_its_weights_is_refused(path, changes):
    forge(path, trained_classifier(), **changes)
    with pytest.raises(ModelFileError, match=MISFIT):
        checkpoint.read(path)


def test_the_fingerprint_is_known_before_it_is_written_and_proved_after(path):
    expected = fingerprint(trained().entries())
    checkpoint.write(path, trained())
    assert checkpoint.read(path).fingerprint == expected
    assert fingerprint(trained(small_model(seed=1)).entries()) != expected
    assert fingerprint(trained(class_names=("1",)).entries()) != expected


def test_the_fingerprint_is_that_of_what_is_written_whatever_the_model_was_before(path):
    model = small_model()
    checkpoint.write(path, trained(model))
    before = checkpoint.read(path)
    with torch.no_grad():
        next(before.network.parameters()).add_(1)
    checkpoint.write(path, before)
    again = checkpoint.read(path)
    assert again.fingerprint == fingerprint(before.entries()) != before.fingerprint
    assert torch.equal(next(again.network.parameters()), next(model.parameters()) + 1)


def test_a_written_model_has_its_weights_copied_once_and_digested_once(path, monkeypatch):
    calls, model = [], trained(torch.nn.Linear(8, 1, bias=False))
    model.network.config = small_model().config

    def counted(owner, name):
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, **options: calls.append(name) or real(*args, **options))

    counted(torch_zip, "digest")
    counted(torch.Tensor, "to")
    checkpoint.write(path, model)
    assert sorted(calls) == ["digest", "to"]


def test_torch_reads_it_with_weights_only(path):
    checkpoint.write(path, trained())
    content = torch.load(path, weights_only=True)
    assert content["format"] == "latentcli-checkpoint"
    assert content["image_shape"] == list(SHAPE)


def test_the_same_content_gives_the_same_bytes_whatever_its_path_and_history(tmp_path):
    one, other = tmp_path / "one.pth", tmp_path / "another_name.pth"
    checkpoint.write(one, trained())
    checkpoint.write(other, checkpoint.read(one))  # strings and tensors are other objects now
    assert one.read_bytes() == other.read_bytes()
    views = {name: torch.stack([tensor, tensor])[1] for name, tensor in small_model().state_dict().items()}
    forge(other, trained(), state_dict=views)  # and here views of larger storages
    assert one.read_bytes() == other.read_bytes()


def test_the_bytes_are_the_same_in_another_process(path):
    write_state(path, {"step": 10, "cpu": ["storage", "10", 1.5], "weights": torch.arange(3.0)})
    program = (
        "import sys, torch; from pathlib import Path; from latentcli.formats.schemas import TRAINING_STATE\n"
        "TRAINING_STATE.write(Path(sys.argv[1]), {'state': TRAINING_STATE.read(Path(sys.argv[2]), '')['state']})"
    )
    other = path.with_name("other")
    subprocess.run([sys.executable, "-c", program, other, path], check=True)
    assert path.read_bytes() == other.read_bytes()


def test_the_state_of_a_training_comes_back(path):
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters())
    model.loss(torch.rand(4, *SHAPE), torch.Generator()).total.backward()
    optimizer.step()
    state = {"step": 3, "optimizer": optimizer.state_dict(), "best": None, "random": torch.get_rng_state(), "sums": {}}
    write_state(path, state)
    found = read_state(path)
    assert list(found) == list(state)
    assert torch.equal(found["random"], state["random"])
    for number, values in state["optimizer"]["state"].items():
        assert all(torch.equal(values[name], found["optimizer"]["state"][number][name]) for name in values)
    optimizer.load_state_dict(found["optimizer"])


@pytest.mark.parametrize(
    "value", [object(), {1}, b"bytes", torch.zeros(2, dtype=torch.complex64), torch.eye(2).to_sparse()]
)
def test_only_plain_values_and_dense_tensors_are_saved(path, value):
    with pytest.raises(TypeError):
        write_state(path, {"value": value})
    assert not path.exists()


def test_what_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError):
        checkpoint.write(tmp_path / "missing" / "vae.pth", trained())


# What is refused


def test_a_missing_file_a_folder_and_an_empty_file_are_refused(path, tmp_path):
    path.write_bytes(b"")
    for wrong in (path, tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelFileError) as caught:
            checkpoint.read(wrong)
        assert str(caught.value).count("\n") <= 2


def test_every_cut_is_refused(path):
    checkpoint.write(path, trained())
    good = path.read_bytes()
    for end in range(0, len(good), len(good) // 50):
        path.write_bytes(good[:end])
        with pytest.raises(ModelFileError):
            checkpoint.read(path)


def test_no_bit_can_change_unseen(path):
    state = {"weights": torch.arange(5.0), "names": ["a"]}
    write_state(path, state)
    good = path.read_bytes()
    for place in range(0, len(good), 3):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        try:
            found = read_state(path)
        except ModelFileError:
            continue
        assert torch.equal(found["weights"], state["weights"])  # the bit lay in padding
        assert found["names"] == state["names"]


def content_of(path):
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"version": 2},
        {"family": 5},
        {"image_shape": [1, 8]},
        {"image_shape": [1, 8, "8"]},
        {"class_names": [1]},
        {"state_dict": {"a": 1}},
        {"state_dict": {"a": torch.tensor([float("nan")])}},
        {"config": {1: 2}},
        {"training": {1: 2}},
        {"extra": 1},
        {"fingerprint": "0" * 64},
        {"fingerprint": 3},
    ],
)
def test_a_file_whose_parts_are_wrong_is_refused(path, change):
    checkpoint.write(path, trained())
    content = content_of(path) | change
    if "fingerprint" not in change:  # a forger recomputes it
        content["fingerprint"] = torch_zip.digest({key: content[key] for key in content if key != "fingerprint"})
    torch_zip.write(path, content)
    with pytest.raises(ModelFileError):
        checkpoint.read(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"family": "unknown"},
        {"config": {}},
        {"config": {"image_shape": 5}},
        {"config": {"image_shape": [1, 8, 8], "loss": 5}},
        {"config": {"image_shape": [1, 8, 8], "unknown": 1}},
        {"config": {"image_shape": [3, 256, 256], "width": 8192, "latent_dim": 4096}},
        {"state_dict": {}},
        {"state_dict": {name: tensor.double() for name, tensor in small_model().state_dict().items()}},
        {"image_shape": [1, 16, 16]},
    ],
)
def test_a_model_that_does_not_fit_its_weights_is_refused_before_it_is_allocated(path, changes):
    forge(path, trained(), **changes)
    with pytest.raises(ModelFileError, match=MISFIT):
        checkpoint.read(path)


def test_mutations_are_refused_or_load_as_plain_values(path):
    generator = random.Random(0)
    write_state(path, {"weights": torch.ones(3, 4), "step": 1})
    with zipfile.ZipFile(path) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    for _ in range(400):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:  # the archive is whole, so that the mutation reaches the pickle
            for name, data in records.items():
                changed = bytearray(data)
                if name.endswith("data.pkl") or generator.random() < 0.1:
                    for _ in range(generator.choice((1, 1, 2, 4)) if changed else 0):
                        place = generator.randrange(len(changed) + 1)
                        changed[place : place + generator.randrange(2)] = generator.randbytes(generator.randrange(3))
                archive.writestr(name, bytes(changed))
        path.write_bytes(buffer.getvalue())
        try:
            found = read_state(path)
        except ModelFileError:
            continue
        assert torch.equal(found["weights"], torch.ones(3, 4))


def test_a_model_of_too_many_parameters_is_refused(path, monkeypatch):
    checkpoint.write(path, trained())
    monkeypatch.setattr(checkpoint, "MAX_PARAMETERS", 100)
    with pytest.raises(ModelFileError, match="describes a model of more than 10⁹ parameters"):
        checkpoint.read(path)


@pytest.mark.parametrize(
    "spans",
    [
        3, [], {"whole": 3}, {"whole": (5, 1)}, {"whole": (0, 1, 2)}, {"bytes": (0, 255)}, {"float": "ab"},
        {"float": (0, None)}, {"units": {0: 0, 1: 1}}, {"whole": (0, torch.tensor([1, 2]))}, {"whole": torch.zeros(2)},
        {3: (0, 1)},
    ],
)  # fmt: skip
def test_numbers_that_are_no_black_and_white_are_refused(path, spans):
    forge(path, trained(), training={"data": {"spans": spans}, "history": []})
    with pytest.raises(ModelFileError, match=r"not a checkpoint as a whole\n  expected numbers of black and white"):
        checkpoint.read(path)


def test_numbers_of_black_and_white_come_back(path):
    forge(path, trained(), training={"data": {"spans": {"whole": [0, 4095], "float": (-1.0, 1)}}, "history": []})
    assert checkpoint.read(path).load_options["spans"] == {"whole": (0, 4095), "float": (-1, 1)}


def test_a_model_of_which_no_data_is_known_reads_images_by_the_rule(path):
    forge(path, trained(), training={"data": "digits", "history": []})
    assert checkpoint.read(path).load_options == {"image_shape": SHAPE, "spans": {}}
