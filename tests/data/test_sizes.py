"""The size at which the files of a folder are read where none is asked for."""

import numpy as np
import pytest
from PIL import Image

from latentcli.data import load


def put(path, height, width):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width), 90, np.uint8)).save(path)


def folder(tmp_path, count, height=28, width=28):
    for number in range(count):
        put(tmp_path / "set" / "abc"[number % 3] / f"{number:03}.png", height, width)
    return tmp_path / "set"


@pytest.mark.parametrize("where", ["a/0-first.png", "b/05-middle.png", "c/z-last.png", "of-its-own/1.png"])
@pytest.mark.parametrize("odd", [(29, 28), (64, 30), (12, 12), (500, 400), (1, 1)])
def test_one_odd_image_leaves_the_size_of_the_others_and_is_told(tmp_path, where, odd):
    put(folder(tmp_path, 30) / where, *odd)
    found = load(tmp_path / "set")
    assert (len(found), found.shape) == (31, (1, 28, 28))
    assert found.notes == (
        f"set: 30 of 31 images have 28×28 pixels, and all are read in that size, {where} with {odd[0]}×{odd[1]} too; "
        "`image_size` chooses another",
    )
    assert (load(tmp_path / "set", image_size=64).notes, load(tmp_path / "set", image_size=64).shape[1]) == ((), 64)
    assert load(tmp_path / "set", image_shape=(1, 9, 9)).notes == ()


@pytest.mark.parametrize("most", [(20, 30), (8, 256)])
def test_the_size_that_three_of_four_have_may_be_oblong_and_a_quarter_may_differ(tmp_path, most):
    for number in range(3):
        put(folder(tmp_path, 9, *most) / "a" / f"odd{number}.png", 16 + number, 16)
    assert load(tmp_path / "set").shape == (1, *most)
    put(tmp_path / "set" / "a" / "odd4.png", 16, 16)
    found = load(tmp_path / "set")
    assert found.shape == (1, 64, 64)
    assert "unlike sizes, such as " in found.notes[0]
    assert "all are read as 64×64; `image_size`" in found.notes[0]


@pytest.mark.parametrize("size", [(300, 300), (4, 4), (28, 400)])
def test_a_size_that_no_model_takes_is_told_with_the_one_that_is_taken(tmp_path, size):
    found = load(folder(tmp_path, 6, *size))
    assert found.shape == (1, 64, 64)
    assert f"{size[0]}×{size[1]} pixels, and models take 8 to 256 a side: all are read as 64×64" in found.notes[0]


def test_images_of_one_size_and_files_that_cannot_be_read_have_no_say(tmp_path):
    assert load(folder(tmp_path, 12)).notes == ()
    (tmp_path / "set" / "a" / "bad.png").write_text("x")
    found = load(tmp_path / "set", max_bad="1")
    assert (found.shape, found.notes) == ((1, 28, 28), ())
