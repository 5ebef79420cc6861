"""The epoch that is told is the one whose weights a training ends with."""

import math

import numpy as np
import pytest
import torch

from latentcli.models import create
from latentcli.models.vae import VAEConfig
from latentcli.numerics.history import kept
from latentcli.training.config import TrainingConfig
from latentcli.training.loop import Callbacks, Run


@pytest.mark.parametrize(
    ("losses", "row"),
    [([3.0, 1.0, 2.0], 1), ([1.0, 2.0, 1.0], 2), ([math.nan, 2.0, math.inf], 1), ([None, None], -1), ([math.nan], -1)],
)
def test_the_lowest_validation_loss_counts_of_equals_the_last(losses, row):
    assert kept([{"loss": 1.0} | ({} if loss is None else {"val_loss": loss}) for loss in losses]) == row


@pytest.mark.parametrize("held_out", [0.0, 0.3])
@pytest.mark.parametrize("views", ["none", "digits"])
def test_it_is_the_epoch_that_the_loop_keeps(held_out, views):
    images = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8), dtype=np.uint8)
    network = create("vae", VAEConfig((1, 8, 8), backbone="mlp", width=32, latent_dim=3, views=views), 0)
    weights = []

    def keep(row):
        weights.append({name: tensor.clone() for name, tensor in network.state_dict().items()})

    config = TrainingConfig(epochs=6, batch_size=16, held_out=held_out, lr=0.05, warmup=0.0, schedule="constant")
    history = Run(network, images, config).fit(Callbacks(on_epoch=keep))
    found = network.state_dict()
    same = [all(torch.equal(tensor, found[name]) for name, tensor in each.items()) for each in weights]
    assert same[kept(history)]
    assert sum(same) == 1
