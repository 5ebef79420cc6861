"""A tar that is damaged or cut short is an error, however it is read: no image is lost without a word."""

import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentcli.core.errors import DataError
from latentcli.data import load
from latentcli.data.archives import unpacked
from latentcli.data.webdataset import records

NAMES = [f"x/{number}.png" for number in range(4)]


def unpack(path):
    with unpacked(path) as (folder, _):
        return [*folder.rglob("*.png")]


def unpack_zipped(path):
    zipped = path.with_name("zipped.tar.gz")
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    return unpack(zipped)


READERS = {"archive": unpack, "zipped": unpack_zipped, "shard": lambda path: [*records(path, str(path))]}


def described(whole, at):
    """With two megabytes that describe the member there."""
    size = 2**21
    text = f"{size} comment=".ljust(size - 1, "x").encode() + b"\n"
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, size
    return whole[:at] + header.tobuf() + text + whole[at:]


DAMAGE = {
    "a bit of a header": lambda whole, at, end: whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
    "zeros over a header": lambda whole, at, end: whole[:at] + bytes(512) + whole[at + 512 :],
    "cut before a header": lambda whole, at, end: whole[:at],
    "cut within a header": lambda whole, at, end: whole[: at + 100],
    "cut within a member": lambda whole, at, end: whole[: at + 600],
    "no mark of the end": lambda whole, at, end: whole[:end],
    "a second tar": lambda whole, at, end: whole + whole,
    "a long description": lambda whole, at, end: described(whole, at),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_behind_the_first_images_is_an_error(tmp_path, tar, png, read, damage):
    path = tar(tmp_path / "a.tar", [(name, png(row)) for row, name in enumerate(NAMES)])
    assert len(read(path)) == len(NAMES)
    with tarfile.open(path) as archive:
        *_, third, last = archive.getmembers()
    end = last.offset_data + -(-last.size // 512) * 512
    path.write_bytes(damage(path.read_bytes(), third.offset, end))
    with pytest.raises(DataError, match=r"\.tar(\.gz)? is not a whole (archive|tar)\n  found .*\n  .*again"):
        read(path)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_file_with_holes_that_leads_back_to_itself_is_an_error(tmp_path, read):
    """Its size as stored is below 0, and the next header the same again; as restored it is 0."""
    first, sparse = tarfile.TarInfo("0.png"), tarfile.TarInfo("1.png")
    sparse.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfe\x00"  # -512, in base 256
    header[483:495] = b"%011o\0" % 0
    header[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(header))[0]
    path = tmp_path / "a.tar"
    path.write_bytes(first.tobuf() + bytes(header) + bytes(1024))
    with pytest.raises(
        DataError, match=r"\.tar(\.gz)? is not a whole (archive|tar)\n  found (it has headers without|seek)"
    ):
        read(path)


def test_the_checksum_of_a_zipped_tar_is_compared(tmp_path, tar, png):
    path = tar(tmp_path / "a.tar.gz", [(name, png(row)) for row, name in enumerate(NAMES)])
    assert len(load(path)) == len(NAMES)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:])
    with pytest.raises(DataError, match=r"a\.tar\.gz is not a whole archive\n  found CRC"):
        load(path)


WHOLE = io.BytesIO()
with tarfile.open(fileobj=WHOLE, mode="w", format=tarfile.PAX_FORMAT) as archive:
    for name in ("1.png", "é" * 60 + ".png", "2.png"):
        member = tarfile.TarInfo(name)
        member.size = 600
        archive.addfile(member, io.BytesIO(b"7" * 600))


@given(st.lists(st.tuples(st.integers(0, 512 * 14), st.integers(0, 255)), min_size=1, max_size=6))
def test_damage_in_an_archive_is_an_error_or_none_is_lost(tmp_path_factory, changes):
    content = bytearray(WHOLE.getvalue())
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.mktemp("damaged") / "a.tar"
    path.write_bytes(content)
    try:
        with unpacked(path) as (folder, notes):
            found = [file for file in folder.rglob("*") if file.is_file()]
    except DataError:
        return
    assert len(found) == 3 or notes
