"""Images of two scales in one folder or array are told, with an example of each; dark ones among bright are not."""

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load
from latentcli.formats.found_numbers import found_in
from latentcli.formats.mixed_scales import mixed_files, mixed_images

SHADES = np.random.default_rng(7).integers(0, 256, (10, 12, 12))
HALF = (np.arange(10) % 2 == 0)[:, None, None]
LAST = (np.arange(10) < 9)[:, None, None]
MIXED = {  # the numbers, which are the darker ones, and by what they are to be multiplied
    "floats": (np.where(HALF, SHADES / 255, SHADES).astype("f4"), HALF, 255),
    "10 of 16 bits": (np.where(HALF, SHADES * 4, SHADES * 257).astype("u2"), HALF, 64),
    "bytes and 16 bits": (np.where(HALF, SHADES, SHADES * 257).astype("u2"), HALF, 257),
    "masks and bytes": (np.where(HALF, SHADES > 127, np.where(SHADES > 127, 255, 0)).astype("u1"), HALF, 255),
    "one of 10 bright": (np.where(LAST, SHADES * 16, SHADES * 257).astype("u2") // np.where(LAST, 4, 1), LAST, 64),
    "one fraction": (np.where(LAST, SHADES, SHADES / 255).astype("f4"), ~LAST, 255),
}  # fmt: skip


def saved(path, images, suffix):
    if suffix == ".npy":
        np.save(path.with_suffix(".npy"), images)
        return path.with_suffix(".npy")
    path.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(path / f"{number}{suffix}")
    return path


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
@pytest.mark.parametrize("case", MIXED)
def test_two_scales_are_told_and_the_factor_that_is_advised_makes_them_one(tmp_path, case, suffix):
    numbers, dark, factor = MIXED[case]
    numbers = numbers.astype({"f": "f4", "u": numbers.dtype.name}.get(numbers.dtype.kind, "u2"))
    found = load(saved(tmp_path / "set", numbers, suffix))
    (told,) = [note for note in found.notes if "two scales" in note]
    assert f"{dark.sum()} of 10 images are much darker" in told
    assert f"image * {factor} for the darker" in told
    assert told.count("reaches") == 1
    again = load(saved(tmp_path / "again", np.where(dark, numbers * factor, numbers).astype(numbers.dtype), suffix))
    assert not any("two scales" in note for note in again.notes)
    shades = (SHADES > 127) * 255 if case == "masks and bytes" else SHADES
    assert np.abs(again.images[:, 0].astype(int) - shades).max() <= 4


def test_a_refusal_of_two_scales_tells_them_too(tmp_path):
    numbers = np.where(HALF, SHADES / 255, SHADES * 16.0).astype("f4")
    for suffix in (".tif", ".npy"):
        with pytest.raises(DataError, match="5 of 10 images are much darker"):
            load(saved(tmp_path / "set", numbers, suffix))


BOTH = {  # which images lie in 0…1, beside others in -1…1
    "half": HALF, "two of ten": np.arange(10)[:, None, None] % 5 == 3, "all but two": np.arange(10)[:, None, None] > 1,
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
@pytest.mark.parametrize("case", BOTH)
def test_numbers_about_0_beside_others_from_0_are_told_and_the_advice_makes_them_one(tmp_path, case, suffix):
    shades = (SHADES / 255).astype("f4")
    found = load(saved(tmp_path / "set", np.where(BOTH[case], shades, shades * 2 - 1), suffix))
    (told,) = [note for note in found.notes if "two scales" in note]
    assert f"{BOTH[case].sum()} of 10 images have no number below 0" in told
    assert "image * 2 - 1 for the first" in told
    again = load(saved(tmp_path / "again", shades * 2 - 1, suffix))
    assert not any("two scales" in note for note in again.notes)
    assert np.abs(again.images[:, 0].astype(int) - SHADES).max() <= 1


def test_numbers_about_0_beside_bytes_are_told_with_both_steps(tmp_path):
    shades = SHADES.astype("f4")
    path = saved(tmp_path / "set", np.where(HALF, shades / 127.5 - 1, shades), ".npy")
    with pytest.raises(DataError, match=r"save them in one: \(image \+ 1\) \* 127\.5 for the darker"):
        load(path)


BRIGHT = np.maximum(SHADES, 140)
OF_ONE_SCALE = {  # in shades of 0…255, of which -1…1 is made
    "each has black": SHADES, "dark ones": SHADES // np.where(HALF, 1, 4), "one bright": np.where(LAST, SHADES, BRIGHT),
    "bright ones": np.where(HALF, SHADES, np.maximum(SHADES, 170)),
    "some in between": np.maximum(SHADES, np.array([0, 0, 0, 110, 120, 125, 130, 130, 130, 130])[:, None, None]),
    "flat ones": np.where(HALF, SHADES, 128),
    "dark halves": SHADES * np.where(HALF, 129, 255) // 255,
}  # fmt: skip


@pytest.mark.parametrize("case", OF_ONE_SCALE)
def test_bright_images_of_one_scale_about_0_are_not(case):
    shades = OF_ONE_SCALE[case]
    assert mixed_images((shades / 127.5 - 1).astype("f4")) == ""


def test_real_pictures_about_0_are_not(real_data):
    for source in ("image_folder_photos", "image_folder_mixed", "brain_mri/brain_mri_80_test.npz"):
        images = load(real_data / source, image_size=32 if "folder" in source else None).images
        for shades in (images, 255 - images):
            assert mixed_images((shades / 127.5 - 1).astype("f4")) == ""


@pytest.mark.parametrize("kind", ["f4", "u2"])
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
@pytest.mark.parametrize(
    "factors", [np.linspace(0.05, 1, 10), np.where(np.arange(10) == 3, 0, 1), np.where(np.arange(10) < 4, 0.2, 1)]
)
def test_exposures_of_one_scale_are_not(tmp_path, kind, suffix, factors):
    numbers = SHADES * factors[:, None, None] * (1 / 255 if kind == "f4" else 257)
    found = load(saved(tmp_path / "set", numbers.astype(kind), suffix))
    assert not any("two scales" in note for note in found.notes)


@pytest.mark.parametrize("darkest", ["u1", "f4"])
def test_bytes_that_are_no_truth_values_are_the_dark_ones_of_one_scale(darkest):
    images = [np.array([0, 0.5 if darkest == "f4" else 3], darkest), np.array([0, 3], "u1"), np.array([0, 200], "f4")]
    assert mixed_files([found_in(image) for image in images], ["a", "b", "c"]) == ""
    masks = [image.clip(0, 1) for image in images[:2]]
    assert "two scales" in mixed_files([found_in(image) for image in [*masks, images[2]]], ["a", "b", "c"])
