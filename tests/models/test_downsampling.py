"""The sizes that are computed are those that convolutions make."""

import pytest
import torch
from torch import nn

from latentcli.models.downsampling import Downsampling


@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (9, 40), (81, 255)])
def test_sizes_are_those_of_strided_convolutions(kernel, height, width):
    down = Downsampling((3, height, width), 1, 3, round_up=kernel % 2 == 1)
    maps = torch.zeros(1, 3, height, width)
    for (before, after), size in zip(zip(down.channels, down.channels[1:], strict=False), down.sizes[1:], strict=True):
        maps = nn.Conv2d(before, after, kernel, stride=2, padding=(kernel - 1) // 2)(maps)
        assert maps.shape == (1, after, *size)
    assert down.map_shape == maps.shape[1:]


def test_channels_double_up_to_four_times_the_first():
    assert Downsampling((1, 64, 64), 8, 5, round_up=False).channels == [1, 8, 16, 32, 32, 32]
    assert Downsampling((3, 64, 64), 0, 2, round_up=True).channels == [3, 1, 2]
