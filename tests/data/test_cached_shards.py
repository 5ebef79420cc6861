"""Shards that are read at once are decoded once: the second time they are neither opened nor copied here."""

import os
from pathlib import Path

import numpy as np
import pytest

import latentcli as lc
from latentcli.core import memory
from latentcli.core.errors import DataError
from latentcli.data import block, decoding, file_block, loading
from latentcli.data.shards import whole
from latentcli.formats import image_files

SHARDS = "shards/{00000..00002}.tar"


@pytest.fixture(autouse=True)
def small_ones_are_kept(monkeypatch, tmp_path, make_shards):
    """And three lie here."""
    monkeypatch.setattr(loading, "LEAST_ARCHIVE", 1)
    make_shards(tmp_path / "shards")


@pytest.fixture
def opened(monkeypatch):
    """The shards that are opened from now on."""
    found, honest = [], whole.at_hand

    def at_hand(shard):
        found.append(shard.name)
        return honest(shard)

    monkeypatch.setattr(whole, "at_hand", at_hand)
    return found


def same(found, expected):
    own = [note for note in found.notes if "kept" not in note]
    return (
        np.array_equal(found.images, expected.images) and np.array_equal(found.labels.codes, expected.labels.codes)
        and (found.files, found.name, found.class_names) == (expected.files, expected.name, expected.class_names)
        and (found.labels_looked_for, own) == (expected.labels_looked_for, [*expected.notes])
    )  # fmt: skip


@pytest.mark.parametrize("data", [SHARDS, "shards", [f"shards/0000{number}.tar" for number in (2, 0)]])
def test_the_second_time_no_shard_is_opened_and_all_is_the_same(data, opened):
    expected = lc.load(data, no_cache=True)
    first = lc.load(data)
    before = len(opened)
    second = lc.load(data)
    used = lc.load(data, image_shape=first.shape)  # as the model that was trained on them
    assert len(opened) == before
    assert same(first, expected)
    assert same(second, expected)
    assert np.array_equal(used.images, expected.images)
    assert isinstance(second.images, np.memmap)
    for how in ({"classes": ["1"]}, {"no_classes": True}, {"range": "0,99"}, {"image_size": 8}):
        assert same(lc.load(data, **how), lc.load(data, no_cache=True, **how))


def test_other_shards_and_those_that_changed_are_decoded(opened, make_shards):
    for data in (SHARDS, "shards/{00000..00001}.tar", ["shards/00001.tar"], ["shards/00001.tar", "shards/00000.tar"]):
        assert same(lc.load(data), lc.load(data, no_cache=True))
    os.utime("shards/00001.tar", (1, 1))
    before = len(opened)
    lc.load(SHARDS)
    assert len(opened) == before + 3
    Path("shards/00001.tar").unlink()
    with pytest.raises(DataError, match=r"shards/00001\.tar"):
        lc.load(SHARDS)


def test_shards_at_an_address_are_copied_here_once(opened):
    memory_ = pytest.importorskip("fsspec").filesystem("memory")
    for path in Path("shards").iterdir():
        memory_.pipe(f"/kept/{path.name}", path.read_bytes())
    for _ in range(2):
        assert len(lc.load("memory://kept/*.tar")) == 12
    assert len(opened) == 3
    memory_.pipe("/kept/00001.tar", Path("shards/00000.tar").read_bytes())
    lc.load("memory://kept/*.tar")
    assert len(opened) == 6
    assert [each.source for each in lc.clear_cache(["memory://kept"])] == ["memory://kept/*.tar"]
    memory_.rm("/kept", recursive=True)


def test_what_is_kept_of_shards_is_cleared_by_what_was_named(tmp_path):
    lc.load(SHARDS)
    (note,) = [note for note in lc.load(["shards/00001.tar"]).notes if "kept" in note]
    assert note.startswith("shards/00001.tar: its 4 images are kept as decoded")
    assert note.endswith("free it by: latentcli cache clear shards/00001.tar")
    assert len(lc.clear_cache([SHARDS])) == 1
    assert len(lc.clear_cache(["shards"])) == 1


def test_an_interrupted_decoding_of_shards_goes_on(monkeypatch):
    expected = lc.load(SHARDS, no_cache=True)
    monkeypatch.setattr(decoding, "_AT_ONCE", 1)
    commit, decode, done = file_block.FileBlock.commit, image_files.decode_as, []

    def struck(self, events):
        commit(self, events)
        raise KeyboardInterrupt

    def counted(*arguments):
        done.append(arguments)
        return decode(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(file_block.FileBlock, "commit", struck)
        with pytest.raises(KeyboardInterrupt, match="what was decoded is kept in"):
            lc.load(SHARDS)
    monkeypatch.setattr(image_files, "decode_as", counted)
    assert same(lc.load(SHARDS), expected)
    assert 0 < len(done) < len(expected)


def test_images_that_do_not_fit_into_memory_are_told_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(memory, "of_machine", lambda: 12 * 256 - 1)
    with pytest.raises(DataError, match=r"12 images of 16×16 pixels do not fit into memory\n  .*`cache_dir`"):
        lc.load(SHARDS, no_cache=True)
    assert len(lc.load(SHARDS)) == 12
    grey = block.ImageBlock(4, None, 16, 16)
    grey.append(np.zeros((1, 16, 16), np.uint8))
    monkeypatch.setattr(memory, "of_machine", lambda: 4 * 256)
    with pytest.raises(DataError, match="do not fit into memory"):
        grey.append(np.zeros((3, 16, 16), np.uint8))
