"""The one look of all figures: colours, type, and how names and images of users are shown.

Figures are made without pyplot and its state, and matplotlib's settings (a user's ``matplotlibrc`` among them) are
set aside while one is drawn: the same arrays give the same picture anywhere.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from latentcli.core.errors import DataError

DPI = 150
"""Pixels an inch of the PNG files."""

SMALL, NORMAL, LARGE = 9, 10, 12
"""Points: the sizes of type."""

INK, MUTED, PAPER = "#222222", "#8c8c8c", "#ffffff"
"""Text and axes; what is there but has no class; the background."""

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#882255", "#999933", "#F0E442")
"""Ten colours that stay apart for the colour-blind (Okabe & Ito 2008; two of Tol's), the palest one last."""

MARKERS = "o^sDvP*X<>pdhH8"
"""Shapes of points: those of the second round of colours are triangles, of the third squares, and so on."""

_SETTINGS = (
    "agg.", "axes.", "figure.", "font.", "grid.", "hatch.", "hist.", "image.", "legend.", "lines.", "markers.",
    "patch.", "path.", "savefig.", "scatter.", "svg.", "text.", "xaxis.", "xtick.", "yaxis.", "ytick.",
)  # fmt: skip
"""Groups of matplotlib's settings that change how a picture looks."""

TITLE_MARGIN, _TITLE_LETTER = 24, 15  # pixels: left and right of a sheet's title, and the width of a letter

_WIDE_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans", "WenQuanYi Zen Hei", "Arial Unicode MS")


@contextmanager
def look() -> Iterator[None]:
    """The settings every figure is drawn and saved under; matplotlib's own are as they were afterwards.

    Usable as a decorator.
    """
    settings: Any = {
        key: matplotlib.rcParamsDefault[key] for key in matplotlib.rcParamsDefault if key.startswith(_SETTINGS)
    }
    settings |= {
        "font.family": list(_families()),
        "font.size": NORMAL,
        "axes.titlesize": LARGE,
        "axes.labelsize": NORMAL,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "figure.titlesize": LARGE,
        "figure.dpi": DPI,
        "text.color": INK,
        "text.parse_math": False,  # names of users may hold dollar signs
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "svg.hashsalt": "latentcli",  # else the identifiers in a file are random
        "svg.fonttype": "path",
    }
    with matplotlib.rc_context(settings):
        yield


@cache
def _families() -> tuple[str, ...]:
    """DejaVu Sans, which comes with matplotlib, and what fonts of more scripts there are."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _WIDE_FONTS if name in installed))


@cache
def _characters() -> frozenset[int]:
    """Code points that some font at hand can show."""
    paths = [font_manager.findfont(family) for family in _families()]
    return frozenset(code for path in paths for code in font_manager.get_font(path).get_charmap())


def shown(text: str, limit: int = 24) -> str:
    """Text of users as it can be shown: one line, shortened in its middle, what has no glyph escaped.

    Args:
        text: any string.
        limit: most characters of the result, at least 3.
    """
    line = re.sub(r"\s+", " ", str(text)).strip()
    if len(line) > limit:
        tail = (limit - 1) // 2
        line = f"{line[: limit - 1 - tail]}…{line[len(line) - tail :]}"
    known = _characters()
    return "".join(
        letter if ord(letter) in known and letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in line
    )


def shown_names(names: Sequence[str], limit: int = 24) -> list[str]:
    """``shown`` of each name, with a number where two would look the same."""
    short = [shown(name, limit) for name in names]
    return [f"{name} ({index})" if short.count(name) > 1 else name for index, name in enumerate(short)]


def colour(index: int) -> str:
    """The colour of a class; classes beyond the palette take the colours again, with another ``marker``."""
    return MUTED if index < 0 else PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """The shape of a class's points."""
    return "." if index < 0 else MARKERS[index // len(PALETTE) % len(MARKERS)]


def dashes(index: int) -> str:
    """The line of a class: whole in the first round of colours, dashed in the second, dotted in the third."""
    return "-" if index < 0 else ("-", "--", ":", "-.")[index // len(PALETTE) % 4]


def halo(artist: Artist, width: float = 2.5) -> None:
    """A rim of paper around text or lines that stand on a crowd of points."""
    artist.set_path_effects([withStroke(linewidth=width, foreground=PAPER, alpha=0.9)])


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, laid out so that nothing is clipped.

    Args:
        width, height: inches.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, wspace=0.04, hspace=0.04)
    return Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER, layout=layout)


def ink_on(colour: Sequence[float]) -> str:
    """INK or PAPER, whichever is easier to read on an RGB(A) colour.

    Source: relative luminance and contrast of the Web Content Accessibility Guidelines 2.2.
    """
    luminance = _luminance(colour)
    on_ink = (luminance + 0.05) / (_luminance(to_rgb(INK)) + 0.05)
    return INK if on_ink >= 1.05 / (luminance + 0.05) else PAPER


def _luminance(colour: Sequence[float]) -> float:
    rgb = np.asarray(colour[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def few_whole_ticks(most: int = 6) -> MaxNLocator:
    """Ticks at whole numbers, for epochs and counts."""
    return MaxNLocator(nbins=most, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)


class Sheet:
    """A figure laid out in pixels, for pictures made of images: nothing is resampled that need not be.

    Args:
        width, height: pixels of the PNG file; (0, 0) is the upper left corner. Widened where the title needs it.
        title: in the uppermost 50 pixels, which are the caller's to leave free.

    Attributes:
        width, height: pixels of the file, after widening.
    """

    def __init__(self, width: int, height: int, title: str = "") -> None:
        title = shown(title, 90)
        width = max(width, TITLE_MARGIN * 2 + _TITLE_LETTER * len(title))
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        self.axes: Axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.width, self.height = width, height
        self.axes.set_axis_off()
        self._restore()
        if title:
            self.text(TITLE_MARGIN, 18, title, LARGE, ha="left")

    def image(self, x: float, y: float, width: float, height: float, image: np.ndarray, gid: str | None = None) -> None:
        """An image (C, H, W), float in [0, 1] or uint8, its upper left corner at (x, y)."""
        enlarged = width >= image.shape[2]
        self.axes.imshow(
            as_pixels(image),
            extent=(x, x + width, y + height, y),
            aspect="auto",
            interpolation="nearest" if enlarged else "antialiased",
            gid=gid,
        )
        self._restore()

    def text(self, x: float, y: float, text: str, size: float = SMALL, **settings: Any) -> None:
        """A line of text, by default centred on x and its top at y."""
        defaults: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": size}
        self.axes.text(x, y, text, **(defaults | settings))

    def panel(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes for a chart, the upper left corner of its frame at (x, y); its ticks and names lie outside of it."""
        across, down = self.width, self.height
        return self.figure.add_axes((x / across, 1 - (y + height) / down, width / across, height / down))

    def _restore(self) -> None:
        self.axes.set(xlim=(0, self.width), ylim=(self.height, 0))


def as_pixels(image: np.ndarray) -> np.ndarray:
    """(C, H, W) in [0, 1] or uint8 → (H, W, 3) uint8, grey in all three channels, so that no colour map rounds it."""
    if image.dtype != np.uint8:
        image = np.rint(np.clip(np.nan_to_num(image, nan=0.5), 0, 1) * 255).astype(np.uint8)
    return np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)


def tile_size(height: int, width: int, room: int) -> tuple[int, int]:
    """Pixels (height, width) at which to show an image: a whole multiple of its size, or less where it is large.

    Args:
        height, width: of the image, in its own pixels.
        room: pixels that its longer side may take.
    """
    scale = room / max(height, width)
    scale = float(int(scale)) if scale >= 1 else scale
    return max(1, round(height * scale)), max(1, round(width * scale))


def check_images(images: np.ndarray, what: str = "images") -> None:
    """Raise DataError unless ``images`` are (N, C, H, W) with 1 or 3 channels and N at least 1."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.size:
        raise DataError(
            f"there is nothing to draw in {what} of shape {images.shape}",
            "expected (number, channels, height, width), 1 or 3 channels",
        )
