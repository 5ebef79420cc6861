"""CIFAR's pickles of Python 2, in folders and archives, and what else could lie there."""

import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from latentcli.core.errors import DataError
from latentcli.data import load

COUNT = 4


def string(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text if len(text) < 256 else b"T" + struct.pack("<I", len(text)) + text


def array_of_python_2(pixels: np.ndarray) -> bytes:
    """The pickle operations that Python 2.7 with numpy 1.6 wrote for a uint8 array."""
    shape = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in pixels.shape) + b"t"
    dtype = (
        b"cnumpy\ndtype\n" + string(b"u1") + b"K\x00K\x01\x87R(K\x03" + string(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2
    )
    start = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + string(b"b") + b"\x87R"
    return start + b"(K\x01" + shape + dtype + b"K\x00tb" + b"\x89" + string(pixels.tobytes()) + b"tb"


def batch_of_python_2(pixels: np.ndarray, labels: list[int], key: bytes) -> bytes:
    """A batch as its authors wrote it: protocol 2, byte strings for text."""
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + string(b"data") + array_of_python_2(pixels) + string(key) + numbers + b"u."


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (COUNT, 3072), dtype=np.uint8)


def files(name):
    """The files of a small CIFAR-10 or CIFAR-100, by name."""
    if name == "cifar10":
        batches = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
        found = {batch: batch_of_python_2(pixels(n), [n, 1, 2, 9], b"labels") for n, batch in enumerate(batches)}
        return found | {"batches.meta": pickle.dumps({"label_names": list("abcdefghij"), "num_vis": 3072}, 2)}
    fine = {
        batch: batch_of_python_2(pixels(n), [n, 1, 2, 99], b"fine_labels") for n, batch in enumerate(("train", "test"))
    }
    coarse = b"".join([string(b"coarse_labels"), b"](", *(b"K" + bytes([label]) for label in (19, 0, 7, 7)), b"e"])
    found = {batch: content[:-2] + coarse + b"u." for batch, content in fine.items()}
    names = {"fine_label_names": [f"c{n}" for n in range(100)], "coarse_label_names": [f"s{n}" for n in range(20)]}
    return found | {"meta": pickle.dumps(names, 2)}


FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
ARCHIVES = {"cifar10": "cifar-10-python.tar.gz", "cifar100": "cifar-100-python.tar.gz"}


def unpacked(root, name, **changed):
    folder = root / FOLDERS[name]
    folder.mkdir(parents=True)
    for file, content in (files(name) | changed).items():
        (folder / file).write_bytes(content)
    return root


def packed(root, name, before=(), **changed):
    root.mkdir(exist_ok=True)
    with tarfile.open(root / ARCHIVES[name], "w:gz") as archive:
        for member in before:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
        for file, content in reversed((files(name) | changed).items()):
            member = tarfile.TarInfo(f"{FOLDERS[name]}/{file}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return root


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("make", [unpacked, packed])
def test_both_sets_as_published(tmp_path, name, make):
    make(tmp_path / "root", name)
    before = sorted(tmp_path.rglob("*"))
    train = load(name, data_root=tmp_path / "root")
    test = load(name, data_root=tmp_path / "root", split="test")
    assert sorted(tmp_path.rglob("*")) == before  # nothing was unpacked
    batches = range(5) if name == "cifar10" else range(1)
    assert np.array_equal(train.images, np.concatenate([pixels(n) for n in batches]).reshape(-1, 3, 32, 32))
    assert np.array_equal(test.images, pixels(batches.stop).reshape(-1, 3, 32, 32))
    assert train.labels.codes[:4].tolist() == [0, 1, 2, 9 if name == "cifar10" else 99]
    assert len(train.class_names) == (10 if name == "cifar10" else 100)
    assert (train.name, train.layout) == (name, "NCHW")


def evil(marker):
    class Bomb:
        def __reduce__(self):
            return marker.touch, ()

    return pickle.dumps({"data": Bomb(), "labels": [0]}, 2)


@pytest.mark.parametrize("make", [unpacked, packed])
def test_pickles_that_run_code_are_refused_and_do_not_run(tmp_path, make):
    marker = tmp_path / "marker"
    root = make(tmp_path / "root", "cifar10", data_batch_3=evil(marker))
    with pytest.raises(DataError, match=r"data_batch_3 is not a file of CIFAR"):
        load("cifar10", data_root=root)
    assert not marker.exists()


def dumped(**content):
    return pickle.dumps(content, 2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"rubbish",
        pickle.dumps([1], 2),
        dumped(labels=[0]),
        dumped(data=[1, 2], labels=[0, 1]),
        dumped(data=pixels(0)[:, :100].copy(), labels=[0] * COUNT),
        dumped(data=pixels(0).astype(float), labels=[0] * COUNT),
        dumped(data=pixels(0), labels=[0] * 3),
        dumped(data=pixels(0), labels=[0, 1, 2, 10]),
        dumped(data=pixels(0), labels=[0, 1, 2, -1]),
        dumped(data=pixels(0), labels=[0, 1, 2, "x"]),
        dumped(data=pixels(0), labels=[0, 1, 2, 10**9]),
        dumped(data=pixels(0)[:0], labels=[]),
        dumped(data=pixels(0)[:3], labels=[0, 1, 2]),
    ],
)
def test_batches_that_are_not_cifar(tmp_path, content):
    with pytest.raises(DataError, match="is not a file of CIFAR"):
        load("cifar10", data_root=unpacked(tmp_path, "cifar10", data_batch_2=content))


@pytest.mark.parametrize("names", [None, [], ["a"], [1] * 10])
def test_class_names_that_are_not_cifar(tmp_path, names):
    with pytest.raises(DataError, match="is not a file of CIFAR"):
        load("cifar10", data_root=unpacked(tmp_path, "cifar10", **{"batches.meta": dumped(label_names=names)}))


def member(name, kind=tarfile.REGTYPE, size=0, target=""):
    found = tarfile.TarInfo(name)
    found.type, found.size, found.linkname = kind, size, target
    return found


def test_other_members_of_archives_are_passed_over(tmp_path):
    batch = f"{FOLDERS['cifar10']}/data_batch_1"
    before = [
        member("../outside", size=5),
        member("/tmp/latentcli-absolute", size=5),
        member(batch, tarfile.SYMTYPE, target="/etc/passwd"),
        member(batch, tarfile.LNKTYPE, target="../outside"),
        member(batch, tarfile.FIFOTYPE),
        member(f"../{batch}", size=5),
    ]
    root = packed(tmp_path / "root", "cifar10", before=before)
    assert len(load("cifar10", data_root=root)) == 5 * COUNT
    assert sorted(path.name for path in tmp_path.rglob("*")) == [ARCHIVES["cifar10"], "root"]


def test_archives_that_are_damaged_or_lack_a_batch(tmp_path):
    path = packed(tmp_path, "cifar10") / ARCHIVES["cifar10"]
    content = path.read_bytes()
    for damaged in (b"", b"rubbish", content[: len(content) // 2], content[:100] + bytes(50) + content[150:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="is not a file of CIFAR"):
            load("cifar10", data_root=tmp_path)
    with tarfile.open(path, "w:gz"):
        pass
    with pytest.raises(DataError, match="an archive without cifar-10-batches-py/"):
        load("cifar10", data_root=tmp_path)


def test_archives_that_inflate_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("latentcli.data.cifar._LARGEST_ARCHIVE", 2**20)
    root = packed(tmp_path, "cifar10", before=[member("zeros", size=2**23)])
    with pytest.raises(DataError, match="inflates to more"):
        load("cifar10", data_root=root)


@pytest.mark.parametrize("put", [unpacked, packed])
def test_cifar100_is_also_known_by_its_superclasses(tmp_path, put):
    put(tmp_path, "cifar100")
    fine, coarse = (load(name, split="test", data_root=tmp_path) for name in ("cifar100", "cifar100-coarse"))
    assert coarse.labels.codes.tolist() == [19, 0, 7, 7]
    assert coarse.class_names == tuple(f"s{n}" for n in range(20))
    assert coarse.name == "cifar100-coarse"
    assert np.array_equal(coarse.images, fine.images)


@pytest.mark.parametrize("put", [unpacked, packed])
def test_batches_that_are_longer_than_any_of_cifar_are_not_read(tmp_path, monkeypatch, put):
    root = put(tmp_path / "root", "cifar10")
    monkeypatch.setattr("latentcli.data.cifar._LARGEST_BATCH", 9_000)
    with pytest.raises(
        DataError, match=r"(batch_\d|batches.meta) is not a file of CIFAR's .*\n  found 12,\d\d\d bytes"
    ):
        load("cifar10", data_root=root)


@pytest.mark.parametrize(
    ("put", "name"), [(unpacked, "cifar-10-batches-py/data_batch_4"), (packed, ARCHIVES["cifar10"])]
)
def test_a_batch_that_may_not_be_read_is_told(tmp_path, forbid, put, name):
    root = put(tmp_path / "root", "cifar10")
    forbid(root / name)
    with pytest.raises(DataError, match=rf"cannot read root/{name}\n  Permission denied"):
        load("cifar10", data_root=root)
