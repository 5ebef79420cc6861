"""A VAE around an encoder that is already trained: its latents stand, and everything else is trained around them."""

import numpy as np
import pytest
import torch
import torchvision
from sklearn.decomposition import PCA

from latentcli.artifacts.info import describe
from latentcli.artifacts.models import load_model
from latentcli.core.errors import UsageError
from latentcli.core.image_set import ImageSet
from latentcli.inference.encoding import encode
from latentcli.models.pretrained.vae import PrincipalPosterior
from latentcli.training import loop
from latentcli.training.train import train

SMALL = {"latent_dim": 4, "width": 64, "epochs": 2, "components": 2, "held_out": 0.2}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A small network with weights of no meaning: what holds of these holds of others."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), file)
    return f"torchvision:squeezenet1_1={file}"


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return ImageSet(random.integers(0, 256, (12, 3, 16, 16), dtype=np.uint8))


@pytest.fixture(scope="module")
def trained(encoder, images):
    return train(images, encoder=encoder, **SMALL)


def test_means_are_principal_components_of_the_features_at_one_scale(trained, encoder, images):
    features = encode(images, encoder).flat.astype(np.float64)
    expected = PCA(4, svd_solver="full").fit_transform(features)
    expected /= np.sqrt(expected.var(axis=0).mean())
    found = trained.encode(images).flat
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs, rtol=1e-2, atol=1e-2)


def test_a_frozen_encoder_keeps_its_weights_and_a_fine_tuned_one_does_not(trained, encoder, images):
    before = encode(images, encoder).checkpoint
    assert trained.training["encoder"]["sha256"] == before

    def first(model):
        return model.network.state_dict()["encoder.network.features.0.weight"]

    moved = train(images, encoder=encoder, fine_tune=True, **SMALL)
    file = encoder.partition("=")[2]
    published = torch.load(file, weights_only=True)["features.0.weight"]
    assert torch.equal(first(trained), published)
    assert not torch.equal(first(moved), published)


def test_the_frozen_encoder_sees_each_image_once_whatever_the_epochs(encoder, images, monkeypatch):
    from latentcli.models.pretrained.base import PretrainedEncoder

    seen = []
    forward = PretrainedEncoder.forward
    monkeypatch.setattr(PretrainedEncoder, "forward", lambda self, x: seen.append(len(x)) or forward(self, x))
    train(images, encoder=encoder, **SMALL)
    assert sum(seen) == len(images)


def test_what_is_known_of_images_is_what_the_encoder_says_of_them(trained, images):
    network, batch = trained.network, torch.from_numpy(images.images).float() / 255
    with torch.no_grad():
        means = network.encode(batch).flat
        one = network.loss(batch, torch.Generator().manual_seed(1))
        two = network.loss((batch, means), torch.Generator().manual_seed(1))
    torch.testing.assert_close(one.total, two.total, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("fine_tune", [False, True])
def test_an_interrupted_training_resumes_to_the_same_bytes(encoder, images, tmp_path, monkeypatch, fine_tune):
    settings = {**SMALL, "fine_tune": fine_tune, "encoder": encoder}
    whole = train(images, **settings)
    step = loop.Run._take_step

    def interrupt(self, *arguments):
        result = step(self, *arguments)
        if self.step == 1:
            monkeypatch.setattr(loop.Run, "_take_step", step)
            raise_after.append(True)
        return result

    raise_after: list[bool] = []
    from latentcli.training import resumable

    real = resumable.stop_requests
    monkeypatch.setattr(loop.Run, "_take_step", interrupt)
    from contextlib import contextmanager

    @contextmanager
    def stops():
        with real():
            yield lambda: bool(raise_after) and raise_after.pop()

    monkeypatch.setattr(resumable, "stop_requests", stops)
    state = tmp_path / "vae.pth.partial"
    with pytest.raises(KeyboardInterrupt):
        train(images, state=state, **settings)
    assert train(images, state=state, **settings).fingerprint == whole.fingerprint


def test_its_weights_travel_in_the_checkpoint(trained, images, tmp_path):
    trained.save(tmp_path / "vae.pth")
    again = load_model(tmp_path / "vae.pth", "cpu")
    assert np.array_equal(again.encode(images).flat, trained.encode(images).flat)
    told = describe(tmp_path / "vae.pth")
    assert told["settings"]["encoder"] == "torchvision:squeezenet1_1"
    assert "not known" in told["training"]["encoder"]["licence"]  # of weights of one's own
    assert told["training"]["encoder"]["source"].startswith("the file ")


def test_axes_do_not_depend_on_the_order_of_the_images():
    features = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    one, two = PrincipalPosterior(8, 3), PrincipalPosterior(8, 3)
    one.turn(features)
    two.turn(features.flip(0))
    torch.testing.assert_close(one.means(features), two.means(features), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [
    {"fine_tune": True}, {"encoder": "nonsense"}, {"backbone": "residual"}, {"latent_dim": 513},
    {"model": "vqvae"},
])  # fmt: skip
def test_what_cannot_be_is_refused(encoder, images, settings):
    base = {} if "fine_tune" in settings else {"encoder": encoder}
    with pytest.raises(UsageError):
        train(images, **{**base, "epochs": 1, **settings})


def test_of_few_images_none_are_held_out_unless_asked_for(encoder, images):
    settings = {name: value for name, value in SMALL.items() if name != "held_out"}
    assert "val_loss" not in train(images, encoder=encoder, **settings).history[-1]
    assert "val_loss" in train(images, encoder=encoder, **SMALL).history[-1]
