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

_KINDS = (
    "history", "latent", "manifold", "reconstructions", "confusion", "hybrids", "field", "labels", "codes", "tsne",
    "curve", "comparison", "front",
)  # fmt: skip
FIGURES = Registry("figure", {kind: f"latentcli.figures.{kind}:draw" for kind in _KINDS})
"""Kinds of figures, each a function that returns a ``matplotlib.figure.Figure``."""

_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def format_of(path: Path) -> str:
    """``"png"`` or ``"svg"``, by the suffix; a UsageError for any other, so also a check before any work is done."""
    suffix = Path(path).suffix
    kind = suffix.lower().removeprefix(".")
    if kind not in _METADATA:
        found = f"expected a name ending in .png or .svg, found {suffix or 'no suffix'}"
        raise UsageError(f"cannot draw {str(path)!r}", found)
    return kind


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG or SVG, whole or not at all; the same figure gives the same bytes."""
    from latentcli.figures.style import DPI, look

    kind = format_of(path)
    with atomic_write(Path(path)) as file, look(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about glyphs and layouts: nothing the user could mend
        figure.savefig(file, format=kind, dpi=DPI, metadata=_METADATA[kind])
