"""What is no image file that is read, and the way to one that is."""

import shlex

import pytest

from latentcli.core.errors import DataError
from latentcli.data import load


@pytest.mark.parametrize(("name", "call"), [
    ("a b.tar.bz2", "tar -xf "), ("a b.txz", "tar -xf "), ("a b.7z", "7z x "), ("a b.RAR", "unrar x "),
])  # fmt: skip
def test_archives_that_are_not_read_are_to_be_unpacked(tmp_path, name, call):
    (tmp_path / name).write_bytes(b"packed")
    with pytest.raises(DataError, match="packed in a way that is not read") as refused:
        load(tmp_path / name)
    assert refused.value.remedy == f"unpack it, and name the folder: {call}{shlex.quote(str(tmp_path / name))}"


@pytest.mark.parametrize(
    "address", ["https://x.org/a.zip", "http://x.org/", "s3://bucket/train", "https://x.org/cat.png"]
)
def test_an_address_is_not_downloaded_and_shown_as_it_was_given(address):
    with pytest.raises(DataError, match=f"{address.rstrip('/')} is an address") as refused:
        load(address)
    assert "download it" in refused.value.remedy
