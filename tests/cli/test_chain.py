"""Every command on what the one before it wrote."""

import csv
import io
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli import artifacts
from latentcli.artifacts import checkpoint
from latentcli.classifiers.mixture import gaussian_mixture


def read_csv(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_training_leaves_a_checkpoint_a_mixture_and_its_log(trained):
    names = {path.name for path in trained.folder.iterdir()}
    assert names == {"train.npz", "test.npz", "vae.pth", "gmm_params.pkl", "vae.metrics.jsonl"}
    saved = checkpoint.read(trained.vae)
    assert saved.image_shape == (1, 8, 8)
    assert saved.class_names == ("1", "4", "8")
    epochs = [row["epoch"] for row in saved.training["history"]]
    assert epochs == list(range(1, len(epochs) + 1))
    assert 10 < len(epochs) <= 30
    log = [json.loads(line) for line in (trained.folder / "vae.metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == epochs
    assert all(row["images_per_second"] > 0 for row in log)
    assert saved.training["data"]["name"] == "train.npz"
    assert str(trained.folder) not in trained.vae.read_bytes().decode("latin1")


def test_the_mixture_is_a_plain_pickle_of_numpy_arrays(trained):
    params = pickle.loads(trained.gmm.read_bytes())
    assert params["checkpoint"] == checkpoint.read(trained.vae).fingerprint
    assert list(params["classes"]) == ["1", "4", "8"]
    assert params["weights"].sum() == pytest.approx(1)
    assert params["means"].shape == (len(params["weights"]), 8)


def test_classify_writes_a_row_an_image_and_reports_what_labels_tell(call, trained):
    done = call("classify", trained.test, trained.vae, trained.gmm, "--json")
    assert (done.code, done.err) == (0, "")
    rows = read_csv("vae.csv")
    truth = np.load(trained.test)["labels"].astype(str)
    assert [*rows[0]] == ["Predicted_Label"]
    agreement = np.mean([row["Predicted_Label"] == label for row, label in zip(rows, truth, strict=True)])
    assert done.json["accuracy"] == pytest.approx(agreement)
    assert done.json["accuracy"] > 0.8
    assert np.sum(done.json["confusion_matrix"]) == done.json["images"] == len(truth)
    assert done.json["written"] == ["vae.csv"]


def test_latents_file_and_raw_images_give_the_same_mixture(call, trained):
    assert call("encode", trained.train, trained.vae, "-o", "latents.npz").code == 0
    assert call("fit-gmm", "latents.npz", "--labels-per-class", 5, "-o", "a.pkl").code == 0
    assert call("fit-gmm", trained.train, trained.vae, "--labels-per-class", 5, "-o", "b.pkl").code == 0
    assert Path("a.pkl").read_bytes() == Path("b.pkl").read_bytes() == trained.gmm.read_bytes()


def test_reconstructions_come_in_the_shape_and_order_of_the_input(call, trained):
    done = call("reconstruct", trained.test, trained.vae, "--json", "--grid", "grid.png")
    originals = np.load(trained.test)["data"]
    decoded = np.load("vae_reconstructed.npz")["data"]
    assert decoded.shape == originals.shape
    assert decoded.dtype == np.float32
    assert 0 <= decoded.min() <= decoded.max() <= 1
    assert done.json["mse"] == pytest.approx(np.square(decoded - originals / 255).mean(), rel=1e-4)
    assert Image.open("grid.png").size[0] > 400


def test_hybrids_lie_between_the_classes_asked_for(call, trained):
    done = call("hybridize", trained.vae, trained.gmm, "-n", 50, "--classes", "4,8", "--json", "--grid", "grid.svg")
    assert done.code == 0
    hybrids = artifacts.read_hybrids(Path("hybrids.npz"))
    assert hybrids["images"].shape == (50, 8, 8)
    assert hybrids["images"].dtype == np.uint8
    assert hybrids["soft_labels"].sum(axis=1) == pytest.approx(np.ones(50))
    assert hybrids["classes"].tolist() == ["1", "4", "8"]
    assert hybrids["soft_labels"][:, 1:].sum(axis=1).mean() > 0.8
    assert "<svg" in Path("grid.svg").read_text()


def test_a_folder_of_pictures_with_a_broken_one_keeps_a_row_for_each(call, trained, tmp_path):
    images = np.load(trained.test)["data"]
    for number in range(30):
        Image.fromarray(images[number]).resize((20, 24)).save(tmp_path / f"{number:02}.png")
    (tmp_path / "05.png").write_bytes(b"\x89PNG broken")
    done = call("classify", tmp_path, trained.vae, trained.gmm, "--max-bad", "5%", "-o", tmp_path / "out.csv")
    assert done.code == 0
    assert "1 file(s) could not be read" in done.err
    rows = read_csv("out.csv")
    assert [row["File"] for row in rows] == [f"{number:02}.png" for number in range(30)]
    assert [row["File"] for row in rows if not row["Predicted_Label"]] == ["05.png"]
    assert all(0.3 < float(row["Probability"]) <= 1 for row in rows if row["Predicted_Label"])
    assert "05.png" in Path("bad_files.csv").read_text()


def test_labels_from_a_csv_name_the_clusters_of_unlabelled_images(call, trained, tmp_path):
    both = np.load(trained.train)
    np.savez(tmp_path / "images.npz", data=both["data"])
    rows = [row for label in (1, 4, 8) for row in np.flatnonzero(both["labels"] == label)[:5]]
    table = "".join(f"{row},digit {both['labels'][row]}\n" for row in rows)
    (tmp_path / "labels.csv").write_text("File,Label\n" + table)
    done = call("fit-gmm", "images.npz", trained.vae, "--labels", "labels.csv", "--json")
    assert done.json["classes"] == ["digit 1", "digit 4", "digit 8"]


def test_labels_of_val_count_and_those_of_the_data_do_not(call, trained, tmp_path):
    both = np.load(trained.train)
    rows = [row for label in (1, 4) for row in np.flatnonzero(both["labels"] == label)[:5]]
    np.savez(
        tmp_path / "val.npz", data=both["data"][rows], labels=np.array(["one", "four"])[(both["labels"][rows] == 4) * 1]
    )
    done = call("fit-gmm", trained.train, trained.vae, "--val", "val.npz", "--json")
    assert sorted(done.json["classes"]) == ["four", "one"]


def test_csv_goes_to_stdout_alone_when_asked(call, trained):
    done = call("classify", trained.test, trained.vae, trained.gmm, "-o", "-")
    rows = list(csv.reader(io.StringIO(done.out)))
    assert rows[0] == ["Predicted_Label"]
    assert len(rows) == 1 + len(np.load(trained.test)["data"])
    assert "accuracy" in done.err


def test_a_gate_that_is_missed_ends_with_seven_and_all_is_written(call, trained):
    done = call("classify", trained.test, trained.vae, trained.gmm, "--fail-under", "accuracy=1.01", "--json")
    assert done.code == 7
    assert "accuracy" in done.err
    assert done.json["accuracy"] <= 1
    assert len(read_csv("vae.csv")) > 1
    assert call("classify", trained.test, trained.vae, trained.gmm, "--fail-under", "accuracy=0.5").code == 0


def test_rejecting_the_unlikely_leaves_noise_without_a_label(call, trained, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    images = np.concatenate([np.load(trained.train)["data"][:200], noise])
    np.savez(tmp_path / "mixed.npz", data=images)
    done = call("classify", "mixed.npz", trained.vae, trained.gmm, "--reject-below", 0.01, "--json")
    labels = [row["Predicted_Label"] for row in read_csv("vae.csv")]
    assert done.json["rejected"] == labels.count("")
    assert labels[:200].count("") <= 10  # the mixture was fitted on these
    assert labels[200:].count("") > 10


@pytest.mark.parametrize("kind", ["history", "latent", "manifold", "reconstructions", "confusion"])
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_every_picture_is_drawn(call, trained, kind, ending):
    given = {
        "history": [trained.vae],
        "latent": [trained.test, trained.vae, trained.gmm],
        "manifold": [trained.vae],
        "reconstructions": [trained.test, trained.vae],
        "confusion": [trained.test, trained.vae, trained.gmm],
    }[kind]
    done = call("plot", kind, *given, "-o", f"picture.{ending}")
    assert done.code == 0, done.err
    start = Path(f"picture.{ending}").read_bytes()[:200]
    assert start.startswith(b"\x89PNG") if ending == "png" else b"<svg" in start or b"<?xml" in start


def test_figures_of_a_training_and_of_a_classification(call, trained, tmp_path, tiny):
    assert call("train", trained.train, "--labels-per-class", 5, "--figures", "pictures/a", *tiny).code == 0
    drawn = {path.name for path in (tmp_path / "pictures/a").iterdir()}
    assert drawn == {"history.png", "latent.png", "manifold.png", "reconstructions.png"}
    assert call("classify", trained.test, "vae.pth", "gmm_params.pkl", "--figures", "pictures/b").code == 0
    assert {path.name for path in (tmp_path / "pictures/b").iterdir()} == {
        "confusion.png",
        "labels.png",
        "predictions.png",
    }


def test_v_tells_every_setting_and_q_says_nothing(call, trained, fast):
    short = [*fast[:-1], "--epochs", 1]
    told = call("train", trained.train, "-v", *short).err
    assert "latent_dim=8" in told
    assert re.search(r"^seconds: (\d+\.\d\d [a-z, ]+)+$", told, re.MULTILINE)
    assert " training" in told
    assert call("train", trained.train, "-q", *short).err == ""


def test_without_labels_train_writes_no_mixture(call, trained, tmp_path, tiny):
    np.savez(tmp_path / "images.npz", data=np.load(trained.train)["data"])
    done = call("train", "images.npz", "--json", *tiny)
    assert done.json["written"] == ["vae.pth", "vae.metrics.jsonl"]
    assert not (tmp_path / "gmm_params.pkl").exists()


def test_whether_the_fit_converged_is_told_with_yes_or_no(call, trained, monkeypatch):
    fit = ["fit-gmm", trained.train, trained.vae, "--labels-per-class", 5]
    assert ["converged", "yes"] in [line.split() for line in call(*fit).out.splitlines()]
    assert call(*fit, "--json").json["converged"] is True
    monkeypatch.setattr(gaussian_mixture.GaussianMixtureClassifier, "summary", lambda mixture: {"converged": False})
    assert ["converged", "no"] in [line.split() for line in call(*fit).out.splitlines()]
    assert call(*fit, "--json").json["converged"] is False
