"""Weights of other programs are what torch itself reads, in both of its formats; what is damaged is refused."""

import pickle

import pytest
import torch
from torch import nn

from latentcli.core.errors import ModelFileError
from latentcli.formats import state_dict


def saved(tmp_path, content, zipped):
    file = tmp_path / "weights.pth"
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def zipped(request):
    return request.param


def network():
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Linear(3, 2))


@pytest.mark.parametrize("kind", ["state_dict", "parameters", "wrapped"])
def test_weights_are_those_that_torch_reads(tmp_path, zipped, kind):
    weights = network().state_dict()
    content = {
        "state_dict": weights, "parameters": dict(network().named_parameters()),
        "wrapped": {"epoch": 3, "state_dict": weights},
    }[kind]  # fmt: skip
    file = saved(tmp_path, content, zipped)
    found = state_dict.read(file, "")
    expected = torch.load(file, weights_only=True)
    expected = expected["state_dict"] if kind == "wrapped" else expected
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_tensors_may_lie_in_any_order_of_their_dimensions(tmp_path, zipped):
    tensor = torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)
    found = state_dict.read(saved(tmp_path, {"w": tensor}, zipped), "")["w"]
    assert torch.equal(found, tensor)
    assert found.is_contiguous()


@pytest.mark.parametrize("content", [
    {"w": torch.ones(4)[1:]}, {"w": torch.ones(1).expand(5)}, {"w": torch.tensor([float("nan")])}, {"w": 3}, {}, [1],
], ids=["view", "expanded", "nan", "number", "empty", "list"])  # fmt: skip
def test_what_is_not_a_dict_of_whole_finite_tensors_is_refused(tmp_path, zipped, content):
    with pytest.raises(ModelFileError):
        state_dict.read(saved(tmp_path, content, zipped), "")


def test_code_is_never_run(tmp_path, zipped):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "marker"), "w"))

    file = saved(tmp_path, {"w": torch.ones(1), "x": Attack()}, zipped)
    with pytest.raises(ModelFileError):
        state_dict.read(file, "")
    assert not (tmp_path / "marker").exists()


def test_each_truncation_of_the_older_format_is_refused(tmp_path):
    file = saved(tmp_path, network().state_dict(), False)
    whole = file.read_bytes()
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        file.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            state_dict.read(file, "")
    file.write_bytes(whole + b"more")
    with pytest.raises(ModelFileError, match="4 bytes of something else"):
        state_dict.read(file, "")


def test_a_plain_pickle_is_refused(tmp_path):
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"w": [1.0]}, protocol=2))
    with pytest.raises(ModelFileError):
        state_dict.read(tmp_path / "a.pth", "")
