"""``hybridize`` from the shell: strategies, likelihoods, a folder, pictures, and calls that make no sense."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli import artifacts
from latentcli.artifacts.hybrid_dataset import HybridDataset
from latentcli.hybrids import LIKELIHOODS, STRATEGIES

PAIRS = [(strategy, likelihood) for strategy in STRATEGIES for likelihood in LIKELIHOODS if likelihood != "graph"]


@pytest.mark.parametrize(("strategy", "likelihood"), PAIRS)
def test_every_strategy_with_every_likelihood(call, trained, strategy, likelihood):
    near = ["--near", trained.train] if strategy == "posterior" or likelihood == "neighbours" else []
    files = [trained.vae, trained.gmm, *near]
    done = call(
        "hybridize", *files, "-n", 60, "--strategy", strategy, "--likelihood", likelihood, "--figures", "pictures"
    )
    assert done.code == 0, done.err
    found = artifacts.read_hybrids(Path("hybrids.npz"))
    assert [len(found[name]) for name in ("images", "soft_labels", "latents")] == [60] * 3
    for name in ("hybrids.png", "hybrids-plane.png"):
        assert Image.open(f"pictures/{name}").size[0] > 400


def test_a_folder_holds_the_same_as_the_file(call, trained):
    arguments = [trained.vae, trained.gmm, "-n", 40, "--seed", 3, "--json"]
    done = call("hybridize", *arguments, "--folder", "both", "-o", "h.npz")
    assert done.code == 0, done.err
    assert done.json["written"] == ["h.npz", "both"]
    assert call("hybridize", *arguments, "--folder", "alone").json["written"] == ["alone"]
    assert not Path("hybrids.npz").exists()
    one, other = HybridDataset("both"), HybridDataset("h.npz")
    assert one.classes == other.classes == ("1", "4", "8")
    for (image, soft_label), (same, alike) in zip(one, other, strict=True):
        assert np.array_equal(image, same)
        assert np.allclose(soft_label, alike)
    names = sorted(path.name for path in Path("both").iterdir())
    assert names == sorted(path.name for path in Path("alone").iterdir())
    assert all(Path("both", name).read_bytes() == Path("alone", name).read_bytes() for name in names)
    with Path("both/soft_labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["File", "1", "4", "8"]
    assert len(rows) == 40


def test_latents_of_the_images_serve_as_well_as_the_images(call, trained):
    assert call("encode", trained.train, trained.vae, "-o", "latents.npz").code == 0
    made = []
    for near in (trained.train, "latents.npz"):
        done = call(
            "hybridize", trained.vae, trained.gmm, "--strategy", "posterior", "--near", near, "--classes", "4,8"
        )
        assert done.code == 0, done.err
        made.append(artifacts.read_hybrids(Path("hybrids.npz")))
    assert np.array_equal(made[0]["images"], made[1]["images"])
    assert set(made[0]["soft_labels"].argmax(axis=1)) == {1, 2}


@pytest.mark.parametrize("option", [["--labels", "labels.csv"], ["--resize"], ["--split", "test"], ["--no-label", ""]])
def test_latents_have_no_use_for_what_is_said_of_images(call, trained, option):
    assert call("encode", trained.train, trained.vae, "-o", "latents.npz").code == 0
    done = call("hybridize", trained.vae, trained.gmm, "--near", "latents.npz", *option)
    assert (done.code, f"{option[0]} is of images, and latents.npz holds latents" in done.err) == (2, True), done.err
    assert not Path("hybrids.npz").exists()


def test_paths_between_images_are_decoded_with_their_soft_labels(call, trained):
    found = []
    for near in ([], ["--near", trained.train]):
        done = call("hybridize", trained.vae, trained.gmm, "--classes", "4,8", "--ratio", 0.5, *near)
        assert done.code == 0, done.err
        found.append(artifacts.read_hybrids(Path("hybrids.npz")))
    drawn, between = found
    assert not np.array_equal(drawn["latents"], between["latents"])
    assert np.allclose(between["soft_labels"].sum(axis=1), 1)
    assert set(between["soft_labels"].argmax(axis=1)) >= {1, 2}


def test_the_same_seed_gives_the_same_bytes(call, trained):
    written = []
    for seed in (1, 1, 2):
        assert call("hybridize", trained.vae, trained.gmm, "-n", 300, "--seed", seed).code == 0
        written.append(Path("hybrids.npz").read_bytes())
    assert written[0] == written[1] != written[2]


def test_a_ratio_and_a_temperature_show_in_the_soft_labels(call, trained):
    def mean(*arguments):
        assert call("hybridize", trained.vae, trained.gmm, "-n", 400, "--classes", "4,8", *arguments).code == 0
        return artifacts.read_hybrids(Path("hybrids.npz"))["soft_labels"].mean(axis=0)

    near, far, soft = mean("--ratio", 0.1), mean("--ratio", 0.9), mean("--ratio", 0.1, "--temperature", 1e6)
    assert near[1] > 0.8 > 0.2 > near[2]
    assert far[2] > 0.8 > 0.2 > far[1]
    assert np.allclose(soft, 1 / 3, atol=0.01)


def test_images_of_other_classes_are_no_ends_of_paths(call, trained):
    arrays = np.load(trained.test)
    np.savez("others.npz", data=arrays["data"], labels=arrays["labels"] + 100)
    for arguments in (["between"], ["mixup"], ["boundary"], ["prior", "--likelihood", "neighbours"]):
        done = call("hybridize", trained.vae, trained.gmm, "--strategy", *arguments, "--near", "others.npz")
        assert (done.code, "no class in common" in done.err) == (3, True), done.err
        assert "expected some of 1, 4, 8, found 101, 104, 108" in done.err
    assert not Path("hybrids.npz").exists()


def test_images_that_nothing_uses_are_refused(call, trained):
    done = call("hybridize", trained.vae, trained.gmm, "--strategy", "mixture", "--near", trained.test)
    assert (done.code, "nor the classifier's own likelihood uses images" in done.err) == (2, True), done.err
    assert not Path("hybrids.npz").exists()


@pytest.mark.parametrize(
    ("code", "says", "arguments"),
    [
        (2, "unknown strategy", ["--strategy", "nowhere"]),
        (2, "unknown likelihood", ["--likelihood", "none"]),
        (2, "a ratio is a position on paths between two classes", ["--ratio", "0.5"]),
        (2, "ratio is 1.5", ["--ratio", "1.5"]),
        (2, "ratio is nan", ["--ratio", "nan"]),
        (2, "no class 'a,b'", ["--classes", '4,"a,b"']),
        (2, "is no list", ["--classes", "4\r8"]),
        (2, "prior knows no classes", ["--strategy", "prior", "--classes", "4,8"]),
        (2, "temperature", ["--temperature", "0"]),
        (2, "the strategy posterior needs images", ["--strategy", "posterior"]),
        (2, "the likelihood neighbours needs images", ["--likelihood", "neighbours"]),
        (2, "--labels is of images", ["--labels", "labels.csv"]),
        (2, "--resize is of images", ["--resize"]),
        (3, "nowhere.npz", ["--strategy", "between", "--near", "nowhere.npz"]),
        (3, "is empty", ["--strategy", "between", "--near", ""]),
        (2, "names no class", ["--classes", ""]),
        (2, "from 0 to 0.999999", ["--min-confidence", "1"]),
        (6, "is not a folder", ["--folder", "full/file"]),
        (3, "nowhere.npz", ["--strategy", "posterior", "--near", "nowhere.npz"]),
        (2, "hardly any", ["--strategy", "mixture", "--temperature", "1e9", "--min-confidence", "0.9"]),
        (6, "not empty", ["--folder", "full"]),
        (6, "missing is not a folder", ["--folder", "missing/folder"]),
    ],
)
def test_calls_that_make_no_sense_leave_nothing(call, trained, code, says, arguments):
    Path("full").mkdir()
    Path("full/file").write_text("kept")
    done = call("hybridize", trained.vae, trained.gmm, "-n", 30, *arguments)
    assert done.code == code, done.err
    assert says in done.err
    assert len(done.err.splitlines()) <= 3
    assert [str(path) for path in Path().rglob("*")] == ["full", "full/file"]


def test_of_a_model_with_details_classifiers_read_the_rest_and_the_decoder_all(call, trained):
    """From images to hybrids and back: 6 dimensions are read, 4 more are decoded."""
    settings = [
        "--set",
        "latent_dim=10",
        "--set",
        "details=4",
        "--views",
        "scans",
        "--set",
        "width=64",
        "--epochs",
        "2",
    ]
    assert call("train", trained.train, "-o", "details.pth", "--gmm", "details.pkl", *settings, "-q").code == 0
    assert call("fit-graph", trained.train, "details.pth", "-q").code == 0
    assert call("encode", trained.train, "details.pth", "-q").code == 0
    with np.load("latents.npz") as latents:
        assert (latents["mu"].shape[1], latents["details"].shape[1]) == (6, 4)
    for classifier in ("details.pkl", "graph.npz"):
        for near in ([], ["--near", trained.train]):
            done = call("hybridize", "details.pth", classifier, "-n", 12, "--grid", "grid.png", *near, "-q")
            assert (done.code, done.err) == (0, "")
            with np.load("hybrids.npz") as hybrids:
                assert hybrids["latents"].shape == (12, 10)
                assert hybrids["latents"][:, 6:].any() == bool(near)
        assert call("classify", trained.test, "details.pth", classifier, "-q").code == 0
    assert call("reconstruct", "latents.npz", "details.pth", "-q").code == 0
    with np.load("vae_reconstructed.npz") as of_latents:
        decoded = of_latents["data"]
    assert call("reconstruct", trained.train, "details.pth", "-q").code == 0
    with np.load("vae_reconstructed.npz") as of_images:
        np.testing.assert_allclose(of_images["data"], decoded, atol=1e-5)
