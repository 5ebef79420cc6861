"""Files of torch.save are read like torch reads them, although torch.load takes no part."""

import numpy as np
import pytest
import torch

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
