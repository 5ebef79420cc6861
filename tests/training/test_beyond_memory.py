"""Training on images beyond the memory: read in runs, ahead of the steps, and as exact as any other."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

import latentcli as lc
from latentcli.core import memory
from latentcli.core import rows as rows_module
from latentcli.models import FAMILIES, create
from latentcli.numerics import batches, reading_ahead
from latentcli.numerics.random import generator_for
from latentcli.training import examples as examples_module
from latentcli.training.config import TrainingConfig
from latentcli.training.examples import Examples, shuffled
from latentcli.training.loop import Callbacks, Interrupted, Run

SETTINGS = {"backbone": "mlp", "width": 16, "latent_dim": 2, "epochs": 3, "batch_size": 32, "seed": 5}


@pytest.fixture
def images(tmp_path):
    """In two classes, mapped."""
    pixels = np.random.default_rng(0).integers(0, 256, (400, 1, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    labels = lc.Labels(np.arange(400) % 2, ("a", "b"))
    return lc.ImageSet(np.load(tmp_path / "images.npy", mmap_mode="r"), labels)


@pytest.fixture
def beyond(monkeypatch):
    """A machine for which 400 images are many."""
    monkeypatch.setattr(memory, "of_machine", lambda: 100)
    monkeypatch.setattr(examples_module, "BLOCK_BYTES", 64 * 10)
    monkeypatch.setattr(examples_module, "TOGETHER", 4)
    monkeypatch.setattr(rows_module, "COPIED", 100)


def weights(model):
    return {name: tensor.numpy().tobytes() for name, tensor in model.network.state_dict().items()}


@pytest.mark.parametrize(("count", "block"), [(0, 3), (1, 3), (100, 7), (1000, 16), (50, 1), (50, 1000)])
def test_each_number_comes_once(count, block):
    order = shuffled(count, generator_for(3, "order", 0), block)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(count))
    assert np.array_equal(order, shuffled(count, generator_for(3, "order", 0), block))


def test_seeds_and_epochs_have_orders_of_their_own():
    orders = [shuffled(1000, generator_for(seed, "order", epoch), 10).tobytes() for seed in (1, 2) for epoch in (0, 1)]
    assert len({*orders}) == 4


def test_the_numbers_of_a_few_runs_are_together_and_mixed(monkeypatch):
    monkeypatch.setattr(examples_module, "TOGETHER", 4)
    order = shuffled(1000, generator_for(3, "order", 0), 10)
    for part in np.array_split(order, 25):  # 4 runs of 10
        assert len({number // 10 for number in part}) == 4
    assert len({number // 10 for number in order[:20]}) > 2


def test_without_blocks_the_order_is_that_of_any_earlier_training():
    generator = generator_for(3, "order", 0)
    assert np.array_equal(shuffled(100, generator_for(3, "order", 0)), torch.randperm(100, generator=generator).numpy())


def test_only_mapped_images_beyond_the_memory_are_read_so(images, monkeypatch):
    config = TrainingConfig(epochs=1)
    assert examples_module.block_of(images.images) == 0
    monkeypatch.setattr(memory, "of_machine", lambda: 2 * images.images.nbytes - 1)
    assert examples_module.block_of(images.images) > 0
    assert examples_module.block_of(np.array(images.images)) == 0
    monkeypatch.setattr(memory, "of_machine", lambda: 2 * images.images.nbytes)
    assert examples_module.block_of(images.images) == 0
    assert Examples.of_images(images.images, config).block == 0


def test_a_small_map_trains_as_memory_does(images):
    in_memory = replace(images, images=np.array(images.images))
    assert weights(lc.train(images, **SETTINGS)) == weights(lc.train(in_memory, **SETTINGS))


@pytest.mark.usefixtures("beyond")
def test_each_image_is_trained_on_once_an_epoch(images, monkeypatch):
    trained = []
    honest = batches.DeviceImages.bytes_of

    def noted(self, rows):
        if self.ahead is not None:
            trained.append(rows)
        return honest(self, rows)

    monkeypatch.setattr(batches.DeviceImages, "bytes_of", noted)
    lc.train(images, **SETTINGS, held_out=0.0)
    rows = np.concatenate(trained)
    assert len(rows) >= 3 * 400
    for epoch in range(3):
        assert np.array_equal(np.sort(rows[400 * epoch : 400 * (epoch + 1)]), np.arange(400))


@pytest.mark.usefixtures("beyond")
@pytest.mark.parametrize("labelled", [False, True])
def test_the_same_seed_gives_the_same_bytes_whoever_reads(images, monkeypatch, labelled):
    def trained():
        if labelled:
            return lc.train_cnn(images.take(np.arange(400)[::-1]), width=16, epochs=2, min_steps=0, seed=3)
        return lc.train(images, **SETTINGS)

    first, again = trained(), trained()
    monkeypatch.setattr(reading_ahead.ReadingAhead, "following", lambda self, batches: iter(batches))
    monkeypatch.setattr(reading_ahead.ReadingAhead, "rows", lambda self, rows: self.images[rows])
    assert weights(first) == weights(again) == weights(trained())


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("step", [1, 7, 13, 25])
def test_a_run_goes_on_exactly_even_with_more_memory(images, beyond, monkeypatch, step, elsewhere):
    def run(state=None):
        config = FAMILIES["vae"].Config((1, 8, 8), backbone="mlp", width=16, latent_dim=2, components=4)
        return Run(create("vae", config, 3), images.images, TrainingConfig(epochs=3, batch_size=32, seed=5), state)

    whole = run()
    assert whole.examples.block == 10
    whole.fit(Callbacks())
    stopped, saved, steps = run(), [], []

    def interrupted():
        steps.append(1)
        return len(steps) == step

    with pytest.raises(Interrupted):
        stopped.fit(Callbacks(save_state=saved.append, interrupted=interrupted))
    if elsewhere:
        monkeypatch.setattr(memory, "of_machine", lambda: 10**12)
    resumed = run(saved[-1])
    assert resumed.examples.block == 10
    resumed.fit(Callbacks())
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


@pytest.mark.usefixtures("beyond")
def test_the_state_of_other_runs_is_as_it_was(images, monkeypatch):
    monkeypatch.setattr(memory, "of_machine", lambda: 10**12)
    run = Run(lc.train(images, **SETTINGS).network, images.images, TrainingConfig(epochs=1))
    assert "block" not in run.state()


class Enough(Exception):
    """The first steps were taken."""


class Stopping(lc.Listener):
    def stepped(self, images, loss):
        raise Enough


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("labelled", [False, True])
def test_nothing_between_the_file_and_the_steps_copies_the_images(tmp_path, monkeypatch, layout, labelled):
    monkeypatch.setattr(memory, "of_machine", lambda: 2**20)
    monkeypatch.setattr(rows_module, "COPIED", 2**20)
    monkeypatch.setattr(examples_module, "BLOCK_BYTES", 2**14)
    shape = (12_000, 3, 32, 32) if layout == "NCHW" else (12_000, 32, 32, 3)
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    np.save(tmp_path / "labels.npy", np.random.default_rng(1).integers(-1, 3, 12_000))
    small = {"backbone": "mlp", "width": 8, "latent_dim": 2} if not labelled else {"width": 8}
    most = []
    for _ in range(2):  # the first one loads modules
        tracemalloc.start()
        images = lc.load(tmp_path / "images.npy", labels=tmp_path / "labels.npy", classes=["0", "2"])
        with pytest.raises(Enough):
            (lc.train_cnn if labelled else lc.train)(images, **small, epochs=1, batch_size=64, listener=Stopping())
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert images.images.nbytes > 16 * 2**20
    assert min(most) < 7 * 2**20
