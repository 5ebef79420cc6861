"""Alpha in arrays, and several channels of 16 bits in files: as in files, and no bit lost in silence."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load
from latentcli.formats.transparency import on_ground

TRUE = np.random.default_rng(3).integers(0, 256, (6, 12, 12, 3)).astype(np.uint8)
INK = TRUE[..., 0] > 120


def drawings(colour):
    alpha = (INK * 255).astype(np.uint8)
    alpha[-1] //= 2
    return np.stack([*(np.full(alpha.shape, level, np.uint8) for level in colour), alpha], axis=-1)


DRAWN = {"black": (0, 0, 0), "blue": (0, 0, 200), "white": (255, 255, 255), "grey": (20,), "light": (200,)}
FORMS = {
    "bytes": lambda x: x, "floats": lambda x: (x / 255).astype("f4"), "half": lambda x: (x / 255).astype("f2"),
    "deep": lambda x: x.astype("u2") * 257, "float bytes": lambda x: x.astype("f8"),
    "channels first": lambda x: np.moveaxis(x, -1, 1), "MATLAB": lambda x: np.moveaxis(x[:, :, :11], 0, -1),
}  # fmt: skip


@pytest.mark.parametrize("background", [None, "#808080", "orange"])
@pytest.mark.parametrize("ink", DRAWN)
@pytest.mark.parametrize("form", FORMS)
def test_arrays_with_alpha_are_laid_on_the_ground_that_files_are_laid_on(tmp_path, ink, form, background):
    images = drawings(DRAWN[ink])
    np.savez(tmp_path / "x.npz", data=FORMS[form](images))
    (tmp_path / "set").mkdir()
    for number, image in enumerate(images[:, :, :11] if form == "MATLAB" else images):
        Image.fromarray(image, "LA" if image.shape[2] == 2 else "RGBA").save(tmp_path / "set" / f"{number}.png")
    said = "65535" if (form, ink) == ("deep", "grey") else None  # which fills 14 bits, of which alpha says nothing
    found = load(tmp_path / "x.npz", background=background, range=said)
    files = load(tmp_path / "set", image_shape=found.shape, background=background)
    assert found.shape[0] == (1 if len(DRAWN[ink]) == 1 and background != "orange" else 3)
    assert np.abs(found.images.astype(int) - files.images).max() <= 1
    told = " ".join(found.notes)
    assert f"the last of its {images.shape[-1]} channels is read as alpha" in told
    ground = background or ("white" if max(DRAWN[ink]) <= 200 and ink != "light" else "black")
    assert f"laid on {ground} in 6 image(s), such as number 0; `background`" in told


def test_opaque_arrays_keep_their_pixels_and_what_is_no_alpha_is_refused_with_the_call_that_works(tmp_path):
    opaque = np.concatenate([TRUE, np.full((*TRUE.shape[:3], 1), 255, np.uint8)], axis=-1)
    np.save(tmp_path / "x.npy", opaque)
    found = load(tmp_path / "x.npy")
    assert np.array_equal(found.images, TRUE.transpose(0, 3, 1, 2))
    assert found.layout == "NHWC"
    assert found.notes == ("x.npy: the last of its 4 channels is read as alpha; data[..., :3] leaves it out",)
    for data, call in (
        (opaque * np.array([1, 1, 1, 0], np.uint8), "data[..., :3]"),
        (np.moveaxis(opaque / 255 - np.array([0, 0, 0, 3]), -1, 1), "data[:, :3]"),
        (opaque[..., 2:] * np.array([1, 0], np.uint8), "data[..., 0]"),
    ):
        np.save(tmp_path / "x.npy", data)
        with pytest.raises(DataError, match=r"the last channel of x\.npy is no alpha") as caught:
            load(tmp_path / "x.npy")
        assert call in str(caught.value)
        np.save(tmp_path / "x.npy", eval(call, {"data": data}))
        assert load(tmp_path / "x.npy").images.max() > 200


FULL = {  # colours, what is wholly visible, and the numbers that the colours span
    "12 bits, all of alpha": ((TRUE * (4095 / 255)).astype("u2"), 65_535, "0…4095"),
    "12 bits, 12 of alpha": ((TRUE * (4095 / 255)).astype("u2"), 4095, "0…4095"),
    "10 bits, 12 of alpha": ((TRUE * (1023 / 255)).astype("i4"), 4095, "0…1023"),
    "bytes in 16 bits": (TRUE.astype("u2"), 65_535, "0…255"), "bytes, truth": (TRUE.astype("i2"), 1, "0…255"),
    "fractions, bytes of alpha": ((TRUE / 255).astype("f4"), 255, None),
    "16 bits": (TRUE.astype("u2") * 257, 255, None),
}  # fmt: skip


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("case", FULL)
def test_what_colours_span_is_theirs_alone_whatever_alpha_is(tmp_path, case, first):
    colours, visible, span = FULL[case]
    images = np.concatenate([colours, np.full((*colours.shape[:3], 1), visible, colours.dtype)], axis=-1)
    np.save(tmp_path / "x.npy", np.moveaxis(images, -1, 1) if first else images)
    found = load(tmp_path / "x.npy")
    assert np.abs(found.images.astype(int) - TRUE.transpose(0, 3, 1, 2)).max() <= 1
    assert any(f"is read as {span};" in note for note in found.notes) == (span is not None)


@pytest.mark.parametrize(("wrong", "told"), [(np.inf, "not finite"), (300.0, "black and white are unclear")])
def test_what_colours_are_refused_for_is_told_whatever_alpha_is(tmp_path, wrong, told):
    images = np.concatenate([TRUE / 255, np.ones((*TRUE.shape[:3], 1))], axis=-1)
    images[0, 0, 0, 0] = wrong
    for data in (images, images[..., :3]):
        np.save(tmp_path / "x.npy", data)
        with pytest.raises(DataError, match=rf"x\.npy .*{told}"):
            load(tmp_path / "x.npy")


def hidden(form, colours):
    """(6, 12, 12, C) wholly transparent images, as files have them."""
    clear = np.zeros((*colours.shape[:3], 1), np.uint8)
    return np.concatenate([colours if form == "RGBA" else colours[..., :1], clear], axis=-1)


@pytest.mark.parametrize("background", [None, "white", "orange"])
@pytest.mark.parametrize("form", ["RGBA", "LA", "P"])
def test_wholly_transparent_files_are_refused_with_what_shows_what_lies_beneath(tmp_path, form, background):
    (tmp_path / "set").mkdir()
    for number, image in enumerate(hidden(form, TRUE)):
        file = tmp_path / "set" / f"{number}.png"
        if form == "P":
            Image.fromarray(image[..., 0]).convert("P").save(file, transparency=bytes(256))
        else:
            Image.fromarray(image, form).save(file)
    with pytest.raises(DataError, match="all 6 images of set are wholly transparent") as caught:
        load(tmp_path / "set", background=background)
    assert "background" not in str(caught.value)
    call = str(caught.value).partition("in Python: ")[2].removesuffix(" for each")
    import PIL

    for file in (tmp_path / "set").iterdir():
        eval(call, {"PIL": PIL, "file": file})
    found = load(tmp_path / "set")
    true = TRUE.transpose(0, 3, 1, 2)
    assert np.array_equal(found.images, true if form == "RGBA" else true[:, :1])
    assert found.notes == ()


def test_some_wholly_transparent_files_are_told_apart_from_drawings(tmp_path):
    (tmp_path / "set").mkdir()
    images = [*hidden("RGBA", TRUE)[:2], *drawings((0, 0, 0))[:3], np.zeros((12, 12, 4), np.uint8)]
    for number, image in enumerate(images):
        Image.fromarray(image, "RGBA").save(tmp_path / "set" / f"{number}.png")
    told = "\n".join(load(tmp_path / "set").notes)
    assert "nothing is seen of what lies beneath in 2 file(s), such as 0.png; to see it, leave out the alpha" in told
    assert "laid on white in 3 file(s), such as 2.png; `background`" in told
    assert "every pixel is transparent, and nothing lies beneath in 1 file(s), such as 5.png" in told


@pytest.mark.parametrize("level", [0, 90, 255])
def test_transparent_images_with_nothing_beneath_have_no_way_that_does_not_help(tmp_path, level):
    images = np.full((6, 12, 12, 4), level, np.uint8)
    images[..., 3] = 0
    np.save(tmp_path / "x.npy", images)
    (tmp_path / "set").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image, "RGBA").save(tmp_path / "set" / f"{number}.png")
    for source in ("x.npy", "set"):
        with pytest.raises(DataError, match=rf"all 6 images of {source} are wholly transparent") as caught:
            load(tmp_path / source)
        assert "name images that show something" in str(caught.value)


def png(pixels, bits=16):
    """A PNG file of channels of 16 bits, which Pillow does not write; from its specification, filter Up in each row."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    raw = b"".join(b"\2" + row.tobytes() for row in rows - above)
    header = struct.pack(">IIBBBBB", width, height, bits, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def deep(channels):
    """(6, 12, 12, channels) uint16 of 12 bits, opaque where there is alpha; and the same in 8 bits."""
    twelve = np.rint(TRUE * (4095 / 255)).astype(np.uint16)
    if channels == 3:
        return twelve, TRUE
    kept = 3 if channels == 4 else 1
    return np.concatenate([twelve[..., :kept], np.full((6, 12, 12, 1), 4095, np.uint16)], axis=-1), TRUE[..., :kept]


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_all_16_bits_says_nothing_of_the_colours(tmp_path, channels):
    pixels, expected = deep(channels)
    pixels[..., -1] = 65_535
    (tmp_path / "set").mkdir()
    for number, image in enumerate(pixels):
        (tmp_path / "set" / f"{number}.png").write_bytes(png(image))
    found = load(tmp_path / "set")
    assert np.array_equal(found.images, expected.transpose(0, 3, 1, 2))
    assert "uint16 from 0 to 4095 is read as 0…4095 in 6 file(s)" in found.notes[0]


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("form", ["png", "tif", "deflate"])
def test_several_channels_of_16_bits_lose_none(tmp_path, channels, form):
    pixels, expected = deep(channels)
    (tmp_path / "set").mkdir()
    for number, image in enumerate(pixels):
        path = tmp_path / "set" / f"{number}.{form[:3]}"
        if form == "png":
            path.write_bytes(png(image))
        else:
            tifffile = pytest.importorskip("tifffile")
            if channels == 2:
                pytest.skip("Pillow reads no such TIFF")
            tifffile.imwrite(path.with_suffix(".tif"), image, photometric="rgb",
                             compression=form if form != "tif" else None, byteorder="><"[number % 2])  # fmt: skip
    found = load(tmp_path / "set")
    assert np.array_equal(found.images, expected.transpose(0, 3, 1, 2))
    assert "from 0 to 4095 is read as 0…4095 in 6 file(s)" in found.notes[0]
    plain = load(tmp_path / "set", range="65535")
    assert np.array_equal(plain.images, np.rint(pixels[..., : expected.shape[3]] / 257).transpose(0, 3, 1, 2))


def test_deep_pixels_may_be_transparent(tmp_path):
    pixels, _ = deep(4)
    pixels[:, 6:, :, 3] = 0
    (tmp_path / "set").mkdir()
    for number, image in enumerate(pixels):
        (tmp_path / "set" / f"{number}.png").write_bytes(png(image))
    found = load(tmp_path / "set", background="black")
    assert np.array_equal(found.images[:, :, :6], TRUE[:, :6].transpose(0, 3, 1, 2))
    assert not found.images[:, :, 6:].any()


READ = {"int16": "i2", "int32": "i4", "uint32": "u4", "int8": "i1", "bytes": "u1", "float32": "f4", "uint16": "u2"}
REFUSED = {
    "half": ("f2", 1, "floating-point numbers of 16 bits"), "double": ("f8", 1, "floating-point numbers of 64 bits"),
    "long": ("i8", 1, "signed numbers of 64 bits"), "floats in colour": ("f4", 3, "32 bits in 3 channels"),
    "signed colour": ("i2", 3, "signed numbers of 16 bits in 3 channels"), "planes": ("u2", -3, "16 bits in channels"),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_tiffs_of_every_type_that_is_read_are_read_right(tmp_path, case):
    tifffile = pytest.importorskip("tifffile")
    (tmp_path / "set").mkdir()
    dtype = np.dtype(READ[case])
    low, high = {
        "i1": (-128, 127),
        "u4": (2**31, 2**32 - 2),
        "f4": (-1000, 400),
        "u2": (0, 65_535),
        "u1": (0, 255),
    }.get(READ[case], (-1000, 2000))
    scan = np.rint(low + TRUE[..., 0] * ((high - low) / 255)).astype(dtype)
    for number, image in enumerate(scan):
        tifffile.imwrite(tmp_path / "set" / f"{number}.tif", image)
    found = load(tmp_path / "set", range=f"{low},{high}" if case != "bytes" else None)
    assert np.abs(found.images[:, 0].astype(int) - TRUE[..., 0]).max() <= 1
    if low < 0 or case == "uint32":
        with pytest.raises(DataError, match="black and white are unclear"):
            load(tmp_path / "set")


@pytest.mark.parametrize("case", REFUSED)
def test_tiffs_that_are_not_read_are_refused_with_the_true_reason(tmp_path, case):
    tifffile = pytest.importorskip("tifffile")
    (tmp_path / "set").mkdir()
    dtype, channels, reason = REFUSED[case]
    image = (TRUE[0] if channels != 1 else TRUE[0, ..., 0]).astype(dtype)
    more = {"planarconfig": "separate"} if channels < 0 else {}
    image = image.transpose(2, 0, 1) if channels < 0 else image
    tifffile.imwrite(tmp_path / "set" / "1.tif", image, photometric="rgb" if channels != 1 else None, **more)
    Image.fromarray(TRUE[0]).save(tmp_path / "set" / "2.png")
    found = load(tmp_path / "set", max_bad="1")
    ((file, why),) = found.bad_files
    assert file == "1.tif"
    assert reason in why
    assert "which is not read: save it as" in why


def test_a_tiff_of_many_channels_is_told_to_keep_three(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    (tmp_path / "set").mkdir()
    tifffile.imwrite(tmp_path / "set" / "1.tif", np.zeros((12, 12, 5), "u1"), planarconfig="contig")
    with pytest.raises(DataError, match="5 channels, which is not read: save three of them"):
        load(tmp_path / "set")


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 3), ("LA", 1), ("La", 1), ("RGBa", 3)])
def test_opaque_files_keep_their_colours(mode, channels):
    opaque = Image.fromarray(TRUE[0]).convert(mode if mode[-1] == "A" else mode[:-1] + "A").convert(mode)
    plain, ground = on_ground(opaque, None)
    assert (plain.mode, ground) == ({3: "RGB", 1: "L"}[channels], None)
    assert np.array_equal(np.asarray(plain), TRUE[0] if channels == 3 else Image.fromarray(TRUE[0]).convert("L"))
