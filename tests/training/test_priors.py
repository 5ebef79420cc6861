"""Training a prior: what it learns of codes and of classes, where labels come from, and that a run goes on."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import latentcli as lc
from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
from latentcli.core.errors import DataError, ModelFileError, UsageError
from latentcli.core.progress import Listener
from latentcli.models import FAMILIES, PRIORS, create
from latentcli.models.trained import TrainedModel

SMALL = {"width": 16, "layers": 1, "heads": 2, "batch_size": 32, "device": "cpu", "dropout": 0.0}
CLASSES = ["low", "high"]


def model(family: str = "vqvae", **settings) -> TrainedModel:
    """An untrained one with maps of 2×2 codes, of which there are 8."""
    sizes = {"codes": 8, "latent_dim": 4, "width": 16, "stages": 2, "backbone": "conv"} if family == "vqvae" else {}
    config = FAMILIES[family].Config((1, 8, 8), **sizes, **settings)
    return TrainedModel(family, create(family, config, 0).eval(), fingerprint="f" * 64, name="vqvae.pth")


def latents(labelled: int = 300) -> lc.Latents:
    """Codes of 300 images, all places of an image alike: 0 … 3 where the class is low, 4 … 7 where it is high."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 2, 300)
    codes = (4 * classes + random.integers(0, 4, 300))[:, None, None].repeat(2, 1).repeat(2, 2).astype(np.int32)
    labels = lc.Labels.of([CLASSES[each] if row < labelled else "" for row, each in enumerate(classes)])
    return lc.Latents({"codes": codes}, "f" * 64, labels)


class Knowing:
    """A classifier that reads the class off the first code, and is 90 % sure."""

    features, fitted_on_, classes_, n_features_in_ = "codes", "f" * 64, np.array(["high", "low"]), 4

    def predict_proba(self, X):
        high = np.where(X[:, 0] >= 4, 0.9, 0.1)
        return np.stack([high, 1 - high], axis=1)


def share_of_high(prior: TrainedModel, name: str) -> float:
    """How much of a class has the codes of high ones."""
    return float(np.mean(lc.sample(model(), prior, 400, classes=[name])["latents"][:, 0] >= 4))


def test_it_learns_what_places_tell_of_one_another_and_what_classes_show():
    prior = lc.fit_prior(latents(), model(), epochs=25, lr=0.01, drop_class=0.3, **SMALL)
    assert set(prior.class_names) == {"low", "high"}
    bits = min(row["val_bits_per_code"] for row in prior.history)
    assert bits < 0.9 < 3  # places apart have three bits each; all of a map together a little more than three
    assert share_of_high(prior, "low") < 0.05 < 0.95 < share_of_high(prior, "high")
    assert 0.3 < np.mean(lc.sample(model(), prior, 400, guidance=0.0)["latents"][:, 0] >= 4) < 0.7


def test_a_classifier_stands_for_the_labels_that_are_missing():
    knowing: lc.LatentClassifier = Knowing()  # type: ignore[assignment]
    without = lc.fit_prior(latents(labelled=0), model(), epochs=1, **SMALL)
    assert without.class_names == ()
    soft = lc.fit_prior(latents(labelled=0), model(), classifier=knowing, epochs=25, lr=0.01, **SMALL)
    assert soft.class_names == ("high", "low")
    assert share_of_high(soft, "high") > 0.8
    assert share_of_high(soft, "low") < 0.2
    knowing.fitted_on_ = "a" * 64
    with pytest.raises(ModelFileError, match="fitted on another checkpoint"):
        lc.fit_prior(latents(), model(), classifier=knowing, **SMALL)


@pytest.mark.parametrize("seed", range(4))
def test_the_only_image_of_a_class_is_learned_from(seed):
    some = latents()
    texts = np.array([CLASSES[0]] * 300, dtype=object)
    texts[17] = "rare"
    some = lc.Latents(some.arrays, some.checkpoint, lc.Labels.of(list(texts)))
    prior = lc.fit_prior(
        some, model(), epochs=1, seed=seed, held_out=0.5, drop_class=0.0, weight_decay=0.0, **SMALL | {"batch_size": 2}
    )
    begun = create("transformer", prior.config, seed).embeddings.classes
    assert not torch.equal(prior.network.embeddings.classes[1], begun[1])


def test_many_codes_of_many_places_go_through_it_a_few_images_at_a_time():
    few, many = (PRIORS["transformer"].Config((1, 256, 256), grid, codes=codes, dimensions=4, classes=0)
                 for grid, codes in (((28, 28), 512), ((64, 64), 4096)))  # fmt: skip
    assert few.training_defaults() == few.TRAINING
    assert many.training_defaults()["max_batch"] == 2


def test_soft_labels_are_learned_from_as_a_classifiers_are():
    knowing: lc.LatentClassifier = Knowing()  # type: ignore[assignment]
    some = latents(labelled=20)
    soft_labels = Knowing().predict_proba(some.features("codes"))
    given = lc.fit_prior(some, model(), soft_labels=soft_labels, epochs=2, **SMALL)
    assert given.fingerprint == lc.fit_prior(some, model(), classifier=knowing, epochs=2, **SMALL).fingerprint
    with pytest.raises(UsageError, match="both stand for labels"):
        lc.fit_prior(some, model(), soft_labels=soft_labels, classifier=knowing, **SMALL)
    for wrong in (soft_labels[:-1], soft_labels[:, :1], soft_labels + 1, -soft_labels):
        with pytest.raises(DataError, match="no soft labels of the images"):
            lc.fit_prior(some, model(), soft_labels=wrong, **SMALL)


class StopAfter(Listener):
    """Ctrl-C in the given epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def epoch_ended(self, row):
        if row["epoch"] == self.epoch:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(tmp_path):
    how, state = {**SMALL, "epochs": 4, "dropout": 0.1, "save_every": 0.0}, tmp_path / "state"
    whole = lc.fit_prior(latents(), model(), **how)
    with pytest.raises(KeyboardInterrupt):
        lc.fit_prior(latents(), model(), state=state, listener=StopAfter(2), **how)
    with pytest.raises(UsageError, match="`width` is 8, was 16"):
        lc.fit_prior(latents(), model(), state=state, **how | {"width": 8})
    resumed = lc.fit_prior(latents(), model(), state=state, **how)
    assert resumed.fingerprint == whole.fingerprint
    resumed.save(tmp_path / "prior.pth")
    assert lc.load_model(tmp_path / "prior.pth").fitted_on == "f" * 64
    assert not state.exists()
    with pytest.raises(UsageError, match="`labelled` is 299, was 300"):
        lc.fit_prior(latents(299), model(), finished=resumed, **how)
    renamed = lc.Latents(latents().arrays, "f" * 64, lc.Labels(latents().labels.codes, ("deep", "low")))
    with pytest.raises(UsageError, match=r"`names` is \['deep', 'low'\], was \['high', 'low'\]"):
        lc.fit_prior(renamed, model(), finished=resumed, **how)


def test_what_is_no_code_of_the_model_is_refused():
    with pytest.raises(DataError, match="not latents of this model"):
        lc.fit_prior(latents(), model("vae"), width=16, layers=1)
    found = latents()
    with pytest.raises(ModelFileError, match="latents of another checkpoint"):
        lc.fit_prior(lc.Latents(found.arrays, "a" * 64, found.labels), model(), **SMALL)
    for codes in (found.arrays["codes"] + 1, found.arrays["codes"][:, :1], found.arrays["codes"] - 1.0):
        with pytest.raises(DataError, match="not latents of this model"):
            lc.fit_prior(lc.Latents({"codes": codes}, "f" * 64, found.labels), model(), **SMALL)
    one = lc.Latents({"codes": found.arrays["codes"][:1]}, "f" * 64)
    with pytest.raises(DataError, match="the latents of one image are too few"):
        lc.fit_prior(one, model(), **SMALL)
    with pytest.raises(UsageError, match="unknown setting 'widht'; did you mean width"):
        lc.fit_prior(found, model(), widht=3, **SMALL)


def test_a_prior_is_no_model_of_latents_and_no_classifier(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prior = lc.fit_prior(latents(), model(), epochs=1, **SMALL)
    prior.save("prior.pth")
    read = lc.load_model("prior.pth")
    images = lc.load("digits")
    with pytest.raises(ModelFileError, match=r"prior.pth is a prior of codes; it has no latent space"):
        lc.sample(read)
    with pytest.raises(ModelFileError, match=r"prior.pth is a prior of codes"):
        lc.classify(images, read)
    with pytest.raises(ModelFileError, match="prior of codes"):
        lc.export(read, "exported", format="torch-export")
    with pytest.raises(ModelFileError, match="prior of codes"):
        lc.train(images, continue_from=read)
    told = lc.describe("prior.pth")
    assert (told["kind"], told["fitted_on"], told["settings"]["grid"]) == ("prior of codes", "f" * 64, [2, 2])
    content = bytearray(Path("prior.pth").read_bytes())
    content[len(content) // 2] ^= 1
    Path("prior.pth").write_bytes(content)
    with pytest.raises(ModelFileError):
        lc.load_model("prior.pth")


def test_bits_are_those_of_test_codes_and_of_their_frequencies():
    vqvae, images = model(), lc.load("digits", split="test", classes=["1", "4"])
    encoded = vqvae.encode(images)
    prior = lc.fit_prior(encoded, vqvae, epochs=1, held_out=0.0, **SMALL)
    found, _ = lc.evaluate(images, vqvae, prior=prior)
    rows = encoded.arrays["codes"].reshape(len(images), 4)
    by_place = np.stack([np.bincount(rows[:, place], minlength=8) for place in range(4)]) / len(rows)
    entropy = -sum((part * np.log2(np.maximum(part, 1e-9))).sum() for part in by_place) / 4
    assert found["bits_per_code_of_place"] == pytest.approx(entropy, abs=0.1)
    everywhere = by_place.mean(axis=0)
    assert found["bits_per_code_independent"] == pytest.approx(
        -(everywhere * np.log2(np.maximum(everywhere, 1e-9))).sum(), abs=0.1
    )
    assert found["bits_per_pixel"] == pytest.approx(found["bits_per_code"] * 4 / 64)
    network = prior.network
    labels = np.eye(2, dtype=np.float32)[images.labels.among(prior.class_names).codes]
    with torch.inference_mode():
        nats = network.log_likelihood(torch.from_numpy(encoded.arrays["codes"]), torch.from_numpy(labels))
    assert found["bits_per_code_given_class"] == pytest.approx(-float(nats.mean()) / math.log(2), abs=1e-4)
    with pytest.raises(ModelFileError, match="expected a prior of codes"):
        lc.evaluate(images, vqvae, prior=vqvae)


@pytest.mark.parametrize("family", ["vqvae", "fsq"])
def test_it_keeps_the_vectors_of_the_codes(family):
    of, images = model(family), lc.load("digits", classes=["1", "4"])
    prior = lc.fit_prior(of.encode(images), of, epochs=1, **SMALL)
    quantiser, vectors = of.network.quantiser, prior.network.vectors
    codes = torch.arange(quantiser.size)
    of_model = quantiser.vectors_of(codes).detach()
    expected = torch.cdist(of_model, of_model)
    found = torch.cdist(vectors, vectors)
    torch.testing.assert_close(found / found.max(), expected / expected.max(), atol=1e-3, rtol=0)
    assert float(vectors.square().mean()) == pytest.approx(1.0, abs=1e-4)


OF_POINTS = {"width": 32, "layers": 2, "batch_size": 32, "device": "cpu"}


def points(labelled: int = 600) -> lc.Latents:
    """Of 600 images in three dimensions: around (2, 0, 0) where the class is high, (−2, 0, 0) where it is low; of the
    last dimension all have 7."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 2, 600)
    mean = random.normal(0, 0.5, (600, 3)).astype(np.float32)
    mean[:, 0] += 4 * classes - 2
    mean[:, 2] = 7
    labels = lc.Labels.of([CLASSES[each] if row < labelled else "" for row, each in enumerate(classes)])
    return lc.Latents({"mu": mean, "logvar": np.zeros_like(mean)}, "f" * 64, labels)


def of_points() -> TrainedModel:
    return model("vae", latent_dim=3, backbone="mlp", width=8)


def test_of_points_it_learns_where_those_of_each_class_lie():
    vae = of_points()
    prior = lc.fit_prior(points(), vae, epochs=40, lr=3e-3, drop_class=0.3, **OF_POINTS)
    assert (prior.family, set(prior.class_names)) == ("flow", {"low", "high"})
    for name, centre in (("low", -2), ("high", 2)):
        found = lc.sample(vae, prior, 500, classes=[name], guidance=1.0)["latents"]
        assert np.abs(found.mean(axis=0) - [centre, 0, 7]).max() < 0.3
        assert np.abs(found[:, :2].std(axis=0) - 0.5).max() < 0.2
        np.testing.assert_allclose(found[:, 2], 7, atol=1e-3)
    anywhere = lc.sample(vae, prior, 500, guidance=0.0)
    assert "soft_labels" not in anywhere
    assert 0.3 < np.mean(anywhere["latents"][:, 0] > 0) < 0.7
    assert np.mean(np.abs(anywhere["latents"][:, 0]) < 0.5) < 0.1  # of one Gaussian as wide there were 0.19


def test_points_of_which_some_dimensions_are_details_are_learned_whole():
    vae = model("vae", latent_dim=4, details=1, backbone="mlp", width=8)
    mean = points().arrays["mu"]
    some = lc.Latents({"mu": mean, "logvar": mean, "details": 3 + mean[:, :1], "details_logvar": mean[:, :1]}, "f" * 64)
    prior = lc.fit_prior(some, vae, epochs=1, **OF_POINTS)
    assert lc.sample(vae, prior, 5)["latents"].shape == (5, 4)
    np.testing.assert_allclose(prior.network.mean[3], 3 + mean[:, 0].mean(), atol=0.5)
    with pytest.raises(DataError, match="not latents of this model"):
        lc.fit_prior(points(), vae, **OF_POINTS)


def test_an_interrupted_run_of_points_goes_on_and_gives_the_same_bytes(tmp_path):
    how, state = {**OF_POINTS, "epochs": 4, "save_every": 0.0}, tmp_path / "state"
    whole = lc.fit_prior(points(), of_points(), **how)
    with pytest.raises(KeyboardInterrupt):
        lc.fit_prior(points(), of_points(), state=state, listener=StopAfter(2), **how)
    assert lc.fit_prior(points(), of_points(), state=state, **how).fingerprint == whole.fingerprint


def test_what_is_no_point_of_the_model_is_refused():
    found = points()
    for mean in (found.arrays["mu"][:, :2], np.full_like(found.arrays["mu"], np.nan), found.arrays["mu"].astype(int)):
        with pytest.raises(DataError, match="not latents of this model"):
            lc.fit_prior(lc.Latents({"mu": mean}, "f" * 64, found.labels), of_points(), **OF_POINTS)
    with pytest.raises(ModelFileError, match="latents of another checkpoint"):
        lc.fit_prior(lc.Latents(found.arrays, "a" * 64, found.labels), of_points(), **OF_POINTS)
    prior = lc.fit_prior(found, of_points(), epochs=1, **OF_POINTS)
    with pytest.raises(UsageError, match="`top_p` is of a prior of codes"):
        lc.sample(of_points(), prior, top_p=0.5)
    with pytest.raises(ModelFileError, match="it has no latent space"):
        lc.fit_prior(found, prior, **OF_POINTS)
    with pytest.raises(ModelFileError, match="was fitted on another checkpoint"):
        lc.sample(model("vae", latent_dim=4, backbone="mlp", width=8), prior)


def test_images_in_place_of_latents_and_a_mixture_in_place_of_a_prior_are_told():
    images = lc.ImageSet(np.zeros((4, 1, 8, 8), np.uint8))
    with pytest.raises(UsageError, match=r"found ImageSet\n  make it: `model.encode"):
        lc.fit_prior(images, model(), **SMALL)
    with pytest.raises(ModelFileError, match="the prior is a GaussianMixtureClassifier\n  expected a prior of codes"):
        lc.sample(model(), GaussianMixtureClassifier(), 2)
