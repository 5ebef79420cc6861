"""From codes to new images in the shell: ``fit-prior``, ``sample``, ``evaluate --prior``, and ``train-cnn`` on them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentcli as lc

SMALL = ["--epochs", 2, "--set", "width=16", "--set", "layers=1", "--set", "heads=2", "--device", "cpu"]


@pytest.fixture(scope="module")
def vqvae(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("prior") / "vqvae.pth"
    model = lc.train(
        lc.load("digits", classes=["1", "4"]), model="vqvae", backbone="conv", width=32, codes=16, views="none",
        latent_dim=4, epochs=2, device="cpu",
    )  # fmt: skip
    model.save(path)
    return path


def test_the_chain_from_codes_to_a_classifier_of_samples(call, vqvae):
    digits = ["digits", "--classes", "1,4", "--device", "cpu"]
    done = call("fit-prior", "digits", vqvae, "--classes", "1,4", *SMALL, "--figures", "pictures", "--json")
    assert done.code == 0, done.err
    assert done.json["classes"] == ["1", "4"]
    assert done.json["written"] == ["prior.pth", "prior.metrics.jsonl", "pictures/history.png"]
    assert not Path("prior.pth.partial").exists()
    done = call("sample", vqvae, "prior.pth", "-n", 40, "--folder", "new", "-o", "samples.npz", "--grid", "grid.png",
                "--top-p", 0.9, "--json", "--device", "cpu")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["classes"] == ["1", "4"]
    assert done.json["written"] == ["samples.npz", "new", "grid.png"]
    assert len([*Path("new").glob("*.png")]) == 40
    small = ["--epochs", 1, "--set", "width=16", "--set", "min_steps=0"]
    for made in ("samples.npz", "new"):
        done = call("train-cnn", *digits, "--hybrids", made, *small, "--json")
        assert (done.code, done.json["hybrids"]) == (0, 40), done.err
    done = call("evaluate", *digits, vqvae, "--prior", "prior.pth", "--json")
    assert done.code == 0, done.err
    assert {"bits_per_code", "bits_per_code_given_class", "bits_per_pixel", "ssim"} <= done.json.keys()
    assert call("info", "prior.pth", vqvae, "--json").json["files"]["prior.pth"]["kind"] == "prior of codes"


def test_python_gives_the_same_bytes(call, vqvae):
    assert call("fit-prior", "digits", vqvae, "--classes", "1,4", *SMALL).code == 0
    assert call("sample", vqvae, "prior.pth", "-n", 30, "--guidance", 2, "--seed", 4, "--device", "cpu").code == 0
    of_shell = [Path(name).read_bytes() for name in ("prior.pth", "samples.npz")]
    model = lc.load_model(vqvae, "cpu")
    latents = model.encode(lc.load("digits", classes=["1", "4"]))
    prior = lc.fit_prior(latents, model, epochs=2, width=16, layers=1, heads=2, device="cpu")
    prior.save("prior.pth")
    lc.write_hybrids("samples.npz", lc.sample(model, prior, 30, guidance=2.0, seed=4))
    assert [Path(name).read_bytes() for name in ("prior.pth", "samples.npz")] == of_shell


def test_without_labels_there_are_images_alone(call, vqvae):
    assert call("encode", "digits", vqvae, "--no-classes", "--device", "cpu").code == 0
    done = call("fit-prior", "latents.npz", vqvae, *SMALL, "--json")
    assert (done.code, done.json["classes"]) == (0, []), done.err
    assert call("sample", vqvae, "prior.pth", "-n", 20, "--grid", "grid.png", "--folder", "new").code == 0
    assert len([*Path("new").iterdir()]) == 20
    assert call("sample", vqvae, "-n", 20).err == (
        f"each code is drawn by itself; for images that show something: latentcli fit-prior DATA {vqvae}\n"
    )
    assert len(lc.load("samples.npz")) == 20
    Path("prior.pth").write_bytes(Path("prior.pth").read_bytes()[:-100])
    for prior in ("prior.pth", "nowhere.pth"):
        done = call("sample", vqvae, prior)
        assert (done.code, f"train again: latentcli fit-prior DATA {vqvae}\n" in done.err) == (4, True), done.err
    done = call("train-cnn", "digits", "--hybrids", "samples.npz")
    assert (done.code, "they were sampled without a class" in done.err) == (3, True), done.err


def test_probabilities_may_be_those_of_a_probe_of_other_features(call, vqvae):
    digits = ["digits", "--classes", "1,4", "--device", "cpu"]
    assert call("fit-probe", *digits, vqvae, "--features", "encoder", "--probe", "linear").code == 0
    done = call("fit-prior", "digits", "--no-classes", vqvae, "--classifier", "probe.pth", *SMALL, "--json")
    assert (done.code, done.json["classes"], done.json["labelled"]) == (0, ["1", "4"], 0), done.err


def test_an_image_is_finished_of_its_half_or_of_what_a_mask_shows_white(call, vqvae):
    assert call("fit-prior", "digits", vqvae, "--classes", "1,4", *SMALL).code == 0
    images = lc.load("digits", classes=["1", "4"]).images
    Image.fromarray(images[0, 0]).save("digit.png")
    mask = np.zeros((8, 8), np.uint8)
    mask[:, :4] = 255
    Image.fromarray(mask).save("mask.png")
    made = {}
    for keep in ("left", "mask.png"):
        done = call(
            "sample", vqvae, "prior.pth", "-n", 12, "--complete", "digit.png", "--keep", keep, "--grid", "g.png"
        )
        assert done.code == 0, done.err
        made[keep] = Path("samples.npz").read_bytes()
    assert made["left"] == made["mask.png"]
    clear = np.dstack([np.full((8, 8), 255, np.uint8), mask])  # white where it is seen
    Image.fromarray(clear, "LA").save("clear.png")
    done = call("sample", vqvae, "prior.pth", "-n", 12, "--complete", "digit.png", "--keep", "clear.png")
    assert (done.code, "laid on" in done.err) == (0, False), done.err
    assert Path("samples.npz").read_bytes() == made["left"]
    red = np.zeros((8, 8, 3), np.uint8)
    red[:, :4, 0] = 255
    Image.fromarray(red).save("red.png")
    done = call("sample", vqvae, "prior.pth", "--complete", "digit.png", "--keep", "red.png")
    assert (done.code, "red.png shows no white" in done.err) == (2, True), done.err
    done = call("sample", vqvae, "prior.pth", "--complete", "digit.png", "--grid", "digit.png")
    assert (done.code, "name another picture" in done.err) == (2, True), done.err
    done = call("sample", vqvae, "prior.pth", "-n", 12, "--grid", "alone.png")
    assert Image.open("g.png").height > Image.open("alone.png").height  # what was given stands above them
    done = call("sample", vqvae, "prior.pth", "-o", "some.png")
    assert (done.code, "some.png ends as a picture's name does" in done.err, Path("some.png").exists()) == (
        2,
        True,
        False,
    )
    done = call("sample", vqvae, "prior.pth", "--keep", "top")
    assert (done.code, "--keep is of an image to complete" in done.err) == (2, True), done.err
    done = call("sample", vqvae, "prior.pth", "--complete", "digit.png", "--keep", "digits")
    assert (done.code, "--keep names 360 images" in done.err) == (2, True), done.err
    done = call("sample", vqvae, "prior.pth", "--complete", "digit.png", "--keep", "bottom")
    assert (done.code, "expected one of: top, left; or a mask" in done.err) == (2, True), done.err
    Image.fromarray(mask[:4]).save("half.png")
    done = call("sample", vqvae, "prior.pth", "--complete", "digit.png", "--keep", "half.png")
    assert (done.code, "expected 8×8 pixels, height first, found 4×8" in done.err) == (2, True), done.err
    for name in ("digit.png", "mask.png"):
        Image.open(name).resize((24, 24)).save(f"large-{name}")
    large = ["--complete", "large-digit.png", "--keep", "large-mask.png"]
    assert call("sample", vqvae, "prior.pth", "-n", 2, *large).code == 0
    done = call("sample", vqvae, "prior.pth", "--complete", "digit.png", "--keep", "none.png")
    assert (done.code, "none.png" in done.err, "no" in done.err) == (3, True, True), done.err
    done = call("sample", vqvae, "prior.pth", "--complete", "digits")
    assert (done.code, "--complete names 360 images" in done.err) == (3, True), done.err


def test_a_prior_that_has_learned_nothing_says_so(call, vqvae):
    done = call("fit-prior", "digits", vqvae, "--lr", 10, *SMALL)
    assert (done.code, "nothing of how codes go together was learned" in done.err) == (0, True), done.err
    assert call("info", "prior.pth", "--json").json["notes"] == [*lc.load_model("prior.pth").notes]


def test_errors_tell_what_to_do(call, vqvae, tiny):
    assert call("train", "digits", "--no-classes", *tiny).code == 0
    done = call("sample", "vae.pth", "--classes", "1")
    assert (done.code, "--classes is of a prior that was fitted, and there is none" in done.err) == (2, True), done.err
    done = call("sample", "vae.pth", "--top-p", "0.5")
    assert (done.code, "--top-p is of a prior of codes, and there is none" in done.err) == (2, True), done.err
    done = call("sample", vqvae, "vae.pth")
    assert (done.code, "is a model of latents" in done.err) == (4, True), done.err
    done = call("evaluate", "missing", vqvae, "--prior", "vae.pth")
    assert (done.code, "is a model of latents" in done.err) == (4, True), done.err
    shutil.copy(vqvae, "prior.pth")
    done = call("sample", "missing.pth", "prior.pth")
    assert done.code == 4
    done = call("fit-prior", "digits", vqvae, "--set", "widht=3")
    assert (done.code, "did you mean width?" in done.err) == (2, True), done.err


def test_the_chain_from_a_vae_to_a_classifier_of_samples(call, tiny):
    digits = ["digits", "--classes", "1,4", "--device", "cpu"]
    assert call("train", *digits, *tiny).code == 0
    small = ["--epochs", 2, "--set", "width=16", "--set", "layers=1", "--device", "cpu"]
    assert call("fit-probe", *digits, "vae.pth", "--features", "encoder", "--probe", "linear").code == 0
    done = call("fit-prior", "digits", "--no-classes", "vae.pth", "--classifier", "probe.pth", *small)
    assert done.code == 0, done.err
    done = call("fit-prior", *digits, "vae.pth", *small, "--json")
    assert (done.code, done.json["classes"]) == (0, ["1", "4"]), done.err
    assert call("info", "prior.pth", "--json").json["kind"] == "prior of latents"
    done = call("sample", "vae.pth", "prior.pth", "-n", 30, "--classes", "4", "--grid", "grid.png", "--device", "cpu")
    assert done.code == 0, done.err
    of_shell = Path("samples.npz").read_bytes()
    done = call("train-cnn", *digits, "--hybrids", "samples.npz", "--epochs", 1, "--set", "width=16", "--set",
                "min_steps=0", "--json")  # fmt: skip
    assert (done.code, done.json["hybrids"]) == (0, 30), done.err
    done = call("evaluate", *digits, "vae.pth", "--prior", "prior.pth", "--json")
    assert done.code == 0, done.err
    assert {"bits_per_dimension", "bits_per_dimension_given_class", "bits_per_dimension_independent"} <= {*done.json}
    vae, prior = lc.load_model("vae.pth", "cpu"), lc.load_model("prior.pth", "cpu")
    lc.write_hybrids("samples.npz", lc.sample(vae, prior, 30, classes=["4"]))
    assert Path("samples.npz").read_bytes() == of_shell
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("digit.png")
    done = call("sample", "vae.pth", "prior.pth", "--complete", "digit.png")
    assert (done.code, "whose latents are no codes" in done.err) == (2, True), done.err
