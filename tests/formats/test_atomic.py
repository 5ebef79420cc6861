"""Writing is all or nothing, whatever fails."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from latentcli.core.errors import OutputError
from latentcli.formats import atomic, temporaries

OLD = b"what was there before"


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "vae.pth"
    path.write_bytes(OLD)
    return path


def folder_of(path):
    return sorted(entry.name for entry in path.parent.iterdir())


def test_the_file_is_replaced_and_nothing_else_is_left(target):
    with atomic.atomic_write(target) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
    assert folder_of(target) == ["vae.pth"]


def test_the_mode_is_that_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with atomic.atomic_write(tmp_path / "atomic") as file:
        file.write(b"x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_in_the_block_leaves_the_old_file(target, error):
    def interrupted_write():
        with atomic.atomic_write(target) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        interrupted_write()
    assert target.read_bytes() == OLD
    assert folder_of(target) == ["vae.pth"]


class Failing:
    """A function of ``os`` that fails when it is called for the n-th time."""

    def __init__(self, function, at, number):
        self.function, self.at, self.number, self.calls = function, at, number, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        if self.calls == self.at:
            raise OSError(self.number, os.strerror(self.number))
        return self.function(*args, **kwargs)


@pytest.mark.parametrize(("name", "at"), [("fsync", 1), ("fsync", 2), ("replace", 1), ("open", 1)])
def test_any_failing_system_call_leaves_the_old_file_or_the_new_one(target, monkeypatch, name, at):
    failing = Failing(getattr(os, name), at, errno.EIO)
    monkeypatch.setattr(os, name, failing)
    try:
        with atomic.atomic_write(target) as file:
            file.write(b"new")
        outcome = b"new"
    except OutputError:
        outcome = OLD
    monkeypatch.undo()
    assert failing.calls >= at
    assert outcome == (OLD if (name, at) in (("fsync", 1), ("replace", 1)) else b"new")  # the rest is of the folder
    assert target.read_bytes() == outcome
    assert folder_of(target) == ["vae.pth"]


def test_what_fails_in_the_block_itself_is_no_failure_to_write(target):
    def write():
        with atomic.atomic_write(target) as file:
            file.write(b"half")
            raise OSError(errno.EIO, "the input broke")

    with pytest.raises(OSError, match="the input broke"):
        write()
    assert target.read_bytes() == OLD
    assert folder_of(target) == ["vae.pth"]


def test_no_other_thread_sees_another_mask_while_a_file_is_made(target, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the mask is the whole process's"))
    with atomic.atomic_write(target) as file:
        file.write(b"new")
    with atomic.atomic_folder(target.with_name("folder")):
        pass


def test_a_name_as_long_as_names_can_be_is_written(tmp_path):
    with atomic.atomic_write(tmp_path / ("n" * 251 + ".pth")) as file:
        file.write(b"new")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


IN_ANOTHER_PROCESS = """
import resource, signal, sys
from pathlib import Path
from latentcli.formats import atomic, temporaries
from latentcli.core.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if sys.argv[2] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with atomic.atomic_write(Path(sys.argv[1])) as file:
        for number in range(100):
            file.write(bytes(10_000))
            if number == 50 and sys.argv[2] == "kill":
                file.flush()
                print("half", flush=True)
                sys.stdin.read()
except OutputError as error:
    sys.exit(error.exit_code)
"""


def test_a_full_disk_is_an_output_error_and_leaves_the_old_file(target):
    done = subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, target, "full"], check=False)
    assert done.returncode == OutputError.exit_code
    assert target.read_bytes() == OLD
    assert folder_of(target) == ["vae.pth"]


def test_a_kill_in_the_middle_leaves_the_old_file(target):
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, target, "kill"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    assert target.read_bytes() == OLD


def test_outputs_that_are_no_plain_file_are_refused(tmp_path):
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    before = folder_of(tmp_path / "file")
    for path in ("link", "dangling", "folder", "missing/file"):
        with pytest.raises(OutputError), atomic.atomic_write(tmp_path / path) as file:
            file.write(b"new")
    assert (tmp_path / "file").read_bytes() == OLD
    assert folder_of(tmp_path / "file") == before


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "\udcff"])
def test_messages_name_a_path_on_one_line_without_control_characters(tmp_path, name):
    with pytest.raises(OutputError) as caught:
        atomic.check_writable(tmp_path / name / "vae.pth")
    assert all(line.isprintable() for line in str(caught.value).split("\n"))
    assert str(caught.value).count("\n") == 2


# Folders


def test_a_folder_is_there_as_a_whole_with_the_mode_of_any_new_folder(tmp_path):
    (tmp_path / "plain").mkdir()
    with atomic.atomic_folder(tmp_path / "hybrids") as folder:
        (folder / "0.png").write_bytes(b"x")
        (folder / "deep").mkdir()
        assert not (tmp_path / "hybrids").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hybrids", "plain"]
    assert (tmp_path / "hybrids").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_files_of_a_folder_are_flushed_before_it_has_its_name(tmp_path, monkeypatch):
    flushed, real = set(), os.fsync

    def fsync(descriptor):
        flushed.add((os.fstat(descriptor).st_ino, (tmp_path / "hybrids").exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic.atomic_folder(tmp_path / "hybrids") as folder:
        (folder / "deep").mkdir()
        files = [folder / "0.png", folder / "deep" / "1.png"]
        for file in files:
            file.write_bytes(b"x")
        numbers = {file.stat().st_ino for file in [*files, folder]}
    assert flushed >= {(number, False) for number in numbers}


def test_a_folder_whose_files_cannot_be_flushed_is_not_left(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", Failing(os.fsync, 1, errno.ENOSPC))

    def write():
        with atomic.atomic_folder(tmp_path / "hybrids") as folder:
            (folder / "0.png").write_bytes(b"x")

    with pytest.raises(OutputError, match="No space left"):
        write()
    assert not list(tmp_path.iterdir())


def test_a_named_pipe_gets_all_bytes_and_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_bytes)
        with atomic.atomic_write(tmp_path / "pipe") as file:
            file.write(b"x" * 200_000)
        assert read.result() == b"x" * 200_000
    assert (tmp_path / "pipe").is_fifo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["pipe"]


def test_a_descriptor_is_written_from_its_own_place_and_only_when_all_went_well(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.write(b"before ")
        file.flush()
        with suppress(RuntimeError), atomic.atomic_write(Path(f"/dev/fd/{file.fileno()}")) as stream:
            stream.write(b"never")
            raise RuntimeError
        with atomic.atomic_write(Path(f"/dev/fd/{file.fileno()}")) as stream:
            stream.write(b"after")
    assert (tmp_path / "file").read_bytes() == b"before after"


@pytest.mark.parametrize("device", ["/dev/full", "pipe that nobody reads"])
def test_a_stream_that_takes_no_bytes_is_an_output_error(device):
    reader, writer = os.pipe()
    os.close(reader)
    path = Path(device if device.startswith("/") else f"/dev/fd/{writer}")
    with pytest.raises(OutputError, match="cannot write"), atomic.atomic_write(path) as file:
        file.write(b"x")
    os.close(writer)


REASONS = {  # what a system says, and what is told of it and of the way on
    "full": (errno.ENOSPC, "No space left on device", "free space, or name another output"),
    "a quota": (errno.EDQUOT, "quota exceeded", "free space, or name another output"),
    "a limit": (errno.EFBIG, "File too large", "name another output"),
    "a disk that fails": (errno.EIO, "Input/output error", "name another output"),
    "no files": (errno.ENOENT, "takes no new files: No such file or directory", "name an output elsewhere"),
    "read-only": (errno.EROFS, "takes no new files: Read-only file system", "name an output elsewhere"),
}  # fmt: skip


@pytest.mark.parametrize("case", REASONS)
def test_the_true_reason_is_told_and_space_is_only_advised_where_there_is_none(target, case):
    number, found, remedy = REASONS[case]
    with pytest.raises(OutputError) as caught, atomic.output_errors(target):
        raise OSError(number, os.strerror(number), str(target))
    assert str(caught.value).splitlines()[1].endswith(found)
    assert str(caught.value).splitlines()[2] == f"  {remedy}"
    assert target.read_bytes() == OLD


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder here that takes no files")
@pytest.mark.parametrize("name", ["/proc/x", "/proc/x.metrics.jsonl"])
def test_a_folder_that_takes_no_files_is_called_so(name):
    with (
        pytest.raises(OutputError, match=r"the folder /proc (takes no new files|is read-only)"),
        atomic.atomic_write(Path(name)),
    ):
        pass


@pytest.mark.parametrize("name", ["plain/vae.pth", "plain/deep/vae.pth"])
def test_a_file_in_the_place_of_a_folder_is_called_so(tmp_path, name):
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(OutputError, match=r"plain is a file, and no folder\n  name an output elsewhere"):
        atomic.check_writable(tmp_path / name)


def test_the_empty_folder_where_one_is_takes_no_other_in_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"cannot write the folder \.\n  it is where you are"):
        atomic.check_new_folder(Path())
    (tmp_path / "a").touch()
    with pytest.raises(OutputError, match="it exists and is not empty"):
        atomic.check_new_folder(Path())


def test_a_folder_that_takes_no_files_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match=f"cannot write .*vae.pth\n  the folder {tmp_path} is read-only"):
        atomic.check_writable(tmp_path / "vae.pth")


def test_what_becomes_of_a_temporary_folder_is_told_and_not_its_name(tmp_path):
    def full(path):
        with atomic.output_errors(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    new = tmp_path / "exported"
    with pytest.raises(OutputError) as failed, atomic.atomic_folder(new) as folder:
        full(folder / "weights.safetensors")
    assert failed.value.problem == f"cannot write {new / 'weights.safetensors'}"
    with pytest.raises(OutputError) as failed, temporaries.temporary_folder() as folder:
        full(folder / "labels.png")
    assert failed.value.problem == f"cannot write to the folder for temporary files {tempfile.gettempdir()}"
    assert failed.value.remedy == "free space, or name another one: TMPDIR=…"
