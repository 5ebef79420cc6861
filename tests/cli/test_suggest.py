"""``latentcli suggest``: the list from the shell, its twin in Python, and the labels that come back in it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentcli as lc
from latentcli.formats.csv_text import read_table

HOSTILE = ("<script>alert(1).png", 'quote".png', "line\nend.png", "=1+1.png", "comma,.png")


def rows_of(text: str) -> list[list[str]]:
    Path("list.csv").write_text(text)
    return [cells for _, cells in read_table(Path("list.csv"), lambda header: "File" in header).rows]


def test_from_no_label_to_a_classifier(call, trained):
    """A list without a classifier, filled in by hand, is the file of labels; the next list leaves these out."""
    done = call("suggest", trained.train, trained.vae, "--no-classes", "-n", 6, "--seed", 1)
    assert done.code == 0, done.err
    listed = rows_of(done.out)
    truth = np.load(trained.train)["labels"]
    lines = ["File,Label,Score", *(f"{row},{truth[int(row)]},{score}" for row, _, score in listed)]
    Path("labels.csv").write_text("\n".join(lines))
    done = call("fit-graph", trained.train, trained.vae, "--labels", "labels.csv", "--json")
    assert (done.code, done.json["labels"]) == (0, 6), done.err
    done = call("suggest", trained.train, trained.vae, "graph.npz", "--labels", "labels.csv", "-n", 4, "--json")
    assert done.code == 0, done.err
    assert (done.json["labels"], done.json["suggested"], len(done.json["listed"])) == (6, 4, 4)
    assert 0 < done.json["covered"] < 1
    assert set(done.json["listed"][0]) == {"file", "label", "score", "predicted_label", "probability"}
    assert not {each["file"] for each in done.json["listed"]} & {row for row, *_ in listed}


def test_python_and_the_shell_list_the_same(call, trained):
    images = lc.load(str(trained.train), no_classes=True)
    lc.write_latents("latents.npz", lc.load_model(trained.vae).encode(images))
    mixture = lc.load_classifier(trained.gmm)
    lc.suggest(lc.read_latents("latents.npz"), mixture, 5).to_csv("python.csv")
    done = call("suggest", "latents.npz", trained.gmm, "-n", 5, "-o", "shell.csv")
    assert done.code == 0, done.err
    assert Path("python.csv").read_bytes() == Path("shell.csv").read_bytes()
    of_images = call("suggest", trained.train, trained.vae, trained.gmm, "--no-classes", "-n", 5)
    assert of_images.out == Path("python.csv").read_text()
    assert "no image of" in of_images.err
    assert call("suggest", "latents.npz", trained.vae, trained.gmm, "-n", 5).out == of_images.out


def test_names_of_files_stay_what_they_are(call, trained):
    Path("photos").mkdir()
    for number, name in enumerate(HOSTILE):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8)).astype(np.uint8)
        Image.fromarray(pixels).save(Path("photos") / name)
    done = call("suggest", "photos", trained.vae)
    assert done.code == 0, done.err
    assert "have no label: the list has all" in done.err
    assert {row[0].removeprefix("'") for row in rows_of(done.out)} == {*HOSTILE}
    assert "'=1+1.png" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train.npz"], 2, "no checkpoint"),
        (["train.npz", "vae.pth"], 3, "every image has a label"),
        (["train.npz", "vae.pth", "-n", 0], 2, "--count"),
        (["train.npz", "gmm.pkl", "vae.pth", "--no-classes"], 2, "stands where"),
        (["train.npz", "vae.pth", "--no-classes", "-o", "train.npz"], 2, "is an input"),
        (["train.npz", "vae.pth", "other.pkl", "--no-classes"], 4, "fitted on"),
    ],
)
def test_what_is_refused(call, trained, arguments, code, said):
    for name in ("train", "vae", "gmm"):
        path = getattr(trained, name)
        shutil.copy(path, {"gmm": "gmm.pkl"}.get(name, path.name))
    mixture = lc.load_classifier(trained.gmm)
    mixture.fitted_on_ = "0" * 64
    mixture.save("other.pkl")
    done = call("suggest", *arguments)
    assert (done.code, said in done.err, done.out) == (code, True, ""), done.err


def test_a_list_that_was_filled_in_is_not_replaced(call, trained):
    arguments = ("suggest", trained.train, trained.vae, "--no-classes", "-n", 3, "-o", "labels.csv")
    assert call(*arguments).code == 0
    assert call(*arguments).code == 0  # no label is lost
    filled = Path("labels.csv").read_text().replace(",,", ",four,", 1)
    Path("labels.csv").write_text(filled)
    done = call(*arguments)
    assert (done.code, Path("labels.csv").read_text()) == (2, filled)
    assert "--labels labels.csv" in done.err
