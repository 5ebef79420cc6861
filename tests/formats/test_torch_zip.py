"""Files of torch.save are read like torch reads them, although torch.load takes no part."""

import copy
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from latentcli.formats import torch_zip

NUMBERS = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
DTYPES = [*NUMBERS, torch.int8, torch.uint8, torch.bool]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 1, 3)])
def test_tensors_are_those_that_torch_reads(tmp_path, dtype, shape):
    tensor = torch.arange(int(np.prod(shape))).reshape(shape).to(dtype)
    torch_zip.write(tmp_path / "a.pth", torch_zip.plain({"w": [tensor, tensor.clone()], 3: ("é", None, True, 1e-300)}))
    found, expected = torch_zip.read(tmp_path / "a.pth", "again"), torch.load(tmp_path / "a.pth", weights_only=True)
    assert found.keys() == expected.keys()
    assert found[3] == expected[3]
    for one, other in zip(found["w"], expected["w"], strict=True):
        assert (one.dtype, one.shape, one.is_contiguous()) == (other.dtype, other.shape, True)
        assert torch.equal(one, other)
    assert torch_zip.digest(found) == torch_zip.digest(expected)


def test_tensors_that_were_read_can_be_changed_and_share_nothing(tmp_path):
    torch_zip.write(tmp_path / "a.pth", torch_zip.plain({"a": torch.ones(2), "b": torch.ones(2)}))
    found = torch_zip.read(tmp_path / "a.pth", "again")
    found["a"] += 1
    assert found["a"].tolist() == [2, 2]
    assert found["b"].tolist() == [1, 1]


def test_bytes_are_not_among_the_plain_values(tmp_path):
    torch.save({"a": b"bytes"}, tmp_path / "a.pth")
    with pytest.raises(torch_zip.ModelFileError):
        torch_zip.read(tmp_path / "a.pth", "again")


def rewritten(path, change):
    """A file of torch.save with other records: ``change`` maps their names to contents, and may do what it likes."""
    torch.save({"w": torch.ones(2), "p": nn.Parameter(torch.ones(3))}, path)
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(records)).split("/")[0]
    change(records, root)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)


def with_arrays(records, root):
    records[f"{root}/mu.npy"] = b""


def with_a_large_pickle(records, root):
    records[f"{root}/data.pkl"] += bytes(torch_zip.MAX_PICKLE)


def with_other_shapes(records, root):
    records[f"{root}/data.pkl"] = records[f"{root}/data.pkl"].replace(b"K\x02\x85", b"K\x01\x85", 1)


@pytest.mark.parametrize(("change", "why"), [
    (with_arrays, "arrays of numpy"), (with_a_large_pickle, "bytes beside the tensors"),
    (with_other_shapes, "a view of another"),
])  # fmt: skip
def test_other_records_than_those_of_torch_are_refused(tmp_path, change, why):
    rewritten(tmp_path / "a.pth", lambda records, root: None)
    assert torch_zip.read(tmp_path / "a.pth", "again")["p"].tolist() == [1, 1, 1]
    rewritten(tmp_path / "a.pth", change)
    with pytest.raises(torch_zip.ModelFileError, match=why):
        torch_zip.read(tmp_path / "a.pth", "again")


@pytest.mark.parametrize("arguments", [(3, True, {}), (None, True, {"hook": 1}), (None, 1, {}), ()])
def test_what_is_no_parameter_is_refused(tmp_path, arguments):
    class Forged:
        def __reduce__(self):
            return torch._utils._rebuild_parameter, arguments

    torch.save({"p": Forged()}, tmp_path / "a.pth")
    with pytest.raises(torch_zip.ModelFileError, match="a damaged parameter"):
        torch_zip.read(tmp_path / "a.pth", "again")


def test_more_records_than_a_network_has_are_refused(tmp_path, monkeypatch):
    torch.save({"w": torch.ones(2)}, tmp_path / "a.pth")
    monkeypatch.setattr(torch_zip, "MAX_RECORDS", 2)
    with pytest.raises(torch_zip.ModelFileError, match="records, more than 2"):
        torch_zip.read(tmp_path / "a.pth", "again")


def test_records_that_overlap_are_refused(tmp_path):
    """Two entries of the directory for the same bytes: together they claim more than there is."""
    torch.save({"w": torch.ones(5_000), "x": torch.ones(5_000)}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth", "a") as archive:
        one = next(each for each in archive.infolist() if each.filename.endswith("data/0"))
        other = copy.copy(one)
        other.filename = other.orig_filename = one.filename[:-1] + "9"
        archive.filelist += [other]
        archive._didModify = True
    with pytest.raises(torch_zip.ModelFileError, match="claim more bytes than the file has"):
        torch_zip.read(tmp_path / "a.pth", "again")


def test_numbers_of_numpy_are_plain_values():
    assert torch_zip.plain({"a": np.float32(0.5), "b": np.int64(3)}) == {"a": 0.5, "b": 3}
