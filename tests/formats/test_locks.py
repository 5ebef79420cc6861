"""Two runs never write the same output at once, and a run that was killed is in nobody's way."""

import errno
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, nullcontext, suppress

import platformdirs
import pytest

from latentcli.core.errors import OutputError
from latentcli.formats import locks
from latentcli.formats.locks import exclusive, in_turn

HOLD = """
import sys
from pathlib import Path
from latentcli.core.errors import OutputError
from latentcli.formats.locks import exclusive
try:
    with exclusive(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
except OutputError as error:
    sys.exit(error.exit_code)
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if not platformdirs.user_cache_path("latentcli").is_relative_to(tmp_path):
        pytest.skip("the cache folder of this system does not follow XDG_CACHE_HOME")
    return tmp_path / "cache"


@pytest.fixture
def path(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "vae.pth"


@contextmanager
def held_by_another_process(path):
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.stdin.close()


def assert_free(path):
    with exclusive(path):
        pass


def assert_refused(path):
    with pytest.raises(OutputError) as caught, exclusive(path):
        pytest.fail("two runs write the same")
    return str(caught.value)


def test_another_process_is_refused_and_told_who_writes(path):
    with held_by_another_process(path) as process:
        message = assert_refused(path)
    assert re.fullmatch(
        rf"another run is writing {re.escape(str(path))}\n  process {process.pid} on \S+, since .+\n  wait for it, .+",
        message,
    )
    assert process.returncode == 0
    assert_free(path)


def test_a_second_process_ends_with_the_code_of_output_errors(path):
    with exclusive(path):
        done = subprocess.run([sys.executable, "-c", HOLD, path], stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == OutputError.exit_code


def test_a_killed_run_holds_nothing(path):
    with held_by_another_process(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert_free(path)


def test_another_thread_is_refused(path):
    found = []
    with exclusive(path):
        thread = threading.Thread(target=lambda: found.append(assert_refused(path)))
        thread.start()
        thread.join()
        found.append(assert_refused(path))
    assert len(found) == 2
    assert_free(path)


def test_another_path_to_the_same_file_is_refused_and_other_files_are_free(path, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("out")
    monkeypatch.chdir(path.parent)
    with exclusive(path):
        assert_refused(tmp_path / "link" / "vae.pth")
        assert_refused(path.relative_to(path.parent))
        assert_free(path.with_name("other.pth"))


def test_the_lock_is_given_back_after_an_error(path):
    def failing_run():
        with exclusive(path):
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  # as it was raised
        failing_run()
    assert_free(path)


def test_nothing_is_left_beside_the_output_nor_elsewhere(path, own_cache):
    with exclusive(path):
        assert not list(path.parent.iterdir())
        assert {file.suffix for file in own_cache.rglob("*") if file.is_file()} == {".lock", ".json"}
    assert not [file for file in own_cache.rglob("*") if file.is_file()]


def test_many_runs_one_after_another_never_write_at_once(path):
    """Each deletes the file of the lock that the next one may have opened."""
    done, at_once = [], []

    def run():
        while len(done) < 200:
            with suppress(OutputError), exclusive(path):
                at_once.append(True)
                assert len(at_once) == 1
                at_once.pop()
                done.append(True)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not at_once


def test_a_holder_that_has_not_said_who_it_is_is_respected(path, own_cache):
    with held_by_another_process(path):
        for file in own_cache.rglob("*.json"):
            file.write_text("[half a sen")
        assert assert_refused(path).count("\n") == 1


def test_where_there_can_be_no_lock_the_run_goes_on(path, own_cache):
    own_cache.write_bytes(b"no folder")
    entered = []
    with exclusive(path):
        entered.append(True)
    assert entered
    with pytest.raises(OSError, match="of the block"), exclusive(path):
        raise OSError("of the block")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_on_a_file_system_without_locks_the_run_goes_on(path, monkeypatch, number):
    def refuse(descriptor, operation):
        raise OSError(number, os.strerror(number))

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", refuse)
    with exclusive(path):
        path.write_bytes(b"written")
    assert path.read_bytes() == b"written"


def test_no_mere_file_stands_in_for_a_lock(tmp_path, monkeypatch):
    """It would stay where its run was killed, and others wait for it for ever."""

    def refuse(descriptor, operation):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    with pytest.raises(OSError, match=r"."), in_turn(tmp_path / "a.lock", nullcontext):
        pytest.fail("there is no lock")


def test_blocks_of_one_lock_run_in_turn(tmp_path):
    lock, order, waited = tmp_path / "folder" / "a.lock", [], []

    @contextmanager
    def waiting():
        waited.append(True)
        yield

    def second():
        with in_turn(lock, waiting):
            order.append("second")

    with in_turn(lock, waiting):
        thread = threading.Thread(target=second)
        thread.start()
        while not waited:
            thread.join(0.001)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert waited == [True]
    assert lock.exists()


def test_where_there_can_be_no_lock_to_wait_for_it_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r".+"), in_turn(tmp_path / "file" / "a.lock", nullcontext):
        pytest.fail("there is no lock")
    with pytest.raises(ValueError, match="of the block"), in_turn(tmp_path / "a.lock", nullcontext):
        raise ValueError("of the block")
    with in_turn(tmp_path / "a.lock", lambda: pytest.fail("it was not given back")):
        pass


def test_where_the_file_system_knows_no_locks_it_is_told(tmp_path, monkeypatch):
    class Unknown:
        def acquire(self, timeout=None):
            raise NotImplementedError

    monkeypatch.setattr(locks, "_lock", lambda path: Unknown())
    with pytest.raises(OSError, match="the file system knows no locks"), in_turn(tmp_path / "a.lock", nullcontext):
        pytest.fail("there is no lock")
