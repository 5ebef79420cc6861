"""Files of unknown origin that change while they are opened."""

import os

import pytest

from latentcli.formats import regular_files
from latentcli.formats.regular_files import Within, open_regular


def test_a_member_of_a_file_that_was_cut_short_is_an_error(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"0123456789")
    file, size = Within("member", tmp_path / "a.tar", 2, 8).open()
    assert (file.read(), size) == (b"23456789", 8)
    with pytest.raises(OSError, match="cut short"):
        Within("member", tmp_path / "a.tar", 3, 8).open()


def test_a_file_that_becomes_a_pipe_before_it_is_opened_is_refused_and_closed(tmp_path, monkeypatch):
    path, real, opened = tmp_path / "file", os.open, []
    path.write_bytes(b"content")

    def swapped(name, flags):
        path.unlink()
        os.mkfifo(path)
        opened.append(real(name, flags))
        return opened[0]

    monkeypatch.setattr(regular_files.os, "open", swapped)
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(path)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
