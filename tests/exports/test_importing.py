"""Weights of files of unknown origin: everything wrong is told by name, and nothing ends in a traceback."""

import json
import os
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcli.core.errors import ModelFileError, UsageError
from latentcli.exports import base
from latentcli.exports.importing import import_weights
from latentcli.formats.safetensors_file import SafetensorsFile, bytes_of
from latentcli.formats.schemas import fingerprint
from latentcli.formats.state_dict import digest


def written(path, weights, **facts):
    path.write_bytes(bytes_of(weights, facts))
    return path


def refused(path, model) -> ModelFileError:
    with pytest.raises(ModelFileError) as error:
        import_weights(path, model)
    return error.value


@pytest.mark.parametrize("name", ["vae.pth", "vqvae.pth", "fsq.pth", "cnn.pth", "vae2d.pth"])
def test_the_same_weights_are_the_same_model(golden, tmp_path, name):
    model = golden(name)
    found = import_weights(written(tmp_path / "weights", model.network.state_dict()), model)
    assert found.fingerprint == fingerprint(model.entries())
    assert found.history == model.history
    assert digest(found.network.state_dict()) == digest(model.network.state_dict())


def test_what_is_wrong_is_told_by_name(golden, tmp_path):
    model = golden("vae.pth")
    weights = dict(model.network.state_dict())
    del weights["posterior.bias"]
    weights["extra"] = torch.zeros(3)
    weights["posterior.weight"] = torch.zeros(2, 2)
    weights["mixture.means"] = weights["mixture.means"].half()
    found = refused(written(tmp_path / "w", weights), model)
    shape = tuple(model.network.state_dict()["posterior.weight"].shape)
    assert found.found == (
        f"it lacks posterior.bias; unknown: extra; of another shape: posterior.weight (2, 2) instead of {shape}; "
        "of another type: mixture.means F16 instead of F32"
    )
    assert "`like`" in found.remedy


def test_one_tensor_may_have_two_names(tmp_path):
    tied = torch.arange(6.0).reshape(2, 3)
    file = SafetensorsFile(written(tmp_path / "w", {"a": tied, "b": tied, "c": tied.T}, kept="yes"), "")
    assert {name: tensor.tolist() for name, tensor in file.tensors().items()} == {
        "a": tied.tolist(), "b": tied.tolist(), "c": tied.T.tolist(),
    }  # fmt: skip
    assert file.facts() == {"kept": "yes"}


def test_half_precision_is_refused_with_what_to_do(golden, tmp_path):
    model = golden("cnn.pth")
    halves = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.network.state_dict().items()
    }
    found = refused(written(tmp_path / "w", halves), model)
    assert found.remedy == "convert them first: tensor.to(torch.float32)"
    assert " more" in found.found


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(golden, tmp_path, value):
    model = golden("vae.pth")
    weights = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    weights["posterior.bias"][0] = value
    assert refused(written(tmp_path / "w", weights), model).found == "in posterior.bias"


def header(content: object) -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text


HOSTILE = {
    "empty": b"", "short": b"\x01\x02", "no header": header(b"{"), "endless header": struct.pack("<Q", 2**60) + b"{}",
    "no tensors": header({}), "a checkpoint": b"PK\x03\x04" + bytes(100), "a pickle": b"\x80\x04K\x01.",
    "beyond the end": header({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
    "overlapping": header({n: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} for n in "ab"}) + bytes(4),
    "negative": header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}) + bytes(4),
    "of no type": header({"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
    "names with escapes": header({"\x1b[31m": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
    "facts that are none": header({"__metadata__": {"latentcli": "[" * 100_000}}),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused(golden, tmp_path, kind):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(HOSTILE[kind])
    message = str(refused(path, golden("vae.pth")))
    assert len(message.splitlines()) <= 3
    assert "\x1b" not in message


@settings(max_examples=25)
@given(st.binary(max_size=40), st.integers(0, 2**16))
def test_damage_anywhere_is_refused_or_changes_nothing_but_numbers(golden, tmp_path_factory, noise, where):
    model = golden("cnn.pth")
    data = bytearray(bytes_of(model.network.state_dict(), {}))
    where %= len(data)
    data[where : where + len(noise)] = noise
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(data)
    try:
        found = import_weights(path, model)
    except ModelFileError:
        return
    assert found.network.state_dict().keys() == model.network.state_dict().keys()


def test_what_is_no_file_is_not_opened(golden, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path, ""),
        (tmp_path / "none", "No such file"),
    ):
        assert reason in refused(path, golden("vae.pth")).found


def test_without_the_package_it_says_how_to_get_it(golden, tmp_path, monkeypatch):
    monkeypatch.setattr(base.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="safetensors") as error:
        import_weights(tmp_path / "weights", golden("vae.pth"))
    assert error.value.remedy == "pip install 'latentcli[export]'"
