"""What is said of labels: nothing asked for is silently not made, and what is odd is told before any figure."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

X = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)


def unlabelled(kind: str) -> str:
    """The name of a source without labels."""
    match kind:
        case "folder":
            Path(kind).mkdir()
            for row, image in enumerate(X):
                Image.fromarray(image).save(f"{kind}/{row}.png")
            return kind
        case "npy":
            np.save("x.npy", X)
            return "x.npy"
        case "other keys":
            np.savez("x.npz", images=X, scores=np.ones(12))
        case "minus one":
            np.savez("x.npz", images=X, labels=np.full(12, -1))
    return "x.npz"


@pytest.mark.parametrize("kind", ["folder", "npy", "other keys", "minus one"])
@pytest.mark.parametrize("asked", [["--gmm", "g.pkl"], ["--labels-per-class", 2], ["x.npy"], []])
def test_a_mixture_that_was_asked_for_is_made_or_it_is_an_error(call, tiny, kind, asked):
    np.save("x.npy", X)
    done = call("train", unlabelled(kind), *asked, *[each for each in tiny if each != "-q"])
    if asked:
        assert (done.code, Path("vae.pth").exists()) == (3, False)
        assert "has no labels to name the clusters with\n  expected a" in done.err
        assert ("VAL" if asked == ["x.npy"] else asked[0]) in done.err
    else:
        assert (done.code, Path("vae.pth").exists()) == (0, True)
        assert "has no labels, so no mixture" in done.err
        assert "latentcli fit-gmm" in done.err
    assert kind != "other keys" or "scores (12,)" in done.err
    assert kind != "minus one" or "12 of 12 labels mean no label: -1 (12)" in done.err


@pytest.mark.parametrize("text", ["File,Label\n", "File,Label\n3,-1\n", "File,Label\n3,unknown\n4,NaN\n"])
def test_a_table_that_labels_nothing_is_an_error(call, tiny, text):
    Path("labels.csv").write_text(text)
    done = call("train", unlabelled("npy"), "--labels", "labels.csv", *tiny)
    assert done.code == 3
    assert "labels.csv labels no image of x.npy" in done.err
    assert not Path("vae.pth").exists()


@pytest.mark.parametrize(("said", "classes"), [("", ["-1", "0", "1"]), ("1", ["-1", "0"]), (None, ["0", "1"])])
def test_no_label_says_what_is_none(call, tiny, said, classes):
    np.savez("x.npz", x=X, y=np.arange(12) % 3 - 1)
    option = [] if said is None else ["--no-label", said]
    done = call("train-cnn", "x.npz", *option, "--set", "width=16", "--epochs", 1, "--json")
    assert done.json["classes"] == classes


@pytest.mark.parametrize(
    ("renamed", "told"),
    [
        (lambda name: {"1": "one", "4": "four", "8": "eight"}[name], "no class in common"),
        (lambda name: name + ".0 ", "how numbers are written"),
        (lambda name: str(int(name) + 1), "+1"),
        (lambda name: "nine" if name == "8" else name, "does not know nine"),
    ],
)
def test_classes_that_the_classifier_does_not_know_are_told_before_the_figures(call, trained, renamed, told):
    test = np.load(trained.test)
    names = np.array([renamed(str(name)) for name in test["labels"]])
    np.savez("test.npz", data=test["data"], labels=names)
    for command in ("classify", "evaluate"):
        done = call(command, "test.npz", trained.vae, trained.gmm, "--json")
        assert done.code == 0
        assert "warning" in done.err
        assert told in done.err
    assert "warning" not in call("classify", trained.test, trained.vae, trained.gmm).err


def test_the_same_letters_in_two_encodings_are_one_class(call, tiny, trained):
    names, data = ["caf\u00e9", "na\u00efve", "8"], np.load(trained.train)
    for form in ("NFC", "NFD"):
        texts = np.array([unicodedata.normalize(form, names[(1, 4, 8).index(name)]) for name in data["labels"]])
        np.savez(f"{form}.npz", data=data["data"], labels=texts)
    assert call("train", "NFC.npz", *tiny).code == 0
    composed, apart = (
        call("classify", f"{form}.npz", "vae.pth", "gmm_params.pkl", "--json") for form in ("NFC", "NFD")
    )
    assert composed.json | {"seconds": 0} == apart.json | {"seconds": 0}
    assert (len(apart.json["classes"]), "warning" in apart.err) == (3, False)
