"""The manifold: a plane of the latent space, decoded point by point on a grid."""

from statistics import NormalDist

import numpy as np
from matplotlib.figure import Figure

from latentcli.core.errors import DataError
from latentcli.figures import style

LOW, HIGH = 0.05, 0.95  # probabilities of the standard normal distribution, the prior, between which the grid lies

_ROOM = 1_400  # pixels for the longer side of the whole grid; small images, enlarged by a whole number, may take less
_TICKS = 5


def quantiles(n: int) -> np.ndarray:
    """(n,) values of the standard normal distribution at evenly spaced probabilities, ascending."""
    probabilities = np.linspace(LOW, HIGH, n) if n > 1 else [0.5]
    return np.array([NormalDist().inv_cdf(probability) for probability in probabilities])


def grid_points(n: int = 20) -> np.ndarray:
    """The n × n latent points to decode, row by row as the picture shows them.

    Returns:
        (n·n, 2): the first dimension ascends from left to right, the second from bottom to top; the top row is first.

    Source: Kingma & Welling 2014, figure 4.
    """
    values = quantiles(n)
    across, up = np.meshgrid(values, values[::-1])
    return np.stack([across.ravel(), up.ravel()], axis=1)


@style.drawn
def draw(
    images: np.ndarray, n: int = 20, axes: tuple[str, str] = ("latent dimension 1", "latent dimension 2")
) -> Figure:
    """The decoded grid, edge to edge, with the latent values along two sides.

    Args:
        images: (n·n, C, H, W) float in [0, 1], in the order of ``grid_points``.
        axes: names of the two dimensions.

    Raises:
        DataError: these are not n × n images.
    """
    style.check_images(images)
    if len(images) != n * n:
        raise DataError(f"cannot draw {len(images)} images as a grid of {n}×{n}")
    height, width = style.tile_size(images.shape[2], images.shape[3], _ROOM // n)
    left, top, right, bottom = 110, 24, 24, 90  # pixels around the grid, for ticks and names
    sheet = style.Sheet(left + n * width + right, top + n * height + bottom)
    across, down = n * width, n * height
    sheet.image(left, top, across, down, assemble(images, n))
    values = quantiles(n)
    for index in np.unique(np.linspace(0, n - 1, min(n, _TICKS)).round().astype(int)):
        number = f"{round(values[index], 2) + 0.0:.2f}".replace("-", "−")
        x, y = left + (index + 0.5) * width, top + (n - index - 0.5) * height
        sheet.axes.plot([x, x], [top + down, top + down + 6], color=style.INK, linewidth=0.8)
        sheet.axes.plot([left - 6, left], [y, y], color=style.INK, linewidth=0.8)
        sheet.text(x, top + down + 10, number)
        sheet.text(left - 11, y, number, ha="right", va="center")
    sheet.text(left + across / 2, top + down + 46, axes[0], style.NORMAL)
    sheet.text(22, top + down / 2, axes[1], style.NORMAL, va="center", rotation=90)
    return sheet.figure


def assemble(images: np.ndarray, n: int) -> np.ndarray:
    """(n·n, C, H, W) → (C, n·H, n·W): all in one image, row by row."""
    channels, height, width = images.shape[1:]
    grid = images.reshape(n, n, channels, height, width)
    return grid.transpose(2, 0, 3, 1, 4).reshape(channels, n * height, n * width)
