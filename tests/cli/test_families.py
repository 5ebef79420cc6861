"""Every command for every family of models, each on what the one before it wrote."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentcli import artifacts
from latentcli.artifacts import checkpoint
from latentcli.artifacts.models import load_classifier, load_model
from latentcli.models import FAMILIES

FAST = ["--batch-size", "64", "--epochs", "2", "--set", "width=64", "--set", "min_epochs=1", "-q"]
QUANTISED = [name for name in FAMILIES if "codes" in FAMILIES[name].FEATURES]
quantised = pytest.mark.parametrize("family", QUANTISED)
families = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="session")
def of_family(trained, tmp_path_factory):
    """A folder with the model of each family, its mixture, and the latents of the training images; made once."""
    from latentcli.cli.app import run

    made: dict[str, Path] = {}

    def call(*arguments: object) -> None:
        with pytest.raises(SystemExit) as end:
            run([str(argument) for argument in arguments])
        assert end.value.code == 0

    def folder(family: str) -> Path:
        if family not in made:
            where = tmp_path_factory.mktemp(family)
            vae = where / "vae.pth"
            call("train", trained.train, "--model", family, "-o", vae, "--gmm", where / "trained.pkl", *FAST)
            call("encode", trained.train, vae, "-o", where / "latents.npz", "-q")
            call("fit-gmm", where / "latents.npz", vae, "-o", where / "gmm_params.pkl", "-q")
            made[family] = where
        return made[family]

    return folder


@pytest.fixture
def files(of_family, family, tmp_path) -> Path:
    """A copy of that folder, which is also where commands run."""
    shutil.copytree(of_family(family), tmp_path, dirs_exist_ok=True)
    return tmp_path


@families
def test_latents_give_the_mixture_that_training_gives_and_it_classifies(call, trained, files):
    assert (files / "trained.pkl").read_bytes() == (files / "gmm_params.pkl").read_bytes()
    done = call("classify", trained.test, "vae.pth", "gmm_params.pkl", "--json")
    assert done.code == 0, done.err
    assert done.json["accuracy"] > 0.6


@families
def test_latents_decode_to_the_reconstructions_of_their_images(call, trained, files):
    assert call("reconstruct", trained.train, "vae.pth", "-o", "images.npz").code == 0
    done = call("reconstruct", "latents.npz", "vae.pth", "--grid", "grid.png", "--figures", "pictures", "--json")
    assert done.code == 0, done.err
    assert set(done.json) == {"images", "seconds", "written"}
    decoded, through = np.load("vae_reconstructed.npz")["data"], np.load("images.npz")["data"]
    assert done.json["images"] == len(decoded)
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, through, atol=1e-6)
    assert Path("grid.png").read_bytes() == Path("pictures/reconstructions.png").read_bytes()


@families
def test_hybrids_are_valid_latents_their_images_and_their_soft_labels(call, files):
    done = call("hybridize", "vae.pth", "gmm_params.pkl", "-n", 40, "--grid", "grid.png", "--json")
    assert done.code == 0, done.err
    found = artifacts.read_hybrids(Path("hybrids.npz"))
    model = checkpoint.read(Path("vae.pth")).network
    latents = torch.from_numpy(found["latents"])
    with torch.inference_mode():
        assert torch.equal(model.valid(latents), latents)
        decoded = np.round(255 * model.decode(latents)[:, 0].numpy())
    assert np.abs(decoded - found["images"]).max() <= 1
    mixture = load_classifier(Path("gmm_params.pkl"), load_model(Path("vae.pth"), "cpu"))
    np.testing.assert_allclose(mixture.predict_proba(found["latents"]), found["soft_labels"])


@families
@pytest.mark.parametrize("kind", ["history", "latent", "manifold", "reconstructions", "confusion"])
def test_every_picture_is_drawn(call, trained, files, kind):
    given = {
        "history": ["vae.pth"],
        "latent": [trained.test, "vae.pth", "gmm_params.pkl"],
        "manifold": ["vae.pth", "gmm_params.pkl"],
        "reconstructions": [trained.test, "vae.pth"],
        "confusion": [trained.test, "vae.pth", "gmm_params.pkl"],
    }[kind]
    done = call("plot", kind, *given, "-o", "picture.png")
    assert done.code == 0, done.err
    assert Image.open("picture.png").size[0] > 300


@families
def test_latents_of_another_checkpoint_are_refused(call, files, trained):
    done = call("reconstruct", "latents.npz", trained.vae)
    assert done.code == 4
    assert "another checkpoint" in done.err
    assert not Path("vae_reconstructed.npz").exists()


@quantised
def test_codes_alone_are_decoded_whatever_integers_they_are(call, files):
    codes = np.load("latents.npz")["codes"]
    assert codes.dtype == np.int32
    assert call("reconstruct", "latents.npz", "vae.pth", "-o", "whole.npz").code == 0
    for kind in (np.uint16, np.int64):
        np.savez("codes.npz", codes=codes.astype(kind))
        assert call("reconstruct", "codes.npz", "vae.pth").code == 0
        np.testing.assert_array_equal(np.load("vae_reconstructed.npz")["data"], np.load("whole.npz")["data"])


@quantised
@pytest.mark.parametrize(
    "spoil",
    [lambda codes: codes - 1, lambda codes: codes + 10**6, lambda codes: codes[:, :-1], lambda codes: codes + 0.5,
     lambda codes: codes.astype(np.uint64) + np.uint64(2**63), lambda codes: codes[0], lambda codes: codes * 1j,
     lambda codes: codes[:0]],
)  # fmt: skip
def test_what_are_no_codes_of_the_model_is_refused_and_nothing_written(call, files, spoil):
    codes = np.load("latents.npz")["codes"]
    codes[0, 0, 0] = 0
    np.savez("codes.npz", codes=spoil(codes))
    done = call("reconstruct", "codes.npz", "vae.pth")
    assert done.code == 3, done.err
    assert not Path("vae_reconstructed.npz").exists()


@quantised
def test_a_gate_on_what_latents_cannot_tell_is_an_error(call, files):
    done = call("reconstruct", "latents.npz", "vae.pth", "--fail-under", "ssim=0.5")
    assert done.code == 2
    assert "ssim" in done.err


@quantised
def test_without_labels_there_are_pictures_too(call, trained, tmp_path, family):
    np.savez("images.npz", data=np.load(trained.train)["data"])
    done = call("train", "images.npz", "--model", family, "--figures", "pictures", *FAST)
    assert done.code == 0, done.err
    drawn = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert drawn == {"history.png", "latent.png", "reconstructions.png"}  # codes have no plane of their own


@quantised
def test_messages_name_the_checkpoint_that_was_given(files, call, trained):
    (files / "vae.pth").rename(files / "mine.pth")
    done = call("hybridize", "mine.pth", trained.gmm, "-n", 5)
    assert done.code == 4
    assert "expected latents of mine.pth" in done.err
    assert "latentcli fit-gmm DATA mine.pth" in done.err
    for wrong, kind in ("mine.pth", "model"), ("latents.npz", "file of latents"):  # neither is to be written over
        done = call("classify", trained.test, "mine.pth", wrong)
        assert done.code == 2
        assert f"{wrong} is a {kind}, and stands where a classifier" in done.err
        assert f"-o {wrong}" not in done.err
