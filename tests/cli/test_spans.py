"""The range in which deep images were read stays with the model: dark images of a test are as dark as they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentcli as lc

SHADES = np.random.default_rng(0).integers(0, 256, (24, 8, 8))
SHADES[0, 0, :2] = 0, 255
SHADES[::2, 2:6, 2:6] = 255


def saved(path: str, pixels: np.ndarray, suffix: str) -> str:
    """A folder of files, or an array file, with a class of each second image."""
    if suffix == ".npz":
        np.savez(path, data=pixels, labels=np.array(list("ab" * 12)))
        return f"{path}.npz"
    for number, image in enumerate(pixels):
        file = Path(path) / "ab"[number % 2] / f"{number}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    return path


DEEP = {  # the numbers as they are trained on, dark ones of a test, and what is told of these
    "12 bits": (np.rint(SHADES * (4095 / 255)).astype("u2"), 1 / 8, ".png", "is read as 0…4095, as the images of"),
    "16 bits": (SHADES.astype("u2") * 257, 1 / 100, ".tif", "is read as 0…65535, as the images of the model were"),
    "counts": (SHADES.astype("i8") * 4, 1 / 30, ".npz", "is read as 0…1023, as the images of the model were"),
    "float bytes": (SHADES.astype("f4"), 1 / 10, ".npz", "is read as 0…255, as the images of the model were"),
    "float files": (SHADES.astype("f4"), 1 / 10, ".tif", "is read as 0…255, as the images of the model were"),
}  # fmt: skip


@pytest.mark.parametrize("case", DEEP)
def test_a_dark_test_set_is_read_as_the_training_set_was(call, tmp_path, tiny, case):
    bright, shade, suffix, told = DEEP[case]
    dark = (bright * shade).astype(bright.dtype)
    train, test = saved("train", bright, suffix), saved("dark", dark, suffix)
    assert call("train", train, *tiny).code == 0
    model = lc.load_model("vae.pth")
    (span,) = model.load_options["spans"].values()
    expected = np.rint(dark.astype("f8") * (255 / span[1]))
    for line in (["reconstruct", test], ["classify", test], ["evaluate", test], ["encode", test]):
        more = ["gmm_params.pkl"] if line[0] in ("classify", "evaluate") else []
        done = call(*line, "vae.pth", *more)
        assert done.code == 0, done.err
        assert told in done.err
        assert "--range says otherwise" in done.err
    twin = lc.load(test, prefer="test", **model.load_options)
    order = np.argsort([int(Path(file).stem) for file in twin.files]) if twin.files else slice(None)
    assert np.array_equal(twin.images[order, 0], expected)
    found = np.load("latents.npz")
    assert np.array_equal(found["mu"], model.encode(twin).arrays["mu"])
    alone = lc.load(test, range=f"{dark.max()}", **model.load_options)
    assert alone.images.max() == 255
    assert not any("is read as" in note for note in alone.notes)


def test_val_is_read_as_data_is(call, tmp_path, tiny):
    bright = np.rint(SHADES * (4095 / 255)).astype("u2")
    train, val = saved("train", bright, ".npz"), saved("val", bright // 8, ".png")
    done = call("train", train, val, *[part for part in tiny if part != "-q"])
    assert done.code == 0, done.err
    assert "val: uint16 from 0 to 511 is read as 0…4095, as the images of the model were in 24 file(s)" in done.err


@pytest.mark.parametrize(
    ("spans", "array", "expected", "told"),
    [
        ({"whole": (0, 4095)}, SHADES.astype("u2") * 257, SHADES, "the images of the model were read as 0…4095"),
        ({"float": (-1, 1)}, SHADES / 255, SHADES, "is read as 0…1, and the images of the model were read as -1…1"),
        ({"float": (-1000, 400)}, SHADES * (140 / 255) - 100, 164 + SHADES * 0.1, "is read as -1000…400, as the"),
        ({"whole": (0, 4095)}, SHADES.astype("u1"), SHADES, None),
        ({"whole": (0, 4095)}, (SHADES > 99).astype("i8"), (SHADES > 99) * 255, "as 0…1, and the images of the model"),
        ({"float": (0, 255)}, SHADES.astype("u2") * 257, SHADES, None),
    ],
)
def test_numbers_beyond_what_the_model_saw_fractions_and_other_types_go_by_their_own_rule(
    tmp_path, spans, array, expected, told
):
    np.save(tmp_path / "x.npy", array)
    found = lc.load(tmp_path / "x.npy", spans=spans)
    assert np.abs(found.images[:, 0] - np.asarray(expected, float)).max() <= 1
    assert len(found.notes) == (told is not None)
    assert told is None or told in found.notes[0]


def test_spans_are_checked_wherever_they_come_from(tmp_path):
    np.save(tmp_path / "x.npy", SHADES.astype("u1"))
    for spans in ({"bytes": (0, 1)}, {"whole": (1, 0)}, {"whole": (0,)}, {"float": (0, np.inf)}):
        with pytest.raises(lc.UsageError, match="`spans` says not"):
            lc.load(tmp_path / "x.npy", spans=spans)
    model = lc.train(lc.load(tmp_path / "x.npy"), backbone="mlp", width=8, latent_dim=2, epochs=1)
    assert model.load_options == {"image_shape": (1, 8, 8), "spans": {}}  # as in files that earlier versions wrote
    model.training["data"]["spans"] = {"whole": [0, "x"]}
    model.save(tmp_path / "vae.pth")
    with pytest.raises(lc.ModelFileError, match="expected numbers of black and white"):
        lc.load_model(tmp_path / "vae.pth")
