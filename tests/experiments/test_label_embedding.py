"""Labels that travel with their images, and what they leave in the codes."""

import numpy as np
import torch

from latentcli import inference
from latentcli.experiments.label_embedding import LabelledVQVAE, labelled
from latentcli.models.backbones import initialise
from latentcli.numerics.random import generator_for

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 8), dtype=np.uint8)


def model() -> LabelledVQVAE:
    made = LabelledVQVAE(LabelledVQVAE.Config((1, 8, 8), width=64, latent_dim=4, codes=16), 3)
    initialise(made, generator_for(0, "weights"))
    return made.eval()


def test_without_labels_the_maps_are_those_of_a_plain_vqvae():
    network, images = model(), torch.from_numpy(IMAGES) / 255
    with torch.no_grad():
        hidden = network.maps_of(torch.from_numpy(labelled(IMAGES, None)) / 255)
        torch.testing.assert_close(hidden, super(LabelledVQVAE, network).maps_of(images))


def test_a_label_moves_every_place_by_its_embedding():
    network, labels = model(), np.array([0, 1, 2, 0, 1, 2])
    with torch.no_grad():
        shown, hidden = (network.maps_of(torch.from_numpy(labelled(IMAGES, given)) / 255) for given in (labels, None))
        expected = network.of_class.weight[torch.from_numpy(labels)][:, :, None, None].expand_as(shown)
    torch.testing.assert_close(shown - hidden, expected, rtol=1e-4, atol=1e-5)


def test_images_with_labels_train_and_go_through_the_usual_loops():
    network, images = model().train(), labelled(IMAGES, np.array([0, 1, 2, 0, 1, 2]))
    terms = network.loss(torch.from_numpy(images) / 255, torch.Generator().manual_seed(0))
    terms.total.backward()
    assert network.of_class.weight.grad.abs().sum() > 0
    assert inference.features(network, images, "quantized").shape == (6, 4 * 4 * 4)
