"""Any file that latentcli wrote says what it is; anything else is refused, at once and in plain words."""

import json
import os
import pickle
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from latentcli import artifacts
from latentcli.artifacts import checkpoint
from latentcli.artifacts import probes as probe_files
from latentcli.artifacts.info import KINDS, describe
from latentcli.core.errors import DataError, ModelFileError
from latentcli.formats import torch_zip
from latentcli.formats.schemas import CHECKPOINT, TRAINING_STATE

GOLDEN = Path(__file__).parent.parent / "golden"
VAE = "557dcd5b50e1f4122174d68c351c31c957478b11c88a0576c2663320269749f7"
VQVAE = "a9e2d1fd09343fb15be17ce9c9923be5ad2b3046a871a6f90a65efc2d7c6a373"

EXPECTED = {
    "vae.pth": {
        "kind": "checkpoint of a latent model", "family": "vae", "image_shape": [1, 8, 8], "dimensions": 5,
        "classes": ["1", "4", "8"], "fingerprint": VAE, "epochs": 3,
    },
    "vae2d.pth": {"dimensions": 2, "image_shape": [1, 256, 256], "classes": [], "epochs": 4},
    "vqvae.pth": {"family": "vqvae", "dimensions": 4 * 4 * 2, "fingerprint": VQVAE, "epochs": 2},
    "fsq.pth": {"family": "fsq", "dimensions": 4 * 4 * 2},
    "cnn.pth": {"kind": "classifier of pixels", "family": "cnn", "classes": ["1", "4", "8"], "epochs": 2},
    "gmm_params.pkl": {
        "kind": "mixture", "classifier": "gmm", "classes": ["1", "4", "8"], "components": 3, "covariance_type": "full",
        "dimensions": 5, "fitted_dimensions": 5, "fitted_on": VAE,
    },
    "graph.npz": {
        "kind": "graph", "features": None, "classes": ["1", "4", "8"], "dimensions": 5, "neighbours": 10,
        "fitted_on": VAE,
    },
    "probe.pth": {
        "kind": "probe", "probe": "linear", "features": None, "classes": ["1", "4", "8"], "inputs": 5, "epochs": 100,
        "fitted_on": VAE,
    },
    "probe_knn.pth": {"kind": "probe", "probe": "knn", "inputs": 32, "epochs": 0, "metrics": {}, "fitted_on": VQVAE},
    "latents.npz": {
        "kind": "latents", "images": 12, "arrays": {"logvar": [12, 5], "mu": [12, 5]}, "classes": ["1", "4", "8"],
        "labelled": 12, "files": False, "checkpoint": VAE,
    },
    "codes.npz": {"arrays": {"codes": [12, 4, 4], "quantized": [12, 4, 4, 2]}, "checkpoint": VQVAE},
    "hybrids.npz": {
        "kind": "hybrids", "images": 6, "image_shape": [1, 8, 8], "classes": ["1", "4", "8"],
        "mean_confidence": pytest.approx(0.7015818583982654),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_files_say_what_they_are(name):
    found = describe(GOLDEN / name)
    assert {key: found[key] for key in EXPECTED[name]} == EXPECTED[name]
    assert found["kind"] in KINDS
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_checkpoint_says_how_it_was_trained_and_how_good_the_kept_epoch_is():
    found = describe(GOLDEN / "vqvae.pth")
    assert found["settings"] == {
        "backbone": "residual", "norm": "batch", "width": 32, "stages": None, "loss": "bce+ssim", "ssim_weight": 0.3,
        "codes": 4, "latent_dim": 2, "beta": 0.25, "codebook": "ema", "decay": 0.99,
        "views": "none", "agreement": 0.0, "temperature": 0.2,
    }  # fmt: skip
    assert found["training"]["data"]["name"] == "plain.npz"
    assert found["training"]["data"]["images"] == 106
    assert (found["training"]["seed"], found["training"]["versions"]["latentcli"]) == (0, "0.1.0")
    assert found["training"]["settings"]["batch_size"] == 16
    assert found["metrics"]["epoch"] == 1.0  # whose loss on the images held out is less than the last one's
    model = checkpoint.read(GOLDEN / "vqvae.pth").network
    assert found["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_where_nothing_was_held_out_the_last_epoch_is_the_kept_one():
    assert describe(GOLDEN / "cnn.pth")["metrics"]["epoch"] == 2.0


def test_the_epoch_of_a_probe_is_the_one_of_highest_accuracy_then_of_least_loss(tmp_path):
    rows = [(0.5, 0.1), (0.9, 0.5), (0.9, 0.4), (0.8, 0.2)]
    history = [
        {"epoch": float(number), "val_accuracy": accuracy, "val_loss": loss}
        for number, (accuracy, loss) in enumerate(rows, 1)
    ]
    params = probe_files.read(GOLDEN / "probe.pth") | {"history": history}
    probe_files.write(tmp_path / "probe.pth", params)
    assert describe(tmp_path / "probe.pth")["metrics"]["epoch"] == 3.0


def test_the_state_of_a_training_says_how_far_it_is(tmp_path):
    identity = {"family": "vae", "model": {"latent_dim": 2}, "training": {"lr": 0.1}, "data": {"name": "digits"}}
    run = {"step": 30, "model": {"weight": torch.ones(3)}, "history": [{"epoch": 1.0, "loss": 2.0}]}
    TRAINING_STATE.write(tmp_path / "vae.pth.partial", {"state": {"identity": identity, "run": run}})
    assert describe(tmp_path / "vae.pth.partial") == {
        "kind": "state of a training", "family": "vae", "settings": {"latent_dim": 2},
        "training": {"data": {"name": "digits"}, "settings": {"lr": 0.1}}, "step": 30, "epochs": 1,
        "metrics": {"epoch": 1.0, "loss": 2.0},
    }  # fmt: skip
    TRAINING_STATE.write(tmp_path / "vae.pth.partial", {"state": {"identity": 5, "run": [torch.ones(3)]}})
    assert describe(tmp_path / "vae.pth.partial")["step"] is None


def test_a_folder_of_hybrids_says_the_same_as_a_file_of_them(tmp_path):
    arrays = artifacts.read_hybrids(GOLDEN / "hybrids.npz")
    with artifacts.hybrid_folder_writer(tmp_path / "hybrids", 6, arrays["classes"].tolist()) as write:
        write(arrays["images"][:, np.newaxis], arrays["soft_labels"])
    expected = describe(GOLDEN / "hybrids.npz")
    assert describe(tmp_path / "hybrids") == expected | {
        "mean_confidence": pytest.approx(expected["mean_confidence"], abs=1e-8)
    }


def test_of_a_mixture_in_a_plane_both_spaces_are_named(tmp_path):
    params = artifacts.read_classifier(GOLDEN / "gmm_params.pkl")
    plane = {"projection": np.eye(5, 9), "offset": np.zeros(9)}
    artifacts.write_classifier(tmp_path / "gmm.pkl", params | plane)
    found = describe(tmp_path / "gmm.pkl")
    assert (found["dimensions"], found["fitted_dimensions"]) == (9, 5)


@pytest.mark.parametrize("name", ["gmm_params.pkl", "latents.npz", "hybrids.npz"])
def test_what_holds_no_network_is_described_without_torch(name):
    program = (
        "import sys; from pathlib import Path; from latentcli.artifacts import describe; describe(Path(sys.argv[1]))\n"
        "sys.exit(not {'torch', 'sklearn'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program, GOLDEN / name], check=False).returncode == 0


# What is refused


def assert_refused(path):
    started = time.perf_counter()
    with pytest.raises((ModelFileError, DataError)) as caught:
        describe(path)
    assert str(caught.value).count("\n") <= 2
    assert time.perf_counter() - started < 5
    return str(caught.value)


@pytest.mark.parametrize("name", EXPECTED)
def test_files_that_were_cut_are_refused(tmp_path, name):
    whole = (GOLDEN / name).read_bytes()
    for length in [0, 1, 2, 30, len(whole) // 2, len(whole) - 1]:
        (tmp_path / name).write_bytes(whole[:length])
        assert_refused(tmp_path / name)


@pytest.mark.parametrize("name", EXPECTED)
def test_flipped_bits_are_refused_or_say_nothing(tmp_path, name):
    whole, randomness, expected = (GOLDEN / name).read_bytes(), random.Random(0), describe(GOLDEN / name)
    refused = 0
    for _ in range(20):
        flipped = bytearray(whole)
        flipped[randomness.randrange(len(whole))] ^= 1 << randomness.randrange(8)
        (tmp_path / name).write_bytes(flipped)
        try:
            found = describe(tmp_path / name)
        except (ModelFileError, DataError):
            refused += 1
        else:
            assert found == expected
    assert refused


@pytest.mark.parametrize("beginning", [b"", b"\x80\x04", b"PK\x03\x04"])
def test_random_bytes_are_refused(tmp_path, beginning):
    (tmp_path / "noise").write_bytes(beginning + random.Random(0).randbytes(1000))
    assert_refused(tmp_path / "noise")


class Opens:
    """Pickles as a call that makes a file: whoever unpickles it naively makes it."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def test_pickled_objects_are_refused_and_not_run(tmp_path):
    marker = tmp_path / "marker"
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Opens(marker)))
    torch.save({"format": "latentcli-checkpoint", "a": Opens(marker)}, tmp_path / "a.pth")
    for name in ("a.pkl", "a.pth"):
        assert_refused(tmp_path / name)
    assert not marker.exists()


def test_what_is_no_file_of_a_known_kind_is_refused_with_the_kinds_there_are(tmp_path):
    np.savez(tmp_path / "arrays.npz", x=np.zeros(3))
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pth")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "arrays.npz", tmp_path / "weights.pth", tmp_path / "folder", GOLDEN / "vae.csv"):
        message = assert_refused(path)
        assert all(kind in message for kind in KINDS)


def test_what_is_missing_or_no_regular_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "soft_labels.csv")
    for path in (tmp_path / "missing", tmp_path / "fifo", tmp_path / "folder", Path("a\0b"), Path("a" * 5000)):
        assert_refused(path)


def test_tensors_and_infinite_numbers_where_none_belong_stay_out_of_the_description(tmp_path):
    content = torch.load(GOLDEN / "vae.pth", weights_only=True)
    content["training"] = {"seed": torch.ones(2), "data": {"x": float("inf")}, "history": [{"val_loss": float("nan")}]}
    del content["fingerprint"]
    content["fingerprint"] = torch_zip.digest(content)
    torch_zip.write(tmp_path / "vae.pth", content)
    found = describe(tmp_path / "vae.pth")
    assert (found["training"]["seed"], found["training"]["data"], found["metrics"]) == (
        "Tensor", {"x": None}, {"val_loss": None},
    )  # fmt: skip
    json.dumps(found, allow_nan=False)
    assert CHECKPOINT.checksum in found
