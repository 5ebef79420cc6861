"""Writing is all or nothing, whatever fails; the digest tells any two contents apart."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from latentcli.core.errors import OutputError
from latentcli.formats import files

OLD = b"what was there before"


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "vae.pth"
    path.write_bytes(OLD)
    return path


def folder_of(path):
    return sorted(entry.name for entry in path.parent.iterdir())


def test_the_file_is_replaced_and_nothing_else_is_left(target):
    with files.atomic_write(target) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
    assert folder_of(target) == ["vae.pth"]


def test_the_mode_is_that_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with files.atomic_write(tmp_path / "atomic") as file:
        file.write(b"x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_in_the_block_leaves_the_old_file(target, error):
    def interrupted_write():
        with files.atomic_write(target) as file:
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


@pytest.mark.parametrize("name", ["fsync", "replace", "open", "fdopen", "chmod"])
@pytest.mark.parametrize("at", [1, 2])
def test_any_failing_system_call_leaves_the_old_file_or_the_new_one(target, monkeypatch, name, at):
    failing = Failing(getattr(os, name), at, errno.EIO)
    monkeypatch.setattr(os, name, failing)
    try:
        with files.atomic_write(target) as file:
            file.write(b"new")
        outcome = b"new"
    except OutputError:
        outcome = OLD
    monkeypatch.undo()
    assert target.read_bytes() == outcome
    assert folder_of(target) == ["vae.pth"]
    assert (
        name not in ("fsync", "replace") or at == 2 or outcome == OLD
    )  # the test would see a fault that is not injected


def test_a_failed_write_leaves_the_old_file(target, monkeypatch):
    real = os.fdopen

    def with_full_disk(*args, **kwargs):
        file = real(*args, **kwargs)
        file.raw.close()  # the flush of the buffer will fail
        return file

    monkeypatch.setattr(os, "fdopen", with_full_disk)

    def write():
        with files.atomic_write(target) as file:
            file.write(b"new" * 10_000)

    with pytest.raises((OutputError, ValueError)):
        write()
    monkeypatch.undo()
    assert target.read_bytes() == OLD
    assert folder_of(target) == ["vae.pth"]


IN_ANOTHER_PROCESS = """
import resource, signal, sys
from pathlib import Path
from latentcli.formats import files
from latentcli.core.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if sys.argv[2] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with files.atomic_write(Path(sys.argv[1])) as file:
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
    os.mkfifo(tmp_path / "fifo")
    before = folder_of(tmp_path / "file")
    for path in ("link", "dangling", "folder", "fifo", "missing/file"):
        with pytest.raises(OutputError), files.atomic_write(tmp_path / path) as file:
            file.write(b"new")
    assert (tmp_path / "file").read_bytes() == OLD
    assert folder_of(tmp_path / "file") == before


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
content = st.dictionaries(
    st.text(max_size=3),
    st.recursive(
        plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_size=4,
)


@given(content, content)
def test_digests_are_equal_when_and_only_when_contents_are(one, other):
    same = repr(sorted_deep(one)) == repr(sorted_deep(other))  # repr, since 1 == True == 1.0
    assert (files.digest(one) == files.digest(other)) == same


def sorted_deep(value):
    if isinstance(value, dict):
        return {key: sorted_deep(value[key]) for key in sorted(value)}
    return [sorted_deep(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 23], [12, 3]),
        ([[1], 2], [[1, 2]]),
        ("1", 1),
        (1, 1.0),
        (True, 1),
        ([], {}),
        (np.arange(6), np.arange(6).reshape(2, 3)),
        (np.zeros(2, np.int32), np.zeros(2, np.float32)),
        (np.zeros(2, np.float64), np.zeros(4, np.float32)),
    ],
)
def test_contents_that_look_alike_have_unlike_digests(one, other):
    assert files.digest({"a": one}) != files.digest({"a": other})


@given(
    hnp.arrays(st.sampled_from([np.uint8, np.float32, np.int64, np.bool_]), hnp.array_shapes(max_dims=4, max_side=4))
)
def test_the_digest_of_an_array_does_not_depend_on_its_memory_layout(array):
    assert files.digest({"a": array}) == files.digest({"a": np.asfortranarray(array)})
    assert files.digest({"a": array}) == files.digest({"a": array[::-1][::-1]})


def test_the_digest_does_not_depend_on_the_order_of_keys():
    assert files.digest({"a": 1, "b": 2}) == files.digest({"b": 2, "a": 1})


@pytest.mark.parametrize("name", ["vae.pth", "two\nlines", "\x1b[31mred"])
def test_paths_are_shown_on_one_line_without_control_characters(name):
    assert files.shown(Path(name)).isprintable()
