"""Shards at an address, with the faults that networks have."""

import io
import socket
from contextlib import contextmanager
from pathlib import Path

import pytest

from latentcli.core.errors import DataError, UsageError
from latentcli.data import addresses, load

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket(tmp_path, make_shards):
    """Three shards in fsspec's memory, and here."""
    memory = fsspec.filesystem("memory")
    for path in make_shards(tmp_path / "shards"):
        memory.pipe(f"/bucket/{path.name}", path.read_bytes())
    yield memory
    memory.rm("/bucket", recursive=True)


@pytest.fixture
def waits(monkeypatch):
    """How long was waited, instead of waiting; no host has answered yet, or been silent."""
    found: list[float] = []
    monkeypatch.setattr(addresses, "_answered", set())
    monkeypatch.setattr(addresses, "_silent", {})
    monkeypatch.setattr(addresses.time, "sleep", found.append)
    return found


@pytest.mark.parametrize(
    "address", ["memory://bucket/{00000..00002}.tar", "memory://bucket/*.tar", "memory://bucket", "memory://bucket/"]
)
def test_shards_at_an_address_are_those_of_a_folder(bucket, address):
    found, here = load(address), load("shards")
    assert (found.files, found.images.tolist()) == (here.files, here.images.tolist())
    assert (found.name, found.class_names) == (address, ("0", "1"))


def test_a_file_address_is_a_path(tmp_path, bucket):
    address = (Path.cwd() / "shards").as_uri()
    assert len(load(address + "/{00000..00001}.tar")) == 8
    assert len(load(address)) == 12


def test_nothing_there_is_one_error_and_is_not_tried_again(bucket, waits):
    for address in ("memory://bucket/9.tar", "memory://none", "memory://bucket/{00002..00003}.tar"):
        with pytest.raises(DataError, match="there is nothing at memory://") as caught:
            load(address)
        assert len(str(caught.value).splitlines()) <= 3
    assert not waits
    bucket.pipe("/bucket/more.zip", b"")
    with pytest.raises(DataError, match=r"holds no shards, or more than these\n  found .*more\.zip"):
        load("memory://bucket")


class Failing(io.BytesIO):
    """Gives some bytes, and fails instead of giving more, as often as it is told."""

    left = 0

    def read(self, size=-1):
        self.given = getattr(self, "given", 0) + 1
        if Failing.left > 0 and self.given > 1:
            Failing.left -= 1
            raise ConnectionResetError("reset by peer")
        return super().read(500)


@pytest.mark.parametrize("failures", [1, 5, 20])
def test_a_read_that_fails_goes_on_where_it_was(bucket, waits, monkeypatch, failures):
    """As long as it comes on: each try here reads some more."""
    real = type(bucket).open
    monkeypatch.setattr(type(bucket), "open", lambda self, path, mode: Failing(real(self, path, mode).getvalue()))
    monkeypatch.setattr(Failing, "left", failures)
    assert load("memory://bucket/00000.tar").files == load("shards/00000.tar").files
    assert waits == [addresses.WAIT] * failures


def test_a_file_that_is_replaced_while_it_is_copied_is_copied_anew(bucket, waits, monkeypatch):
    """Or the copy would begin as one file and end as another."""
    real, fails = type(bucket).open, [True]

    class Replaced(io.BytesIO):
        def read(self, size=-1):
            if self.tell() and fails:
                fails.pop()
                bucket.store["/bucket/00000.tar"] = bucket.store["/bucket/00001.tar"]
                raise ConnectionResetError("reset by peer")
            return super().read(5000)

    monkeypatch.setattr(type(bucket), "open", lambda self, path, mode: Replaced(real(self, path, mode).getvalue()))
    found, expected = load("memory://bucket/00000.tar"), load("shards/00001.tar")
    assert found.images.tolist() == expected.images.tolist()
    assert len(waits) == 1


def test_a_file_of_which_nothing_is_told_any_more_is_given_up(bucket, waits, monkeypatch):
    real, asked = type(bucket).info, []

    def info(self, path):
        asked.append(path)
        if len(asked) > 2:
            raise TimeoutError("no answer")
        return real(self, path)

    of_file = type(bucket).open
    monkeypatch.setattr(type(bucket), "open", lambda self, path, mode: Failing(of_file(self, path, mode).getvalue()))
    monkeypatch.setattr(type(bucket), "info", info)
    monkeypatch.setattr(Failing, "left", 1)
    with pytest.raises(DataError, match=r"00000\.tar cannot be read\n  tried 6 times: TimeoutError"):
        load("memory://bucket/00000.tar")


def test_a_read_that_always_fails_is_given_up_after_longer_and_longer_waits(bucket, waits, monkeypatch):
    def opened(self, path, mode):
        raise TimeoutError("no answer")

    monkeypatch.setattr(type(bucket), "open", opened)
    with pytest.raises(DataError, match=r"00000\.tar cannot be read\n  tried 6 times: TimeoutError: no answer"):
        load("memory://bucket/00000.tar")
    assert waits == [addresses.WAIT * 2**number for number in range(addresses.TRIES - 1)]


UNREACHED = {
    "refused": ConnectionRefusedError(111, "Connect call failed"), "no such name": socket.gaierror(-2, "not known"),
    "no route": OSError(113, "No route to host"), "of botocore": type("ConnectTimeoutError", (Exception,), {})("late"),
}  # fmt: skip


@pytest.mark.parametrize("cause", UNREACHED)
def test_a_host_that_never_answered_is_refused_at_once_for_all_its_shards(bucket, waits, monkeypatch, cause):
    """Though fsspec says of the web's servers that there is no such file."""
    asked = []

    def info(self, path):
        asked.append(path)
        raise FileNotFoundError(path) from UNREACHED[cause]

    monkeypatch.setattr(type(bucket), "info", info)
    with pytest.raises(addresses.Unreachable, match=r"memory://bucket cannot be reached\n  .*") as caught:
        load("memory://bucket/{00000..00002}.tar")
    assert str(UNREACHED[cause]) in str(caught.value)
    with pytest.raises(addresses.Unreachable):
        load("memory://bucket/00001.tar")
    assert (len(asked), waits) == (1, [])
    addresses._silent["memory://bucket"] = (-1e9, caught.value)  # long ago
    monkeypatch.undo()
    assert len(load("memory://bucket/00001.tar")) == 4


def test_a_host_that_answered_before_is_tried_again(bucket, waits, monkeypatch):
    assert len(load("memory://bucket/00000.tar")) == 4

    def info(self, path):
        raise FileNotFoundError(path) from ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(type(bucket), "info", info)
    for _ in range(2):
        with pytest.raises(addresses.Unreachable, match="memory://bucket cannot be reached"):
            load("memory://bucket/00001.tar")
    assert len(waits) == 5


def test_a_web_server_that_is_not_there_is_told_by_its_name(waits):
    pytest.importorskip("aiohttp")
    pytest.importorskip("requests")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(addresses.Unreachable, match=f"{host} cannot be reached\n  ClientConnectorError"):
            load(f"{host}/{{0..9}}.tar")
    assert not waits


def test_a_file_that_ends_too_early_is_not_taken_for_whole(bucket, waits, monkeypatch):
    real = type(bucket).open
    monkeypatch.setattr(type(bucket), "open", lambda self, path, mode: io.BytesIO(real(self, path, mode).read()[:1536]))
    with pytest.raises(DataError, match="it ended after 1,536 of"):
        load("memory://bucket/00000.tar")


@pytest.mark.parametrize(("error", "told", "why"), [
    (PermissionError("Access Denied"), DataError, r"may not be read\n  Access Denied"),
    (ImportError("Install zstandard to read it"), UsageError, r"memory:// addresses need a package .*\n  Install zst"),
], ids=["forbidden", "a missing package"])  # fmt: skip
def test_what_cannot_be_read_for_good_is_not_tried_again(bucket, waits, monkeypatch, error, told, why):
    def opened(self, path, mode):
        raise error

    monkeypatch.setattr(type(bucket), "open", opened)
    with pytest.raises(told, match=why):
        load("memory://bucket/00000.tar")
    assert not waits


def test_a_full_disk_is_told_and_not_tried_again(bucket, waits, monkeypatch):
    monkeypatch.setattr(addresses.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2**28 + 5})())
    with pytest.raises(DataError, match=r"cannot be copied to .*\n  it has 20,480 bytes, and there is room for 5"):
        load("memory://bucket/00000.tar")
    assert not waits


@contextmanager
def no_file_longer_than(count):
    """As a disk that gets full: the system refuses to write further."""
    resource = pytest.importorskip("resource", reason="this system has no limits of its own")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_gets_full_while_a_file_is_copied_is_told_and_not_tried_again(bucket, waits):
    with (
        no_file_longer_than(1000),
        pytest.raises(
            DataError, match=r"00000\.tar cannot be copied to .*\n  File too large\n  free space, or set TMP"
        ),
    ):
        load("memory://bucket/00000.tar")
    assert not waits


SECRET = "https://me:hidden@h.org/0.tar?X-Signature=hidden"


@pytest.mark.parametrize("text", [
    SECRET, f"403, url='{SECRET}', sorry", "sftp://me:hidden@h/0.tar", f"[{SECRET}] and [{SECRET}]",
])  # fmt: skip
def test_secrets_of_an_address_are_not_told(text):
    assert "hidden" not in addresses.public(text)
    assert "/0.tar" in addresses.public(text)


@pytest.mark.parametrize("text", [
    "a/b?.tar", "s3://b/0?.tar", "abfs://container@account.dfs.core.windows.net/0.tar", "s3://b/a:b@c/0.tar", "x?y",
])  # fmt: skip
def test_what_is_no_secret_is_told(text):
    assert addresses.public(text) == text


@pytest.mark.parametrize("error", [
    PermissionError(SECRET), FileNotFoundError(SECRET), OSError(f"url='{SECRET}'"), ConnectionRefusedError(111, SECRET),
])  # fmt: skip
def test_no_error_tells_the_secrets_of_an_address(bucket, waits, monkeypatch, error):
    def info(self, path):
        raise error

    monkeypatch.setattr(type(bucket), "info", info)
    monkeypatch.setattr(addresses, "_system", lambda address: (bucket, "/bucket/0.tar"))
    for data in (SECRET, [SECRET, SECRET.replace("0.tar", "1.tar")]):
        with pytest.raises(DataError) as caught:
            load(data)
        assert "hidden" not in str(caught.value)
    with pytest.raises(DataError, match=r"names a shard twice") as caught:
        load([SECRET, f"{SECRET}2"])
    assert "hidden" not in str(caught.value)


def test_a_set_with_a_secret_address_is_called_without_it(bucket, monkeypatch):
    monkeypatch.setattr(addresses, "_system", lambda address: (bucket, "/bucket/00000.tar"))
    found = load(SECRET)
    assert (found.name, found.files[0]) == ("https://h.org/0.tar", "0.tar/000000000.png")


def test_kinds_of_addresses_that_are_not_read_say_what_is_missing(monkeypatch):
    with pytest.raises(DataError, match=r"of a kind that is not known\n  expected such as s3, .*, found nowhere://"):
        load("nowhere://x/{0..9}.tar")
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(UsageError, match=r"pip install 'latentcli\[scale\]'"):
        load("memory://bucket/0.tar")


@pytest.mark.parametrize(("address", "way"), [
    ("s3://x/{0..9}.tar", r"pip install 'latentcli\[s3\]'"), ("gs://x/*.tar", "pip install gcsfs"), ("gs://x", "gcsfs"),
    ("oci://x/0.tar", "as it says"),
])  # fmt: skip
def test_a_package_that_is_missing_is_told_before_any_work(monkeypatch, address, way):
    def missing(address):
        raise ImportError("Install it to access this")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    kind = address.partition(":")[0]
    expected = f"{kind}:// addresses need a package that is not installed\n  Install it.*\n  install it: .*{way}"
    with pytest.raises(UsageError, match=expected):
        load(address)


def test_a_server_that_is_asked_before_any_file_and_is_not_there_is_told_by_its_name(waits):
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        host = f"ftp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(addresses.Unreachable, match=f"{host} cannot be reached\n  ConnectionRefusedError"):
            load(f"{host}/{{0..9}}.tar")
    assert not waits


@pytest.mark.parametrize(("address", "found"), [
    ("ftp://host:port/0.tar", "ValueError: Port could not be cast"), ("http://[x/0.tar", "ValueError: Invalid IPv"),
    ("zip://0.tar::memory://bucket/none.zip", "FileNotFoundError: /bucket/none.zip"), ("gs://[b/*.tar", "ValueError: "),
])  # fmt: skip
def test_an_address_that_cannot_be_one_is_refused_at_once(waits, address, found):
    with pytest.raises(DataError) as caught:
        load(address)
    assert str(caught.value).startswith(f"{address} is an address that cannot be read\n  {found}")
    assert not waits


def test_shards_on_s3_are_read(tmp_path, make_shards, monkeypatch):
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("s3fs")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    running = server.ThreadedMotoServer(port=0)
    running.start()
    try:
        host, port = running.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        s3 = fsspec.filesystem("s3", skip_instance_cache=True)
        s3.mkdir("bucket")
        for path in make_shards(tmp_path / "shards", 2):
            s3.pipe(f"bucket/{path.name}", path.read_bytes())
        for address in ("s3://bucket/{00000..00001}.tar", "s3://bucket/*.tar", "s3://bucket"):
            assert load(address).files == load("shards").files
        with pytest.raises(DataError, match=r"there is nothing at s3://bucket/00007\.tar"):
            load("s3://bucket/00007.tar")
    finally:
        running.stop()
