"""``latentcli study sweep`` from the shell: points, tables, a picture, and calls that cannot be."""

import csv
import io
import json

import numpy as np
import pytest

from latentcli.cli.study_sweep import values


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """120 images of two classes, which differ in where they are bright."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    labels = random.integers(0, 2, 120)
    images = random.integers(0, 120, (120, 8, 8))
    images[labels == 0, :4] += 120
    np.savez(folder / "halves.npz", data=images.astype(np.uint8), labels=labels)
    np.savez(folder / "unlabelled.npz", data=images.astype(np.uint8))
    return folder


SMALL = [part for pair in ("epochs=1", "backbone=mlp", "width=32", "min_steps=0") for part in ("--set", pair)]
SMALL += ["--device", "cpu", "--probe", "knn", "--jobs", "1"]


def test_a_sweep_writes_its_table_and_its_front_and_goes_on_with_more(data, tmp_path, call):
    alike = ["study", "sweep", data / "halves.npz", "-o", "sweep", *SMALL]
    over = ["--over", "model=vqvae,fsq,vae", "--over", "codes=4", "--over", "codes=16", "--over", 'levels=3,"4,2"']
    first = call(*alike, *over, "--report", "sweep.html")
    assert first.code == 0, first.err
    assert "5 points, 100 images to train on, 20 to measure on" in first.err
    assert "bits per image are of codes alone: vae stands in the table, not in the picture" in first.err
    folder = tmp_path / "sweep"
    assert (folder / "table.md").read_text() == first.out
    assert [line.split(" | ")[1:4] for line in first.out.splitlines()[2:]] == [
        ["vqvae", "4", "–"], ["vqvae", "16", "–"], ["fsq", "–", "3"], ["fsq", "–", "4,2"], ["vae", "–", "–"],
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text())))
    assert [(row["codes"], row["levels"]) for row in rows] == [("4", ""), ("16", ""), ("", "3"), ("", "4,2"), ("", "")]
    bits = [16 * np.log2(codes) for codes in (4, 16, 3**4, 8)]
    assert [float(row["bits_per_image"] or 0) for row in rows] == pytest.approx([*bits, 0])
    assert all(float(row["processor_seconds"]) > 0 for row in rows)
    kept = json.loads((folder / "table.json").read_text())
    assert any(row.get("front") == "yes" for row in kept["rows"])
    assert (folder / "front.png").stat().st_size > 10_000
    page = (tmp_path / "sweep.html").read_text()
    assert "<figcaption>Bits per image against structural similarity</figcaption>" in page

    more = call(*alike, *over, "--over", "codes=64", "--json")
    assert (more.code, more.err.count("kept from before"), more.err.count(": done")) == (0, 5, 1), more.err
    assert [row.get("codes") for row in more.json["cells"]] == [4, 16, 64, None, None, None]
    other = call(*alike[:-1], "1", "--over", "codes=4", "--set", "lr=0.001")
    assert (other.code, "name another folder" in other.err) == (2, True), other.err


def test_random_points_are_drawn_by_the_seed(data, tmp_path, call):
    alike = ["study", "sweep", data / "halves.npz", *SMALL, "--over", "codes=2,4,8,16,32", "--over", "latent_dim=1,2,3"]
    found = {}
    for name, drawn in {"two": ["2"], "three": ["3"], "other": ["3", "--seed", "5"]}.items():
        done = call(*alike, "--random", *drawn, "-o", name, "--json")
        assert done.code == 0, done.err
        found[name] = {(row["codes"], row["latent_dim"]) for row in done.json["cells"]}
    assert [len(points) for points in found.values()] == [2, 3, 3]
    assert found["two"] < found["three"] != found["other"]


def test_continuous_latents_alone_have_a_table_and_no_picture(data, tmp_path, call):
    done = call("study", "sweep", data / "halves.npz", *SMALL, "--model", "vae", "--over", "dimensions=2,3", "-o", "s")
    assert done.code == 0, done.err
    assert "| data | model | latent_dim | front |" in done.out
    assert not list((tmp_path / "s").glob("*.png"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("codes=64,256", ("codes", [64, 256])),
        ('levels=5,"8,6,5", "8,5"', ("levels", [5, (8, 6, 5), (8, 5)])),
        ("latent-dim = 8", ("latent_dim", [8])),
        ("stages=none,2", ("stages", [None, 2])),
        ("loss=bce,mse+ssim", ("loss", ["bce", "mse+ssim"])),
        ("lr=1e-3,0.01", ("lr", [0.001, 0.01])),
    ],
)
def test_values_are_a_list_as_in_a_csv_file(text, found):
    assert values(text) == found


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.npz", "--over", "codes=4"], 3, "nowhere.npz"),
        (["nowhere.npz", "--over", "code=4"], 2, "unknown setting 'code'; did you mean codes?"),
        (["unlabelled.npz", "--over", "codes=4"], 3, "no labels"),
        (["halves.npz"], 2, "no setting to sweep over"),
        (["halves.npz", "--over", "codes"], 2, "--over 'codes' is not of the form key=value,value"),
        (["halves.npz", "--over", "codes="], 2, "is not of the form"),
        (["halves.npz", "--over", "dimensions=4", "--over", "latent_dim=8"], 2, "latent_dim is swept over twice"),
        (["halves.npz", "--over", "codes=4", "--set", "codes=8"], 2, "is swept over and has one value for all"),
        (["halves.npz", "--over", "model=gan"], 2, "unknown model family 'gan'"),
        (["halves.npz", "--over", "codes=4,1"], 2, "codes is 1, at the point model vqvae, codes 1"),
        (["halves.npz", "--over", "backbone=oak"], 2, "unknown backbone 'oak'"),
        (["halves.npz", "--over", "seed=1,2"], 2, "as many as --seeds says"),
        (["halves.npz", "--over", "codes=4", "--probe", "oracle"], 2, "oracle"),
        (["halves.npz", "--over", "codes=4", "-o", "halves.npz"], 6, "halves.npz"),
    ],
    ids=str,
)
def test_bad_calls_end_with_their_code_before_any_training(data, tmp_path, call, monkeypatch, arguments, code, said):
    monkeypatch.chdir(data)
    where = [] if "-o" in arguments else ["-o", tmp_path / "sweep"]
    done = call("study", "sweep", *arguments, *where)
    assert (done.code, said in done.err) == (code, True), done.err
    assert len(done.err.strip().splitlines()) <= 3
    assert not (tmp_path / "sweep" / "models").exists()
