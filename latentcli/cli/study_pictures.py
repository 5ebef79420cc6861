"""The pictures of studies: results beside each other, and accuracies against labelled images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcli.cli import pictures

if TYPE_CHECKING:
    from latentcli.experiments.tables import Column
    from latentcli.experiments.tasks import Task


def of_latent_spaces(
    where: Path, tasks: "Sequence[Task]", families: Sequence[str], results: Sequence[Mapping[str, Any]],
    columns: "Sequence[Column]",
) -> list[Path]:  # fmt: skip
    """The results beside each other, and of each data set and family the first model: reconstructions and t-SNE."""
    from latentcli.cli import fitting
    from latentcli.experiments.kept_models import kept_model
    from latentcli.experiments.latents import checkpoint_of

    panels = []
    for column in columns:
        values: dict[str, dict[str, list[float]]] = {}
        for row in results:
            if column.key in row:
                of_model = values.setdefault(row["data"], {}).setdefault(row["model"], [])
                of_model.append(row[column.key] * column.scale)
        panels.append((column.title, values))
    drawn = [pictures.draw("comparison", where / "comparison.png", [panel for panel in panels if panel[1]])]
    for task in tasks:
        for family in families:
            network = kept_model(checkpoint_of(where, task, family, 0), "cpu")
            name = f"{task.name}-{family}.png"
            drawn.append(pictures.reconstructions(where / f"reconstructions-{name}", network, task.test))
            latents = fitting.encoded(network, "", task.test)
            drawn.append(pictures.tsne(where / f"tsne-{name}", latents, 0))
    return drawn


def of_hybrids(path: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The accuracies of a study of hybrids, against the number of labelled images.

    Args:
        path: of the picture.
        name: of the data.
        rows: as the study's ``table.json`` has them.
    """
    from latentcli.experiments.arms import ARMS
    from latentcli.figures.curve import Accuracy

    curves: dict[str, dict[int, Accuracy]] = {}
    for row in rows:
        accuracy = Accuracy(row["accuracy"]["mean"], row["accuracy"]["sd"], row["seeds"])
        curves.setdefault(ARMS[row["arm"]].title, {})[row["per_class"]] = accuracy
    return pictures.draw("curve", path, curves, name)
