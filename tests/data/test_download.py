"""Named sets that are not on this machine: fetched whole or not at all, or a way out is named."""

import gzip
import hashlib
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from latentcli.core.errors import DataError
from latentcli.data import download, load
from latentcli.data.download import _Part


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and no network."""

    def no_network(*args, **kwargs):
        raise urllib.error.URLError(OSError(-3, "Temporary failure in name resolution"))

    monkeypatch.delenv("LATENTCLI_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    return tmp_path / "cache" / "latentcli"


@pytest.fixture
def served(tmp_path, cache, monkeypatch):
    """A small MNIST behind addresses, of which the first never answers."""
    monkeypatch.undo()
    monkeypatch.delenv("LATENTCLI_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    server = tmp_path / "server"
    server.mkdir()
    images = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8)
    contents = {
        "images-idx3-ubyte.gz": b"\0\0\x08\x03"
        + b"".join(n.to_bytes(4, "big") for n in images.shape)
        + images.tobytes(),
        "labels-idx1-ubyte.gz": b"\0\0\x08\x01\0\0\0\x03\x07\x08\x09",
    }
    parts = []
    for prefix in ("train", "t10k"):
        for name, content in contents.items():
            path = server / f"{prefix}-{name}"
            path.write_bytes(gzip.compress(content, mtime=0))
            md5 = hashlib.md5(path.read_bytes()).hexdigest()
            parts.append(_Part(path.name, md5, ((tmp_path / "none").absolute().as_uri(), path.absolute().as_uri())))
    monkeypatch.setattr(download, "_parts", lambda name: parts)
    return server


class Refusing(BaseHTTPRequestHandler):
    """A server that has no file any more."""

    def do_GET(self):
        self.send_error(410)

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_without_network_the_error_says_where_it_looked_and_the_way_out(cache, tmp_path, name):
    with pytest.raises(DataError) as caught:
        load(name, data_root=tmp_path / "mine")
    problem, found, remedy = str(caught.value).split("\n")
    assert problem == f"{name} is not on this machine and cannot be downloaded: Temporary failure in name resolution"
    assert str(tmp_path / "mine") in found
    assert str(cache) in found
    assert "put" in remedy
    assert str(tmp_path / "mine") in remedy
    assert "use digits" in remedy
    assert not [path for path in cache.rglob("*") if not path.is_dir()]


def test_the_environment_is_looked_up_too(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTCLI_DATA", str(tmp_path / "named"))
    with pytest.raises(DataError, match="named/MNIST/raw"):
        load("mnist")


def test_downloads_go_into_the_cache_and_are_found_there(served, cache):
    told = []

    @contextmanager
    def progress(doing, total):
        told.append((doing, total))
        yield told.append

    found = load("mnist", progress=progress)
    assert found.labels.codes.tolist() == [7, 8, 9]
    assert sorted(path.name for path in (cache / "MNIST" / "raw").iterdir()) == sorted(p.name for p in served.iterdir())
    assert told[0][0].startswith("downloading mnist: train-images")
    assert sum(item for item in told if isinstance(item, int)) == sum(p.stat().st_size for p in served.iterdir())
    for path in served.iterdir():
        path.unlink()
    assert len(load("mnist", split="test")) == 3


def test_a_changed_file_is_not_kept(served, cache):
    (served / "t10k-images-idx3-ubyte.gz").write_bytes(b"something else")
    with pytest.raises(DataError, match="gave something else"):
        load("mnist")
    assert not list(cache.rglob("t10k-images*"))
    assert not list(cache.rglob(".download-*"))


def test_files_that_are_there_are_not_fetched_again(served, cache):
    load("mnist")
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        (served / name).unlink()
    (cache / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert load("mnist", split="test").labels.codes.tolist() == [7, 8, 9]


def test_what_a_server_answers_instead_of_a_file_is_told(cache, monkeypatch):
    monkeypatch.undo()
    monkeypatch.delenv("LATENTCLI_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: cache)
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}/train.gz"
        monkeypatch.setattr(download, "_parts", lambda name: [_Part("train.gz", "", (address,))])
        with pytest.raises(DataError, match=f"mnist is not on .* cannot be downloaded: {address} answers 410\n"):
            load("mnist")
        server.shutdown()


def test_a_cache_that_cannot_be_written(served, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where a folder should be")
    with pytest.raises(DataError, match="cannot be downloaded"):
        load("mnist")


@pytest.mark.parametrize("error", [RuntimeError("operator torchvision::nms does not exist"), ImportError("no module")])
def test_a_torchvision_that_does_not_match_torch_is_one_line(cache, monkeypatch, error):
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.split(".")[0] == "torchvision":
                raise error

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(DataError, match="torchvision does not match torch") as caught:
        load("mnist")
    assert str(error) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_torchvision_knows_the_files_of_every_set():
    for name, files in (("mnist", 4), ("fashion-mnist", 4), ("cifar10", 1), ("cifar100", 1)):
        parts = download._parts(name)
        assert len(parts) == files
        assert all(len(part.md5) == 32 and part.addresses and part.file.endswith(".gz") for part in parts)


def test_the_real_files_have_the_sums_that_torchvision_knows(real_data):
    for name, folder in (("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")):
        for part in download._parts(name):
            content = (real_data / folder / "raw" / part.file).read_bytes()
            assert hashlib.md5(content).hexdigest() == part.md5
