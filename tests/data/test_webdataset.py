"""Tars in WebDataset's layout, among them those that nobody should trust."""

import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentcli.core.errors import DataError
from latentcli.data.webdataset import is_webdataset, records


def read(path):
    return [*records(path, str(path))]


def test_a_sample_is_its_members_wherever_they_stand(tmp_path, tar, png):
    path = tar(tmp_path / "a.tar", [
        ("./x/1.seg.png", png(9)), ("./x/1.PNG", png(1)), ("x/2.jpg", b"?"), ("1.cls", b" cat\n"), ("x/1.cls", b"3"),
        ("x/2.json", b'{"label": 7.0, "cls": "no"}'), ("readme.md", b""), ("__MACOSX/x/1.png", b""), ("._2.png", b""),
        ("3.heic", b"?"),
    ])  # fmt: skip
    found = read(path)
    assert [(each.name, each.label, each.why) for each in found] == [
        ("x/1.PNG", "3", ""), ("x/2.jpg", "7", ""), ("1.cls", "cat", "no image beside it"),
        ("3.heic", "", "a .heic file, which is not read"),
    ]  # fmt: skip
    assert found[0].content.open()[0].read() == png(1)
    assert is_webdataset(path)


@pytest.mark.parametrize(("name", "content", "why"), [
    ("1.cls", b"\xff\xfe", "its .cls is no text of one line"), ("1.cls", b"a\nb", "its .cls is no text of one line"),
    ("1.cls", b"a" * 70_000, "its .cls is no text of one line"), ("1.json", b"{", "its .json is none"),
    ("1.json", b"[" * 100_000, "its .json is none"),
    ("1.json", b'{"label": ["a", "b"]}', "its .json has several labels, or one that is no name"),
    ("1.json", b'{"label": true}', "its .json has several labels, or one that is no name"),
    ("1.json", b'{"label": NaN}', "its .json has several labels, or one that is no name"),
    ("1.json", b'{"label": 1e999}', "its .json has several labels, or one that is no name"),
    ("1.json", b'{"label": 1' + b"0" * 5000 + b"}", "its .json is none"),
])  # fmt: skip
def test_a_label_that_cannot_be_told_keeps_no_image_from_being_read(tmp_path, tar, png, name, content, why):
    (found,) = read(tar(tmp_path / "a.tar", [("1.png", png(0)), (name, content)]))
    assert (found.label, found.why, found.label_why) == ("", "", why)
    assert found.content.open()[0].read() == png(0)


def special(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_links_and_devices_are_not_followed(tmp_path, tar, png):
    path = tar(tmp_path / "a.tar", [
        ("1.png", png(0)), (special("2.png", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (special("3.png", tarfile.LNKTYPE, "1.png"), b""), (special("4.png", tarfile.LNKTYPE, "/etc/passwd"), b""),
        (special("5.png", tarfile.FIFOTYPE), b""), (special("6.png", tarfile.CHRTYPE), b""), ("7.png", b""),
    ])  # fmt: skip
    found = {each.name: each for each in read(path)}
    assert found["3.png"].content.open()[0].read() == png(0)  # a second name of a file of the tar
    assert [name for name, each in found.items() if each.why == "a link, a device or a file with holes"] == [
        "2.png", "4.png", "5.png", "6.png",
    ]  # fmt: skip
    assert found["7.png"].why == "empty"


@pytest.mark.parametrize("name", ["/etc/1.png", "../1.png", "a/../../1.png", "C:\\1.png", "\\\\x\\1.png"])
def test_paths_outside_are_refused(tmp_path, tar, name):
    with pytest.raises(DataError, match=r"a\.tar names a path outside itself"):
        read(tar(tmp_path / "a.tar", [(name, b"x")]))


def test_a_name_that_stands_twice_is_read_once(tmp_path, tar, png):
    found = read(tar(tmp_path / "a.tar", [("1.png", png(0)), ("2.png", png(1)), ("1.png", png(2))]))
    assert [(each.name, each.why) for each in found] == [
        ("1.png", ""), ("1.png", "this name stands twice in its shard"), ("2.png", ""),
    ]  # fmt: skip


def test_members_as_large_as_they_say_are_not_read(tmp_path, tar, png, monkeypatch):
    monkeypatch.setattr("latentcli.data.webdataset.MAX_BYTES", 1000)
    found = read(tar(tmp_path / "a.tar", [("1.png", bytes(1001)), ("2.png", bytes(1000))]))
    assert ["bytes allowed" in each.why for each in found] == [True, False]
    huge = tarfile.TarInfo("1.png")
    huge.size = 2**40
    (tmp_path / "b.tar").write_bytes(huge.tobuf() + bytes(1024))
    with pytest.raises(DataError, match=r"is not a whole tar\n  found it is cut short within 1\.png"):
        read(tmp_path / "b.tar")


def test_headers_without_end_end(tmp_path):
    negative = tarfile.TarInfo("1.png")
    buffer = bytearray(negative.tobuf(tarfile.GNU_FORMAT))
    buffer[124:136] = b"\xff" * 10 + b"\xfc\x00"  # -1024, in base 256
    buffer[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(buffer))[0]
    (tmp_path / "a.tar").write_bytes(bytes(1024 * 4).replace(b"\0" * 1024, bytes(buffer) + bytes(512), 1))
    with pytest.raises(DataError, match="is not a whole tar"):
        read(tmp_path / "a.tar")
    pax = tarfile.TarInfo("x")
    pax.type, pax.size = tarfile.XHDTYPE, 2**33
    (tmp_path / "b.tar").write_bytes(pax.tobuf() + b"9999999999 path=" + bytes(4096))
    with pytest.raises(DataError, match="is not a whole tar"):
        read(tmp_path / "b.tar")


def test_what_is_cut_short_anywhere_is_no_whole_tar(tmp_path, tar, png):
    whole = tar(
        tmp_path / "a.tar", [("1.png", png(0)), ("1.cls", b"0"), ("2.png", png(1)), ("2.cls", b"1")]
    ).read_bytes()
    end = len(whole.rstrip(b"\0"))
    content = -(-end // 512) * 512
    for length in (0, 1, 511, 512, 513, 1024, content - 513, content - 512, content - 1, content):
        (tmp_path / "cut.tar").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.tar is not a whole tar"):
            read(tmp_path / "cut.tar")
    (tmp_path / "cut.tar").write_bytes(bytes(10240))
    with pytest.raises(DataError, match=r"cut\.tar holds no samples"):
        read(tmp_path / "cut.tar")


WHOLE = io.BytesIO()
with tarfile.open(fileobj=WHOLE, mode="w") as archive:
    for name in ("1.png", "1.cls", "2.png", "2.json"):
        member = tarfile.TarInfo(name)
        member.size = 600
        archive.addfile(member, io.BytesIO(b"7" * 600))


@given(st.lists(st.tuples(st.integers(0, 512 * 14), st.integers(0, 255)), min_size=1, max_size=6))
def test_damage_is_a_reason_or_an_error_and_nothing_else(tmp_path_factory, changes):
    content = bytearray(WHOLE.getvalue())
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.mktemp("damaged") / "a.tar"
    path.write_bytes(content)
    with suppress(DataError):
        for record in read(path):
            assert (record.content is None) == bool(record.why)


def test_a_label_that_the_disk_does_not_give_is_an_error_of_its_shard(tmp_path, tar, png, monkeypatch):
    path = tar(tmp_path / "a.tar", [("1.png", png(0)), ("1.cls", b"0")])

    def failing(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("latentcli.data.webdataset.Within.open", failing)
    with pytest.raises(DataError, match=r"cannot read .*a\.tar\n  Input/output error"):
        read(path)


def test_a_class_that_stands_twice_is_the_first_and_no_image(tmp_path, tar, png):
    (found,) = read(tar(tmp_path / "a.tar", [("1.png", png(0)), ("1.cls", b"cat"), ("1.cls", b"dog")]))
    assert (found.name, found.label, found.why) == ("1.png", "cat", "")


def test_headers_that_the_disk_does_not_give_are_an_error_of_their_shard(tmp_path, tar, png, monkeypatch):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() >= 512:
                raise OSError(5, "Input/output error")
            return super().read(size)

    path = tar(tmp_path / "a.tar", [("1.png", png(0)), ("1.cls", b"0")])
    content = path.read_bytes()
    monkeypatch.setattr("latentcli.data.webdataset.open_regular", lambda path: (Failing(content), len(content)))
    with pytest.raises(DataError, match=r"cannot read .*a\.tar\n  Input/output error\n  try again, or copy it again"):
        read(path)
