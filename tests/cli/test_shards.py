"""Shards on the command line: as DATA, and into folders of parts."""

import csv
import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentcli as lc
from latentcli.artifacts import read_latents
from latentcli.cli import parts

pytest.importorskip("pyarrow")


@pytest.fixture
def digits(trained, tar, tmp_path):
    """The test digits of ``trained`` as shards of thirty, each with its class."""
    arrays = np.load(trained.test)
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(3):
        members = []
        for row in range(30 * number, 30 * (number + 1)):
            Image.fromarray(arrays["data"][row]).save(folder / "0.png")
            members.append((f"{row:09d}.png", (folder / "0.png").read_bytes()))
            members.append((f"{row:09d}.json", json.dumps({"label": int(arrays["labels"][row])}).encode()))
        tar(folder / f"{number:05d}.tar", members)
    (folder / "0.png").unlink()
    return folder


SHARDS = "shards/{00000..00002}.tar"


def test_shards_are_data_of_every_command(call, digits, trained, tiny):
    done = call("classify", SHARDS, trained.vae, trained.gmm, "--json")
    assert (done.code, done.json["images"], done.err) == (0, 90, "")
    assert done.json["accuracy"] > 0.8
    with Path("vae.csv").open(newline="") as table:
        assert next(csv.DictReader(table))["File"] == "00000.tar/000000000.png"
    two = call("classify", "shards/00000.tar", "shards/00002.tar", trained.vae, trained.gmm, "--json")
    assert (two.code, two.json["images"]) == (0, 60)
    assert call("train", SHARDS, *tiny).code == 0
    assert call("fit-gmm", "shards", trained.vae, "-q").code == 0
    assert call("evaluate", "shards/*.tar", trained.vae, "-q").code == 0
    assert call("encode", SHARDS, trained.vae, "-q").code == 0
    assert len(read_latents("latents.npz")) == 90


def test_a_folder_of_encoded_parts_is_read_as_latents(call, digits, trained):
    done = call("encode", SHARDS, trained.vae, "-o", "out/", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json.items() >= {"images": 90, "failed": 0, "shards": 3, "shards_done_before": 0}.items()
    assert done.json["written"] == ["out"]
    again = call("encode", SHARDS, trained.vae, "-o", "out", "--json")
    assert again.json["shards_done_before"] == 3
    assert call("encode", SHARDS, trained.vae, "-q").code == 0
    for command, more in {"fit-gmm": [], "fit-graph": [], "fit-probe": ["--probe", "knn"]}.items():
        of_parts, of_file = (call(command, data, *more, "--json", "-q") for data in ("out", "latents.npz"))
        assert (of_parts.code, of_parts.json["images"]) == (0, 90)
        same = {"left_out_accuracy", "components", "dimensions"} & {*of_file.json}
        assert {name: of_parts.json[name] for name in same} == {name: of_file.json[name] for name in same}
    assert call("plot", "latent", "out", trained.vae, trained.gmm, "-q").code == 0
    assert call("plot", "latent", "latents.npz", trained.vae, "-q").code == 0
    assert call("classify", "out", "probe.pth", "--json").json["accuracy"] > 0.8
    assert call("reconstruct", "out", trained.vae, "-q").code == 0
    refused = call("fit-gmm", "out", "--classes", "1,4")
    assert (refused.code, "--classes is of images" in refused.err) == (2, True)


def test_classified_parts_are_scored(call, digits, trained):
    whole = call("classify", SHARDS, trained.vae, trained.gmm, "--json").json
    for share in ("1/2", "2/2"):
        assert call("classify", SHARDS, trained.vae, trained.gmm, "-o", "out", "--part", share, "--json").code == 0
    done = call("classify", SHARDS, trained.vae, trained.gmm, "-o", "out", "--json")
    assert done.json["shards_done_before"] == 3
    assert done.json["accuracy"] == pytest.approx(whole["accuracy"])
    assert done.json["confusion_matrix"] == whole["confusion_matrix"]
    gate = call("classify", SHARDS, trained.vae, trained.gmm, "-o", "out", "--fail-under", "accuracy=1.01")
    assert gate.code == 7


@pytest.mark.parametrize("command", ["fit-gmm", "fit-graph", "fit-probe"])
def test_predictions_are_not_taken_for_latents_or_images(call, digits, trained, command):
    assert call("classify", "shards/00000.tar", trained.vae, trained.gmm, "-o", "labelled", "-q").code == 0
    for more in ([], [trained.vae]):
        done = call(command, "labelled", *more)
        assert (done.code, len(done.err.splitlines())) == (2, 2)
        assert done.err.startswith("error: labelled is a latentcli folder of predictions, and stands where")
        assert "latentcli encode SHARDS vae.pth -o DIR" in done.err
    assert call("encode", "shards/00000.tar", trained.vae, "-o", "encoded", "-q").code == 0
    refused = call("train", "encoded")
    assert (refused.code, "encoded is a latentcli folder of latents" in refused.err) == (2, True)


def test_the_commands_of_the_readme_run(call, digits, trained, fast):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    block = readme.partition("<!-- shards -->\n```sh\n")[2].partition("```")[0]
    lines = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    assert [line[0] for line in lines] == ["train", *["encode"] * 3, "fit-probe", "classify"]
    for line in lines:
        few = [
            text.replace("{00000..00009}", "{00000..00001}").replace("{00000..00999}", "{00000..00002}")
            for text in line
        ]
        done = call(*few, *(fast if line[0] == "train" else ["--json"]))
        assert done.code == 0, done.err
    assert done.json["images"] == 90
    assert done.json["accuracy"] > 0.8
    assert len(list(Path("encoded").glob("part-*.json"))) == len(list(Path("labelled").glob("part-*.json"))) == 3


FAULTS = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:3000]), "empty": lambda path: path.write_bytes(b""),
    "none": Path.unlink, "text": lambda path: path.write_text("no tar" * 999),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_shard_that_fails_is_told_in_three_lines_and_the_others_are_done(call, digits, trained, fault):
    FAULTS[fault](digits / "00001.tar")
    done = call("encode", SHARDS, trained.vae, "-o", "out", "--json")
    assert (done.code, done.json["images"], done.json["shards_failed"]) == (3, 60, 1)
    assert done.err.startswith("error: 1 of 3 shards cannot be read; 2 are done\n")
    assert "shards/00001.tar" in done.err
    assert len(done.err.splitlines()) == 3
    assert sorted(path.name for path in Path("out").glob("*.json")) == ["part-00000.json", "part-00002.json"]


def test_a_parquet_without_images_is_told_with_its_columns(call, digits, trained):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"picture_url": ["x"]}), "shards/00003.parquet")
    done = call("encode", "shards", trained.vae, "-o", "out")
    assert done.code == 3
    assert "shards/00003.parquet has no column of images: expected" in done.err
    assert "found picture_url (string)" in done.err
    assert len(list(Path("out").glob("*.json"))) == 3


def test_the_part_that_is_read_is_told_first(call, digits, trained):
    Path("parts").mkdir()
    for number, name in enumerate(("train-00000-of-00001", "test-00000-of-00002", "test-00001-of-00002")):
        (digits / f"{number:05d}.tar").rename(f"parts/{name}.tar")
    done = call("encode", "parts", trained.vae, "-o", "out", "--json")
    assert (done.code, done.json["shards"]) == (0, 2)
    assert done.err == "parts has the parts train and test: test is read (--split chooses)\n"
    assert call("encode", "parts", trained.vae, "-o", "train", "--split", "train", "--json").json["shards"] == 1
    refused = call("encode", "parts", trained.vae, "-o", "out", "--split", "train")
    assert (refused.code, "holds parts of other shards" in refused.err) == (2, True)


def test_images_that_fail_are_told_by_kind(call, digits, trained, tar, png):
    tar(digits / "00001.tar", [("1.png", png(0, 8)), ("2.png", b""), ("3.png", b"")])
    done = call("encode", SHARDS, trained.vae, "-o", "out")
    assert (done.code, done.err) == (0, "warning: 2 image(s) could not be read, and their rows say why: empty (2)\n")
    then = (digits / "00001.tar").stat().st_mtime_ns
    tar(digits / "00001.tar", [(f"{number}.png", png(0, 8)) for number in (1, 2, 3)])
    os.utime(digits / "00001.tar", ns=(then, then))
    assert call("encode", SHARDS, trained.vae, "-o", "out", "--json").json["failed"] == 2
    again = call("encode", SHARDS, trained.vae, "-o", "out", "--retry-failed", "--json")
    assert (again.json["failed"], again.json["shards_done_before"]) == (0, 2)


@pytest.mark.parametrize(("arguments", "told"), [
    (["--part", "1/2"], "--part is of shards that become a folder"),
    (["--retry-failed"], "--retry-failed is of shards that become a folder"),
    (["-o", "out", "--classes", "1"], "--classes is of images that are all read at once"),
    (["-o", "out", "--figures", "x"], "--figures is of images"), (["-o", "out", "--max-bad", "2"], "--max-bad is of"),
    (["-o", "out", "--part", "3/2"], "--part '3/2' is no i/n"),
    (["-o", "shards"], "holds the shards that are read"),
])  # fmt: skip
def test_calls_that_make_no_sense_are_refused(call, digits, trained, arguments, told):
    done = call("encode", SHARDS, trained.vae, *arguments)
    assert (done.code, told in done.err) == (2, True), done.err
    assert len(done.err.splitlines()) <= 3
    assert not Path("out").exists()


def test_of_many_kinds_of_failures_the_most_frequent_are_told(capsys):
    failures = {f"kind {letter}": number for number, letter in enumerate("abcdefgh", 1)}
    parts.tell(lc.PartsDone("out", 1, 0, 99, failures), as_json=False, gates={})
    told = "kind h (8), kind g (7), kind f (6), kind e (5), kind d (4), and 3 more kinds\n"
    assert capsys.readouterr().err == f"warning: 36 image(s) could not be read, and their rows say why: {told}"
