"""From images to a trained model in one call: settings, seeds, and what is refused before anything is trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.data import load
from latentcli.models import FAMILIES
from latentcli.models.trained import TrainedModel
from latentcli.training.config import TrainingConfig
from latentcli.training.measured import explained_variance
from latentcli.training.train import check_named, configure, train, train_cnn

SMALL = {"epochs": 1, "width": 16, "device": "cpu"}


def images(count: int = 40, labelled: bool = True) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
    labels = Labels(np.arange(count) % 2, ("b", "a")) if labelled else None
    return ImageSet(pixels, labels, name="set")


def same_weights(one, other) -> bool:
    first, second = one.network.state_dict(), other.network.state_dict()
    return first.keys() == second.keys() and all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_is_signed_and_says_how_it_was_trained(family):
    found = train(images(), model=family, seed=3, **SMALL)
    assert (found.family, found.class_names, found.image_shape) == (family, ("b", "a"), (1, 8, 8))
    assert (found.training["seed"], found.training["settings"]["epochs"]) == (3, 1)
    assert found.training["data"] | {"sha256": ""} == {"name": "set", "images": 40, "sha256": ""}
    assert {"latentcli", "torch", "numpy"} == found.training["versions"].keys()
    assert [row["epoch"] for row in found.history] == [1]
    assert len(found.fingerprint) == 64
    assert found.encode(images()).checkpoint == found.fingerprint
    again, other = (train(images(), model=family, seed=seed, **SMALL) for seed in (3, 4))
    assert again.fingerprint == found.fingerprint != other.fingerprint


def test_labels_play_no_part_in_the_training_of_a_model_of_latents():
    with_labels, without = train(images(), classes=2, **SMALL), train(images(labelled=False), classes=2, **SMALL)
    assert same_weights(with_labels, without)
    assert (with_labels.class_names, without.class_names) == (("b", "a"), ())


def test_a_classifier_of_pixels_learns_from_the_labels_that_its_one_seed_draws():
    settings = {"min_steps": 0, "labels_per_class": 5} | SMALL
    one, again, other = (train_cnn(images(), seed=seed, **settings) for seed in (1, 1, 2))
    assert one.class_names == ("b", "a")
    assert one.fingerprint == again.fingerprint
    assert (one.training["data"]["labelled"], one.training["data"]["hybrids"]) == (10, 0)
    assert one.training["data"]["sha256"] != other.training["data"]["sha256"]  # other images are drawn


def test_settings_go_to_the_model_or_to_the_training():
    model, training = configure(
        FAMILIES["vae"].Config, TrainingConfig, (1, 8, 8), 2, {"latent_dim": 5, "lr": 0.5, "seed": None}
    )
    assert (model.latent_dim, model.image_shape, training.lr, training.seed) == (5, (1, 8, 8), 0.5, 0)


def test_a_training_in_few_dimensions_has_defaults_of_its_own_and_settings_go_before_them():
    def batch(**settings):
        return configure(FAMILIES["vae"].Config, TrainingConfig, (1, 28, 28), 3, settings)[1].batch_size_for(60_000)

    assert (batch(), batch(latent_dim=2), batch(latent_dim=2, max_batch=32)) == (256, 128, 32)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"latent_dims": 2}, r"unknown setting 'latent_dims'; did you mean latent_dim\?"),
        ({"image_shape": (3, 8, 8)}, "unknown setting 'image_shape'"),
        ({"xyz": 1}, "unknown setting 'xyz'\n"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"lr": -1.0}, "lr"),
        ({"model": "gan"}, "unknown model family 'gan'"),
        ({"device": "tpu"}, "device"),
    ],
)
def test_what_no_training_takes_is_refused(settings, says):
    with pytest.raises(UsageError, match=says):
        train(images(), **settings)


@pytest.mark.parametrize("setting", [{"finish": 0.5}, {"labelled_fraction": 0.5}])
def test_what_says_how_hybrids_are_mixed_needs_hybrids(setting):
    with pytest.raises(UsageError, match="there are no hybrids") as caught:
        train_cnn(images(), **setting)
    assert caught.value.remedy == "give some: `hybrids`"


def test_too_few_images_or_classes_are_refused():
    with pytest.raises(DataError, match="holds one image, too few"):
        train(images(1), **SMALL)
    with pytest.raises(DataError, match="no labels to learn from"):
        train_cnn(images(labelled=False))
    with pytest.raises(DataError, match="one class"):
        train_cnn(images().only(["a"]))
    check_named(images())
    with pytest.raises(DataError, match="no labels to name the clusters with"):
        check_named(images(labelled=False))
    for asked, remedy in ("--gmm", ", or train without labels: `no_classes`"), ("VAL", ""):
        with pytest.raises(DataError, match="are of one class") as caught:
            check_named(images().only(["a"]), asked)
        assert caught.value.remedy == f"label images of another class{remedy}"


def test_a_classifier_begins_with_an_encoder_and_is_of_its_architecture():
    start = train(images(), **SMALL)
    settings = {"labels_per_class": 5, "min_steps": 0, "epochs": 1, "device": "cpu"}
    begun = train_cnn(images(), start=start, lr=1e-9, **settings)
    encoder = start.network.encoder.state_dict()
    found = begun.network.layers.state_dict()
    assert encoder.keys() == found.keys()
    moved = [name for name in encoder if not torch.allclose(encoder[name], found[name], atol=1e-6)]
    assert all("running" in name or "num_batches" in name for name in moved)
    assert begun.training["data"]["start"] == start.fingerprint
    assert begun.training["settings"]["lr"] == 1e-9
    assert train_cnn(images(), start=start, **settings).training["settings"]["lr"] == 1e-3


def test_what_the_encoder_decides_is_not_asked_for_beside_it():
    start = train(images(), **SMALL)
    with pytest.raises(UsageError, match="`width` is 32, and the model, to begin with, has 16"):
        train_cnn(images(), start=start, width=32, epochs=1, device="cpu")
    wide = ImageSet(np.zeros((4, 1, 8, 12), np.uint8), Labels(np.arange(4) % 2, ("a", "b")))
    with pytest.raises(DataError, match="the images do not fit"):
        train_cnn(wide, start=start, epochs=1, device="cpu")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_run_begins_with_the_weights_and_settings_of_a_model(family):
    start = train(images(), model=family, **SMALL)
    weights = {name: tensor.clone() for name, tensor in start.network.state_dict().items()}
    held = {"held_out": 0.0, "batch_size": 40, "epochs": 1, "device": "cpu"}
    begun = train(images(), continue_from=start, lr=1e-9, seed=5, **held)
    assert (begun.family, begun.config) == (family, start.config)
    assert begun.training["data"]["start"] == start.fingerprint != begun.fingerprint
    learned = {name: each for name, each in begun.network.named_parameters() if each.requires_grad}
    moved = [name for name, tensor in learned.items() if not torch.allclose(tensor, weights[name], atol=1e-6)]
    assert not moved
    assert all(torch.equal(tensor, weights[name]) for name, tensor in start.network.state_dict().items())
    again = train(images(), continue_from=start, lr=1e-9, seed=5, width=16, model=family, **held)
    assert again.fingerprint == begun.fingerprint


def test_a_new_run_goes_on_learning_from_where_a_model_is():
    digits, settings = load("digits", classes=["1", "4", "8"]), {"batch_size": 32, "held_out": 0.0, "device": "cpu"}
    of_model = {"backbone": "mlp", "width": 32, "latent_dim": 3}
    start = train(digits, epochs=20, **of_model, **settings)
    begun, fresh = (
        train(digits, continue_from=start, epochs=2, **settings),
        train(digits, epochs=2, **of_model, **settings),
    )
    assert begun.history[-1]["loss"] < start.history[-1]["loss"] + 1 < fresh.history[-1]["loss"] - 10


def test_a_classifier_goes_on_with_its_own_classes():
    settings = {"min_steps": 0, "epochs": 1, "device": "cpu"}
    start = train_cnn(images(), width=16, **settings)
    begun = train_cnn(images().take(np.arange(7)), start=start, lr=1e-9, batch_size=7, **settings)
    assert (begun.config, begun.class_names) == (start.config, ("b", "a"))
    parameters = dict(begun.network.named_parameters())
    assert all(torch.allclose(parameters[name], old, atol=1e-6) for name, old in start.network.named_parameters())
    other = ImageSet(images().images, Labels(np.arange(40) % 2, ("a", "c")), name="set")
    with pytest.raises(DataError, match="set has classes that the model does not: c"):
        train_cnn(other, start=start, **settings)
    with pytest.raises(UsageError, match="is a classifier of pixels"):
        train(images(), continue_from=start)


@pytest.mark.parametrize("views", [None, "auto", "scans", "none"])
def test_views_are_chosen_by_the_images_unless_they_are_named(views):
    found = train(images(), views=views, **SMALL)
    assert found.config.views == {None: "digits", "auto": "digits"}.get(views, views)


GROUND = np.random.default_rng(1).integers(0, 256, (1, 1, 8, 8), dtype=np.uint8)
NOTHING_TO_LEARN = {
    "black": (np.zeros((600, 1, 8, 8), np.uint8), "all 600 images of set are the same(.|\n)*all black"),
    "white": (np.full((3, 3, 8, 8), 255, np.uint8), "all 3 images of set are the same(.|\n)*all white"),
    "copies": (np.repeat(GROUND, 300, 0), "are the same"),
    "copies with noise": (np.repeat(GROUND // 2, 40, 0) + images(40).images % 2, "are the same"),
    "one image": (GROUND, "set holds one image, too few"),
}


@pytest.mark.parametrize("learn", [train, train_cnn])
@pytest.mark.parametrize("case", NOTHING_TO_LEARN)
def test_images_that_cannot_teach_are_refused_before_training(case, learn):
    pixels, expected = NOTHING_TO_LEARN[case]
    labels = Labels(np.arange(len(pixels)) % 2, ("b", "a"))
    if learn is train_cnn and len(pixels) == 1:
        expected = "one class"
    with pytest.raises(DataError, match=expected):
        learn(ImageSet(pixels, labels, name="set"), **SMALL)


def test_labelled_images_that_are_the_same_are_refused_before_training():
    labels = Labels(np.arange(30) % 2, ("b", "a"))
    blank = ImageSet(np.zeros((30, 1, 8, 8), np.uint8), labels, name="val")
    with pytest.raises(DataError, match=r"all 30 images of val are the same(.|\n)*all black"):
        check_named(blank, "VAL")
    with pytest.raises(DataError, match="all 30 images of val are the same"):
        train_cnn(images(), blank, **SMALL)
    few = images(30)
    same = replace(few, images=np.where(np.arange(30)[:, None, None, None] < 4, GROUND, few.images))
    with pytest.raises(DataError, match=r"all 4 labelled images of .* are the same"):
        check_named(replace(same, labels=Labels(np.where(np.arange(30) < 4, np.arange(30) % 2, -1), ("b", "a"))))


ADVISED = {  # what is known of images that are all the same, and the options that could show that they differ
    "bytes": ((), 0, ""), "a level of noise": ((), 1, "`range`"),
    "drawings": (("laid on black in 3 file(s)",), 0, "`background`"),
    "clipped": (("9 of 9 numbers lie outside `range` 0…1",), 0, "`range`"),
    "both": (("laid on white in 3 file(s)", "`range` 9 spreads them"), 0, "`background` or `range`"),
}  # fmt: skip


@pytest.mark.parametrize("case", ADVISED)
def test_only_options_that_could_help_are_advised_for_images_that_are_the_same(case):
    notes, noise, ways = ADVISED[case]
    pixels = np.repeat(GROUND // 2, 30, 0)
    pixels[::2] += np.uint8(noise)
    with pytest.raises(DataError, match="are the same") as caught:
        train(ImageSet(pixels, name="set", notes=notes), **SMALL)
    assert str(caught.value).partition("pixels mean: ")[2] == ways


def test_one_image_that_differs_is_enough_to_begin():
    pixels = np.repeat(GROUND // 2, 30, 0)
    pixels[-1, 0, 3, 3] += 9
    assert len(train(ImageSet(pixels, name="set"), **SMALL).history) == 1


@pytest.mark.parametrize("family", ["vqvae", "fsq"])
def test_a_model_that_has_learned_nothing_says_so(family):
    digits = load("digits", classes=["1", "4", "8"])
    how = {"model": family, "backbone": "mlp", "width": 32, "epochs": 16, "device": "cpu"}
    lost, learned = train(digits, lr=10.0, **how), train(digits, **how)
    assert lost.training["measures"]["explained_variance"] < 0.01
    assert any("learned next to nothing" in note for note in lost.notes)
    assert learned.notes == ()
    shades = digits.images[:200] / 255
    explained = 1 - np.mean((learned.reconstruct(digits.images[:200]) - shades) ** 2) / shades.var(axis=0).mean()
    assert learned.training["measures"]["explained_variance"] == pytest.approx(explained, abs=0.1)


def test_of_images_that_are_all_alike_no_variance_is_explained():
    network = FAMILIES["vae"](FAMILIES["vae"].Config((1, 8, 8), width=8, latent_dim=2)).eval()
    alike = np.full((40, 1, 8, 8), 7, np.uint8)
    assert explained_variance(TrainedModel("vae", network), alike) == {}
    other = np.concatenate([alike, alike + 1])
    assert explained_variance(TrainedModel("vae", network), other)["explained_variance"] < 0  # by a half of one shade
