"""``--set`` and ``latentcli settings``: every setting has a meaning, and a value is the same however it is given."""

from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest

from latentcli.artifacts.models import load_model
from latentcli.classifiers import PROBES
from latentcli.cli.options import parse
from latentcli.core.errors import UsageError
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS
from latentcli.training.config import ClassifierTrainingConfig, TrainingConfig
from latentcli.training.train import configure

SMALL_CNN = ["--set", "width=16", "--epochs", 2, "-q"]


def test_set_seed_is_seed_byte_for_byte(call, trained, tiny):
    seeds = {"option": ["--seed", 5], "set": ["--set", "seed=5"], "other": []}
    for name, seed in seeds.items():
        Path(name).mkdir()
        files = ["-o", f"{name}/vae.pth", "--gmm", f"{name}/gmm_params.pkl", "--labels-per-class", 5]
        assert call("train", trained.train, *files, *tiny, *seed).code == 0
        few = ["-o", f"{name}/cnn.pth", "--labels-per-class", 5]
        assert call("train-cnn", trained.train, *few, *SMALL_CNN, *seed).code == 0
    for file in ("vae.pth", "gmm_params.pkl", "cnn.pth"):
        option, by_set, other = (Path(name, file).read_bytes() for name in seeds)
        assert option == by_set != other


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1), ("a=1_000", 1000), ("a=0.5", 0.5), ("a=1e-3", 0.001), ("a=true", True), ("a=False", False),
        ("a=none", None), ("a=bce+ssim", "bce+ssim"), (" a-b = text ", "text"), ("a=b=c", "b=c"), ("a=", ""),
        ("a=8,6,5", (8, 6, 5)), ("a=8, 6", (8, 6)), ("a=8,", "8,"), ("a=1.5,2", "1.5,2"), ("a=x,y", "x,y"),
    ],
)  # fmt: skip
def test_values_are_read_as_what_they_look_like(text, value):
    name, found = parse(text)
    assert name == ("a_b" if "a-b" in text else "a")
    assert (type(found), found) == (type(value), value)


def test_what_has_no_equals_sign_is_no_setting():
    with pytest.raises(UsageError, match="key=value"):
        parse("seed")


@pytest.mark.parametrize(
    ("command", "wrong", "right"),
    [
        ("train", "latent_dims", "latent_dim"),
        ("train", "batchsize", "batch_size"),
        ("train", "pixels_budget", "pixel_budget"),
        ("train-cnn", "mixups", "mixup"),
        ("train-cnn", "finnish", "finish"),
        ("fit-probe", "batchsize", "batch_size"),
    ],
)
def test_a_wrong_name_proposes_the_nearest_right_one(call, trained, command, wrong, right):
    model = [trained.vae] if command == "fit-probe" else []
    done = call(command, trained.train, *model, "--set", f"{wrong}=1")
    assert (done.code, f"unknown setting {wrong!r}; did you mean {right}?" in done.err) == (2, True), done.err
    assert len(done.err.splitlines()) <= 3
    assert not list(Path().iterdir())


@pytest.mark.parametrize("command", ["train", "train-cnn", "fit-probe"])
@pytest.mark.parametrize("name", ["device", "features", "random_state", "val", "colour", "on_epoch", "log"])
def test_what_is_an_argument_of_something_else_is_no_setting(call, trained, command, name):
    model = [trained.vae] if command == "fit-probe" else []
    done = call(command, trained.train, *model, "--set", f"{name}=1")
    assert (done.code, f"unknown setting {name!r}" in done.err) == (2, True), done.err


def test_set_seed_is_seed_for_a_probe_too(call, trained):
    learn = ["fit-probe", trained.train, trained.vae, "--probe", "linear", "--labels-per-class", 5, "-q"]
    by_option, by_set, other = (
        call(*learn, *seed) and Path("probe.pth").read_bytes() for seed in (["--seed", 5], ["--set", "seed=5"], [])
    )
    assert by_option == by_set != other


def of_model(name: str) -> set[str]:
    config = (PIXEL_CLASSIFIERS if name in PIXEL_CLASSIFIERS else FAMILIES)[name].Config
    return {each.name for each in fields(config)} - set(config.OF_DATA)


TRAININGS = [
    *((["train", "--model", name], f"model {name}", of_model(name), TrainingConfig) for name in FAMILIES),
    (["train-cnn"], "model cnn", of_model("cnn"), ClassifierTrainingConfig),
]


@pytest.mark.parametrize(("arguments", "model", "names", "training"), TRAININGS, ids=["vae", "vqvae", "fsq", "cnn"])
def test_every_setting_of_a_training_is_listed_with_its_meaning(call, arguments, model, names, training):
    done = call("settings", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    groups = {name: group for name, group in done.json.items() if name != "seconds"}
    assert list(groups) == [model, "training"]
    assert {each["name"] for each in groups[model]} == names
    assert {each["name"] for each in groups["training"]} == {each.name for each in fields(training)}
    table = call("settings", *arguments).out
    for group in groups.values():
        for each in group:
            assert len(each["meaning"]) > 10, each["name"]
            assert each["kind"]
            assert f"  {each['name']} " in table
            assert each["meaning"] in table
    defaults = {each["name"]: each["default"] for each in groups["training"]}
    family = model.removeprefix("model ")
    config = (FAMILIES if family in FAMILIES else PIXEL_CLASSIFIERS)[family].Config
    assert defaults == asdict(configure(config, training, (1, 28, 28), 10, {})[1])  # what a run takes


@pytest.mark.parametrize("probe", PROBES)
def test_every_setting_of_a_probe_is_listed_and_taken(call, trained, probe):
    done = call("settings", "fit-probe", "--model", probe, "--json")
    (listed,) = (group for name, group in done.json.items() if name != "seconds")
    assert all(each["name"] and each["meaning"] for each in listed)
    if probe == "conv":
        return  # reads maps; this model has none
    given = [part for each in listed if each["default"] is not None
             for part in ("--set", f"{each['name']}={str(each['default']).lower()}")]  # fmt: skip
    default, spelled = (
        call("fit-probe", trained.train, trained.vae, "--probe", probe, *more, "-q", "--labels-per-class", 5)
        and Path("probe.pth").read_bytes()
        for more in ([], given)
    )
    assert default == spelled


def test_levels_of_each_dimension_are_set_kept_and_gone_on_with(call, trained):
    levels = [
        "--model",
        "fsq",
        "--backbone",
        "mlp",
        "--set",
        "width=16",
        "--set",
        "min_steps=0",
        "--set",
        "levels=8,6,5",
    ]
    done = call("train", trained.train, *levels, "--epochs", 1, "-o", "fsq.pth", "--labels-per-class", 5, "-q")
    assert done.code == 0, done.err
    model = load_model("fsq.pth")
    assert (model.config.levels, model.config.latent_dim, model.latent_network.quantiser.size) == ((8, 6, 5), 3, 240)
    codes = model.encode(np.random.default_rng(0).integers(0, 256, (9, 1, 8, 8), dtype=np.uint8)).arrays["codes"]
    assert 0 <= codes.min() <= codes.max() < 240
    again = [*levels, "--epochs", 1, "--continue-from", "fsq.pth", "-o", "again.pth", "--labels-per-class", 5, "-q"]
    done = call("train", trained.train, *again)
    assert "has (8, 6, 5)" not in done.err
    assert "levels" in call("settings", "train", "--model", "fsq").out
    for value, said in [
        ("8,6,1", "`levels` is 1\n  expected a whole number from 2 to 64"),
        ("64,64,64", "the number of codes, the product of all levels, is 262144"),
        ("8,6", "there are 2 levels for 3 dimensions"),
        ("8;6", "`levels` is '8;6'"),
    ]:
        dimensions = ["--latent-dim", 3] if value == "8,6" else []
        wrong = call("train", trained.train, *levels[:-1], f"levels={value}", *dimensions)
        assert (wrong.code, said.replace("`", "") in wrong.err) == (2, True), wrong.err


def test_settings_of_nothing_name_what_there_is(call):
    for arguments, expected in [
        (["hybridize"], "train, train-cnn, fit-probe"),
        (["train", "--model", "gan"], "vae, vqvae, fsq"),
        (["fit-probe", "--model", "vae"], "mlp, conv, linear, knn"),
    ]:
        done = call("settings", *arguments)
        assert (done.code, expected in done.err, done.out) == (2, True, ""), done.err
