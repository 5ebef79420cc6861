"""What a folder holds besides images: counted and told, and never the end of a class in silence."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load
from latentcli.formats.opened_images import HAS_AVIF

Fill = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path):
    """Three images in each of two classes."""
    for number in range(6):
        put(tmp_path / "set" / ("cat", "dog")[number % 2] / f"{number}.png", number)
    return tmp_path / "set"


def put(path: Path, level: int = 0, form: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((16, 16), 40 * level, np.uint8)
    pixels[4:12, 4:12] = 255
    Image.fromarray(pixels).save(path, form)


def text(*names: str) -> Fill:
    def fill(folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("x")

    return fill


def images(*names: str) -> Fill:
    return lambda folder: [put(folder / name, form="PNG") for name in names]


def links(**targets: str) -> Fill:
    def fill(folder: Path) -> None:
        put(folder.parent / "elsewhere" / "owl" / "1.png")
        for name, target in targets.items():
            path = folder / name.replace("__", "/")
            path.symlink_to(folder.parent / target, target_is_directory=True)

    return fill


TOLD: dict[str, tuple[Fill, str]] = {
    "Windows": (text("cat/Thumbs.db", "cat/desktop.ini", "dog/THUMBS.DB"), "3 hidden or of the system"),
    "macOS": (images("cat/._0.png", "__MACOSX/cat/._0.png", "cat/.DS_Store"), "3 hidden or of the system"),
    "network storage": (images("@eaDir/cat.png", "cat/@eaDir/0.png/thumb.jpg", "#recycle/cat/9.png"), "3 hidden or of"),
    "notebooks": (
        images(".ipynb_checkpoints/a.png", "cat/.ipynb_checkpoints/a.png"),
        r"2 hidden .*\.ipynb",
    ),
    "version control": (images(".git/x.png"), r"1 hidden or of the system \(\.git\)"),
    "other formats": (text("cat/1.xcf", "cat/2.XCF", "dog/3.svg", "dog/noext"), "2 .xcf, 1 .svg, 1 without a suffix"),
    "notes beside": (text("README.md", "LICENSE"), "1 without a suffix, 1 .md"),
    "an empty class": (lambda folder: (folder / "owl").mkdir(), "no images in owl"),
    "a class of notes": (text("owl/readme.txt"), "1 .txt(.|\n)*no images in owl"),
    "a folder of annotations": (text("annotations/0.xml", "annotations/1.json"), "no images in annotations"),
}


@pytest.mark.parametrize("case", TOLD)
def test_what_is_passed_over_is_counted_and_told(folder, case):
    fill, expected = TOLD[case]
    fill(folder)
    found = load(folder)
    assert (len(found), found.class_names) == (6, ("cat", "dog"))
    assert re.search(expected, "\n".join(found.notes)), found.notes


def test_a_plain_folder_has_nothing_to_tell(folder):
    assert load(folder).notes == ()


LOST: dict[str, tuple[Fill, str]] = {
    "scans": (text("owl/1.dcm", "owl/2.dcm"), r"class owl of(.|\n)*such as owl/1\.dcm(.|\n)*DICOM"),
    "volumes": (text("owl/1.nii.gz"), "NIfTI"),
    "no suffix": (images("owl/1", "owl/2"), "no suffix, such as owl/1(.|\n)*rename"),
    "a telephone's": (text("owl/1.HEIC"), "HEIC"),
    "archives": (text("owl/1.zip"), r"found 1 files with .zip(.|\n)*leave it out: `classes` cat,dog"),
    "two links to one": (links(owl="elsewhere/owl", owls="elsewhere/owl"), "class owls(.|\n)*under another name"),
}


@pytest.mark.parametrize("case", LOST)
def test_a_class_that_loses_all_its_files_is_an_error(folder, case):
    fill, expected = LOST[case]
    fill(folder)
    with pytest.raises(DataError, match=expected):
        load(folder)
    assert load(folder, classes=["cat", "dog"]).class_names == ("cat", "dog")


def _move_away(folder: Path) -> None:
    for name in ("cat", "dog"):
        shutil.move(folder / name, folder.parent / f"real-{name}")
        (folder / name).symlink_to(folder.parent / f"real-{name}")


LINKED: dict[str, tuple[Fill, tuple[str, ...]]] = {
    "one class": (links(owl="elsewhere/owl"), ("cat", "dog", "owl")),
    "a class under another name": (links(cat2="set/cat"), ()),
    "all classes": (_move_away, ("cat", "dog")),
}


@pytest.mark.parametrize("case", LINKED)
def test_links_to_class_folders_are_followed_once(folder, case):
    fill, classes = LINKED[case]
    fill(folder)
    if classes:
        found = load(folder)
        assert found.class_names == classes
        assert all((folder / file).is_file() for file in found.files)
    else:
        with pytest.raises(DataError, match=r"class cat2(.|\n)*under another name"):
            load(folder)


@pytest.mark.parametrize("fill", [links(loop="set"), links(cat__loop="set"), links(cat__self="set/cat"), links(up="")])
def test_loops_are_refused(folder, fill):
    fill(folder)
    link = next(path for path in folder.rglob("*") if path.is_symlink())
    with pytest.raises(DataError, match=f"{link} is a link to a folder that holds it"):
        load(folder)


FORMATS = [("gif", "GIF"), ("jfif", "JPEG"), ("jpe", "JPEG"), ("PGM", "PPM"), ("pnm", "PPM"), ("webp", "WEBP"),
           pytest.param("avif", "AVIF", marks=pytest.mark.skipif(not HAS_AVIF, reason="no AVIF"))]  # fmt: skip


@pytest.mark.parametrize(("suffix", "form"), FORMATS)
def test_a_class_in_another_format_stays_a_class(folder, suffix, form):
    for number in range(3):
        put(folder / "owl" / f"{number}.{suffix}", number, form)
    found = load(folder)
    assert found.class_names == ("cat", "dog", "owl")
    assert found.labels.counts.tolist() == [3, 3, 3]
    expected = load(folder, classes=["cat"]).images[0]
    assert np.abs(found.images[-3].astype(int) - expected).max() < 30
    assert found.notes == ()


def test_animations_are_told(folder):
    frames = [Image.fromarray(np.full((16, 16), level, np.uint8)) for level in (10, 200)]
    frames[0].save(folder / "cat" / "moving.gif", save_all=True, append_images=frames[1:])
    found = load(folder)
    assert found.notes == (
        "set: only the first frame is read in 1 file(s), such as cat/moving.gif; `pages` makes an image of each",
    )


@pytest.mark.parametrize(("bad", "max_bad"), [("", "100%"), ("<html>", "3"), ("version https://git-lfs", "0")])
def test_a_class_does_not_vanish_with_its_unreadable_files(folder, bad, max_bad):
    for number in range(3):
        put(folder / "owl" / f"{number}.png")
        (folder / "owl" / f"{number}.png").write_text(bad)
    with pytest.raises(DataError, match=r"class owl of set(.|\n)*unreadable(.|\n)*`classes` cat,dog"):
        load(folder, max_bad=max_bad)
    assert load(folder, max_bad=max_bad, classes=["cat", "dog"]).class_names == ("cat", "dog")


@pytest.mark.parametrize("link", ["cat/similar", "Alias", "cat/a/b"])
def test_a_class_keeps_its_images_whatever_links_lead_to_it(folder, link):
    (folder / link).parent.mkdir(parents=True, exist_ok=True)
    (folder / link).symlink_to(folder / "dog", target_is_directory=True)
    if "/" in link:
        found = load(folder)
        assert found.class_names == ("cat", "dog")
        assert (found.labels.counts == 3).all()
        assert found.notes[0] == f"set: each folder is read once; passed over further links: {link}"
    else:  # a class by its name
        with pytest.raises(DataError, match=r"class Alias(.|\n)*under another name"):
            load(folder)


def test_a_folder_outside_is_of_the_class_that_links_to_it_and_not_of_a_link_below_another(folder):
    put(folder.parent / "elsewhere" / "0.png")
    for link in ("owl", "cat/similar"):
        (folder / link).symlink_to(folder.parent / "elsewhere", target_is_directory=True)
    found = load(folder)
    assert (found.class_names, list(found.labels.counts)) == (("cat", "dog", "owl"), [3, 3, 1])


NESTED = {
    "years": (("2023", "2024"), r"each class has 2023 \(2\), 2024 \(2\), which are read together(.|\n)*2024/cat"),
    "masks": (("images", "masks"), r"images \(2\), masks \(2\)"),
    "one": (("images",), r"each class has images \(2\), which are read together: .* make folders images/cat$"),
}


@pytest.mark.parametrize("case", NESTED)
def test_what_lies_below_each_class_is_named(tmp_path, case):
    names, told = NESTED[case]
    for number, kind in enumerate(("cat", "dog")):
        for name in names:
            put(tmp_path / "set" / kind / name / "0.png", number)
    found = load(tmp_path / "set")
    assert found.class_names == ("cat", "dog")
    assert re.search(told, found.notes[0])


def test_archives_in_a_folder_are_to_be_named_themselves(tmp_path):
    shutil.make_archive(str(tmp_path / "set" / "train"), "zip", tmp_path)
    with pytest.raises(DataError, match=r"name train\.zip itself"):
        load(tmp_path / "set")


@pytest.mark.parametrize(
    ("name", "content"), [("9.dcm", b"<html>"), ("9.nii.gz", b"<html>"), ("9.nii", b"cut"), ("9.dcm", b"")]
)
def test_scans_that_are_none_by_their_content_are_unreadable_and_not_passed_over(folder, name, content):
    pytest.importorskip({"d": "pydicom", "n": "nibabel"}[name[2]])
    (folder / "cat" / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"1 of the 7 image files(.|\n)*cat/{name}"):
        load(folder)
    found = load(folder, max_bad="1")
    assert [file for file, _ in found.bad_files] == [f"cat/{name}"]
    assert "passed over" not in " ".join(found.notes)
