"""The public names: each can be loaded and says how it is used, and Python and the shell can do the same."""

import ast
import doctest
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer

import latentcli as lc
import latentcli.cli
from latentcli import pictures
from latentcli.cli.app import _laid_out, app, run
from latentcli.experiments import hybrids as hybrids_study
from latentcli.experiments import latents as latents_study
from latentcli.experiments import samples as samples_study
from latentcli.experiments import sweep as sweep_study
from latentcli.experiments.tasks import load_tasks
from latentcli.figures.tsne import evenly_by_class
from latentcli.models import FAMILIES
from latentcli.models.cnn import CNN
from latentcli.models.code_prior import CodePriorConfig
from latentcli.training.config import ClassifierTrainingConfig, TrainingConfig

ROOT = Path(lc.__file__).parent
HEAVY = ("torch", "torchvision", "sklearn", "skimage", "matplotlib", "scipy", "PIL", "joblib")
NOT_CALLED = {"pictures", *(name for name in lc.__all__ if name.endswith("Error"))}
"""A module, and errors, which nobody makes but the library."""


@pytest.mark.parametrize("name", lc.__all__)
def test_each_name_has_a_docstring_with_an_example_that_runs(name, tmp_path, monkeypatch):
    public = getattr(lc, name)
    text = inspect.getdoc(public)
    assert text
    if name in NOT_CALLED:
        return
    assert "\nExample:\n" in text
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder(recurse=False).find(public, name, globs={"np": np})
    output: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=output.append)
    assert not output, "".join(output)


def test_importing_it_loads_nothing_heavy():
    code = f"import latentcli, sys; dir(latentcli); print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_stub_says_what_there_is():
    """Type checkers read the names of ``__init__.pyi``, Python attaches them: each comes from where the stub says."""
    tree = ast.parse((ROOT / "__init__.pyi").read_text())
    imported = {
        alias.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert set(listed) == set(lc.__all__) == set(imported)
    assert listed == sorted(listed)
    for name, module in imported.items():
        if module is not None:
            assert getattr(lc, name).__module__ == f"latentcli.{module}", name
    assert set(lc.__all__) <= set(dir(lc))


def test_types_are_shipped():
    settings = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    shipped = settings["tool"]["setuptools"]["package-data"]["latentcli"]
    assert {"py.typed", "__init__.pyi"} <= {path.name for pattern in shipped for path in ROOT.glob(pattern)}


SHELLS_OWN = {
    "quiet", "verbose", "json", "fail_under", "output", "figures", "grid", "folder", "gmm", "quick", "report",
    "settings",
}  # fmt: skip
"""Options that say what is printed, which files are written and in which form settings are given."""

ALIASES = {
    "more": {"source"},
    "data": {"source", "images", "latents", "data"},
    "vae": {"model", "path"},
    "classifier": {"classifier", "mixture"},
    "test": {"tests"},
    "models": {"families"},
    "model": {"model", "family"},
    "files": {"path"},
    "points": {"count"},
    "snapshots": {"folder"},
    "tensorboard": {"folder"},
}
"""How the library calls what an option gives, where it is not the option's own name."""

VAE = FAMILIES["vae"].Config
READ = (lc.load, lc.load_model)
TWINS = {
    "train": (lc.load, lc.train, lc.Snapshots, lc.TensorBoard, lc.fit_mixture, VAE, TrainingConfig),
    "train-cnn": (lc.load, lc.train_cnn, lc.TensorBoard, CNN.Config, ClassifierTrainingConfig),
    "encode": (*READ, lc.TrainedModel.encode, lc.encode, lc.encode_shards),
    "fit-gmm": (*READ, lc.fit_mixture),
    "fit-graph": (*READ, lc.fit_graph),
    "fit-probe": (*READ, lc.fit_probe),
    "fit-prior": (*READ, lc.load_classifier, lc.fit_prior, lc.Snapshots, CodePriorConfig, TrainingConfig),
    "classify": (*READ, lc.load_classifier, lc.classify, lc.classify_shards),
    "suggest": (*READ, lc.load_classifier, lc.suggest),
    "check": (*READ, lc.load_classifier, lc.check),
    "evaluate": (*READ, lc.load_classifier, lc.evaluate),
    "reconstruct": (*READ, lc.TrainedModel.reconstruct, lc.TrainedModel.decode),
    "sample": (lc.load_model, lc.sample),
    "hybridize": (*READ, lc.load_classifier, lc.hybridize),
    "distort": (lc.load, lc.augmented_copies),
    "explore": (*READ, lc.load_classifier, lc.explore),
    "export": (lc.load_model, lc.load_classifier, lc.export),
    "import": (lc.load_model, lc.import_weights),
    "info": (lc.describe,),
    "settings": (lc.settings,),
    "list": (lc.cached,),
    "clear": (lc.clear_cache,),
    "latents": (load_tasks, lc.study_latents, latents_study.StudyConfig),
    "hybrids": (load_tasks, lc.study_hybrids, hybrids_study.StudyConfig),
    "samples": (load_tasks, lc.study_samples, samples_study.StudyConfig),
    "sweep": (load_tasks, lc.study_sweep, sweep_study.StudyConfig),
    "history": (lc.load_model, pictures.history),
    "latent": (*READ, lc.load_classifier, pictures.latent),
    "manifold": (lc.load_model, lc.load_classifier, pictures.manifold),
    "reconstructions": (*READ, pictures.reconstructions),
    "codes": (*READ, pictures.codes),
    "tsne": (*READ, evenly_by_class, pictures.tsne),
    "confusion": (*READ, lc.load_classifier, lc.classify, pictures.confusion),
}
"""The functions, methods and configurations that do in Python what a command does."""


def commands(group: typer.Typer = app):
    """Name and function of each command, those of groups too."""
    for command in group.registered_commands:
        yield command.name, inspect.unwrap(command.callback)
    for inner in group.registered_groups:
        yield from commands(inner.typer_instance)


def test_each_command_has_a_twin():
    assert latentcli.cli.__all__
    assert {name for name, _ in commands()} == TWINS.keys()


@pytest.mark.parametrize(("name", "function"), [*commands()])
def test_each_option_is_a_parameter_in_python(name, function):
    _, options = _laid_out(inspect.signature(function))
    known = {parameter for twin in TWINS[name] for parameter in inspect.signature(twin).parameters}
    lacking = {
        option.name for option in options if not ALIASES.get(option.name, {option.name}) & known
    } - SHELLS_OWN  # fmt: skip
    assert not lacking


def test_aliases_and_the_shells_own_are_all_needed():
    options = {option.name for _, function in commands() for option in _laid_out(inspect.signature(function))[1]}
    assert options | {"quiet", "verbose"} >= SHELLS_OWN | ALIASES.keys()


def test_python_takes_paths_as_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = lc.load("digits", classes=["1", "4"])
    lc.write_images("images.npz", images)
    Path("labels.csv").write_text("File,Label\n0,one\n1,four\n")
    assert lc.load("images.npz", labels="labels.csv", data_root=str(tmp_path)).labels.known.sum() == 2
    vae = lc.train(images, log="log.jsonl", state="state", backbone="mlp", width=16, latent_dim=2, epochs=1)
    vae.save("vae.pth")
    assert not Path("state").exists()
    assert len(Path("log.jsonl").read_text().splitlines()) == 1
    assert lc.describe("vae.pth")["fingerprint"] == vae.fingerprint
    lc.pictures.history("history.svg", vae.history)
    assert Path("history.svg").exists()


def shell(*arguments: object) -> None:
    with pytest.raises(SystemExit) as end:
        run([*map(str, arguments), "-q"])
    assert not end.value.code


def test_the_same_call_gives_the_same_bytes(tmp_path, monkeypatch):
    """What the shell writes, Python writes, file by file."""
    monkeypatch.chdir(tmp_path)
    settings = {"width": 32, "latent_dim": 4, "epochs": 3}
    flags = ["--backbone", "mlp", "--latent-dim", 4, "--epochs", 3, "--set", "width=32"]
    three, cpu = ["--classes", "1,4,8"], ["--device", "cpu"]
    shell("train", "digits", *three, "--labels-per-class", 5, "--seed", 3, *flags, *cpu)
    shell("encode", "digits", "vae.pth", *three, *cpu)
    shell("classify", "digits", "vae.pth", "gmm_params.pkl", *three, *cpu)
    shell("hybridize", "vae.pth", "gmm_params.pkl", "-n", 30, "--classes", "4,8", "--seed", 2, *cpu)
    shell("fit-probe", "digits", "vae.pth", "--probe", "linear", "--set", "epochs=2", *three, *cpu)
    small = ["--epochs", 1, "--set", "width=16", "--set", "min_steps=0"]
    shell("train-cnn", "digits", *three, "--labels-per-class", 9, "--hybrids", "hybrids.npz", *small, *cpu)
    shell("distort", "digits", *three, "--labels-per-class", 3, "-n", 50)
    names = (
        "vae.pth", "gmm_params.pkl", "latents.npz", "vae.csv", "hybrids.npz", "probe.pth", "cnn.pth", "distorted.npz",
    )  # fmt: skip
    of_shell = {name: Path(name).read_bytes() for name in names}
    for name in names:
        Path(name).unlink()

    images, test = (lc.load("digits", split=split, classes=["1", "4", "8"]) for split in ("train", "test"))
    vae = lc.train(images, backbone="mlp", seed=3, device="cpu", **settings)
    vae.save("vae.pth")
    mixture = lc.fit_mixture(vae.encode(images), labels_per_class=5, seed=3)
    lc.save_classifier(mixture, "gmm_params.pkl")
    lc.write_latents("latents.npz", vae.encode(test))
    lc.write_predictions(lc.classify(test, vae, mixture), "vae.csv")
    hybrids = lc.hybridize(vae, mixture, 30, classes=["4", "8"], seed=2)
    lc.write_hybrids("hybrids.npz", hybrids)
    lc.save_classifier(lc.fit_probe(vae.encode(images), probe="linear", epochs=2), "probe.pth")
    cnn = lc.train_cnn(
        images, hybrids=hybrids, labels_per_class=9, width=16, epochs=1, min_steps=0, device="cpu"
    )  # fmt: skip
    cnn.save("cnn.pth")
    lc.write_images("distorted.npz", lc.augmented_copies(images, 50, labels_per_class=3))
    assert [name for name in names if Path(name).read_bytes() != of_shell[name]] == []


@pytest.fixture(scope="module")
def made() -> SimpleNamespace:
    images = lc.load("digits", classes=["1", "4", "8"])
    vae = lc.train(images, backbone="mlp", width=16, latent_dim=2, epochs=1)
    latents = vae.encode(images)
    return SimpleNamespace(images=images, vae=vae, latents=latents, mixture=lc.fit_mixture(latents))


X = np.zeros((4, 1, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda of: lc.load(X), "expected the name of a data set, .* found ndarray"),
        (lambda of: lc.load(["a", 5]), "one path or several, found list"),
        (lambda of: lc.load("digits", labels={}), "expected a path, found dict"),
        (lambda of: lc.train(X), r"expected `ImageSet`, found ndarray\n .*`load\(source\)`"),
        (lambda of: lc.train("digits"), "`images` is of .*\n.* found str"),
        (lambda of: lc.train_cnn(X), "expected `ImageSet`"),
        (lambda of: lc.fit_prior(of.images, of.vae), "expected `Latents`, found ImageSet"),
        (lambda of: lc.fit_mixture(X), r"expected `Latents`, .*\n .*`model.encode\(images"),
        (lambda of: lc.fit_probe(of.latents, 5), "`val` is of the wrong type"),
        (lambda of: lc.fit_graph(of.latents, labels_per_class=-1), "`labels_per_class` is -1"),
        (lambda of: lc.fit_graph(of.latents, labels_per_class="5"), "`labels_per_class` is '5'"),
        (lambda of: lc.classify(of.images, of.mixture, of.vae), "`model` is .*\n.*GaussianMixture"),
        (lambda of: lc.classify(of.images, of.vae, "gmm"), "`classifier` is .*\n.* found str"),
        (lambda of: lc.classify(of.images, of.vae, of.mixture, reject_below="a"), "below` is 'a'"),
        (lambda of: lc.evaluate(of.images, "vae.pth"), "expected `TrainedModel`, found str"),
        (lambda of: lc.check(X, of.vae), "expected `ImageSet`, found ndarray"),
        (lambda of: lc.suggest(of.images), "expected `Latents`, found ImageSet"),
        (lambda of: lc.hybridize(of.mixture, of.vae, 5), "expected `TrainedModel`, found Gauss"),
        (lambda of: lc.hybridize(of.vae, of.mixture, 5, classes="48"), "`classes` is the text"),
        (lambda of: lc.hybridize(of.vae, of.mixture, 5, near=X), "expected `Latents`, found nd"),
        (lambda of: lc.sample("vae.pth"), "`model` is .*\n.*\n.*`load_model"),
        (lambda of: lc.ImageSet(X[:, 0]), r"expected an array .* found uint8 \(4, 8, 8\)"),
        (lambda of: lc.ImageSet(X / 255), r"of uint8, .* found float64"),
        (lambda of: lc.ImageSet([1, 2]), "found list"),
        (lambda of: of.vae.encode(X * 0.5), "found float64"),
        (lambda of: of.vae.encode(None), "found NoneType"),
    ],
)  # fmt: skip
def test_what_is_of_the_wrong_type_is_named_with_how_to_make_the_right_one(call, told, made):
    with pytest.raises(lc.LatentError, match=told):
        call(made)


def test_classes_may_be_numbers_everywhere(made):
    numbers, texts = (lc.hybridize(made.vae, made.mixture, 5, classes=names) for names in ([4, 8], ["4", "8"]))
    np.testing.assert_array_equal(numbers["soft_labels"], texts["soft_labels"])
