"""``train`` and ``train-cnn``: few steps, few images, two runs side by side, and a run whose loss exploded."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from latentcli.artifacts import checkpoint
from latentcli.models import create
from latentcli.training import loop

SMALL = {
    "train": ["--backbone", "mlp", "--set", "width=16", "--latent-dim", 4, "--set", "norm=layer", "-q"],
    "train-cnn": ["--set", "width=16", "-q"],
}
OUTPUT = {"train": "vae.pth", "train-cnn": "cnn.pth"}
trainings = pytest.mark.parametrize("command", SMALL)


@trainings
def test_a_training_of_one_step_learns_something(call, trained, command):
    done = call(command, trained.train, *SMALL[command], "--epochs", 1, "--batch-size", 65_536, "--seed", 3)
    assert done.code == 0, done.err
    saved = checkpoint.read(Path(OUTPUT[command]))
    assert len(saved.training["history"]) == 1
    fresh = create(saved.family, saved.config, 3).state_dict()
    learned = saved.network.state_dict()
    moved = {name for name in fresh if not fresh[name].equal(learned[name])}
    assert {name for name in fresh if name.endswith("weight")} & moved


@trainings
@pytest.mark.parametrize("count", [3, 5, 31])
def test_batches_of_two_of_an_odd_number_of_images_end_well(call, trained, command, count):
    digits = np.load(trained.train)
    np.savez("few.npz", data=digits["data"][:count], labels=np.arange(count) % 2)
    norm = ["--set", "norm=batch"] if command == "train" else []  # a single image has no batch statistics
    batches = ["--epochs", 2, "--batch-size", 2, "--set", "held_out=0", *norm]
    done = call(command, "few.npz", *SMALL[command], *batches)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in Path(OUTPUT[command]).with_suffix(".metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(row["loss"]) for row in rows)


@trainings
def test_two_trainings_in_one_folder_keep_two_logs(call, trained, command):
    for name, epochs in (("a", 1), ("b", 2)):
        files = ["-o", f"{name}.pth"] + (["--gmm", f"{name}.pkl"] if command == "train" else [])
        done = call(command, trained.train, *files, *SMALL[command], "--epochs", epochs, "--json")
        assert done.json["written"][:2] == [f"{name}.pth", f"{name}.metrics.jsonl"]
    lengths = [len(Path(f"{name}.metrics.jsonl").read_text().splitlines()) for name in "ab"]
    assert lengths == [1, 2]
    assert not Path("metrics.jsonl").exists()


HOLD = """
import sys
from pathlib import Path
from latentcli.formats.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process_writes(path: Path) -> Iterator[int]:
    """Within the block a process of this number holds the output."""
    call = [sys.executable, "-c", HOLD, path]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(call, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        process.stdin.close()


@trainings
def test_while_one_training_runs_another_of_the_same_output_is_told_who_it_is(call, trained, command):
    arguments = [command, trained.train, *SMALL[command], "--epochs", 1]
    with another_process_writes(Path(f"{OUTPUT[command]}.partial")) as number:
        done = call(*arguments)
        assert (done.code, f"process {number} on " in done.err) == (6, True), done.err
        assert f"another run is writing {OUTPUT[command]}.partial" in done.err
        assert len(done.err.splitlines()) <= 3
        assert not list(Path().iterdir())
        assert call(*arguments, "-o", "other.pth").code == 0  # another output is free
    assert call(*arguments).code == 0


@trainings
def test_a_failed_training_tells_that_an_earlier_ones_model_is_left(call, trained, monkeypatch, command):
    output = Path(OUTPUT[command])
    arguments = [command, trained.train, *SMALL[command][:-1], "--epochs", 1, "--labels-per-class", 2]
    assert call(*arguments).code == 0
    os.utime(output, (1e9, 1e9))
    before, told = output.read_bytes(), f"; {output} of 2001-09-0"
    with monkeypatch.context() as patched:
        patched.setattr(loop.Run, "_take_step", exploding_at(0))
        for failed, code in (call(*arguments), 5), (call(command, "nowhere", *SMALL[command][:-1]), 3):
            assert (failed.code, told in failed.err.splitlines()[-1]) == (code, True), failed.err
            assert len(failed.err.strip().splitlines()) <= 3
        assert output.read_bytes() == before
        assert told not in call(command, trained.train, "--epochs", 0).err  # a wrong call is no run
    assert told not in call(*arguments, "-o", "other.pth").err


def test_a_gate_that_is_missed_has_written_its_output(call, trained):
    for _ in range(2):
        missed = call("classify", trained.test, trained.vae, trained.gmm, "--fail-under", "accuracy=1.1")
        assert (missed.code, "earlier run" in missed.err) == (7, False)


def exploding_at(step: int):
    """The loop's step, whose loss is not finite at this one with a learning rate above 0.001."""
    take = loop.Run._take_step

    def take_step(run, rows):
        loss = run.model.loss
        if run.step == step and run.config.lr > 1e-3:
            run.model.loss = lambda *given: type(terms := loss(*given))(terms.total * math.nan, terms.terms)
        return take(run, rows)

    return take_step


@trainings
def test_a_run_whose_loss_exploded_goes_on_with_a_lower_learning_rate(call, trained, monkeypatch, command):
    arguments = [command, trained.train, *SMALL[command], "--epochs", 3, "--batch-size", 64]
    monkeypatch.setattr(loop.Run, "_take_step", exploding_at(9))
    failed = call(*arguments, "--lr", 0.01)
    assert (failed.code, "not finite at step 10 of" in failed.err) == (5, True), failed.err
    assert "go on with --resume and a lower --lr, such as 0.001; or, where that ends here again" in failed.err
    assert len(failed.err.splitlines()) <= 3
    assert not Path(OUTPUT[command]).exists()
    assert call(*arguments, "--resume", "--lr", 0.01).code == 5
    done = call(*arguments, "--resume", "--lr", 0.001)
    assert done.code == 0, done.err
    saved = checkpoint.read(Path(OUTPUT[command]))
    assert [row["epoch"] for row in saved.training["history"]] == [1, 2, 3]
    assert saved.training["settings"]["lr"] == 0.001
    assert not Path(f"{OUTPUT[command]}.partial").exists()


def test_a_run_may_begin_with_a_finished_model(call, trained, tiny, interrupted_after):
    more = ["--continue-from", trained.vae, "--epochs", 2, "-q", "--gmm", "more.pkl"]
    assert call("train", trained.test, *more, "-o", "whole.pth").code == 0
    with interrupted_after(3):
        assert call("train", trained.test, *more, "-o", "more.pth").code == 130
    plain = call("train", trained.test, *tiny, "-o", "more.pth", "--resume")
    assert (plain.code, "the model to begin with is none, was SHA-256" in plain.err) == (2, True), plain.err
    assert call("train", trained.test, *more, "-o", "more.pth", "--resume").code == 0
    assert Path("more.pth").read_bytes() == Path("whole.pth").read_bytes()
    info = call("info", "more.pth", "--json").json
    start = checkpoint.read(trained.vae)
    assert info["training"]["data"]["start"] == start.fingerprint
    assert info["settings"] == call("info", trained.vae, "--json").json["settings"]
    assert (info["epochs"], info["training"]["settings"]["lr"]) == (2, 1e-3)
    assert call("classify", trained.test, "more.pth", "more.pkl", "-q").code == 0


def test_what_the_model_to_begin_with_decides_is_not_asked_for_beside_it(call, trained):
    digits = np.load(trained.test)
    np.savez("large.npz", data=digits["data"].repeat(2, 1).repeat(2, 2), labels=digits["labels"])
    begin = ["--continue-from", trained.vae, "--epochs", 1, "-o", "more.pth", "--gmm", "more.pkl", "-q"]
    for code, said, *arguments in [
        (2, "--latent-dim is 3, and", trained.train, *begin, "--latent-dim", 3),
        (2, "--model is vqvae, and", trained.train, *begin, "--model", "vqvae"),
        (2, "unknown setting 'widht'; did you mean", trained.train, *begin, "--set", "widht=3"),
        (2, "--image-size is 16, and", "large.npz", *begin, "--image-size", 16),
        (3, "resize them while loading: --resize", "large.npz", *begin),
        (4, "nowhere.pth", trained.train, *begin[2:], "--continue-from", "nowhere.pth"),
        (2, "say its size: --image-size 64", trained.train, "--resize"),
    ]:
        wrong = call("train", *arguments)
        assert (wrong.code, said in wrong.err) == (code, True), (arguments, wrong.err)
        assert len(wrong.err.splitlines()) <= 3
    assert not Path("more.pth").exists()
    for arguments in (
        ["large.npz", "--resize"],
        [trained.train, "--latent-dim", 8, "--model", "vae", "--views", "auto"],
    ):
        assert call("train", *arguments, *begin).code == 0
