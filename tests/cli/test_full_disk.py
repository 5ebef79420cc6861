"""A disk that is full: what a training has learned is not lost with it."""

import errno
import io
import os
from pathlib import Path

import pytest

from latentcli.artifacts.models import load_model
from latentcli.cli import console

SMALL = ["--epochs", "2", "--set", "width=32"]


@pytest.fixture
def full(monkeypatch):
    """Fills the disk that a folder lies on; files elsewhere can be written."""
    fsync = os.fsync

    def fill(*folders: Path) -> None:
        def failing(descriptor: int) -> None:
            where = Path(f"/proc/self/fd/{descriptor}").readlink()
            if where.suffix == ".tmp" and any(where.is_relative_to(folder) for folder in folders):
                raise OSError(errno.ENOSPC, "No space left on device")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", failing)

    return fill


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="finds what is written in /proc")
@pytest.mark.parametrize(("command", "name"), [("train", "vae.pth"), ("train-cnn", "cnn.pth")])
def test_the_model_is_written_elsewhere_and_the_error_says_where(
    call, full, tmp_path, tmp_path_factory, monkeypatch, trained, command, name
):
    elsewhere = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    full(tmp_path)
    done = call(command, trained.train, "-o", name, *SMALL)
    rescued = next(elsewhere.rglob(name))
    assert done.code == 6
    assert f"make room, and move it to {name}" in done.err
    assert str(rescued) in done.err
    assert done.err.count(f"{Path(name).stem}.metrics.jsonl: No space left") == 1  # once, not at every epoch
    assert load_model(rescued).history[-1]["epoch"] == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="finds what is written in /proc")
def test_where_there_is_no_room_anywhere_the_error_is_of_the_output(
    call, full, tmp_path, tmp_path_factory, monkeypatch, trained
):
    elsewhere = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    full(tmp_path, elsewhere)
    done = call("train", trained.train, *SMALL)
    assert (done.code, "cannot write vae.pth\n" in done.err) == (6, True)
    assert str(elsewhere) not in done.err
    assert not list(elsewhere.rglob("*.pth"))


def test_a_table_for_standard_output_waits_where_there_is_no_room(call, trained, monkeypatch):
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(console, "TemporaryFile", lambda *_, **how: Full())
    done = call("classify", trained.test, trained.vae, trained.gmm, "-o", "-")
    assert (done.code, done.out) == (6, "")
    assert "cannot write to standard output" in done.err
    assert "where the table waits" in done.err
