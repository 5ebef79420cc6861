"""Scans on the command line: DICOM slices of two classes, and a volume whose slices are pages."""

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="the extra `medical` is not installed")
nibabel = pytest.importorskip("nibabel", reason="the extra `medical` is not installed")

UNITS = np.random.default_rng(0).integers(-200, 100, (24, 8, 8)).astype(np.int16)
UNITS[::2, 2:6, 2:6] = 200


def save(path, units):
    from pydicom.dataset import Dataset, FileMetaDataset

    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    found.SOPClassUID, found.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    found.Rows, found.Columns, found.SamplesPerPixel, found.PhotometricInterpretation = *units.shape, 1, "MONOCHROME2"
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 16, 15, 0
    found.RescaleSlope, found.RescaleIntercept, found.WindowCenter, found.WindowWidth = 1, -1024, 0, 500
    found.PixelData = (units + 1024).astype("u2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("suffix", ["", ".dcm"])
def test_dicom_folders_go_through_all_commands(call, tmp_path, tiny, suffix):
    for number, units in enumerate(UNITS):
        save(tmp_path / "set" / "ab"[number % 2] / f"{number}{suffix}", units)
    (tmp_path / "set" / "a" / f"99{suffix or '.dcm'}").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)
    loud = [*(part for part in tiny if part != "-q"), "--max-bad", "1"]
    done = call("train", "set", *loud)
    assert done.code == 0, done.err
    assert "numbers are read in the window that the file says in 24 file(s)" in done.err
    assert "--range says otherwise" in done.err
    assert "damaged DICOM" in (tmp_path / "bad_files.csv").read_text()
    done = call("classify", "set", "vae.pth", "gmm_params.pkl", "--max-bad", "1")
    assert done.code == 0, done.err
    assert len((tmp_path / "vae.csv").read_text().splitlines()) == 26
    assert call("train", "set", *loud, "-q", "--range", "-300,300").code == 0
    done = call("reconstruct", "set", "vae.pth", "--max-bad", "1")
    assert "numbers are read as -300…300, as the images of the model were in 24 file(s)" in done.err
    assert call("encode", f"set/b/1{suffix}", "vae.pth").code == 0


def test_a_volume_is_trained_on_slice_by_slice(call, tmp_path, tiny):
    data = UNITS.transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), tmp_path / "scan.nii.gz")
    unclear = call("train", "scan.nii.gz", "--pages", *tiny)
    assert (unclear.code, "black and white are unclear" in unclear.err, "--range" in unclear.err) == (3, True, True)
    done = call("train", "scan.nii.gz", "--pages", "--range", "-200,200", *tiny)
    assert done.code == 0, done.err
    done = call("encode", "scan.nii.gz", "vae.pth", "--pages")
    assert done.code == 0, done.err
    files = np.load("latents.npz")["files"]
    assert (len(files), str(files[3])) == (24, "scan.nii.gz[3]")
    assert "only the slice in the middle is read" in call("encode", "scan.nii.gz", "vae.pth").err
