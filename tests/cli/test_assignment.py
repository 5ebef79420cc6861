"""The course assignment's own three calls."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def assignment(folder: Path, *arguments: object) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    call = [sys.executable, "-m", "latentcli.assignment", *map(str, arguments)]
    return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_three_calls_run_as_given(tmp_path, trained):
    digits = np.load(trained.train)
    labels = digits["labels"]
    few = [row for label in (1, 4, 8) for row in np.flatnonzero(labels == label)[:5]]
    some = digits["data"][::5]
    np.savez(tmp_path / "train.npz", data=some, labels=np.zeros(len(some), int))  # labels to be ignored
    np.savez(tmp_path / "val.npz", data=digits["data"][few], labels=labels[few])
    np.savez(tmp_path / "test.npz", data=np.load(trained.test)["data"])

    done = assignment(tmp_path, "train.npz", "val.npz", "train", "vae.pth", "gmm_params.pkl")
    assert done.returncode == 0, done.stderr
    params = pickle.loads((tmp_path / "gmm_params.pkl").read_bytes())
    assert params["means"].shape[1] == 2
    assert list(params["classes"]) == ["1", "4", "8"]

    done = assignment(tmp_path, "test.npz", "test_reconstruction", "vae.pth")
    assert done.returncode == 0, done.stderr
    decoded = np.load(tmp_path / "vae_reconstructed.npz")["data"]
    assert decoded.shape == np.load(trained.test)["data"].shape

    done = assignment(tmp_path, "test.npz", "test_classifier", "vae.pth", "gmm_params.pkl")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "vae.csv").read_text().splitlines()
    assert lines[0] == "Predicted_Label"
    agreement = np.array(lines[1:]).astype(int) == np.load(trained.test)["labels"]
    assert agreement.mean() > 0.6  # of 431 small images, in two dimensions


@pytest.mark.parametrize("arguments", [[], ["a"], ["a", "test_reconstruct", "b"], ["a", "b", "train", "c"]])
def test_other_calls_are_told_the_three_forms(tmp_path, arguments):
    done = assignment(tmp_path, *arguments)
    assert done.returncode == 2
    assert "TRAIN VAL train VAE GMM" in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_an_interrupted_training_goes_on_by_the_same_call(tmp_path):
    call = ["nowhere.npz", "val.npz", "train", "vae.pth", "gmm_params.pkl"]
    assert assignment(tmp_path, *call, "--resume").returncode == assignment(tmp_path, *call).returncode == 3
    assert assignment(tmp_path, *call, "--again").returncode == 2
