"""Images of two scales in one folder or array are told, with an example of each; dark ones among bright are not."""

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load

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


@pytest.mark.parametrize("kind", ["f4", "u2"])
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
@pytest.mark.parametrize(
    "factors", [np.linspace(0.05, 1, 10), np.where(np.arange(10) == 3, 0, 1), np.where(np.arange(10) < 4, 0.2, 1)]
)
def test_exposures_of_one_scale_are_not(tmp_path, kind, suffix, factors):
    numbers = SHADES * factors[:, None, None] * (1 / 255 if kind == "f4" else 257)
    found = load(saved(tmp_path / "set", numbers.astype(kind), suffix))
    assert not any("two scales" in note for note in found.notes)
