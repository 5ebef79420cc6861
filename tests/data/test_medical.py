"""DICOM and NIfTI files: numbers in the units and windows that they say, slices as pages, hostile ones with reasons."""

import gzip
import io
import re
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latentcli.core.errors import DataError
from latentcli.data import load
from latentcli.formats import medical_files
from latentcli.formats.image_files import UnreadableImage, decode
from latentcli.formats.image_files import pages as pages_of

pydicom = pytest.importorskip("pydicom", reason="the extra `medical` is not installed")
nibabel = pytest.importorskip("nibabel", reason="the extra `medical` is not installed")

SHADES = np.random.default_rng(7).integers(0, 256, (5, 12, 10)).astype(np.uint8)
SHADES[0, 0, :2] = 0, 255
SCAN = np.rint(SHADES * (4095 / 255)).astype(np.uint16)
HU = SCAN.astype(int) - 1024
"""Five slices of 12 bits, and their Hounsfield units."""


def dicom(path: Path, pixels: np.ndarray, **elements: object) -> Path:
    """A DICOM file with these pixels, (H, W) or (F, H, W) or (H, W, 3), and these elements besides."""
    from pydicom.dataset import Dataset, FileMetaDataset

    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = elements.pop("syntax", pydicom.uid.ExplicitVRLittleEndian)
    found.SOPClassUID, found.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5"
    found.Rows, found.Columns = pixels.shape[:2] if colour or pixels.ndim == 2 else pixels.shape[1:]
    found.SamplesPerPixel = 3 if colour else 1
    found.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        found.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        found.NumberOfFrames = len(pixels)
    found.BitsAllocated = 8 * pixels.dtype.itemsize
    found.BitsStored = elements.pop("BitsStored", 8 if pixels.dtype.itemsize == 1 else 12)
    found.HighBit, found.PixelRepresentation = found.BitsStored - 1, int(pixels.dtype.kind == "i")
    found.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(found, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path, enforce_file_format=True)
    return path


def as_pydicom_shows(path: Path) -> np.ndarray:
    found = pydicom.dcmread(path)
    windowed = pydicom.pixels.apply_voi_lut(pydicom.pixels.apply_modality_lut(found.pixel_array, found), found)
    return windowed.astype(float)


CT = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400}
SHOWN = {  # the elements of a file, and the numbers that are black and white in it
    "soft tissue": (CT, (-160, 239)),
    "several windows": (CT | {"WindowCenter": [-600, 40], "WindowWidth": [1500, 400]}, (-1350, 149)),
    "an exact window": (CT | {"VOILUTFunction": "LINEAR_EXACT"}, (-160, 240)),
    "half units": (CT | {"RescaleSlope": 0.5, "WindowCenter": 100, "WindowWidth": 201}, (-0.5, 199.5)),
    "no window": ({"RescaleSlope": 2, "RescaleIntercept": 0}, (0, 16383)),
    "12 bits": ({}, (0, 4095)),
}


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("case", SHOWN)
def test_numbers_are_read_in_their_units_and_in_the_window_of_the_file(tmp_path, case, inverted):
    elements, (low, high) = SHOWN[case]
    if inverted:
        elements = elements | {"PhotometricInterpretation": "MONOCHROME1"}
    for number, pixels in enumerate(SCAN):
        dicom(tmp_path / "set" / "ab"[number % 2] / f"{number}.dcm", pixels, **elements)
    found = load(tmp_path / "set")
    units = SCAN.astype(float) * elements.get("RescaleSlope", 1.0) + elements.get("RescaleIntercept", 0)
    shown = np.rint(((units - low) / (high - low)).clip(0, 1) * 255)
    order = [0, 2, 4, 1, 3]
    assert np.abs(found.images[:, 0] - (255 - shown if inverted else shown)[order]).max() <= 1
    assert found.class_names == ("a", "b")
    (told,) = found.notes
    assert "in 5 file(s)" in told
    assert told.endswith("; `range` says otherwise")
    said = load(tmp_path / "set", range="-100,900")
    shown = np.rint(((units + 100) / 1000).clip(0, 1) * 255)
    assert case == "12 bits" or np.abs(said.images[:, 0] - (255 - shown if inverted else shown)[order]).max() <= 1


@pytest.mark.parametrize("slope", [1, 0.7])
def test_units_without_a_window_are_unclear_and_the_range_that_is_advised_is_theirs(tmp_path, slope):
    for number, pixels in enumerate(SCAN):
        dicom(tmp_path / "set" / f"{number}", pixels, RescaleSlope=slope, RescaleIntercept=-1024)
    with pytest.raises(DataError, match="black and white are unclear") as caught:
        load(tmp_path / "set")
    advised = re.search(r"`range` (\S+)", str(caught.value))[1]
    found = load(tmp_path / "set", range=advised.rstrip(";,"))
    assert np.abs(found.images[:, 0].astype(int) - SHADES).max() <= 1


@pytest.mark.parametrize(
    ("stored", "more", "called"),
    [("i2", (1, 0), "int16 from 0"), ("u2", (1, -1024), "int16 from -1024"), ("u2", (2, 0), "uint16 from 0"),
     ("u2", (100, -5), "int32 from -5")],
)  # fmt: skip
def test_types_of_units_are_called_as_they_are_stored_or_by_the_least_that_holds_them(tmp_path, stored, more, called):
    for number, pixels in enumerate(SCAN):
        slope, intercept = more
        path = tmp_path / "set" / f"{number}.dcm"
        dicom(path, pixels.astype(stored), RescaleSlope=slope, RescaleIntercept=intercept, BitsStored=16)
    try:
        told = "".join(load(tmp_path / "set").notes)
    except DataError as error:
        told = str(error)
    assert called in told
    assert "int64" not in told


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_are_those_of_an_independent_reader(tmp_path, function):
    elements = CT | {"VOILUTFunction": function, "WindowCenter": 300, "WindowWidth": 900}
    path = dicom(tmp_path / "1.dcm", HU[0].astype("i2"), **elements | {"RescaleIntercept": 0, "BitsStored": 16})
    expected = as_pydicom_shows(path)
    expected = (expected - -32768) / 65535 * 255
    assert np.abs(load(path).images[0, 0] - expected).max() <= 1


def test_a_range_stays_with_the_model_that_read_the_scans(tmp_path):
    for number, pixels in enumerate(SCAN):
        dicom(tmp_path / "set" / f"{number}.dcm", pixels, **CT)
    said = load(tmp_path / "set", range="-1024,3071")
    assert said.spans == {"units": (-1024, 3071)}
    again = load(tmp_path / "set", spans=said.spans)
    assert np.array_equal(again.images, said.images)
    assert again.spans == said.spans
    assert "numbers are read as -1024…3071, as the images of the model were in 5 file(s)" in again.notes[0]


AWAY = np.zeros((12, 10), bool)
AWAY[4:8] = True
PADDED = {
    "a value": ({"PixelPaddingValue": -2000}, -2000, {}), "a range": (
        {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1500}, -1700, {}),
    "rescaled": ({"PixelPaddingValue": -3000}, -3000, {"RescaleSlope": 2, "RescaleIntercept": 0}),
    "above all others": ({"PixelPaddingValue": 30_000}, 30_000, {}),
    "in a window": ({"PixelPaddingValue": -2000}, -2000, {"WindowCenter": 1024, "WindowWidth": 4096}),
}  # fmt: skip


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("case", PADDED)
def test_what_a_dicom_file_calls_padding_is_black_whatever_its_number(tmp_path, case, inverted):
    elements, mark, more = PADDED[case]
    more = more | ({"PhotometricInterpretation": "MONOCHROME1"} if inverted else {})
    for number, image in enumerate(np.where(AWAY, mark, HU).astype("i2")):
        dicom(tmp_path / "set" / f"{number:02}.dcm", image, BitsStored=16, **elements, **more)
    slope = more.get("RescaleSlope", 1)
    if "WindowCenter" not in more:
        with pytest.raises(DataError, match="unclear") as caught:
            load(tmp_path / "set")
        advised = re.search(r"`range` (\S+)", str(caught.value))[1].rstrip(";,")
        assert advised == f"{-1024 * slope},{3071 * slope}"
    found = load(tmp_path / "set", range=f"{-1024 * slope},{3071 * slope}")
    assert np.array_equal(found.images[:, 0], np.where(AWAY, 0, 255 - SHADES if inverted else SHADES))
    assert any("what the file calls padding is read as padding, which is black" in note for note in found.notes)
    assert not any("outside" in note for note in found.notes)


def encapsulated(form: str) -> dict[str, object]:
    from pydicom.encaps import encapsulate

    buffer = io.BytesIO()
    Image.fromarray(SHADES[0]).save(buffer, form, **({"quality": 100} if form == "JPEG" else {"irreversible": False}))
    syntax = {"JPEG": pydicom.uid.JPEGBaseline8Bit, "JPEG2000": pydicom.uid.JPEG2000Lossless}[form]
    return {"PixelData": encapsulate([buffer.getvalue()]), "syntax": syntax}


def test_compressed_pixels(tmp_path):
    dicom(tmp_path / "set" / "1.dcm", SHADES[0], **encapsulated("JPEG"))
    dicom(tmp_path / "set" / "2.dcm", SHADES[0], **encapsulated("JPEG2000"))
    run_length = pydicom.dcmread(dicom(tmp_path / "set" / "3.dcm", SHADES[0]))
    run_length.compress(pydicom.uid.RLELossless)
    run_length.save_as(tmp_path / "set" / "3.dcm")
    found = load(tmp_path / "set")
    assert np.abs(found.images[0, 0].astype(int) - SHADES[0]).mean() < 2
    assert np.array_equal(found.images[1:, 0], [SHADES[0]] * 2)
    assert found.notes == ()


def test_colour_palettes_and_masks(tmp_path):
    colour = np.stack([SHADES[0], SHADES[1], SHADES[2]], axis=-1)
    dicom(tmp_path / "set" / "1.dcm", colour)
    tables = {}
    for name, table in zip(("Red", "Green", "Blue"), (np.arange(256), 255 - np.arange(256), np.arange(256) // 2)):  # noqa: B905
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tables[f"{name}PaletteColorLookupTableData"] = (table.astype("u2") * 257).tobytes()
    dicom(tmp_path / "set" / "2.dcm", SHADES[0], PhotometricInterpretation="PALETTE COLOR", **tables)
    bits = np.packbits((SHADES[0] > 99).ravel(), bitorder="little").tobytes()
    dicom(tmp_path / "set" / "3.dcm", SHADES[0], BitsStored=1, BitsAllocated=1, HighBit=0, PixelData=bits)
    found = load(tmp_path / "set", image_shape=(3, 12, 10))
    assert np.array_equal(found.images[0].transpose(1, 2, 0), colour)
    assert np.array_equal(found.images[1], np.stack([SHADES[0], 255 - SHADES[0], SHADES[0] // 2]))
    assert np.array_equal(found.images[2, 0], (SHADES[0] > 99) * 255)


def test_files_without_a_suffix_are_known_by_their_content_and_others_are_passed_over(tmp_path):
    names = ["IM0001", "1.2.840.113619.2", "scan.IMA", "scan.DICOM", "x.dcm"]
    for name, pixels in zip(names, SHADES, strict=True):
        dicom(tmp_path / "set" / name, pixels)
    dicom(tmp_path / "set" / "DICOMDIR", SHADES[0])
    (tmp_path / "set" / "LICENSE").write_text("x" * 200)
    Image.fromarray(SHADES[0]).save(tmp_path / "set" / "picture.dcm", "PNG")
    found = load(tmp_path / "set")
    assert sorted(found.files) == sorted([*names, "picture.dcm"])
    assert found.notes == ("set: passed over what is no image: 2 without a suffix",)
    assert np.array_equal(load(tmp_path / "set" / "IM0001").images[0, 0], SHADES[0])


def nifti(path: Path, data: np.ndarray, codes: str = "LPI", slope: tuple[float, float] | None = None, **header) -> Path:
    """A NIfTI file whose axes run towards these sides of the body."""
    signs = [1 if code in "RAS" else -1 for code in codes]
    axes = [{"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}[code] for code in codes]
    affine = np.zeros((4, 4))
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, column] = sign
    affine[3, 3] = 1
    image = nibabel.Nifti1Image(data, affine)
    for name, value in header.items():
        image.header[name] = value
    if slope is not None:
        image.header.set_slope_inter(*slope)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = image.to_bytes()
    if slope is not None:  # nibabel scales what it writes; here the numbers stand as they are
        content = bytearray(content)
        content[112:120] = np.array(slope, "<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(content)) if path.name.endswith(".gz") else bytes(content))
    return path


VOLUME = SCAN.transpose(2, 1, 0)  # columns, rows, slices


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("codes", "turned"),
    [
        ("LPI", (1, 1)), ("LPS", (1, 1)), ("RAS", (-1, -1)), ("LAS", (-1, 1)), ("RPI", (1, -1)), ("PIR", (1, 1)),
        ("ASL", (-1, -1)),
    ],
)  # fmt: skip
def test_slices_are_turned_as_dicom_shows_them(tmp_path, suffix, codes, turned):
    path = nifti(tmp_path / f"scan{suffix}", VOLUME, codes)
    found = load(path, pages=True)
    assert np.array_equal(found.images[:, 0], SHADES[:, :: turned[0], :: turned[1]])
    assert [Path(file).name for file in found.files] == [f"scan{suffix}[{number}]" for number in range(5)]
    one = load(path)
    assert np.abs(one.images[0, 0].astype(int) - SHADES[2, :: turned[0], :: turned[1]]).max() <= 1
    assert "only the slice in the middle is read in 1 file(s)" in " ".join(one.notes)


NUMBERS = {
    "whole": (VOLUME.astype("i2"), {}, SHADES, "int16 from 0 to 4095 is read as 0…4095 in 5 file(s)"),
    "fractions": ((VOLUME / 4095).astype("f4"), {}, SHADES, None),
    "bytes": (SHADES.transpose(2, 1, 0), {}, SHADES, None),
    "big-endian": (VOLUME.astype(">i4"), {}, SHADES, "is read as 0…4095"),
    "a window": (
        VOLUME.astype("i2") - 1024,
        {"cal_min": -1024, "cal_max": 3071},
        SHADES,
        "in the window that the file",
    ),
    "rescaled": (VOLUME.astype("i2"), {"slope": (1 / 4095, 0)}, SHADES, None),
    "rescaled from below": (VOLUME.astype("i2"), {"slope": (2 / 4095, -1)}, SHADES, "is read as -1…1 in 5 file(s)"),
    "a mask": ((VOLUME > 2000).astype("u1"), {}, (SCAN > 2000) * 255, "uint8 from 0 to 1 is read as 0…1"),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_of_volumes_mean_what_those_of_arrays_mean(tmp_path, case):
    data, header, expected, told = NUMBERS[case]
    found = load(nifti(tmp_path / "scan.nii.gz", data, **header), pages=True)
    assert np.abs(found.images[:, 0].astype(int) - expected).max() <= 1
    assert len(found.notes) == (told is not None)
    assert told is None or told in found.notes[0]


def test_volumes_of_unclear_numbers_need_a_range(tmp_path):
    path = nifti(tmp_path / "scan.nii", VOLUME.astype("i2") - 1024)
    with pytest.raises(DataError, match=r"black and white are unclear(.|\n)*`range` -1024,") as caught:
        load(path, pages=True)
    assert "scan.nii[" in str(caught.value)
    found = load(path, pages=True, range="-160,240")
    assert np.array_equal(found.images[:, 0], np.rint(((HU + 160) / 400).clip(0, 1) * 255))
    assert found.spans == {"units": (-160, 240)}


def test_series_of_volumes_and_colours(tmp_path):
    series = np.stack([VOLUME, VOLUME[:, :, ::-1]], axis=-1).astype("i2")
    found = load(nifti(tmp_path / "set" / "a" / "series.nii.gz", series), pages=True)
    assert np.array_equal(found.images[:, 0], np.concatenate([SHADES, SHADES[::-1]]))
    assert any("in the middle" in told for told in load(tmp_path / "set").notes)
    assert np.array_equal(load(tmp_path / "set", range="4095").images[0, 0], SHADES[2])
    colour = np.zeros((10, 12, 1), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for number, name in enumerate("RGB"):
        colour[name][..., 0] = SHADES[number].T
    found = load(nifti(tmp_path / "colour.nii", colour))
    assert np.array_equal(found.images[0], SHADES[:3])


def test_several_frames_of_dicom_are_pages_and_each_may_have_a_window(tmp_path):
    from pydicom.dataset import Dataset

    def group(intercept: float, centre: float) -> Dataset:
        found, scale, window = Dataset(), Dataset(), Dataset()
        scale.RescaleSlope, scale.RescaleIntercept = 1, intercept
        window.WindowCenter, window.WindowWidth = centre, 1001
        found.PixelValueTransformationSequence, found.FrameVOILUTSequence = [scale], [window]
        return found

    frames = [group(-100 * number, 500.5 + 100 * number) for number in range(5)]
    path = dicom(tmp_path / "set" / "series.dcm", SCAN, PerFrameFunctionalGroupsSequence=frames)
    found = load(tmp_path / "set", pages=True)
    for number in range(5):
        units = SCAN[number] - 100.0 * number
        shown = np.rint(((units - 100 * number) / 1000).clip(0, 1) * 255)
        assert np.abs(found.images[number, 0] - shown).max() <= 1
    assert found.files == tuple(f"series.dcm[{number}]" for number in range(5))
    one = load(path)
    assert np.array_equal(one.images[0], found.images[2])
    assert "only the slice in the middle is read" in "".join(one.notes)


def test_a_frame_without_a_group_of_its_own_has_the_scale_of_the_file(tmp_path):
    from pydicom.dataset import Dataset

    other, scale = Dataset(), Dataset()
    scale.RescaleSlope, scale.RescaleIntercept = 1, -500
    other.PixelValueTransformationSequence = [scale]
    frames = [other if number % 2 else Dataset() for number in range(5)]
    tags = {**CT, "RescaleIntercept": 0}
    path = dicom(tmp_path / "series.dcm", SCAN, PerFrameFunctionalGroupsSequence=frames, **tags)
    found = load(path, pages=True, range="-1000,5000")
    for number in range(5):
        units = SCAN[number] - (500.0 if number % 2 else 0.0)
        assert np.array_equal(found.images[number, 0], np.rint(((units + 1000) / 6000).clip(0, 1) * 255))


HOSTILE = {
    "cut": (lambda p: p.write_bytes(dicom(p, SCAN[0], **CT).read_bytes()[:-20]), ""),
    "no pixels": (lambda p: _without(p, "PixelData"), "without pixels"),
    "a report": (lambda p: _without(p, "Rows", "Columns", "PixelData"), "a DICOM file without pixels"),
    "private": (lambda p: dicom_as(p, "1.2.826.0.1.3680043.9.7.1"), "the private transfer syntax 1.2.826"),
    "JPEG-LS": (lambda p: dicom_as(p, pydicom.uid.JPEGLSLossless), "JPEG-LS Lossless.* cannot be decompressed here"),
    "deflated": (lambda p: dicom_as(p, pydicom.uid.DeflatedExplicitVRLittleEndian), "deflated as a whole is not read"),
    "gigapixels": (lambda p: dicom(p, SCAN[0], Rows=65_000, Columns=65_000), "more than the 64,000,000 pixels"),
    "no size": (lambda p: dicom(p, SCAN[0], Rows=0), "no pixels"),
    "nonsense": (lambda p: p.write_bytes(bytes(128) + b"DICM" + b"\xff" * 400), "damaged"),
    "more frames than there are": (lambda p: dicom(p, SCAN[0], NumberOfFrames=9), ""),
}


def _without(path: Path, *names: str) -> None:
    found = pydicom.dcmread(dicom(path, SCAN[0]))
    for name in names:
        delattr(found, name)
    found.save_as(path)


def dicom_as(path: Path, syntax: str) -> None:
    """A DICOM file that says another transfer syntax than it has, padded to the same length."""
    wanted = str(syntax).encode()
    found = pydicom.dcmread(dicom(path, SCAN[0]))
    found.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    content = dicom(path, SCAN[0]).read_bytes()
    old = pydicom.uid.ExplicitVRLittleEndian.encode()
    old += b"\0" * (len(old) % 2)
    wanted += b"\0" * (len(wanted) % 2)
    at = content.index(b"UI" + len(old).to_bytes(2, "little") + old)
    changed = content[: at + 2] + len(wanted).to_bytes(2, "little") + wanted + content[at + 4 + len(old) :]
    length = int.from_bytes(changed[140:144], "little") + len(wanted) - len(old)
    path.write_bytes(changed[:140] + length.to_bytes(4, "little") + changed[144:])


def header_of(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]


def hostile_nifti(path: Path, at: int, value: bytes, zipped: bool = True) -> None:
    content = header_of(nifti(path.with_suffix(".nii"), VOLUME.astype("i2")).read_bytes(), at, value)
    path.with_suffix(".nii").unlink()
    path.write_bytes(gzip.compress(content) if zipped else content)


NIFTI_HOSTILE = {
    "gigapixels": (lambda p: hostile_nifti(p, 42, np.array([32000, 32000, 5], "<i2").tobytes()), "64,000,000 pixels"),
    "a bomb": (lambda p: p.write_bytes(_bomb()), "inflates to 5,120,000,[0-9]* bytes, more than the"),
    "far voxels": (lambda p: hostile_nifti(p, 108, np.array([4e9], "<f4").tobytes()), "begin at byte 4,000,000,000"),
    "negative": (lambda p: hostile_nifti(p, 42, np.array([-5], "<i2").tobytes()), ""),
    "complex": (lambda p: hostile_nifti(p, 70, np.array([32, 64], "<i2").tobytes()), "complex64 numbers"),
    "no such type": (lambda p: hostile_nifti(p, 70, np.array([9999], "<i2").tobytes()), "damaged NIfTI"),
    "cut": (lambda p: p.write_bytes(nifti(p, VOLUME).read_bytes()[:700]), "damaged"),
    "short": (lambda p: hostile_nifti(p, 46, np.array([99], "<i2").tobytes()), "ends before its last slice"),
    "no gzip": (lambda p: p.write_bytes(b"\x1f\x8b" + b"x" * 300), "damaged"),
    "other": (lambda p: p.write_bytes(gzip.compress(b"hello" * 100)), "not a NIfTI file"),
    "half": (lambda p: hostile_nifti(p, 344, b"ni1\0"), "without its voxels"),
}  # fmt: skip


def _bomb() -> bytes:
    """Black slices of 5 GB by the header; gzip files may be joined."""
    header = nibabel.Nifti1Image(np.zeros((1, 1, 1), "u1"), np.eye(4)).header
    header.set_data_shape((1600, 1600, 2000))
    start = header.binaryblock + bytes(4)
    return gzip.compress(start) + gzip.compress(bytes(2**24)) * 10


@pytest.mark.parametrize("case", [*HOSTILE, *(f"NIfTI {name}" for name in NIFTI_HOSTILE)])
def test_hostile_files_are_bad_files_with_a_reason(tmp_path, case):
    (tmp_path / "set").mkdir()
    Image.fromarray(SHADES[0]).save(tmp_path / "set" / "good.png")
    make, reason = HOSTILE[case] if case in HOSTILE else NIFTI_HOSTILE[case.removeprefix("NIfTI ")]
    name = "x.dcm" if case in HOSTILE else "x.nii.gz"
    make(tmp_path / "set" / name)
    for pages in (False, True):
        found = load(tmp_path / "set", max_bad="100%", image_shape=(1, 12, 10), pages=pages)
        assert "good.png" in found.files
        assert all(file.startswith(name) for file, _ in found.bad_files)
        told = "; ".join(why for _, why in found.bad_files)
        assert found.bad_files, case
        assert re.search(reason, told), told


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_damage_gives_an_image_or_a_reason(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    kind = data.draw(st.sampled_from(["x.dcm", "x.nii"]))
    whole = dicom(folder / kind, SCAN[0], **CT) if kind == "x.dcm" else nifti(folder / kind, VOLUME)
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(132 if kind == "x.dcm" else 4, 600))] = data.draw(st.integers(0, 255))
    (folder / kind).write_bytes(content)
    with suppress(DataError):
        assert load(folder, image_shape=(1, 8, 8), range="-1000,3000", pages=data.draw(st.booleans())).shape == (
            1,
            8,
            8,
        )


@pytest.mark.parametrize("missing", ["pydicom", "nibabel"])
def test_without_the_extra_files_are_counted_and_the_way_to_read_them_is_told(tmp_path, monkeypatch, missing):
    monkeypatch.setattr(medical_files, "find_spec", lambda name: None if name == missing else find(name))
    monkeypatch.setitem(sys.modules, missing, None)
    kind, name = {"pydicom": ("DICOM", "1.dcm"), "nibabel": ("NIfTI", "1.nii.gz")}[missing]
    for folder in ("a", "c"):
        dicom_or_nifti(tmp_path / "set" / folder / name)
    for folder in "ab":
        (tmp_path / "set" / folder).mkdir(exist_ok=True)
        Image.fromarray(SHADES[0]).save(tmp_path / "set" / folder / "1.png")
    install = r"pip install 'latentcli\[medical\]'"
    with pytest.raises(
        DataError, match=rf"the class c of(.|\n)*{kind} files are not read before {install}, or convert"
    ):
        load(tmp_path / "set")
    found = load(tmp_path / "set", classes=["a", "b"])
    assert len(found) == 2
    assert f"set: {kind} files are not read before pip install 'latentcli[medical]'" in found.notes
    with pytest.raises(DataError, match=rf"is a {kind} file, and {missing} is not there to read it\n  {install}"):
        load(tmp_path / "set" / "c" / name)
    with pytest.raises(DataError, match=rf"holds no images(.|\n)*{install}"):
        load(tmp_path / "set" / "c")


def find(name: str) -> object:
    from importlib.util import find_spec

    return find_spec(name)


def dicom_or_nifti(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(128) + b"DICM" if path.suffix == ".dcm" else gzip.compress(bytes(400)))


def test_a_header_of_more_slices_than_may_be_pages_is_refused(tmp_path):
    path = nifti(tmp_path / "scan.nii", np.zeros((1, 1, medical_files.MAX_PAGES + 1), "u1"))
    with pytest.raises(UnreadableImage, match="more than the 10,000 pages allowed"):
        pages_of(path)


def test_a_file_that_is_gone_when_it_is_opened_says_so(tmp_path):
    missing = medical_files.opened(tmp_path / "scan.nii", "NIfTI")
    with pytest.raises(UnreadableImage, match="No such file"), missing:
        pytest.fail("there is no file")


def test_slices_that_no_memory_holds_are_a_reason(tmp_path):
    path = nifti(tmp_path / "scan.nii", VOLUME)
    with pytest.raises(UnreadableImage, match="it does not fit into memory"), medical_files.opened(path, "NIfTI"):
        raise MemoryError


def test_pixels_of_which_too_little_is_said_are_damaged(tmp_path):
    path = dicom(tmp_path / "a.dcm", SCAN[0])
    whole = pydicom.dcmread(path)
    del whole.BitsStored
    whole.save_as(path)
    with pytest.raises(UnreadableImage, match=r"damaged DICOM: AttributeError: .*Bits Stored"):
        decode(path, 12, 10)
