"""Probes from the shell: train → fit-probe → classify → evaluate, for families with and without codes."""

from pathlib import Path

import pytest

from latentcli.artifacts import checkpoint
from latentcli.artifacts import probes as probe_files
from latentcli.classifiers import PROBES
from latentcli.cli.app import run
from latentcli.models import FAMILIES

families = pytest.mark.parametrize("family", ["vae", "vqvae"])
SAMPLES = Path(__file__).parents[2] / "sample_data"


def small(family: str) -> list[str]:
    """Settings of a model that is small and trained in no time."""
    return ["--model", family, "--backbone", "mlp", "--set", "width=64", "--set", "epochs=2", "-q"]


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A folder with vae.pth and vqvae.pth, trained for two epochs on the sample data's unlabelled images."""
    folder = tmp_path_factory.mktemp("models")
    for family in ("vae", "vqvae"):
        with pytest.raises(SystemExit) as end:
            run(
                [str(part) for part in ["train", SAMPLES / "train.npz", "-o", folder / f"{family}.pth", *small(family)]]
            )
        assert end.value.code == 0
    return folder


@families
def test_the_whole_chain_on_the_sample_data(call, models, family):
    vae = models / f"{family}.pth"
    done = call("fit-probe", SAMPLES / "train.npz", vae, "--val", SAMPLES / "val.npz", "--json", "-q")
    assert (done.code, done.err) == (0, "")
    assert done.json["images"] == 15
    assert done.json["classes"] == ["1", "4", "8"]
    assert done.json["networks"] == 3
    assert done.json["written"] == ["probe.pth"]
    classified = call("classify", SAMPLES / "test", vae, "probe.pth", "--json", "--figures", "pictures").json
    assert classified["accuracy"] > 0.5
    assert {path.name for path in Path("pictures").iterdir()} == {"confusion.png", "labels.png", "predictions.png"}
    evaluated = call("evaluate", SAMPLES / "test", vae, "probe.pth", "--json", "--figures", "more").json
    assert evaluated["confusion_matrix"] == classified["confusion_matrix"]
    assert {"confusion.png", "reconstructions.png"} <= {path.name for path in Path("more").iterdir()}
    reconstructed = call("reconstruct", SAMPLES / "test", vae, "--json").json
    for name in ("images", "mse", "psnr", "ssim"):
        assert evaluated[name] == pytest.approx(reconstructed[name], rel=1e-6)
    encoded = call("encode", SAMPLES / "test", vae, "--json").json
    own = {name for name in encoded if name not in ("images", "dimensions", "seconds", "written")}
    assert own
    assert {name: evaluated[name] for name in own} == {name: encoded[name] for name in own}


@families
@pytest.mark.parametrize("probe", PROBES)
def test_every_probe_reads_every_feature(call, models, family, probe, tmp_path):
    vae = models / f"{family}.pth"
    names = FAMILIES[checkpoint.read(vae).family].FEATURES
    if probe == "conv":
        names = names[-1:]
    for name in names if probe == "knn" else names[:2]:
        short = [] if probe == "knn" else ["--set", "epochs=40"]
        done = call("fit-probe", SAMPLES / "val.npz", vae, "--probe", probe, "--features", name, *short, "--json", "-q")
        assert done.code == 0, done.err
        params = probe_files.read(Path("probe.pth"), fitted_on=checkpoint.read(vae).fingerprint)
        assert (params["kind"], params["features"]) == (probe, name)
        done = call("classify", SAMPLES / "val.npz", vae, "probe.pth", "--json", "-q")
        assert done.code == 0, done.err
        assert done.json["accuracy"] > 0.9  # of what it was fitted to


@families
def test_latents_and_images_give_the_same_probe(call, models, family):
    vae = models / f"{family}.pth"
    assert call("encode", SAMPLES / "val.npz", vae).code == 0
    first = FAMILIES[family].FEATURES[0]
    assert call("fit-probe", "latents.npz", "--probe", "knn", "-o", "a.pth", "--features", first).code == 0
    assert call("fit-probe", SAMPLES / "val.npz", vae, "--probe", "knn", "-o", "b.pth", "--features", first).code == 0
    assert Path("a.pth").read_bytes() == Path("b.pth").read_bytes()
    done = call("fit-probe", "latents.npz", "--features", "pixels")
    assert done.code == 2
    assert "need the images" in done.err


@pytest.mark.parametrize(("features", "channels"), [("quantized", 64), ("codes", 1)])
def test_conv_reads_maps_of_numbers_and_of_codes(call, models, features, channels):
    vae, how = models / "vqvae.pth", ["--probe", "conv", "--features", features, "--set", "epochs=5", "-q"]
    assert call("encode", SAMPLES / "val.npz", vae).code == 0
    for arguments in (["latents.npz", "-o", "a.pth"], [SAMPLES / "val.npz", vae, "-o", "b.pth"]):
        assert call("fit-probe", *arguments, *how).code == 0
    assert Path("a.pth").read_bytes() == Path("b.pth").read_bytes()
    assert probe_files.read(Path("a.pth"))["settings"]["shape"] == (7, 7, channels)
    assert call("classify", SAMPLES / "val.npz", vae, "a.pth", "-q").code == 0


def test_conv_says_what_to_do_with_features_that_are_no_maps(call, models):
    done = call("fit-probe", SAMPLES / "val.npz", models / "vae.pth", "--probe", "conv")
    assert (done.code, "conv reads maps" in done.err) == (2, True), done.err


def test_the_epochs_are_logged_and_the_history_is_kept(call, trained):
    done = call("fit-probe", trained.train, trained.vae, "--probe", "linear", "--json", "--seed", 3)
    assert done.code == 0
    lines = done.err.splitlines()
    assert len(lines) == done.json["epochs"]
    assert lines[0].startswith("epoch 1 ")
    assert "val_accuracy" in lines[0]
    params = probe_files.read(Path("probe.pth"))
    assert len(params["history"]) == done.json["epochs"]
    assert params["settings"]["random_state"] == 3
    best = params["history"][done.json["best_epoch"] - 1]
    assert done.json["val_accuracy"] == best["val_accuracy"] > 0.8
    assert call("classify", trained.test, trained.vae, "probe.pth", "--json").json["accuracy"] > 0.85


def test_few_labels_and_gates(call, trained):
    settings = ["fit-probe", trained.train, trained.vae, "--probe", "knn"]
    assert call(*settings, "--labels-per-class", 5, "--json").json["images"] == 15
    assert call(*settings, "--classes", "1,4", "--json").json["classes"] == ["1", "4"]
    assert call(*settings, "--fail-under", "images=10000").code == 7
    assert call("evaluate", trained.test, trained.vae, "--fail-under", "ssim=0.999").code == 7


def test_evaluate_looks_up_the_best_points_as_reconstruct_does(call, trained):
    few = ("--latent-dim", 2, "--epochs", 3, "--set", "width=64", "-o", "few.pth")
    assert call("train", trained.train, *few).code == 0
    first, second = (call(name, trained.test, "few.pth", "--json").json for name in ("reconstruct", "evaluate"))
    assert all(first[name] == second[name] for name in ("mse", "psnr", "ssim"))


def test_evaluate_without_a_classifier_as_a_table(call, trained):
    done = call("evaluate", trained.test, trained.vae)
    assert done.code == 0
    for name in ("images", "mse", "psnr", "ssim", "kl", "active_units"):
        assert f"{name} " in done.out
    assert "accuracy" not in done.out
    with_mixture = call("evaluate", trained.test, trained.vae, trained.gmm, "--json").json
    assert (
        with_mixture["accuracy"] == call("classify", trained.test, trained.vae, trained.gmm, "--json").json["accuracy"]
    )


@pytest.fixture
def probe(call, trained) -> Path:
    """A probe fitted on the trained model."""
    assert call("fit-probe", trained.train, trained.vae, "--probe", "linear", "-q").code == 0
    return Path("probe.pth")


def test_a_probe_is_no_mixture(call, trained, probe):
    rejecting = call("classify", trained.test, trained.vae, probe, "--reject-below", 0.01)
    assert (rejecting.code, "--reject-below" in rejecting.err) == (2, True)
    done = call("hybridize", trained.vae, probe)
    assert (done.code, "no mixture" in done.err) == (4, True)
    assert call("plot", "latent", trained.test, trained.vae, probe).code == 0
    assert call("plot", "confusion", trained.test, trained.vae, probe).code == 0


def test_files_that_are_no_probe_of_this_model_end_with_four(call, trained, models, probe):
    whole = probe.read_bytes()
    Path("cut.pth").write_bytes(whole[:-100])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    Path("flipped.pth").write_bytes(flipped)
    Path("text.pth").write_text("hello")
    for vae, classifier in [
        (trained.vae, "cut.pth"), (trained.vae, "flipped.pth"), (trained.vae, "text.pth"), (trained.vae, "none.pth"),
        (models / "vae.pth", probe),
    ]:  # fmt: skip
        for arguments in (["classify"], ["evaluate"]):
            done = call(*arguments, SAMPLES / "val.npz" if vae.parent == models else trained.test, vae, classifier)
            assert done.code == 4, (vae, classifier, done.err)
            assert len(done.err.splitlines()) <= 3
            assert done.out == ""


def test_forged_probes_end_with_four(call, trained, probe):
    params = probe_files.read(probe)
    narrow = {name: array[..., :3] if array.shape[-1:] == (8,) else array for name, array in params["arrays"].items()}
    for changes in (
        {"features": "codes"}, {"features": "nonsense"}, {"kind": "gmm"}, {"kind": "forest"}, {"arrays": {}},
        {"inputs": 3, "arrays": narrow}, {"settings": {}}, {"classes": ["1", "1", "4"]},
    ):  # fmt: skip
        probe_files.write(Path("forged.pth"), params | changes)
        done = call("classify", trained.test, trained.vae, "forged.pth")
        assert done.code == 4, (changes, done.err)


def test_bad_calls_say_what_is_known(call, trained):
    for arguments, code, said in [
        (["--probe", "forest"], 2, "mlp, conv, linear, knn"),
        (["--probe", "gmm"], 2, "mlp, conv, linear, knn"),
        (["--features", "codes"], 2, "mean, encoder, pixels"),
        (["-o", trained.vae], 2, "is an input"),
        (["--device", "tpu"], 2, "unknown device"),
    ]:
        done = call("fit-probe", trained.train, trained.vae, *arguments)
        assert (done.code, said in done.err) == (code, True), done.err
    assert call("fit-probe", trained.train).code == 2
