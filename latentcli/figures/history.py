"""Training curves: the loss and each of its terms over the epochs."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from latentcli.core.errors import DataError
from latentcli.figures import style

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


@style.look()
def draw(history: Sequence[Mapping[str, float]], unit: str = "nats per image") -> Figure:
    """One panel for the loss and one for each term, training and validation together, the best epoch marked.

    The best epoch has the lowest validation loss, or the lowest loss where there is no validation; among equals it
    is the last, whose network is kept.

    Args:
        history: one row per epoch: ``epoch``, ``loss``, its terms, and any of them on the validation images as
            ``val_…``. A value that is missing or not finite leaves a gap.
        unit: of the loss and its terms.

    Raises:
        DataError: there is no epoch, or no loss.
    """
    names = [name for name in _terms(history) if any(_has_values(history, key) for key in (name, f"val_{name}"))]
    if "loss" not in names:
        raise DataError("there are no training curves to draw", "expected rows with epoch and loss, and found none")
    epochs = _column(history, "epoch")
    epochs = np.where(np.isfinite(epochs), epochs, np.arange(1, len(history) + 1))
    best = _best(history)
    columns = min(len(names), PANELS_A_ROW)
    rows = math.ceil(len(names) / columns)
    figure = style.new_figure(0.6 + 3.3 * columns, 0.6 + 2.7 * rows)
    for index, name in enumerate(names):
        panel = figure.add_subplot(rows, columns, index + 1)
        _draw_panel(panel, history, epochs, name)
        panel.set_ylabel(UNITS.get(name, unit))
        if best is not None:
            panel.axvline(epochs[best], color=style.MUTED, linestyle=":", linewidth=1.2, zorder=0)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if best is not None:
        handles.append(figure.axes[0].lines[-1])
        labels.append(f"best epoch ({epochs[best]:.0f})")
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _terms(history: Sequence[Mapping[str, float]]) -> list[str]:
    """Names of the curves: the loss, reconstruction and KL first, the others in their own order."""
    found = {name.removeprefix("val_"): None for row in history for name in row}
    first = [name for name in ("loss", "reconstruction", "kl") if name in found]
    return first + [name for name in found if name not in first and name not in NOT_CURVES]


def _column(history: Sequence[Mapping[str, float]], name: str) -> np.ndarray:
    """(epochs,) float64, NaN where the value is missing or not a finite number."""
    values = [row.get(name, math.nan) for row in history]
    return np.array([v if isinstance(v, int | float) and math.isfinite(v) else math.nan for v in values], dtype=float)


def _has_values(history: Sequence[Mapping[str, float]], name: str) -> bool:
    return bool(np.isfinite(_column(history, name)).any())


def _best(history: Sequence[Mapping[str, float]]) -> int | None:
    for name in ("val_loss", "loss"):
        if _has_values(history, name):
            losses = _column(history, name)
            return int(np.flatnonzero(losses == np.nanmin(losses))[-1])
    return None


def _draw_panel(panel: Axes, history: Sequence[Mapping[str, float]], epochs: np.ndarray, name: str) -> None:
    dots = "o" if len(epochs) <= 12 else ""
    training = (name, "training", style.PALETTE[0], "-")
    for key, label, colour, dashes in (training, (f"val_{name}", "validation", style.PALETTE[3], "--")):
        if _has_values(history, key):
            values = _column(history, key)
            panel.plot(epochs, values, color=colour, linestyle=dashes, marker=dots, markersize=4, label=label)
    title = TITLES.get(name, style.shown(name.replace("_", " ").capitalize()))
    panel.set(title=title, xlabel="epoch", axisbelow=True)
    panel.xaxis.set_major_locator(style.few_whole_ticks())
    panel.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    panel.grid(axis="y")
