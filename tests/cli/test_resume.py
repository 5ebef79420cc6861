"""Runs that are stopped, by whatever signal and wherever, end as runs that never were."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from latentcli.cli.app import run

THREE = ["digits", "--classes", "1,4,8"]
TRAIN = ["train", *THREE, "--labels-per-class", "5"]
TRAIN += ["--set", "width=64", "--latent-dim", "2", "--epochs", "8", "--set", "save_every=0.2", "--seed", "5"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent), "OMP_NUM_THREADS": "1"}


def start(folder: Path) -> subprocess.Popen:
    call = [sys.executable, "-m", "latentcli", *TRAIN]
    return subprocess.Popen(
        call, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.raises(SystemExit) as end:
        run([*TRAIN, "-o", str(folder / "vae.pth"), "--gmm", str(folder / "gmm_params.pkl")])
    assert end.value.code == 0
    return outputs(folder)


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("vae.pth", "gmm_params.pkl")}


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path, call, uninterrupted, number):
    process = start(tmp_path)
    wait_for(tmp_path / "vae.pth.partial", process)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert not (tmp_path / "vae.pth").exists()
    assert out == ""
    if number != signal.SIGKILL:
        assert "--resume" in err
    again = call(*TRAIN, "--resume")
    assert again.code == 0, again.err
    assert outputs(tmp_path) == uninterrupted
    assert not (tmp_path / "vae.pth.partial").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] in ([], leftovers(tmp_path))


def leftovers(folder: Path) -> list[str]:
    """Temporary files of a write that SIGKILL cut: nothing can remove them, and nothing takes them for an output."""
    return [
        path.name
        for path in folder.iterdir()
        if re.fullmatch(r"\.(vae\.pth\.partial|vae\.metrics\.jsonl)\.\w+\.tmp", path.name)
    ]


def test_a_run_is_not_resumed_under_other_settings(tmp_path, call, interrupted_after):
    with interrupted_after(5):
        assert call(*TRAIN).code == 130
    before = (tmp_path / "vae.pth.partial").read_bytes()
    for option, said in (["--set", "warmup=0.5"], "warmup is 0.5, was 0.1"), (["--seed", 6], "seed is 6, was 5"):
        again = call(*TRAIN, "--resume", *option)
        assert (again.code, said in again.err) == (2, True), again.err
        assert len(again.err.splitlines()) <= 3
        assert (tmp_path / "vae.pth.partial").read_bytes() == before


@pytest.mark.parametrize("command", ["train", "train-cnn"])
def test_a_new_run_tells_that_it_replaces_the_state_of_one_that_has_not_ended(
    tmp_path, call, trained, interrupted_after, command
):  # fmt: skip
    arguments = [command, trained.train, "--set", "width=16", "--set", "min_steps=0", "--epochs", 2]
    arguments += ["--labels-per-class", 2]
    with interrupted_after(2):
        assert call(*arguments).code == 130
    (state,) = tmp_path.glob("*.partial")
    kept = state.read_bytes()
    again = call(*arguments)
    assert again.code == 0, again.err
    assert f"{state.name} is of a run that has not ended, and will be replaced: --resume" in again.err
    state.write_bytes(kept)
    resumed = call(*arguments, "--resume").err
    assert "will be replaced" not in resumed
    assert re.search(r"training goes on after \d+\.\d of \d+ epochs", resumed), resumed


def test_a_classifier_of_another_model_is_not_replaced_without_a_word(call, trained, tiny):
    told = "was fitted on another model, and will be replaced"
    shutil.copy(trained.gmm, "gmm_params.pkl")
    for expected in (True, False):
        done = call("train", trained.train, *tiny[:-1], "--labels-per-class", 2, "-o", "second.pth")
        assert (done.code, f"gmm_params.pkl {told}: --gmm names another file" in done.err) == (0, expected), done.err
    for expected in (True, False):
        done = call("fit-gmm", trained.train, trained.vae)
        assert (done.code, f"gmm_params.pkl {told}: -o names another file" in done.err) == (0, expected), done.err
    for command, output in (["fit-graph"], "graph.npz"), (["fit-probe", "--probe", "knn"], "probe.pth"):
        for vae in ("second.pth", trained.vae):
            done = call(*command, trained.train, vae)
            assert (done.code, f"{output} {told}: -o" in done.err) == (0, vae != "second.pth"), done.err


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_run_goes_on_where_its_data_was_moved_and_not_with_other_data_in_its_place(
    tmp_path, call, trained, interrupted_after, tiny
):  # fmt: skip
    arrays = dict(np.load(trained.train))
    np.savez("here.npz", **arrays)
    small = [*tiny, "--epochs", 2, "--labels-per-class", 2]
    assert call("train", "here.npz", *small, "-o", "whole.pth").code == 0
    with interrupted_after(5):
        assert call("train", "here.npz", *small).code == 130
    np.savez("here.npz", data=255 - arrays["data"], labels=arrays["labels"])
    other = call("train", "here.npz", *small, "--resume")
    assert (other.code, "the images or labels are not the same" in other.err) == (2, True), other.err
    (tmp_path / "moved").mkdir()
    np.savez("moved/there.npz", **arrays)
    assert call("train", "moved/there.npz", *small, "--resume", "--set", "save_every=9").code == 0
    same = call("train", "moved/there.npz", *small, "--set", "save_every=9", "-o", "whole.pth")
    assert same.code == 0
    assert (tmp_path / "vae.pth").read_bytes() == (tmp_path / "whole.pth").read_bytes()


@pytest.mark.parametrize("command", ["train", "train-cnn"])
def test_a_run_that_has_ended_is_left_as_it_is(tmp_path, call, trained, command):
    arguments = [command, trained.train, "--set", "width=16", "--set", "min_steps=0", "--epochs", 1]
    arguments += ["--labels-per-class", 2]
    assert call(*arguments).code == 0
    before = files(tmp_path)
    again = call(*arguments, "--resume", "--set", "save_every=5", "--json", "--figures", "pictures")
    assert again.code == 0, again.err
    output = {"train": "vae.pth and gmm_params.pkl stay", "train-cnn": "it stays"}[command]
    assert (output in again.err, len(again.err.splitlines())) == (True, 1), again.err
    assert again.json["epochs"] == 1
    assert {path.split("/")[0] for path in again.json["written"]} == {"pictures"}
    assert files(tmp_path) == before
    for more, said in (
        (["--epochs", 2], "--epochs is 2, was 1"),
        (["--lr", 1e-4], "--lr is 0.0001"),
        (["--classes", "1,4"], "there are "),
    ):
        other = call(*arguments, "--resume", *more)
        assert (other.code, said in other.err) == (2, True), other.err
        assert files(tmp_path) == before
    assert call(*arguments, "--epochs", 2).code == 0  # without --resume it is a new run
    assert files(tmp_path).keys() == before.keys()


def test_what_a_run_that_has_ended_still_lacks_is_made(tmp_path, call, trained, tiny):
    arguments = ["train", trained.train, *tiny, "--labels-per-class", 2]
    assert call(*arguments).code == 0
    before = files(tmp_path)
    (tmp_path / "gmm_params.pkl").unlink()
    assert call(*arguments, "--resume").code == 0
    assert files(tmp_path) == before


def test_nothing_to_resume_starts_at_the_beginning(tmp_path, call, fast):
    done = call("train", *THREE, "--resume", *fast, "--epochs", 4)
    assert done.code == 0
    assert (tmp_path / "vae.pth").exists()


def test_the_same_call_gives_the_same_bytes_wherever_it_runs(tmp_path, call, fast):
    short = ["--epochs", 4]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files = ["-o", tmp_path / name / "vae.pth", "--gmm", tmp_path / name / "gmm_params.pkl"]
        assert call("train", *THREE, "--seed", 3, *files, *fast, *short).code == 0
    assert outputs(tmp_path / "a") == outputs(tmp_path / "b")
    assert call("train", *THREE, "--seed", 4, *fast, *short).code == 0
    assert outputs(tmp_path)["vae.pth"] != outputs(tmp_path / "a")["vae.pth"]


def test_a_loss_that_explodes_ends_with_five_and_keeps_the_last_good_state(tmp_path, call, fast):
    done = call(
        "train", "digits", "--lr", "10", "--set", "weight_decay=1.0", "--set", "warmup=0", "--beta", "1e6", *fast
    )
    if done.code == 0:
        pytest.skip("this machine's arithmetic survived it")
    assert done.code == 5
    assert "--lr" in done.err
    assert (tmp_path / "vae.pth.partial").exists()
    assert not (tmp_path / "vae.pth").exists()
