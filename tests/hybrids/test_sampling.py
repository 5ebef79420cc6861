"""Samples: the same for the same seed, of the classes in turn, in blocks of any size; and what cannot be asked for."""

import numpy as np
import pytest

import latentcli as lc
from latentcli.core.errors import ModelFileError, UsageError
from latentcli.hybrids import sampling
from latentcli.hybrids.sampling import Sampler, SampleRecipe
from latentcli.models import FAMILIES, PRIORS, create
from latentcli.models.trained import TrainedModel

MODELS = {
    "vqvae": {"codes": 8, "latent_dim": 4, "backbone": "conv", "stages": 2},
    "fsq": {"backbone": "conv", "stages": 2},
    "vae": {"latent_dim": 3, "backbone": "mlp"},
}


def model(family: str) -> TrainedModel:
    config = FAMILIES[family].Config((1, 8, 8), width=16, **MODELS[family])
    return TrainedModel(family, create(family, config, 0).eval(), fingerprint=family.ljust(64, "f"), name="vae.pth")


def prior(of: TrainedModel, *names: str) -> TrainedModel:
    """One that was never trained: each code is as likely as any other."""
    config = PRIORS["transformer"].Config(
        of.image_shape,
        of.config.grid,
        codes=of.network.quantiser.size,
        dimensions=of.network.quantiser.dimensions,
        classes=len(names),
        width=8,
        layers=1,
        heads=2,
    )
    network = create("transformer", config, 0).eval()
    return TrainedModel("transformer", network, names, {"data": {"checkpoint": of.fingerprint}}, name="prior.pth")


@pytest.mark.parametrize("family", ["vqvae", "fsq"])
def test_samples_are_decoded_codes_of_the_classes_in_turn(family):
    vqvae = model(family)
    found = lc.sample(vqvae, prior(vqvae, "cat", "dog", "owl"), 5, classes=["owl", "cat"], seed=3)
    assert found["classes"].tolist() == ["cat", "dog", "owl"]
    assert found["soft_labels"].argmax(axis=1).tolist() == [2, 0, 2, 0, 2]
    codes = found["latents"].astype(np.int32).reshape(5, 2, 2)
    decoded = vqvae.decode(lc.Latents({"codes": codes}, vqvae.fingerprint))
    assert np.array_equal(found["images"], np.round(decoded[:, 0] * 255).astype(np.uint8))


@pytest.mark.parametrize("with_prior", [True, False])
def test_the_same_seed_gives_the_same_and_more_samples_begin_like_fewer(monkeypatch, with_prior):
    monkeypatch.setattr(sampling, "MOST_ROWS", 7)
    vqvae = model("vqvae")
    of_codes = prior(vqvae, "cat", "dog") if with_prior else None
    more, again, fewer = (lc.sample(vqvae, of_codes, count, seed=5) for count in (20, 20, 9))
    for name, array in more.items():
        assert np.array_equal(array, again[name]), name
        assert np.array_equal(array[:9] if len(array) == 20 else array, fewer[name]), name
    assert not np.array_equal(lc.sample(vqvae, of_codes, 20, seed=6)["latents"], more["latents"])
    sizes = [len(block.images) for block in Sampler(SampleRecipe(), vqvae, of_codes).blocks(20)]
    assert sizes == [7, 7, 6]


def test_many_places_are_drawn_a_few_images_at_a_time(monkeypatch):
    vqvae = model("vqvae")
    for of_codes, kept_of_one in ((prior(vqvae), 2 * 1 * 4 * 8), (None, 2 * 2 * 4)):  # keys and values; latents
        monkeypatch.setattr(sampling, "MOST_NUMBERS", 2 * kept_of_one + 1)
        sampler = Sampler(SampleRecipe(), vqvae, of_codes)
        assert [len(block.images) for block in sampler.blocks(5)] == [2, 2, 1]


def test_without_classes_there_are_no_soft_labels():
    vqvae, vae = model("vqvae"), model("vae")
    for found in (
        lc.sample(vqvae, prior(vqvae), 4), lc.sample(vqvae, prior(vqvae, "cat", "dog"), 4, guidance=0.0),
        lc.sample(vae, None, 4), lc.sample(vqvae, None, 4),
    ):  # fmt: skip
        assert sorted(found) == ["images", "latents"]
        assert found["images"].shape == (4, 8, 8)
    assert lc.sample(vae, None, 4)["latents"].shape == (4, 3)


def test_what_cannot_be_asked_for_is_refused():
    vqvae, vae = model("vqvae"), model("vae")
    of_codes = prior(vqvae, "cat", "dog")
    with pytest.raises(UsageError, match="the prior has no class 'cow'"):
        lc.sample(vqvae, of_codes, classes=["cow"])
    with pytest.raises(UsageError, match="`guidance` 0 leaves the class out"):
        lc.sample(vqvae, of_codes, classes=["cat"], guidance=0.0)
    with pytest.raises(UsageError, match="it was fitted without labels"):
        lc.sample(vqvae, prior(vqvae), classes=["cat"])
    with pytest.raises(UsageError, match="`guidance` is of a class, and there are none"):
        lc.sample(vqvae, prior(vqvae), guidance=2.0)
    with pytest.raises(UsageError, match="`count` is 0"):
        lc.sample(vqvae, of_codes, 0)
    with pytest.raises(UsageError, match="`top_p` is of a prior of codes"):
        lc.sample(vae, None, top_p=0.5)
    with pytest.raises(UsageError, match="`guidance` is of a prior that was fitted, and there is none"):
        lc.sample(vae, None, guidance=2.0)
    with pytest.raises(ModelFileError, match=r"prior.pth was fitted on another checkpoint"):
        lc.sample(vae, of_codes)
    with pytest.raises(ModelFileError, match=r"prior.pth was fitted on another checkpoint"):
        lc.sample(model("fsq"), of_codes)
    with pytest.raises(ModelFileError, match="a model of latents"):
        lc.sample(vqvae, vqvae)
    of_codes.class_names = ("cat",)
    with pytest.raises(ModelFileError, match="expected 2 different names, found 1"):
        lc.sample(vqvae, of_codes)
    of_codes.class_names = "cat", "dog"
    for name, value in {"temperature": 0.0, "top_p": 0.0, "guidance": -1.0}.items():
        with pytest.raises(UsageError, match=name):
            lc.sample(vqvae, of_codes, **{name: value})


def test_a_prior_that_gives_no_numbers_is_refused():
    vqvae = model("vqvae")
    of_codes = prior(vqvae)
    of_codes.network.to_logits.weight.data.fill_(3e38)
    with pytest.raises(ModelFileError, match="the prior gives no numbers"):
        lc.sample(vqvae, of_codes, 2)
