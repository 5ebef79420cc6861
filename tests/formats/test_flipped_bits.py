"""One flipped bit of an archive's directory hides no arrays: labels and the checksum do not vanish without a word."""

import numpy as np
import pytest

import latentcli as lc
from latentcli.formats import checksummed_npz


def test_no_bit_of_the_directory_hides_labels(tmp_path):
    path = tmp_path / "a.npz"
    images = lc.load("digits", classes=["1", "4"]).take(np.arange(6))
    lc.write_images(path, images)
    whole, found = path.read_bytes(), 0
    begin = int.from_bytes(whole[-6:-2], "little")
    for bit in range(8 * begin, 8 * (begin + 54)):  # of the first entry, and its name
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            read = lc.load(path)
        except lc.LatentError:
            found += 1
        else:
            assert read.labels.texts.tolist() == images.labels.texts.tolist(), bit
            assert (read.images == images.images).all()
    assert found


def test_members_that_became_a_comment_are_missed(tmp_path):
    path = tmp_path / "a.npz"
    checksummed_npz.write_arrays(path, {"a": np.arange(3), "b": np.arange(4)})
    content = bytearray(path.read_bytes())
    content[int.from_bytes(content[-6:-2], "little") + 33] = 1  # the length of the first member's comment, 256
    path.write_bytes(content)
    with pytest.raises(lc.DataError):
        checksummed_npz.read_arrays(path)
