"""Weights of other programs are what torch itself reads, in both of its formats; what is damaged is refused."""

import io
import pickle
import struct
from collections import OrderedDict

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


class Stored:
    """What torch's older format names outside of its pickles: the numbers of a tensor."""

    def __init__(self, key="0", count=2, *more):
        self.name = ("storage", torch.FloatStorage, key, "cpu", count, *(more or (None,)))


class Forged:
    """A tensor, as its pickle describes it."""

    def __init__(self, stored, start=0, shape=(2,), stride=(1,), hooks=None):
        self.arguments = (stored, start, shape, stride, False, OrderedDict() if hooks is None else hooks)

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, thing):
        return thing.name if isinstance(thing, Stored) else None


def legacy(
    content, keys=("0",), numbers=struct.pack("<q2f", 2, 1.0, 2.0), version=1001, facts=None, magic=state_dict.MAGIC
):  # fmt: skip
    """A file of torch.save's older format: five pickles, and behind them the tensors' numbers."""
    file = io.BytesIO()
    for each in (magic, version, facts or {"little_endian": True}, content, list(keys)):
        Pickler(file, protocol=2).dump(each)
    return file.getvalue() + numbers


def test_a_forged_file_of_the_older_format_is_otherwise_read(tmp_path):
    (tmp_path / "w.pth").write_bytes(legacy({"w": Forged(Stored())}))
    assert state_dict.read(tmp_path / "w.pth", "")["w"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(("data", "why"), [
    (legacy({"w": Forged(Stored())}, magic=3), "not a file of torch.save"),
    (legacy({"w": Forged(Stored())}, version=1002), "not a file of torch.save"),
    (legacy({"w": Forged(Stored())}, facts={"little_endian": False}), "of the other byte order"),
    (legacy({"w": Forged(Stored())}, facts=[1]), "of the other byte order"),
    (legacy({"w": Forged(Stored())}, keys=[0]), "a damaged list of its tensors"),
    (legacy({"w": Forged(Stored())}, keys=["0", "0"]), "a damaged list of its tensors"),
    (legacy({"w": Forged(Stored())}, keys=["1"]), "not those that it lists"),
    (legacy({"w": Forged(Stored())}, numbers=struct.pack("<q2f", 3, 1, 2)), "8 bytes that are not there"),
    (legacy({"w": Forged(Stored())}, numbers=struct.pack("<qf", 2, 1)), "8 bytes that are not there"),
    (legacy({"w": Forged(Stored(count=-2))}, numbers=struct.pack("<q", -2)), "-8 bytes that are not there"),
    (legacy({"w": Forged(Stored("0")), "x": Forged(Stored("0", 1))}), "a tensor that is described twice"),
    (legacy({"w": Forged(Stored("0")), "x": Forged(Stored("0"))}), "two tensors over the same bytes"),
    (legacy({"w": Forged(Stored("0", 2, ("view", 0, 1)))}), "something outside itself that is no tensor"),
    (legacy({"w": Forged(Stored(), start=1)}), "a damaged tensor"),
    (legacy({"w": Forged(Stored(), hooks=OrderedDict(a=1))}), "a damaged tensor"),
    (legacy({"w": Forged(Stored(), shape=(3,))}), "a view of another"),
    (legacy({"w": Forged(Stored(), shape=(2, 1))}), "a view of another"),
    (legacy({"w": Forged(Stored(), shape=(-2,))}), "a view of another"),
    (legacy({"w": Forged(Stored(), shape=(2.0,))}), "a view of another"),
    (legacy({"w": Stored()}), "bytes that are no tensor"),
])  # fmt: skip
def test_what_the_older_format_would_not_write_is_refused(tmp_path, data, why):
    (tmp_path / "w.pth").write_bytes(data)
    with pytest.raises(ModelFileError, match=why):
        state_dict.read(tmp_path / "w.pth", "")


def test_what_is_too_large_or_not_there_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ModelFileError, match="No such file"):
        state_dict.read(tmp_path / "nowhere.pth", "")
    file = saved(tmp_path, {"w": torch.ones(1)}, False)
    monkeypatch.setattr(state_dict, "MAX_OPERATIONS", 3)
    with pytest.raises(ModelFileError, match="more than 3 operations"):
        state_dict.read(file, "")
    monkeypatch.setattr(state_dict, "MAX_BYTES", 10)
    with pytest.raises(ModelFileError, match="expected at most 10 bytes"):
        state_dict.read(file, "")
