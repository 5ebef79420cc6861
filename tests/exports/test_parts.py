"""Parts are what the model computes, as a graph for batches of any size, whatever family and backbone."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from latentcli.classifiers.probes.network_probes import LinearProbe
from latentcli.exports import parity
from latentcli.exports.parts import MatrixPreprocessing, of_model
from latentcli.exports.recording import record
from latentcli.models import FAMILIES, create
from latentcli.models.base import ModelConfig
from latentcli.models.pretrained.base import Preprocessing, PretrainedEncoder
from latentcli.models.trained import TrainedModel

BACKBONES = {
    family: FAMILIES[family].Config.__dataclass_fields__["backbone"].metadata["choices"] for family in FAMILIES
}
EVERY = [("vae", name) for name in BACKBONES["vae"]]
EVERY += [("vqvae", "mlp"), ("vqvae", "residual"), ("fsq", "conv"), ("fsq", "strided")]
"""Around a quantiser there are the same networks, of vectors or of maps."""


class TinyEncoder(PretrainedEncoder):
    """A trained encoder that sees images enlarged, in a second instead of half a minute."""

    licence, source, features = "none", "this test", 12

    def __init__(self, network: str = "") -> None:
        super().__init__(Preprocessing(24, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), "bicubic"))
        self.layers = nn.Sequential(nn.Conv2d(3, 12, 5, stride=3), nn.BatchNorm2d(12), nn.ReLU())

    def pooled(self, images):
        return self.layers(images).mean(dim=(2, 3))

    def weights_file(self):
        raise NotImplementedError


def model_of(family: str, shape=(1, 12, 8), **settings) -> TrainedModel:
    config: ModelConfig = FAMILIES[family].Config.for_data(shape, 3, **settings)
    network = create(family, config, 0).eval()
    with torch.no_grad():  # as training leaves them, not as they begin
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2.0)
    return TrainedModel(family, network)


def check(model: TrainedModel, classifier=None) -> None:
    own, parts = of_model(model, classifier)
    images = parity.random_images(own.image_shape, 0)
    wanted = parity.expected(own, classifier, parts, images)
    for part in parts:
        program = record(part)
        network = program.module()
        names = {name for name, _ in part.network.named_parameters()} & set(program.state_dict)
        assert not any(name.startswith("model.decoder") for name in names) or part.name == "decoder"

        def run(batch, network=network):
            with torch.inference_mode():
                return tuple(each.numpy() for each in network(torch.from_numpy(batch)))

        found = parity.deviations(part, run, *wanted[part.name])
        assert found.keys() == set(part.outputs)
        assert max(found.values()) < 1e-5, found


@pytest.mark.parametrize(("family", "backbone"), EVERY)
def test_each_part_of_every_model_is_a_graph_that_computes_the_same(family, backbone):
    check(model_of(family, backbone=backbone, width=64))


def test_details_are_outputs_of_their_own_and_the_end_of_the_decoders_input():
    model = model_of("vae", (3, 12, 8), backbone="resnet", width=64, latent_dim=6, details=2)
    _, (encoder, decoder) = of_model(model)
    assert encoder.outputs == ("mean", "log_variance", "details", "details_log_variance")
    assert decoder.example.shape == (2, 6)
    check(model)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_around_a_trained_encoder_has_its_preprocessing_inside(monkeypatch, channels):
    monkeypatch.setattr("latentcli.models.pretrained.vae.encoder_named", lambda name: TinyEncoder().eval())
    check(model_of("vae", (channels, 12, 8), encoder="tiny", backbone="mlp", latent_dim=4, width=16))


@pytest.mark.parametrize(("family", "features"), [("vqvae", "codes"), ("vae", "encoder")])
def test_a_classifier_reads_the_features_that_it_was_fitted_to(family, features):
    model = model_of(family, backbone="mlp", width=32)
    images = parity.random_images(model.image_shape, 1)
    probe = LinearProbe(features=features, epochs=2, device="cpu")
    probe.fit(model.encode(images, features).features(features), np.array(["dark", "light"] * 8))
    check(model, probe)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "shape"), [(32, (1, 12, 20)), (8, (3, 31, 9)), (16, (3, 16, 16))])
def test_resizing_by_matrices_is_resizing(mode, size, shape):
    images = torch.rand(3, *shape)
    preprocessing = Preprocessing(size, (0.5, 0.4, 0.3), (0.1, 0.2, 0.3), mode)
    found = MatrixPreprocessing(preprocessing, *shape[1:])(images)
    assert_close(found, preprocessing(images), atol=2e-5, rtol=1e-5)
    if size != shape[1]:  # and against torch itself
        wanted = F.interpolate(images, (size, size), mode=mode, antialias=True).clamp(0, 1)
        assert_close(found[:, :1] * 0.1 + 0.5, wanted[:, :1], atol=2e-6, rtol=1e-5)


def test_random_images_are_the_seeds_and_end_black_and_white():
    images = parity.random_images((3, 9, 13), 5)
    assert images.shape == (sum(parity.BATCHES), 3, 9, 13)
    assert np.array_equal(images, parity.random_images((3, 9, 13), 5))
    assert not np.array_equal(images, parity.random_images((3, 9, 13), 6))
    assert (images[-2].max(), images[-1].min()) == (0, 255)
    assert (images[3, :, :8, :8] == images[3, :, :1, :1]).all()  # squares of 8
