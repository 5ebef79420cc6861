"""Finishing an image: what is kept stays, nothing is seen of the rest, and masks of any shape say what that is."""

import numpy as np
import pytest

import latentcli as lc
from latentcli.core.errors import DataError, UsageError
from latentcli.hybrids.completing import given
from latentcli.models import FAMILIES, PRIORS, create
from latentcli.models.trained import TrainedModel

SHAPE = (1, 40, 32)


@pytest.fixture(scope="module")
def vqvae() -> TrainedModel:
    """An untrained one of maps of 10×8 codes, each of 4×4 pixels."""
    config = FAMILIES["vqvae"].Config(SHAPE, width=32, codes=16, latent_dim=4, stages=2)
    return TrainedModel("vqvae", create("vqvae", config, 0).eval(), fingerprint="f" * 64, name="vqvae.pth")


@pytest.fixture(scope="module")
def prior() -> TrainedModel:
    config = PRIORS["transformer"].Config(SHAPE, (10, 8), codes=16, dimensions=4, classes=2, width=8, layers=1, heads=2)
    network, of = create("transformer", config, 1).eval(), {"data": {"checkpoint": "f" * 64}}
    return TrainedModel("transformer", network, ("cat", "dog"), of)


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, SHAPE, dtype=np.uint8)


def test_what_is_kept_stays_and_decodes_to_the_same_bytes_far_from_the_rest(vqvae, prior):
    part = given(image(), "top", vqvae)
    assert part.kept.tolist() == [[row < 5] * 8 for row in range(10)]
    assert (part.image[:, :20] == image()[:, :20]).all()
    assert (part.image[:, 20:] == 127).all()
    found = lc.sample(vqvae, prior, 6, complete=image())
    codes = found["latents"].reshape(6, 10, 8)
    assert (codes[:, part.kept] == part.codes[part.kept]).all()
    assert len(np.unique(codes[:, ~part.kept], axis=0)) == 6
    assert "classes" not in found
    top = found["images"][:, :4]
    assert (top == top[0]).all()
    assert not (found["images"][:, 30:] == found["images"][:1, 30:]).all()


def test_nothing_is_seen_of_the_part_that_is_made_anew(vqvae, prior):
    mask = np.zeros(SHAPE[1:], bool)
    mask[10:, :13] = True
    for keep, unknown in (("left", np.s_[:, :, 16:]), ("top", np.s_[:, 20:]), (mask, np.s_[:, :10])):
        other = image()
        other[unknown] = image(1)[unknown]
        one, two = (lc.sample(vqvae, prior, 3, complete=each, keep=keep) for each in (image(), other))
        assert np.array_equal(one["latents"], two["latents"])
    kept = given(image(), mask, vqvae).kept
    assert kept[3:, :3].all()  # pixels 12 … 39, and 0 … 11
    assert kept.sum() == 7 * 3


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_kept_are_the_codes_of_the_image(vqvae, seed):
    part, whole = given(image(seed), "top", vqvae), vqvae.encode(image(seed)[None]).arrays["codes"][0]
    assert (part.codes[:3] == whole[:3]).all()  # the codes nearer to the border see what is beyond it
    assert part.kept[:3].all()


def test_a_class_may_be_named(vqvae, prior):
    found = lc.sample(vqvae, prior, 2, complete=image(), classes=["dog"], guidance=2.0)
    assert found["soft_labels"].tolist() == [[0, 1], [0, 1]]
    with pytest.raises(UsageError, match="`guidance` is of a class, and an image is completed without one"):
        lc.sample(vqvae, prior, 2, complete=image(), guidance=2.0)


def test_what_cannot_be_completed_is_refused(vqvae, prior):
    small = np.zeros(SHAPE[1:], bool)
    small[:3, :3] = True
    with pytest.raises(UsageError, match="`keep` keeps no code of the image"):
        given(image(), small, vqvae)
    with pytest.raises(UsageError, match="`keep` keeps every code"):
        given(image(), ~(small & ~small), vqvae)
    with pytest.raises(UsageError, match="expected one of: top, left; or a mask"):
        given(image(), "bottom", vqvae)
    with pytest.raises(DataError, match="the mask does not fit"):
        given(image(), small[1:], vqvae)
    with pytest.raises(DataError, match="`complete` names 2 images"):
        lc.sample(vqvae, prior, complete=lc.ImageSet(np.stack([image()] * 2)))
    with pytest.raises(DataError, match=r"the image to complete does not fit vqvae.pth"):
        given(image()[:, 1:], "top", vqvae)
    with pytest.raises(DataError, match="expected uint8"):
        lc.sample(vqvae, prior, complete=image() / 255)
    with pytest.raises(UsageError, match="`complete` is of a prior of codes"):
        lc.sample(vqvae, None, complete=image())
