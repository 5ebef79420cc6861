"""One image file of any mode, depth and orientation, checked against arrays that were known before it was written."""

import io
import os
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latentcli.formats import medical_files
from latentcli.formats.image_files import (
    FRAMES,
    GREY_TOLERANCE,
    IN_GREY,
    PAGES,
    Hearing,
    UnreadableImage,
    Wanted,
    decode,
    decode_pages,
    measure,
)

GREY = np.arange(0, 240, dtype=np.uint8).reshape(12, 20)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)


def written(tmp_path, image, form, name="x.png", **options):
    image.save(tmp_path / name, form, **options)
    return tmp_path / name


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "PPM"])
def test_lossless_formats_give_the_very_pixels(tmp_path, form):
    path = written(tmp_path, Image.fromarray(COLOUR), form, **({"lossless": True} if form == "WEBP" else {}))
    found = decode(path, 12, 20, None)
    assert found.shape == (3, 12, 20)
    assert np.array_equal(found.transpose(1, 2, 0), COLOUR)


def test_the_suffix_says_nothing_about_the_format(tmp_path):
    path = written(tmp_path, Image.fromarray(COLOUR), "JPEG", name="x.PNG", quality=95, subsampling=0)
    assert np.abs(decode(path, 12, 20, 3).transpose(1, 2, 0).astype(int) - COLOUR).max() < 40


def test_formats_that_are_not_admitted(tmp_path):
    for form, name in (("TGA", "x.png"), ("PCX", "x.bmp"), ("EPS", "x.jpg")):
        with pytest.raises(UnreadableImage, match="not a PNG, JPEG"):
            decode(written(tmp_path, Image.fromarray(GREY), form, name), 12, 20, 1)


def test_grey_content_is_one_channel_however_it_is_stored(tmp_path):
    grey = Image.fromarray(GREY)
    for mode in ("L", "RGB", "RGBA", "LA", "P"):
        assert np.array_equal(decode(written(tmp_path, grey.convert(mode), "PNG"), 12, 20, None), GREY[np.newaxis])
    path = written(tmp_path, grey.convert("RGB"), "JPEG", quality=90)
    assert decode(path, 12, 20, None).shape == (1, 12, 20)


def test_channels_as_asked_for(tmp_path):
    colour = written(tmp_path, Image.fromarray(COLOUR), "PNG", "colour.png")
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])  # ITU-R 601
    assert np.abs(decode(colour, 12, 20, 1)[0] - luma).max() <= 1
    grey = written(tmp_path, Image.fromarray(GREY), "PNG", "grey.png")
    assert np.array_equal(decode(grey, 12, 20, 3), np.stack([GREY] * 3))


@pytest.mark.parametrize("apart", [0, GREY_TOLERANCE, GREY_TOLERANCE + 1, 200])
def test_colours_that_are_left_out_are_told(tmp_path, apart):
    """Colour photographs for a grey model; what JPEG makes of a grey image is no colour."""
    Image.new("RGB", (9, 8), (20 + apart, 20, 20)).save(tmp_path / "a.png")
    for channels, told in ((1, [IN_GREY] if apart > GREY_TOLERANCE else []), (3, []), (None, [])):
        heard: list[str] = []
        decode(tmp_path / "a.png", 8, 9, channels, heard.append)
        assert heard == told


@pytest.mark.parametrize(("form", "order"), [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2")])
def test_16_bits_are_scaled_and_not_clipped(tmp_path, form, order):
    deep = np.linspace(0, 65_535, 240).astype(order).reshape(12, 20)
    path = written(tmp_path, Image.fromarray(deep), form)
    expected = np.rint(deep.astype(float) / 257)
    assert np.array_equal(decode(path, 12, 20, 1)[0], expected)
    assert len(np.unique(expected)) > 200


def test_48_bit_png_is_scaled(tmp_path):
    deep = (COLOUR.astype(">u2") * 257).reshape(12, -1)
    path = tmp_path / "x.png"
    path.write_bytes(png(20, 12, 16, 2, deep))
    assert np.array_equal(decode(path, 12, 20, 3).transpose(1, 2, 0), COLOUR)


def png(width, height, depth, kind, rows):
    """A PNG file built from its specification."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def test_floats_and_wide_integers_need_a_known_range(tmp_path):
    path = written(tmp_path, Image.fromarray((GREY / 255).astype(np.float32)), "TIFF")
    assert np.array_equal(decode(path, 12, 20, 1)[0], GREY)
    for bad in (1.5, -1.0):
        pixels = np.zeros((12, 20), dtype=np.float32)
        pixels[3, 4] = bad
        with pytest.raises(UnreadableImage, match="outside 0…1"):
            decode(written(tmp_path, Image.fromarray(pixels), "TIFF"), 12, 20, 1)
    for bad, black in ((np.inf, None), (-np.inf, None), (np.nan, 0)):
        pixels = (GREY / 255).astype(np.float32)
        pixels[3, 4] = bad
        path = written(tmp_path, Image.fromarray(pixels), "TIFF")
        if black is None:
            with pytest.raises(
                UnreadableImage, match=r"infinite numbers from .*; save finite ones instead: "
            ) as caught:
                decode(path, 12, 20, 1)
            advised = eval(str(caught.value).partition("instead: ")[2], {"numpy": np, "image": pixels})
            told = decode(written(tmp_path, Image.fromarray(advised), "TIFF"), 12, 20, 1)[0]
            assert (told[3, 4], told[5, 5]) == (239 if bad > 0 else 0, GREY[5, 5])
        else:
            assert decode(path, 12, 20, 1)[0, 3, 4] == black
    wide = GREY.astype(np.int32) * 257
    assert np.array_equal(decode(written(tmp_path, Image.fromarray(wide), "TIFF"), 12, 20, 1)[0], GREY)
    with pytest.raises(UnreadableImage, match="beyond 16 bits"):
        decode(written(tmp_path, Image.fromarray(wide + 70_000), "TIFF"), 12, 20, 1)


def test_one_bit_and_palettes(tmp_path):
    bits = GREY > 100
    assert np.array_equal(decode(written(tmp_path, Image.fromarray(bits), "PNG"), 12, 20, 1)[0], bits * 255)
    palette = Image.fromarray((GREY % 4).astype(np.uint8)).convert("P")
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]], dtype=np.uint8)
    palette.putpalette(colours.tobytes())
    found = decode(written(tmp_path, palette, "PNG"), 12, 20, None)
    assert np.array_equal(found.transpose(1, 2, 0), colours[GREY % 4])


def test_cmyk(tmp_path):
    inks = np.stack([GREY, GREY[::-1], 255 - GREY, np.zeros_like(GREY)], axis=2)
    found = decode(written(tmp_path, Image.fromarray(inks, "CMYK"), "TIFF"), 12, 20, None)
    assert np.abs(found.transpose(1, 2, 0).astype(int) - (255 - inks[..., :3])).max() <= 1
    path = written(tmp_path, Image.fromarray(COLOUR).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(decode(path, 12, 20, 3).transpose(1, 2, 0).astype(int) - COLOUR).mean() < 12


def test_transparency_is_laid_on_black(tmp_path):
    alpha = np.full((12, 20), 255, dtype=np.uint8)
    alpha[:, 10:], alpha[0, 0] = 0, 128
    expected = np.rint(COLOUR * (alpha[..., np.newaxis] / 255))
    found = decode(written(tmp_path, Image.fromarray(np.dstack([COLOUR, alpha])), "PNG"), 12, 20, None)
    assert np.abs(found.transpose(1, 2, 0) - expected).max() <= 1
    found = decode(written(tmp_path, Image.fromarray(np.dstack([GREY, alpha]), "LA"), "PNG"), 12, 20, None)
    assert np.abs(found[0] - np.rint(GREY * (alpha / 255))).max() <= 1
    keyed = Image.fromarray(np.full((12, 20), 200, dtype=np.uint8))
    found = decode(written(tmp_path, keyed, "PNG", transparency=200), 12, 20, None)
    assert not found.any()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_sets_images_upright(tmp_path, form, orientation):
    upright = np.zeros((16, 24), dtype=np.uint8)
    upright[:8, :8], upright[8:, :8] = 250, 120
    # How a camera stores it, after the table of the Exif specification: where row 0 and column 0 are.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = written(tmp_path, Image.fromarray(np.ascontiguousarray(stored)), form, exif=exif.tobytes())
    assert measure(path) == (16, 24)
    assert np.abs(decode(path, 16, 24, 1)[0].astype(int) - upright).max() < 16


@pytest.mark.filterwarnings("ignore")
def test_damaged_exif_does_not_cost_the_image(tmp_path):
    path = written(tmp_path, Image.fromarray(GREY), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(path, 12, 20, 1).shape == (1, 12, 20)


@pytest.mark.filterwarnings("ignore")
def test_no_damaged_tag_costs_the_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8825] = 6, "maker", {1: "N", 2: (1.0, 2.0, 3.0)}
    path = written(tmp_path, Image.fromarray(GREY), "JPEG", exif=exif.tobytes())
    whole = path.read_bytes()
    start = whole.index(b"Exif") + 6
    for place in range(start, start + len(exif.tobytes()) - 6):
        for bit in (0, 3, 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            assert decode(path, 12, 20, 1).shape == (1, 12, 20)


@pytest.mark.parametrize(("form", "name"), [("PNG", "x.png"), ("WEBP", "x.webp"), ("TIFF", "x.tif"), ("GIF", "x.gif")])
def test_the_first_frame_of_animations_is_read_and_told(tmp_path, form, name):
    frames = [Image.fromarray(np.full((12, 20, 3), level, dtype=np.uint8)) for level in (200, 100, 50)]
    options = {"lossless": True} if form == "WEBP" else {}
    path = written(tmp_path, frames[0], form, name, save_all=True, append_images=frames[1:], **options)
    told = []
    assert (decode(path, 12, 20, None, told.append) == 200).all()
    assert told == [PAGES if form == "TIFF" else FRAMES]
    frames[0].save(path, form, **options)
    decode(path, 12, 20, None, told.append)
    assert len(told) == 1


def test_a_smaller_copy_in_a_tiff_is_no_page(tmp_path):
    small = Image.fromarray(GREY[:6, :10])
    small.encoderinfo = {"tiffinfo": {254: 1}}
    path = written(tmp_path, Image.fromarray(GREY), "TIFF", save_all=True, append_images=[small])
    with Image.open(path) as image:
        image.seek(1)
        assert image.tag_v2[254] == 1
    told = []
    assert np.array_equal(decode(path, 12, 20, 1, told.append)[0], GREY)
    assert told == []


def test_large_images_shrink_without_aliasing(tmp_path):
    checks = np.indices((256, 256)).sum(axis=0) % 2 * 255
    found = decode(written(tmp_path, Image.fromarray(checks.astype(np.uint8)), "PNG"), 32, 32, 1)
    assert np.abs(found[0, 2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_the_whole_image_is_kept(tmp_path):
    wide = np.zeros((20, 100), dtype=np.uint8)
    wide[:, :50] = 255
    found = decode(written(tmp_path, Image.fromarray(wide), "PNG"), 10, 10, 1)[0]
    assert (found[:, :4] > 250).all()
    assert (found[:, 6:] < 5).all()


def test_large_jpeg_decoded_at_a_fraction_looks_the_same(tmp_path):
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(
        (1024, 1024), Image.Resampling.BICUBIC
    )
    path = written(tmp_path, smooth, "JPEG", quality=95)
    expected = np.asarray(smooth.resize((32, 32), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(decode(path, 32, 32, 3).transpose(1, 2, 0) - expected).mean() < 2


@pytest.mark.filterwarnings("ignore")  # Pillow's own warning at 89 million pixels
@pytest.mark.parametrize("side", [8_001, 12_000, 60_000])
def test_bombs_are_refused_by_their_header(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, 8, 0, [np.zeros(4, dtype=np.uint8)]))
    for read in (lambda: decode(path, 8, 8, 1), lambda: measure(path)):
        with pytest.raises(UnreadableImage, match="more than the 64,000,000 pixels allowed"):
            read()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_images_cut_short_are_damaged(tmp_path, form):
    path = written(
        tmp_path, Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)), form
    )
    content = path.read_bytes()
    for length in (0, 1, 30, len(content) // 2, len(content) - len(content) // 8):
        path.write_bytes(content[:length])
        with pytest.raises(UnreadableImage):
            decode(path, 64, 64, 3)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_gives_an_image_or_a_reason(tmp_path_factory, data):
    buffer = io.BytesIO()
    form = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF"]))
    Image.fromarray(COLOUR).save(buffer, form)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "x.png"
    path.write_bytes(content)
    with suppress(UnreadableImage):
        assert decode(path, 8, 8, None).shape in ((1, 8, 8), (3, 8, 8))


def test_what_is_not_a_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name in ("fifo.png", "device.png", "folder.png"):
        with pytest.raises(UnreadableImage, match="not a regular file"):
            decode(tmp_path / name, 8, 8, 1)
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name in ("loop.png", "none.png", "nul\0.png"):
        with pytest.raises(UnreadableImage):
            decode(tmp_path / name, 8, 8, 1)


def test_a_page_that_cannot_be_read_has_its_reason_among_the_others(tmp_path):
    shades = [Image.fromarray(np.full((4, 6), level, np.float32)) for level in (0.25, 7.0, 1.0)]
    path = written(tmp_path, shades[0], "TIFF", "x.tif", save_all=True, append_images=shades[1:])
    first, second, third = decode_pages(path, [0, 1, 2], Wanted(4, 6), lambda number: Hearing())
    assert (first == 64).all()
    assert second == "pixels from 7 to 7, outside 0…1"
    assert (third == 255).all()


@pytest.mark.filterwarnings("ignore")
def test_damage_behind_the_first_page_does_not_cost_it(tmp_path):
    pages = [Image.fromarray(GREY), Image.fromarray(GREY[::-1])]
    path = written(tmp_path, pages[0], "TIFF", "x.tif", save_all=True, append_images=pages[1:])
    with Image.open(path) as image:
        image.seek(1)
        second = image.tag_v2._offset
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", second), struct.pack("<I", len(content) - 1)))
    told = []
    assert np.array_equal(decode(path, 12, 20, 1, told.append)[0], GREY)
    assert told == []


def test_without_the_package_that_reads_them_scans_say_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "scan.nii").write_bytes(struct.pack("<i", 348) + bytes(344))
    monkeypatch.setattr(medical_files, "installed", lambda kind: False)
    with pytest.raises(UnreadableImage, match=r"a NIfTI file: pip install 'latentcli\[medical\]'"):
        decode(tmp_path / "scan.nii", 8, 8)


@pytest.mark.parametrize("content", [b"II*\0", b"MM\0*\0\0"])
def test_a_tiff_without_tags_is_damaged(tmp_path, content):
    (tmp_path / "x.tif").write_bytes(content)
    with pytest.raises(UnreadableImage, match="damaged: no TIFF whose tags can be read"):
        decode(tmp_path / "x.tif", 8, 8)
