"""``latentcli distort`` from the shell, and what it is for: hybrids of a few labelled images alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli import data


def test_the_images_come_first_and_their_copies_keep_the_labels(call, trained):
    done = call("distort", trained.train, "-n", 100, "--labels-per-class", 5, "--seed", 3, "--json")
    assert (done.code, done.json["images"], done.json["of"]) == (0, 105, 15), done.err
    found, given = data.load("distorted.npz"), np.load(trained.train)
    assert len(found) == 105
    names = found.labels.texts
    assert np.array_equal(names, np.tile(names[:15], 7))
    known = {image.tobytes(): str(label) for image, label in zip(given["data"], given["labels"], strict=True)}
    assert [known[image.tobytes()] for image in found.images[:15]] == names[:15].tolist()
    first = Path("distorted.npz").read_bytes()
    for seed, alike in ((3, True), (4, False)):
        call("distort", trained.train, "-n", 100, "--labels-per-class", 5, "--seed", seed)
        assert (Path("distorted.npz").read_bytes() == first) == alike


def test_of_a_heap_the_labelled_ones_are_taken_and_else_all(call):
    Path("heap").mkdir()
    random = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(random.integers(0, 256, (9, 8, 3)).astype(np.uint8)).save(f"heap/{number}.png")
    Path("labels.csv").write_text("File,Label\n1.png,cat\n4.png,dog\n")
    assert call("distort", "heap", "-n", 7, "--json").json["images"] == 12
    whole = data.load("distorted.npz")
    assert (whole.shape, whole.labels.any) == ((3, 9, 8), False)
    assert call("distort", "heap", "--labels", "labels.csv", "-n", 7, "--json").json["of"] == 2
    assert data.load("distorted.npz").labels.texts.tolist() == ["cat", "dog"] * 4


def test_hybrids_of_a_few_labelled_images_alone(call, trained, fast):
    few = ["--labels-per-class", 10]
    assert call("distort", trained.train, *few, "-n", 300).code == 0
    assert call("train", "distorted.npz", *fast).code == 0
    mixed = ["--strategy", "mixup", "--near", "distorted.npz", "-n", 100]
    assert call("hybridize", "vae.pth", "gmm_params.pkl", *mixed).code == 0
    small = ["--set", "width=32", "--epochs", 8, "--batch-size", 32, "--share", 0.75]
    assert call("train-cnn", trained.train, *few, "--hybrids", "hybrids.npz", *small).code == 0
    assert call("classify", trained.test, "cnn.pth", "--json").json["accuracy"] > 0.6


@pytest.mark.parametrize(
    ("code", "said", "arguments"),
    [
        (3, "nowhere", ["nowhere"]),
        (3, "too few labels", ["train.npz", "--labels-per-class", 10_000]),
        (3, "no labels", ["unlabelled.npz", "--labels-per-class", 5]),
        (2, "is an input", ["train.npz", "-o", "train.npz"]),
        (6, "no folder", ["train.npz", "-o", "missing/distorted.npz"]),
        (2, "count", ["train.npz", "-n", 0]),
    ],
)
def test_bad_calls_say_what_is_wrong_and_write_nothing(call, trained, code, said, arguments):
    arrays = np.load(trained.train)
    np.savez("train.npz", **arrays)
    np.savez("unlabelled.npz", data=arrays["data"])
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    done = call("distort", *arguments)
    assert (done.code, said in done.err) == (code, True), done.err
    assert len(done.err.splitlines()) <= 3
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before
