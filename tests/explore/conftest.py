"""Something small to explore: handwritten digits, a model that is trained in a second, and their latents."""

from pathlib import Path

import numpy as np
import pytest

import latentcli as lc
from latentcli.explore.exploration import Exploration, Material, material
from latentcli.explore.labelling import Labelling


@pytest.fixture(scope="session")
def digits() -> lc.ImageSet:
    """Digits 1, 4 and 8, without labels."""
    return lc.load("digits", classes=["1", "4", "8"]).unlabelled()


@pytest.fixture(scope="session")
def truth() -> np.ndarray:
    """What they are."""
    return lc.load("digits", classes=["1", "4", "8"]).labels.texts


@pytest.fixture(scope="session")
def vae(digits) -> lc.TrainedModel:
    return lc.train(digits, backbone="mlp", width=128, latent_dim=8, batch_size=32, epochs=20, seed=0)


@pytest.fixture(scope="session")
def prepared(digits, vae) -> Material:
    return material(digits, vae)


@pytest.fixture
def exploration(prepared, tmp_path) -> Exploration:
    """Work that goes on beside it is done when it is asked for: ``exploration.jobs.finish()``."""
    explored = Exploration(prepared, Labelling(prepared.images, tmp_path / "labels.csv"), tmp_path / "graph.npz")
    yield explored
    explored.jobs.close()


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path
