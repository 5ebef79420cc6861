"""Graphs from the shell: train → fit-graph → classify, evaluate, plot, info and hybridize."""

from pathlib import Path

import numpy as np
import pytest

import latentcli as lc
from latentcli.classifiers import comparing


@pytest.fixture
def graph(call, trained):
    """``graph.npz`` from five labels a class, and what the command said."""
    done = call("fit-graph", trained.train, trained.vae, "--labels-per-class", 5, "--json", "-q")
    assert (done.code, done.err) == (0, "")
    return done.json


def test_the_whole_chain(call, trained, graph):
    assert (graph["classes"], graph["labels"], graph["written"]) == (["1", "4", "8"], 15, ["graph.npz"])
    assert graph["method"] in ("poisson", "spreading")
    assert {"left_out_accuracy_poisson", "left_out_accuracy_spreading", "components", "unreached"} <= graph.keys()
    classified = call("classify", trained.test, trained.vae, "graph.npz", "--json", "--figures", "pictures").json
    assert classified["accuracy"] > 0.8
    assert {path.name for path in Path("pictures").iterdir()} == {"confusion.png", "labels.png", "predictions.png"}
    evaluated = call("evaluate", trained.test, trained.vae, "graph.npz", "--json").json
    assert evaluated["confusion_matrix"] == classified["confusion_matrix"]
    assert (
        call("classify", trained.test, trained.vae, "graph.npz", "--reject-below", 0.2, "--json").json["rejected"] > 0
    )
    assert call("plot", "latent", trained.test, trained.vae, "graph.npz").code == 0
    told = call("info", "graph.npz", "--json").json
    assert (told["kind"], told["method"], told["labels"]) == ("graph", graph["method"], 15)
    done = call("hybridize", trained.vae, "graph.npz", "-n", 40, "--figures", "more", "--json")
    assert done.code == 0, done.err
    with np.load("hybrids.npz") as hybrids:
        np.testing.assert_allclose(hybrids["soft_labels"].sum(axis=1), 1, atol=1e-6)
    done = call("hybridize", trained.vae, "graph.npz", "--strategy", "mixture")
    assert (done.code, "draws from a mixture" in done.err) == (2, True), done.err
    done = call("plot", "manifold", trained.vae, "graph.npz")
    assert (done.code, "is no mixture" in done.err) == (4, True), done.err


def test_latents_python_and_the_shell_give_the_same_bytes(call, trained, graph):
    whole = Path("graph.npz").read_bytes()
    assert call("encode", trained.train, trained.vae, "-o", "latents.npz").code == 0
    assert call("fit-graph", "latents.npz", "--labels-per-class", 5, "-o", "again.npz").code == 0
    assert Path("again.npz").read_bytes() == whole
    lc.fit_graph(lc.read_latents("latents.npz"), labels_per_class=5).save("python.npz")
    assert Path("python.npz").read_bytes() == whole


def test_options_reach_the_graph(call, trained):
    options = [
        "-k",
        5,
        "--method",
        "spreading",
        "--alpha",
        0.5,
        "--class-sizes",
        "1=2,4=1,8=1",
        "--features",
        "encoder",
    ]
    done = call("fit-graph", trained.train, trained.vae, *options, "--json", "--figures", "pictures", "-q")
    assert (done.code, done.json["method"]) == (0, "spreading"), done.err
    params = lc.load_classifier("graph.npz").to_params()
    assert (params["n_neighbors"], params["alpha"], params["features"]) == (5, 0.5, "encoder")
    assert np.abs(params["probabilities"].mean(axis=0) - [0.5, 0.25, 0.25]).max() < 1e-3
    assert call("classify", trained.test, trained.vae, "graph.npz").code == 0


@pytest.mark.parametrize(
    ("options", "alpha", "few"),
    [
        (["--method", "poisson", "--alpha", 0.5, "--labels-per-class", 8], True, False),
        (["--method", "spreading", "--alpha", 0.5, "--labels-per-class", 4], False, True),
        (["--labels-per-class", 1, "--alpha", 0.9], True, False), (["--labels-per-class", 2], False, True),
        ([], False, False),
    ],
)  # fmt: skip
def test_what_has_no_effect_and_what_is_too_low_is_told(call, trained, options, alpha, few):
    done = call("fit-graph", trained.train, trained.vae, *options)
    assert done.code == 0, done.err
    assert ("--alpha is of label spreading" in done.err, "left_out_accuracy is too low" in done.err) == (alpha, few)


@pytest.mark.parametrize(
    ("code", "says", "options"),
    [
        (2, "unknown method", ["--method", "magic"]),
        (2, "alpha", ["--alpha", 1]),
        (2, "class_sizes", ["--class-sizes", "1=2,4=1"]),
        (2, "no name and number", ["--class-sizes", "1=many"]),
        (3, "too few labels", ["--labels-per-class", 10_000]),
        (7, "left_out_accuracy", ["--fail-under", "left_out_accuracy=1.1"]),
    ],
)
def test_calls_that_make_no_sense(call, trained, code, says, options):
    done = call("fit-graph", trained.train, trained.vae, *options)
    assert done.code == code, done.err
    assert says in done.err.replace("-", "_")


@pytest.mark.parametrize("command", ["fit-graph", "fit-gmm"])
def test_labels_of_latents_are_left_out_where_they_are_encoded(call, trained, command):
    assert call("encode", trained.train, trained.vae, "-o", "latents.npz").code == 0
    done = call(command, "latents.npz", "--no-classes")
    assert (done.code, "--no-classes is of images" in done.err) == (2, True), done.err


def test_a_damaged_graph_is_called_one_and_ends_with_the_code_of_damaged_models(call, trained, graph):
    whole = Path("graph.npz").read_bytes()
    index = whole.rindex(b"sha256.npy")
    for damaged in (whole[: len(whole) // 3], b"", whole[:index] + b"x" + whole[index + 1 :]):
        Path("cut.npz").write_bytes(damaged)
        done = call("classify", trained.test, trained.vae, "cut.npz")
        assert (done.code, "latentcli fit-graph" in done.err) == (4, True), done.err


def test_the_command_that_train_prints_is_of_the_labels_that_it_compared(call, trained, monkeypatch):
    """Those of the validation part, where DATA has one."""
    monkeypatch.setattr(comparing, "compare_classifiers", lambda *_, **__: {"mixture": 0.1, "graph": 0.9})
    with np.load(trained.train) as arrays:
        images, labels = arrays["data"], arrays["labels"]
    np.savez("parts.npz", x_train=images[:60], x_val=images[60:90], y_train=labels[:60], y_val=labels[60:90])
    for data, more, val in (("parts.npz", [], "parts.npz"), (trained.train, [trained.train], trained.train)):
        done = call("train", data, *more, "--epochs", 1, "--set", "width=32")
        assert f"latentcli fit-graph {data} vae.pth --val {val}\n" in done.err, done.err
    done = call("train", trained.train, "--epochs", 1, "--set", "width=32")
    assert f"latentcli fit-graph {trained.train} vae.pth\n" in done.err, done.err


def test_train_tells_how_often_each_classifier_is_right_about_labels_that_it_does_not_see(
    call, trained, monkeypatch, tiny, compare_classifiers
):  # fmt: skip
    monkeypatch.setattr(comparing, "compare_classifiers", compare_classifiers)
    done = call("train", trained.train, *tiny, "--labels-per-class", 3, "--json")
    assert done.code == 0, done.err
    latents = lc.load_model("vae.pth").encode(lc.load(trained.train))
    expected = compare_classifiers(latents, labels_per_class=3)
    assert len(expected) == 3
    assert {name: accuracy for name, accuracy in done.json.items() if name.startswith("compared_")} == {
        f"compared_{name}": accuracy for name, accuracy in expected.items()
    }


@pytest.mark.parametrize(("count", "few"), [(3, True), (4, True), (5, False)])
def test_figures_of_few_labels_are_told_to_be_too_low(call, trained, monkeypatch, tiny, count, few):
    monkeypatch.setattr(comparing, "compare_classifiers", lambda *_, **__: {"mixture": 0.9, "graph": 0.5})
    done = call("train", trained.train, *tiny[:-1], "--labels-per-class", count)
    assert done.code == 0, done.err
    assert (f"are too low: with {count} labels of a class" in done.err) == few
