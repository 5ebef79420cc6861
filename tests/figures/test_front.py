"""The picture of a sweep shows its points, and joins those that nothing beats."""

import numpy as np
import pytest

from latentcli.core.errors import DataError
from latentcli.figures import front
from latentcli.figures.front import Size

SIZES = [
    Size("codes 16", "vqvae", 200, 0.80, 0.90),
    Size("codes 64", "vqvae", 300, 0.90, 0.95),
    Size("codes 9", "vqvae", 300, 0.85, 0.97),
    Size("levels 5", "fsq", 100, 0.70, 0.85),
    Size("levels 9", "fsq", 400, 0.89, 0.91),
]


def test_the_front_is_joined_from_few_bits_to_many_and_named_in_its_order():
    figure = front.draw(SIZES, "digits", "mlp probe, %")
    axes = figure.axes[0]
    (line,) = axes.lines
    assert [*zip(line.get_xdata(), line.get_ydata(), strict=True)] == [(100, 0.70), (200, 0.80), (300, 0.90)]
    assert [(text.get_text(), *text.xy) for text in axes.texts] == [
        ("1", 100, 0.70), ("2", 200, 0.80), ("3", 300, 0.90)
    ]  # fmt: skip
    (legend,) = figure.legends
    told = "no other has fewer bits and is more alike:"
    names = ["vqvae", "fsq", told, "1  levels 5", "2  codes 16", "3  codes 64"]
    assert [text.get_text() for text in legend.get_texts()] == names
    assert (axes.get_xscale(), axes.get_title(loc="left")) == ("log", "digits")


def test_every_size_is_a_point_in_the_colour_of_its_accuracy():
    figure = front.draw(SIZES, read_by="mlp probe, %")
    shown = [scatter for scatter in figure.axes[0].collections if len(scatter.get_offsets())]
    points = np.concatenate([np.column_stack([each.get_offsets(), each.get_array()]) for each in shown])
    np.testing.assert_allclose(points, [(size.bits, size.ssim, 100 * size.accuracy) for size in SIZES])
    assert {scatter.get_clim() for scatter in shown} == {(85.0, 97.0)}
    assert figure.axes[1].get_ylabel() == "mlp probe, %"


def test_without_accuracies_there_is_no_scale_of_colours():
    assert len(front.draw([size._replace(accuracy=None) for size in SIZES]).axes) == 1
    some = front.draw([SIZES[0]._replace(accuracy=None), *SIZES[1:]])
    assert sum(len(scatter.get_offsets()) for scatter in some.axes[0].collections) == 5


def test_one_size_will_do_and_none_is_refused():
    front.draw(SIZES[:1]).canvas.draw()
    with pytest.raises(DataError, match="no sizes to draw"):
        front.draw([])
