"""A file of one kind is taken for nothing else, and gives back what it was given."""

import pytest
import torch

from latentcli.core.errors import ModelFileError
from latentcli.formats import torch_zip
from latentcli.formats.checksummed import FileSchema

NOTE = FileSchema("a note", "test-note", {"text": str, "numbers": (list, type(None))})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "note.pth"


def test_the_entries_come_back_with_their_checksum(path):
    NOTE.write(path, {"text": "é", "numbers": [1, 2.5]})
    content = NOTE.read(path, "write it again")
    assert content == {"text": "é", "numbers": [1, 2.5], "sha256": content["sha256"]}
    assert len(content["sha256"]) == 64


def test_the_checksum_is_a_function_of_the_content_alone(path):
    one = NOTE.checksum_of({"text": "a", "numbers": [torch.ones(2)]})
    assert one == NOTE.checksum_of({"numbers": [torch.ones(2)], "text": "a"})
    assert one != NOTE.checksum_of({"text": "a", "numbers": [torch.zeros(2)]})
    NOTE.write(path, {"text": "a", "numbers": [torch.ones(4)[::2]]})
    assert NOTE.read(path, "write it again")["sha256"] == one


def whole(**changes):
    """What a file holds, as a forger writes it: with changes, and with their checksum."""
    content = {"format": "test-note", "version": 1, "text": "a", "numbers": None} | changes
    return {"sha256": torch_zip.digest({key: content[key] for key in content if key != "sha256"})} | content


FORGERIES = {
    "another format": ({"format": "test-letter"}, "is not a note"),
    "another version": ({"version": 2}, "by another version"),
    "a version that is no number": ({"version": True}, "does not have the entries of a note"),
    "an entry of another type": ({"text": 3}, "of the wrong type: text"),
    "a truth value for a list": ({"numbers": False}, "of the wrong type: numbers"),
    "one entry more": ({"code": "import os"}, "expected the entries"),
    "no checksum": ({"sha256": None}, "of the wrong type: sha256"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgeries_are_refused_though_their_checksum_fits(path, forgery):
    change, message = FORGERIES[forgery]
    torch_zip.write(path, whole(**change))
    with pytest.raises(ModelFileError, match=message):
        NOTE.read(path, "write it again")


def test_a_change_breaks_the_checksum(path):
    torch_zip.write(path, whole() | {"text": "b"})
    with pytest.raises(ModelFileError, match="changed after it was written"):
        NOTE.read(path, "write it again")


def test_what_is_no_dict_is_refused(path):
    torch.save([1, 2], path)
    with pytest.raises(ModelFileError):
        NOTE.read(path, "write it again")
