"""The files that an exploration writes."""

from pathlib import Path

LABELS, GRAPH = Path("labels.csv"), Path("graph.npz")
"""Those of the labels and of the classifier, where none is named."""

PICTURE, SELECTION, HYBRIDS = "plane.png", "selection.csv", "hybrids.npz"
"""Names of what is saved beside the classifier."""


def map_beside(labels: Path) -> Path:
    """Where the t-SNE map is kept."""
    return labels.with_name(f"{labels.stem}.tsne.npz")


def written(labels: Path, output: Path) -> list[Path]:
    """All files that may be written: of labels and of a classifier, and those beside them."""
    beside = [output.with_name(name) for name in (PICTURE, SELECTION, HYBRIDS)]
    return [labels, output, *beside, map_beside(labels)]
