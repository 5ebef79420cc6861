"""A file of one kind is taken for nothing else, and gives back what it was given."""

import pytest
import torch

from latentcli.core.errors import ModelFileError
from latentcli.formats import torch_zip
from latentcli.formats.checksummed import Kind

NOTE = Kind("a note", "test-note", {"text": str, "numbers": (list, type(None))})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "note.pth"


def test_the_entries_come_back_with_their_seal(path):
    NOTE.write(path, {"text": "é", "numbers": [1, 2.5]})
    content = NOTE.read(path, "write it again")
    assert content == {"text": "é", "numbers": [1, 2.5], "sha256": content["sha256"]}
    assert len(content["sha256"]) == 64


def test_the_seal_is_a_function_of_the_content_alone():
    one = NOTE.sealed({"text": "a", "numbers": [torch.ones(2)]})
    assert one["sha256"] == NOTE.sealed({"text": "a", "numbers": [torch.ones(2)]})["sha256"]
    assert one["sha256"] != NOTE.sealed({"text": "a", "numbers": [torch.zeros(2)]})["sha256"]


FORGERIES = {
    "another format": ({"format": "test-letter"}, "is not a note"),
    "another version": ({"version": 2}, "of another version"),
    "a version that is no number": ({"version": True}, "as a whole"),
    "an entry of another type": ({"text": 3}, "unlike: text"),
    "a truth value for a list": ({"numbers": False}, "unlike: numbers"),
    "one entry more": ({"code": "import os"}, "expected the entries"),
    "no seal": ({"sha256": None}, "unlike: sha256"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgeries_are_refused_though_their_seal_fits(path, forgery):
    change, message = FORGERIES[forgery]
    content = NOTE.sealed({"text": "a", "numbers": None}) | change
    whole = {key: value for key, value in content.items() if key != "sha256"}
    torch_zip.write(path, {"sha256": torch_zip.digest(whole)} | whole | change)
    with pytest.raises(ModelFileError, match=message):
        NOTE.read(path, "write it again")


def test_a_change_breaks_the_seal(path):
    torch_zip.write(path, NOTE.sealed({"text": "a", "numbers": None}) | {"text": "b"})
    with pytest.raises(ModelFileError, match="changed after it was written"):
        NOTE.read(path, "write it again")


def test_what_is_no_dict_is_refused(path):
    torch.save([1, 2], path)
    with pytest.raises(ModelFileError):
        NOTE.read(path, "write it again")
