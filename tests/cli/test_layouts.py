"""Folders with parts, archives and single pictures, through train, classify and evaluate."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentcli as lc


def drawings(folder: Path, count: int, *classes: str) -> Path:
    """Pictures of bars, lying or standing, in sub-folders of the classes."""
    rng = np.random.default_rng(count)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for row in range(count):
            pixels = rng.integers(0, 40, (8, 8), dtype=np.uint8)
            pixels[[slice(2, 4), slice(0, 8)][number % 2], [slice(0, 8), slice(2, 4)][number % 2]] += 200
            Image.fromarray(pixels).save(folder / name / f"{row:02}.png")
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("parts") / "bars"
    for part, count in (("train", 12), ("valid", 4), ("test", 5)):
        drawings(folder / part, count, "lying", "standing")
    return folder


def packed(folder: Path, kind: str) -> Path:
    return Path(shutil.make_archive(str(folder.parent / folder.name), kind, folder))


def as_folder(folder: Path) -> Path:
    return folder


@pytest.mark.parametrize("of", [as_folder, lambda path: packed(path, "zip"), lambda path: packed(path, "gztar")])
def test_each_command_takes_its_part(call, tiny, parts, of):
    data = of(parts)
    trained = call("train", data, *tiny[:-1], "--seed", 3)
    assert trained.code == 0, trained.err
    assert "has the parts train, val and test: train is read (--split chooses)" in trained.err
    assert "val is read" in trained.err
    model, mixture = lc.load_model("vae.pth"), lc.load_classifier("gmm_params.pkl")
    assert model.class_names == ("lying", "standing")
    val = lc.load(data, split="val")
    twin = lc.fit_mixture(model.encode(lc.load(data)), model.encode(val), seed=3)
    assert np.array_equal(twin.weights_, mixture.weights_)
    classified = call("classify", data, "vae.pth", "gmm_params.pkl", "--json")
    assert (classified.code, classified.json["images"]) == (0, 10), classified.err
    assert "test is read" in classified.err
    files = [row["File"] for row in csv.DictReader(Path("vae.csv").read_text().splitlines())]
    assert files[0] == "test/lying/00.png"
    chosen = call("evaluate", data, "vae.pth", "gmm_params.pkl", "--split", "val", "--json", "-q")
    assert (chosen.code, chosen.json["images"], chosen.err) == (0, 8, "")


def test_a_flat_folder_of_two_parts_is_not_two_classes(call, tiny, tmp_path):
    for part, count in (("train", 8), ("test", 3)):
        drawings(tmp_path / "flat" / part, count, "")
    done = call("train", "flat", *tiny, "--json")
    assert (done.code, done.json["images"]) == (0, 8), done.err
    assert not Path("gmm_params.pkl").exists()
    assert call("evaluate", "flat", "vae.pth", "--json").json["images"] == 3


def test_folders_that_are_declared_no_classes(call, tiny, tmp_path):
    drawings(tmp_path / "photos" / "2024", 4, "05", "06")
    drawings(tmp_path / "photos" / "2025", 4, "01", "02")
    classes = call("train", "photos", *tiny[:-1])
    assert "--no-classes" in classes.err
    Path("gmm_params.pkl").unlink()
    assert call("train", "photos", *tiny, "--no-classes", "-o", "none.pth").code == 0
    assert lc.load_model("none.pth").class_names == ()
    assert not Path("gmm_params.pkl").exists()
    refused = call("train", "photos", "--no-classes", "--classes", "2024")
    assert (refused.code, refused.err.count("--")) == (2, 2)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_single_pictures_are_classified(call, trained, tmp_path, count):
    for row, pixels in enumerate(np.load(trained.test)["data"][:count]):
        Image.fromarray(pixels).save(tmp_path / f"{row}.png")
    pictures = [f"{row}.png" for row in reversed(range(count))]
    done = call("classify", *pictures, trained.vae, trained.gmm, "--json")
    assert (done.code, done.json["images"]) == (0, count), done.err
    rows = list(csv.DictReader(Path("vae.csv").read_text().splitlines()))
    assert [row["File"] for row in rows] == pictures
    whole = lc.classify(lc.load(trained.test), lc.load_model(trained.vae), lc.load_classifier(trained.gmm))
    expected = whole.labels.texts[:count].tolist()
    assert [row["Predicted_Label"] for row in reversed(rows)] == expected
    for files in ([], [trained.vae, trained.gmm, trained.gmm]):
        refused = call("classify", *pictures, *files)
        assert (refused.code, len(refused.err.splitlines()) <= 3) == (2, True)
