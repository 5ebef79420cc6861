"""``latentcli study samples`` from the shell: a table, pictures and a page, kept and gone on with."""

import csv
import io
import json

import numpy as np
import pytest

SMALL = ["--seeds", "1", "--device", "cpu"]
for setting in (
    "codes=8", "latent_dim=4", "width=16", "backbone=conv", "epochs=1", "prior.width=8", "prior.layers=1",
    "prior.heads=2", "prior.epochs=1", "cnn.width=16", "cnn.epochs=1", "cnn.min_steps=0",
):  # fmt: skip
    SMALL += ["--set", setting]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """120 images of two classes, which differ in where they are bright."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    labels = random.integers(0, 2, 120)
    images = random.integers(0, 120, (120, 8, 8))
    images[labels == 0, :4] += 120
    np.savez(folder / "halves.npz", data=images.astype(np.uint8), labels=labels)
    np.savez(folder / "few.npz", data=images[:40].astype(np.uint8), labels=labels[:40])
    return folder


def test_a_study_of_samples_writes_its_table_and_its_pictures_and_computes_nothing_twice(data, tmp_path, call):
    arguments = ["study", "samples", data / "halves.npz", "-o", "study", "-n", 8, *SMALL]
    first = call(*arguments)
    assert first.code == 0, first.err
    assert "images of halves_npz, half of its test images: figures of fewer than 100 say little" in first.err
    header, _, *lines = first.out.splitlines()
    assert header.startswith("| data | model | images | Fréchet distance | precision, % | recall, % |")
    assert [line.split(" | ")[1:3] for line in lines] == [
        ["–", "real"], ["vqvae", "reconstructions"], ["vqvae", "samples"], ["vqvae", "independent codes"],
        ["vqvae", "codes by place"],
    ]  # fmt: skip
    study = tmp_path / "study"
    assert (study / "table.md").read_text() == first.out
    rows = list(csv.DictReader(io.StringIO((study / "table.csv").read_text())))
    assert [row["read_right"] != "" for row in rows] == [True, True, True, False, False]
    assert {path.name for path in study.glob("*.png")} == {
        "comparison.png", "samples-halves_npz-vqvae.png", "nearest-halves_npz-vqvae.png"
    }  # fmt: skip
    again = call(*arguments, "--json", "--report", "study.html")
    assert again.code == 0, again.err
    assert again.err.count("kept from before") == 8  # a CNN, a model, a prior, five sets of images
    assert again.json["cells"] == json.loads((study / "table.json").read_text())["cells"]
    page = (tmp_path / "study.html").read_text()
    assert "<figcaption>Samples, over the training image nearest to each: halves_npz-vqvae" in page
    assert '<th scope="row" dir="auto">halves.npz</th><td>vqvae</td><td>samples</td>' in page
    other = call(*arguments, "--set", "prior.dropout=0.5")
    assert (other.code, "holds another study" in other.err) == (2, True), other.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.npz"], 3, "nowhere.npz"),
        (["few.npz"], 3, "too few test images"),
        (["halves.npz", "--models", "gan"], 2, "unknown model family"),
        (["halves.npz", "--models", "vae", "--top-p", "0.5"], 2, "--top-p is of a prior of codes"),
        (["halves.npz", "--features", "eyes"], 2, "neither a trained encoder nor a file"),
        (["halves.npz", "--set", "colour=1"], 2, "colour"),
        (["halves.npz", "--set", "prior.colour=1"], 2, "colour"),
        (["halves.npz", "--set", "painter.width=1"], 2, "painter.width"),
        (["halves.npz", "--top-p", "2"], 2, "--top-p is 2"),
        (["halves.npz", "-o", "halves.npz"], 6, "halves.npz"),
    ],
    ids=str,
)
def test_bad_calls_end_with_their_code_before_any_training(data, tmp_path, call, monkeypatch, arguments, code, said):
    monkeypatch.chdir(data)
    where = [] if "-o" in arguments else ["-o", tmp_path / "study"]
    done = call("study", "samples", *arguments, *where)
    assert (done.code, said in done.err) == (code, True), done.err
    assert len(done.err.strip().splitlines()) <= 3
    assert not (tmp_path / "study").exists()
