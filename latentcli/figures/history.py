"""Training curves: the loss and each of its terms over the epochs."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from latentcli.core.errors import DataError
from latentcli.figures import style
from latentcli.numerics.history import kept

NOT_CURVES = frozenset({"epoch", "epochs", "step", "seconds", "images_per_second", "lr", "learning_rate"})
"""Columns of a history that say nothing of the model."""

UNITS = {
    "perplexity": "codes",
    "codes_used": "fraction of all codes",
    "commitment": "squared distance",
    "codebook": "squared distance",
    "active_units": "dimensions",
    "accuracy": "fraction of images",
    "ssim": "similarity, at most 1",
    "beta": "weight",
}
"""Units of the metrics that are not measured in the unit of the loss."""

TITLES = {"loss": "Total loss", "reconstruction": "Reconstruction", "kl": "KL divergence", "ssim": "SSIM", "beta": "β"}

PANELS_A_ROW = 3


@style.drawn
def draw(history: Sequence[Mapping[str, float]], unit: str = "nats per image") -> Figure:
    """One panel for the loss and each of its terms, training and validation together; the epoch kept is marked.

    Args:
        history: one row per epoch: ``epoch``, ``loss``, its terms, and any of them on the validation images as
            ``val_…``. A value that is missing or not finite leaves a gap.
        unit: of the loss and its terms.

    Raises:
        DataError: there is no epoch, or no loss.
    """
    columns = {name: _column(history, name) for row in history for name in row}
    curves = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    names = [name for name in _terms(columns) if {name, f"val_{name}"} & curves.keys()]
    if "loss" not in names:
        raise DataError("there are no training curves to draw", "expected rows with epoch and loss, and found none")
    epochs = _column(history, "epoch")
    epochs = np.where(np.isfinite(epochs), epochs, np.arange(1, len(history) + 1))
    marked = float(epochs[kept(history)])
    across = min(len(names), PANELS_A_ROW)
    down = math.ceil(len(names) / across)
    figure = style.new_figure(0.6 + 3.3 * across, 0.6 + 2.7 * down)
    for index, name in enumerate(names):
        panel = figure.add_subplot(down, across, index + 1)
        _draw_panel(panel, curves, epochs, name)
        panel.set_ylabel(UNITS.get(name, unit))
        panel.axvline(marked, color=style.MUTED, linestyle=":", linewidth=1.2, zorder=0)
    lines = {str(line.get_label()): line for panel in figure.axes for line in panel.lines[:-1]}
    lines[f"epoch kept ({marked:.0f})"] = figure.axes[0].lines[-1]
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=len(lines))
    return figure


def _terms(columns: Iterable[str]) -> list[str]:
    """Names of the curves: the loss, reconstruction and KL first, the others in their own order."""
    found = {name.removeprefix("val_"): None for name in columns}
    first = [name for name in ("loss", "reconstruction", "kl") if name in found]
    return first + [name for name in found if name not in first and name not in NOT_CURVES]


def _column(history: Sequence[Mapping[str, float]], name: str) -> np.ndarray:
    """(epochs,) float64, NaN where the value is missing or not a finite number."""
    values = [row.get(name, math.nan) for row in history]
    return np.array([v if isinstance(v, int | float) and math.isfinite(v) else math.nan for v in values], dtype=float)


def _draw_panel(panel: Axes, curves: Mapping[str, np.ndarray], epochs: np.ndarray, name: str) -> None:
    dots = "o" if len(epochs) <= 12 else ""
    training = (name, "training", style.PALETTE[0], "-")
    for key, label, colour, dashes in (training, (f"val_{name}", "validation", style.PALETTE[3], "--")):
        if key in curves:
            panel.plot(epochs, curves[key], color=colour, linestyle=dashes, marker=dots, markersize=4, label=label)
    title = TITLES.get(name, style.shown(name.replace("_", " ").capitalize()))
    panel.set(title=title, xlabel="epoch", axisbelow=True)
    panel.xaxis.set_major_locator(style.few_whole_ticks())
    panel.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    panel.grid(axis="y")
