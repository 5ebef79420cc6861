"""Discrete latents: images with their maps of codes beside them, and how the codebook is used."""

import math

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from latentcli.core.errors import DataError
from latentcli.figures import style
from latentcli.numerics import metrics

MOST_IMAGES = 15  # only the first images up to this number are drawn
FEW_IMAGES = 3  # up to this number images are drawn large, with the number of each code where it fits into its cell
COLOURS = "viridis"  # of codes, evenly from dark to light, for the colour-blind too

_HEADINGS = ("image", "reconstruction", "codes")
_ACROSS, _ROOM, _LARGE = 3, 160, 480  # images side by side; pixels of an image's longer side, small and large
_GAP, _BETWEEN, _EDGE, _LINE, _DIGIT = 10, 46, 24, 26, 12  # pixels
_BAR, _NARROWEST = 260, 1_200  # pixels: the colour scale; the width that the longest line of text needs
_AXIS, _USAGE, _BELOW = 180, 270, 80  # pixels: left of the histogram, its height, and beneath it


@style.drawn
def draw(
    originals: np.ndarray, reconstructions: np.ndarray, maps: np.ndarray, codes: np.ndarray, vectors: np.ndarray
) -> Figure:
    """Images, their reconstructions and their maps of codes side by side; beneath, how often each code is used.

    A code's colour is the rank of its vector along the first principal component of the vectors of all codes that
    occur: codes with similar vectors have similar colours.

    Args:
        originals, reconstructions: (N, C, H, W) float in [0, 1] or uint8; the first 15 are drawn.
        maps: (N, h, w) their codes, integers in 0 … K − 1.
        codes: (M, h, w) the codes of all images for which the use of the codebook is shown, ``maps`` included.
        vectors: (K, D) the codebook.

    Raises:
        DataError: there are no images, the shapes do not fit, or a code has no vector.
    """
    style.check_images(originals)
    _check(originals, reconstructions, maps, codes, vectors)
    count = min(len(originals), MOST_IMAGES)
    large = count <= FEW_IMAGES
    across = 1 if large else _ACROSS
    rows = -(-count // across)
    height, width = style.tile_size(originals.shape[2], originals.shape[3], _LARGE if large else _ROOM)
    cell = max(width, _DIGIT * max(map(len, _HEADINGS))) + _GAP
    group = len(_HEADINGS) * cell + _BETWEEN
    below = _EDGE + _LINE + rows * (height + _GAP)  # where the images end
    usage = below + 146
    sheet = style.Sheet(max(2 * _EDGE + across * group - _BETWEEN, _NARROWEST), usage + _USAGE + _BELOW)
    left = max(0, (sheet.width - across * group + _BETWEEN) / 2)
    order, share = colour_order(vectors, np.bincount(codes.ravel(), minlength=len(vectors)))
    for index in range(count):
        x, y = left + index % across * group, _EDGE + _LINE + index // across * (height + _GAP)
        pictures = (originals[index], reconstructions[index], _coloured(order[maps[index]]))
        for number, (heading, picture) in enumerate(zip(_HEADINGS, pictures, strict=True)):
            at = x + number * cell + (cell - width) / 2
            sheet.image(at, y, width, height, picture, gid=heading)
            if index < across:
                sheet.text(at + width / 2, _EDGE, heading)
        if large:
            _number(sheet, at, y, width, height, maps[index], pictures[-1])
    _explain(sheet, below + 28, share)
    _draw_usage(sheet.panel(_AXIS, usage, sheet.width - _AXIS - 2 * _EDGE, _USAGE), codes, len(vectors))
    sheet.text(_EDGE, usage - 14, _heading(codes, len(vectors)), style.LARGE, ha="left", va="bottom")
    return sheet.figure


def _check(
    originals: np.ndarray, reconstructions: np.ndarray, maps: np.ndarray, codes: np.ndarray, vectors: np.ndarray
) -> None:
    paired = originals.shape == reconstructions.shape and len(maps) == len(originals)
    if not paired or maps.ndim != 3 or codes.shape[1:] != maps.shape[1:] or not maps.size or not codes.size:
        raise DataError(
            f"cannot pair images of shape {originals.shape} with codes of shape {maps.shape}",
            f"found reconstructions of shape {reconstructions.shape}, and {codes.shape} codes in all",
        )
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        expected = "expected finite numbers, (codes, dimensions)"
        raise DataError(f"cannot draw a codebook of shape {vectors.shape}", expected)
    for numbers in (maps, codes):
        if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= len(vectors):
            expected = f"expected whole numbers from 0 to {len(vectors) - 1}"
            raise DataError(f"cannot draw codes from {numbers.min()} to {numbers.max()}", expected)


def colour_order(vectors: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, float]:
    """The rank of each used code along the first principal component of the used codes' vectors.

    Ranks, not distances, so that a few distant vectors do not leave one colour to all others.

    Args:
        vectors, counts: (K, D), and (K,) how often each code occurs, not all 0.

    Returns:
        (K,) in [0, 1], evenly spaced over the used codes, the most used in the lower half, 0 for the others; and the
        component's share of the used vectors' variance, in [0, 1].
    """
    used = np.flatnonzero(counts)
    chosen = vectors[used].astype(np.float64)
    _, deviations, directions = np.linalg.svd(chosen - chosen.mean(axis=0), full_matrices=False)
    ranks = (chosen @ directions[0]).argsort(kind="stable").argsort() / max(1, len(used) - 1)
    if ranks[counts[used].argmax()] > 0.5:  # the sign is arbitrary: the most common code, the background, is dark
        ranks = 1 - ranks
    order = np.zeros(len(vectors))
    order[used] = ranks
    variance = np.square(deviations).sum()
    return order, float(deviations[0] ** 2 / variance) if variance > 0 else 1.0


def _coloured(order: np.ndarray) -> np.ndarray:
    """(h, w) in [0, 1] → (3, h, w) uint8."""
    return matplotlib.colormaps[COLOURS](order, bytes=True)[..., :3].transpose(2, 0, 1)


def _number(
    sheet: style.Sheet, x: float, y: float, width: float, height: float, codes: np.ndarray, colours: np.ndarray
) -> None:
    """The number of each code in its cell, where all fit."""
    down, across = height / codes.shape[0], width / codes.shape[1]
    if across < _DIGIT * len(str(codes.max())) + 4 or down < _LINE:
        return
    for (row, column), code in np.ndenumerate(codes):
        ink = style.ink_on(list(colours[:, row, column] / 255))
        at = (x + (column + 0.5) * across, y + (row + 0.5) * down)
        sheet.text(*at, str(int(code)), va="center", color=ink, gid="code")


def _explain(sheet: style.Sheet, y: float, share: float) -> None:
    """The colour scale, and what it means."""
    sheet.image(_EDGE, y, _BAR, _LINE - 4, _coloured(np.linspace(0, 1, 256)[None]), gid="scale")
    first = "Codes with similar vectors have similar colours: a colour is the rank of a code's vector"
    second = f"along the vectors' principal direction, which holds {100 * share:.0f} % of their variance."
    sheet.text(_EDGE + _BAR + 16, y - 6, first, ha="left")
    sheet.text(_EDGE + _BAR + 16, y + 19, second, ha="left")


def _draw_usage(panel: Axes, codes: np.ndarray, size: int) -> None:
    """The share of all cells that each code takes, the most used first, on a logarithmic scale."""
    shares = np.sort(np.bincount(codes.ravel(), minlength=size))[::-1] / codes.size
    used, even = shares[shares > 0], 1 / size
    lowest, highest = math.floor(math.log10(0.8 * min(used[-1], even))), math.ceil(math.log10(used[0]))
    panel.stairs(used, np.arange(len(used) + 1) + 0.5, baseline=10.0**lowest, fill=True, color=style.PALETTE[0])
    panel.axhline(even, color=style.PALETTE[3], linestyle="--", linewidth=1.5)
    note = panel.annotate(
        f"even use: {_percent(even)} each", (1, even), xycoords=("axes fraction", "data"), xytext=(-4, 4),
        textcoords="offset points", ha="right", va="bottom", fontsize=style.SMALL,
    )  # fmt: skip
    style.halo(note)
    panel.set(yscale="log", xlim=(0.5, size + 0.5), ylim=(10.0**lowest, 10.0**highest))
    powers = [10.0**power for power in range(lowest, highest + 1)]
    panel.set_yticks(powers, [_percent(power) for power in powers])
    panel.minorticks_off()
    panel.xaxis.set_major_locator(style.few_whole_ticks(8))
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.set(xlabel="codes, the most used first", ylabel="share of all map cells")


def _heading(codes: np.ndarray, size: int) -> str:
    """How many of the codes are used, and how evenly."""
    use, images = metrics.codes(codes, size), f"{len(codes):,} image{'s' if len(codes) > 1 else ''}"
    spread, used = use["perplexity"], f"{100 * use['codes_used']:.1f} % of the codes used"
    return f"Codebook use over {images}: perplexity {spread:,.{0 if spread >= 100 else 1}f} of {size:,}, {used}"


def _percent(share: float) -> str:
    """To two digits: "10 %", "0.2 %", "0.00012 %"."""
    return f"{np.format_float_positional(100 * share, 2, fractional=False, trim='-')} %"
