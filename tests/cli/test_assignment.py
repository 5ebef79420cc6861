"""The course assignment's own three calls."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latentcli import assignment
from latentcli.models import vae


@pytest.fixture
def call_as_given(capsys, monkeypatch, tmp_path):
    """``python -m latentcli.assignment`` in this process, in a folder of its own: the exit code, and what it said."""
    monkeypatch.chdir(tmp_path)

    def calling(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["assignment", *arguments])
        with pytest.raises(SystemExit) as end:
            assignment.main()
        return int(end.value.code or 0), capsys.readouterr().err

    return calling


@pytest.mark.slow
def test_the_three_calls_run_as_given(tmp_path, trained, call_as_given, monkeypatch):
    digits = np.load(trained.train)
    labels = digits["labels"]
    few = [row for label in (1, 4, 8) for row in np.flatnonzero(labels == label)[:5]]
    some = digits["data"][::3]
    np.savez(tmp_path / "train.npz", data=some, labels=np.zeros(len(some), int))  # labels to be ignored
    np.savez(tmp_path / "val.npz", data=digits["data"][few], labels=labels[few])
    np.savez(tmp_path / "test.npz", data=np.load(trained.test)["data"])
    monkeypatch.setitem(vae.LOW_TRAINING, "max_epochs", 12)  # enough for images so small

    code, err = call_as_given("train.npz", "val.npz", "train", "vae.pth", "gmm_params.pkl")
    assert code == 0, err
    params = pickle.loads((tmp_path / "gmm_params.pkl").read_bytes())
    assert params["means"].shape[1] == 2
    assert list(params["classes"]) == ["1", "4", "8"]

    code, err = call_as_given("test.npz", "test_reconstruction", "vae.pth")
    assert code == 0, err
    decoded = np.load(tmp_path / "vae_reconstructed.npz")["data"]
    assert decoded.shape == np.load(trained.test)["data"].shape

    code, err = call_as_given("test.npz", "test_classifier", "vae.pth", "gmm_params.pkl")
    assert code == 0, err
    lines = (tmp_path / "vae.csv").read_text().splitlines()
    assert lines[0] == "Predicted_Label"
    agreement = np.array(lines[1:]).astype(int) == np.load(trained.test)["labels"]
    assert agreement.mean() > 0.6  # of small images, in two dimensions


def test_the_training_is_that_of_the_assignment():
    """Two dimensions, and else the defaults: what the other tests need not wait for."""
    assert assignment.translated(["a", "b", "train", "v", "g"]) == [
        "train", "-o", "v", "--gmm", "g", "--latent-dim", "2", "--", "a", "b",
    ]  # fmt: skip


def test_it_is_a_program_of_its_own(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    call = [sys.executable, "-m", "latentcli.assignment", "nowhere.npz", "test_reconstruction", "vae.pth"]
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, "vae.pth" in done.stderr, done.stdout) == (4, True, "")
    assert len(done.stderr.splitlines()) <= 3


@pytest.mark.parametrize("arguments", [[], ["a"], ["a", "test_reconstruct", "b"], ["a", "b", "train", "c"]])
def test_other_calls_are_told_the_three_forms(call_as_given, arguments):
    code, err = call_as_given(*arguments)
    assert code == 2
    assert "TRAIN VAL train VAE GMM" in err
    assert len(err.splitlines()) <= 3


def test_an_interrupted_training_goes_on_by_the_same_call(call_as_given):
    call = ["nowhere.npz", "val.npz", "train", "vae.pth", "gmm_params.pkl"]
    assert call_as_given(*call, "--resume")[0] == call_as_given(*call)[0] == 3
    assert call_as_given(*call, "--again")[0] == 2
