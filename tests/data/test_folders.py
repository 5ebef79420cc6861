"""Folders of images: layouts, order, bad files, and entries that must not be followed."""

import os
import socket
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from latentcli.core import memory
from latentcli.core.errors import DataError, UsageError
from latentcli.data import load
from latentcli.data.block import ImageBlock
from latentcli.data.folders import parse_max_bad


def put(path, level=100, size=(16, 16), colour=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full(size, level, dtype=np.uint8)
    Image.fromarray(np.dstack([pixels, pixels // 2, pixels // 4]) if colour else pixels).save(path)


def test_sub_folders_are_classes_and_the_order_is_the_sorted_path(tmp_path):
    for level, name in enumerate(["cat/b.png", "cat/a.PNG", "ant/z.bmp", "bee/c.TIFF", "ant/-y.webp", "ant/B.JPG"]):
        put(tmp_path / "set" / name, level=level * 40)
    found = load(tmp_path / "set")
    assert found.files == ("ant/-y.webp", "ant/B.JPG", "ant/z.bmp", "bee/c.TIFF", "cat/a.PNG", "cat/b.png")
    assert np.abs(found.images[:, 0, 0, 0].astype(int) - [160, 200, 80, 120, 40, 0]).max() <= 2
    assert found.class_names == ("ant", "bee", "cat")
    assert found.labels.codes.tolist() == [0, 0, 0, 1, 2, 2]
    assert (found.name, found.layout, found.bad_files) == ("set", "NHW", ())


def test_a_flat_folder_is_unlabelled(tmp_path):
    put(tmp_path / "b.png")
    put(tmp_path / "a.jpeg")
    found = load(tmp_path)
    assert found.files == ("a.jpeg", "b.png")
    assert not found.labels.any
    assert found.class_names == ()


def test_other_files_hidden_ones_and_empty_folders_are_ignored(tmp_path):
    put(tmp_path / "a" / "1.png")
    put(tmp_path / "a" / "._1.png")
    put(tmp_path / ".thumbnails" / "1.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "a" / "labels.csv").write_text("x")
    found = load(tmp_path)
    assert (found.files, found.class_names) == (("a/1.png",), ("a",))
    assert "1 .csv" in found.notes[0]
    assert "1 .txt, 2 hidden" in found.notes[0]
    assert found.notes[1].endswith("no images in empty")


def test_layouts_that_leave_the_classes_unclear_are_refused(tmp_path):
    put(tmp_path / "mixed" / "a" / "1.png")
    put(tmp_path / "mixed" / "2.png")
    with pytest.raises(DataError, match="both directly and in sub-folders"):
        load(tmp_path / "mixed")


@pytest.mark.parametrize(
    ("files", "named"),
    [("logo x/a/1 x/b/2", "x"), ("logo x/a/1 x/a/far/2 x/b/3", "x"), ("logo x/y/a/1 x/y/b/2", "x"),
     ("logo x/a/1 z/b/2", None), ("logo a/1 b/2", None)],
)  # fmt: skip
def test_a_picture_beside_the_folder_of_all_others_is_refused_with_that_folder(tmp_path, files, named):
    for name in files.split():
        put(tmp_path / "set" / f"{name}.png")
    with pytest.raises(DataError, match=r"found logo\.png and \w+/(.|\n)*into sub-folders") as caught:
        load(tmp_path / "set")
    assert ("name the folder of the others" in str(caught.value)) == (named is not None)
    if named:
        assert f"others: {tmp_path / 'set' / named};" in str(caught.value)
        assert load(tmp_path / "set" / named).class_names == ("a", "b")


def test_with_labels_any_layout_is_just_files(tmp_path):
    for name in ("set/1.png", "set/a/2.png", "set/a/b/c/3.png"):
        put(tmp_path / name)
    (tmp_path / "labels.csv").write_text("File,Label\na/b/c/3.png,x\n1.png,y\n")
    found = load(tmp_path / "set", labels=tmp_path / "labels.csv")
    assert found.files == ("1.png", "a/2.png", "a/b/c/3.png")
    assert found.class_names == ("x", "y")
    assert found.labels.codes.tolist() == [1, -1, 0]
    only = load(tmp_path / "set", labels=tmp_path / "labels.csv", classes=["x"])
    assert only.files == ("a/b/c/3.png",)


def test_classes_are_chosen_and_put_in_order(tmp_path):
    for name in ("ant", "bee", "cat"):
        put(tmp_path / name / "1.png")
    (tmp_path / "bee" / "bad.png").write_text("x")
    found = load(tmp_path, classes=["cat", "ant"], max_bad="0")
    assert (found.class_names, found.files, found.labels.codes.tolist()) == (
        ("cat", "ant"),
        ("ant/1.png", "cat/1.png"),
        [1, 0],
    )
    with pytest.raises(DataError, match=r"no class 'dog'\n  expected some of: ant, bee, cat"):
        load(tmp_path, classes=["dog"])
    with pytest.raises(DataError, match="no sub-folders"):
        load(tmp_path / "ant", classes=["cat"])


def test_sizes(tmp_path):
    put(tmp_path / "a.png", size=(20, 30))
    assert load(tmp_path).shape == (1, 20, 30)
    assert load(tmp_path, image_size=16).shape == (1, 16, 16)
    assert load(tmp_path, image_shape=(3, 9, 11), image_size=16).shape == (3, 9, 11)
    put(tmp_path / "b.png", size=(20, 31))
    assert load(tmp_path).shape == (1, 64, 64)
    put(tmp_path / "large" / "b.png", size=(20, 300))
    assert load(tmp_path / "large").shape == (1, 64, 64)


def test_one_image_in_colour_makes_the_set_colour(tmp_path):
    for number in range(40):
        put(tmp_path / f"{number:02d}.png", level=number * 5, colour=number in (17, 30))
    found = load(tmp_path)
    assert found.shape == (3, 16, 16)
    assert found.layout == "NHWC"
    first = found.images[:, :, 0, 0].astype(int)
    expected = [[5 * n] * 3 if n not in (17, 30) else [5 * n, 5 * n // 2, 5 * n // 4] for n in range(40)]
    assert np.array_equal(first, expected)
    assert load(tmp_path, image_shape=(1, 16, 16)).shape == (1, 16, 16)


@given(st.lists(st.booleans(), max_size=12), st.sampled_from([None, 1, 3]))
def test_a_block_holds_what_was_appended(colours, channels):
    block = ImageBlock(len(colours), channels, 2, 3)
    expected = []
    for number, colour in enumerate(colours):
        planes = 3 if colour and channels != 1 else channels or 1
        image = np.random.default_rng(number).integers(0, 256, (planes, 2, 3), dtype=np.uint8)
        block.append(image)
        expected.append(image)
    most = channels or max([len(image) for image in expected], default=1)
    stacked = [np.broadcast_to(image, (most, 2, 3)) for image in expected]
    assert np.array_equal(block.images, np.array(stacked, dtype=np.uint8).reshape(-1, most, 2, 3))


def test_a_grey_set_takes_the_memory_of_grey(tmp_path):
    for number in range(50):
        put(tmp_path / f"{number}.png", size=(128, 128))
    load(tmp_path)
    each = []
    for _ in range(2):  # in one of them Python's table of all names may grow
        tracemalloc.start()
        found = load(tmp_path)
        each.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    held = min(each)
    assert found.images.nbytes == 50 * 128 * 128
    assert held < 3.2 * found.images.nbytes  # reserved for colour; the system gives only what is written to


@pytest.fixture
def half_bad(tmp_path):
    for number in range(3):
        put(tmp_path / "set" / f"{number}.png", level=number)
    (tmp_path / "set" / "1-text.png").write_text("not an image")
    content = (tmp_path / "set" / "2.png").read_bytes()
    (tmp_path / "set" / "2-cut.png").write_bytes(content[: len(content) // 2])
    return tmp_path / "set"


@pytest.mark.parametrize("max_bad", ["2", "40%", "100%"])
def test_bad_files_are_skipped_and_listed(half_bad, max_bad):
    found = load(half_bad, max_bad=max_bad)
    assert found.files == ("0.png", "1.png", "2.png")
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert [file for file, _ in found.bad_files] == ["1-text.png", "2-cut.png"]
    assert found.bad_files[0][1].startswith("not a PNG, JPEG, BMP")


@pytest.mark.parametrize("max_bad", ["1", "0", "39%", "1%"])
def test_too_many_bad_files_are_an_error_that_names_them(half_bad, max_bad):
    with pytest.raises(DataError, match=r"2 of the 5 image files of set(.|\n)*1-text.png, .*: not a(.|\n)*`max_bad` 2"):
        load(half_bad, max_bad=max_bad)


def test_nothing_but_bad_files_is_an_error_whatever_is_allowed(tmp_path):
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(DataError, match="1 of the 1 image files"):
        load(tmp_path, max_bad="100%")


def test_a_picture_that_is_not_there_is_no_bad_file(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.png is no file, folder or data set"):
        load(tmp_path / "nowhere.png")


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "101%", "-1%", "nan", "nan%", "inf", "%"])
def test_max_bad_is_a_number_or_a_percentage(text, half_bad):
    with pytest.raises(UsageError, match="`max_bad`"):
        load(half_bad, max_bad=text)
    with pytest.raises(UsageError, match="max_bad"):
        load("digits", max_bad=text)


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_percentages_are_of_all_files(percent, total):
    assert parse_max_bad(f"{percent / 10}%", total) == pytest.approx(percent * total / 1000)
    assert parse_max_bad(str(percent), total) == percent


def test_folders_without_images(tmp_path):
    with pytest.raises(DataError, match=r"holds no images(.|\n)*found nothing"):
        load(tmp_path)
    (tmp_path / "a.dcm").write_text("x")
    with pytest.raises(DataError, match=r"(holds no images|cannot be read)(.|\n)*\.dcm(.|\n)*DICOM file"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["set", "set/a", "set/a/far"])
def test_a_folder_that_may_not_be_read(tmp_path, forbid, name):
    for file in ("a/1.png", "a/far/2.png", "b/3.png"):
        put(tmp_path / "set" / file)
    assert len(load(tmp_path / "set")) == 3
    forbid(tmp_path / name)
    with pytest.raises(DataError, match=rf"^cannot read the folder {name}\n  Permission denied$"):
        load(tmp_path / "set")


@pytest.mark.parametrize(("name", "kind"), [("1.SVG", "SVG"), ("1.nef", "raw"), ("1.dng", "raw")])
def test_a_folder_of_pictures_that_nothing_here_opens_is_told_to_be_converted(tmp_path, name, kind):
    (tmp_path / name).write_bytes(b"?")
    with pytest.raises(DataError, match=rf"holds no images\n.*\n  {kind} files are not read: convert them to PNG"):
        load(tmp_path)


def test_a_block_that_no_memory_holds_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "of_machine", lambda: 2**62)  # as of a machine that promises more than it has
    with pytest.raises(
        DataError, match=r"1,099,511,627,776 images of 256×256 pixels do not fit into memory\n  take fewer"
    ):
        ImageBlock(2**40, None, 256, 256)


def test_links_loops_pipes_and_devices(tmp_path):
    outside = tmp_path / "outside"
    put(outside / "x.png", level=7)
    folder = tmp_path / "set"
    put(folder / "a.png")
    (folder / "b.png").symlink_to((outside / "x.png").absolute())
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "broken.png").symlink_to("nowhere.png")
    (folder / "device.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo.png")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(folder, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/socket.png")  # a short path, as sockets need
        os.close(here)
        found = load(folder, max_bad="10")
    assert found.files == ("a.png", "b.png")
    assert found.images[1].max() == 7
    assert [file for file, _ in found.bad_files] == ["broken.png", "device.png", "fifo.png", "itself.png", "socket.png"]
    assert dict(found.bad_files)["fifo.png"] == "not a regular file"


def test_names_of_all_kinds(tmp_path):
    folder = tmp_path / "set\n\x1b[31m"
    names = ["-rf.png", "a\nb.png", "\x1b[2J.png", "é.png", os.fsdecode(b"\xff.png"), "a,b.png", "=cmd().png"]
    for name in names:
        put(folder / "=cmd()" / name)
    found = load(folder)
    assert sorted(found.files) == sorted(f"=cmd()/{name}" for name in names)
    assert found.class_names == ("=cmd()",)
    (folder / "=cmd()" / "\x1b[2J\n.png").write_text("x")
    with pytest.raises(DataError) as caught:
        load(folder)
    assert str(caught.value).count("\n") <= 2
    assert "\x1b" not in str(caught.value)


def test_inputs_are_left_alone_and_no_thread_stays(half_bad):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in half_bad.iterdir()}
    threads = threading.active_count()
    load(half_bad, max_bad="2")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in half_bad.iterdir()} == before
    assert threading.active_count() <= threads + os.cpu_count()


def test_progress_counts_every_file(half_bad):
    from contextlib import contextmanager

    told = []

    @contextmanager
    def progress(doing, total):
        told.append((doing, total))
        yield told.append

    load(half_bad, max_bad="2", progress=progress)
    assert told[0] == ("reading images", 5)
    assert sum(told[1:]) == 5


def test_brain_scans_of_93_sizes_and_four_modes(real_data):
    found = load(real_data / "image_folder_mixed")
    assert (len(found), found.shape, found.class_names) == (140, (3, 64, 64), ("no", "yes"))
    assert np.bincount(found.labels.codes).tolist() == [70, 70]
    assert found.bad_files == ()
    assert list(found.files) == sorted(found.files)
    grey = load(real_data / "image_folder_mixed", image_shape=(1, 80, 80))
    assert grey.shape == (1, 80, 80)
    with Image.open(real_data / "image_folder_mixed" / grey.files[-1]) as image:
        expected = np.asarray(image.convert("L").resize((80, 80), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(grey.images[-1, 0] - expected).mean() < 3


def test_photographs(real_data):
    found = load(real_data / "image_folder_photos" / "train", image_size=32)
    assert (len(found), found.shape, found.class_names) == (79, (3, 32, 32), ("ants", "bees"))
    whole = load(real_data / "image_folder_photos", image_size=32)
    assert (len(whole), whole.class_names, whole.parts[0]) == (79, ("ants", "bees"), "train")
