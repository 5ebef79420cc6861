"""What a killed run has left is deleted by the next one, and nothing that a living one holds."""

import errno
import importlib.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from latentcli.cli.app import exit_code_of
from latentcli.core.errors import OutputError
from latentcli.formats import temporaries
from latentcli.formats.atomic import atomic_folder, atomic_write

IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from latentcli.formats import atomic, temporaries
path = Path(sys.argv[2])
writing = {"file": lambda: atomic.atomic_write(path), "folder": lambda: atomic.atomic_folder(path),
           "temporary": lambda: temporaries.temporary_folder(path.parent)}[sys.argv[1]]
with writing():
    print("writing", flush=True)
    sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(temporaries.fcntl is None, reason="there are no such locks here")


@pytest.fixture(autouse=True)
def as_a_new_process(monkeypatch):
    monkeypatch.setattr(temporaries, "_seen", {})


def write(kind: str, path: Path) -> None:
    if kind == "file":
        with atomic_write(path) as file:
            file.write(b"new")
    elif kind == "folder":
        with atomic_folder(path) as folder:
            (folder / "a").write_bytes(b"new")
    else:
        with temporaries.temporary_folder(path.parent) as folder:
            (folder / "a").write_bytes(b"new")


@pytest.mark.parametrize("kind", ["file", "folder", "temporary"])
def test_only_what_no_process_holds_is_deleted(tmp_path, monkeypatch, kind):
    path = tmp_path / "out"
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, kind, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        (left,) = tmp_path.iterdir()
        write(kind, path)
        assert left.exists()
        process.send_signal(signal.SIGKILL)
    assert left.exists()
    if kind == "folder":
        (path / "a").unlink()
    monkeypatch.setattr(temporaries, "_seen", {})
    write(kind, path)
    assert [each.name for each in tmp_path.iterdir()] == ([] if kind == "temporary" else ["out"])


def test_other_files_stay(tmp_path):
    others = [".out.0123456789abcdef.tmp.bak", ".other.0123456789abcdef.tmp", "out.0123456789abcdef.tmp", ".out.x.tmp"]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".out.0123456789abcdef.tmp").symlink_to("elsewhere")
    (tmp_path / ".out.00000000000000ff.tmp").write_bytes(b"")
    write("file", tmp_path / "out")
    assert {each.name for each in tmp_path.iterdir()} == {*others, "out", ".out.0123456789abcdef.tmp"}


def test_a_file_that_was_cleared_away_at_its_birth_is_made_again(tmp_path, monkeypatch):
    lock, cleared = temporaries._lock, []

    def clear_first(path):
        if not cleared:
            cleared.append(path)
            path.unlink()
        return lock(path)

    monkeypatch.setattr(temporaries, "_lock", clear_first)
    write("file", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"new"
    assert cleared
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_many_writers_and_clearers_of_one_file_never_fail(tmp_path):
    path, failed = tmp_path / "out", []

    def work():
        try:
            for _ in range(30):
                temporaries._seen.clear()
                write("file", path)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_without_room_for_temporary_files_the_error_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    expected = r"cannot make a folder for temporary files in .*missing\n  No such file"
    with pytest.raises(OutputError, match=expected), temporaries.temporary_folder():
        pass


def test_a_temporary_folder_is_this_users_alone_and_gone_after_the_block(tmp_path):
    with temporaries.temporary_folder(tmp_path) as folder:
        (folder / "a").write_bytes(b"")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert [*tmp_path.iterdir()] == [folder]
    assert not list(tmp_path.iterdir())


def test_what_another_user_has_left_stays(tmp_path, monkeypatch):
    (tmp_path / ".out.0123456789abcdef.tmp").write_bytes(b"")
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    write("file", tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == [".out.0123456789abcdef.tmp", "out"]


def test_where_the_system_has_no_folder_for_temporary_files_the_error_says_so(monkeypatch):
    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    expected = "cannot make a folder for temporary files\n  No usable temporary directory found\n  free space, or name"
    with pytest.raises(OutputError, match=expected), temporaries.temporary_folder():
        pass


def test_on_a_system_without_such_locks_nothing_is_deleted_and_all_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    described = importlib.util.spec_from_file_location("temporaries_of_windows", temporaries.__file__)
    of_windows = importlib.util.module_from_spec(described)
    described.loader.exec_module(of_windows)
    assert of_windows.fcntl is None
    (tmp_path / ".latentcli.0123456789abcdef.tmp").write_bytes(b"")
    with of_windows.temporary_folder(tmp_path) as folder:
        (folder / "a").write_bytes(b"")
        assert len([*tmp_path.iterdir()]) == 2
    assert [each.name for each in tmp_path.iterdir()] == [".latentcli.0123456789abcdef.tmp"]


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_what_an_interrupt_kept_from_being_deleted_is_deleted_as_the_command_ends(tmp_path, make):
    def interrupted():
        with temporaries.held(tmp_path / "done", make) as (name, _):
            name.rename(tmp_path / "done")
        with temporaries.held(tmp_path / "new", make):
            assert len([*tmp_path.iterdir()]) == 2
            raise KeyboardInterrupt

    assert exit_code_of(interrupted) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["done"]
