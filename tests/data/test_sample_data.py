"""The sample data: made by the script beside it, and each image in one file only."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from latentcli.data import load

HERE = Path(__file__).resolve().parents[2] / "sample_data"
PARTS = ("train.npz", "val.npz", "recon.npz", "test")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample_data")
    runpy.run_path(str(HERE / "make.py"))["make"](folder)
    return folder


@pytest.mark.parametrize("part", PARTS)
def test_the_script_makes_what_is_here(made, part):
    here, again = load(HERE / part), load(made / part)
    assert np.array_equal(here.images, again.images)
    assert (here.labels is None) == (again.labels is None)
    assert not here.labels.any or np.array_equal(here.labels.codes, again.labels.codes)
    assert (here.class_names, here.files) == (again.class_names, again.files)


def test_the_script_makes_the_same_bytes_twice(made, tmp_path):
    runpy.run_path(str(HERE / "make.py"))["make"](tmp_path)
    for path in (path for path in made.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / path.relative_to(made)).read_bytes()


def test_no_image_is_in_two_files():
    images = [image.tobytes() for part in PARTS for image in load(HERE / part).images]
    assert len(set(images)) == len(images) == 422 + 15 + 10 + 90


def test_labels_are_where_the_readme_says():
    assert not load(HERE / "train.npz").labels.any
    assert not load(HERE / "recon.npz").labels.any
    for part, each in (("val.npz", 5), ("test", 30)):
        found = load(HERE / part)
        assert found.class_names == ("1", "4", "8")
        assert found.shape == (1, 28, 28)
        assert np.bincount(found.labels.codes).tolist() == [each] * 3
