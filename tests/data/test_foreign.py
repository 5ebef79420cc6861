"""What is no image file that is read, and the way to one that is."""

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load


@pytest.mark.parametrize(("name", "call"), [
    ("a b.tar.bz2", "tar -xf "), ("a b.txz", "tar -xf "), ("a b.7z", "7z x "), ("a b.RAR", "unrar x "),
])  # fmt: skip
def test_archives_that_are_not_read_are_to_be_unpacked(tmp_path, name, call):
    (tmp_path / name).write_bytes(b"packed")
    with pytest.raises(DataError, match="packed in a way that is not read") as refused:
        load(tmp_path / name)
    assert refused.value.remedy == f"unpack it, and name the folder: {call}{shlex.quote(str(tmp_path / name))}"


@pytest.mark.parametrize("address", ["https://x.org/a.zip", "http://x.org/", "https://x.org/cat.png"])
def test_an_address_is_not_downloaded_and_shown_as_it_was_given(address):
    with pytest.raises(DataError, match=f"{address.rstrip('/')} is an address") as refused:
        load(address)
    assert "download it" in refused.value.remedy


X = np.random.default_rng(0).integers(0, 256, (4, 8, 8))
Y = ["sad", "glad", "sad", "glad"]


def joined(separator, images=X):
    return [separator.join(map(str, image.ravel().tolist())) for image in images]


PIXELS = {
    "FER2013": ("f.csv", "emotion,pixels,Usage\n" + "".join(
        f"{y},{x},{u}\n" for x, y, u in zip(joined(" "), Y, ["Training", "Training", "Test", "Test"], strict=True))),
    "lists in quotes": ("f.csv", "id;class;image\n" + "".join(
        f'{n};{y};"[{x}]"\n' for n, (x, y) in enumerate(zip(joined(", "), Y, strict=True)))),
    "no header": ("f.tsv", "".join(f"{x}\t{y}\n" for x, y in zip(joined(" "), Y, strict=True))),
    "long cells": ("f.csv", "pixels,y\n" + "".join(
        f"{x},{y}\n" for x, y in zip(joined(" ", X.repeat(32, 1).repeat(32, 2)), Y, strict=True))),
    "rows": ("f.json", json.dumps({"y": Y, "x": X.reshape(4, 64).tolist()})),
    "images": ("f.json", json.dumps(X.tolist())),
    "objects": ("f.json", json.dumps([{"n": n / 2, "image": x.tolist(), "label": y}
                                      for n, (x, y) in enumerate(zip(X / 255, Y, strict=True))])),
}  # fmt: skip


@pytest.mark.parametrize("case", PIXELS)
def test_pixels_in_text_are_refused_with_the_python_that_makes_an_array_file_of_them(tmp_path, case):
    name, text = PIXELS[case]
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"not images\n  found [\d,]+ (pixels|numbers)") as refused:
        load(tmp_path / name)
    exec(refused.value.remedy.split("in Python: ")[1], {})
    found = load((tmp_path / name).with_suffix(".npz"))
    expected, labels = (X[:2], Y[:2]) if case == "FER2013" else (X, Y if "images" not in case else [""] * 4)
    assert np.array_equal(found.images[:, 0, :: found.images.shape[2] // 8, :: found.images.shape[3] // 8], expected)
    assert found.labels.texts.tolist() == labels


@pytest.mark.parametrize(
    "text", ['{"a.png": "cat"}', "[1, 2]", "{", '[["a.png", "cat"]]', "[[1, 2], [3]]", "[[[[" * 9**5]
)
def test_other_json_may_be_labels(tmp_path, text):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(DataError, match="labels of images are given beside them"):
        load(tmp_path / "f.json")


@pytest.mark.parametrize(
    ("name", "way"),
    [("1.mgz", "nibabel"), ("1.hdr", "nibabel"), ("a/b.pdf", "pdftoppm -png set/a/b.pdf"), ("1.csv", "name it, and"),
     ("data_batch_1", "into a folder cifar-10-batches-py, and name the set: cifar10 `data_root`")],
)  # fmt: skip
def test_a_folder_of_what_is_not_read_comes_with_a_way_on(tmp_path, monkeypatch, name, way):
    monkeypatch.chdir(tmp_path)
    path = Path("set", name)
    path.parent.mkdir(parents=True)
    path.write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=re.escape(way)):
        load("set")


def test_a_batch_of_cifar_is_told_to_be_read_as_the_set(tmp_path):
    path = tmp_path / "root" / "cifar-10-batches-py" / "data_batch_1"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    for data in (path, path.parent):
        with pytest.raises(DataError, match=r"cifar10 `data_root` .*root$"):
            load(data)


@pytest.mark.parametrize("place", ["data", "labels"])
def test_a_pipe_is_refused_and_never_opened(tmp_path, place):
    os.mkfifo(tmp_path / "pipe")
    call = {"source": tmp_path / "pipe"} if place == "data" else {"source": "digits", "labels": tmp_path / "pipe"}
    with pytest.raises(DataError, match=r"is a pipe or a device, and no file\n  write what comes"):
        load(**call)


def test_pointers_of_git_lfs_and_pictures_that_are_too_large_come_with_a_way_on(tmp_path):
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(DataError, match=r"a pointer of Git LFS, not the image\n  fetch the images: git lfs pull$"):
        load(tmp_path)
    (tmp_path / "large").mkdir()
    Image.new("1", (9000, 8000)).save(tmp_path / "large" / "1.png")
    with pytest.raises(DataError, match=r"9,000×8,000, more than(.|\n)*in Python: ") as caught:
        load(tmp_path / "large")
    exec(str(caught.value).partition("in Python: ")[2], {"file": tmp_path / "large" / "1.png"})
    assert len(load(tmp_path / "large")) == 1


def test_a_table_that_cannot_be_read_is_none_of_images(tmp_path, forbid):
    (tmp_path / "pixels.csv").write_text(",".join(map(str, range(64))))
    with pytest.raises(DataError, match="found 64 columns of pixels"):
        load("pixels.csv")
    forbid(tmp_path / "pixels.csv")
    with pytest.raises(DataError, match=r"pixels\.csv is a table, not images"):
        load("pixels.csv")


def test_a_folder_of_archives_of_several_arrays_is_told_to_be_read_one_at_a_time(tmp_path):
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", x=X.astype("u1"), y=[0, 1, 0, 1])
    with pytest.raises(DataError, match=r"array files are read one at a time: name a\.npz$") as refused:
        load(tmp_path)
    assert load(refused.value.remedy.rpartition(" ")[2]).labels.texts.tolist() == list("0101")
