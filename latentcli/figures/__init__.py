"""Pictures of what models do: one file per kind, pure functions of numpy arrays, and how they are saved.

Nothing here imports matplotlib before a figure is asked for.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from latentcli.core.errors import UsageError
from latentcli.core.registry import Registry
from latentcli.formats.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = Registry(
    "figure",
    {
        "history": "latentcli.figures.history:draw",
        "latent": "latentcli.figures.latent:draw",
        "manifold": "latentcli.figures.manifold:draw",
        "reconstructions": "latentcli.figures.reconstructions:draw",
        "confusion": "latentcli.figures.confusion:draw",
        "hybrids": "latentcli.figures.hybrids:draw",
        "field": "latentcli.figures.field:draw",
        "labels": "latentcli.figures.labels:draw",
        "codes": "latentcli.figures.codes:draw",
        "tsne": "latentcli.figures.tsne:draw",
        "curve": "latentcli.figures.curve:draw",
        "comparison": "latentcli.figures.comparison:draw",
    },
)
"""Kinds of figures, each a function that returns a ``matplotlib.figure.Figure``."""

_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def format_of(path: Path) -> str:
    """``"png"`` or ``"svg"``, by the suffix; also a check of a path before any work is done.

    Raises:
        UsageError: the suffix is another one, or there is none.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in _METADATA:
        raise UsageError(
            f"cannot draw {str(path)!r}",
            f"expected a name ending in .png or .svg, found {Path(path).suffix or 'no suffix'}",
        )
    return suffix


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG or SVG, whole or not at all; the same figure gives the same bytes.

    Raises:
        UsageError: the suffix is neither .png nor .svg.
        OutputError: the file cannot be written.
    """
    from latentcli.figures.style import DPI, look

    path = Path(path)
    kind = format_of(path)
    with atomic_write(path) as file, look(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of glyphs and layouts: nothing that the reader could mend
        figure.savefig(file, format=kind, dpi=DPI, metadata=_METADATA[kind])
