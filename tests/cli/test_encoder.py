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
    assert lc.load_classifier(tmp_path / "gmm_params.pkl").predict(expected.flat).shape == (8,)


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
