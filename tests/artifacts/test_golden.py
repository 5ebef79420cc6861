"""Files of the version before still load, fit each other, and give the numbers that they gave."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import confusion_matrix

from latentcli import artifacts, data
from latentcli.artifacts.models import load_classifier, load_model
from latentcli.numerics import metrics

GOLDEN = Path(__file__).parent.parent / "golden"
FINGERPRINTS = {
    "vae": "557dcd5b50e1f4122174d68c351c31c957478b11c88a0576c2663320269749f7",
    "vqvae": "a9e2d1fd09343fb15be17ce9c9923be5ad2b3046a871a6f90a65efc2d7c6a373",
}
"""What the classifiers and latents of these checkpoints name them by."""


@pytest.fixture(scope="module")
def images():
    """(106, 1, 8, 8) uint8."""
    return data.load(str(GOLDEN / "images.npz")).images


@pytest.fixture(scope="module")
def names():
    """(106,) names of the images' classes."""
    with np.load(GOLDEN / "images.npz") as arrays:
        return arrays["labels"].astype(str)


def model(name):
    return load_model(GOLDEN / f"{name}.pth", device="cpu")


@pytest.mark.parametrize(
    ("name", "shape", "classes", "parameters"),
    [
        ("vae", (1, 8, 8), ("1", "4", "8"), 2782),
        ("vae2d", (1, 256, 256), (), 2931),
        ("vqvae", (1, 8, 8), (), 176),
        ("fsq", (1, 8, 8), (), 155),
        ("cnn", (1, 8, 8), ("1", "4", "8"), 4119),
    ],
)
def test_checkpoints_load_and_their_networks_take_all_their_weights(name, shape, classes, parameters):
    loaded = model(name)
    assert (tuple(loaded.image_shape), tuple(loaded.class_names)) == (shape, classes)
    assert loaded.fingerprint == FINGERPRINTS.get(name, loaded.fingerprint)
    weights = loaded.network.state_dict()
    assert sum(tensor.numel() for tensor in weights.values()) == parameters


@pytest.mark.parametrize(("name", "latents"), [("vae", "latents.npz"), ("vqvae", "codes.npz")])
def test_images_have_the_latents_that_they_had(images, name, latents):
    expected = artifacts.read_latents(GOLDEN / latents)
    assert expected.checkpoint == FINGERPRINTS[name]
    found = model(name).encode(images[: len(expected)])
    assert found.checkpoint == expected.checkpoint
    assert found.arrays.keys() == expected.arrays.keys()
    for array in expected.arrays:
        assert_allclose(found.arrays[array], expected.arrays[array], rtol=1e-4, atol=1e-5)
    assert expected.class_names == ("1", "4", "8")


def test_the_mixture_predicts_what_it_predicted(images):
    vae = model("vae")
    found = load_classifier(GOLDEN / "gmm_params.pkl", vae).predict(vae.encode(images).flat)
    with (GOLDEN / "vae.csv").open(newline="") as file:
        expected = [row["Predicted_Label"] for row in csv.DictReader(file)]
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("name", "encoder", "confusion"),
    [
        ("probe", "vae", [[33, 0, 3], [2, 32, 3], [7, 2, 24]]),
        ("probe_knn", "vqvae", [[0, 0, 36], [0, 3, 34], [0, 0, 33]]),
    ],
)
def test_probes_are_right_and_wrong_as_often_as_they_were(images, names, name, encoder, confusion):
    network = model(encoder)
    found = load_classifier(GOLDEN / f"{name}.pth", network).predict(network.encode(images).flat)
    assert confusion_matrix(names, found, labels=["1", "4", "8"]).tolist() == confusion


def test_hybrids_are_the_images_of_their_latents_as_likely_of_each_class_as_they_were():
    hybrids = artifacts.read_hybrids(GOLDEN / "hybrids.npz")
    assert hybrids["classes"].tolist() == ["1", "4", "8"]
    found = model("vae").decode(hybrids["latents"])
    assert_allclose(found[:, 0] * 255, hybrids["images"], atol=0.51)
    assert hybrids["soft_labels"].max(axis=1).mean() == pytest.approx(0.7015818583982654)


def test_the_two_dimensional_model_reconstructs_as_well_as_it_did():
    random = np.random.default_rng(0)
    blocks = (random.random((16, 1, 256, 256)) * 255).astype(np.uint8)[:, :, ::32, ::32]
    images = blocks.repeat(32, axis=2).repeat(32, axis=3)
    found = model("vae2d").reconstruct(images)
    assert np.square(found - images / 255.0).mean() == pytest.approx(0.0949411, rel=1e-5)
    assert metrics.ssim_per_image(images, found).mean() == pytest.approx(0.593543, rel=1e-4)


def test_the_classifier_of_pixels_gives_the_probabilities_that_it_gave(images):
    found = model("cnn").probabilities(images)
    assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert_allclose(found.mean(axis=0), [0.23755423, 0.39001429, 0.37243142], rtol=1e-4)
