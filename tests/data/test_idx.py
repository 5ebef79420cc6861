"""IDX files, plain and gzipped, whole and damaged."""

import gzip
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcli.core.errors import DataError
from latentcli.data import idx as idx_files
from latentcli.data import load, splits
from latentcli.data.idx import read


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def pixels(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 9, 8), dtype=np.uint8)


def fill(folder, *, zipped, labels=True):
    """A small MNIST: five training images, three test images."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count in (("train", 5), ("t10k", 3)):
        parts = {f"{prefix}-images-idx3-ubyte": idx(pixels(count))}
        if labels:
            parts[f"{prefix}-labels-idx1-ubyte"] = idx(np.arange(count) + 5)
        for name, content in parts.items():
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("inner", ["", "raw"])
def test_a_folder_of_idx_files(tmp_path, zipped, inner):
    fill(tmp_path / "mine" / inner, zipped=zipped)
    train, test = load(tmp_path / "mine"), load(tmp_path / "mine", split="test")
    assert np.array_equal(train.images[:, 0], pixels(5))
    assert np.array_equal(test.images[:, 0], pixels(3))
    assert (train.name, train.layout) == ("mine", "NHW")
    assert train.class_names == ("5", "6", "7", "8", "9")
    assert test.labels.codes.tolist() == [0, 1, 2]
    assert isinstance(train.images, np.memmap) != zipped


def test_labels_are_optional_and_the_only_part_is_read_and_told(tmp_path):
    fill(tmp_path, zipped=True, labels=False)
    assert not load(tmp_path).labels.any
    with pytest.raises(DataError, match=r"has no val part\n.*train and test"):
        load(tmp_path, split="val")
    (tmp_path / "t10k-images-idx3-ubyte.gz").unlink()
    assert len(load(tmp_path, prefer="test")) == 5
    assert "has the train part only" in load(tmp_path, prefer="test").notes[0]
    for source in (tmp_path, tmp_path / "train-images-idx3-ubyte.gz"):
        assert len(load(source, split="train")) == 5
        with pytest.raises(DataError, match=r"(has no|is not the) test part\n  found .*train"):
            load(source, split="test")


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev"])
def test_a_validation_part_is_known_as_that_of_a_folder_is(tmp_path, name):
    fill(tmp_path, zipped=False)
    (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx(pixels(4, 1)))
    (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx(np.arange(4)))
    found = load(tmp_path, split="val")
    assert np.array_equal(found.images[:, 0], pixels(4, 1))
    assert (found.parts, load(tmp_path).parts) == (("train", "val", "test"), ("train", "val", "test"))
    assert "val is read" in found.notes[0]


def test_the_names_of_other_copies(tmp_path):
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx(pixels(2)))
    assert len(load(tmp_path)) == 2


def test_images_and_labels_of_unlike_number(tmp_path):
    fill(tmp_path, zipped=False)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(4)))
    with pytest.raises(DataError, match="5 images and labels of shape"):
        load(tmp_path)


good = idx(pixels(2))
damaged = {
    "empty": b"",
    "short": good[:10],
    "cut": good[:-1],
    "longer": good + b"\0",
    "other type": b"\0\0\x0d" + good[3:],
    "no magic": b"\1" + good[1:],
    "two dimensions": b"\0\0\x08\x02" + good[4:],
    "terabytes": struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 2**31, 2**31) + good[16:],
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("content", damaged.values(), ids=damaged.keys())
def test_damaged_files_are_data_errors(tmp_path, content, zipped):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError, match="not a whole IDX file"):
        load(tmp_path)


def test_a_damaged_gzip_stream(tmp_path):
    zipped = bytearray(gzip.compress(good))
    zipped[-6] ^= 1  # its checksum
    for content in (bytes(zipped), bytes(zipped[:-20]), b"\x1f\x8b rubbish"):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(DataError, match="not a whole IDX file"):
            read(tmp_path / "x")


def test_a_gzip_bomb_is_refused_by_its_header(tmp_path):
    claimed = struct.pack(">4B3I", 0, 0, 8, 3, 2**20, 16, 16)  # 256 MiB
    (tmp_path / "x").write_bytes(gzip.compress(claimed + bytes(2**20)))
    with pytest.raises(DataError, match="may hold"):
        read(tmp_path / "x")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_bytes_are_an_array_or_a_data_error(tmp_path_factory, data):
    content = bytearray(good)
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, 20))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("idx") / "x"
    path.write_bytes(content)
    with suppress(DataError):
        assert read(path).size == 2 * 9 * 8


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_sets(real_data, name):
    test = load(name, split="test", data_root=real_data)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert np.bincount(test.labels.codes).sum() == 10_000
    first = {"mnist": "7", "fashion-mnist": "Ankle boot"}[name]
    assert test.class_names[test.labels.codes[0]] == first
    folder = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[name]
    assert np.array_equal(test.images, load(real_data / folder, split="test").images)


TYPES = {"short": ("idx3-short", 11, ">i2"), "int": ("idx3-int", 12, ">i4"), "float": ("idx3-float", 13, ">f4")}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("one_file", [False, True])
def test_a_range_says_what_is_black_and_white_and_else_it_is_told(tmp_path, kind, one_file):
    name, code, dtype = TYPES[kind]
    scan = (pixels(4).astype("f8") * 10 - 1000).astype(dtype)
    path = tmp_path / f"train-images-{name}"
    path.write_bytes(struct.pack(">4B3I", 0, 0, code, 3, *scan.shape) + scan.tobytes())
    source = path if one_file else tmp_path
    with pytest.raises(DataError, match="black and white are unclear"):
        load(source)
    found = load(source, range="-1000,1550")
    assert np.array_equal(found.images[:, 0], pixels(4))
    assert found.notes == (() if one_file else (f"{Path.cwd().name} has the train part only",))
    twelve = (pixels(4).astype("f8") * (4095 / 255)).round().astype(dtype)
    if kind != "float":
        path.write_bytes(struct.pack(">4B3I", 0, 0, code, 3, *scan.shape) + twelve.tobytes())
        assert "is read as 0…4095; `range`" in load(source).notes[-1]


NO_LABEL = [(None, "56789"), (["7"], "5689"), (["5", "9"], "678"), ([], "56789")]


@pytest.mark.parametrize(("no_label", "classes"), NO_LABEL)
def test_labels_that_mean_none(tmp_path, no_label, classes):
    fill(tmp_path / "mine", zipped=True)
    for source in (tmp_path / "mine", tmp_path / "mine" / "train-images-idx3-ubyte.gz"):
        found = load(source, no_label=no_label)
        assert "".join(found.class_names) == classes
        assert found.labels.known.sum() == len(classes)
        assert any("mean no label" in note or "no label" in note for note in found.notes) == (len(classes) < 5)
    assert not load(tmp_path / "mine", no_classes=True).labels.any


def test_labels_that_a_named_set_does_not_have_are_refused(tmp_path):
    fill(tmp_path / "MNIST" / "raw", zipped=True)
    assert load("mnist", data_root=tmp_path).labels.texts.tolist() == list("56789")
    labels = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx(np.arange(5) + 6)))
    with pytest.raises(DataError, match=r"MNIST/raw is not mnist\n  expected labels 0 to 9, found 10"):
        load("mnist", data_root=tmp_path)
    for number in (-5, -1):
        labels.write_bytes(gzip.compress(b"\0\0\x09\1" + struct.pack(">I5b", 5, 0, 1, 2, number, 4)))
        with pytest.raises(DataError, match=rf"MNIST/raw is not mnist\n  expected labels 0 to 9, found {number}$"):
            load("mnist", data_root=tmp_path)
    labels.write_bytes(gzip.compress(b"\0\0\x0d\1" + struct.pack(">I5f", 5, 0, 1, float("nan"), 3, 4)))
    with pytest.raises(DataError, match=r"expected labels 0 to 9, found images without a label$"):
        load("mnist", data_root=tmp_path)


def test_a_folder_without_idx_images_is_none_of_a_set(tmp_path):
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(5)))
    with pytest.raises(DataError, match="has no IDX images\n  expected such as train-images-idx3-ubyte"):
        idx_files.load(tmp_path, splits.Wanted())


def test_files_of_other_names_beside_a_set_are_no_part_of_it(tmp_path):
    fill(tmp_path, zipped=False)
    (tmp_path / "about-idx.txt").write_text("x")
    (tmp_path / "more-images-idx3-ubyte").write_bytes(idx(pixels(2)))
    (tmp_path / "val-images-idx3-ubyte").mkdir()
    assert (len(load(tmp_path)), load(tmp_path).parts) == (5, ("train", "test"))


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_of_no_images_is_refused(tmp_path, zipped):
    content = idx(pixels(0))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError, match=r"holds no images\n  its array has shape \(0, 9, 8\)"):
        load(tmp_path)


def test_a_file_that_may_not_be_read_is_told(tmp_path, forbid):
    fill(tmp_path, zipped=False)
    forbid(tmp_path / "train-labels-idx1-ubyte")
    with pytest.raises(DataError, match=r"cannot read train-labels-idx1-ubyte\n  Permission denied"):
        load(tmp_path)
