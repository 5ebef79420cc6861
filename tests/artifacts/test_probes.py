"""``probe.pth`` gives the probe back to its last bit, in the same bytes, and anything else is refused."""

import random

import numpy as np
import pytest
import torch

from latentcli.artifacts import checkpoint
from latentcli.artifacts import probes as probe_files
from latentcli.classifiers import PROBES
from latentcli.core.errors import ModelFileError, OutputError, UsageError
from latentcli.formats import torch_zip
from latentcli.formats.schemas import TRAINING_STATE

probes = pytest.mark.parametrize("kind", PROBES)


def fitted(kind="linear", codes=False):
    """A probe of three classes that was fitted in no time, and what it was fitted to."""
    generator = np.random.default_rng(0)
    truth = np.arange(30) % 3
    points = truth[:, None] + generator.integers(0, 3, (30, 4))
    points = points if codes else points.astype(np.float32)
    few = {"epochs": 3, "hidden": 4, "width": 4}
    known = PROBES[kind]().get_params()
    settings = {name: value for name, value in few.items() if name in known} | {"shape": (2, 2, 1)}
    return PROBES[kind](features="mean", **settings).fit(points, np.array(["1", "b", "é"])[truth]), points


def saved(kind="linear", **changes):
    return fitted(kind)[0].to_params() | {"checkpoint": "a" * 64} | changes


@pytest.fixture
def path(tmp_path):
    return tmp_path / "probe.pth"


@probes
@pytest.mark.parametrize("codes", [False, True])
def test_the_probe_comes_back(path, kind, codes):
    probe, points = fitted(kind, codes)
    probe_files.write(path, probe.to_params() | {"checkpoint": "a" * 64})
    params = probe_files.read(path, fitted_on="a" * 64)
    again = PROBES[params["kind"]].from_params(params)
    np.testing.assert_array_equal(again.predict_proba(points), probe.predict_proba(points))
    assert (again.features, list(again.classes_)) == ("mean", ["1", "b", "é"])
    assert again.history_ == probe.history_


@probes
def test_the_same_content_gives_the_same_bytes_whatever_its_path_and_history(tmp_path, kind):
    one, other = tmp_path / "one.pth", tmp_path / "another_name.pth"
    probe_files.write(one, saved(kind))
    probe_files.write(other, probe_files.read(one))
    assert one.read_bytes() == other.read_bytes()


def test_torch_reads_it_with_weights_only(path):
    probe_files.write(path, saved())
    content = torch.load(path, weights_only=True)
    assert (content["format"], content["kind"], content["classes"]) == ("latentcli-probe", "linear", ["1", "b", "é"])


def test_the_probe_of_another_checkpoint_is_refused(path):
    probe_files.write(path, saved())
    with pytest.raises(ModelFileError, match="fitted on another checkpoint"):
        probe_files.read(path, fitted_on="b" * 64)


@probes
def test_no_damage_goes_unnoticed(path, kind):
    probe_files.write(path, saved(kind))
    whole, randomness = path.read_bytes(), random.Random(0)
    for length in [0, 1, 2, 10, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            probe_files.read(path)
    expected = torch_zip.digest({"all": str(saved(kind))})
    unharmed = 0
    for _ in range(150):
        flipped = bytearray(whole)
        flipped[randomness.randrange(len(whole))] ^= 1 << randomness.randrange(8)
        path.write_bytes(flipped)
        try:  # a flip in padding or in a date of the archive changes nothing that is read
            found = probe_files.read(path)
        except ModelFileError:
            continue
        assert torch_zip.digest({"all": str(found)}) == expected
        unharmed += 1
    assert unharmed < 150


FORGERIES = {
    "another format": {"format": "latentcli-checkpoint"},
    "another version": {"version": 2},
    "no kind": {"kind": None},
    "no checkpoint": {"checkpoint": 3},
    "features": {"features": 3},
    "one key more": {"code": "import os"},
    "classes": {"classes": "abc"},
    "arrays": {"arrays": []},
    "an array of text": {"arrays": {"weight": "text"}},
    "not finite": {"arrays": {"weight": torch.tensor([float("nan")])}},
    "no SHA-256": {"sha256": None},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgeries_are_refused(path, forgery):
    probe_files.write(path, saved())
    content = torch.load(path, weights_only=True) | FORGERIES[forgery]
    content["sha256"] = torch_zip.digest({key: value for key, value in content.items() if key != "sha256"})
    torch_zip.write(path, content | {key: FORGERIES[forgery][key] for key in FORGERIES[forgery] if key == "sha256"})
    with pytest.raises(ModelFileError):
        probe_files.read(path)


def test_what_was_changed_is_refused(path):
    probe_files.write(path, saved())
    content = torch.load(path, weights_only=True)
    torch_zip.write(path, content | {"classes": ["1", "b", "no"]})
    with pytest.raises(ModelFileError, match="changed after it was written"):
        probe_files.read(path)


def test_the_state_of_a_training_is_no_probe_and_a_probe_no_checkpoint(path):
    TRAINING_STATE.write(path, {"state": {"step": 1}})
    with pytest.raises(ModelFileError, match="is not a probe"):
        probe_files.read(path)
    probe_files.write(path, saved())
    with pytest.raises(UsageError, match="is a probe"):
        checkpoint.read(path)


def test_what_is_no_file_is_refused(tmp_path):
    for name in ("missing.pth", "."):
        assert not probe_files.is_archive(tmp_path / name)
        with pytest.raises(ModelFileError):
            probe_files.read(tmp_path / name)
    with pytest.raises(OutputError):
        probe_files.write(tmp_path / "missing" / "probe.pth", saved())
