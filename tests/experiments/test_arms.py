"""Arms that use codes: hybrids of two images' codes, and samples of a prior that knows soft labels."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import latentcli as lc
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.experiments import arms, hybrids
from latentcli.experiments.arms import CODES, STUDYS, CodeSpace, Given
from latentcli.experiments.hybrids import StudyConfig, kind_of
from latentcli.experiments.tasks import Task
from latentcli.models import FAMILIES, create
from latentcli.models.trained import TrainedModel

SMALL = {"width": 8, "layers": 1, "heads": 2, "epochs": 1}
"""Settings of a prior that learns next to nothing."""


def model() -> TrainedModel:
    """An untrained one with maps of 4×4 codes, of which there are 32."""
    config = FAMILIES["vqvae"].Config((1, 8, 8), codes=32, latent_dim=4, width=16, stages=1, backbone="conv")
    return TrainedModel("vqvae", create("vqvae", config, 0).eval(), fingerprint="f" * 64)


@pytest.fixture
def space() -> CodeSpace:
    """24 images, all codes of each its own number, and each a class of its own; eight of these are labelled."""
    pixels = ImageSet(np.zeros((8, 1, 8, 8), np.uint8), Labels.of([f"{number:02}" for number in range(8)]))
    found = CodeSpace(Given(pixels, pixels, seed=3, seen=100, count=50, model=lambda images, which: model()))
    codes = np.arange(24)[:, None, None].repeat(4, 1).repeat(4, 2).astype(np.int32)
    names = [f"{number:02}" for number in range(24)]
    vars(found)["latents"] = lc.Latents({"codes": codes}, "f" * 64, Labels.of(names))
    vars(found)["soft_labels"] = np.eye(24)
    return found


def test_hybrids_of_codes_have_the_codes_of_two_images_and_their_labels_by_how_many_each_gave(space, monkeypatch):
    monkeypatch.setattr(TrainedModel, "images_of", lambda self, arrays: arrays["codes"][:, None])
    made = space.hybrids(500)
    codes, soft_labels = made["images"], made["soft_labels"]
    counts = np.stack([np.bincount(row, minlength=24) for row in codes.reshape(500, 16)])
    np.testing.assert_allclose(soft_labels, counts / 16)
    assert ((counts > 0).sum(axis=1) <= 2).all()
    most = counts.max(axis=1) / 16
    assert np.histogram(most, [0.5, 0.75, 1.01])[0].min() > 150  # some are halves, others nearly all of one image
    assert made["classes"].tolist() == [f"{number:02}" for number in range(24)]


def test_samples_have_the_classes_in_turn(space, monkeypatch):
    monkeypatch.setattr(arms, "fit_prior", partial(arms.fit_prior, **SMALL))
    made = space.samples(30)
    assert made["images"].shape == (30, 8, 8)
    assert made["soft_labels"].argmax(axis=1).tolist() == [*range(24), *range(6)]


def test_a_study_of_a_model_with_codes_uses_it_for_both():
    assert kind_of(CODES, StudyConfig()) == CODES
    assert kind_of(CODES, StudyConfig(family="fsq")) == kind_of(STUDYS, StudyConfig()) == STUDYS


def test_both_arms_share_a_model_of_codes_and_a_graph_labels_what_they_learn_from(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    labels = np.arange(120) % 2
    pixels = random.integers(0, 120, (120, 1, 8, 8))
    pixels[labels == 0, :, :4] += 120
    images = ImageSet(pixels.astype(np.uint8), Labels.of(labels.astype(str)), name="halves")
    monkeypatch.setattr(arms, "fit_prior", partial(arms.fit_prior, **SMALL))
    own, small = hybrids.configured, (("codes", 8), ("latent_dim", 4), ("width", 16), ("epochs", 2))
    monkeypatch.setattr(
        hybrids, "configured",
        lambda which, config: replace(own(which, config), settings=small) if which == CODES else own(which, config),
    )  # fmt: skip
    settings = (("backbone", "mlp"), ("width", 32), ("epochs", 4))
    config = StudyConfig((4,), ("samples", "hybrids-codes"), steps=40, count=60, settings=settings)
    seen: list[str] = []
    rows = hybrids.study_hybrids(
        Task(images, images), 1, config, folder=tmp_path, on_cell=lambda cell, event, seconds: seen.append(cell.name)
    )
    assert list(dict.fromkeys(seen))[:2] == ["halves-model-0", "halves-model-codes-0"]
    assert [(row["arm"], row["added"]) for row in rows] == [("samples", 60), ("hybrids-codes", 60)]
    assert min(row["accuracy"] for row in rows) > 0.8
