"""The study of samples: what sets of images are made, what they are compared with, and that it goes on as it began."""

import numpy as np
import pytest

import latentcli as lc
from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.core.progress import Listener
from latentcli.experiments import samples as study
from latentcli.experiments.generators import KINDS, Made
from latentcli.experiments.realism import Comparison, Observer
from latentcli.experiments.samples import StudyConfig, study_samples
from latentcli.experiments.tasks import Task

SMALL = {
    "codes": 8, "latent_dim": 4, "width": 16, "stages": 2, "backbone": "conv", "epochs": 2,
    "prior.width": 8, "prior.layers": 1, "prior.heads": 2, "prior.epochs": 3, "prior.save_every": 0.0,
    "cnn.width": 16, "cnn.epochs": 4, "cnn.min_steps": 0,
}  # fmt: skip
CONFIG = StudyConfig(settings=tuple(SMALL.items()))


def part(count: int, seed: int) -> ImageSet:
    """Images of two classes, which differ in where they are bright; of the second there are twice as many."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3 > 0
    images = random.integers(0, 120, (count, 1, 8, 8))
    images[labels, :, :4] += 120
    names = Labels.of(np.where(labels, "upper", "dark"), ["dark", "upper"])
    return ImageSet(images.astype(np.uint8), names, name="halves")


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(part(120, 0), part(60, 1))


@pytest.fixture(scope="module")
def folder(task, tmp_path_factory):
    """Of a study that has ended."""
    where = tmp_path_factory.mktemp("study")
    study_samples([task], ["vqvae", "vae"], 2, with_vae(), folder=where)
    return where


def with_vae() -> StudyConfig:
    own = {name: value for name, value in SMALL.items() if name not in ("codes", "stages", "prior.heads")}
    return StudyConfig(settings=tuple(own.items()))


def timeless(rows):
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in rows]


def test_each_set_of_each_model_and_seed_is_measured_beside_real_images(task, folder):
    computed: list[str] = []
    rows = study_samples(
        [task], ["vqvae", "vae"], 2, with_vae(), folder=folder,
        on_cell=lambda cell, event, seconds: computed.append(event),
    )  # fmt: skip
    assert set(computed) == {"kept from before"}
    titles = [KINDS[kind].title for kind in KINDS]
    assert titles.pop() == "the model's own prior"
    of_codes = [("vqvae", title) for title in titles]
    assert [(row["model"], row["images"]) for row in rows if row["seed"] == 1] == [
        ("–", "real"), *of_codes, ("vae", "reconstructions"), ("vae", "samples"), ("vae", "the model's own prior")
    ]  # fmt: skip
    assert {row["count"] for row in rows} == {30}
    known = {(row["model"], row["images"]) for row in rows if "read_right" in row}
    assert known == {("–", "real"), *((model, kind) for model in ("vqvae", "vae") for kind in titles[:2])}
    real = rows[0]
    assert real["read_right"] > 0.9
    assert real["frechet_distance"] < min(row["frechet_distance"] for row in rows if row["images"] == "samples")


class StopIn(Listener):
    """Ctrl-C in the second epoch of the training of this number."""

    begun = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def started(self, epochs, images, done):
        StopIn.begun += 1

    def epoch_ended(self, row):
        if StopIn.begun == self.number and row["epoch"] == 2:
            raise KeyboardInterrupt


def test_a_study_that_was_stopped_ends_as_one_that_was_not(task, tmp_path):
    undisturbed = study_samples([task], ["vqvae"], 1, CONFIG, folder=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        study_samples([task], ["vqvae"], 1, CONFIG, folder=tmp_path / "stopped", watch=lambda: StopIn(3))
    model = tmp_path / "stopped" / "models" / "halves-vqvae-0"
    assert (model / "prior.pth.partial").exists()  # it was in the prior, behind the CNN and the model
    assert not (model / "prior.pth").exists()
    resumed = study_samples([task], ["vqvae"], 1, CONFIG, folder=tmp_path / "stopped")
    assert timeless(resumed) == timeless(undisturbed)
    (model / "prior.pth").unlink()  # a result is kept without it, and what needs it trains it again
    assert len(study.examples(task, "vqvae", CONFIG, tmp_path / "stopped").nearest) == study.PAIRED
    other = StudyConfig(settings=(*CONFIG.settings, ("prior.dropout", 0.5)))
    with pytest.raises(UsageError, match="holds another study"):
        study_samples([task], ["vqvae"], 1, other, folder=tmp_path / "stopped")


def test_samples_are_of_the_classes_of_the_real_ones_and_draw_as_they_are_told(task, folder):
    generator = study.generator_of(task, "vqvae", 0, with_vae(), folder)
    others = task.test.take(np.arange(20))
    made = KINDS["samples"].make(generator, others)
    names, counts = np.unique(made.classes, return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"dark": 7, "upper": 13}
    again = KINDS["samples"].make(study.generator_of(task, "vqvae", 0, with_vae(), folder), others)
    np.testing.assert_array_equal(made.images, again.images)
    without = StudyConfig(settings=with_vae().settings, guidance=0.0)
    assert KINDS["samples"].make(study.generator_of(task, "vqvae", 0, without, folder), others).classes is None


def test_codes_by_chance_have_the_frequencies_of_training(task, folder, monkeypatch):
    generator = study.generator_of(task, "vqvae", 0, with_vae(), folder)
    codes = generator.model.encode(task.train).arrays["codes"].reshape(len(task.train), -1)
    of_place = generator.frequencies()
    counts = np.stack([np.bincount(column, minlength=of_place.shape[1]) for column in codes.T])
    np.testing.assert_allclose(of_place, counts / len(codes), atol=0.1)  # shrunk towards that of all places
    np.testing.assert_allclose(of_place.sum(axis=1), 1.0, atol=1e-5)
    monkeypatch.setattr(lc.TrainedModel, "images_of", lambda self, arrays: arrays["codes"])
    many = task.train.take(np.arange(4000) % len(task.train))
    expected = {"of-place": of_place, "independent": np.broadcast_to(of_place.mean(axis=0), of_place.shape)}
    for kind, frequencies in expected.items():
        places = KINDS[kind].make(generator, many).images.reshape(4000, -1).T
        shares = np.stack([np.bincount(place, minlength=len(row)) for place, row in zip(places, of_place, strict=True)])
        np.testing.assert_allclose(shares / 4000, frequencies, atol=0.04)


def test_copies_of_training_images_are_found_out_and_real_ones_are_not(task, folder):
    observer = Observer(task, "cnn", with_vae().of("cnn"), folder)
    comparison = Comparison(observer, 25, seed=0)
    assert len(comparison.others) == 25
    copies = comparison.measured(Made(task.train.images[:25]))
    assert (copies["nearer"], copies["copied"]) == (1.0, 1.0)
    others = comparison.measured(Made(comparison.others.images))
    assert 0.2 < others["nearer"] < 0.8
    assert others["copied"] < 0.2
    with pytest.raises(DataError, match="too few test images"):
        Comparison(Observer(Task(task.train, task.test.take(np.arange(11))), "cnn", {}, folder), 25, seed=0)


def test_features_may_be_those_of_an_encoder_that_is_trained_already(task, folder, tmp_path):
    import torch
    from torchvision import models

    torch.manual_seed(0)
    torch.save(models.squeezenet1_1(weights=None).state_dict(), tmp_path / "weights.pth")
    name = f"torchvision:squeezenet1_1={tmp_path / 'weights.pth'}"
    observer = Observer(task, name, with_vae().of("cnn"), folder)
    some = task.test.take(np.arange(3))
    np.testing.assert_array_equal(observer.features_of(some.images), lc.encode(some, name, device="cpu").flat)
    assert observer.identity["features"]["name"] == "torchvision:squeezenet1_1"


@pytest.mark.parametrize(
    ("families", "config", "said"),
    [
        (["vqvae"], {"settings": (("decoder.width", 3),)}, "unknown setting 'decoder.width'"),
        (["vqvae"], {"settings": (("prior.colour", 3),)}, "unknown setting 'colour'"),
        (["vqvae"], {"settings": (("cnn.colour", 3),)}, "unknown setting 'colour'"),
        (["vqvae"], {"settings": (("colour", 3),)}, "unknown setting 'colour'"),
        (["vqvae"], {"count": 0}, "`count` is 0"),
        (["vqvae"], {"top_p": 2.0}, "`top_p` is 2.0"),
        (["vqvae"], {"features": "eyes"}, "neither a trained encoder nor a file"),
        (["vae"], {"top_p": 0.5}, "`top_p` is of a prior of codes"),
        (["vae"], {"settings": (("prior.heads", 2),)}, "unknown setting 'heads'"),
        (["gan"], {}, "unknown model family"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_before_any_training(task, tmp_path, families, config, said):
    with pytest.raises(UsageError, match=said):
        study_samples([task], families, 1, StudyConfig(**config), folder=tmp_path)
    assert not list(tmp_path.iterdir())
