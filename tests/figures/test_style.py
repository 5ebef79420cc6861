"""How names and images of users are shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentcli.core.errors import DataError
from latentcli.figures import style


@given(st.text(max_size=80), st.integers(3, 40))
def test_shown_text_is_one_printable_line(text, limit):
    line = style.shown(text, limit)
    assert line.isprintable()
    if text.isascii() and text.isprintable():
        assert len(line) <= limit


def test_long_names_keep_both_ends():
    assert style.shown("Salmonella enteritidis, strain 7", 15) == "Salmone…train 7"
    assert style.shown("short") == "short"


def test_what_has_no_glyph_is_escaped():
    assert style.shown("a\U000f0000") == "a\\U000f0000"
    assert style.shown("Größe λ") == "Größe λ"


def test_names_that_look_the_same_are_numbered():
    assert style.shown_names(["a b", "a\nb", "c"]) == ["a b (0)", "a b (1)", "c"]


def test_a_hundred_classes_look_unlike_each_other():
    looks = {(style.colour(index), style.marker(index)) for index in range(100)}
    assert len(looks) == 100
    assert style.colour(-1) not in style.PALETTE


@pytest.mark.parametrize(
    ("shape", "room", "size"),
    [((28, 28), 128, (112, 112)), ((8, 8), 128, (128, 128)), ((256, 128), 128, (128, 64)), ((9, 20), 100, (45, 100))],
)
def test_images_are_enlarged_by_whole_numbers_only(shape, room, size):
    assert style.tile_size(*shape, room) == size


def test_pixels():
    grey = np.array([[[0.0, 1.0, 0.5, 2.0]]])
    assert style.as_pixels(grey).tolist() == [[[0] * 3, [255] * 3, [128] * 3, [255] * 3]]
    colour = np.zeros((3, 2, 4), dtype=np.uint8)
    assert style.as_pixels(colour).shape == (2, 4, 3)


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (2, 8, 8), (2, 4, 8, 8)])
def test_what_is_no_set_of_images_is_refused(shape):
    with pytest.raises(DataError, match="nothing to draw"):
        style.check_images(np.zeros(shape))
