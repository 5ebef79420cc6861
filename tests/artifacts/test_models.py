"""Models and classifiers from their files, matched to each other."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentcli.artifacts import parameters
from latentcli.artifacts.models import (
    load_classifier,
    load_density_classifier,
    load_mixture,
    load_model,
    load_prior,
    save_classifier,
    save_model,
)
from latentcli.classifiers import CLASSIFIERS, PROBES
from latentcli.classifiers.fitting import fit_graph, fit_mixture, fit_probe
from latentcli.core.errors import ModelFileError, OutputError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import Labels
from latentcli.formats.schemas import fingerprint
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, create, family_of
from latentcli.models.trained import TrainedModel

SHAPE = (1, 8, 8)


def model(family="vae", seed=0) -> TrainedModel:
    config = family_of(family).Config.for_data(SHAPE, 2, width=32)
    made = TrainedModel(family, create(family, config, seed).eval(), ("b", "a"), {"seed": seed, "history": []})
    made.fingerprint = fingerprint(made.entries())
    return made


def latents(of: TrainedModel):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, *SHAPE), dtype=np.uint8)
    return of.encode(ImageSet(images, Labels(np.arange(40) % 2, ("b", "a"))))


@pytest.mark.parametrize("family", [*FAMILIES, *PIXEL_CLASSIFIERS])
def test_a_model_comes_back_with_all_that_is_known_of_it(tmp_path, family):
    saved = model(family)
    save_model(saved, tmp_path / "model.pth")
    again = load_model(tmp_path / "model.pth", device="cpu")
    assert (again.family, again.class_names, again.training) == (family, ("b", "a"), {"seed": 0, "history": []})
    assert (again.config, again.fingerprint) == (saved.config, saved.fingerprint)
    assert (again.name, again.network.training, again.state) == (str(tmp_path / "model.pth"), False, None)
    for name, tensor in saved.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor)
    save_model(again, tmp_path / "again.pth")
    assert (tmp_path / "again.pth").read_bytes() == (tmp_path / "model.pth").read_bytes()


def test_what_cannot_be_read_or_written_is_refused(tmp_path):
    with pytest.raises(OutputError):
        save_model(model(), tmp_path / "missing" / "vae.pth")
    for load in (load_model, load_classifier, load_mixture):
        with pytest.raises(ModelFileError):
            load(tmp_path / "missing.pth")
    save_model(model(), tmp_path / "vae.pth")
    with pytest.raises(UsageError, match="device"):
        load_model(tmp_path / "vae.pth", device="tpu")
    unsigned = replace(latents(model()), checkpoint="")
    for fitted in (fit_mixture(unsigned), fit_probe(unsigned, probe="knn")):
        with pytest.raises(UsageError, match="names no checkpoint"):
            save_classifier(fitted, tmp_path / "classifier")
    assert [path.name for path in tmp_path.iterdir()] == ["vae.pth"]


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_classifier_comes_back_for_its_own_model_and_for_no_other(tmp_path, kind):
    own, other = model("vqvae" if kind == "conv" else "vae"), model(seed=1)
    given = latents(own)
    few = {name: 2 for name in ("epochs",) if kind in PROBES and name in PROBES[kind]().get_params()}
    others = {"gmm": lambda: fit_mixture(given, components=2), "graph": lambda: fit_graph(given)}
    fitted = fit_probe(given, probe=kind, **few) if kind in PROBES else others[kind]()
    path = tmp_path / "classifier"
    save_classifier(fitted, path)
    for again in (load_classifier(path), load_classifier(path, own)):
        np.testing.assert_array_equal(again.predict_proba(given.flat), fitted.predict_proba(given.flat))
        assert again.fitted_on_ == own.fingerprint
        assert list(again.classes_) == ["b", "a"]
    with pytest.raises(ModelFileError, match="fitted on another checkpoint"):
        load_classifier(path, other)
    if kind in PROBES:
        with pytest.raises(ModelFileError, match="is no mixture and no graph"):
            load_density_classifier(path)
    else:
        assert type(load_density_classifier(path, own)) is type(fitted)
    if kind != "gmm":
        with pytest.raises(ModelFileError, match="is no mixture"):
            load_mixture(path)
    else:
        assert load_mixture(path, own).sample(3)[0].shape == (3, given.flat.shape[1])


@pytest.mark.parametrize(
    ("name", "made_by"), [("g.npz", "fit-graph"), ("p.PTH", "fit-probe"), ("m.pkl", "fit-gmm"), ("m", "fit-gmm")]
)
def test_a_classifier_that_is_not_there_names_the_command_that_makes_such_a_file(tmp_path, name, made_by):
    with pytest.raises(ModelFileError, match=f"latentcli {made_by} DATA"):
        load_classifier(tmp_path / name)


def test_a_classifier_of_an_unknown_kind_is_refused(tmp_path):
    parameters.write_classifier(tmp_path / "theirs.pkl", {"kind": "theirs", "checkpoint": "a" * 64})
    with pytest.raises(ModelFileError, match=r"of an unknown kind\n  expected one of gmm, .*, found 'theirs'\n  where"):
        load_classifier(tmp_path / "theirs.pkl")


def test_a_classifier_of_another_package_that_is_gone_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(CLASSIFIERS._entries, "theirs", "a_module_that_is_not_there:Theirs")
    parameters.write_classifier(tmp_path / "theirs.pkl", {"kind": "theirs", "checkpoint": "a" * 64})
    said = (
        r"theirs.pkl: .*'theirs' of another package cannot be imported\n  .*\n  install the package that adds it again$"
    )
    with pytest.raises(ModelFileError, match=said):
        load_classifier(tmp_path / "theirs.pkl")


def test_a_classifier_whose_parameters_do_not_fit_each_other_is_to_be_fitted_again(tmp_path):
    own = model()
    fitted = fit_mixture(latents(own), components=2).to_params()
    parameters.write_classifier(tmp_path / "gmm.pkl", fitted | {"means": fitted["means"][:, :-1]})
    for of, name in ((None, "vae.pth"), (own, own.name)):
        with pytest.raises(ModelFileError, match=r"gmm.pkl: not a mixture that can be used") as caught:
            load_classifier(tmp_path / "gmm.pkl", of)
        assert caught.value.remedy.startswith("fit it again: latentcli fit-gmm DATA ")
        assert name in caught.value.remedy


def test_a_classifier_in_the_place_of_a_prior_is_refused(tmp_path):
    own = model("vqvae")
    save_classifier(fit_mixture(latents(own), components=2), tmp_path / "gmm.pkl")
    with pytest.raises(
        ModelFileError, match=r"gmm.pkl is a mixture\n  expected a .*\n  fit one: latentcli fit-prior DATA"
    ):
        load_prior(tmp_path / "gmm.pkl", own)
