"""``latentcli check``: planted faults in a folder are found, from the shell and from Python alike."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentcli as lc
from latentcli.inference.checking import KINDS

SCRIPT = '<script>"x".png'


@pytest.fixture
def folder(call, trained) -> Path:
    """Digits in a folder for each class: some with a label of another, a twin, a constant and a broken one."""
    with np.load(trained.train) as arrays:
        images, labels = arrays["data"], arrays["labels"]
    place = Path("photos")
    for name in ("1", "4", "8"):
        (place / name).mkdir(parents=True)
    for row, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        wrong = {7: "4" if label != 4 else "8", 100: "1" if label != 1 else "8"}.get(row, str(label))
        Image.fromarray(pixels).save(place / wrong / f"{row:04d}.png")
    twin = np.clip(images[50] * 0.9, 0, 255).astype(np.uint8)
    Image.fromarray(twin).save(place / str(labels[50]) / f"x{SCRIPT}")
    Image.fromarray(np.full_like(images[0], 9)).save(place / "8" / "zero.png")
    (place / "8" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return place


def test_planted_faults_are_found(call, trained, folder):
    done = call("check", folder, trained.vae, "--json", "-o", "findings.csv")
    assert done.code == 0, done.err
    told = done.json
    assert told["images"] == told["labels"] == len(list(folder.glob("*/*"))) - 1
    by_kind = {kind: [each for each in told["listed"] if each["kind"] == kind] for kind in KINDS}
    assert {kind: len(found) for kind, found in by_kind.items()} == {kind: told[kind] for kind in KINDS}
    assert [each["file"] for each in by_kind["unreadable"]] == ["8/broken.png"]
    assert [each["file"] for each in by_kind["constant"]] == ["8/zero.png"]
    twins = {Path(each["file"]).name: Path(each["with"]).name for each in by_kind["duplicate"]}
    assert twins[f"x{SCRIPT}"] == "0050.png"
    doubted = {Path(each["file"]).name: each["with"] for each in by_kind["label"]}
    assert {"0007.png", "0100.png"} <= doubted.keys()
    assert len(doubted) < 10
    with np.load(trained.train) as arrays:
        assert doubted["0007.png"] == str(arrays["labels"][7])
    scores = [each["score"] for each in by_kind["label"]]
    assert scores == sorted(scores, reverse=True)
    assert "photos" not in Path("findings.csv").read_text()


def test_python_and_the_shell_find_the_same(call, trained, folder):
    model, mixture = lc.load_model(trained.vae), lc.load_classifier(trained.gmm)
    images = lc.load(str(folder), **model.load_options)
    found = lc.check(images, model, mixture, seed=3)
    found.to_csv("python.csv")
    done = call("check", folder, trained.vae, trained.gmm, "--seed", 3)
    assert (done.code, done.out) == (0, Path("python.csv").read_text()), done.err
    assert done.out.startswith("File,Kind,Score,With\n8/broken.png,unreadable,1,")
    again = json.loads(call("check", folder, trained.vae, trained.gmm, "--seed", 3, "--json").out)["listed"]
    assert [each["file"] for each in again] == found.columns["File"]


def test_a_class_that_the_mixture_does_not_know_is_one_more(call, trained):
    arrays = dict(np.load(trained.train))
    labels = arrays["labels"].astype(str)
    labels[:30:3] = "zebra"
    np.savez("mistyped.npz", data=arrays["data"], labels=labels)
    done = call("check", "mistyped.npz", trained.vae, trained.gmm, "--json")
    assert done.code == 0, done.err
    doubted = {each["file"] for each in done.json["listed"] if each["kind"] == "label"}
    assert len(doubted & {str(row) for row in range(0, 30, 3)}) > 3, doubted


def test_few_labels_and_none(call, trained):
    Path("labels.csv").write_text("File,Label\n0,a\n1,b\n2,a\n")
    done = call("check", trained.train, trained.vae, "--labels", "labels.csv")
    assert done.code == 0
    assert "labels of 2 class(es) were not judged, as there are fewer than 3 of each" in done.err
    done = call("check", trained.train, trained.vae, "--no-classes", "--json")
    assert (done.code, done.json["labels"], done.json["label"]) == (0, 0, 0)


def test_one_image_is_checked_too(trained):
    model = lc.load_model(trained.vae)
    images = lc.load(str(trained.train)).take(np.array([0]))
    assert lc.check(images, model).counts == dict.fromkeys(KINDS, 0)


def test_an_outlier_is_what_is_far_from_all_others(trained):
    """Noise among digits is an outlier, and nothing else of it is told."""
    model, images = lc.load_model(trained.vae), lc.load(str(trained.train), no_classes=True)
    noise = np.random.default_rng(0).integers(0, 2, (1, 1, 8, 8)).astype(np.uint8) * 255
    found = lc.check(lc.ImageSet(np.concatenate([images.images, noise])), model)
    assert found.of("outlier")[0].row == len(images)
    assert found.of("outlier")[0].score > 3.5


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train.npz"], 2, "VAE.PTH"), (["train.npz", "cnn"], 4, "cnn"),
        (["train.npz", "vae.pth", "-o", "nowhere/list.csv"], 6, "no folder"),
    ],
)  # fmt: skip
def test_what_is_refused(call, trained, arguments, code, said):
    places = {"train.npz": trained.train, "vae.pth": trained.vae}
    done = call("check", *(places.get(each, each) for each in arguments))
    assert (done.code, said in done.err, done.out) == (code, True, ""), done.err
