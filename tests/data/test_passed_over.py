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
            path.parent.mkdir(exist_ok=True)
            path.symlink_to((folder.parent / target).absolute(), target_is_directory=True)

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
    "thumbnails": (images("thumbnails/0.png", "cat/Thumbs/0.png"), r"2 hidden or of the system \(Thumbs, thumbnails\)"),
    "programs": (images("__pycache__/a.png", "wandb/run/loss.png", "venv/icon.png"), "3 hidden or of the system"),
    "more storage": (images("@Recycle/a.png", "LOST.DIR/0.png", "cat/@tmp/0.png"), "3 hidden or of the system"),
    "other formats": (text("cat/1.xcf", "cat/2.XCF", "dog/3.svg", "dog/noext"), "2 .xcf, 1 .svg, 1 without a suffix"),
    "notes beside": (text("README.md", "LICENSE"), "1 without a suffix, 1 .md"),
    "an empty class": (lambda folder: (folder / "owl").mkdir(), "no images in owl"),
    "a class of notes": (text("owl/readme.txt"), "1 .txt(.|\n)*no images in owl"),
    "links to nothing": (links(cat__more="no", dog__old="no/1"), "links to what is not there: cat/more, dog/old"),
    "a table that is gone": (links(**{"labels.csv": "no.csv"}), r"links to what is not there: labels\.csv"),
    "a folder of annotations": (text("annotations/0.xml", "annotations/1.json"), "no images in annotations"),
}


@pytest.mark.parametrize("case", TOLD)
def test_what_is_passed_over_is_counted_and_told(folder, case):
    fill, expected = TOLD[case]
    fill(folder)
    found = load(folder)
    assert (len(found), found.class_names) == (6, ("cat", "dog"))
    assert re.search(expected, "\n".join(found.notes)), found.notes


@pytest.mark.parametrize("name", ["thumbnails", "__pycache__", ".previews"])
def test_a_folder_that_is_passed_over_is_read_where_it_is_named(tmp_path, name):
    images(f"{name}/a.png", f"{name}/b.png")(tmp_path / "set")
    with pytest.raises(DataError, match=rf"found 1 hidden or of the system(.|\n)*name it: .*set/{name}"):
        load(tmp_path / "set")
    assert len(load([*(tmp_path / "set" / name).iterdir()])) == len(load(tmp_path / "set" / name).files)


def test_parts_are_found_beside_what_is_passed_over(tmp_path):
    images("set/train/a/1.png", "set/test/a/2.png", "thumbnails/1.png")(tmp_path)
    assert load(tmp_path).files == ("set/train/a/1.png",)


def test_a_plain_folder_has_nothing_to_tell(folder):
    assert load(folder).notes == ()


LOST: dict[str, tuple[Fill, str]] = {
    "scans": (text("owl/1.dcm", "owl/2.dcm"), r"class owl of(.|\n)*owl/1\.dcm(.|\n)*DICOM"),
    "volumes": (text("owl/1.nii.gz"), "NIfTI"),
    "no suffix": (images("owl/1", "owl/2"), "no suffix, such as owl/1(.|\n)*rename"),
    "a telephone's": (text("owl/1.HEIC"), "HEIC"),
    "archives": (text("owl/1.zip"), r"found 1 files with .zip(.|\n)*leave it out: `classes` cat,dog"),
    "a link to nothing": (links(owl="no/owl"), r"class owl(.|\n)*owl is a link to what is not there: .*no/owl"),
    "links of a lost disk": (links(**{"owl/a": "no/a", "owl/b": "no/b"}), "class owl(.|\n)*owl/a is a link to what"),
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
        (folder / name).symlink_to((folder.parent / f"real-{name}").absolute())


@pytest.mark.parametrize("beside", [("train/a/1.png",), ("train/a/1.png", "val/a/2.png")])
def test_a_part_that_is_a_link_to_nothing_is_told(tmp_path, beside):
    images(*beside)(tmp_path / "set")
    (tmp_path / "set" / "test").symlink_to("nowhere")
    found = load(tmp_path / "set")
    assert found.files == ("train/a/1.png",)
    assert "set: passed over links to what is not there: test" in [note.rpartition("/")[2] for note in found.notes]
    shutil.rmtree(tmp_path / "set" / "train")
    shutil.rmtree(tmp_path / "set" / "val", ignore_errors=True)
    with pytest.raises(DataError, match=r"found links to what is not there \(test\)"):
        load(tmp_path / "set")


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


def _tiffs(folder: Path, low: int, dtype: str) -> None:
    for number in range(4):
        (folder / "owl").mkdir(exist_ok=True)
        image = (np.eye(16) * (900 + number) + low).astype(dtype)
        pytest.importorskip("tifffile").imwrite(folder / "owl" / f"{number}.tif", image)


def _cut(folder: Path) -> None:
    put(folder / "owl" / "0.png")
    content = (folder / "owl" / "0.png").read_bytes()[:60]
    for number in range(4):
        (folder / "owl" / f"{number}.png").write_bytes(content)


FOR_ONE_REASON: dict[str, tuple[Fill, str, str]] = {  # what the files are, the reason, the way on
    "signed": (lambda folder: _tiffs(folder, -500, "i2"), "black and white are unclear", "`range` -500,403"),
    "floats": (lambda folder: _tiffs(folder, 300, "f4"), "black and white are unclear", "`range` 1203"),
    "unread numbers": (lambda folder: _tiffs(folder, 0, "f8"), "floating-point numbers of 64 bits", "mend them"),
    "cut": (_cut, "damaged", "mend them"),
}


@pytest.mark.parametrize("case", FOR_ONE_REASON)
def test_files_that_are_unreadable_for_one_reason_have_it_told_once_with_the_way_on(folder, case):
    fill, reason, way = FOR_ONE_REASON[case]
    fill(folder)
    with pytest.raises(DataError, match=rf"class owl of set(.|\n)*{way}, or leave it out: `classes` cat,dog") as lost:
        load(folder)
    with pytest.raises(DataError, match=rf"4 of the 4 image files(.|\n)*{way.split()[0]}") as all_bad:
        load(folder / "owl")
    for caught in (lost, all_bad):
        assert str(caught.value).count(reason) == 1
        assert re.search(rf"0\.\w+, .*2\.\w+ and 1 more: .*{reason}", str(caught.value))
    if "range" in way:
        assert len(load(folder, range=way.split()[1])) == 10
    text("owl/4.png")(folder)
    with pytest.raises(DataError, match=rf"and 1 more: .*{reason}.*; 4.png: not a PNG(.|\n)*mend or remove them"):
        load(folder / "owl")


CONVERTED = {  # formats that Pillow opens, by their suffix, and the mode of images in them
    "tga": "L", "TGA": "RGB", "pcx": "L", "ico": "RGBA", "sgi": "L", "rgb": "RGB", "dds": "RGBA", "jp2": "L",
    "icns": "RGBA", "msp": "1", "xbm": "1", "pfm": "F", "dib": "L", "cur": None, "blp": "P",
}  # fmt: skip


@pytest.mark.parametrize("suffix", CONVERTED)
def test_what_pillow_opens_and_is_not_read_comes_with_the_line_that_converts_it(folder, suffix):
    side = 32 if suffix == "icns" else 16
    for number in range(3):
        pixels = np.full((side, side), 90 * (suffix not in ("msp", "xbm")), np.uint8)
        pixels[4 + number : 12] = 255
        image, path = Image.fromarray(pixels), folder / "owl" / "inner" / f"{number}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == "cur":  # an icon with a hot spot
            image.convert("RGBA").save(path.with_suffix(".ico"), bitmap_format="bmp")
            content = bytearray(path.with_suffix(".ico").read_bytes())
            content[2:3] = b"\2"
            path.write_bytes(content)
            path.with_suffix(".ico").unlink()
        elif suffix == "pfm":
            Image.fromarray(pixels / np.float32(255)).save(path)
        else:
            image.convert(CONVERTED[suffix]).save(path)
    single = next((folder / "owl" / "inner").iterdir())
    with pytest.raises(DataError, match=rf"in a format that is not read(.|\n)*\.{suffix.lower()}") as caught:
        load(single)
    exec(str(caught.value).partition("in Python: ")[2], {})
    converted = next(path for path in single.parent.iterdir() if path.name.startswith(f"{single.name}."))
    assert load(converted).images.max() > 200
    converted.unlink()
    for where in (folder, folder / "owl"):
        with pytest.raises(DataError, match=rf"\.{suffix.lower()} files are not read: convert") as caught:
            load(where)
    with pytest.raises(DataError, match=r"class owl(.|\n)*in Python: ") as caught:
        load(folder)
    exec(str(caught.value).partition("in Python: ")[2], {})
    found = load(folder, image_size=16)
    assert (found.class_names, list(found.labels.counts)) == (("cat", "dog", "owl"), [3, 3, 3])
    assert (np.diff(found.images[-3:].mean(axis=(1, 2, 3))) < -1).all()  # each has less white than the one before
    assert load(folder / "owl").images.max() > 200
    assert len(list((folder / "owl" / "inner").iterdir())) == 6  # none took the place of another


def test_telephones_pictures_need_a_package_and_archives_are_unpacked_first(folder, tmp_path):
    text("owl/1.HEIC", "owl/2.tga")(folder)
    with pytest.raises(DataError, match=r"\.heic, \.tga files(.|\n)*pillow_heif\.register_heif_opener\(\); \["):
        load(folder)
    shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    with pytest.raises(DataError, match=r"unpack it, and where its files are now: \.heic(.|\n)*packed\.zip/owl'"):
        load(tmp_path / "packed.zip")


PACKED = {
    "cat/1.tar.gz": "1 .tar.gz", "cat/a.csv.gz": "1 .csv.gz", "cat/B.JSON.BZ2": "1 .json.bz2", "cat/x.gz": "1 .gz",
    "cat/v1.2.gz": "1 .gz", "cat/t.nii.xz": "1 .nii.xz", "cat/name.with.dots.svg": "1 .svg",
}  # fmt: skip


@pytest.mark.parametrize("name", PACKED)
def test_packed_files_are_counted_by_their_whole_suffix(folder, name):
    text(name)(folder)
    assert load(folder).notes == (f"set: passed over what is no image: {PACKED[name]}",)


def test_volumes_are_counted_by_their_whole_suffix_where_nothing_reads_them(folder, monkeypatch):
    from latentcli.formats import medical_files

    monkeypatch.setattr(medical_files, "find_spec", lambda name: None)
    text("cat/a.nii.gz", "dog/b.nii.gz", "dog/c.nii")(folder)
    assert "2 .nii.gz, 1 .nii" in load(folder).notes[0]
    text("owl/a.nii.gz")(folder)
    with pytest.raises(DataError, match=r"found 1 files with \.nii\.gz"):
        load(folder)


@pytest.mark.parametrize("link", ["cat/similar", "Alias", "cat/a/b"])
def test_a_class_keeps_its_images_whatever_links_lead_to_it(folder, link):
    (folder / link).parent.mkdir(parents=True, exist_ok=True)
    (folder / link).symlink_to((folder / "dog").absolute(), target_is_directory=True)
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
        (folder / link).symlink_to((folder.parent / "elsewhere").absolute(), target_is_directory=True)
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
    with pytest.raises(DataError, match=r"name .*set/train\.zip$"):
        load(tmp_path / "set")
    packed = shutil.make_archive("packed", "zip", tmp_path / "set")
    with pytest.raises(DataError, match=r"unpack it, and where its files are now: .* name .*packed\.zip/train\.zip$"):
        load(packed)


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
@pytest.mark.parametrize("names", [("cat", "dog"), ("train", "test")])
def test_archives_of_a_folder_are_unpacked_by_the_line_that_is_told(folder, kind, names):
    for name, source in zip(names, ("cat", "dog"), strict=True):
        shutil.make_archive(str(folder.parent / "packed" / name), kind, folder / source)
    with pytest.raises(DataError, match=r"archives are read one at a time|name them as shards") as caught:
        load(folder.parent / "packed")
    exec(str(caught.value).partition("in Python: ")[2], {})
    assert load(folder.parent / "packed", **({} if "cat" in names else {"split": "test"})).files == tuple(
        f"{name}/{number}.png" for name, first in zip(names, (0, 1), strict=True) for number in range(first, 6, 2)
        if name != "train"
    )  # fmt: skip


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


@pytest.mark.parametrize(("table", "told"), [("labels.csv", True), ("images/y.TSV", True), ("notes.txt", False)])
@pytest.mark.parametrize("classes", [1, 2])
def test_a_table_beside_images_without_classes_may_hold_their_labels(tmp_path, table, told, classes):
    for number in range(6):
        path = tmp_path / "it's" / ("images", "more")[number % classes] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 40 * number, np.uint8)).save(path)
    (tmp_path / "it's" / table).write_text("File,Label\n")
    found = [note for note in load(tmp_path / "it's").notes if "`labels`" in note]
    assert found == [f"it's: if {table} names the images' labels, give it as `labels`"] * (told and classes == 1)
