"""Originals over their reconstructions, or other pairs of images, with a number for each pair."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from latentcli.core.errors import DataError
from latentcli.figures import style

MOST_IMAGES = 40  # only the first pairs up to this number are drawn
COLUMNS = 10  # pairs in a row

_ROOM, _LINE, _GAP = 128, 26, 10  # pixels: the side of an image, a line of text, the gap between images
_LEFT, _EDGE, _NUMBER = 150, 20, 72  # the last is the least room for a similarity


@style.drawn
def draw(
    originals: np.ndarray | None, reconstructions: np.ndarray, ssim: np.ndarray | Sequence[float] | None = None,
    names: tuple[str, str, str] = ("original", "reconstruction", "SSIM"),
) -> Figure:  # fmt: skip
    """Bands of up to ten pairs: the original, its reconstruction, and below the structural similarity.

    Args:
        originals: (N, C, H, W) float in [0, 1] or uint8; None where only their latents are known.
        reconstructions: (N, C, H, W) likewise; the first 40 are drawn.
        ssim: (N,) structural similarity of each pair; None leaves it out.
        names: of the three.

    Raises:
        DataError: there are no images, or the numbers or shapes differ.
    """
    upper_name, lower_name, of_pair = names
    shown = {upper_name: originals, lower_name: reconstructions}
    rows = {name: images for name, images in shown.items() if images is not None}
    for name, images in rows.items():
        style.check_images(images, f"{name}s")
    alike = originals is None or originals.shape == reconstructions.shape
    if not alike or (ssim is not None and len(ssim) != len(reconstructions)):
        of_originals = "" if originals is None else f"originals of shape {originals.shape} with "
        raise DataError(
            f"cannot pair {of_originals}reconstructions of shape {reconstructions.shape}",
            None if ssim is None else f"found {len(ssim)} similarities",
        )
    count = min(len(reconstructions), MOST_IMAGES)
    columns = min(count, COLUMNS)
    bands = -(-count // columns)
    height, width = style.tile_size(reconstructions.shape[2], reconstructions.shape[3], _ROOM)
    cell = max(width, _NUMBER) + _GAP
    step = height + _GAP // 2
    band = len(rows) * step + (0 if ssim is None else _LINE) + _GAP + _GAP // 2
    sheet = style.Sheet(_LEFT + columns * cell + _EDGE, 2 * _EDGE + bands * band - 2 * _GAP)
    for index in range(count):
        y = _EDGE + index // columns * band
        x = _LEFT + index % columns * cell + (cell - width) / 2
        lower = y + (len(rows) - 1) * step
        for number, (name, images) in enumerate(rows.items()):
            sheet.image(x, y + number * step, width, height, images[index], gid=name)
            if index % columns == 0:
                sheet.text(_LEFT, y + number * step + height / 2, name, ha="right", va="center")
        if ssim is not None:
            sheet.text(x + width / 2, lower + height + 3, f"{ssim[index]:.3f}".replace("-", "−"))
            if index % columns == 0:
                sheet.text(_LEFT, lower + height + 3, of_pair, ha="right")
    return sheet.figure
