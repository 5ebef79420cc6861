"""The training loop with a model of two numbers: what it promises holds for any model."""

import functools
import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latentcli.core.errors import DataError, FitError, UsageError
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create
from latentcli.models.base import LossTerms, Model
from latentcli.training.config import MAY_CHANGE, SCHEDULES, ClassifierTrainingConfig, TrainingConfig
from latentcli.training.examples import Examples
from latentcli.training.loop import Callbacks, Interrupted, Run, learning_rate

CONFIG = TrainingConfig(epochs=4, batch_size=16, held_out=0.2, save_every=0.0, seed=3)


families = pytest.mark.parametrize("family", FAMILIES)
models = pytest.mark.parametrize("family", [*FAMILIES, *PIXEL_CLASSIFIERS])


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 1, 8, 8), dtype=np.uint8)


def model(seed: int = 3, family: str = "vae"):
    if family in PIXEL_CLASSIFIERS:
        config = PIXEL_CLASSIFIERS[family].Config((1, 8, 8), classes=3, width=16, mixup=0.5, flip=0.5)
        return create(family, config, seed)
    settings = {"components": 2} if family == "vae" else {}
    return create(family, FAMILIES[family].Config((1, 8, 8), width=32, latent_dim=2, **settings), seed)


def examples(images, family: str):
    """What a model of this family learns from: images, or images with soft labels, some of them repeated."""
    if family in FAMILIES:
        return images
    soft = np.random.default_rng(1).dirichlet(np.ones(3), len(images)).astype(np.float32)
    repeated = np.concatenate([np.arange(10, 50), np.arange(10, 26)])
    return Examples(images, repeated, np.arange(10), soft, final_rows=np.arange(10, 30), final_fraction=0.3)


class Silent(Model):
    """A model of one number that learns nothing of what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(1))

    def loss(self, batch, generator, progress=1.0):
        return LossTerms(self.number.square().sum(), {})


def weights(network) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())


def finished(images, config=CONFIG, family="vae", **callbacks) -> tuple[bytes, list]:
    network = model(family=family)
    history = Run(network, examples(images, family), config).fit(Callbacks(**callbacks))
    return weights(network), history


@models
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(images, family):
    assert finished(images, family=family) == finished(images, family=family)
    assert finished(images, family=family)[0] != finished(images, replace(CONFIG, seed=4), family)[0]


def test_global_randomness_is_neither_used_nor_disturbed(images):
    torch.manual_seed(1)
    first = finished(images)
    torch.manual_seed(2)
    assert finished(images) == first
    network, state = model(), torch.get_rng_state()
    Run(network, images, CONFIG).fit(Callbacks())
    assert torch.equal(torch.get_rng_state(), state)


@given(epochs=st.integers(1, 5), last=st.floats(0, 1), few=st.integers(1, 40))
def test_the_final_steps_go_through_the_final_rows_alone_each_as_often(epochs, last, few):
    seen: list[np.ndarray] = []

    class Seeing(Run):
        def _batch(self, rows):
            seen.append(rows)
            return super()._batch(rows)

    images, soft = np.zeros((70, 1, 8, 8), np.uint8), np.full((70, 3), 1 / 3, np.float32)
    given_rows = Examples(images, np.arange(few, 70), np.arange(0), soft, np.arange(few), last)
    run = Seeing(Silent(), given_rows, ClassifierTrainingConfig(epochs=epochs, batch_size=16, held_out=0.0))
    run.fit(Callbacks())
    usual = round((1 - last) * run.total_steps)
    assert [bool(rows.min() >= few) for rows in seen] == [step < usual for step in range(run.total_steps)]
    assert [bool(rows.max() >= few) for rows in seen] == [step < usual for step in range(run.total_steps)]
    counts = np.bincount(np.concatenate([np.arange(few), *seen[usual:]]), minlength=few)
    assert counts.max() - counts.min() <= epochs  # rounded in each epoch
    sizes = {len(rows) for rows in seen}
    assert max(sizes) - min(sizes) <= 2


def test_of_many_final_rows_each_epoch_draws_others():
    rows = np.arange(1_000)
    some = Examples(np.zeros((1_000, 1, 2, 2), np.uint8), rows, np.arange(0), None, final_rows=rows, final_fraction=0.2)
    run = Run(Silent(), some, TrainingConfig(epochs=20, batch_size=25, held_out=0.0))
    drawn = [np.concatenate(run.batches(epoch)[-4:]) for epoch in range(16, 20)]
    assert [len(set(part)) for part in drawn] == [100] * 4
    assert 330 < len(set(np.concatenate(drawn))) < 360  # 1000 (1 − 0.9⁴) = 344
    assert abs(np.concatenate(drawn).mean() - 499.5) < 50  # images of a folder come class by class


def test_a_run_with_final_rows_is_not_stopped_before_them():
    def epochs(**final) -> int:
        network = Silent()
        worse = iter(range(1, 10_000))
        network.loss = lambda batch, generator, progress=1.0: LossTerms(network.number.square().sum() + next(worse), {})
        rows = Examples(np.zeros((20, 1, 2, 2), np.uint8), np.arange(16), np.arange(16, 20), **final)
        return len(Run(network, rows, TrainingConfig(epochs=40, batch_size=8, patience=0.0)).fit(Callbacks()))

    assert epochs() < 15
    assert epochs(final_rows=np.arange(4), final_fraction=0.1) == 40


@pytest.fixture(scope="module")
def never_stopped(images):
    """What ``finished`` gives of a family, trained once."""
    return functools.cache(lambda family: finished(images, family=family))


@models
@pytest.mark.parametrize("stop_after", [1, 3, 4, 5, 15])
def test_a_run_resumed_at_any_step_ends_as_one_never_stopped(images, never_stopped, stop_after, family):
    saved: list[dict] = []
    steps = iter(range(1, 1000))

    def keep(state):
        saved.append(torch.load(dump(state), weights_only=True))

    with pytest.raises(Interrupted):
        Run(model(family=family), examples(images, family), CONFIG).fit(
            Callbacks(save_state=keep, interrupted=lambda: next(steps) == stop_after)
        )
    assert saved[-1]["step"] == stop_after
    network = model(seed=99, family=family)  # the state alone must decide
    history = Run(network, examples(images, family), CONFIG, saved[-1]).fit(Callbacks())
    assert (weights(network), history) == never_stopped(family)


def dump(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return buffer


def test_the_state_is_saved_as_often_as_asked(images):
    often, never = [], []
    finished(images, save_state=often.append)
    finished(images, replace(CONFIG, save_every=1e6), save_state=never.append)
    assert len(often) == 4 * math.ceil(56 / 16)
    assert never == []


def test_callbacks_see_every_image_and_every_epoch(images):
    seen, rows, started = [], [], []
    finished(
        images,
        on_step=lambda count, loss: seen.append(count),
        on_epoch=rows.append,
        on_start=lambda *a: started.append(a),
    )
    assert started == [(4, 56, 0)]
    assert sum(seen) == 4 * 56
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]


def test_a_loss_that_is_not_finite_stops_at_that_step_and_keeps_the_last_good_state(images, monkeypatch):
    network, saved = model(), []
    run, loss = Run(network, images, replace(CONFIG, save_every=1e6)), network.loss

    def broken(batch, generator, progress):
        terms = loss(batch, generator, progress)
        return replace(terms, total=terms.total * (math.nan if run.step == 5 else 1.0))

    monkeypatch.setattr(network, "loss", broken)
    with pytest.raises(FitError, match="step 6") as caught:
        run.fit(Callbacks(save_state=saved.append))
    assert "`lr`" in str(caught.value)
    assert [state["step"] for state in saved] == [5]
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values() if tensor.is_floating_point())


def plain(state):
    """A state in which tensors are their type and bytes, so that two can be compared."""
    if isinstance(state, dict):
        return {name: plain(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [plain(value) for value in state]
    return (state.dtype, state.float().numpy().tobytes()) if isinstance(state, torch.Tensor) else state


def without_learning_rate(state):
    """What is left of a state; the learning rate is a function of the step."""
    content = plain(state)
    for group in content["optimizer"]["param_groups"]:
        del group["lr"]
    return content


@families
@pytest.mark.parametrize("step", [1, 5, 14])
def test_a_refused_step_leaves_the_whole_state_as_it_was_before_it(images, monkeypatch, family, step):
    settings = {"width": 32, "latent_dim": 2, "norm": "batch"} | ({} if family == "vae" else {"backbone": "residual"})
    network = create(family, FAMILIES[family].Config((1, 8, 8), **settings), 3)
    run, loss, before, saved = Run(network, images, CONFIG), network.loss, [], []

    def broken(batch, generator, progress):
        terms = loss(batch, generator, progress)
        return replace(terms, total=terms.total * (math.nan if run.step == step else 1.0))

    monkeypatch.setattr(network, "loss", broken)
    with pytest.raises(FitError, match=f"step {step + 1}"):
        run.fit(Callbacks(save_state=lambda state: saved.append(without_learning_rate(state))))
    *_, before, after = saved  # one after each step, and the one that was kept
    assert after["step"] == step
    assert after == before
    assert after == without_learning_rate(run.state())
    assert any("running_mean" in name for name in after["model"])
    assert (family == "vae") == bool(after["training_state"])


def test_a_refused_run_goes_on_with_a_lower_learning_rate_of_its_own(images, monkeypatch):
    network, saved = model(), []
    run, loss = Run(network, images, CONFIG), network.loss

    def broken(batch, generator, progress):
        terms = loss(batch, generator, progress)
        return replace(terms, total=terms.total * (math.nan if run.step == 5 else 1.0))

    monkeypatch.setattr(network, "loss", broken)
    with pytest.raises(FitError):
        run.fit(Callbacks(save_state=saved.append))
    lower = replace(CONFIG, lr=CONFIG.lr / 10)
    resumed = Run(model(seed=99), images, lower, saved[-1])
    history = resumed.fit(Callbacks())
    assert len(history) == 4
    expected = [learning_rate(lower, (step + 0.5) / resumed.total_steps) for step in (7, 11, 15)]
    assert [row["lr"] for row in history[1:]] == pytest.approx(expected)
    assert {"lr", "patience", "save_every"} == set(MAY_CHANGE)


def test_a_device_without_enough_memory_is_told_what_to_do(images, monkeypatch):
    network = model()

    def full(batch, generator, progress):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr(network, "loss", full)
    with pytest.raises(UsageError, match="memory is full") as caught:
        Run(network, images, CONFIG).fit(Callbacks())
    assert "batches of 16 images" in caught.value.found
    assert "`batch_size`, such as 8" in caught.value.remedy


class Saturated(Model):
    """A layer behind a saturating activation whose input is infinite: a finite loss, of the bias a gradient of 0."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        with torch.no_grad():
            self.layer.weight.fill_(1.0)

    def loss(self, batch, generator, progress=1.0):
        terms = torch.tanh(self.layer(torch.full((2, 1), math.inf))).sum()
        return LossTerms(terms, {})


def test_all_gradients_are_checked_also_those_behind_a_saturated_activation():
    network = Saturated()
    with pytest.raises(FitError, match="step 1 of"):
        Run(network, np.zeros((20, 1, 2, 2), np.uint8), CONFIG).fit(Callbacks())
    assert network.layer.weight.item() == 1.0


@pytest.mark.parametrize(
    "part",
    [
        lambda network, batch: network.encode(batch).flat,  # on its way it passes through every layer of the encoder
        lambda network, batch: network.decode(torch.zeros(2, 2)),
        lambda network, batch: network.mixture.means,
        lambda network, batch: network.mixture.log_variances,
    ],
    ids=["encoder", "decoder", "means", "variances"],
)
def test_gradients_that_are_not_finite_never_reach_the_weights(images, monkeypatch, part):
    network, saved = model(), []
    run, loss = Run(network, images, CONFIG), network.loss

    def broken(batch, generator, progress):  # the loss is finite; sqrt at zero makes its gradient infinite
        terms = loss(batch, generator, progress)
        return replace(terms, total=terms.total + (0 * part(network, batch).sum()).sqrt())

    monkeypatch.setattr(network, "loss", broken)
    with pytest.raises(FitError):
        run.fit(Callbacks(save_state=saved.append))
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values() if tensor.is_floating_point())


def test_training_stops_early_and_ends_with_the_best_weights(images, monkeypatch):
    config = replace(CONFIG, epochs=100, patience=0.12)
    network = model()
    run = Run(network, images, config)
    losses = iter([5.0, 3.0, 4.0, *[6.0] * 97])
    monkeypatch.setattr(run, "validate", lambda: {"loss": next(losses)})
    kept = {}
    history = run.fit(Callbacks(on_epoch=lambda row: kept.update({row["epoch"]: weights(network)})))
    assert len(history) == 2 + 12
    assert weights(network) == kept[2]


def test_a_model_that_validation_says_too_little_of_trains_to_the_end_and_keeps_its_last_weights(images, monkeypatch):
    network = model()
    monkeypatch.setattr(type(network), "validated", False)
    run = Run(network, images, replace(CONFIG, epochs=30, patience=0.0))
    losses = iter(range(1, 31))
    monkeypatch.setattr(run, "validate", lambda: dict.fromkeys(("loss", "kl"), float(next(losses))))
    kept = {}
    history = run.fit(Callbacks(on_epoch=lambda row: kept.update({row["epoch"]: weights(network)})))
    assert [row["val_kl"] for row in history] == list(range(1, 31))
    assert not any("val_loss" in row for row in history)  # by which the epoch whose weights were kept is told
    assert weights(network) == kept[30]


@pytest.mark.parametrize(
    ("count", "batch_size"), [(2, 16), (17, 16), (33, 16), (49, 16), (2, 2), (3, 2), (5, 2), (7, 3)]
)
def test_no_batch_is_a_single_image(images, count, batch_size):
    run = Run(model(), images[:count], replace(CONFIG, held_out=0.0, batch_size=batch_size, epochs=1))
    sizes = [len(rows) for rows in run.batches(0)]
    assert sum(sizes) == count
    assert len(sizes) == run.steps_per_epoch == run.config.steps_for(count)
    assert min(sizes) >= 2
    assert max(sizes) <= max(batch_size, 3)
    run.fit(Callbacks())


@pytest.mark.parametrize("count", [2, 3])
def test_of_few_images_two_are_left_to_train_on(images, count):
    run = Run(model(), images[:count], replace(CONFIG, held_out=0.5, epochs=1))
    assert len(run.examples.train_rows) == 2
    run.fit(Callbacks())


def test_one_image_is_too_few(images):
    with pytest.raises(DataError, match="two or more"):
        Run(model(), images[:1], CONFIG)


def test_validation_images_are_never_trained_on(images):
    run = Run(model(), images, CONFIG)
    trained = {int(row) for epoch in range(4) for rows in run.batches(epoch) for row in rows}
    assert trained.isdisjoint(run.examples.held_out_rows)
    assert trained | set(run.examples.held_out_rows.tolist()) == set(range(70))


def test_targets_stay_with_their_images_and_repeats_are_trained_on_as_often(images):
    images = images.copy()
    images[:] = np.arange(70).reshape(-1, 1, 1, 1)
    given_examples = replace(examples(images, "cnn"), final_rows=None)
    seen, network = [], model(family="cnn")
    loss = network.loss

    def watched(batch, generator, progress):
        rows = (255 * batch[0][:, 0, 0, 0]).round().long().numpy()
        assert np.array_equal(batch[1].numpy(), given_examples.targets[rows])
        if network.training:
            seen.extend(rows)
        else:
            assert set(rows) <= set(given_examples.held_out_rows)
        return loss(batch, generator, progress)

    network.loss = watched
    history = Run(network, given_examples, replace(CONFIG, epochs=2)).fit(Callbacks())
    assert sorted(seen) == sorted([*given_examples.train_rows] * 2)
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(history[-1])


@given(st.integers(2, 10**6), st.integers(64, 200_000), st.integers(0, 5_000))
def test_few_images_are_gone_through_until_there_were_enough_steps(images, values, steps):
    config, plain = TrainingConfig(min_steps=steps), TrainingConfig()
    epochs, each = config.epochs_for(images, values), config.steps_for(images)
    assert epochs * each >= steps
    assert epochs == plain.epochs_for(images, values) or (epochs - 1) * each < steps
    assert ClassifierTrainingConfig(epochs=2).epochs_for(images, values) == 2


@models
def test_a_run_of_one_step_changes_all_that_is_trained(images, family):
    network = model(family=family)
    before = {name: tensor.detach().clone() for name, tensor in network.named_parameters() if tensor.requires_grad}
    run = Run(network, examples(images, family), replace(CONFIG, epochs=1, batch_size=70, held_out=0.0))
    assert run.total_steps == 1
    run.fit(Callbacks())
    unchanged = [name for name, tensor in network.named_parameters() if name in before and before[name].equal(tensor)]
    assert unchanged == []


@given(
    steps=st.integers(1, 10**6), warmup=st.floats(0, 0.9), schedule=st.sampled_from(SCHEDULES), where=st.floats(0, 1)
)
def test_no_step_has_a_learning_rate_of_zero(steps, warmup, schedule, where):
    config = TrainingConfig(warmup=warmup, schedule=schedule)
    for step in (0, round(where * (steps - 1)), steps - 1):
        assert 0 < learning_rate(config, (step + 0.5) / steps) <= config.lr


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero():
    config = TrainingConfig(lr=0.5, warmup=0.1)
    assert learning_rate(config, 0.05) == pytest.approx(0.25)
    assert learning_rate(config, 0.1) == pytest.approx(0.5)
    assert learning_rate(config, 0.55) == pytest.approx(0.25)
    assert learning_rate(config, 1.0) == pytest.approx(0.0)


@given(st.integers(1, 10**7), st.integers(64, 200_000))
def test_the_default_number_of_epochs_looks_at_about_as_many_pixels_whatever_the_set(images, values):
    config = TrainingConfig()
    epochs = config.epochs_for(images, values)
    assert config.min_epochs <= epochs <= config.max_epochs
    if config.min_epochs < epochs < config.max_epochs:
        assert abs(epochs * images * values - config.pixel_budget) <= images * values
    assert TrainingConfig(epochs=7).epochs_for(images, values) == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", 0),
        ("lr", 0.0),
        ("lr", math.nan),
        ("lr", "fast"),
        ("seed", -1),
        ("held_out", 0.9),
        ("epochs", True),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UsageError, match=name):
        TrainingConfig(**{name: value})
