"""Which DATA are shards, what they are called, and what is read of all of them."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from latentcli.core.errors import DataError, OutputError
from latentcli.data import load
from latentcli.data.shards import Shard, blocks, find, records
from latentcli.data.shards.finding import _named
from latentcli.data.shards.patterns import expanded
from latentcli.formats.image_files import Wanted
from latentcli.formats.pixel_values import PixelRules, Span

WANTED = Wanted(16, 16, 1)


@pytest.fixture
def shards(tmp_path, make_shards):
    make_shards(tmp_path / "shards")
    return tmp_path / "shards"


@pytest.mark.parametrize("text", [
    "shards/{00000..00002}.tar", "shards/0000{0,1,2}.tar", "shards/*.tar", "shards/0000[0-2].tar", "shards", "shards/",
])  # fmt: skip
def test_a_pattern_and_a_folder_of_shards_are_all_of_them(shards, text):
    found = load(text)
    assert found.files[:5] == (*(f"00000.tar/00000000{row}.png" for row in range(4)), "00001.tar/000100000.png")
    assert (found.images.shape, found.class_names, found.labels.codes.tolist()) == (
        (12, 1, 16, 16),
        ("0", "1"),
        [0, 1] * 6,
    )
    assert (found.images.mean(axis=(1, 2, 3)) > 128).tolist() == [False, True] * 6
    assert load(text, classes=["1"]).files[0] == "00000.tar/000000001.png"
    assert not load(text, no_classes=True).labels.any


def test_several_shards_are_read_in_the_order_given(shards):
    found = load([shards / "00002.tar", shards / "00000.tar"])
    assert [file[:5] for file in found.files] == ["00002"] * 4 + ["00000"] * 4
    with pytest.raises(DataError, match=r"names a shard twice\n  found .*00000\.tar"):
        load([shards / "00000.tar", shards / "00000.tar"])
    (shards / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"some of DATA are shards, and others are not\n  found .*a\.png"):
        load([shards / "00000.tar", shards / "a.png"])


def test_shards_of_one_name_are_called_with_their_folders(tmp_path, shards):
    shutil.copytree(shards, tmp_path / "more")
    found = find("{more,shards}/00001.tar")
    assert [shard.name for shard in found.all] == ["more/00001.tar", "shards/00001.tar"]


@pytest.mark.parametrize("alike", [
    ["/data/0.tar", "data/0.tar"], ["s3://b//0.tar", "s3://b/0.tar"], ["https://h/0.tar?t=1", "https://h/0.tar?t=2"],
])  # fmt: skip
def test_shards_that_nothing_tells_apart_are_refused(alike):
    with pytest.raises(DataError, match=r"names a shard twice\n  found .* and .*, which would be called alike"):
        _named(alike, "2 shards")


@pytest.mark.parametrize(("text", "first", "count"), [
    ("a/{08..11}.tar", "a/08.tar", 4), ("{1..010}.tar", "001.tar", 10), ("{9..11}.tar", "9.tar", 3),
    ("{x,y}/{0..1}.tar", "x/0.tar", 4), ("a.tar", "a.tar", 1),
    ("s3://b/{000..999}.tar", "s3://b/000.tar", 1000),
])  # fmt: skip
def test_braces_mean_what_webdataset_means_by_them(text, first, count):
    made = expanded(text)
    assert (made[0], len(made), len({*made})) == (first, count, count)


@pytest.mark.parametrize(
    "text", ["{0..99999999999}.tar", "{0..999999999999999999}.tar", "{0..9999}{0..9999}.tar", "{5..1}.tar"]
)
def test_ranges_without_end_or_without_any_are_refused(text):
    with pytest.raises(DataError, match="is no range of shards"):
        load(text)


def test_one_tar_of_a_folder_stays_a_folder(tmp_path, tar, png):
    """Whatever lies beside its images: a JSON file for each, too, where sub-folders are its classes."""
    of_folder = tar(tmp_path / "a.tar", [("cat/1.png", png(0)), ("cat/1.json", b"{}"), ("dog/2.png", png(90))])
    assert load(of_folder).files == ("cat/1.png", "dog/2.png")
    assert load(of_folder).class_names == ("cat", "dog")
    heap = tar(tmp_path / "b.tar", [("1.png", png(0)), ("2.png", png(90))])
    assert load(heap).files == ("1.png", "2.png")
    assert load([heap]).files == ("b.tar/1.png", "b.tar/2.png")
    shard = tar(tmp_path / "c.tar", [("1.png", png(0)), ("1.json", b'{"class": "cat"}'), ("2.png", png(90))])
    assert (load(shard).files, load(shard).class_names) == (("c.tar/1.png", "c.tar/2.png"), ("cat",))
    in_folders = tar(tmp_path / "d.tar", [("x/1.png", png(0)), ("x/1.cls", b"cat"), ("y/2.png", png(90))])
    assert (load(in_folders).files, load(in_folders).class_names) == (("d.tar/x/1.png", "d.tar/y/2.png"), ("cat",))
    several = load("{a,b}.tar")
    assert several.files == ("a.tar/cat/1.png", "a.tar/dog/2.png", "b.tar/1.png", "b.tar/2.png")


def test_a_folder_as_img2dataset_leaves_it_is_its_tars(shards):
    for number in range(3):
        (shards / f"{number:05d}.parquet").write_bytes(b"facts")
        (shards / f"{number:05d}_stats.json").write_text("{}")
    assert len(load(shards)) == 12
    (shards / "more").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        load(shards)


def test_a_packed_shard_that_is_not_there_is_told(tmp_path, tar, png):
    tar(tmp_path / "0.tar.gz", [("1.png", png(0))])
    tar(tmp_path / "2.tar.gz", [("2.png", png(0))])
    assert load("{0,2}.tar.gz").files == ("0.tar.gz/1.png", "2.tar.gz/2.png")
    with pytest.raises(
        DataError, match=r"cannot unpack 1\.tar\.gz\n  No such file or directory\n  unpack it, and name"
    ):
        load("{0..2}.tar.gz")


def test_a_table_of_labels_names_images_of_shards(tmp_path, shards):
    (tmp_path / "labels.csv").write_text("File,Label\n00000.tar/000000001.png,cat\n00002.tar/000200000.png,dog\n")
    found = load(shards, labels=tmp_path / "labels.csv")
    assert {file: text for file, text in zip(found.files, found.labels.texts, strict=True) if text} == {
        "00000.tar/000000001.png": "cat", "00002.tar/000200000.png": "dog",
    }  # fmt: skip


def test_what_cannot_be_read_is_counted_as_in_a_folder(tmp_path, tar, png, monkeypatch):
    good = [(f"{row}.png", png(row)) for row in range(8)]
    tar(tmp_path / "0.tar", [*good, ("8.png", b"no picture"), ("9.json", b'{"status": "failed_to_download"}')])
    with pytest.raises(DataError, match=r"2 of the 10 image files.*\n.*no image beside it: failed_to_download"):
        load(["0.tar"])
    found = load(["0.tar"], max_bad="2")
    assert [name for name, _ in found.bad_files] == ["0.tar/8.png", "0.tar/9.json"]
    assert len(found) == 8


ODD = [("0.json", b'{"label": [1]}'), ("1.json", b"{"), ("2.json", b'{"label": NaN}'), ("3.cls", b"a\nb")]


def test_a_label_that_cannot_be_read_is_told_where_labels_are_wanted(tmp_path, tar, png):
    images = [(f"{row}.png", png(row)) for row in range(5)]
    tar(tmp_path / "0.tar", [*images, *ODD, ("4.cls", b"cat")])
    found = load(["0.tar"], max_bad="0")
    assert (len(found), found.labels.texts.tolist()) == (5, [""] * 4 + ["cat"])
    assert (
        "0.tar: the labels of 4 image(s) cannot be read, such as that of 0.tar/0.png: "
        "its .json has several labels, or one that is no name"
    ) in found.notes
    (tmp_path / "labels.csv").write_text("File,Label\n0.tar/1.png,dog\n")
    for how in ({"no_classes": True}, {"labels": tmp_path / "labels.csv"}):
        of_others = load(["0.tar"], max_bad="0", **how)
        assert len(of_others) == 5
        assert not any("cannot be read" in note for note in of_others.notes)


def test_that_there_are_no_labels_says_where_shards_have_them(tmp_path, tar, png):
    from latentcli.training.mixing import labelled

    heap = [(f"{row}.png", png(row)) for row in range(3)]
    (tmp_path / "tars").mkdir()
    for number in range(2):
        tar(tmp_path / "tars" / f"{number}.tar", heap)
    beside = r"has no labels to learn from\n  expected .*a \.cls file beside .* \(0001\.jpg, 0001\.cls\)"
    for data in ("tars/*.tar", "tars/0.tar", ["tars/0.tar", "tars/1.tar"]):
        with pytest.raises(DataError, match=beside):
            labelled(load(data), None, 0)
    with pytest.raises(DataError, match="has no labels to choose the classes a by\n  expected the class of each image"):
        load("tars/*.tar", classes=["a"])
    with pytest.raises(DataError, match=r"no folders in them are classes, name them as shards: 'tars/\*\.tar'"):
        load("tars")


def test_that_there_are_no_labels_says_where_tables_have_them(tmp_path, png):
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [png(0)]}), "0.parquet")
    assert load("0.parquet").labels_looked_for == "expected a column label beside that of images"


@pytest.mark.parametrize("name", ["0.tar", "memory://shards/0.tar"])
def test_a_shard_that_is_not_there_is_one_error_that_names_it(name):
    if name.startswith("memory"):
        pytest.importorskip("fsspec")
    with pytest.raises(DataError) as caught:
        load([name, name.replace("0", "1")])
    assert name in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_gzipped_shards_are_inflated_to_a_bound(tmp_path, tar, png, monkeypatch):
    tar(tmp_path / "0.tar.gz", [("1.png", png(0)), ("1.cls", b"cat")])
    tar(tmp_path / "1.tgz", [("1.png", png(90)), ("1.cls", b"dog")])
    assert load("{0.tar.gz,1.tgz}").files == ("0.tar.gz/1.png", "1.tgz/1.png")
    whole = (tmp_path / "1.tgz").read_bytes()
    (tmp_path / "1.tgz").write_bytes(whole[:-12])
    with pytest.raises(DataError, match=r"1\.tgz is not a whole archive"):
        load("{0.tar.gz,1.tgz}")
    tar(tmp_path / "1.tgz", [("1.png", bytes(2**24))])
    monkeypatch.setattr("latentcli.data.archives._FREE_BYTES", 2**20)
    with pytest.raises(DataError, match=r"1\.tgz cannot be unpacked\n.*inflates to more than"):
        load("{0.tar.gz,1.tgz}")


FULL = OSError(28, "No space left on device")


def full(*arguments, **more):
    raise FULL


def test_a_full_disk_for_temporary_files_is_told(tmp_path, png, monkeypatch):
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [png(0), png(1)]}), "0.parquet")
    honest = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *how: full() if self.name == "images" else honest(self, *how))
    with pytest.raises(DataError, match=r"cannot be copied to .*\n  No space left on device\n  .*TMPDIR"):
        load("0.parquet")


@pytest.mark.parametrize("name", ["0.parquet", "0.tar.gz", "0.zip"])
def test_that_there_can_be_no_temporary_files_is_told(tmp_path, tar, png, monkeypatch, name):
    (tmp_path / name).write_bytes(b"")
    tar(tmp_path / "0.tar.gz", [("1.png", png(0)), ("1.cls", b"cat")])
    honest = Path.mkdir
    temporary = re.compile(r"\.latentcli\.[0-9a-f]{16}\.tmp")
    monkeypatch.setattr(
        Path, "mkdir", lambda self, *how, **named: full() if temporary.match(self.name) else honest(self, *how, **named)
    )
    with pytest.raises(OutputError, match=r"a folder for temporary files in .*\n  No space left on device\n  .*TMPDIR"):
        load([name] if name.endswith("gz") else name)


def test_blocks_hold_what_load_gives(shards):
    whole = load(shards)
    for shard, start in zip(find(shards).all, (0, 4, 8), strict=True):
        found = [*blocks(shard, 3, WANTED, PixelRules())]
        assert [len(block.images) for block in found] == [3, 1]
        assert np.array_equal(np.concatenate([block.images for block in found]), whole.images[start : start + 4])
        assert sum((block.files for block in found), ()) == whole.files[start : start + 4]
        assert sum((block.labels for block in found), ()) == ("0", "1", "0", "1")


def test_a_block_of_large_files_ends_before_it_has_its_rows(shards, monkeypatch):
    """Since it is held as it is packed, too."""
    sizes = [record.content.size for record in records(find(shards).all[0], shards / "00000.tar")]
    monkeypatch.setattr("latentcli.data.shards.in_blocks._CONTENT", sum(sizes[:3]))
    found = [*blocks(find(shards).all[0], 9, WANTED, PixelRules())]
    assert [len(block.images) for block in found] == [3, 1]


def test_an_image_of_a_block_is_read_by_itself(tmp_path, tar):
    """Numbers of 12 bits are dark among others of 16 bits and alone, unless the model's were of 12."""
    from io import BytesIO

    from PIL import Image

    def deep(level, dtype=np.uint16):
        file = BytesIO()
        Image.fromarray(np.full((16, 16), level, dtype)).save(file, "tiff")
        return file.getvalue()

    tar(tmp_path / "1.tar", [("a.tif", deep(np.nan, np.float32)), ("b.tif", deep(1.0, np.float32))])
    (padding,) = blocks(Shard("1.tar", "1.tar"), 9, WANTED, PixelRules())
    assert (padding.errors, padding.images[:, 0, 0, 0].tolist()) == (("", ""), [0, 255])
    tar(tmp_path / "0.tar", [("a.tif", deep(4095)), ("b.tif", deep(65535)), ("c.tif", deep(300.0, np.float32))])
    shard = Shard("0.tar", "0.tar")
    (plain,) = blocks(shard, 9, WANTED, PixelRules())
    assert plain.images[:, 0, 0, 0].tolist() == [16, 255]
    assert plain.errors[:2] == ("", "")
    assert re.fullmatch(r"float32 from 300 to 300: black and white are unclear.*", plain.errors[2])
    (of_model,) = blocks(shard, 9, WANTED, PixelRules(spans={"whole": Span(0, 4095)}))
    assert of_model.images[0, 0, 0, 0] == 255
    (asked,) = blocks(shard, 9, WANTED, PixelRules(span=Span(0, 600)))
    assert asked.images[:, 0, 0, 0].tolist() == [255, 255, 128]


def test_each_page_of_a_file_in_a_shard_may_be_an_image(tmp_path, tar):
    from io import BytesIO

    from PIL import Image

    file, pages = BytesIO(), [Image.new("L", (16, 16), level) for level in (0, 255)]
    pages[0].save(file, "tiff", save_all=True, append_images=pages[1:])
    tar(tmp_path / "0.tar", [("a.tif", file.getvalue()), ("a.cls", b"scan")])
    found = load("0.tar", pages=True)
    assert (found.files, found.labels.texts.tolist()) == (("0.tar/a.tif[0]", "0.tar/a.tif[1]"), ["scan"] * 2)


def test_parts_are_told_by_the_names_of_shards(tmp_path, png):
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, count in {"train-00000-of-00002": 2, "train-00001-of-00002": 1, "test-00000-of-00001-ab": 3}.items():
        images = [{"bytes": png(row), "path": None} for row in range(count)]
        pq.write_table(pa.table({"image": images, "label": [str(row) for row in range(count)]}), f"{name}.parquet")
    found = load(".")
    assert (len(found), found.parts) == (3, ("train", "test"))
    assert any("train is read (`split` chooses)" in note for note in found.notes)
    assert len(load("*.parquet", split="test")) == len(load(".", prefer="test")) == 3
    with pytest.raises(DataError, match="has no val part"):
        load(".", split="val")
    (tmp_path / "other.parquet").write_bytes(b"")
    with pytest.raises(DataError, match="has no test part, nor any other"):
        load("*.parquet", split="test")


def test_facts_of_img2dataset_are_no_labels(tmp_path, tar, png):
    facts = json.dumps({"caption": "a cat", "url": "https://x.org/1.jpg", "key": "0", "status": "success", "width": 16})
    tar(tmp_path / "0.tar", [("0.png", png(0)), ("0.json", facts.encode()), ("0.txt", b"a cat"), ("1.png", png(50))])
    found = load("0.tar")
    assert (found.files, found.labels.any, found.notes) == (("0.tar/0.png", "0.tar/1.png"), False, ())
