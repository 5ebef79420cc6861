"""Numbers that are no brightness, or that few pixels have: padding, hot pixels, and what lies outside a range."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load
from latentcli.formats.found_numbers import found_in, found_in_many, together
from latentcli.formats.pixel_values import pixels_of

SHADES = np.random.default_rng(5).integers(0, 256, (12, 16, 16))
SHADES[:, 0, :2] = 0, 255
TWELVE = np.rint(SHADES * (4095 / 255)).astype("u2")
HU = TWELVE.astype("i2") - 1024
AWAY = np.zeros((16, 16), bool)
AWAY[4:8] = True


def saved(path: Path, images: np.ndarray, suffix: str) -> Path:
    """A folder of files, or an array file."""
    if suffix == ".npy":
        np.save(path.with_suffix(".npy"), images)
        return path.with_suffix(".npy")
    path.mkdir()
    for number, image in enumerate(images):
        if suffix == ".nii":
            nibabel = pytest.importorskip("nibabel")
            nibabel.Nifti1Image(image.T[..., None], np.diag([-1, -1, 1, 1])).to_filename(path / f"{number:02}.nii")
        elif image.dtype.kind == "i" or image.dtype.kind == "f":
            pytest.importorskip("tifffile").imwrite(path / f"{number:02}.tif", image)
        else:
            Image.fromarray(image).save(path / f"{number:02}{suffix}")
    return path


def advice(text: str) -> str:
    return re.search(r"`range` (\S+)", text)[1].rstrip(";,")


HOT: dict[str, tuple[np.ndarray, np.ndarray]] = {  # the numbers, and the shades that following the advice should give
    "a hot pixel": (np.where(np.arange(12)[:, None, None] == 3, TWELVE | (np.eye(16) > 0) * np.uint16(2**15), TWELVE),
                    SHADES),
    "a hot pixel in each image": (np.where(np.arange(256).reshape(16, 16) == 77, 65_535, TWELVE).astype("u2"), SHADES),
    "a narrow band": ((SHADES * 4 + 30_000).astype("u2"), SHADES),
    "few values": ((SHADES // 43).astype("u2"), SHADES // 43 * 51),
    "a wide one of few bits": (np.where(np.arange(256).reshape(16, 16) == 77, 60_000, SHADES * 3 + 12).astype("u2"),
                               SHADES),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy", ".nii"])
@pytest.mark.parametrize("case", HOT)
def test_numbers_that_become_nearly_one_level_are_told_with_the_range_that_spreads_them(tmp_path, case, suffix):
    numbers, shades = HOT[case]
    path = saved(tmp_path / "set", numbers.astype("i4") if suffix == ".nii" else numbers, suffix)
    found = load(path)
    assert np.quantile(found.images, 0.99) - np.quantile(found.images, 0.01) < 32
    (told,) = [note for note in found.notes if "nearly all" in note]
    again = load(path, range=advice(told))
    usual = np.abs(numbers.astype(int) - np.median(numbers)) < 10_000
    assert np.corrcoef(again.images[:, 0][usual], shades[usual])[0, 1] > 0.999
    assert np.ptp(again.images[:, 0][usual]) > 190
    outside = [note for note in again.notes if "outside" in note]
    low, high = again.spans["units" if suffix == ".nii" else "whole"]
    assert len(outside) == bool(((numbers < low) | (numbers > high)).any())


def test_plain_numbers_have_nothing_more_to_tell(tmp_path):
    for number, images in enumerate((SHADES.astype("u2") * 257, (SHADES / 255).astype("f4"), TWELVE)):
        for suffix in (".npy", ".tif"):
            found = load(saved(tmp_path / f"{number}{suffix[1:]}", images, suffix))
            assert not any("nearly" in note or "outside" in note or "padding" in note for note in found.notes)


@pytest.mark.parametrize("suffix", [".png", ".npy", ".nii"])
@pytest.mark.parametrize(("low", "high"), [(0, 1000), (2000, 3000), (5000, 6000)])
def test_what_lies_outside_the_range_is_black_or_white_and_counted(tmp_path, suffix, low, high):
    numbers = TWELVE.astype("i4") if suffix == ".nii" else TWELVE
    found = load(saved(tmp_path / "set", numbers, suffix), range=f"{low},{high}")
    expected = np.rint(((TWELVE - float(low)) * (255 / (high - low))).clip(0, 255))
    assert np.array_equal(found.images[:, 0], expected)
    outside = (low > TWELVE) | (high < TWELVE)
    counts = (
        f"{outside.sum():,} of 3,072 numbers, in 12 image(s), lie outside `range` {low}…{high} and are black or white"
    )
    assert any(counts in note for note in found.notes)


def test_a_model_reads_hot_pixels_as_it_did_in_training(tmp_path):
    hot = TWELVE.copy()
    hot[3, 5, 5] = 65_535
    for suffix in (".npy", ".tif"):
        path = saved(tmp_path / suffix[1:], hot, suffix)
        said = load(path, range="4095")
        again = load(path, spans=said.spans)
        assert np.array_equal(again.images, said.images)
        assert "as the images of the model were, and what lies outside is black or white" in again.notes[0]
        bright = load(saved(tmp_path / f"bright{suffix[1:]}", TWELVE * np.uint16(16), suffix), spans=said.spans)
        assert "and the images of the model were read as 0…4095" in bright.notes[0]


def with_padding(numbers: np.ndarray, mark: float) -> np.ndarray:
    return np.where(AWAY, np.asarray(mark, numbers.dtype), numbers)


LOWEST = float(np.finfo("f4").min)
PADDED = {
    "weather": (with_padding(HU, -9999), "-9999"), "terrain": (with_padding(HU.astype("f4"), -9999), "-9999"),
    "the least of 16 bits": (with_padding(HU, -32_768), "-32768"),
    "GIS": (with_padding(HU.astype("f4"), LOWEST), "-3.4"),
    "GIS in 64 bits": (with_padding(HU.astype("f8"), float(np.finfo("f8").min)), "-1.797"),
    "GIS in few digits": (with_padding(HU.astype("f4"), -3.4e38), "-3.4"),
    "GIS of 32 bits in 64": (with_padding(HU.astype("f8"), -3.4028235e38), "-3.4"),
    "wide": (with_padding(HU.astype("i4"), -32_768), "-32768"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".nii"])
@pytest.mark.parametrize("case", PADDED)
def test_padding_is_black_and_not_in_the_range_that_is_advised(tmp_path, case, suffix):
    numbers, mark = PADDED[case]
    if suffix == ".tif" and numbers.dtype == np.float64:
        pytest.skip("Pillow reads no such TIFF")
    path = saved(tmp_path / "set", numbers, suffix)
    with pytest.raises(DataError, match="unclear") as caught:
        load(path)
    assert advice(str(caught.value)) == "-1024,3071"
    found = load(path, range="-1024,3071")
    assert np.array_equal(found.images[:, 0], np.where(AWAY, 0, SHADES))
    assert any(f"{mark}" in note and "is read as padding, which is black" in note for note in found.notes)
    assert not any("outside" in note for note in found.notes)


@pytest.mark.parametrize(
    ("numbers", "mark"),
    [(with_padding((SHADES / 255).astype("f4"), np.nan), "NaN"), (with_padding(TWELVE.astype("i2"), -9999), "-9999"),
     (with_padding(SHADES.astype("f4"), np.nan), "NaN"), (with_padding((SHADES / 255).astype("f4"), LOWEST), "-3.4")],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".tif", ".nii"])
def test_padding_leaves_the_span_of_the_others_as_it_is(tmp_path, numbers, mark, suffix):
    found = load(saved(tmp_path / "set", numbers, suffix))
    assert np.array_equal(found.images[:, 0], np.where(AWAY, 0, SHADES))
    assert any(mark in note and "is read as padding, which is black in 12 file(s)" in note for note in found.notes)


def test_a_file_of_nothing_but_padding_is_black(tmp_path):
    numbers = (SHADES / 255).astype("f4")
    numbers[3] = np.nan
    found = load(saved(tmp_path / "set", numbers, ".tif"))
    assert np.array_equal(found.images[:, 0], np.where(np.arange(12)[:, None, None] == 3, 0, SHADES))


def test_files_of_nothing_but_padding_are_black_beside_those_of_bytes(tmp_path):
    folder = saved(tmp_path / "set", np.full((2, 16, 16), np.nan, "f4"), ".tif")
    Image.fromarray(SHADES[0].astype("u1")).save(folder / "02.png")
    found = load(folder)
    assert np.array_equal(found.images[:, 0], [SHADES[0] * 0, SHADES[0] * 0, SHADES[0]])
    assert any("NaN is read as padding, which is black in 2 file(s)" in note for note in found.notes)
    assert found.spans == {}


def test_numbers_that_only_look_like_padding_are_numbers():
    ramp = np.arange(-9999, -9999 + 256 * 12).astype("i2").reshape(12, 16, 16)
    assert (found_in(ramp).low, found_in(ramp).padding) == (-9999, ())
    full = np.linspace(-32_768, 32_767, 3072).astype("i2")
    assert (found_in(full).low, found_in(full).padding) == (-32_768, ())
    parts = together([found_in(np.array([-9999, 5, 9])), found_in(np.array([-20_000, 100]))])
    assert (parts.low, parts.high, parts.padding) == (-20_000, 100, ())
    far = -np.linspace(1, 9, 256) * 1e25
    assert (found_in(far).low, found_in(far).padding) == (-9e25, ())
    assert found_in(np.array([-9999, 5])).padding == ("-9999",)
    assert not found_in_many(np.array([[1.0, np.nan]]))[0].finite


def test_images_of_nothing_but_padding_are_black():
    images, told, _ = pixels_of(np.full((2, 4, 4), -9999.0), "x.npy")
    assert not images.any()
    assert told == ["x.npy: -9999 is read as padding, which is black"]
