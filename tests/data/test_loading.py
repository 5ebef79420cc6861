"""What DATA may be, and what every source keeps to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli.core.errors import DataError, LatentError, UsageError
from latentcli.core.labels import UNLABELLED
from latentcli.core.progress import silent
from latentcli.data import SOURCES, ImageSet, load


def check_contract(images: ImageSet):
    """What every user of an ``ImageSet`` builds on."""
    assert images.images.dtype == np.uint8
    assert images.images.ndim == 4
    assert images.shape[0] in (1, 3)
    assert len(images) > 0
    assert images.layout in ("NHW", "NHWC", "NCHW")
    assert images.name
    assert len(set(images.class_names)) == len(images.class_names)
    if images.labels.any:
        assert images.labels.codes.dtype == np.int64
        assert images.labels.codes.shape == (len(images),)
        assert images.labels.codes.min() >= UNLABELLED
        assert images.labels.codes.max() < len(images.class_names)
    if images.files is not None:
        assert len(images.files) == len(images)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", SOURCES)
def test_every_named_set_keeps_the_contract(name, split, tmp_path, monkeypatch, request):
    if name != "digits":
        monkeypatch.setattr(
            "latentcli.data.download._parts", lambda name: pytest.skip(f"{name} is not on this machine")
        )
        request.getfixturevalue("real_data")
    images = load(name, split=split)
    check_contract(images)
    assert images.name == name
    assert set(images.labels.codes) == set(range(len(images.class_names)))
    assert callable(SOURCES[name])


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    train, test = load("digits"), load("digits", split="test")
    assert (len(train), len(test)) == (1437, 360)
    images = np.concatenate([train.images, test.images]).reshape(-1, 64)
    assert np.abs(images - pixels * 255 / 16).max() <= 0.5
    assert images.max() == 255
    names = np.array(train.class_names)
    assert np.array_equal(names[np.concatenate([train.labels.codes, test.labels.codes])].astype(int), labels)


def test_classes_are_kept_in_the_order_given():
    found = load("digits", classes=["8", "1"])
    assert found.class_names == ("8", "1")
    everything = load("digits")
    assert np.array_equal(found.images[found.labels.codes == 0], everything.images[everything.labels.codes == 8])
    with pytest.raises(DataError, match=r"no class 'x'\n  expected some of: 0, 1, 2"):
        load("digits", classes=["x"])


def test_labels_by_row(tmp_path):
    (tmp_path / "labels.csv").write_text("File,Label\n5,five\n")
    found = load("digits", labels=tmp_path / "labels.csv")
    check_contract(found)
    assert found.class_names == ("five",)
    assert np.flatnonzero(found.labels.codes == 0).tolist() == [5]


def test_a_name_goes_before_a_path_and_a_path_is_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    Image.new("L", (9, 9)).save(tmp_path / "digits" / "a.png")
    assert len(load("digits")) == 1437
    assert load("./digits").shape == (1, 9, 9)
    assert load(tmp_path / "digits").name == "digits"


@pytest.mark.parametrize("name", ["nothing", "a\n\x1b[31mb", "MNIST", "", "x" * 5000, "nul\0"])
def test_an_unknown_source_lists_the_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LatentError) as caught:
        load(name)
    assert caught.value.exit_code == 3
    assert str(caught.value).count("\n") <= 2
    assert "\x1b" not in str(caught.value)
    if name == "nothing":
        assert ", ".join(SOURCES) in str(caught.value)


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"neither a \.npz or \.npy file nor a folder"):
        load(tmp_path / "a.txt")


def test_arguments_out_of_range():
    with pytest.raises(UsageError, match="unknown split 'validation'"):
        load("digits", split="validation")
    with pytest.raises(UsageError, match="digits has no val part"):
        load("digits", split="val")
    with pytest.raises(UsageError, match="leaves no classes"):
        load("digits", classes=["1"], no_classes=True)
    for labels in ("", ".", Path()):
        with pytest.raises(UsageError, match="`labels` names no file"):
            load("digits", labels=labels)
    for none in ([], [""], [" "]):
        with pytest.raises(UsageError, match=r"`classes` names no class\n.*leave it out"):
            load("digits", classes=none)
    for size in (0, 7, 257):
        with pytest.raises(UsageError, match="image size"):
            load("digits", image_size=size)


def test_arrays_must_fit_the_model_but_for_resize():
    assert load("digits", image_shape=(1, 8, 8)).shape == (1, 8, 8)
    with pytest.raises(DataError, match=r"expected 28×28 pixels, found 8×8\n.*`resize`"):
        load("digits", image_shape=(1, 28, 28))
    assert load("digits", image_shape=(1, 28, 20), resize=True).shape == (1, 28, 20)
    with pytest.raises(DataError, match=r"expected colour \(3 channels\), found grey \(1 channel\)"):
        load("digits", image_shape=(3, 8, 8), resize=True)


def test_resized_images_are_pillows(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 12, 10, 3), dtype=np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    found = load(tmp_path / "x.npy", image_size=8).images
    expected = np.asarray(Image.fromarray(pixels[299]).resize((8, 8), Image.Resampling.LANCZOS))
    assert found.shape == (300, 3, 8, 8)
    assert np.array_equal(found[299].transpose(1, 2, 0), expected)


@pytest.mark.parametrize("shape", [(2, 7, 30), (2, 30, 257), (2, 600, 600)])
def test_sizes_that_no_model_takes(tmp_path, shape):
    np.save(tmp_path / "x.npy", np.zeros(shape, dtype=np.uint8))
    with pytest.raises(DataError, match=r"expected 8 to 256 pixels a side\n.*`image_size`"):
        load(tmp_path / "x.npy")
    assert load(tmp_path / "x.npy", image_size=16).shape == (1, 16, 16)


def test_nothing_heavy_is_imported_for_arrays_and_no_torch_for_folders(tmp_path):
    np.savez(tmp_path / "x.npz", data=np.zeros((2, 8, 8), dtype=np.uint8), labels=[0, 1])
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    program = f"""
import sys
from latentcli import data
data.load({str(tmp_path / "x.npz")!r})
assert not {{"PIL", "sklearn", "joblib", "torch", "torchvision"}} & set(sys.modules)
data.load({str(tmp_path)!r})
data.load("digits")
assert not {{"torch", "torchvision"}} & set(sys.modules)
"""
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def test_progress_is_silent_by_default():
    with silent("nothing", 3) as advance:
        advance(3)


@pytest.mark.parametrize(
    ("source", "table"),
    [
        ("a/x.npz", "b/x.csv"),
        ("a/pictures", "b/pictures.csv"),
        ("a/pictures.zip", "../b/x.csv"),
        ("./c/x.npy", "x.csv"),
    ],
)
def test_messages_name_files_by_what_the_user_typed(tmp_path, monkeypatch, source, table):
    for folder in ("here/a/pictures", "here/b", "here/c", "b"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir("here")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(f"a/pictures/{number}.png")
    shutil.make_archive("a/pictures", "zip", "a/pictures")
    np.savez("a/x.npz", data=pixels)
    np.save("c/x.npy", pixels)
    Path(table).write_text("File,Label\n0,cat\n1,dog\n7,dog\n")
    try:
        told = load(source, labels=table).notes
    except DataError as error:
        told = (str(error),)
    assert any(str(Path(table)) in note and str(Path(source)) in note for note in told), told


@pytest.mark.parametrize("source", ["digits", "flat", "folder", "arrays.npz"])
def test_a_choice_of_no_class_is_refused_whatever_the_source(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    for name in ("flat/1.png", "folder/a/1.png"):
        Path(name).parent.mkdir(parents=True)
        Image.new("L", (8, 8)).save(name)
    np.savez("arrays.npz", data=np.zeros((2, 8, 8), np.uint8), labels=["a", "b"])
    with pytest.raises(UsageError, match="`classes` names no class"):
        load(source, classes=[])


def test_no_files_at_all_are_refused():
    with pytest.raises(DataError, match="there are no image files to read\n  found an empty list"):
        load([])


def test_a_class_that_no_image_is_of_is_refused(tmp_path):
    images = np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8)
    np.savez(tmp_path / "set.npz", data=images, labels=[0, 0], class_names=["a", "b"])
    assert len(load(tmp_path / "set.npz", classes=["b", "a"])) == 2
    with pytest.raises(DataError, match=r"set\.npz has no image of the classes b$"):
        load(tmp_path / "set.npz", classes=["b"])


def test_numbers_are_taken_where_texts_are_meant_and_a_text_for_no_list(tmp_path):
    from latentcli.data import load

    assert load("digits", classes=[1, 4]).class_names == ("1", "4")
    assert len(load("digits", max_bad=3)) == len(load("digits"))
    with pytest.raises(UsageError, match=r"`classes` is the text '1,4'(.|\n)*such as \['1', '4'\]"):
        load("digits", classes="1,4")
    with pytest.raises(UsageError, match="image size 8 is out of range"):
        load("digits", image_size="8")
