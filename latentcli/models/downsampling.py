"""How strided convolutions halve an image, stage by stage."""

import math

from latentcli.core.image_set import Shape


class Downsampling:
    """Channels and sizes of the maps that a stack of convolutions of stride 2 makes of an image.

    Args:
        image_shape: channels, height, width.
        first_channels: of the first stage, one or more; they double from stage to stage, up to four times that.
        stages: how many times the sides are halved.
        round_up: whether half of an odd side is rounded up, as by a kernel of odd size padded by half of it, or down,
            as by a kernel of 4 with a padding of 1.

    Attributes:
        channels: of the image, then of each stage's map.
        sizes: (height, width) of the image, then of each stage's map.
        map_shape: channels, height and width of the last stage's map.
    """

    def __init__(self, image_shape: Shape, first_channels: int, stages: int, round_up: bool) -> None:
        rounded = math.ceil if round_up else math.floor
        height, width = image_shape[1:]
        self.channels = [image_shape[0], *(max(1, first_channels) * min(2**stage, 4) for stage in range(stages))]
        self.sizes = [(rounded(height / 2**stage), rounded(width / 2**stage)) for stage in range(stages + 1)]
        self.map_shape: Shape = (self.channels[-1], *self.sizes[-1])
