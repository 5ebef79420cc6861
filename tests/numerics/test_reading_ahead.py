"""What is read ahead is what is asked for."""

import threading
import time

import numpy as np
import pytest
import torch

from latentcli.numerics import reading_ahead
from latentcli.numerics.batches import DeviceImages


@pytest.fixture
def images(tmp_path):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (3000, 1, 40, 40), dtype=np.uint8))
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def batches_of(images):
    return np.array_split(np.random.default_rng(1).permutation(len(images)), 200)


@pytest.mark.parametrize("layout", ["rows", "turned", "later"])
def test_batches_come_in_their_order_and_hold_their_rows(images, layout):
    images = {"rows": images, "turned": images.transpose(0, 1, 3, 2), "later": images[17:]}[layout]
    source, seen = DeviceImages(images, torch.device("cpu"), ahead=True), []
    for rows in source.following(batches_of(images)):
        seen.append(rows)
        assert np.array_equal(source.bytes_of(rows).numpy(), images[rows])
        assert np.array_equal(source.bytes_of(rows[:3]).numpy(), images[rows[:3]])  # others are read as they are needed
    assert np.array_equal(np.concatenate(seen), np.concatenate(batches_of(images)))


def test_few_batches_are_held(images):
    source = reading_ahead.ReadingAhead(images)
    for rows in source.following(batches_of(images)):
        source.rows(rows)
        assert len(source._read) <= reading_ahead.AHEAD + 1
    assert not source._read


def test_a_run_that_ends_early_leaves_no_thread(images):
    before = threading.active_count()
    source = reading_ahead.ReadingAhead(images)
    for _ in source.following(batches_of(images)):
        break
    del _
    assert not source._read
    ends = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < ends:  # nobody waits for it, and it ends
        time.sleep(0.01)
    assert threading.active_count() == before


def test_an_error_of_the_disk_comes_where_the_batch_is_asked_for():
    class Failing:
        def __getitem__(self, rows):
            raise OSError("broken")

    source = reading_ahead.ReadingAhead(Failing())
    following = source.following([np.arange(3)])
    rows = next(following)
    with pytest.raises(OSError, match="broken"):
        source.rows(rows)
