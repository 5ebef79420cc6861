"""Labels that go in beside the images, and what they leave in the codes."""

import numpy as np
import torch

from latentcli.experiments.label_embedding import LabelledVQVAE, examples, features, one_hot
from latentcli.models.backbones import initialise
from latentcli.models.trained import TrainedModel
from latentcli.numerics.random import generator_for
from latentcli.training.config import TrainingConfig
from latentcli.training.loop import Callbacks, Run

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 8), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, -1])


def model() -> LabelledVQVAE:
    made = LabelledVQVAE(LabelledVQVAE.Config((1, 8, 8), width=64, latent_dim=4, codes=16), 3)
    initialise(made, generator_for(0, "weights"))
    return made.eval()


def test_targets_have_one_class_or_none():
    assert one_hot(LABELS, 3).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_a_label_adds_the_embedding_of_its_class_at_every_position_and_no_label_nothing():
    network, images = model(), torch.from_numpy(IMAGES) / 255
    with torch.no_grad():
        added = network.labelled_maps(images, torch.from_numpy(one_hot(LABELS, 3))) - network.maps_of(images)
    expected = torch.cat([network.of_class.detach(), torch.zeros(1, 4)])[torch.from_numpy(LABELS)]
    torch.testing.assert_close(added, expected[:, :, None, None].expand_as(added), rtol=1e-4, atol=1e-5)
    assert network.of_class.abs().min() > 0


def test_without_labels_the_features_are_those_of_a_plain_vqvae():
    network = model()
    plain = TrainedModel("vqvae", network).encode(IMAGES).features("quantized")
    assert plain.shape == (6, 4 * 4 * 4)
    np.testing.assert_array_equal(features(network, IMAGES, None), plain)
    np.testing.assert_array_equal(features(network, IMAGES, np.full(6, -1)), plain)
    assert (features(network, IMAGES, LABELS)[:5] != plain[:5]).any(axis=1).all()


def test_images_and_labels_train_through_the_usual_loop():
    network = model()
    before = network.of_class.detach().clone()
    config = TrainingConfig(epochs=1, batch_size=2, held_out=0.2)
    given = examples(IMAGES, LABELS, 3, config)
    assert (len(given.train_rows), len(given.held_out_rows)) == (5, 1)
    (row,) = Run(network, given, config).fit(Callbacks())
    assert {"commitment", "val_reconstruction"} <= row.keys()
    assert (network.of_class != before).all()
