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


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        ("train_images train_labels val_images val_labels test_images test_labels", "train val test"),
        ("x_train y_train x_test y_test", "train test"),
        ("X_train Y_train valid_x valid_y", "train val"),
    ],
)
def test_parts_of_an_array_file_are_those_of_a_folder(call, tiny, tmp_path, parts, keys):
    drawings(tmp_path / "all", 30, "lying", "standing")
    x, counts = lc.load(tmp_path / "all").images[:, 0], {"train": 24, "val": 8, "test": 10}
    rows = np.random.default_rng(0).permutation(60)
    arrays, names = {}, iter(keys.split())
    for start, part in enumerate(parts.split()):
        of = rows[20 * start :][: counts[part]]
        arrays |= {next(names): x[of], next(names): (of >= 30)[:, None].astype(np.uint8)}
    np.savez_compressed("set.npz", **arrays)
    trained = call("train", "set.npz", *tiny[:-1], "--json")
    assert (trained.code, trained.json["images"]) == (0, 24), trained.err
    assert ": train is read (--split chooses)" in trained.err
    assert ("val is read" in trained.err) == ("val" in parts)
    model, mixture = lc.load_model("vae.pth"), lc.load_classifier("gmm_params.pkl")
    val = model.encode(lc.load("set.npz", split="val")) if "val" in parts else None
    assert np.array_equal(lc.fit_mixture(model.encode(lc.load("set.npz")), val).weights_, mixture.weights_)
    last = parts.split()[-1]
    done = call("evaluate", "set.npz", "vae.pth", "gmm_params.pkl", "--json")
    assert (done.code, done.json["images"]) == (0, counts[last]), done.err
    assert f"{last} is read" in done.err
    assert call("classify", "set.npz", "vae.pth", "gmm_params.pkl", "--split", "train", "--json").json["images"] == 24


@pytest.mark.parametrize(
    ("line", "part", "found"),
    [
        ("train DATA", "test", "expected arrays such as x_train and x_test"),
        ("encode DATA vae.pth", "val", "expected arrays"), ("classify FLAT vae.pth gmm.pkl", "test", "sub-folders"),
        ("classify 1.png 2.png vae.pth gmm.pkl", "train", "expected a folder"),
    ],
)  # fmt: skip
def test_a_part_that_is_asked_for_and_not_there_is_no_other(call, trained, tmp_path, line, part, found):
    pixels = np.load(trained.test)["data"][:2]
    np.savez("a.npz", data=pixels, labels=[0, 1])
    for folder in (Path(), Path("flat")):
        folder.mkdir(exist_ok=True)
        for row in (0, 1):
            Image.fromarray(pixels[row]).save(folder / f"{row + 1}.png")
    files = {"DATA": "a.npz", "FLAT": "flat", "vae.pth": trained.vae, "gmm.pkl": trained.gmm}
    given = [files.get(word, word) for word in line.split()]
    refused = call(*given, "--split", part)
    assert refused.code == 3
    assert f"has no {part} part, nor any other" in refused.err
    assert found in refused.err
    assert "leave out --split" in refused.err
    if line.startswith("classify"):
        assert call(*given).code == 0


@pytest.mark.parametrize(
    ("there", "given", "part", "beside"),
    [
        ("A1/train/a A1/test/a", "A1/train", "test", "A1/test"),
        ("A1/train/a A1/test/a", "A1/train/a", "test", "A1/test/a"),
        ("cat/Training cat/validation_set", "./cat/Training", "val", "cat/validation_set"),
        ("x_train.npz x_test.npz", "x_train.npz", "test", "x_test.npz"),
        ("s/dev.zip s/train.zip s/train", "s/dev.zip", "train", "s/train.zip"),
        ("a_train b_test", "a_train", "test", ""), ("A1/train A1/test.npz", "A1/train", "test", ""),
    ],
)  # fmt: skip
def test_a_part_that_lies_beside_what_is_named_is_told(call, trained, there, given, part, beside):
    pixels = np.load(trained.test)["data"][:2]
    for name in map(Path, there.split()):
        if name.suffix == ".npz":
            np.savez(name, data=pixels)
            continue
        folder = name.with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(folder / "1.png")
        if name.suffix == ".zip":
            shutil.make_archive(str(folder), "zip", folder)
    refused = call("classify", given, trained.vae, trained.gmm, "--split", part)
    assert refused.code == 3
    assert ("lies beside it" in refused.err) == bool(beside)
    assert "or leave out --split" in refused.err or not beside
    if beside:
        assert f"beside it: {beside}; or" in refused.err
        assert call("classify", beside, trained.vae, trained.gmm).code == 0


def test_a_part_that_is_all_there_is_is_not_its_own_val(call, tiny, tmp_path):
    np.savez(
        "set.npz", x_val=np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8), y_val=np.arange(20) % 2
    )
    done = call("train", "set.npz", *tiny[:-1], "--json")
    assert (done.code, done.json["images"]) == (0, 20), done.err
    assert done.err.count("has the val part only") == 1


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
