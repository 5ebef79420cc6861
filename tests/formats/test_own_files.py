"""The kinds of our own files are told apart by a few bytes, and nobody else's file is taken for one."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentcli as lc
from latentcli.core.errors import UsageError
from latentcli.formats import own_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a file of each kind."""
    folder = tmp_path_factory.mktemp("own")
    images = lc.load("digits", classes=["1", "4", "8"])
    vae = lc.train(images, backbone="mlp", width=16, latent_dim=2, epochs=1)
    vae.save(folder / "model")
    latents = vae.encode(images)
    lc.save_classifier(lc.fit_mixture(latents), folder / "mixture")
    lc.save_classifier(lc.fit_graph(latents), folder / "graph")
    lc.save_classifier(lc.fit_probe(latents, probe="knn"), folder / "probe")
    lc.write_latents(folder / "file of latents", latents)
    return folder


KINDS = ("model", "mixture", "graph", "probe", "file of latents")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_known_by_its_content(folder, kind):
    assert own_files.kind_of(folder / kind) == kind


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "model"])
def test_nothing_else_is_taken_for_a_model(folder, kind):
    with pytest.raises(UsageError, match=f"is a {kind}, and stands where a model such as vae.pth belongs"):
        lc.load_model(folder / kind)


@pytest.mark.parametrize("kind", ["model", "file of latents"])
def test_nothing_else_is_taken_for_a_classifier(folder, kind):
    with pytest.raises(UsageError, match=f"is a {kind}, and stands where a classifier"):
        lc.load_classifier(folder / kind)


@pytest.mark.parametrize("kind", ["model", "mixture", "probe", "graph"])
def test_nothing_else_is_taken_for_images(folder, kind):
    with pytest.raises(UsageError, match=f"is a latentcli {kind}, and stands where images belong"):
        lc.load(folder / kind)


def test_a_mixture_whose_large_arrays_come_first_is_known(tmp_path):
    random = np.random.default_rng(0)
    points = random.normal(size=(40, 1000)).astype(np.float32)
    labels = lc.Labels.of(["a", "b"] * 20)
    mixture = lc.fit_mixture(lc.Latents({"quantized": points.reshape(40, 5, 5, 40)}, "a" * 64, labels), components=2)
    lc.save_classifier(mixture, tmp_path / "mixture")
    content = (tmp_path / "mixture").read_bytes()
    assert content.find(b"component_labels") > 2**16
    assert own_files.kind_of(tmp_path / "mixture") == "mixture"


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "tiff", "webp"])
def test_a_picture_is_told_as_one(tmp_path, ending):
    Image.new("L", (8, 8)).save(tmp_path / f"a.{ending}")
    (tmp_path / f"a.{ending}").rename(tmp_path / "vae.pth")
    assert own_files.kind_of(tmp_path / "vae.pth") == own_files.PICTURE
    assert own_files.misplaced(tmp_path / "vae.pth", own_files.IMAGES) is None
    assert "is a picture, and stands where a model" in str(own_files.misplaced(tmp_path / "vae.pth", own_files.MODEL))


def test_other_files_are_of_no_kind_of_ours(tmp_path):
    others = {"text": b"label", "empty": b"", "pickle": pickle.dumps([1, 2]), "half": b"PK\x03\x04" + bytes(40)}
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        assert own_files.kind_of(tmp_path / name) is None, name
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("cat/1.png", b"")
    assert own_files.kind_of(tmp_path / "zip") is None
    assert own_files.kind_of(tmp_path / "missing") is None


def test_arrays_called_as_ours_are_still_read_as_images(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.random.default_rng(0).integers(0, 255, (9, 8, 8), np.uint8), mu=np.ones(9))
    assert len(lc.load(tmp_path / "a.npz")) == 9


def test_a_folder_of_other_parts_is_of_no_kind_of_ours(tmp_path):
    assert own_files.kind_of(tmp_path) is None
    (tmp_path / "part-00000.parquet").write_bytes(b"PAR1 of another program PAR1")
    assert own_files.kind_of(tmp_path) is None
    (tmp_path / "part-00000.parquet").write_bytes(b'PAR1 latentcli-part {"holds": "latents"} PAR1')
    assert own_files.kind_of(tmp_path) == own_files.PARTS_OF_LATENTS


@pytest.mark.parametrize(("name", "kind"), [("a.pkl", "mixture"), ("a.NPZ", "graph"), ("a.b.pth", "probe")])
def test_a_name_says_which_classifier_it_is_to_hold(name, kind):
    assert own_files.called(Path(name)) == own_files.called(Path(name), kind) == kind


@pytest.mark.parametrize(("name", "holds", "said"), [
    ("a.txt", None, r"a.txt is no name of a classifier\n  expected one that ends in .pkl \(mixture\) or .npz"),
    ("a.pkl", "graph", "a.pkl is no name of a graph\n  expected one that ends in .npz, as it is a graph"),
    ("a", "probe", "a is no name of a probe\n  expected one that ends in .pth, as it is a probe"),
])  # fmt: skip
def test_a_name_that_says_another_classifier_or_none_is_refused(name, holds, said):
    with pytest.raises(UsageError, match=said):
        own_files.called(Path(name), holds)


@pytest.mark.parametrize("count", [3, 6_000])
def test_latents_in_parquet_are_told_by_the_end_of_the_file(tmp_path, count):
    pytest.importorskip("pyarrow", reason="pyarrow, which writes Parquet, is not installed")
    points = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    lc.write_latents(tmp_path / "l.parquet", lc.Latents({"mu": points, "logvar": points}, checkpoint="a" * 64))
    assert ((tmp_path / "l.parquet").stat().st_size > 2**17) == (count > 3)
    assert own_files.kind_of(tmp_path / "l.parquet") == "file of latents"


@pytest.mark.parametrize("found", ["model", "CNN", "prior"])
def test_of_a_model_in_the_place_of_images_alone_it_is_said_how_to_go_on_from_it(tmp_path, monkeypatch, found):
    monkeypatch.setattr(own_files, "kind_of", lambda path: found)
    told = str(own_files.misplaced(tmp_path / "x.pth", own_files.IMAGES))
    assert f"is a latentcli {found}, and stands where images belong" in told
    assert ("`continue_from`" in told) == (found == "model")
