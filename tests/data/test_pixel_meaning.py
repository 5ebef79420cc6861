"""What pixels mean: transparent ones, few of many bits, and arrays of every type that people save."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from latentcli.core.errors import DataError, UsageError
from latentcli.data import load
from latentcli.data.arrays import to_images
from latentcli.formats.found_numbers import found_in
from latentcli.formats.pixel_values import Span, UnclearValues, hint, parse_range, pixels_of, span_of, spans_of

TRUE = np.random.default_rng(0).integers(0, 256, (5, 12, 12)).astype(np.uint8)
TRUE[0, 0, :2] = 0, 255
BITS = (TRUE > 127) * np.uint8(255)
"""The pictures, as bytes and as black and white, that all of the following are."""

READ: dict[str, tuple[np.ndarray, np.ndarray, str | None]] = {
    "plain": (TRUE, TRUE, None),
    "floats": (TRUE / 255, TRUE, None),
    "half floats": ((TRUE / 255).astype("f2"), TRUE, None),
    "foreign floats": ((TRUE / 255).astype(">f8"), TRUE, None),
    "16 bits": (TRUE.astype("u2") * 257, TRUE, None),
    "truth values": (BITS > 0, BITS, "0…1"),
    "bytes of 0 and 1": (BITS // 255, BITS, "0…1"),
    "long 0 and 1": ((BITS // 255).astype("i8"), BITS, "0…1"),
    "long bytes": (TRUE.astype("i8"), TRUE, "0…255"),
    "bytes in 16 bits": (TRUE.astype("u2"), TRUE, "0…255"),
    "bytes in signed": (TRUE.astype(">i4"), TRUE, "0…255"),
    "10 bits": (np.rint(TRUE * (1023 / 255)).astype("u2"), TRUE, "0…1023"),
    "12 bits": (np.rint(TRUE * (4095 / 255)).astype("i4"), TRUE, "0…4095"),
    "14 bits": (np.rint(TRUE * (16383 / 255)).astype("u4"), TRUE, "0…16383"),
    "signed bytes from 0": ((TRUE // 2).astype("i1"), np.rint(TRUE // 2 * (255 / 127)), "0…127"),
    "foreign 12 bits": (np.rint(TRUE * (4095 / 255)).astype(">u2"), TRUE, "0…4095"),
    "float bytes": (TRUE.astype("f4"), TRUE, "0…255"),
    "about zero": ((TRUE / 127.5 - 1).astype("f4"), TRUE, "-1…1"),
}


@pytest.mark.parametrize("case", READ)
def test_arrays_are_read_right_and_what_is_not_plain_is_told(tmp_path, case):
    array, expected, span = READ[case]
    np.savez(tmp_path / "x.npz", data=array)
    found = load(tmp_path / "x.npz")
    assert np.array_equal(found.images[:, 0], expected)
    assert len(found.notes) == (span is not None)
    assert span is None or f"{array.dtype.name} from" in found.notes[0]
    assert span is None or f"is read as {span}; `range`" in found.notes[0]


UNCLEAR: dict[str, np.ndarray] = {
    "standardised": (TRUE - 127.5) / 73,
    "a little over 1": np.where(TRUE == 255, 1.02, TRUE / 255),
    "a little below 0": TRUE / 255 - 0.05,
    "Hounsfield": TRUE.astype("i2") * 8 - 1024,
    "signed bytes": (TRUE.astype("i2") - 128).astype("i1"),
    "32 bits": TRUE.astype("u4") * 2**20,
    "counts as floats": TRUE * 40.0,
    "tiny": -TRUE / 1e6 - 1e-3,
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_is_unclear_is_refused_with_a_hint_that_is_right_when_it_is_followed(tmp_path, case):
    np.savez(tmp_path / "x.npz", data=UNCLEAR[case])
    with pytest.raises(DataError, match="black and white are unclear") as caught:
        load(tmp_path / "x.npz")
    advised = re.search(r"`range` (\S+)", str(caught.value))[1]
    found = load(tmp_path / "x.npz", range=advised)
    assert np.corrcoef(found.images.ravel(), UNCLEAR[case].ravel())[0, 1] > 0.999
    if "clip" in str(caught.value):
        np.savez(tmp_path / "x.npz", data=UNCLEAR[case].clip(0, 1))
        assert load(tmp_path / "x.npz").notes == ()


@pytest.mark.parametrize("data", [TRUE.view("i1"), (TRUE % 140).view("i1"), (255 - TRUE[:, 2:, 3:]).view("i1")])
def test_bytes_that_became_negative_are_bytes_again_by_the_call_that_is_advised(tmp_path, data):
    np.savez(tmp_path / "x.npz", data=data)
    with pytest.raises(DataError, match=r"where bytes above 127 became negative(.|\n)*`range` -128,127") as caught:
        load(tmp_path / "x.npz")
    advised = re.search(r"data\.view\(.*?\)", str(caught.value))[0]
    np.savez(tmp_path / "x.npz", data=eval(advised, {"numpy": np, "data": data}))
    found = load(tmp_path / "x.npz")
    assert np.array_equal(found.images[:, 0], data.astype("i2") % 256)
    assert found.notes == ()


def test_numbers_that_are_not_finite_are_counted_and_the_call_that_omits_them_works(tmp_path):
    data = (TRUE / 255).astype("f4")
    data[3, 0, 0], data[1, 2, 2] = np.nan, np.inf
    with pytest.raises(DataError, match=r"in 2 of 5 images, first in number 1(.|\n)*data\[numpy") as caught:
        to_images(data, "x")
    advised = re.search(r"data\[.*\]", str(caught.value))[0].split(", and")[0]
    kept, *_ = to_images(eval(advised, {"numpy": np, "data": data, "len": len}), "x")
    assert np.array_equal(kept[:, 0], TRUE[[0, 2, 4]])
    for more in ([3, 1], [0, 2, 4]):  # where all images have some, to omit them is no way
        data[more, 5, 5] = np.nan
        with pytest.raises(DataError) as caught:
            to_images(data, "x")
        advised = re.search(r"numpy\.nan_to_num\(.*\)", str(caught.value))[0]
        images, *_ = to_images(eval(advised, {"numpy": np, "data": data}), "x")
        assert np.array_equal(images[[0, 2, 4], 0, :4], TRUE[[0, 2, 4], :4])
        assert (images[3, 0, 0, 0], images[1, 0, 2, 2]) == (0, 255)
        assert ("omit" in str(caught.value)) == (len(more) == 2)


@given(st.sampled_from(["f4", "i2", "i8", "i1", "u4"]), st.floats(-1e5, 1e5), st.floats(1, 1e5))
def test_every_hint_names_a_range_that_holds_the_numbers(kind, low, width):
    dtype = np.dtype(kind)
    high = low + width
    if dtype.kind != "f":
        low, high = np.clip([round(low), round(high)], np.iinfo(dtype).min, np.iinfo(dtype).max)
    try:
        span = span_of(dtype, low, high)
    except UnclearValues:
        span = parse_range(hint(found_in(np.linspace(low, high, 50).astype(dtype))).rsplit(" ", 1)[1])
    assert span.holds(low, high)


@pytest.mark.parametrize("text", ["", "x", "5,1", "1,1", "1,2,3", "nan", "inf", "0"])
def test_a_range_is_a_number_or_two(text):
    with pytest.raises(UsageError, match="`range`"):
        parse_range(text)
    assert (parse_range("4095"), parse_range("-1,1")) == (Span(0, 4095, True), Span(-1, 1, True))


def files(folder, images, suffix=".png"):
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}{suffix}")
    return folder


DEEP = [
    (READ["16 bits"][0], ".png", None), (READ["10 bits"][0], ".png", "0…1023"), (READ["12 bits"][0], ".tif", "0…4095"),
    (READ["bytes in 16 bits"][0], ".tif", "0…255"), (READ["about zero"][0], ".tif", "-1…1"),
    (READ["float bytes"][0], ".tif", "0…255"), ((TRUE / 255).astype("f4"), ".tif", None),
]  # fmt: skip


@pytest.mark.parametrize(("array", "suffix", "span"), DEEP)
def test_files_of_more_than_8_bits_are_read_in_the_span_they_have_together(tmp_path, array, suffix, span):
    found = load(files(tmp_path / "set", array, suffix))
    assert np.array_equal(found.images[:, 0], TRUE)
    assert len(found.notes) == (span is not None)
    assert span is None or f"is read as {span}" in found.notes[0]
    assert "in 5 file(s)" in "".join(found.notes) or span is None


def test_a_dark_image_among_bright_ones_stays_dark(tmp_path):
    deep = TRUE.astype("u2") * 16
    deep[2] //= 8
    found = load(files(tmp_path / "set", deep))
    assert np.abs(found.images[2, 0].astype(int) - TRUE[2] // 8).max() <= 1
    said = load(tmp_path / "set", range="65535")
    assert said.images.max() == round(4080 / 257)
    assert said.notes == ()


def test_a_file_of_unclear_values_is_bad_and_told_what_would_make_it_good(tmp_path):
    folder = files(tmp_path / "set", TRUE.astype("u2") * 257)
    Image.fromarray(TRUE[0].astype("i4") - 1000).save(folder / "3-scan.tif")
    found = load(folder, max_bad="1")
    assert np.array_equal(found.images[:, 0], TRUE)
    assert found.bad_files[0][0] == "3-scan.tif"
    assert "int32 from -1000 to -745: black and white are unclear; say" in found.bad_files[0][1]
    with pytest.raises(DataError, match="`range` -1000,"):
        load(folder)


def test_masks_of_0_and_1_in_files_are_black_and_white(tmp_path):
    found = load(files(tmp_path / "set", BITS // 255))
    assert np.array_equal(found.images[:, 0], BITS)
    assert "is read as 0…1" in found.notes[0]


INK = TRUE[0] > 100
CLEAR = {  # of images with transparency: mode, colour of the ink, the ground
    "black ink": ("RGBA", (0, 0, 0), "white"), "blue ink": ("RGBA", (0, 0, 200), "white"),
    "grey ink": ("LA", (20,), "white"), "white ink": ("RGBA", (255, 255, 255), "black"),
    "light ink": ("LA", (200,), "black"), "a photograph": ("RGBA", (120, 130, 90), "black"),
}  # fmt: skip


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("case", CLEAR)
def test_what_is_drawn_on_transparent_ground_stays_visible(tmp_path, case, form):
    mode, ink, ground = CLEAR[case]
    if form == "WEBP" and mode == "LA":
        pytest.skip("WebP has no grey")
    pixels = np.dstack([*(np.full_like(TRUE[0], level) for level in ink), INK * np.uint8(255)])
    (tmp_path / "set").mkdir()
    options = {"lossless": True} if form == "WEBP" else {}
    Image.fromarray(pixels, mode).save(tmp_path / "set" / "1.png", form, **options)
    found = load(tmp_path / "set", image_shape=(1, 12, 12))
    seen = found.images[0, 0].astype(int)
    assert np.ptp(seen[INK]) == np.ptp(seen[~INK]) == 0
    assert abs(seen[INK][0] - seen[~INK][0]) > 60
    assert seen[~INK][0] == (255 if ground == "white" else 0)
    assert f"laid on {ground} in 1 file(s), such as 1.png; `background`" in found.notes[-1]
    assert any("colours" in note for note in found.notes) == (np.ptp(ink) > 8)
    grey = load(tmp_path / "set", image_shape=(1, 12, 12), background="#808080")
    assert (grey.images[0, 0][~INK] == 128).all()


def test_palettes_with_a_transparent_colour(tmp_path):
    image = Image.fromarray(INK.astype(np.uint8)).convert("P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    (tmp_path / "set").mkdir()
    image.save(tmp_path / "set" / "1.png", transparency=0)
    image.save(tmp_path / "set" / "2.gif", transparency=0)
    assert np.array_equal(load(tmp_path / "set").images[:, 0] == 0, [INK, INK])


def test_opaque_images_have_nothing_to_tell_and_a_background_is_a_colour(tmp_path):
    folder = files(tmp_path / "set", [np.dstack([TRUE[0]] * 3 + [np.full_like(TRUE[0], 255)])])
    assert load(folder).notes == ()
    with pytest.raises(UsageError, match="`background` 'puce-ish' is no colour"):
        load(folder, background="puce-ish")
    np.save(tmp_path / "x.npy", TRUE)
    assert "not used" in load(tmp_path / "x.npy", background="white").notes[0]


def test_a_range_that_nothing_needs_is_told_and_one_that_is_used_is_kept(tmp_path):
    folder = files(tmp_path / "set", TRUE)
    assert load(folder, range="4095").notes == ("set: no image of more than 8 bits, so `range` was not used",)
    assert load(folder, range="4095").spans == {}
    deep = files(tmp_path / "deep", TRUE.astype("u2") * 16)
    assert load(deep, range="8191").spans == {"whole": (0, 8191)}
    assert load(deep).spans == {"whole": (0, 4095)}
    np.save(tmp_path / "x.npy", TRUE / 255)
    assert load(tmp_path / "x.npy", range="-1,1").spans == {"float": (-1, 1)}
    assert load("digits", range="5").notes == ("`range` is of arrays and of image files, and was not used",)


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_a_tiff_whose_0_is_white_is_read_so_at_every_depth(tmp_path, kind):
    tifffile = pytest.importorskip("tifffile")
    scales = {"u1": 1, "u2": 257, "f4": 1 / 255}
    (tmp_path / "set").mkdir()
    tifffile.imwrite(
        tmp_path / "set" / "1.tif", (TRUE[0].astype(float) * scales[kind]).astype(kind), photometric="miniswhite"
    )
    found = load(tmp_path / "set")
    assert np.array_equal(found.images[0, 0], 255 - TRUE[0])
    assert found.notes == ()


def test_types_of_files_are_called_as_they_were_saved(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    for kind in ("i2", "i1", "u2"):
        (tmp_path / kind).mkdir()
        tifffile.imwrite(tmp_path / kind / "1.tif", (TRUE[0] // 2).astype(kind))
        assert f"{np.dtype(kind).name} from 0 to 127 is read as" in load(tmp_path / kind).notes[0]


@pytest.mark.parametrize("kind", ["i2", "u2", "i4", "i8", "u8"])
@pytest.mark.parametrize(("largest", "share"), [(2, 0.9), (5, 0.02), (31, 0.3), (4, 0.001)])
def test_maps_of_labels_in_whole_numbers_of_any_type_are_told_with_the_range_that_shows_them(
    tmp_path, kind, largest, share
):
    objects = np.random.default_rng(1).random((40, 12, 12)) < share
    classes = objects * (np.arange(5760).reshape(40, 12, 12) % largest + 1)
    np.save(tmp_path / "x.npy", classes.astype(kind))
    found = load(tmp_path / "x.npy")
    assert found.images.max() <= 2 * largest
    (told,) = (note for note in found.notes if "nearly all of its numbers, 0 to" in note)
    advised = re.search(r"`range` (\S+)", told)[1]
    assert int(advised) == largest
    said = load(tmp_path / "x.npy", range=advised)
    assert np.array_equal(said.images[:, 0], np.rint(classes * (255 / largest)))
    assert said.notes == ()


@pytest.mark.parametrize("largest", [2, 15, 31])
def test_bytes_of_few_values_are_told_and_the_range_that_is_advised_makes_them_white(tmp_path, largest):
    classes = TRUE % (largest + 1)
    classes[1] = 1  # no image is stretched by itself
    np.save(tmp_path / "x.npy", classes)
    for source in (tmp_path / "x.npy", files(tmp_path / "set", classes)):
        found = load(source)
        assert np.array_equal(found.images[:, 0], classes)
        (told,) = found.notes
        assert told.endswith(f"its largest value is {largest} of 255; `range` {largest} makes it white")
        said = load(source, range=str(largest))
        assert np.array_equal(said.images[:, 0], np.rint(classes * (255 / largest)))
        assert not any("largest" in each for each in said.notes)


@pytest.mark.parametrize(
    "numbers",
    [{"bytes": (0, 255)}, {"whole": (0, 1, 2)}, {"float": (1, 1)}, {"units": (0, np.inf)}, {"units": (0, np.nan)}],
)
def test_spans_that_say_no_black_and_white_are_refused(numbers):
    kind, pair = next(iter(numbers.items()))
    with pytest.raises(UsageError, match=f"not which numbers are black and white\n  found .* for '{kind}'"):
        spans_of(numbers)
    assert spans_of({"whole": (pair[0], 4095)}) == {"whole": Span(pair[0], 4095)}


def test_numbers_of_a_type_without_a_rule_are_unclear():
    with pytest.raises(UnclearValues, match="complex64 from 0 to 1"):
        span_of(np.dtype(np.complex64), 0, 1)


def test_images_of_no_numbers_are_refused():
    with pytest.raises(DataError, match=r"x.npy holds images of type datetime64\[s\]\n  expected numbers$"):
        pixels_of(np.zeros((2, 4, 4), "M8[s]"), "x.npy")


def test_the_range_that_is_advised_for_one_number_has_a_white_above_it():
    with pytest.raises(DataError, match=r"say which are black and white: `range` -3,0$"):
        pixels_of(np.full((2, 4, 4), -3, np.int16), "x.npy")


def test_a_span_that_begins_below_all_numbers_is_refused():
    with pytest.raises(UsageError, match="not which numbers are black and white"):
        spans_of({"float": (-np.inf, 1)})


@pytest.mark.parametrize(("texts", "way"), [
    ([["1", "2.5"], ["3", "4"]], "make them numbers"), ([["1", "cat"], ["3", "4"]], "found texts such as 'cat'"),
    ([["1", "2"], ["dog", "cat"]], "found texts such as 'dog'"),
])  # fmt: skip
def test_texts_are_told_by_the_first_that_is_no_number(texts, way):
    with pytest.raises(DataError, match=way):
        pixels_of(np.array(texts)[:, None], "a.npz")


def test_positive_numbers_are_spread_from_black():
    assert "`range` 5000" in hint(found_in(np.linspace(300.5, 5000, 4096)))
    assert "`range` -300.5,5000" in hint(found_in(np.linspace(-300.5, 5000, 4096)))
