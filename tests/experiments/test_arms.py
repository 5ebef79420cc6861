"""Arms that use codes: hybrids of two images' codes, and samples of a prior that knows soft labels."""

from functools import partial

import numpy as np
import pytest

import latentcli as lc
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.experiments import arms
from latentcli.experiments.arms import CODES, STUDYS, CodeSpace, Given
from latentcli.experiments.hybrids import StudyConfig, kind_of
from latentcli.models import FAMILIES, create
from latentcli.models.trained import TrainedModel


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
    small = {"width": 8, "layers": 1, "heads": 2, "epochs": 1}
    monkeypatch.setattr(arms, "fit_prior", partial(arms.fit_prior, **small))
    made = space.samples(30)
    assert made["images"].shape == (30, 8, 8)
    assert made["soft_labels"].argmax(axis=1).tolist() == [*range(24), *range(6)]


def test_a_study_of_a_model_with_codes_uses_it_for_both():
    assert kind_of(CODES, StudyConfig()) == CODES
    assert kind_of(CODES, StudyConfig(family="fsq")) == kind_of(STUDYS, StudyConfig()) == STUDYS
