"""Forged archives of arrays: what their headers say is held against the bytes that there are."""

import io
import zipfile

import numpy as np
import pytest

from latentcli.formats.npz_reader import UnsafeArrays, read_npy, read_npz


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_a_header_longer_than_any_of_an_array_is_refused_unread(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x02\0" + (2**31).to_bytes(4, "little") + b"{}")
    with pytest.raises(UnsafeArrays, match="an array with a header of 2147483648 bytes"):
        read_npy(tmp_path / "a.npy")


def test_an_archive_that_holds_less_than_its_directory_says_is_refused(tmp_path):
    """Its checksum is that of the bytes that there are."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy(np.arange(8.0))[:-16])
        archive.infolist()[0].file_size += 16
    with pytest.raises(UnsafeArrays, match="an array of 64 bytes that ends after 48"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("values", [0, 3])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_follows_an_array_and_what_does_not_fit_its_checksum_are_refused(tmp_path, values, compression):
    content = npy(np.arange(values))
    for more, change, why in ((b"?", 0, "where .* are"), (b"", 1, "not a whole .npz archive: Bad CRC-32")):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", compression) as archive:
            archive.writestr("a.npy", content + more)
            archive.infolist()[0].CRC ^= change
        with pytest.raises(UnsafeArrays, match=why):
            read_npz(tmp_path / "a.npz")
