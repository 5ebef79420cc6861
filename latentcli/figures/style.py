"""The look that all figures share: colours, type, and how names and images of users are shown.

Figures are made without pyplot and its state, and matplotlib's settings (a user's ``matplotlibrc`` among them) are
set aside while one is drawn: the same arrays give the same picture anywhere. Only names in scripts that DejaVu Sans
lacks, which comes with matplotlib, depend on the fonts that are installed: one that has their letters shows them, and
without one they are written as code points, since a box says nothing.
"""

import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, wraps
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from latentcli.core.errors import DataError, printable

DPI = 150  # pixels per inch of the PNG files
MOST_NAMED = 200  # classes up to which a picture names each
SMALL, NORMAL, LARGE = 9, 10, 12  # points: the sizes of text
INK, MUTED, PAPER = "#222222", "#8c8c8c", "#ffffff"  # text and axes; unlabelled points; the background

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#882255", "#999933", "#F0E442")
"""Ten colours that the colour-blind can tell apart (Okabe & Ito 2008; two from Tol), the palest one last."""

MARKERS = "o^sDvP*X<>pdhH8"
"""Shapes of points: circles for the first ten classes, triangles for the next ten, and so on."""

_SETTINGS = (
    "agg.", "axes.", "figure.", "font.", "grid.", "hatch.", "hist.", "image.", "legend.", "lines.", "markers.",
    "patch.", "path.", "savefig.", "scatter.", "svg.", "text.", "xaxis.", "xtick.", "yaxis.", "ytick.",
)  # fmt: skip
"""Groups of matplotlib's settings that change how a picture looks."""

_FONT = "DejaVu Sans"
_LIKED_FONTS = (
    "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK TC", "Noto Sans SC",
    "Noto Sans JP", "Noto Sans KR", "Source Han Sans SC", "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans",
    "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Segoe UI", "Arial",
    "Arial Unicode MS",
)  # fmt: skip
"""Families of fonts that go before others that have the same letters."""

_NO_LETTERS = ("lastresort", "last resort", "blank", "color emoji")
"""Parts of the names of fonts that stand for letters without showing them, or that matplotlib cannot draw."""

_JOINERS = "\u200c\u200d"  # they cannot be seen, and tell scripts whose letters join where they do

Parameters = ParamSpec("Parameters")


@contextmanager
def look() -> Iterator[None]:
    """The settings every figure is drawn and saved under; they are restored afterwards."""
    defaults = matplotlib.rcParamsDefault
    settings: Any = {key: defaults[key] for key in defaults if key.startswith(_SETTINGS)}
    settings |= dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    settings |= dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL)
    settings |= dict.fromkeys(("font.size", "axes.labelsize"), NORMAL)
    settings |= dict.fromkeys(("axes.titlesize", "figure.titlesize"), LARGE)
    settings |= dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False)
    settings |= {
        "font.family": [_FONT],
        "figure.dpi": DPI,
        "grid.color": "#e6e6e6",
        "text.parse_math": False,  # names of users may hold dollar signs
        "svg.hashsalt": "latentcli",  # otherwise the identifiers in a file are random
        "svg.fonttype": "path",
    }
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)  # a font without a bold one beside it is shown as it is
    try:
        with matplotlib.rc_context(settings):
            yield
    finally:
        log.setLevel(level)


def drawn(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """The function that draws a figure, under the settings of ``look`` and in ``fitting_fonts``."""

    @wraps(draw)
    def drawing(*arguments: Parameters.args, **named: Parameters.kwargs) -> Figure:
        with look():
            figure = draw(*arguments, **named)
            fitting_fonts(figure)
            return figure

    return drawing


def fitting_fonts(figure: Figure) -> None:
    """Give each text of a figure the fonts that have its letters, beside the one that all have."""
    for text in figure.findobj(Text):
        families = dict.fromkeys([_FONT, *filter(None, map(_family_of, text.get_text()))])
        if len(families) > 1:
            text.set_fontfamily([*families])


@cache
def _family_of(letter: str) -> str | None:
    """The first family of fonts that has a letter; None where no installed one has it."""
    return next((family for family in (_FONT, *_families()) if _has(family, letter)), None)


def _has(family: str, letter: str) -> bool:
    wanted = font_manager.FontProperties(family=[family])
    font = font_manager.get_font(font_manager.findfont(wanted, fallback_to_default=family == _FONT))
    return bool(font.get_char_index(ord(letter)))


@cache
def _families() -> list[str]:
    """The other families of fonts that are installed, the best liked first, those without serifs before the rest."""
    manager = font_manager.fontManager
    for path in sorted({*font_manager.findSystemFonts()} - {font.fname for font in manager.ttflist}):
        with suppress(Exception):  # a font that matplotlib cannot read is as good as none
            manager.addfont(path)  # one that was installed after matplotlib made its list
    names = {font.name for font in manager.ttflist if font.size == "scalable" and not font.name.startswith(".")}
    names = {name for name in names if not any(part in name.casefold() for part in _NO_LETTERS)} - {_FONT}
    liked = {name: place for place, name in enumerate(_LIKED_FONTS)}
    return sorted(names, key=lambda name: (liked.get(name, len(liked)), "sans" not in name.casefold(), name))


def shown(text: str, limit: int = 24) -> str:
    """A user's text on one line, at most ``width`` ``limit`` (3 or more), cut in its middle where it is longer.

    Characters that cannot be printed, or that no font has, are escaped.
    """
    forms = [_form(letter) for letter in re.sub(r"\s+", " ", str(text)).strip()]
    if width("".join(forms)) <= limit:
        return "".join(forms)
    tail = (limit - 1) // 2
    return f"{''.join(_first(forms, limit - 1 - tail))}…{''.join(_first(forms[::-1], tail)[::-1])}"


def _form(letter: str) -> str:
    """A letter, or the escape that stands for it."""
    form = printable(letter, _JOINERS)
    if form != letter or _family_of(letter) is not None:
        return form
    return "" if letter in _JOINERS else letter.encode("unicode_escape").decode()


def _first(forms: Sequence[str], room: int) -> list[str]:
    """As many of the forms as have room, in order."""
    ends = np.cumsum([width(form) for form in forms])
    return list(forms[: int((ends <= room).sum())])


def width(text: str) -> int:
    """How much room a text takes, in letters of the Latin script: those of East Asia take two, marks over them none."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.category(letter) in ("Mn", "Me", "Cf") for letter in text)


def shown_names(names: Sequence[str], limit: int = 24) -> list[str]:
    """``shown`` for each name, with a number where two would look the same."""
    short = [shown(name, limit) for name in names]
    return [f"{name} ({index})" if short.count(name) > 1 else name for index, name in enumerate(short)]


def colour(index: int) -> str:
    """The colour of a class; after the tenth class the colours repeat, with another ``marker``."""
    return MUTED if index < 0 else PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """The shape of a class's points."""
    return "." if index < 0 else MARKERS[index // len(PALETTE) % len(MARKERS)]


def dashes(index: int) -> str:
    """The line style of a class: solid for the first ten classes, dashed for the next ten, then dotted."""
    return "-" if index < 0 else ("-", "--", ":", "-.")[index // len(PALETTE) % 4]


def halo(artist: Artist, width: float = 2.5) -> None:
    """A rim in the background's colour, for text or lines that lie over many points."""
    artist.set_path_effects([withStroke(linewidth=width, foreground=PAPER, alpha=0.9)])


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, laid out so that nothing is clipped."""
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, wspace=0.04, hspace=0.04)
    return Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER, layout=layout)


def new_chart(width: float, height: float, title: str = "") -> tuple[Figure, Axes]:
    """A figure of this size in inches with one pair of axes, and a title."""
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    axes.set_title(shown(title, 90), loc="left")
    return figure, axes


def add_legend(
    figure: Figure, labels: Iterable[int], names: Sequence[str], title: str = "class", columns: int = 1,
    sizes: tuple[float, float] = (6, 6), square: bool = False,
) -> None:  # fmt: skip
    """A legend of the classes beside the axes, the unlabelled (-1) last; none where nothing is labelled, or too much.

    The markers of classes and of the unlabelled have these ``sizes``, in points, and all are squares if ``square``.
    """
    order = sorted(labels, key=lambda label: label % (len(names) + 1))
    if order == [-1] or len(order) > MOST_NAMED:
        return
    handles = [
        Line2D([], [], linestyle="", marker="s" if square else marker(label), color=colour(label),
               markersize=sizes[int(label < 0)])
        for label in order
    ]  # fmt: skip
    called = ["unlabelled" if label < 0 else names[label] for label in order]
    legend(figure, handles, called, loc="outside right upper", title=title, ncols=columns)


def legend(figure: Figure, handles: Sequence[Any], names: Sequence[str], **settings: Any) -> None:
    """A legend that shows names as they are: matplotlib leaves those out that begin with ``_``."""
    made = figure.legend(handles, [" "] * len(names), **settings)
    for text, name in zip(made.get_texts(), names, strict=True):
        text.set_text(name)


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
    """A figure of this size in pixels, (0, 0) its upper left corner: no image is resampled without need."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        self.axes: Axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.axes.set_axis_off()
        self.axes.set(xlim=(0, width), ylim=(height, 0))  # which also fixes them

    def image(self, x: float, y: float, width: float, height: float, image: np.ndarray, gid: str | None = None) -> None:
        """An image (C, H, W), float in [0, 1] or uint8, its upper left corner at (x, y)."""
        interpolation = "nearest" if width >= image.shape[2] else "antialiased"
        extent = (x, x + width, y + height, y)
        self.axes.imshow(as_pixels(image), extent=extent, aspect="auto", interpolation=interpolation, gid=gid)

    def text(self, x: float, y: float, text: str, size: float = SMALL, **settings: Any) -> None:
        """A line of text, by default centred on x and its top at y."""
        settings = {"ha": "center", "va": "top", "fontsize": size, **settings}
        self.axes.text(x, y, text, **settings)

    def panel(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes for a chart, the upper left corner of its frame at (x, y); its ticks and names lie outside of it."""
        across, down = self.width, self.height
        return self.figure.add_axes((x / across, 1 - (y + height) / down, width / across, height / down))


def as_pixels(image: np.ndarray) -> np.ndarray:
    """(C, H, W) in [0, 1] or uint8 → (H, W, 3) uint8, grey in all three channels, so that no colour map rounds it."""
    if image.dtype != np.uint8:
        image = np.rint(np.clip(np.nan_to_num(image, nan=0.5), 0, 1) * 255).astype(np.uint8)
    return np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)


def tile_size(height: int, width: int, room: int) -> tuple[int, int]:
    """Pixels (height, width) at which to show an image, its longer side within ``room`` pixels.

    They are a whole multiple of the image's own size, or a fraction of it where it is larger than the room.
    """
    scale = room / max(height, width)
    scale = float(int(scale)) if scale >= 1 else scale
    return max(1, round(height * scale)), max(1, round(width * scale))


def check_images(images: np.ndarray, what: str = "images") -> None:
    """Raise DataError unless ``images`` are (N, C, H, W) with 1 or 3 channels and N at least 1."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.size:
        expected = "expected (number, channels, height, width), 1 or 3 channels"
        raise DataError(f"there is nothing to draw in {what} of shape {images.shape}", expected)


def check_points(points: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Raise DataError unless ``points`` are (N, D), finite, and ``labels`` (N,) in -1 … classes - 1, N at least 1."""
    if points.ndim != 2 or not points.size or labels.shape != points.shape[:1]:
        raise DataError(f"cannot draw latents of shape {points.shape} with labels of shape {labels.shape}")
    if not np.isfinite(points).all():
        raise DataError("cannot draw latents that are not finite")
    if labels.max() >= classes or labels.min() < -1:
        raise DataError(f"cannot draw labels from {labels.min()} to {labels.max()} with {classes} class names")
