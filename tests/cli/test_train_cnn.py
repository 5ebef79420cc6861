"""A classifier of pixels from the shell: train-cnn → classify, with hybrids and without."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli import artifacts
from latentcli.artifacts import checkpoint
from latentcli.cli.app import run

SMALL = ["--set", "width=32", "--epochs", "8", "--batch-size", "32", "-q"]
"""Options of a training that is over in a second and still tells the classes apart."""
FINISH = ["--finish", "0.4"]


@pytest.fixture(scope="session")
def cnn(tmp_path_factory, trained) -> Path:
    """cnn.pth, trained on the digits 1, 4 and 8."""
    path = tmp_path_factory.mktemp("cnn") / "cnn.pth"
    with pytest.raises(SystemExit) as end:
        run([str(part) for part in ["train-cnn", trained.train, "-o", path, *SMALL]])
    assert end.value.code == 0
    return path


def write_hybrids(path: Path, classes=("1", "4", "8"), shape=(1, 8, 8), count: int = 40) -> Path:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, *shape), dtype=np.uint8)
    soft = random.dirichlet(np.ones(len(classes)), count)
    with artifacts.hybrids_writer(path, count, shape, 2, classes) as write:
        write(images, soft, np.zeros((count, 2), np.float32))
    return path


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (("images", "soft_labels", "classes"), ""),
        (("x", "y", None), "called 0 to 2"),
        (("data", "labels", None), "0 to 2"),
    ],
)
def test_soft_labels_of_ones_own_are_learned_from(call, tmp_path, keys, told):
    rng = np.random.default_rng(0)
    kinds = np.arange(60) % 3
    x = rng.integers(0, 60, (60, 8, 8), dtype=np.uint8)
    x[np.arange(60), kinds * 2] += 180
    partner, part = rng.permutation(60), rng.uniform(0.5, 1, (60, 1, 1))
    mixed = (part * x + (1 - part) * x[partner]).astype(np.uint8)
    soft = part[:, 0] * np.eye(3)[kinds] + (1 - part[:, 0]) * np.eye(3)[kinds[partner]]
    soft[::7] = np.eye(3)[kinds[::7]]
    arrays = dict(zip(keys, (mixed, soft.astype("f4"), np.array(list("012"))), strict=True))
    np.savez("mine.npz", **{key: array for key, array in arrays.items() if key})
    np.savez("train.npz", data=x, labels=kinds)
    done = call("train-cnn", "train.npz", "train.npz", "--hybrids", "mine.npz", "--json", *SMALL[:-1])
    assert (done.code, done.json["hybrids"]) == (0, 60), done.err
    assert told in done.err
    assert done.json["val_accuracy"] > 0.9
    alone = call("train-cnn", "mine.npz", *SMALL[:-1])
    assert alone.code == 3
    assert "likeliest" in alone.err
    assert keys[1] != "soft_labels" or "--hybrids" in alone.err


def test_the_whole_chain_with_hybrids(call, trained):
    assert call("hybridize", trained.vae, trained.gmm, "-n", 100, "-q").code == 0
    done = call(
        "train-cnn", trained.train, trained.test, "--hybrids", "hybrids.npz", "--labels-per-class", 10, "--json",
        "--figures", "pictures", *SMALL,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert (done.json["images"], done.json["hybrids"], done.json["classes"]) == (30, 100, ["1", "4", "8"])
    assert done.json["epochs"] == 8
    assert done.json["written"] == ["cnn.pth", "cnn.metrics.jsonl", "pictures/history.png"]
    assert done.json["val_accuracy"] > 0.5
    assert not Path("cnn.pth.partial").exists()
    saved = checkpoint.read(Path("cnn.pth"))
    assert saved.class_names == ("1", "4", "8")
    assert saved.training["data"] | {"sha256": ""} == {
        "name": "train.npz", "images": 30 + 106 + 100, "labelled": 30, "hybrids": 100, "labelled_fraction": 0.5,
        "sha256": "",
    }  # fmt: skip
    classified = call("classify", trained.test, "cnn.pth", "--json", "--fail-under", "accuracy=0.5")
    assert classified.code == 0
    assert classified.json["accuracy"] == pytest.approx(done.json["val_accuracy"], abs=0.011)


def test_it_begins_with_the_encoder_of_a_model(call, trained):
    calls = ["train-cnn", trained.train, "--from", trained.vae, "--epochs", "2", "--set", "min_steps=0", "-q", "--json"]
    done = call(*calls)
    assert (done.code, done.err) == (0, "")
    saved, start = checkpoint.read(Path("cnn.pth")), checkpoint.read(trained.vae)
    assert saved.config.backbone == start.config.backbone
    assert saved.training["data"]["start"] == start.fingerprint
    assert call("classify", trained.test, "cnn.pth", "-q").code == 0
    assert call(*calls, "-o", trained.vae).code == 2


def test_it_goes_on_with_a_classifier(call, trained, cnn):
    more = ["--epochs", 2, "--set", "min_steps=0", "-q"]
    done = call("train-cnn", trained.test, "--continue-from", cnn, *more)
    assert (done.code, done.err) == (0, "")
    saved, start = checkpoint.read(Path("cnn.pth")), checkpoint.read(cnn)
    assert (saved.config, saved.class_names) == (start.config, start.class_names)
    assert saved.training["data"]["start"] == start.fingerprint
    assert saved.training["settings"]["lr"] == 1e-3
    for code, said, *arguments in [
        (2, "width is 8, and", trained.train, "--from", cnn, "--set", "width=8"),
        (2, "an input of this command", trained.train, "--from", "cnn.pth"),
        (3, "has classes that", "digits", "--from", cnn),
        (2, f"latentcli train-cnn DATA --continue-from {cnn}", "train", trained.train, "--continue-from", cnn),
    ]:
        wrong = call(*(arguments if arguments[0] == "train" else ["train-cnn", *arguments]), "-q")
        assert (wrong.code, said in wrong.err) == (code, True), wrong.err
        assert len(wrong.err.splitlines()) <= 3
    assert call("train-cnn", "digits", "--classes", "8,1", "--from", cnn, "-o", "two.pth", *more).code == 0
    assert checkpoint.read(Path("two.pth")).class_names == ("1", "4", "8")


def test_it_classifies_as_other_classifiers_do(call, trained, cnn):
    done = call("classify", trained.test, cnn, "--json", "--figures", "pictures", "-q")
    other = call("classify", trained.test, trained.vae, trained.gmm, "-o", "other.csv", "--json", "-q")
    assert done.code == 0
    assert done.json["accuracy"] > 0.9
    assert set(done.json) == set(other.json)
    assert done.json["classes"] == ["1", "4", "8"]
    assert {path.name for path in Path("pictures").iterdir()} == {"confusion.png", "labels.png"}
    table = Path("vae.csv").read_text().splitlines()
    assert table[0] == "Predicted_Label" == Path("other.csv").read_text().splitlines()[0]
    truth = np.load(trained.test)["labels"].astype(str)
    assert done.json["accuracy"] == pytest.approx(np.mean(np.array(table[1:]) == truth))
    assert call("classify", trained.test, cnn, "-o", "-").out.splitlines() == table
    assert call("classify", trained.test, cnn, "--fail-under", "accuracy=1.1").code == 7
    assert call("plot", "history", cnn).code == 0


def test_a_folder_keeps_its_names_and_its_unreadable_files(call, trained, cnn):
    Path("images").mkdir()
    for row, image in enumerate(np.load(trained.test)["data"][:5]):
        Image.fromarray(image).resize((20, 20)).save(f"images/{row}.png")
    Path("images/bad.png").write_bytes(b"\x89PNG")
    assert call("classify", "images", cnn, "--max-bad", 1, "-q").code == 0
    rows = list(csv.DictReader(Path("vae.csv").read_text().splitlines()))
    assert [row["File"] for row in rows] == ["0.png", "1.png", "2.png", "3.png", "4.png", "bad.png"]
    assert all(1 / 3 <= float(row["Probability"]) <= 1 for row in rows[:-1])
    assert rows[-1]["Predicted_Label"] == ""


def test_only_labelled_images_are_learnt_from(call, trained):
    images = np.load(trained.train)["data"]
    np.savez("unlabelled.npz", data=images)
    labels = np.load(trained.train)["labels"]
    Path("labels.csv").write_text("File,Label\n" + "".join(f"{row},{labels[row]}\n" for row in range(0, 60)))
    done = call("train-cnn", "unlabelled.npz", "--labels", "labels.csv", "--json", *SMALL)
    assert (done.code, done.json["images"], done.json["hybrids"]) == (0, 60, 0)
    assert "val_loss" not in done.json
    assert (done.json["best_epoch"], done.json["epochs"]) == (8, 8)  # of all weights the last are kept
    assert done.json["loss"] == json.loads(Path("cnn.metrics.jsonl").read_text().splitlines()[-1])["loss"]


def test_images_to_validate_with_are_brought_to_the_size_that_is_asked_for(call, trained):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16), dtype=np.uint8)
    np.savez("large.npz", data=pixels, labels=np.array([1, 4, 8, 1, 4]))
    done = call("train-cnn", trained.train, "large.npz", "--image-size", 12, "--json", *SMALL)
    assert done.code == 0, done.err
    assert "val_loss" in done.json
    assert call("train", trained.train, "large.npz", "--image-size", 12, "--epochs", 1, "-q").code == 0


def test_validation_images_that_are_trained_on_are_named(call, trained):
    other = call("train-cnn", trained.train, trained.test, "--labels-per-class", 5, *SMALL[:-1])
    assert (other.code, "trained on" in other.err) == (0, False)
    same = call("train-cnn", trained.train, trained.train, "--labels-per-class", 5, *SMALL[:-1])
    assert (same.code, "warning: 15 of the 431 images of VAL are trained on" in same.err) == (0, True), same.err


def test_hybrids_of_a_folder_are_those_of_the_file(call, trained):
    made = call("hybridize", trained.vae, trained.gmm, "-n", 40, "-o", "hybrids.npz", "--folder", "hybrids")
    assert made.code == 0, made.err
    file, folder = (
        call("train-cnn", trained.train, "--hybrids", given, "--json", *SMALL) for given in ("hybrids.npz", "hybrids")
    )
    assert (file.code, file.json["hybrids"]) == (folder.code, folder.json["hybrids"]) == (0, 40)
    assert folder.json["loss"] == pytest.approx(file.json["loss"], rel=1e-3)


def test_the_classes_of_images_and_hybrids_are_joined(call, trained):
    write_hybrids(Path("hybrids.npz"), ("10", "4"))
    done = call("train-cnn", trained.train, "--classes", "4,8", "--hybrids", "hybrids.npz", "--json", *SMALL[:-1])
    assert done.json["classes"] == ["4", "8", "10"]
    assert f"only the hybrids show 10: no image of {trained.train} is labelled so" in done.err
    assert call("classify", trained.test, "cnn.pth", "--classes", "4,8", "--json").json["accuracy"] > 0.5


def test_the_same_seed_gives_the_same_bytes_wherever_it_runs(call, trained):
    write_hybrids(Path("hybrids.npz"))
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        Path(name).mkdir()
        settings = ["--hybrids", "hybrids.npz", "--seed", seed, "--set", "mixup=0.2", "-o", f"{name}/cnn.pth"]
        assert call("train-cnn", trained.train, *settings, *SMALL, "--labels-per-class", 30).code == 0
    a, b, c = (Path(name, "cnn.pth").read_bytes() for name in "abc")
    assert a == b != c


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, trained) -> bytes:
    """A classifier that has learned from hybrids, too, without an interruption."""
    hybrids = write_hybrids(tmp_path_factory.mktemp("undisturbed") / "hybrids.npz")
    path = hybrids.with_name("cnn.pth")
    with pytest.raises(SystemExit) as end:
        run([str(part) for part in ["train-cnn", trained.train, "--hybrids", hybrids, *FINISH, *SMALL, "-o", path]])
    assert end.value.code == 0
    return path.read_bytes()


@pytest.mark.parametrize("steps", [1, 7, 30])
def test_an_interrupted_run_goes_on_to_the_same_bytes(call, trained, undisturbed, interrupted_after, steps):
    write_hybrids(Path("hybrids.npz"))
    settings = ["train-cnn", trained.train, "--hybrids", "hybrids.npz", *FINISH, *SMALL]
    with interrupted_after(steps):
        assert call(*settings).code == 130
    assert Path("cnn.pth.partial").exists()
    assert not Path("cnn.pth").exists()
    other = call(*settings, "--resume", "--share", 0.4)
    assert (other.code, "--labelled-fraction is 0.4, was 0.5" in other.err) == (2, True), other.err
    unfinished = call(*settings[: -len(SMALL) - len(FINISH)], *SMALL, "--resume")
    assert (unfinished.code, "finish is 0.0, was 0.4" in unfinished.err) == (2, True), unfinished.err
    assert call(*settings, "--resume").code == 0
    assert Path("cnn.pth").read_bytes() == undisturbed
    assert not Path("cnn.pth.partial").exists()


def test_bad_calls_say_what_is_wrong_and_write_nothing(call, trained, cnn):
    whole = np.load(trained.train)
    np.savez("unlabelled.npz", data=whole["data"])
    ones = whole["labels"] == 1
    np.savez("one_class.npz", data=whole["data"][ones], labels=whole["labels"][ones])
    np.savez("large.npz", data=np.zeros((5, 16, 16), np.uint8), labels=np.arange(5) % 2)
    for name, of in {
        "good": {}, "wide": {"shape": (1, 8, 9)}, "colour": {"shape": (3, 8, 8)}, "letters": {"classes": ("a", "b")},
        "none": {"count": 0}, "twice": {"classes": ("4", "4")},
    }.items():  # fmt: skip
        write_hybrids(Path(f"{name}_hybrids.npz"), **of)
    data = Path("good_hybrids.npz").read_bytes()
    Path("cut_hybrids.npz").write_bytes(data[:-100])
    Path("flipped_hybrids.npz").write_bytes(data[:500] + bytes([data[500] ^ 1]) + data[501:])
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    for code, said, *arguments in [
        (3, "no labels to learn from", "unlabelled.npz"),
        (3, "one class", "one_class.npz"),
        (3, "too few labels", trained.train, "--labels-per-class", 10_000),
        (3, "no labels to validate with", trained.train, "unlabelled.npz"),
        (3, "image size", trained.train, "large.npz"),
        (3, "another shape", trained.train, "--hybrids", "wide_hybrids.npz"),
        (3, "another shape", trained.train, "--hybrids", "colour_hybrids.npz"),
        (3, "no class in common", trained.train, "--hybrids", "letters_hybrids.npz"),
        (3, "no hybrids", trained.train, "--hybrids", "none_hybrids.npz"),
        (3, "named once", trained.train, "--hybrids", "twice_hybrids.npz"),
        (3, "cut_hybrids.npz", trained.train, "--hybrids", "cut_hybrids.npz"),
        (3, "flipped_hybrids.npz", trained.train, "--hybrids", "flipped_hybrids.npz"),
        (3, "nowhere.npz", trained.train, "--hybrids", "nowhere.npz"),
        (3, "nowhere", "nowhere"),
        (2, "share", trained.train, "--hybrids", "good_hybrids.npz", "--share", 1.5),
        (2, "--labelled-fraction is 0.4, and there are no hybrids", trained.train, "--share", 0.4),
        (2, "--labelled-fraction is 0, and there are no hybrids", trained.train, "--share", 0),
        (2, "give some: --hybrids", trained.train, "--finish", 0.3),
        (2, "--finish", trained.train, "--hybrids", "good_hybrids.npz", "--finish", 1.5),
        (2, "--finish", trained.train, "--hybrids", "good_hybrids.npz", "--finish", "nan"),
        (2, "finish is 1.5", trained.train, "--hybrids", "good_hybrids.npz", "--set", "finish=1.5"),
        (2, "finish is True", trained.train, "--hybrids", "good_hybrids.npz", "--set", "finish=true"),
        (2, "would take", trained.train, "--hybrids", "good_hybrids.npz", "--share", 1e-9),
        (2, "unknown setting 'latent_dim'", trained.train, "--set", "latent_dim=2"),
        (2, "unknown setting 'classes'", trained.train, "--set", "classes=5"),
        (2, "mixup", trained.train, "--set", "mixup=-1"),
        (2, "augment", trained.train, "--set", "augment=1"),
        (2, "lr", trained.train, "--lr", 0),
        (2, "is an input", trained.train, "--hybrids", "good_hybrids.npz", "-o", "good_hybrids.npz"),
        (2, "unknown device", trained.train, "--device", "tpu"),
        (6, "no folder", trained.train, "-o", "missing/cnn.pth"),
    ]:
        done = call("train-cnn", *arguments, "-q")
        assert (done.code, said in done.err) == (code, True), (arguments, done.err)
        assert 1 <= len(done.err.splitlines()) <= 3
        assert done.out == ""
        assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_either_kind_of_model_is_refused_where_the_other_is_wanted(call, trained, cnn):
    for code, said, *arguments in [
        (2, "there is no classifier to read them", "classify", trained.test, trained.vae),
        (2, "--reject-below needs a mixture or a graph", "classify", trained.test, cnn, "--reject-below", 0.01),
        (2, "unknown model family 'cnn'", "train", trained.train, "--model", "cnn"),
        (4, "no latent space", "classify", trained.test, cnn, trained.gmm),
        (4, "no latent space", "evaluate", trained.test, cnn),
        (4, "no latent space", "encode", trained.test, cnn),
        (4, "no latent space", "reconstruct", trained.test, cnn),
        (4, "no latent space", "fit-gmm", trained.train, cnn),
        (4, "no latent space", "fit-probe", trained.train, cnn),
        (4, "no latent space", "hybridize", cnn, trained.gmm),
        (4, "no latent space", "plot", "manifold", cnn),
        (2, "is a model", "classify", trained.test, trained.vae, cnn),
        (2, "is a model", "hybridize", trained.vae, cnn),
        (3, "is a model\n  expected images with soft labels", "train-cnn", trained.train, "--hybrids", trained.vae),
        (3, "channels", "classify", colour(), cnn),
    ]:
        done = call(*arguments)
        assert (done.code, said in done.err) == (code, True), (arguments, done.err)
        assert 1 <= len(done.err.splitlines()) <= 3
        assert done.out == ""


def colour() -> Path:
    np.savez("colour.npz", data=np.zeros((5, 8, 8, 3), np.uint8))
    return Path("colour.npz")


def test_damaged_and_forged_files_end_with_four(call, trained, cnn):
    whole = cnn.read_bytes()
    Path("cut.pth").write_bytes(whole[:-100])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    Path("flipped.pth").write_bytes(flipped)
    Path("text.pth").write_text("hello")
    saved = checkpoint.read(cnn)
    forgeries = {"few": ("1", "4"), "many": ("1", "4", "8", "9"), "twice": ("1", "4", "4"), "nameless": ("1", "4", "")}
    for name, classes in forgeries.items():
        checkpoint.write(Path(f"{name}.pth"), replace(saved, class_names=classes))
    for name in ("cut", "flipped", "text", "missing", *forgeries):
        done = call("classify", trained.test, f"{name}.pth")
        assert (done.code, done.out) == (4, ""), (name, done.err)
        assert 1 <= len(done.err.splitlines()) <= 3
