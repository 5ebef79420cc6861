"""A model may be looked at while it trains: what it shows is its own of that moment, and the run is as it would be."""

import numpy as np
import pytest

import latentcli as lc
from latentcli.core.errors import OutputError
from latentcli.core.progress import Listener, Listeners
from latentcli.training.examples import Examples, split
from latentcli.training.observed import Observed

SMALL = {"epochs": 2, "batch_size": 16, "held_out": 0.2, "seed": 3, "device": "cpu", "views": "none"}
FAMILIES = {
    "vae": {"backbone": "mlp", "width": 32, "latent_dim": 3},
    "plane": {"model": "vae", "width": 32, "latent_dim": 2},  # remembers what it has decoded
    "vqvae": {"model": "vqvae", "backbone": "conv", "width": 16, "codes": 8, "latent_dim": 4},
    "fsq": {"model": "fsq", "backbone": "conv", "width": 16},
}


@pytest.fixture(scope="module")
def images() -> lc.ImageSet:
    digits = lc.load("digits", classes=["1", "4"])
    return digits.take(np.arange(90))


class Looking(Listener):
    """Looks after every step and epoch, and keeps what it saw last."""

    def observing(self, model, history):
        self.model, self.seen, self.modes = model, {}, []

    def look(self):
        self.modes.append(self.model.network.training)
        self.seen, self.latents = self.model.pictures(5), self.model.latents(7)
        self.modes.append(self.model.network.training)

    def stepped(self, images, loss):
        self.look()

    def epoch_ended(self, row):
        self.look()

    def ended(self):
        self.look()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_that_is_looked_at_gives_the_bytes_of_one_that_is_not(images, family):
    looking = Looking()
    seen = lc.train(images, listener=looking, **SMALL, **FAMILIES[family])
    alone = lc.train(images, **SMALL, **FAMILIES[family])
    assert seen.fingerprint == alone.fingerprint
    assert looking.modes[::2] == looking.modes[1::2]
    assert {True, False} <= {*looking.modes}

    shown, rows = looking.seen, looking.model.examples.held_out_rows
    assert {kind: array.shape for kind, array in shown.items()} == dict.fromkeys(
        ("image", "reconstruction", "random codes" if family in ("vqvae", "fsq") else "sample"), (5, 1, 8, 8)
    )
    assert {image.tobytes() for image in shown["image"]} <= {image.tobytes() for image in images.images[rows]}
    reconstructed = seen.reconstruct(shown["image"])  # the weights at the end are the ones that are kept
    np.testing.assert_allclose(shown["reconstruction"] / 255, reconstructed, atol=0.51 / 255)
    held_out, latents = looking.latents
    np.testing.assert_array_equal(latents.flat, seen.encode(held_out).flat)
    assert {*held_out.labels.texts} <= {"1", "4"}


def test_what_is_shown_is_of_the_moment_and_the_images_stay_the_same(images):
    shown = []

    class Keeping(Looking):
        def epoch_ended(self, row):
            shown.append(self.model.pictures(4))

        def stepped(self, images, loss):
            pass

    lc.train(images, listener=Keeping(), **SMALL, **FAMILIES["vae"])
    first, second = shown
    np.testing.assert_array_equal(first["image"], second["image"])
    assert not np.array_equal(first["reconstruction"], second["reconstruction"])
    assert not np.array_equal(first["sample"], second["sample"])


def test_where_nothing_is_held_out_it_is_images_that_are_learned_from(images):
    looking = Looking()
    lc.train(images, listener=looking, **{**SMALL, "held_out": 0.0}, **FAMILIES["vae"])
    assert len(looking.seen["image"]) == 5
    few = Looking()
    lc.train(images, listener=few, **{**SMALL, "held_out": 0.03}, **FAMILIES["vae"])
    assert len(few.seen["image"]) == len(few.model.examples.held_out_rows) == 3


def test_a_classifier_of_pixels_shows_nothing(images):
    looking = Looking()
    lc.train_cnn(images, listener=looking, width=16, epochs=1, min_steps=0, device="cpu")
    assert (looking.seen, looking.latents) == ({}, None)


def test_a_prior_shows_samples_of_its_classes_in_turn_the_same_with_the_same_weights(images):
    vqvae = lc.train(images, **SMALL, **FAMILIES["vqvae"])
    looking, settings = Looking(), {"width": 16, "layers": 1, "heads": 2, "epochs": 2, "device": "cpu"}
    latents = vqvae.encode(images)
    prior = lc.fit_prior(latents, vqvae, listener=looking, **settings)
    assert prior.fingerprint == lc.fit_prior(latents, vqvae, **settings).fingerprint
    assert looking.latents is None
    assert {kind: array.shape for kind, array in looking.seen.items()} == {"sample": (5, 1, 8, 8)}
    np.testing.assert_array_equal(looking.model.pictures(5)["sample"], looking.seen["sample"])


def test_labels_are_those_of_the_images_that_are_shown(images):
    config = lc.train(images, **SMALL, **FAMILIES["vae"]).training["settings"]
    from latentcli.training.config import TrainingConfig

    rows, held_out = split(len(images), TrainingConfig(**config))
    model = lc.train(images, **SMALL, **FAMILIES["vae"])
    observed = Observed(model.network, Examples(images.images, rows, held_out, labels=images.labels))
    found, _ = observed.latents(100)
    assert found.labels.texts.tolist() == images.labels.texts[held_out].tolist()
    np.testing.assert_array_equal(found.images, images.images[held_out])


def test_what_one_listener_cannot_write_is_told_to_all_and_ends_nothing(images):
    told = []

    class Failing(Listener):
        def epoch_ended(self, row):
            raise OutputError("cannot write it", "No space left on device")

        def ended(self):
            raise OutputError("cannot write it either", "No space left on device")

    class Told(Listener):
        def epoch_ended(self, row):
            told.append(row["epoch"])

        def unwritten(self, problem):
            told.append(problem.problem)

    model = lc.train(images, listener=Listeners(Failing(), Told()), **SMALL, **FAMILIES["vae"])
    assert told == ["cannot write it", 1.0, "cannot write it", 2.0, "cannot write it either"]
    assert len(lc.train(images, listener=Failing(), **SMALL, **FAMILIES["vae"]).history) == len(model.history)


def test_all_listeners_are_told_how_a_model_prepares_itself():
    told = []

    class Preparing(Listener):
        def preparing(self, doing, total):
            from contextlib import contextmanager

            @contextmanager
            def advancing():
                yield lambda count: told.append((doing, total, count))

            return advancing()

    with Listeners(Preparing(), Listener(), Preparing()).preparing("encoding", 9) as advance:
        advance(4)
    assert told == [("encoding", 9, 4)] * 2
