"""An encoder that is already trained, from the shell: what a command does, the function does."""

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

import latentcli as lc


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "weights.pth")
    return f"torchvision:squeezenet1_1={tmp_path / 'weights.pth'}"


@pytest.fixture
def photos(tmp_path):
    """Coloured pictures of unlike sizes, some grey."""
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            size = (20 + 9 * number, 30)
            pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
            image = Image.fromarray(pixels).convert("L" if number == 3 else "RGB")
            image.save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_encode_with_an_encoder_is_what_the_function_does(call, photos, weights, tmp_path):
    output = tmp_path / "latents.npz"
    assert call("encode", photos, "--encoder", weights, "-o", output, "--json").json["dimensions"] == 512
    found = lc.read_latents(output)
    expected = lc.encode(lc.load(photos, image_size=224), weights)
    assert np.array_equal(found.flat, expected.flat)
    assert (found.checkpoint, found.files, found.class_names) == (expected.checkpoint, expected.files, ("a", "b"))
    np.testing.assert_allclose(np.linalg.norm(found.flat, axis=1), 1, atol=1e-5)
    assert call("fit-gmm", output, "-o", tmp_path / "gmm_params.pkl").code == 0
    assert call("classify", output, tmp_path / "gmm_params.pkl", "-o", tmp_path / "found.csv").code == 0
    mixture = lc.load_classifier(tmp_path / "gmm_params.pkl")
    lc.write_predictions(lc.classify_latents(expected, mixture), tmp_path / "expected.csv")
    assert (tmp_path / "found.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()


def test_a_classifier_of_another_encoder_is_refused(call, photos, weights, tmp_path):
    torch.save(torchvision.models.squeezenet1_0().state_dict(), tmp_path / "other.pth")
    other = f"torchvision:squeezenet1_0={tmp_path / 'other.pth'}"
    for name, encoder in (("one", weights), ("two", other)):
        assert call("encode", photos, "--encoder", encoder, "-o", f"{name}.npz").code == 0
    assert call("fit-gmm", "one.npz", "-o", "gmm.pkl").code == 0
    assert call("classify", "two.npz", "gmm.pkl").code == 4


def test_train_with_an_encoder_is_what_the_function_does(call, photos, weights, tmp_path):
    output = tmp_path / "vae.pth"
    settings = {"epochs": 1, "latent_dim": 3, "width": 64, "components": 2}
    given = [f"--set={name}={value}" for name, value in settings.items()]
    assert call("train", photos, "--encoder", weights, "--image-size", 16, "-o", output,
                    "--gmm", tmp_path / "gmm.pkl", *given).code == 0  # fmt: skip
    expected = lc.train(lc.load(photos, image_size=16), encoder=weights, **settings)
    assert lc.load_model(output).fingerprint == expected.fingerprint
    assert "licence" in call("info", output).out


@pytest.mark.parametrize("more", [
    [], ["vae.pth", "--encoder", "efficientnet-lite0"], ["vae.pth", "--image-size", "32"],
    ["--encoder", "nonsense"], ["--encoder", "efficientnet-lite0", "--figures", "pictures"],
])  # fmt: skip
def test_a_call_that_cannot_be_is_refused(call, photos, more):
    outcome = call("encode", photos, *more)
    assert outcome.code == 2
    assert outcome.err.startswith("error: ")


def test_the_file_of_an_encoder_is_never_replaced(call, photos, tmp_path, weights):
    file = tmp_path / "weights.pth"
    before = file.read_bytes()
    for name in (weights, file):
        for command in ("encode", "train"):
            done = call(command, photos, "--encoder", name, "--image-size", "32", "-o", file, "-q")
            assert (done.code, "an input is never replaced" in done.err) == (2, True)
    assert file.read_bytes() == before


@pytest.mark.parametrize("fine_tune", [[], ["--fine-tune"]])
def test_a_classifier_begins_with_the_encoder_of_a_model(call, photos, weights, interrupted_after, fine_tune):
    few = ["--set", "width=64", "--epochs", 1, "--batch-size", 4, "-q"]
    assert call("train", photos, "--encoder", weights, "--image-size", 16, "--no-classes", *few).code == 0
    learn = ["train-cnn", photos, "--from", "vae.pth", "--set", "min_steps=0", "--epochs", 2, "--batch-size", 4, "-q"]
    assert call(*learn, *fine_tune, "-o", "whole.pth").code == 0
    with interrupted_after(3):
        assert call(*learn, *fine_tune).code == 130
    assert call(*learn, *fine_tune, "--resume").code == 0
    settings = {"min_steps": 0, "epochs": 2, "batch_size": 4, "fine_tune": bool(fine_tune) or None}
    images = lc.load(photos, image_size=16)
    expected = lc.train_cnn(images, start=lc.load_model("vae.pth"), **settings)
    found = [lc.load_model(name).fingerprint for name in ("cnn.pth", "whole.pth")]
    assert found == [expected.fingerprint] * 2
    assert "licence" in call("info", "cnn.pth").out
    done = call("classify", photos, "cnn.pth", "--json", "-q")
    assert done.json["accuracy"] == lc.classify(images, expected).scores()["accuracy"]


def test_what_a_classifier_cannot_begin_with_is_refused_by_its_options(call, photos):
    alone = call("train-cnn", photos, "--set", "encoder=efficientnet-lite0", "-q")
    assert (alone.code, "--from" in alone.err, len(alone.err.splitlines())) == (2, True, 3), alone.err
    own = call("train-cnn", photos, "--fine-tune", "-q")
    assert (own.code, "leave out --fine-tune" in own.err) == (2, True), own.err
