"""A training that is stopped goes on as if it never was: its state, its log, its signals and its lock."""

import errno
import json
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

from latentcli.core.errors import FitError, ModelFileError, OutputError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Listener
from latentcli.formats.schemas import TRAINING_STATE
from latentcli.models import create
from latentcli.models.vae import VAEConfig
from latentcli.training.config import TrainingConfig
from latentcli.training.identity import check_same, identity, provenance
from latentcli.training.loop import Interrupted
from latentcli.training.resumable import fit, stop_requests
from latentcli.training.train import train

NETWORK = VAEConfig((1, 8, 8), backbone="mlp", width=32, latent_dim=3, components=1)
CONFIG = TrainingConfig(epochs=3, batch_size=16, held_out=0.2, seed=3)
STEPS = 12
"""Of the whole run: three epochs of four."""


def load_state(path):
    return TRAINING_STATE.read(path, "begin anew")["state"]


@pytest.fixture(autouse=True)
def own_locks(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 1, 8, 8), dtype=np.uint8)


def run(images, config=CONFIG, network=NETWORK, name="set", **options):
    """Weights and history of a run; its identity is that of its settings and its images."""
    made = create("vae", network, config.seed)
    known = identity("vae", network, config, name, {"images": images})
    history = fit(made, images, config, identity=known, **options)
    return b"".join(tensor.numpy().tobytes() for tensor in made.state_dict().values()), history


class Stopping(Listener):
    """Sends this process a signal after so many steps."""

    def __init__(self, after: int, number: signal.Signals = signal.SIGTERM) -> None:
        self.left, self.number = after, number

    def stepped(self, images, loss):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), self.number)


class Told(Listener):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.missing, self.begun, self.images, self.epochs = [], [], 0, []

    def nothing_to_resume(self, state):
        self.missing.append(state)

    def started(self, epochs, images, done):
        self.begun.append((epochs, images, done))

    def stepped(self, images, loss):
        self.images += images

    def epoch_ended(self, row):
        self.epochs.append(row["epoch"])


def stopped(images, state, after=5, **options) -> None:
    with pytest.raises(Interrupted):
        run(images, state=state, listener=Stopping(after), **options)


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after", [1, 4, 5, STEPS])
def test_a_run_stopped_by_a_signal_keeps_its_state_and_ends_as_one_never_stopped(images, tmp_path, number, after):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    state, told = tmp_path / "state", Told()
    with pytest.raises(Interrupted):
        run(images, state=state, listener=Stopping(after, number))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert load_state(state)["run"]["step"] == after
    assert run(images, state=state, listener=told) == run(images)
    assert told.missing == []
    assert told.begun == [(3, 56, 14 * after)]
    assert told.images == 14 * (STEPS - after)
    assert state.exists()  # until the model is saved


def test_an_interrupt_is_the_keyboards_own():
    assert issubclass(Interrupted, KeyboardInterrupt)


def test_a_second_signal_is_taken_as_it_always_is():
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with stop_requests() as requested:
            assert not requested()
            os.kill(os.getpid(), signal.SIGTERM)
            assert (requested(), received) == (True, [])
            os.kill(os.getpid(), signal.SIGTERM)
            assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_run_in_another_thread_leaves_the_signals_alone(images, tmp_path):
    handlers, results = (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)), []

    class Looking(Listener):
        def stepped(self, images, loss):
            assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers

    def work() -> None:
        results.append(run(images, state=tmp_path / "state", listener=Looking()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [run(images)]


# State


def test_without_a_state_there_is_nothing_to_resume_and_none_is_kept_of_a_short_run(images, tmp_path):
    told = Told()
    assert run(images, state=tmp_path / "state", listener=told) == run(images)
    assert told.missing == [tmp_path / "state"]
    assert told.begun == [(3, 56, 0)]
    assert (told.images, told.epochs) == (3 * 56, [1, 2, 3])
    assert list(tmp_path.iterdir()) == []
    run(images, replace(CONFIG, save_every=0.0), state=tmp_path / "state")
    assert load_state(tmp_path / "state")["run"]["step"] == STEPS


def test_a_run_begins_anew_where_it_is_told_to(images, tmp_path):
    state, told = tmp_path / "state", Told()
    stopped(images, state)
    assert run(images, state=state, resume=False, listener=told) == run(images)
    assert (told.missing, told.begun) == ([], [(3, 56, 0)])


@pytest.mark.parametrize("changes", [{"lr": 1e-4}, {"patience": 1.0}, {"save_every": 5.0}])
def test_a_run_may_go_on_with_another_learning_rate_or_patience(images, tmp_path, changes):
    state = tmp_path / "state"
    stopped(images, state)
    _, history = run(images, replace(CONFIG, **changes), state=state)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    if "lr" in changes:
        assert history[-1]["lr"] < 1e-4 < history[0]["lr"]


@pytest.mark.parametrize(
    ("config", "network", "changed", "says"),
    [
        ({}, {"loss": "mse"}, False, "`loss` is mse, was bce"),
        ({}, {"latent_dim": 4}, False, "`latent_dim` is 4, was 3"),
        ({"seed": 4}, {}, False, "`seed` is 4, was 3"),
        ({"epochs": 4}, {}, False, "`epochs` is 4, was 3"),
        ({"lr": 1e-4, "batch_size": 8}, {}, False, "`batch_size` is 8, was 16"),
        ({"batch_size": None}, {}, False, "`batch_size` is not given, was 16"),
        ({}, {}, True, "the images or labels are not the same: SHA-256 "),
    ],
)
def test_a_run_of_other_settings_or_data_is_not_gone_on_with(images, tmp_path, config, network, changed, says):
    state = tmp_path / "state"
    stopped(images, state)
    kept = state.read_bytes()
    other = 255 - images if changed else images
    with pytest.raises(UsageError, match="cannot resume") as caught:
        run(other, replace(CONFIG, **config), replace(NETWORK, **network), state=state)
    assert caught.value.found.startswith(says)
    assert caught.value.remedy == "repeat its call, or begin anew without `resume`"
    assert state.read_bytes() == kept


def test_a_run_goes_on_with_data_that_has_another_name(images, tmp_path):
    state = tmp_path / "state"
    stopped(images, state)
    assert run(images.copy(), name="moved", state=state) == run(images)


def test_all_that_differs_is_told(images, tmp_path):
    state = tmp_path / "state"
    stopped(images, state)
    with pytest.raises(UsageError) as caught:
        run(images[:60], replace(CONFIG, seed=4, lr=0.1), name="moved", state=state)
    assert caught.value.found == "there are 60 images, not 70; `seed` is 4, was 3"


def test_facts_about_the_data_that_only_one_of_two_runs_has_are_told(images):
    begun, plain = (
        identity("vae", NETWORK, CONFIG, "set", {"images": images}, **facts) for facts in ({"start": "ab" * 32}, {})
    )
    for found, wanted, said in (
        (begun, plain, "is none, was SHA-256 ababab…"),
        (plain, begun, "SHA-256 ababab…, was none"),
    ):
        with pytest.raises(UsageError, match=f"the model to begin with (is )?.*{said}"):
            check_same(found, wanted)


def test_identities_are_compared_as_files_give_them_back():
    wanted = {"family": "vae", "model": {"image_shape": (1, 8, 8)}, "training": {"seed": 0}}
    check_same({"family": "vae", "model": {"image_shape": [1, 8, 8]}, "training": {"seed": 0, "lr": 1.0}}, wanted)
    for found in ({}, {"family": "vae", "model": 3, "training": {"seed": 0}}, wanted | {"family": "fsq"}):
        with pytest.raises(UsageError, match="cannot resume"):
            check_same(found, wanted)


def test_an_identity_has_the_digest_of_all_that_is_learnt_from(images):
    targets = np.zeros((70, 2), np.float32)
    one, other, of_both = (
        identity("vae", NETWORK, CONFIG, "set", arrays, labelled=7)
        for arrays in ({"images": images}, {"images": 255 - images}, {"images": images, "targets": targets})
    )
    assert {name: one["data"][name] for name in ("name", "images", "labelled")} == {
        "name": "set", "images": 70, "labelled": 7,
    }  # fmt: skip
    assert len({each["data"]["sha256"] for each in (one, other, of_both)}) == 3
    written = provenance(one, [{"epoch": 1.0}])
    assert written.keys() == {"seed", "settings", "data", "versions", "history"}
    assert (written["seed"], written["history"]) == (3, [{"epoch": 1.0}])


def test_a_damaged_state_is_refused_with_what_to_do(images, tmp_path):
    state = tmp_path / "state"
    stopped(images, state)
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="start again without `resume`"):
        run(images, state=state)


def test_after_a_loss_that_is_not_finite_the_state_before_it_goes_on_with_a_lower_rate(images, tmp_path):
    state, told, network = tmp_path / "state", Told(), create("vae", NETWORK, CONFIG.seed)
    loss, steps = network.loss, iter(range(STEPS))

    def broken(batch, generator, progress):
        terms = loss(batch, generator, progress)
        wrong = network.training and next(steps) == 5
        return replace(terms, total=terms.total * (np.nan if wrong else 1.0))

    network.loss = broken
    known = identity("vae", NETWORK, CONFIG, "set", {"images": images})
    with pytest.raises(FitError, match=r"go on with `resume` and a lower `lr`, such as 0\.0003"):
        fit(network, images, CONFIG, identity=known, state=state)
    assert load_state(state)["run"]["step"] == 5
    _, history = run(images, replace(CONFIG, lr=3e-4), state=state, listener=told)
    assert told.begun == [(3, 56, 14 * 5)]
    assert [row["epoch"] for row in history] == [1, 2, 3]


# Log


def test_the_log_has_an_object_an_epoch_also_of_a_run_that_was_stopped(images, tmp_path):
    state, log = tmp_path / "state", tmp_path / "vae.metrics.jsonl"
    stopped(images, state, after=9, log=log)
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == [1, 2]
    _, history = run(images, state=state, log=log)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert rows[-1].pop("images_per_second") > 0
    assert rows == history
    assert log.read_text().endswith("\n")


def test_a_log_that_can_never_be_written_is_refused_before_training(images, tmp_path):
    told = Told()
    with pytest.raises(OutputError, match="there is no folder"):
        run(images, log=tmp_path / "missing" / "log", listener=told)
    assert told.begun == []


# Two runs at once


def test_a_second_run_of_the_same_state_is_refused_and_the_first_goes_on(images, tmp_path):
    state, refused = tmp_path / "state", []

    class Second(Listener):
        def started(self, epochs, count, done):
            with pytest.raises(OutputError, match="another run is writing") as caught:
                run(images, state=state)
            refused.append(caught.value)
            assert run(images, state=tmp_path / "other") == run(images)

    assert run(images, state=state, listener=Second()) == run(images)
    assert refused[0].found.startswith(f"process {os.getpid()} on ")
    run(images, state=state)  # the lock ends with the run


# In one call


def test_a_training_in_one_call_goes_on_from_its_state(images, tmp_path):
    settings = {"backbone": "mlp", "width": 32, "latent_dim": 3, "epochs": 3, "batch_size": 16, "device": "cpu"}
    state = tmp_path / "vae.pth.partial"
    given = ImageSet(images)
    with pytest.raises(Interrupted):
        train(given, state=state, listener=Stopping(5), **settings)
    resumed, whole = train(given, state=state, **settings), train(given, **settings)
    assert resumed.fingerprint == whole.fingerprint
    assert (resumed.state, whole.state) == (state, None)
    with pytest.raises(UsageError, match="cannot resume"):
        train(given, state=state, loss="mse", **settings)
    resumed.save(tmp_path / "vae.pth")
    assert not state.exists()


def test_a_run_that_has_ended_is_not_trained_again(images):
    settings = {"backbone": "mlp", "width": 32, "latent_dim": 3, "epochs": 1, "device": "cpu"}
    ended, told = train(ImageSet(images, name="set"), **settings), Told()
    moved = ImageSet(images, name="moved")
    assert train(moved, finished=ended, save_every=9.0, listener=told, **settings) is ended
    assert told.begun == []
    for given, more, said in (
        (moved, {"epochs": 2}, "`epochs` is 2, was 1"),
        (moved, {"lr": 1e-4}, "`lr` is 0.0001, was 0.003"),
        (moved, {"beta": 2.0}, "`beta` is 2.0, was "),
        (ImageSet(255 - images), {}, "not the same"),
    ):
        with pytest.raises(UsageError, match="the run of the model, which has ended, was begun with") as caught:
            train(given, finished=ended, **settings | more)
        assert said in caught.value.found


def test_a_disk_that_is_full_for_a_while_does_not_end_a_run(images, tmp_path, monkeypatch):
    """Neither its state nor its log: the next epochs write both, and the log has every epoch."""
    config, state, log = replace(CONFIG, save_every=0.0), tmp_path / "state", tmp_path / "log"
    expected = run(images, config)
    fsync, told, calls = os.fsync, [], iter(range(1000))

    def full(descriptor):
        if 2 < next(calls) < 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    class Hearing(Listener):
        def unwritten(self, problem):
            told.append((problem.problem, problem.found))

    monkeypatch.setattr(os, "fsync", full)
    assert run(images, config, state=state, log=log, listener=Hearing()) == expected
    assert set(told) == {(f"cannot write {path}", "No space left on device") for path in (state, log)}
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == [1, 2, 3]
    assert load_state(state)["run"]["step"] == STEPS


def test_a_run_that_stops_and_cannot_keep_its_state_says_so(images, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        run(images, state=tmp_path / "state", listener=Stopping(5))
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", ["a/far/set.npz", "/set.npz", "set.npz"])
def test_what_is_kept_of_a_path_is_its_last_part(name):
    images = np.zeros((2, 1, 8, 8), dtype=np.uint8)
    assert identity("vae", NETWORK, CONFIG, name, {"images": images})["data"]["name"] == "set.npz"
