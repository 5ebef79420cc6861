"""Folders, archives and files as people have them: each with the images, classes and notes that are right for it."""

import gzip
import io
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load
from latentcli.data.splits import part_of


def picture(level: int = 100) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (9, 8), level).save(stream, "PNG")
    return stream.getvalue()


def put(folder: Path, *names: str) -> Path:
    """Pictures of these names; each is as bright as its place in the list."""
    for level, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture((100 + 60 * level) % 256))
    return folder


LAYOUTS = [
    # files; how they are read; the files that are read; the classes; what a note says
    ("train/a/1 train/b/2 test/a/3 test/b/4", {}, "train/a/1 train/b/2", "ab", "parts train and test: train is read"),
    ("train/a/1 train/b/2 test/a/3 test/b/4", {"split": "test"}, "test/a/3 test/b/4", "ab", "test is read"),
    ("Training/a/1 Validation/a/2 Testing/a/3", {"split": "val"}, "Validation/a/2", "a", "val is read"),
    ("train/a/1 valid/a/2", {"prefer": "test"}, "valid/a/2", "a", "val is read, for want of a test part"),
    ("train/1 train/2 test/3", {}, "train/1 train/2", "", "train is read"),
    ("x/y/train_set/a/1 x/y/test_set/a/2", {"split": "test"}, "x/y/test_set/a/2", "a", "test is read"),
    ("seg_train/seg_train/a/1 seg_train/seg_train/b/2 seg_test/seg_test/a/3 seg_pred/4", {},
     "seg_train/seg_train/a/1 seg_train/seg_train/b/2", "ab", "seg_pred left out"),
    ("train1/a/1 test1/a/2", {"split": "test"}, "test1/a/2", "a", "parts train and test: test is read"),
    ("train2017/1 val2017/2", {}, "train2017/1", "", "parts train and val: train is read"),
    ("train_images/1 test_images/2", {"split": "test"}, "test_images/2", "", "test is read"),
    ("train-50k/a/1 test-10k/a/2 unlabeled/3", {}, "train-50k/a/1", "a", "unlabeled left out"),
    ("set/x_train_hr.v2/1 set/x_valid_HR.v2/2", {"split": "val"}, "set/x_valid_HR.v2/2", "", "val is read"),
    ("bus_station/1 train_station/2", {}, "bus_station/1 train_station/2", "bus_station train_station", None),
    ("test_a/1 train_b/2", {}, "test_a/1 train_b/2", "test_a train_b", None),
    ("train/a/1 test/2", {"split": "test"}, "test/2", "", "test is read"),
    ("labeled/a/1 labeled/b/2 unlabeled/3", {}, "labeled/a/1 labeled/b/2 unlabeled/3", "ab", "folders within labeled/"),
    ("x/a/1 x/a/far/2 x/b/3 Unknown/y/4", {}, "Unknown/y/4 x/a/1 x/a/far/2 x/b/3", "ab", "1 of 4 labels"),
    ("train/labeled/a/1 train/labeled/b/2 train/unlabelled/3 test/a/4", {},
     "train/labeled/a/1 train/labeled/b/2 train/unlabelled/3", "ab", "within labeled/"),
    ("c/1 c/x/2 unlabeled/3", {}, "c/1 c/x/2 unlabeled/3", "c", "belong to the class"),
    ("train/a/1 train/b/2 test/a/3 unlabeled/4", {}, "train/a/1 train/b/2", "ab", "put it beside the classes: mv "),
    ("01_train/a/1 01_train/b/2 02_val/a/3 03_test/b/4", {"split": "test"}, "03_test/b/4", "b", "test is read"),
    ("1-train/a/1 2-test/a/2", {}, "1-train/a/1", "a", "train is read"),
    ("with/1 without/2 test/3", {}, "test/3 with/1 without/2", "test with without", "leave it out: `classes` with,wi"),
    ("cat/1 dog/2 val_images/3", {}, "cat/1 dog/2 val_images/3", "cat dog val_images", "val_images is called as a pa"),
    ("cat/1 pregnancy_test/2", {}, "cat/1 pregnancy_test/2", "cat pregnancy_test", None),
    ("trainA/1 trainZ/2", {}, "trainA/1 trainZ/2", "trainA trainZ", None),
    ("trainA/a/1 testA/a/2", {"split": "test"}, "testA/a/2", "a", "test is read"),
    ("train/1 bus/2 tram/3", {}, "bus/2 train/1 tram/3", "bus train tram", None),
    ("dataset/a/1 dataset/b/2", {}, "dataset/a/1 dataset/b/2", "ab", "nothing but dataset/"),
    ("a/1 a/left/2 a/left/far/3 b/4", {}, "a/1 a/left/2 a/left/far/3 b/4", "ab", "belong to the class"),
    ("a/train/1 a/test/2 b/train/3 b/test/4", {}, "a/train/1 b/train/3", "ab", "parts train and test: train is read"),
    ("x/a/Train/1 x/a/valid/2 x/b/train/3 x/b/val/4", {"split": "val"}, "x/a/valid/2 x/b/val/4", "ab", "val is read"),
    ("a/train/1 a/train/far/2 a/test/3 b/train/4 b/test/5 b/more/6", {}, "a/train/1 a/train/far/2 b/train/4", "ab",
     "b/more left out"),
    ("a/train/1 a/test/2 b/train/3 b/test/4", {"no_classes": True}, "a/train/1 b/train/3", "", "train is read"),
    ("a/train/1 a/test/2 b/train/3", {}, "a/test/2 a/train/1 b/train/3", "ab", "belong to the class"),
    ("a/train/1 a/test/2 a/3 b/train/4 b/test/5", {}, "a/3 a/test/2 a/train/1 b/test/5 b/train/4", "ab",
     "each class has"),
    ("a/train/1 a/test/2 b/4", {"prefer": "test"}, "a/test/2 a/train/1 b/4", "ab", "belong to the class"),
    ("a/x/1 b/x/2 b/y/3", {}, "a/x/1 b/x/2 b/y/3", "ab", "3 images"),
    ("2023/01/1 2023/02/2 2024/01/3", {"no_classes": True}, "2023/01/1 2023/02/2 2024/01/3", "", None),
    ("1 a/2 a/b/3", {"no_classes": True}, "1 a/2 a/b/3", "", None),
    ("train/2023/1 test/2023/2", {"no_classes": True}, "train/2023/1", "", "train is read"),
]  # fmt: skip


def names(files: str, end: str = ".png") -> list[str]:
    return [name + end for name in files.split()]


def check(found, read: str, classes: str, note: str | None):
    assert list(found.files) == names(read)
    assert found.class_names == tuple(classes.split() if " " in classes else classes)
    if classes:
        assert all(
            code < 0 or found.class_names[code] in name.split("/")
            for code, name in zip(found.labels.codes, found.files, strict=True)
        )
    assert (note is None and not found.notes) or any(note in told for told in found.notes)


@pytest.mark.parametrize(("files", "how", "read", "classes", "note"), LAYOUTS)
def test_layouts(tmp_path, files, how, read, classes, note):
    check(load(put(tmp_path / "set", *names(files)), **how), read, classes, note)


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
@pytest.mark.parametrize(("files", "how", "read", "classes", "note"), LAYOUTS[::3])
def test_an_archive_is_read_as_its_folder_is(tmp_path, files, how, read, classes, note, kind):
    folder = put(tmp_path / "set", *names(files))
    path = Path(shutil.make_archive("packed", kind, folder)).relative_to(Path.cwd())
    before = sorted(tmp_path.rglob("*")), sorted(Path(tempfile.gettempdir()).glob("latentcli-*"))
    found = load(path, **how)
    check(found, read, classes, note)
    assert found.name == str(path)
    assert np.array_equal(found.images, load(folder, **how).images)
    assert before == (sorted(tmp_path.rglob("*")), sorted(Path(tempfile.gettempdir()).glob("latentcli-*")))


def test_an_archive_of_idx_files_is_read(tmp_path):
    pixels = np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8)
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("train-images-idx3-ubyte", struct.pack(">4B3I", 0, 0, 8, 3, 2, 8, 8) + pixels.tobytes())
    assert np.array_equal(load(tmp_path / "mine.zip").images[:, 0], pixels)


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, picture())
    return path


def tarred(path: Path, *members: tuple[str, bytes | None, str]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind or tarfile.REGTYPE, target, 0 if kind else len(picture())
            archive.addfile(member, None if kind else io.BytesIO(picture()))
    return path


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png", "a/../../out.png", "..\\out.png", "C:\\out.png"])
def test_no_path_leaves_an_archive(tmp_path, name):
    for path in (zipped(tmp_path / "a.zip", "ok.png", name), tarred(tmp_path / "a.tgz", (name, None, ""))):
        with pytest.raises(DataError, match="outside itself"):
            load(path)
    assert not (tmp_path / "out.png").exists()


def test_links_and_devices_in_an_archive_are_left_out_and_told(tmp_path):
    members = [("a.png", None, ""), ("l.png", tarfile.SYMTYPE, "/etc/passwd"), ("f.png", tarfile.FIFOTYPE, "")]
    found = load(tarred(tmp_path / "a.tar", *members))
    assert found.files == ("a.png",)
    (note,) = found.notes
    assert note.startswith("a.tar: 2 links and devices were left out: l.png …; for what links lead to, pack it again")
    escape = [("d", tarfile.SYMTYPE, str(tmp_path)), ("d/out.png", None, "")]
    assert load(tarred(tmp_path / "b.tar", *escape)).files is not None
    assert not (tmp_path / "out.png").exists()


def test_an_archive_of_links_alone_is_refused_with_the_way_to_pack_it(tmp_path):
    put(tmp_path / "real", "a/1.png", "b/2.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").symlink_to((tmp_path / "real" / "a").resolve())
    for options in ("", "h"):
        path = tmp_path / f"links{options}.tar"
        subprocess.run(["tar", f"-c{options}f", path, "-C", tmp_path, "set"], check=True)
    with pytest.raises(DataError, match=r"holds no images(.|\n)*1 links and devices(.|\n)*pack it again with tar -h"):
        load(tmp_path / "links.tar")
    assert load(tmp_path / "linksh.tar").files == ("set/a/1.png",)


def test_a_second_name_of_a_file_in_an_archive_is_read(tmp_path):
    hard = [("a/1.png", None, ""), ("b/1.png", tarfile.LNKTYPE, "a/1.png"), ("b/2.png", tarfile.LNKTYPE, "later.png")]
    found = load(tarred(tmp_path / "a.tgz", *hard))
    assert (found.files, found.class_names) == (("a/1.png", "b/1.png"), ("a", "b"))
    assert "1 links and devices were left out: b/2.png" in found.notes[0]
    for target in ("../../out.png", "/etc/passwd"):
        with pytest.raises(DataError, match="outside itself"):
            load(tarred(tmp_path / "b.tar", ("a.png", None, ""), ("b.png", tarfile.LNKTYPE, target)))


ARRAYS = {  # the arrays of a folder, whose suffix is in their names, and what follows from the advice
    "an npz each": ({"a/1.npz": (8, 8), "b/2.npz": (8, 8)}, 2, "ab"), "npz in unlike sizes": ({
        "a/1.npz": (8, 9), "b/2.npz": (12, 10)}, 2, "ab"), "one npz": ({"a/1.npz": (5, 8, 8)}, 5, ""),
    "one file": ({"set.npz": (5, 8, 8)}, 5, ""), "an image each": ({"1.npy": (8, 8), "2.npy": (8, 8)}, 2, ""),
    "in classes": ({"a/1.npy": (8, 8, 3), "b/2.npy": (8, 8, 3), "b/3.npy": (8, 8, 3)}, 3, "ab"),
    "labels beside": ({"x.npy": (4, 8, 8), "y.npy": (4,)}, 4, "01"),
    "unlike sizes": ({"a/1.npy": (8, 9), "b/2.npy": (12, 10), "b/3.npy": (8, 9, 3)}, 3, "ab"),
    "two sets": ({"x.npy": (4, 8, 8), "z.npy": (3, 8, 8)}, 4, ""),
    "two sets of one size": ({"x.npy": (4, 8, 8), "z.npy": (4, 8, 8)}, 4, ""),
    "an npz beside labels": ({"b.npz": (5, 8, 8), "a.npy": (5,)}, 5, "01"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("case", ARRAYS)
def test_array_files_in_a_folder_or_an_archive_come_with_the_way_to_read_them(tmp_path, case, kind):
    arrays, count, classes = ARRAYS[case]
    path = folder = tmp_path / "set"
    for name, shape in arrays.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        values = np.arange(np.prod(shape)).reshape(shape) % 200
        values = values % 2 if len(shape) == 1 else values.astype("u1")
        np.savez(folder / name, data=values) if name.endswith("z") else np.save(folder / name, values)
    if kind != "folder":
        path = Path(shutil.make_archive(str(tmp_path / "packed"), kind, folder))
    with pytest.raises(DataError, match="holds no images") as caught:
        load(path)
    remedy = caught.value.remedy.replace(str(path), str(folder))
    assert remedy.startswith("unpack it, and where its files are now: ") == (kind != "folder")
    if "in Python: " in remedy:
        exec(remedy.split("in Python: ")[1], {})
        found = load(folder if "TIFF" in remedy else f"{folder}.npz")
    else:
        name, _, labels = remedy.split("name ")[1].partition(", and, if they are its labels, `labels` ")
        found = load(name, labels=labels or None)
    assert (len(found), "".join(found.class_names)) == (count, classes)


def test_a_zip_that_lists_too_many_files_is_refused_before_they_are_counted(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", *(f"a/{number}.png" for number in range(9)))
    assert len(load(path)) == 9
    monkeypatch.setattr("latentcli.data.archives._MAX_LIST", 400)
    monkeypatch.setattr(zipfile, "ZipInfo", None)
    with pytest.raises(DataError, match=r"a\.zip cannot be unpacked\n  its list of files has 4\d\d bytes, of 400 at"):
        load(path)


def test_an_archive_of_more_files_than_there_may_be_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("latentcli.data.archives._MAX_FILES", 2)
    members = [(f"{number}.png", None, "") for number in range(3)]
    assert len(load(tarred(tmp_path / "two.tar", *members[:2]))) == 2
    for path in (zipped(tmp_path / "a.zip", "0.png", "1.png", "2.png"), tarred(tmp_path / "a.tgz", *members)):
        with pytest.raises(DataError, match=rf"{path.name} cannot be unpacked\n  it holds more than 2 files"):
            load(path)


def test_links_in_a_zip_are_left_out_and_told(tmp_path):
    with zipfile.ZipFile(zipped(tmp_path / "a.zip", "a.png"), "a") as archive:
        link = zipfile.ZipInfo("l.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    found = load(tmp_path / "a.zip")
    assert found.files == ("a.png",)
    assert found.notes[0].startswith("a.zip: 1 links and devices were left out: l.png; for what links lead to, pack")


def test_a_zip_that_is_packed_in_a_way_that_is_not_known_is_refused(tmp_path):
    content = bytearray(zipped(tmp_path / "a.zip", "a.png").read_bytes())
    content[8] = content[content.index(b"PK\1\2") + 10] = 97  # the method of the member, and of the directory
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip is not a whole archive\n  found That compression method"):
        load(tmp_path / "a.zip")


def test_archives_that_are_damaged_or_too_large_are_refused(tmp_path, monkeypatch):
    whole = zipped(tmp_path / "a.zip", "a/1.png", "b/2.png").read_bytes()
    packed = tarred(tmp_path / "a.tgz", ("a.png", None, "")).read_bytes()
    for name, content in {
        "cut.zip": whole[:-9], "text.zip": b"hello", "empty.tar": b"", "cut.tar.gz": packed[:-12],
        "text.tgz": b"hello", "flipped.tgz": packed[:30] + bytes(9) + packed[39:],
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError) as caught:
            load(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "latentcli-" not in str(caught.value)
    with pytest.raises(DataError, match="cannot unpack"):
        load(zipped(tmp_path / "within.zip", "a.png", "a.png/b.png"))
    with pytest.warns(UserWarning, match="Duplicate"):
        zipped(tmp_path / "twice.zip", "x/a.png", "x/b.png", "x/a.png")
    with pytest.raises(DataError, match=r"twice\.zip has one name twice\n  found 'x/a\.png'\n  pack it again"):
        load(tmp_path / "twice.zip")
    locked = bytearray(zipped(tmp_path / "locked.zip", "a.png").read_bytes())
    locked[6] |= 1  # of the member, and of the directory
    locked[locked.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(DataError, match=r"locked\.zip is encrypted\n  unpack it with its password"):
        load(tmp_path / "locked.zip")
    monkeypatch.setattr("latentcli.data.archives._FREE_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2**26))
    with tarfile.open(tmp_path / "big.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("a.png")
        member.size = 2**26
        archive.addfile(member, io.BytesIO(bytes(2**26)))
    for name in ("bomb.zip", "big.tgz"):
        with pytest.raises(DataError, match="inflates to more than"):
            load(tmp_path / name)


def test_single_pictures_are_read_in_the_order_given(tmp_path):
    put(tmp_path, "b.png", "a.png")
    one = load(tmp_path / "a.png")
    assert (len(one), one.name, one.labels.any) == (1, "a.png", False)
    two = load([tmp_path / "b.png", tmp_path / "a.png"])
    assert [Path(file).name for file in two.files] == ["b.png", "a.png"]
    assert two.images[0].max() < two.images[1].max()
    with pytest.raises(DataError, match="cannot be read"):
        load([tmp_path / "a.png", tmp_path / "none.png"])


@pytest.mark.parametrize("pattern", ["*.png", "a?.png", "*/*/*.png", "[ab]*", "set/**/*.png"])
def test_a_pattern_that_no_shell_expanded_is_refused_with_the_folder_to_name(tmp_path, monkeypatch, pattern):
    put(tmp_path, "a1.png", "set/b/1.png", "set/c/2.png")
    monkeypatch.chdir(tmp_path)
    for source in (pattern, ["a1.png", pattern]):
        with pytest.raises(DataError, match=r"is a pattern(.|\n)*such as \S+(.|\n)*name the folder") as caught:
            load(source)
    folder = caught.value.remedy.split("name the folder: ")[1].split(",")[0]
    assert folder == ("set" if pattern.startswith("set") else ".")
    assert folder == "." or len(load(folder)) == 2
    with pytest.raises(DataError, match=r"no file is called so(.|\n)*ls set"):
        load("set/*.npz")
    put(tmp_path, "[ab]*.png")
    assert len(load("[ab]*.png")) == 1


@pytest.mark.parametrize("text", ["~/set", "$PLACE/set", "${PLACE}/set/b/1.png"])
def test_a_path_that_no_shell_expanded_is_refused_with_what_it_is(tmp_path, monkeypatch, text):
    put(tmp_path, "set/b/1.png", "set/c/2.png")
    monkeypatch.setenv("PLACE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match="write it out") as caught:
        load(text)
    assert Path(load(caught.value.remedy.split(": ")[1]).name).name in ("set", "1.png")


def test_a_home_of_somebody_unknown_is_a_name_like_any_other(tmp_path):
    name = "~nobody-of-this-name/set"
    with pytest.raises(DataError, match=f"^{name} is no file, folder or data set"):
        load(name)
    put(tmp_path, f"{name}/1.png")
    assert load(name).files == ("1.png",)


def test_images_without_labels_beside_a_part_that_has_none_are_not_told_to_be_put_to_it(tmp_path):
    found = load(put(tmp_path / "set", *names("train/1 test/2 unlabeled/3")))
    assert found.files == ("train/1.png",)
    assert "unlabeled left out" in found.notes[0]
    assert not any("mv " in note for note in found.notes)


def test_folders_in_folders_in_folders_without_end_are_read_as_one_class(tmp_path):
    file = "x/" * 20 + "1.png"
    found = load(put(tmp_path / "set", file))
    assert (found.files, found.class_names) == ((file,), ("x",))
    assert f"set holds nothing but {'x/' * 16}, which is read" in found.notes


def test_that_what_lies_beside_a_part_cannot_be_read_hides_no_error(tmp_path, forbid):
    put(tmp_path / "set", "train/1.png", "test/2.png")
    told = "train has no test part, nor any other"
    with pytest.raises(DataError, match=rf"{told}\n.*\n  name the part that lies beside it: set/test; or leave out"):
        load("set/train", split="test")
    forbid(tmp_path / "set")
    with pytest.raises(DataError, match=rf"{told}\n.*\n  leave out `split`"):
        load("set/train", split="test")


@pytest.mark.parametrize(
    ("name", "part"),
    [("Train", "train"), ("validation", "val"), ("test-images", "test"), ("my_valid", "val"), ("trainset", "train"),
     ("train2017", "train"), ("val_images_10k", "val"), ("test drive", None),
     ("strain", None), ("latest", None), ("evaluate", None), ("attestation", None), ("", None)],
)  # fmt: skip
def test_names_of_parts(name, part):
    assert part_of(name) == part


def test_parts_that_are_not_there_or_there_twice(tmp_path):
    put(tmp_path / "set", "train/a/1.png", "val/a/2.png", "valid/a/3.png")
    with pytest.raises(DataError, match=r"two val parts\n  found val and valid\n  name one of them: .*set/val"):
        load(tmp_path / "set")
    put(tmp_path / "numbered", "train1/a/1.png", "train2/a/2.png", "test1/a/3.png")
    with pytest.raises(DataError, match=r"two train parts\n  found train1 and train2\n"):
        load(tmp_path / "numbered")
    put(tmp_path / "joined", *(f"{part}_{each}/1.png" for part in ("train", "test") for each in ("cat", "dog")))
    (tmp_path / "joined/test_dog").rename(tmp_path / "joined/dog")
    with pytest.raises(DataError, match=r"several sets of parts\n  found .*train_cat, .*train_dog"):
        load(tmp_path / "joined")
    put(tmp_path / "domains", *(f"{part}{each}/1.png" for part in ("train", "test") for each in "AB"))
    with pytest.raises(DataError, match=r"several sets of parts\n  found testA, trainA, testB, trainB\n  name one of"):
        load(tmp_path / "domains")
    put(tmp_path / "other", "val/a/1.png", "test/a/2.png")
    with pytest.raises(DataError, match=r"no train part\n  found val and test\n  choose one: `split` val"):
        load(tmp_path / "other")
    put(tmp_path / "two", "train/a/1.png", "val/a/2.png")
    with pytest.raises(DataError, match=r"no test part\n  found train and val\n"):
        load(tmp_path / "two", split="test")


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("flat", "sub-folders such as train"), ("classes", "sub-folders such as train"), ("a.zip", "sub-folders"),
        ("plain.npz", "x_train and x_test"), ("plain.npy", "an .npz file"), ("flat/1.png", "a folder with sub-folders"),
    ],
)  # fmt: skip
def test_a_part_that_is_asked_of_data_without_parts_is_refused(tmp_path, source, expected, part):
    put(tmp_path, "flat/1.png", "flat/2.png", "classes/a/1.png", "classes/b/2.png")
    zipped(tmp_path / "a.zip", "a/1.png", "b/2.png")
    pixels = np.arange(128, dtype=np.uint8).reshape(2, 8, 8)
    np.savez(tmp_path / "plain.npz", data=pixels, labels=[0, 1])
    np.save(tmp_path / "plain.npy", pixels)
    assert len(load(tmp_path / source)) == len(load(tmp_path / source, prefer=part))
    with pytest.raises(DataError, match=f"{Path(source).name} has no {part} part, nor any other\n.*{expected}.*\n"):
        load(tmp_path / source, split=part)


def test_a_name_that_shadows_a_folder_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(put(tmp_path, "digits/a/1.png", "digits/b/2.png").resolve())
    assert load("digits").notes == (
        "digits is the data set of that name; what lies here under the same name is read as ./digits",
    )
    assert load("./digits").class_names == ("a", "b")
    assert load(Path("digits")).class_names == ("a", "b")
    monkeypatch.chdir(os.sep)
    assert not load("digits").notes


def idx(array: np.ndarray, code: int, kind: str) -> bytes:
    header = struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return gzip.compress(header + array.astype(kind).tobytes())


@pytest.mark.parametrize(
    ("prefix", "labels", "classes", "note"),
    [
        ("emnist-letters-{}", ("labels-idx1-ubyte", np.array([3, 1, 2]), 8, "u1"), "123", "rows and columns exchanged"),
        ("qmnist-{}", ("labels-idx2-int", np.arange(24).reshape(3, 8), 12, ">i4"), "0 8 16", "the first is the class"),
        ("{}", ("labels-idx1-short", np.array([300, 5, 5]), 11, ">i2"), "5 300", "test is read"),
    ],
)
def test_idx_files_of_other_sets(tmp_path, prefix, labels, classes, note):
    name, values, code, kind = labels
    pixels = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8)
    for part in ("train", "test"):
        start = tmp_path / prefix.format(part)
        Path(f"{start}-images-idx3-ubyte.gz").write_bytes(idx(pixels, 8, "u1"))
        Path(f"{start}-{name}.gz").write_bytes(idx(values, code, kind))
    for source in (tmp_path, Path(f"{start}-images-idx3-ubyte.gz")):
        found = load(source, split="test")
        assert np.array_equal(found.images[:, 0], pixels)
        assert found.class_names == tuple(classes.split() if " " in classes else classes)
        assert [int(text) for text in found.labels.texts] == values.reshape(3, -1)[:, 0].tolist()
    assert any(note in told for told in load(tmp_path, split="test").notes)


def test_several_sets_of_idx_files_are_told_apart(tmp_path):
    for name in ("emnist-letters", "emnist-digits"):
        content = idx(np.zeros((2, 8, 8)), 8, "u1")
        (tmp_path / f"{name}-train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"found emnist-digits, emnist-letters\n  name a file of images: .*idx3-ubyte"):
        load(tmp_path)
    assert len(load(tmp_path / "emnist-letters-train-images-idx3-ubyte.gz")) == 2


@pytest.mark.parametrize(
    ("header", "row", "column", "labels"),
    [
        ("label," + ",".join(f"pixel{i}" for i in range(64)), ",".join, 0, ["7", "4"]),
        (";".join([*(f"p{i}" for i in range(64)), "class"]), ";".join, 64, ["cat", "dog"]),
        (None, "\t".join, 0, ["7", "4"]),
    ],
)
def test_the_lines_that_make_an_npz_of_a_table_of_pixels_work(tmp_path, header, row, column, labels):
    pixels = np.arange(2 * 64).reshape(2, 64)
    table = np.insert(pixels.astype(object), column, labels, axis=1).astype(str)
    rows = map(row, table.tolist())
    (tmp_path / "t.csv").write_text("\n".join([*([header] if header else []), *rows]) + "\n")
    with pytest.raises(DataError, match="64 columns of pixels") as caught:
        load(tmp_path / "t.csv")
    exec(str(caught.value.remedy).partition("Python: ")[2])
    found = load(tmp_path / "t.npz")
    assert np.array_equal(found.images[:, 0].reshape(2, 64), pixels)
    assert found.labels.texts.tolist() == labels


def test_the_lines_that_make_an_npz_of_a_torch_or_matlab_file_work(tmp_path):
    import scipy.io
    import torch

    pixels, labels = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8), np.array([1, 0, 1])
    torch.save((torch.tensor(pixels), torch.tensor(labels)), tmp_path / "pair.pt")
    torch.save({"x": torch.tensor(pixels), "y": torch.tensor(labels)}, tmp_path / "dict.pt")
    scipy.io.savemat(tmp_path / "m.mat", {"X": pixels, "y": labels})
    for name in ("pair.pt", "dict.pt", "m.mat"):
        with pytest.raises(DataError, match="not images") as caught:
            load(tmp_path / name)
        exec(str(caught.value.remedy).partition("Python: ")[2])
        found = load((tmp_path / name).with_suffix(".npz"))
        assert np.array_equal(found.images[:, 0], pixels)
        assert found.labels.texts.tolist() == ["1", "0", "1"]


@pytest.mark.parametrize(
    ("name", "what"), [("a.h5", "HDF5"), ("a.pkl", "pickle"), ("a.csv", "a table, not images"), ("a.json", "JSON")]
)
def test_other_files_are_refused_with_a_way_on(tmp_path, name, what):
    (tmp_path / name).write_text("File,Label\n1.png,a\n")
    with pytest.raises(DataError, match=what) as caught:
        load(tmp_path / name)
    assert caught.value.remedy


BOTH = "train/0 train/1 test/0 test/1"


@pytest.mark.parametrize(
    ("files", "table", "rows", "how", "labelled", "note"),
    [
        (f"{BOTH} train/2", "labels.csv", "0 1 2", {}, "train/0 train/1 train/2", "of train, which alone has 1 others"),
        (BOTH, "train.csv", "0", {}, "train/0", "of train, as it is called"),
        (BOTH, "test/labels.csv", "1", {"split": "test"}, "test/1", "of test, as it is called"),
        (BOTH, "labels.csv", "train/0 test/0 test/1", {}, "train/0", "2 names of other parts"),
        ("train/0 test/1", "labels.csv", "0 1", {"prefer": "test"}, "test/1", "1 names of other parts"),
        ("train/a/0 train/b/1 test/a/2", "labels.csv", "a/0.png b/1.png a/2.png", {}, "train/a/0 train/b/1",
         "2 names lack folders before them, such as 'a/0.png' of 'train/a/0.png'"),
        ("train/a/0 train/b/1 test/a/0", "train_labels.csv", "a\\0.png b/1", {}, "train/a/0 train/b/1", "2 names lack"),
        ("x/train/0 x/test/1", "y.csv", "set/test/1.png", {"split": "test"}, "x/test/1", "1 names lack"),
        ("a/train/0 a/test/1 b/train/2 b/test/3", "y.csv", "2.png 3 1", {"split": "test"}, "a/test/1 b/test/3",
         "1 names"),
    ],
)  # fmt: skip
def test_names_in_a_table_are_of_the_part_that_is_read(tmp_path, files, table, rows, how, labelled, note):
    folder = put(tmp_path / "set", *names(files))
    (folder / table).write_text("File,Label\n" + "".join(f"{row},x\n" for row in rows.split()))
    found = load(folder, labels=folder / table, **how)
    assert [file for file, text in zip(found.files, found.labels.texts, strict=True) if text] == names(labelled)
    assert note in " ".join(found.notes)


@pytest.mark.parametrize(
    ("files", "table", "rows", "how", "remedy"),
    [
        (BOTH, "labels.csv", "0 1", {}, "labels_train.csv"),
        ("train/a/0 test/a/0", "y.csv", "a/0.png", {}, "y_train.csv"),
        (BOTH, "train.csv", "0 1", {"split": "test"}, "`split` train"),
        (f"{BOTH} train/2", "labels.csv", "2 1", {"prefer": "test"}, "such as 'test/1.png'"),
        ("a/train/0 a/test/0 b/train/2 b/test/3", "y.csv", "0.PNG", {}, "y_train.csv"),
    ],
)
def test_names_that_may_be_of_several_parts_are_refused(tmp_path, files, table, rows, how, remedy):
    folder = put(tmp_path / "set", *names(files))
    (tmp_path / table).write_text("File,Label\n" + "".join(f"{row},x\n" for row in rows.split()))
    with pytest.raises(
        DataError, match=r"may be of more than one part of set\n  found '.*', of .*, which is read"
    ) as caught:
        load(folder, labels=tmp_path / table, **how)
    assert remedy in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("files", "table", "how", "labelled", "left", "note"),
    [
        (BOTH, "split,file,label train,0,a train,1,b test,0,b test,1,a", {}, "train/0:a train/1:b", "", "2 rows of"),
        (BOTH, "file,label,is_train 0,a,True 1,b,True 0,b,False", {"split": "test"}, "test/0:b", "test/1", "is_train"),
        ("0 1 2 3", "file,label,set 0,a,training 1,b,val 2,a,test", {"split": "test"}, "2:a", "", "1 images that"),
        ("0 1 2", "file,subset,class 0,train,a 1,test,b 2,,a", {}, "0:a", "", "1 images that it gives no part"),
        ("0 1 2 3", "file,set,label 0,train,a 1,test,b 2,,a", {"split": "test"}, "1:b", "", "2 images that"),
        ("0 1", "file,label,split 0,a,dev 1,b,dev", {}, "0:a 1:b", "", "the val part only"),
        ("0 1", "file,label,fold 0,a,1 1,b,2", {}, "0:a 1:b", "", "'fold' was not read as parts"),
    ],
)  # fmt: skip
def test_a_column_tells_the_part_of_each_row(tmp_path, files, table, how, labelled, left, note):
    folder = put(tmp_path / "set", *names(files))
    (tmp_path / "labels.csv").write_text("\n".join(table.split()) + "\n")
    found = load(folder, labels=tmp_path / "labels.csv", **how)
    read = dict(zip(found.files, found.labels.texts.tolist(), strict=True))
    expected = dict(each.split(":") for each in labelled.split()) | dict.fromkeys(left.split(), "")
    assert read == {f"{file}.png": label for file, label in expected.items()}
    assert note in " ".join(found.notes)
    rows = table.replace("is_train", "fold").split()[:2]
    if {*how} and "/" not in files:
        (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
        with pytest.raises(DataError, match=r"has no test part"):
            load(folder, labels=tmp_path / "labels.csv", **how)
