"""A folder is decoded once: the second reading gives the same from a mapped file, whatever happened to the first."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

import latentcli as lc
from latentcli.core import memory
from latentcli.core.errors import DataError, UsageError
from latentcli.data import cache, decoding, file_block, loading
from latentcli.formats import image_files
from latentcli.formats.digests import digest

COUNT = 60


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    """Of which there are several chunks, then."""
    monkeypatch.setattr(decoding, "LEAST_FILES", 5)
    monkeypatch.setattr(loading, "LEAST_ARCHIVE", 1)
    monkeypatch.setattr(decoding, "_AT_ONCE", 4)


def put(folder, name, level=None, colour=False, size=12, dtype=np.uint8):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    pixels = rng.integers(0, 256, (size, size, 3) if colour else (size, size)).astype(dtype)
    Image.fromarray(pixels if level is None else np.full_like(pixels, level)).save(path)
    return path


@pytest.fixture
def photos(tmp_path):
    """Grey images of two classes, one of them unreadable, two in colour among the last."""
    folder = tmp_path / "photos"
    for number in range(COUNT):
        put(folder, f"{'ab'[number % 2]}/{number:03d}.png", colour=number in (50, 55))
    (folder / "a" / "010.png").write_bytes(b"no image")
    return folder


def random(kind, number):
    rng = np.random.default_rng(number)
    if kind == "float":
        return rng.random((12, 12), np.float32) * (7 if number % 8 == 0 else 1)
    return rng.integers(0, 2 if kind == np.uint8 else 4096, (12, 12)).astype(kind)


KINDS = {
    "colours": lambda folder: [put(folder, f"{n:03d}.png", colour=n == 40) for n in range(COUNT)],
    "12 bits": lambda folder: [
        Image.fromarray(random(np.uint16, n)).save(folder / f"{n:03d}.png") for n in range(COUNT)
    ],
    "truth values": lambda folder: [
        Image.fromarray(random(np.uint8, n)).save(folder / f"{n:03d}.png") for n in range(COUNT)
    ],
    "unclear floats": lambda folder: [
        Image.fromarray(random("float", n)).save(folder / f"{n:03d}.tif") for n in range(COUNT)
    ],
    "unlike sizes": lambda folder: [put(folder, f"{n:03d}.png", size=9 + n) for n in range(COUNT)],
}  # fmt: skip


def files_of_cache(*endings):
    folder = cache.folder_of(None)
    return sorted(
        path for path in folder.glob("*") if path.suffix in (endings or (".json", ".bytes", ".changed", ".journal"))
    )


def assert_same(found, expected, notes=True):
    for field in fields(lc.ImageSet):
        if field.name == "images":
            assert np.array_equal(found.images, expected.images)
        elif field.name == "labels":
            assert np.array_equal(found.labels.codes, expected.labels.codes)
            assert found.labels.names == expected.labels.names
        elif field.name == "notes":
            own = [note for note in found.notes if "kept" not in note]
            assert not notes or own == list(expected.notes)
        else:
            assert getattr(found, field.name) == getattr(expected, field.name), field.name


def count_decoding(monkeypatch):
    """The files that are decoded from now on."""
    decoded = []
    honest = image_files.decode_as

    def counted(path, *arguments):
        decoded.append(path.name)
        return honest(path, *arguments)

    monkeypatch.setattr(image_files, "decode_as", counted)
    return decoded


def test_many_files_of_which_none_is_an_image_are_told_as_few_are(tmp_path):
    for number in range(COUNT):
        (tmp_path / f"{number:03d}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=f"{COUNT} of the {COUNT} image files of .* cannot be read"):
        lc.load(tmp_path)
    assert not files_of_cache()


def test_the_second_time_nothing_is_decoded_and_all_is_the_same(photos, monkeypatch):
    expected = lc.load(photos, no_cache=True, max_bad="5%")
    assert not files_of_cache()
    assert not isinstance(expected.images, np.memmap)
    first = lc.load(photos, max_bad="5%")
    decoded = count_decoding(monkeypatch)
    second = lc.load(photos, max_bad="5%")
    assert not decoded
    for found in (first, second):
        assert_same(found, expected)
        assert isinstance(found.images, np.memmap)
        assert not found.images.flags.writeable
    assert sum("kept as decoded" in note for note in first.notes) == 1
    assert not any("kept" in note for note in second.notes)
    assert [path.suffix for path in files_of_cache()] == [".changed", ".json"]  # grey and colour in one


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [{}, {"range": "0,200"}, {"image_shape": (1, 16, 16)}], ids=["plain", "range", "shape"])
def test_whatever_the_files_are_what_is_kept_is_what_was_decoded(tmp_path, kind, how):
    (tmp_path / "set").mkdir()
    KINDS[kind](tmp_path / "set")
    expected = lc.load(tmp_path / "set", no_cache=True, max_bad="50%", **how)
    for _ in range(2):
        assert_same(lc.load(tmp_path / "set", max_bad="50%", **how), expected)
    assert len(files_of_cache(".json")) == 1
    assert not files_of_cache(".journal")


def test_the_checksum_of_all_is_kept_with_exactly_these_images(photos):
    for _ in range(2):
        images = lc.load(photos, max_bad="5%").images
        assert images.sha256 == digest({"images": np.array(images)})
        for other in (images[:], images[1:], images.reshape(-1), images.copy(), np.asarray(images), images[[0, 1]]):
            assert getattr(other, "sha256", None) is None


def test_pages_are_kept_too(tmp_path):
    frames = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (10, 120, 230)]
    for number in range(6):
        frames[0].save(tmp_path / f"{number}.tif", save_all=True, append_images=frames[1:])
    expected = lc.load(tmp_path, pages=True, no_cache=True)
    assert len(expected) == 18
    for _ in range(2):
        assert_same(lc.load(tmp_path, pages=True), expected)


def test_few_files_are_decoded_each_time(photos, monkeypatch):
    monkeypatch.setattr(decoding, "LEAST_FILES", 2_000)
    found = lc.load(photos, max_bad="5%")
    assert not isinstance(found.images, np.memmap)
    assert not files_of_cache()
    monkeypatch.setattr(decoding, "LEAST_BYTES", 1_000)  # but few large ones are kept
    assert isinstance(lc.load(photos, max_bad="5%").images, np.memmap)


@pytest.mark.parametrize("change", ["content", "time", "name", "one more", "one less"])
def test_a_folder_that_changed_is_decoded_again_and_the_old_images_go(tmp_path, photos, change):
    lc.load(photos, max_bad="5%")
    before = files_of_cache()
    path = photos / "b" / "001.png"
    if change == "content":
        put(photos, "b/001.png", level=7)
    elif change == "time":
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    elif change == "name":
        path.rename(photos / "b" / "0001.png")
    elif change == "one more":
        put(photos, "b/100.png")
    else:
        path.unlink()
    expected = lc.load(photos, no_cache=True, max_bad="5%")
    assert_same(lc.load(photos, max_bad="5%"), expected)
    assert len(files_of_cache()) == len(before) == 2
    assert not {*before} & {*files_of_cache()}


def test_what_is_asked_for_is_kept_apart(photos):
    asked = [{}, {"image_size": 16}, {"background": "white"}, {"range": "0,128"}, {"classes": ["a"]}]
    for how in asked * 2:
        assert_same(lc.load(photos, max_bad="5%", **how), lc.load(photos, max_bad="5%", no_cache=True, **how))
    assert len(files_of_cache(".json")) == len(asked)


def test_the_folder_has_one_set_by_whichever_path_it_is_called(photos, monkeypatch):
    lc.load(photos, max_bad="5%")
    decoded = count_decoding(monkeypatch)
    (photos.parent / "link").symlink_to("photos")
    for path in (photos.resolve(), Path("link"), Path("link") / ".." / "photos"):
        assert_same(lc.load(path, max_bad="5%"), lc.load(path, max_bad="5%", no_cache=True), notes=True)
        assert len(decoded) == COUNT
        decoded.clear()


def test_a_named_folder_is_the_cache(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTCLI_CACHE", str(tmp_path / "of_environment"))
    lc.load(photos, max_bad="5%")
    lc.load(photos, max_bad="5%", cache_dir="named")
    assert len(list((tmp_path / "named" / "images").glob("*.json"))) == 1
    assert len(list((tmp_path / "of_environment" / "images").glob("*.json"))) == 1


DAMAGES = {
    "a byte": lambda bytes_of, index: flip(bytes_of, 100),
    "the last byte": lambda bytes_of, index: flip(bytes_of, -1),
    "cut short": lambda bytes_of, index: os.truncate(bytes_of, bytes_of.stat().st_size - 1),
    "emptied": lambda bytes_of, index: os.truncate(bytes_of, 0),
    "gone": lambda bytes_of, index: bytes_of.unlink(),
    "a byte of the index": lambda bytes_of, index: flip(index, 200),
    "half an index": lambda bytes_of, index: os.truncate(index, index.stat().st_size // 2),
    "no index": lambda bytes_of, index: index.write_bytes(b""),
    "nested": lambda bytes_of, index: signed(index, b"[" * 100_000),
    "not an object": lambda bytes_of, index: signed(index, b"[]"),
    "another shape": lambda bytes_of, index: altered(index, shape=[1, 3, 1000, 1000]),
    "a negative shape": lambda bytes_of, index: altered(index, shape=[-1, -3, 12, 12]),
    "no whole shape": lambda bytes_of, index: altered(index, shape=[59.0, 3, 12, 12]),
    "a truth value": lambda bytes_of, index: altered(index, shape=[True, 3, 12, 12]),
    "fewer images": lambda bytes_of, index: altered(index, shape=[58, 3, 12, 12]),
    "another file": lambda bytes_of, index: altered(index, ending="/../../../../etc/passwd"),
    "no facts": lambda bytes_of, index: altered(index, facts={}),
    "no list": lambda bytes_of, index: altered(index, facts=7),
    "no names": lambda bytes_of, index: altered(index, facts__notes="text"),
    "no pairs": lambda bytes_of, index: altered(index, facts__bad=[["a/010.png", 3]]),
    "no numbers": lambda bytes_of, index: altered(index, facts__spans={"whole": ["a", "b"]}),
    "no checksum": lambda bytes_of, index: altered(index, sha256="text"),
    "no total": lambda bytes_of, index: altered(index, facts__total=None),
    "checksums of other bytes": lambda bytes_of, index: altered(index, crc32=[1, 2]),
    "without end": lambda bytes_of, index: os.truncate(index, 2**31 + 1),
}


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(content)


def signed(index, content):
    index.write_bytes(json.dumps({"sha256": cache.hashlib.sha256(content).hexdigest()}).encode() + b"\n" + content)


def altered(index, **values):
    content = json.loads(index.read_bytes().split(b"\n", 1)[1])
    for name, value in values.items():
        of, _, inner = name.partition("__")
        (content[of] if inner else content)[inner or of] = value
    signed(index, json.dumps(content).encode())


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_images_are_thrown_away_and_decoded_again(photos, damage):
    expected = lc.load(photos, max_bad="5%", no_cache=True)
    lc.load(photos, max_bad="5%")
    bytes_of, index = files_of_cache()
    DAMAGES[damage](bytes_of, index)
    mended = lc.load(photos, max_bad="5%")
    assert_same(mended, expected)
    assert sum("damaged" in note for note in mended.notes) == (0 if damage == "gone" else 1)
    assert_same(lc.load(photos, max_bad="5%"), expected)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.ENOMEM])
def test_that_images_cannot_be_opened_does_not_throw_them_away(photos, monkeypatch, number):
    expected = lc.load(photos, max_bad="5%", no_cache=True)
    lc.load(photos, max_bad="5%")
    before, honest = files_of_cache(), cache.open_regular

    def refuse(path):
        if path.suffix in (".bytes", ".changed"):
            raise OSError(number, os.strerror(number))
        return honest(path)

    with monkeypatch.context() as patched:
        patched.setattr(cache, "open_regular", refuse)
        found = lc.load(photos, max_bad="5%")
    assert_same(found, expected)
    assert any("cannot be kept" in note and os.strerror(number) in note for note in found.notes)
    assert files_of_cache() == before
    decoded = count_decoding(monkeypatch)
    lc.load(photos, max_bad="5%")
    assert not decoded


def test_bytes_that_were_changed_with_their_time_put_back_are_seen(photos):
    lc.load(photos, max_bad="5%")
    bytes_of, _ = files_of_cache()
    status = bytes_of.stat()
    flip(bytes_of, 77)
    os.utime(bytes_of, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert any("damaged" in note for note in lc.load(photos, max_bad="5%").notes)


class Stop(BaseException):
    """The process ends here."""


@contextmanager
def ending(monkeypatch, suffix, after):
    """The process ends when a file is to be written for so many times; what is written before is there."""
    honest, times = file_block._write, []

    def write(file, content):
        times.append(Path(file.name).suffix == suffix)
        if sum(times) > after:
            raise Stop
        honest(file, content)

    with monkeypatch.context() as dying:
        dying.setattr(file_block, "_write", write)
        try:
            yield
        except Stop:
            return
    pytest.fail("it did not end")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".journal", ".bytes"])
@pytest.mark.parametrize("after", [0, 1, 4])
def test_an_interrupted_decoding_goes_on_and_gives_the_same(tmp_path, monkeypatch, kind, suffix, after):
    folder = tmp_path / "set"
    folder.mkdir()
    KINDS[kind](folder)
    expected = lc.load(folder, no_cache=True, max_bad="50%")
    with ending(monkeypatch, suffix, after):
        lc.load(folder, max_bad="50%")
    decoded = count_decoding(monkeypatch)
    assert_same(lc.load(folder, max_bad="50%"), expected)
    chunks = max(0, after - (suffix == ".journal"))  # whose first line is no chunk
    assert int(Path(decoded[0]).stem) < 4 * decoding_threads() * (chunks + 1)
    assert int(Path(min(decoded)).stem) == (0 if kind in AGAIN else chunks * 4 * decoding_threads())
    assert not files_of_cache(".journal")


AGAIN = ("12 bits",)
"""Files that are decoded twice, once their numbers are known."""


def decoding_threads():
    from joblib import cpu_count

    return cpu_count()


def test_ctrl_c_is_told_how_it_goes_on(photos, monkeypatch):
    honest, times = file_block._write, []

    def write(file, content):
        times.append(1)
        if len(times) == 5:
            raise KeyboardInterrupt
        honest(file, content)

    monkeypatch.setattr(file_block, "_write", write)
    with pytest.raises(KeyboardInterrupt, match="the same call goes on"):
        lc.load(photos, max_bad="5%")
    decoded = count_decoding(monkeypatch)
    lc.load(photos, max_bad="5%")
    assert 0 < len(decoded) < COUNT


@pytest.mark.parametrize("damage", ["a byte of an image", "a byte of a line", "half a line", "another head", "events"])
def test_what_an_interrupted_decoding_has_left_is_checked(tmp_path, monkeypatch, damage):
    folder = tmp_path / "set"
    folder.mkdir()
    KINDS["unlike sizes"](folder)
    expected = lc.load(folder, no_cache=True)
    with ending(monkeypatch, ".journal", 5):
        lc.load(folder)
    bytes_of, journal = files_of_cache()
    lines = journal.read_bytes().splitlines(keepends=True)
    if damage == "a byte of an image":
        flip(bytes_of, 70)
    elif damage == "a byte of a line":
        flip(journal, len(lines[0]) + 20)
    elif damage == "half a line":
        os.truncate(journal, journal.stat().st_size - 3)
    elif damage == "another head":
        content = json.loads(lines[0].split(b" ", 1)[1])
        journal.write_bytes(file_block._line({**content, "source": "/elsewhere"}) + b"".join(lines[1:]))
    else:
        chunk = json.loads(lines[1].split(b" ", 1)[1])
        pixels, few = bytes_of.read_bytes(), {**chunk["events"], "pieces": chunk["events"]["pieces"] - 1}
        wrongs = [{"events": each} for each in ({}, 7, few, {**few, "pieces": 10**9}, {**few, "bad": "text"})]
        for wrong in (
            *wrongs,
            {"channels": 2},
            {"channels": True},
            {"channels": 1.0},
            {"images": 10**12},
            {"images": 2.0},
        ):
            bytes_of.write_bytes(pixels)
            journal.write_bytes(lines[0] + file_block._line({**chunk, **wrong}))
            with monkeypatch.context() as patched:
                decoded = count_decoding(patched)
                assert_same(lc.load(folder), expected)
            assert len(decoded) == COUNT
            lc.clear_cache()
        bytes_of.write_bytes(pixels)
        journal.write_bytes(lines[0] + file_block._line(chunk))
        decoded = count_decoding(monkeypatch)
        assert_same(lc.load(folder), expected)
        assert len(decoded) == COUNT - chunk["images"]
    assert_same(lc.load(folder), expected)


RUN = """
import os, signal, sys, time
import latentcli as lc
from latentcli.data import decoding, file_block
decoding.LEAST_FILES, decoding._AT_ONCE = 5, 2
honest = file_block._write
def slowly(file, content):
    time.sleep(0.01)
    honest(file, content)
file_block._write = slowly
print("begun", flush=True)
found = lc.load(sys.argv[1], max_bad="5%")
print(type(found.images).__name__, found.images.sum(), *[note for note in found.notes if "kept" in note])
"""


def started(photos):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, photos],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_a_decoding_that_is_killed_goes_on(photos):
    expected, reached = lc.load(photos, no_cache=True, max_bad="5%"), [0]
    for _ in range(3):
        with started(photos) as process:
            while process.poll() is None and size_of_journal() <= reached[-1]:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
        reached.append(size_of_journal())
    assert reached == sorted({*reached})
    assert_same(lc.load(photos, max_bad="5%"), expected)


def size_of_journal():
    with suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in files_of_cache(".journal"))
    return 0


def test_two_processes_decode_once(photos):
    with started(photos) as first, started(photos) as second:
        results = [process.communicate()[0].splitlines()[1] for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0]
    assert all(result.startswith("KeptImages ") for result in results)
    assert len({result.split()[1] for result in results}) == 1
    assert sum("kept as decoded" in result for result in results) == 1


def test_what_another_run_has_decoded_while_this_one_waited_is_read(photos, tmp_path, monkeypatch):
    expected = lc.load(photos, max_bad="5%")
    kept, (lock,) = files_of_cache(), cache.folder_of(None).glob("*.lock")
    (tmp_path / "of_another").mkdir()
    for path in kept:
        path.rename(tmp_path / "of_another" / path.name)
    told = []

    @contextmanager
    def progress(doing, total):
        told.append(doing)
        for path in kept:
            (tmp_path / "of_another" / path.name).rename(path)
        other.release()
        yield lambda count: None

    other, decoded = FileLock(lock), count_decoding(monkeypatch)
    with other.acquire():
        found = lc.load(photos, max_bad="5%", progress=progress)
    assert told == ["waiting for another run, which decodes the same images"]
    assert not decoded
    assert_same(found, expected, notes=False)
    assert not any("kept" in note for note in found.notes)


def test_what_was_decoded_by_other_packages_is_decoded_again(photos, monkeypatch):
    lc.load(photos, max_bad="5%")
    decoded = count_decoding(monkeypatch)
    monkeypatch.setattr(cache, "_DECODERS", ("pillow", "of-a-name-that-is-not-installed"))
    for _ in range(2):
        assert isinstance(lc.load(photos, max_bad="5%").images, np.memmap)
        assert len(decoded) == COUNT


def fail_to_write(monkeypatch, ending, after, number=errno.ENOSPC):
    honest, times = file_block._write, []

    def write(file, content):
        times.append(Path(file.name).suffix == ending)
        if sum(times) > after:
            raise OSError(number, os.strerror(number))
        honest(file, content)

    monkeypatch.setattr(file_block, "_write", write)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("ending", "after"), [(".journal", 0), (".journal", 3), (".bytes", 0), (".bytes", 5)])
def test_a_full_disk_moves_the_images_into_memory(tmp_path, monkeypatch, kind, ending, after):
    folder = tmp_path / "set"
    folder.mkdir()
    KINDS[kind](folder)
    expected = lc.load(folder, no_cache=True, max_bad="50%")
    fail_to_write(monkeypatch, ending, after)
    found = lc.load(folder, max_bad="50%")
    assert_same(found, expected)
    assert not isinstance(found.images, np.memmap)
    assert sum("cannot be kept in" in note and "No space" in note for note in found.notes) == 1
    assert not files_of_cache()


def test_what_was_begun_is_read_where_it_cannot_be_gone_on_with(photos, monkeypatch):
    expected = lc.load(photos, no_cache=True, max_bad="5%")
    with ending(monkeypatch, ".journal", 4):
        lc.load(photos, max_bad="5%")

    def refuse(path, end):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(file_block, "_opened", refuse)
    decoded = count_decoding(monkeypatch)
    found = lc.load(photos, max_bad="5%")
    assert_same(found, expected)
    assert any("cannot be kept" in note and "Read-only" in note for note in found.notes)
    assert 0 < len(decoded) < COUNT


@pytest.mark.parametrize("how", [{}, {"image_shape": (1, 12, 12)}])
def test_a_system_that_maps_no_more_has_the_images_in_memory(photos, monkeypatch, how):
    expected = lc.load(photos, no_cache=True, max_bad="5%", **how)

    def refuse(self, mode):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(file_block.FileBlock, "_map", refuse)
    found = lc.load(photos, max_bad="5%", **how)
    assert_same(found, expected)
    assert not isinstance(found.images, np.memmap)
    assert any("cannot be kept" in note and os.strerror(errno.ENOMEM) in note for note in found.notes)


def test_a_disk_that_would_be_full_is_left_as_it_is(photos, monkeypatch):
    monkeypatch.setattr(file_block, "SPARE", 2**62)
    found = lc.load(photos, max_bad="5%")
    assert not isinstance(found.images, np.memmap)
    assert any("cannot be kept" in note for note in found.notes)
    assert not files_of_cache()


def test_images_that_fit_neither_disk_nor_memory_are_an_error_and_go_on_later(photos, monkeypatch):
    expected = lc.load(photos, no_cache=True, max_bad="5%")
    with monkeypatch.context() as full:
        fail_to_write(full, ".bytes", 4)
        full.setattr(memory, "of_machine", lambda: 1_000)
        with pytest.raises(DataError, match="do not fit into memory"):
            lc.load(photos, max_bad="5%")
    decoded = count_decoding(monkeypatch)
    assert_same(lc.load(photos, max_bad="5%"), expected)
    assert len(decoded) < COUNT


@pytest.mark.parametrize("where", ["a file", "an index that cannot be written", "no locks"])
def test_a_folder_that_takes_no_files_is_told(photos, tmp_path, monkeypatch, where):
    expected = lc.load(photos, no_cache=True, max_bad="5%")
    if where == "a file":
        (tmp_path / "here").write_bytes(b"")
        monkeypatch.setenv("LATENTCLI_CACHE", "here")
    elif where == "no locks":

        def refuse(descriptor, operation):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    else:

        def refused(path):
            raise lc.OutputError(f"cannot write {path}", "Read-only file system")

        monkeypatch.setattr(cache, "atomic_write", refused)
    found = lc.load(photos, max_bad="5%")
    assert_same(found, expected)
    assert not isinstance(found.images, np.memmap)
    (note,) = [note for note in found.notes if "kept" in note]
    assert "cannot be kept" in note
    assert not files_of_cache()


def zipped(folder):
    with zipfile.ZipFile("photos.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder.parent))
    return Path("photos.zip")


def tarred(folder):
    with tarfile.open("photos.tar.gz", "w:gz") as archive:
        archive.add(folder)
    return Path("photos.tar.gz")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_is_not_even_unpacked_again(photos, monkeypatch, pack):
    path = pack(photos)
    shutil.rmtree(photos)
    expected = lc.load(path, no_cache=True, max_bad="5%")
    first = lc.load(path, max_bad="5%")
    decoded = count_decoding(monkeypatch)
    monkeypatch.setattr("latentcli.data.archives.unpacked", None)
    for found in (first, lc.load(path, max_bad="5%"), lc.load(path.resolve(), max_bad="5%")):
        assert_same(found, expected) if found.name == expected.name else None
        assert isinstance(found.images, np.memmap)
        assert np.array_equal(found.images, expected.images)
    assert not decoded
    assert sum("kept as decoded" in note for note in first.notes) == 1
    assert found.files == expected.files
    assert found.name == str(path.resolve())


def test_an_archive_that_changed_or_is_read_otherwise_is_unpacked(photos):
    path = zipped(photos)
    lc.load(path, max_bad="5%")
    for how in ({"classes": ["b"]}, {"no_classes": True}, {"image_size": 16}):
        assert_same(lc.load(path, max_bad="5%", **how), lc.load(path, max_bad="5%", no_cache=True, **how))
    put(photos, "b/001.png", level=9)
    zipped(photos)
    expected = lc.load(path, max_bad="5%", no_cache=True)
    assert_same(lc.load(path, max_bad="5%"), expected)
    for index in files_of_cache(".json"):
        altered(index, facts__labels={"codes": [7] * (COUNT - 1), "names": ["a"]})
    assert_same(lc.load(path, max_bad="5%"), expected)


@pytest.mark.parametrize("facts", [
    {"labels": {"codes": [0, 1] * COUNT, "names": ["a", "b"]}}, {"labels": {"codes": [0] * COUNT, "names": ["a", "a"]}},
    {"labels": {"codes": [0.0] * COUNT, "names": ["a"]}}, {"files": ["a/1.png"]}, {"files": [1] * COUNT}, {"name": 7},
    {"layout": "CHW"}, {"notes": "text"}, {"spans": {"whole": [1]}}, {"elsewhere": {"test": 1}}, {"bad_files": ["one"]},
])  # fmt: skip
def test_what_is_kept_of_an_archive_is_checked(tmp_path, facts):
    for number in range(COUNT):
        put(tmp_path / "photos", f"{'ab'[number % 2]}/{number:03d}.png")
    path = zipped(tmp_path / "photos")
    expected = lc.load(path, no_cache=True)
    assert not any("damaged" in note for note in lc.load(path).notes)
    (index,) = files_of_cache(".json")
    altered(index, **{f"facts__{name}": value for name, value in facts.items()})
    again = lc.load(path)
    assert_same(again, expected)
    assert sum("damaged, and was decoded again" in note for note in again.notes) == 1


def test_an_interrupted_archive_goes_on(photos, monkeypatch):
    path = zipped(photos)
    expected = lc.load(path, max_bad="5%", no_cache=True)
    with ending(monkeypatch, ".journal", 3):
        lc.load(path, max_bad="5%")
    decoded = count_decoding(monkeypatch)
    assert_same(lc.load(path, max_bad="5%"), expected)
    assert len(decoded) < COUNT


def test_an_archive_of_too_many_bad_files_is_refused_each_time(photos):
    path = zipped(photos)
    for _ in range(2):
        with pytest.raises(DataError, match=r"1 of the 60 image files of photos\.zip/photos cannot be read"):
            lc.load(path)
    assert len(lc.load(path, max_bad="5%")) == COUNT - 1


def test_what_is_kept_is_listed_and_deleted(photos, tmp_path, monkeypatch):
    assert lc.cached() == lc.clear_cache() == []
    lc.load(photos, max_bad="5%")
    path = zipped(photos)
    lc.load(path, max_bad="5%")
    with ending(monkeypatch, ".journal", 3):
        lc.load(photos, max_bad="5%", image_size=20)
    (cache.folder_of(None) / "mine.json").write_text("of somebody else")
    found = lc.cached()
    assert [each.images for each in found].count(0) == 1
    shapes = {(each.source, each.images, each.shape) for each in found}
    assert shapes == {
        (str(photos.resolve()), COUNT - 1, (3, 12, 12)), (str(path.resolve()), COUNT - 1, (3, 12, 12)),
        (str(photos.resolve()), 0, None),
    }  # fmt: skip
    assert all(each.bytes > (COUNT - 1) * 3 * 144 for each in found if each.images)
    os.utime(files_of_cache(".json")[0], (0, 0))
    assert len(lc.clear_cache(older_than=1)) == 1
    before = lc.cached()
    for named in ([photos, "elsewhere"], ["elsewhere"]):
        with pytest.raises(
            DataError, match=r"nothing of elsewhere is kept as decoded\n  looked in .*images\n  look how"
        ):
            lc.clear_cache(named, older_than=0)
    assert lc.cached() == before
    assert len(lc.clear_cache([photos])) >= 1
    (cache.folder_of(None) / "mine.lock").touch()
    lc.clear_cache()
    assert lc.cached() == []
    assert sorted(file.name for file in cache.folder_of(None).iterdir()) == ["mine.json", "mine.lock"]
    with pytest.raises(UsageError, match="older_than"):
        lc.clear_cache(older_than=-1)


def test_that_a_cache_cannot_be_cleared_is_told(photos, monkeypatch):
    """As where it is on a disk that is read-only, on which there can be no lock."""
    lc.load(photos, max_bad="5%")

    def refuse(*arguments, **more):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr("latentcli.formats.locks.FileLock.acquire", refuse)
        with pytest.raises(lc.OutputError, match=r"cannot write .*\.lock\n  (.*: )?Read-only file system"):
            lc.clear_cache()
    assert len(lc.clear_cache()) == 1


@pytest.mark.skipif(os.name == "nt", reason="a file that is open stays there")
def test_images_that_are_still_read_stay_when_they_are_decoded_again(photos):
    """Where the index alone was deleted, a file that was cut short would end the process that reads it."""
    for how in ({}, {"image_shape": (1, 12, 12)}):  # whose files end in .changed and in .bytes
        found = lc.load(photos, max_bad="5%", **how)
        index, bytes_of = sorted(files_of_cache(), key=lambda path: path.suffix != ".json")
        before = bytes_of.stat().st_ino
        index.unlink()
        again = lc.load(photos, max_bad="5%", **how)
        assert bytes_of.stat().st_ino != before
        assert np.array_equal(found.images, again.images)
        lc.clear_cache()


def test_images_that_are_still_read_stay_when_they_are_deleted(photos):
    found = lc.load(photos, max_bad="5%")
    expected = np.array(found.images)
    with suppress(PermissionError):  # of systems that keep a file which is open
        lc.clear_cache()
    assert np.array_equal(found.images, expected)


def test_what_is_being_decoded_is_not_deleted(photos):
    with started(photos) as process:
        process.stdout.readline()
        while process.poll() is None and not files_of_cache(".journal"):
            time.sleep(0.005)
        assert lc.clear_cache() == []
        assert len([*cache.folder_of(None).glob("*.lock")]) == 1  # which is held
        assert process.communicate()[0].startswith("KeptImages")
    assert len(lc.clear_cache()) == 1


@pytest.fixture
def faint(tmp_path):
    """Colour files whose colours are faint, of another size than they are read in."""
    folder, rng = tmp_path / "faint", np.random.default_rng(5)
    folder.mkdir()
    for number in range(9):
        grey = rng.integers(0, 240, (20, 20, 1))
        Image.fromarray((grey + rng.integers(0, 4, (20, 20, 3))).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("others", ["grey", "in colour"])
@pytest.mark.parametrize("keep", [True, False])
def test_a_model_reads_what_it_was_trained_on(faint, others, keep):
    """Also files that are nearly grey: training does not know the channels before it has seen all."""
    if others == "in colour":
        put(faint, "z.png", colour=True, size=20)
    of_training = lc.load(faint, image_size=12, no_cache=not keep)
    assert of_training.shape == ((1, 3)[others == "in colour"], 12, 12)
    of_use = lc.load(faint, image_shape=of_training.shape, no_cache=not keep)
    assert (of_use.images == of_training.images).all()


def test_what_a_training_has_decoded_serves_its_model(photos, monkeypatch):
    count, trained_on = count_decoding(monkeypatch), lc.load(photos, max_bad="1")
    before, size = len(count), lc.cached()
    used = lc.load(photos, max_bad="1", image_shape=trained_on.shape)
    assert_same(used, trained_on, notes=False)
    assert (len(count), [each.path for each in lc.cached()]) == (before, [each.path for each in size])
    assert any("in colour" in note for note in trained_on.notes)
    assert not any("in colour" in note for note in used.notes)  # it was not for the images to choose
    grey = lc.load(photos, max_bad="1", image_shape=(1, *trained_on.shape[1:]))
    assert grey.shape[0] == 1
    assert len(lc.cached()) == 2


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_what_a_training_has_unpacked_serves_its_model(photos, monkeypatch, pack):
    path = pack(photos)
    trained_on = lc.load(path, max_bad="1", prefer="train")
    kept = [each.path for each in lc.cached()]
    expected = lc.load(path, max_bad="1", prefer="test", image_shape=trained_on.shape, no_cache=True)
    with monkeypatch.context() as patched:
        patched.setattr("latentcli.data.archives.unpacked", None)
        used = lc.load(path, max_bad="1", prefer="test", image_shape=trained_on.shape)
    assert_same(used, expected)
    assert any("in colour" in note for note in trained_on.notes)
    assert [each.path for each in lc.cached()] == kept
    for how in ({"image_shape": (1, 12, 12)}, {"classes": ["b"]}, {"no_classes": True}, {"image_size": 16}):
        assert_same(lc.load(path, max_bad="1", **how), lc.load(path, max_bad="1", no_cache=True, **how))


def test_an_archive_of_parts_gives_each_its_own(photos):
    for part in ("train", "test"):
        shutil.copytree(photos, f"parts/{part}")
    put(Path("parts"), "test/b/777.png")
    path = zipped(Path("parts"))
    for prefer in ("train", "test", "train"):
        how = {"max_bad": "5%", "prefer": prefer}
        assert_same(lc.load(path, **how), lc.load(path, no_cache=True, **how))
    assert len(lc.load(path, max_bad="5%", prefer="test")) == COUNT
