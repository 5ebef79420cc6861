"""Each page of a file as an image: stacks, animations, and their labels."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load
from latentcli.formats import image_files

LEVELS = np.random.default_rng(5).integers(0, 256, (70, 12, 10)).astype(np.uint8)
"""More pages than are decoded at once."""
FORMS = {"TIFF": "tif", "GIF": "gif", "WEBP": "webp", "PNG": "png"}


def stack(path: Path, form: str, pages: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [Image.fromarray(page) for page in pages]
    frames = [frame.convert("RGB") for frame in frames] if form == "WEBP" else frames
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    frames[0].save(path, form, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize("form", FORMS)
def test_each_page_is_an_image_called_by_its_number_and_of_the_class_of_its_file(tmp_path, form):
    suffix = FORMS[form]
    stack(tmp_path / "set" / "a" / f"long.{suffix}", form, LEVELS)
    stack(tmp_path / "set" / "b" / f"short.{suffix}", form, LEVELS[:2, ::-1])
    Image.fromarray(LEVELS[0]).save(tmp_path / "set" / "b" / f"one.{suffix}", form, lossless=True)
    found = load(tmp_path / "set", pages=True, image_shape=(1, 12, 10))
    names = [f"a/long.{suffix}[{number}]" for number in range(70)]
    assert list(found.files) == [*names, f"b/one.{suffix}", f"b/short.{suffix}[0]", f"b/short.{suffix}[1]"]
    assert found.labels.codes.tolist() == [0] * 70 + [1] * 3
    expected = np.concatenate([LEVELS, LEVELS[:1], LEVELS[:2, ::-1]])
    assert np.abs(found.images[:, 0].astype(int) - expected).max() <= 1
    assert found.notes == ()
    first = load(tmp_path / "set", image_shape=(1, 12, 10))
    assert len(first) == 3
    (told,) = first.notes
    assert "`pages` makes an image of each" in told
    assert "in 2 file(s), such as a/long" in told


def test_a_page_of_little_colour_keeps_it_beside_one_in_colour(tmp_path):
    grey = LEVELS[:2, ..., None] // 2 + 60
    faint, strong = grey[0] + np.array([0, 2, 4], np.uint8), grey[1] + np.array([0, 40, 90], np.uint8)
    stack(tmp_path / "set" / "1.tif", "TIFF", np.stack([faint, strong]))
    stack(tmp_path / "set" / "2.tif", "TIFF", np.stack([strong, strong]))
    found = load(tmp_path / "set", pages=True)
    assert found.files == ("1.tif[0]", "1.tif[1]", "2.tif[0]", "2.tif[1]")
    assert np.array_equal(found.images.transpose(0, 2, 3, 1), np.stack([faint, strong, strong, strong]))


def test_a_single_file_and_an_archive_of_files_have_pages(tmp_path):
    import zipfile

    stack(tmp_path / "scan.tif", "TIFF", LEVELS[:5])
    found = load(tmp_path / "scan.tif", pages=True)
    assert np.array_equal(found.images[:, 0], LEVELS[:5])
    assert found.files[3] == "scan.tif[3]"
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in "ab":
            archive.write(tmp_path / "scan.tif", f"{name}/scan.tif")
    found = load(tmp_path / "set.zip", pages=True)
    assert found.labels.counts.tolist() == [5, 5]
    np.save(tmp_path / "x.npy", LEVELS)
    for source in (tmp_path / "x.npy", "digits"):
        assert load(source, pages=True).notes[-1] == "`pages` is of image files, and was not used"


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ({"scan.tif": "x"}, "xxxx."),
        ({"scan": "x", "other": "y"}, "xxxxy"),
        ({"scan.tif": "x", "scan.tif[2]": "y"}, "xxyx."),
        ({"scan.tif[1]": "y", "./scan.tif": "x", "other.png": ""}, "xyxx."),
        ({"set/scan[3]": "y", "set/other": "z"}, "...yz"),
        ({"SCAN.TIF[0]": "y", "scan.tif": ""}, "y...."),
    ],
)
def test_a_table_labels_files_and_pages_and_a_page_has_its_own_label(tmp_path, rows, labels):
    stack(tmp_path / "set" / "scan.tif", "TIFF", LEVELS[:4])
    Image.fromarray(LEVELS[4]).save(tmp_path / "set" / "other.png")
    table = tmp_path / "labels.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("File", "Label"), *rows.items()])
    found = load(tmp_path / "set", pages=True, labels=table, strict=True)
    of_files = dict(zip(found.files, found.labels.texts, strict=True))
    names = [*(f"scan.tif[{number}]" for number in range(4)), "other.png"]
    assert "".join(of_files[name] or "." for name in names) == labels


def test_pages_of_few_of_many_bits_are_read_in_the_span_that_all_have_together(tmp_path):
    deep = np.rint(LEVELS * (4095 / 255)).astype("u2")
    deep[3] //= 16
    stack(tmp_path / "set" / "scan.tif", "TIFF", deep)
    found = load(tmp_path / "set", pages=True)
    expected = np.rint(deep / (4095 / 255))
    assert np.array_equal(found.images[:, 0], expected)
    assert "is read as 0…4095 in 70 file(s)" in found.notes[0]


def test_a_thumbnail_is_no_page(tmp_path):
    pages = [Image.fromarray(LEVELS[0]), Image.fromarray(LEVELS[1, :6, :5]), Image.fromarray(LEVELS[2])]
    pages[1].encoderinfo = {"tiffinfo": {254: 1}}
    pages[2].encoderinfo = {"tiffinfo": {}}
    (tmp_path / "set").mkdir()
    pages[0].save(tmp_path / "set" / "scan.tif", save_all=True, append_images=pages[1:])
    found = load(tmp_path / "set", pages=True)
    assert found.files == ("scan.tif[0]", "scan.tif[2]")
    assert np.array_equal(found.images[:, 0], LEVELS[[0, 2]])


@pytest.mark.parametrize("form", ["TIFF", "GIF", "WEBP", "PNG"])
def test_damaged_pages_are_bad_files_and_cost_no_other_file(tmp_path, form):
    for name in "ab":
        stack(tmp_path / "set" / f"{name}.{FORMS[form]}", form, np.repeat(np.repeat(LEVELS[:6], 8, 1), 8, 2))
    path = tmp_path / "set" / f"b.{FORMS[form]}"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(range(100, 140))
    path.write_bytes(content)
    found = load(tmp_path / "set", pages=True, max_bad="6")
    files = [file for file in found.files if file.startswith("a.")]
    assert len(files) == 6
    bad = [file for file, _ in found.bad_files]
    assert len(bad) + len(found) in (7, 12)  # either each page has a row, or the file has
    assert all(file.startswith("b.") for file in bad)
    with pytest.raises(DataError, match="image files of set cannot be read") if bad else nothing():
        load(tmp_path / "set", pages=True)


def nothing():
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.parametrize("form", FORMS)
def test_more_pages_than_allowed_are_refused(tmp_path, form, monkeypatch):
    stack(tmp_path / "set" / f"long.{FORMS[form]}", form, LEVELS[:6])
    Image.fromarray(LEVELS[0]).save(tmp_path / "set" / "one.png")
    monkeypatch.setattr(image_files, "MAX_PAGES", 5)
    monkeypatch.setattr(image_files, "_MANY", 6)
    found = load(tmp_path / "set", pages=True, max_bad="1", image_shape=(1, 12, 10))
    assert (found.files, found.bad_files) == (
        ("one.png",),
        ((f"long.{FORMS[form]}", "more than the 5 pages allowed"),),
    )


def test_a_loop_of_pages_ends(tmp_path):
    stack(tmp_path / "set" / "loop.tif", "TIFF", LEVELS[:2])
    path = tmp_path / "set" / "loop.tif"
    with Image.open(path) as image:
        start = int.from_bytes(path.read_bytes()[4:8], "little")
        image.seek(1)
        second = image._frame_pos[1]
    content = bytearray(path.read_bytes())
    entries = int.from_bytes(content[second : second + 2], "little")
    content[second + 2 + 12 * entries : second + 6 + 12 * entries] = start.to_bytes(4, "little")
    path.write_bytes(content)
    assert np.array_equal(load(tmp_path / "set", pages=True).images[:, 0], LEVELS[:2])


def test_a_table_of_pages_without_pages_says_which_option_reads_them(tmp_path):
    stack(tmp_path / "scan.tif", "TIFF", np.random.default_rng(0).integers(0, 255, (3, 16, 16), np.uint8))
    (tmp_path / "labels.csv").write_text("File,Label\nscan.tif[0],a\nscan.tif[1],b\n")
    with pytest.raises(DataError, match=r"the rows name pages.*`pages`"):
        load(tmp_path, labels=tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("small", "size", "said"),
    [(1, 28, "12 of 14 images have 28×28 pixels, and all are read in that size"), (12, 64, "of unlike sizes")],
)
def test_the_size_of_pages_is_that_of_most_of_them_and_told(tmp_path, small, size, said):
    grey = [Image.fromarray(np.full((28, 28), 9 * level, np.uint8)) for level in range(6)]
    for name in ("a", "b"):
        first, *rest = [*grey, *[grey[1].resize((14, 14))] * small]
        first.save(tmp_path / f"{name}.tif", save_all=True, append_images=rest)
    found = load(tmp_path, pages=True)
    assert (found.shape[1:], len(found)) == ((size, size), 12 + 2 * small)
    (note,) = found.notes
    assert said in note


@pytest.mark.parametrize(("coloured", "told"), [(1, True), (4, True), (5, False), (11, False), (0, False)])
def test_a_few_images_in_colour_among_grey_ones_are_told(tmp_path, coloured, told):
    for row in range(10):
        mode = "RGB" if row < coloured else "L"
        Image.fromarray(LEVELS[row]).convert(mode).save(tmp_path / f"{row}.png")
        if mode == "RGB":
            Image.merge("RGB", [Image.fromarray(LEVELS[row + each]) for each in range(3)]).save(tmp_path / f"{row}.png")
    found = load(tmp_path, image_size=12)
    assert found.shape[0] == (3 if coloured else 1)
    assert [f"{coloured} of 10 images are in colour, such as 0.png" in note for note in found.notes] == [True] * told
    assert load(tmp_path, image_shape=(3, 12, 10)).notes == ()
