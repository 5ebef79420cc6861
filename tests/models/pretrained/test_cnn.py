"""A classifier around an encoder that was trained elsewhere begins with its features, and keeps them or not."""

import numpy as np
import pytest
import torch
import torchvision
from torch.nn import functional as F

from latentcli.artifacts.info import describe
from latentcli.artifacts.models import load_model
from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.inference.encoding import encode
from latentcli.models.pretrained.base import PretrainedEncoder
from latentcli.training.train import train, train_cnn

QUICK = {"epochs": 3, "min_steps": 0, "batch_size": 8, "held_out": 0.0, "device": "cpu"}
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A small network with normalisations, of weights without meaning: what holds of these holds of others."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(torchvision.models.shufflenet_v2_x0_5().state_dict(), file)
    return f"torchvision:shufflenet_v2_x0_5={file}"


@pytest.fixture(scope="module")
def images():
    """Dark ones and light ones, grey."""
    pixels = np.random.default_rng(0).integers(0, 90, (8, 1, 16, 16), dtype=np.uint8)
    pixels[1::2] += 140
    return ImageSet(pixels, Labels.of(["dark", "light"] * 4))


@pytest.fixture(scope="module")
def start(encoder, images):
    return train(images, encoder=encoder, latent_dim=2, width=64, epochs=1, components=2, device="cpu")


@pytest.fixture(scope="module")
def cnn(start, images):
    return train_cnn(images, start=start, **QUICK)


def floats(images: ImageSet) -> torch.Tensor:
    return torch.from_numpy(images.images).float() / 255


def test_its_features_are_those_of_the_encoder(start, cnn, encoder, images):
    with torch.no_grad():
        found = cnn.network.pooled(floats(images)).numpy()
    np.testing.assert_allclose(found, encode(images, encoder).flat, atol=1e-5)
    of_model = torch.from_numpy(start.encode(images, "encoder").arrays["encoder"])
    np.testing.assert_allclose(found, F.normalize(of_model, dim=1), atol=1e-5)


def test_frozen_it_keeps_every_number_of_the_encoder_and_learns_the_layer_behind_it(start, cnn, images):
    before, after = start.network.encoder.state_dict(), cnn.network.layers.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert (cnn.config.augment, cnn.training["settings"]["lr"]) == (False, 3e-3)
    assert cnn.history[-1]["loss"] < cnn.history[0]["loss"]
    assert train_cnn(images, start=start, **QUICK).fingerprint == cnn.fingerprint


def test_fine_tuned_its_weights_move_and_its_statistics_do_not(start, images):
    tuned = train_cnn(images, start=start, fine_tune=True, **{**QUICK, "epochs": 1})
    before, after = start.network.encoder.state_dict(), tuned.network.layers.state_dict()
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert moved == {name for name in before if not name.endswith(STATISTICS)}
    assert (tuned.config.augment, tuned.training["settings"]["lr"]) == (True, 1e-4)


@pytest.mark.parametrize(("settings", "times"), [({}, 1), ({"augment": True}, 3), ({"mixup": 0.2}, 3)])
def test_the_frozen_encoder_sees_an_image_once_unless_it_is_another_each_time(
    start, images, monkeypatch, settings, times
):
    seen = []
    forward = PretrainedEncoder.forward
    monkeypatch.setattr(PretrainedEncoder, "forward", lambda self, x: seen.append(len(x)) or forward(self, x))
    train_cnn(images, start=start, **QUICK, **settings)
    assert sum(seen) == times * len(images)


def test_what_is_known_of_images_is_what_the_encoder_says_of_them(cnn, images):
    network, batch, targets = cnn.network, floats(images), torch.eye(2).repeat(4, 1)
    with torch.no_grad():
        features = network.pooled(batch)
        one = network.loss((batch, targets), torch.Generator())
        two = network.loss((batch, targets, features), torch.Generator())
        other = network.loss((batch, targets, features.flip(0)), torch.Generator())
    assert one.total == two.total != other.total


def test_its_file_holds_the_encoder_and_says_whose_it_is(cnn, images, tmp_path):
    cnn.save(tmp_path / "cnn.pth")
    again = load_model(tmp_path / "cnn.pth", "cpu")
    assert np.array_equal(again.probabilities(images), cnn.probabilities(images))
    told = describe(tmp_path / "cnn.pth")
    assert told["settings"]["encoder"] == told["training"]["encoder"]["name"] == "torchvision:shufflenet_v2_x0_5"
    assert "not known" in told["training"]["encoder"]["licence"]  # of weights of one's own
    more = train_cnn(images, start=again, **{**QUICK, "epochs": 1})
    assert (more.config, more.training["encoder"]) == (cnn.config, cnn.training["encoder"])
    assert torch.equal(more.network.layers.state_dict()["network.conv1.0.weight"],
                       cnn.network.layers.state_dict()["network.conv1.0.weight"])  # fmt: skip


@pytest.mark.parametrize(("settings", "says"), [
    ({"width": 8}, "`width` is 8, and torchvision:shufflenet_v2_x0_5 is as it was trained"),
    ({"backbone": "resnet"}, "`backbone` is resnet"),
    ({"encoder": "efficientnet-lite0"}, "`encoder` is efficientnet-lite0, and the model, to begin with, has"),
    ({"start": None, "encoder": "efficientnet-lite0"}, "from a model of latents"),
    ({"start": None, "fine_tune": True}, "there is no encoder to fine-tune"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_with_a_way_on(start, images, settings, says):
    with pytest.raises(UsageError, match=says) as refused:
        train_cnn(images, **{"start": start, **QUICK, **settings})
    assert refused.value.found
    assert refused.value.remedy


def test_images_of_another_shape_are_refused(start):
    wide = ImageSet(np.zeros((4, 1, 16, 20), np.uint8), Labels.of(["a", "b"] * 2))
    with pytest.raises(DataError, match="the images do not fit"):
        train_cnn(wide, start=start, **QUICK)
