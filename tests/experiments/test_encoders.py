"""Studies with an encoder that is already trained: their models have its weights, not others of the same shape."""

import numpy as np
import pytest
import torch

from latentcli.artifacts.models import load_model
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.experiments.hybrids import StudyConfig as HybridsConfig
from latentcli.experiments.hybrids import study_hybrids
from latentcli.experiments.latents import StudyConfig as LatentsConfig
from latentcli.experiments.latents import study_latents
from latentcli.experiments.tasks import Task
from latentcli.inference.encoding import find_encoder

SMALL = {"epochs": 1, "batch_size": 16, "width": 64, "latent_dim": 4}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    """A network's weights, drawn by chance, in a file."""
    from torchvision import models

    path = tmp_path_factory.mktemp("encoder") / "weights.pth"
    torch.manual_seed(0)
    torch.save(models.squeezenet1_1(weights=None).state_dict(), path)
    return f"torchvision:squeezenet1_1={path}"


@pytest.fixture(scope="module")
def task() -> Task:
    rng = np.random.default_rng(0)
    names = ["dark", "light"] * 20
    images = rng.integers(0, 90, (40, 3, 32, 32), dtype=np.uint8)
    images[1::2] += 140
    some = ImageSet(images, Labels.of(names))
    return Task(some, some)


@pytest.mark.parametrize("study", ["hybrids", "latents"])
def test_a_studys_models_have_the_encoders_weights(study, task, encoder, tmp_path):
    settings = tuple({**SMALL, "encoder": encoder, "backbone": "conv"}.items())
    if study == "hybrids":
        config = HybridsConfig(per_class=(2,), arms=("graph", "begun"), steps=2, settings=settings)
        rows = study_hybrids(task, 1, config, folder=tmp_path)
        assert all("accuracy" in row for row in rows)
    else:
        study_latents([task], ["vae"], 1, LatentsConfig(probes=("knn",), settings=settings), folder=tmp_path)
    (path,) = tmp_path.rglob("vae.pth")
    model, found = load_model(path), find_encoder(encoder)
    kept = model.network.state_dict()
    for name, tensor in found.network.state_dict().items():
        assert torch.equal(kept[f"encoder.{name}"], tensor), name
    assert model.training["encoder"]["sha256"] == found.sha256
