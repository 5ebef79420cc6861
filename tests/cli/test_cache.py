"""Decoded images that are kept are told once, listed, and deleted."""

import json
import os
import signal

import numpy as np
import pytest
from PIL import Image

from latentcli.data import decoding, file_block
from latentcli.data.cached import cached


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(decoding, "LEAST_FILES", 5)
    (tmp_path / "my photos").mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "my photos" / f"{number}.png")
    return tmp_path / "my photos"


TRAIN = ("train", "my photos", "--set", "width=16", "--latent-dim", "2", "--epochs", "1", "--backbone", "mlp")


def test_it_is_told_once_where_they_are_and_how_they_are_deleted(call, photos):
    first = call(*TRAIN)
    assert first.code == 0, first.err
    (line,) = [line for line in first.err.splitlines() if "kept as decoded" in line]
    assert line.startswith("my photos: its 12 images are kept as decoded")
    assert line.endswith("latentcli cache clear 'my photos'")
    before = photos.parent.joinpath("vae.pth").read_bytes()
    second = call(*TRAIN)
    assert "kept" not in second.err
    assert photos.parent.joinpath("vae.pth").read_bytes() == before
    third = call(*TRAIN, "--no-cache")
    assert "kept" not in third.err
    assert photos.parent.joinpath("vae.pth").read_bytes() == before


def test_sigterm_while_images_are_decoded_keeps_what_was_decoded_and_says_so(call, photos, monkeypatch):
    before, honest = signal.getsignal(signal.SIGTERM), file_block.FileBlock.commit

    def commit(block, events):
        honest(block, events)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(decoding, "_AT_ONCE", 2)
    monkeypatch.setattr(file_block.FileBlock, "commit", commit)
    stopped = call(*TRAIN)
    assert (stopped.code, stopped.out) == (130, "")
    (line,) = stopped.err.splitlines()
    assert line.startswith("interrupted: what was decoded is kept in ")
    assert line.endswith("the same call goes on, and latentcli cache clear 'my photos' frees it")
    assert signal.getsignal(signal.SIGTERM) == before
    monkeypatch.setattr(file_block.FileBlock, "commit", honest)
    assert [of.images for of in cached()] == [0]
    assert call(*TRAIN).code == 0
    assert [of.images for of in cached()] == [12]


def test_list_and_clear(call, photos, tmp_path):
    assert call("cache", "list").out == "kept 0 set(s), 0.0 MB\n"
    call(*TRAIN, "--cache-dir", "here")
    call(*TRAIN)
    (listed,) = json.loads(call("cache", "list", "--json").out)["kept"]
    assert (listed["source"], listed["images"], listed["shape"]) == (str(photos.resolve()), 12, [1, 8, 8])
    lines = call("cache", "list", "--cache-dir", "here").out.splitlines()
    assert len(lines) == 2
    assert all(part in lines[0] for part in (str(photos.resolve()), "12 images", "1×8×8"))
    unknown = call("cache", "clear", "elsewhere", "--json")
    assert (unknown.code, unknown.out) == (3, "")
    assert unknown.err.startswith("error: nothing of elsewhere is kept as decoded\n")
    assert call("cache", "clear", "my photos", "--older-than", "1").out == "deleted 0 set(s), 0.0 MB\n"
    assert "deleted 1 set(s)" in call("cache", "clear", "my photos").out
    assert "kept 0 set(s)" in call("cache", "list").out
    assert "deleted 1 set(s)" in call("cache", "clear", "--cache-dir", "here").out
    assert call("cache", "clear", "--older-than", "-1").code == 2
