"""Numbers of which nearly all lie in a narrow band are told, with the range that spreads them; pictures are not."""

import re

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load
from latentcli.data.arrays import to_images

SHADES = np.random.default_rng(11).integers(0, 256, (20, 16, 16))
PLACES = np.arange(SHADES.size).reshape(SHADES.shape)
DEPTH = 500 + SHADES * 9000 // 255
NARROW = {  # the numbers, and which of them are usual
    "2 % invalid": (np.where(PLACES % 50 == 7, 65_535, DEPTH).astype("u2"), PLACES % 50 != 7),
    "20 % invalid": (np.where(PLACES % 5 == 2, 32_767, DEPTH // 3).astype("i2"), PLACES % 5 != 2),
    "10 % missing": (np.where(PLACES % 10 == 7, 0, 30_000 + DEPTH // 3).astype("u2"), PLACES % 10 != 7),
    "half missing": (np.where(PLACES % 16 < 8, 0, 30_000 + DEPTH // 3).astype("u2"), PLACES % 16 >= 8),
    "missing as -1": (np.where(PLACES % 5 == 2, -1, 25_000 + DEPTH // 3).astype("i4") + 1, PLACES % 5 != 2),
    "missing and invalid": (
        np.select([PLACES % 10 == 7, PLACES % 10 == 3], [0, 65_535], 30_000 + DEPTH // 5).astype("u2"),
        ~np.isin(PLACES % 10, (3, 7)),
    ),
    "missing in floats": (np.where(PLACES % 10 == 7, 0, 0.7 + SHADES / 2550).astype("f4"), PLACES % 10 != 7),
    "a hot pixel": (np.where(PLACES == 99, 65_535, DEPTH).astype("u2"), PLACES != 99),
    "a hot byte": (np.where(PLACES == 99, 255, SHADES * 20 // 255).astype("u1"), PLACES != 99),
    "low contrast": ((120 + SHADES * 15 // 255).astype("u1"), PLACES >= 0),
    "low contrast in floats": ((0.4 + SHADES / 2550).astype("f4"), PLACES >= 0),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".tif", ".npz"])
@pytest.mark.parametrize("case", NARROW)
def test_a_narrow_band_is_told_with_the_range_that_spreads_it(tmp_path, case, suffix):
    numbers, usual = NARROW[case]
    if suffix == ".npz":
        path = tmp_path / "set.npz"
        np.savez(path, data=numbers)
    else:
        (path := tmp_path / "set").mkdir()
        for number, image in enumerate(numbers):
            Image.fromarray(image.astype("u2") if image.dtype == "i2" else image).save(path / f"{number:02}.tif")
    (told,) = [note for note in load(path).notes if "nearly all of its numbers" in note]
    apart = {"2 %": "but 65535,", "20 %": "but 32767,", "missing and": "but 0 and 65535,", "missing": "but 0,"}
    apart |= {"10 %": "but 0,", "half": "but 0,", "a hot pixel": "but 65535,"}
    expected = next((text for start, text in apart.items() if case.startswith(start)), None)
    assert (expected or ",") in told
    assert (" but " in told) == (expected is not None)
    again = load(path, range=re.search(r"`range` (\S+)", told)[1])
    assert not any("nearly all" in note for note in again.notes)
    shades = again.images[:, 0][usual].astype(float)
    assert np.ptp(shades) > 180
    assert np.corrcoef(shades, numbers[usual])[0, 1] > 0.999


STROKES = (np.random.default_rng(2).random((20, 16, 16)) < 0.04) * 255
PICTURES = {
    "shades": SHADES, "dark to half": SHADES // 2, "few strokes": STROKES, "dark strokes": 255 - STROKES,
    "grey in the middle": 90 + SHADES // 3, "masks": (SHADES > 200) * 255,
    "bright in a black frame": np.where(PLACES % 16 < 5, 0, 200 + SHADES // 5),
    "few levels on black": np.where(PLACES % 16 < 9, 0, 240 + SHADES // 32),
    "faint on black": np.where(PLACES % 16 < 9, 0, SHADES),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("case", PICTURES)
def test_pictures_and_drawings_are_not(case, kind):
    numbers = (PICTURES[case] * {"u1": 1, "u2": 257, "f4": 1 / 255}[kind]).astype(kind)
    assert not any("nearly all" in note for note in to_images(numbers, "x").notes)


def test_real_pictures_are_not(real_data):
    for source in ("image_folder_photos", "image_folder_mixed", "brain_mri/brain_mri_80_test.npz", "MNIST/raw"):
        images = load(real_data / source, split="test" if "raw" in source else None)
        deep = [
            (images.images * np.float32(factor)).astype(kind)
            for factor, kind in ((257, "u2"), (16, "i4"), (1 / 255, "f4"))
        ]
        notes = [*images.notes, *(note for numbers in deep for note in to_images(numbers, "x").notes)]
        assert not any("nearly all" in note or "two scales" in note for note in notes)


HEIGHTS = np.where(PLACES % 3 == 1, 0, 1200 + SHADES / 2).astype("f4")


def test_what_is_missing_is_not_in_the_range_that_a_refusal_advises_nor_in_that_of_a_model(tmp_path):
    np.save(tmp_path / "set.npy", HEIGHTS)
    with pytest.raises(DataError, match="unclear") as caught:
        load(tmp_path / "set.npy")
    found = load(tmp_path / "set.npy", range=re.search(r"`range` (\S+)", str(caught.value))[1])
    assert np.ptp(found.images[:, 0][HEIGHTS > 0]) > 200
    assert (found.images[:, 0][HEIGHTS == 0] == 0).all()
    again = load(tmp_path / "set.npy", spans=found.spans)
    assert np.array_equal(again.images, found.images)
    assert any("as the images of the model were" in note for note in again.notes)
