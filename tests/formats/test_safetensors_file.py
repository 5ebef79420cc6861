"""Files of safetensors from other programs, which may say anything beside their tensors."""

import pytest
import safetensors.torch
import torch

from latentcli.formats.safetensors_file import KEY, SafetensorsFile, bytes_of

WEIGHTS = {"w": torch.arange(3.0)}


def test_tensors_and_facts_come_back(tmp_path):
    (tmp_path / "a").write_bytes(bytes_of(WEIGHTS, {"b": 1, "a": ["é"]}))
    found = SafetensorsFile(tmp_path / "a", "again")
    assert found.facts() == {"a": ["é"], "b": 1}
    assert found.tensors()["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "[" * 100_000])
def test_facts_that_are_none_cost_no_tensor(tmp_path, text):
    (tmp_path / "a").write_bytes(safetensors.torch.save(WEIGHTS, metadata={KEY: text}))
    found = SafetensorsFile(tmp_path / "a", "again")
    assert found.facts() == {}
    assert found.tensors()["w"].tolist() == [0, 1, 2]
