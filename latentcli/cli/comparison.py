"""Which classifier reads the latents of a training best: compared behind it, and told."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from latentcli.cli import console

if TYPE_CHECKING:
    from latentcli.core.labels import Labels
    from latentcli.core.latents import Latents


def compared(
    latents: "Latents", val: "Latents | None", labels: "Labels", labels_per_class: int | None, seed: int, device: str,
    those: Sequence[str],
) -> dict[str, float]:  # fmt: skip
    """What ``compare_classifiers`` finds; and notes of how far that goes, and of a classifier that beats the mixture.

    Args:
        latents, val, labels_per_class, seed, device: as for ``compare_classifiers``.
        labels: of all images that name clusters.
        those: DATA, the model, and options of the labels, for the command that fits the better classifier.
    """
    from latentcli.classifiers import comparing
    from latentcli.classifiers.graph.graph_classifier import PESSIMISTIC

    found = comparing.compare_classifiers(
        latents, val, labels_per_class=labels_per_class, seed=seed, device=device, progress=console.progress
    )
    counts = labels.counts[labels.counts > 0]
    fewest = int(min(counts)) if labels_per_class is None else labels_per_class
    count = int(labels.known.sum()) if labels_per_class is None else labels_per_class * len(labels.names)
    if found and fewest < PESSIMISTIC:
        console.note(
            f"the shares that classifiers are right about are too low: with {fewest} labels of a class they are "
            "judged by others that have fewer still"
        )
    if (best := comparing.better(found, count)) is not None:
        console.note(
            f"of labels left out a {best} classifier is right for {found[best]:.2f}, the mixture for "
            f"{found['mixture']:.2f}: {shlex.join(['latentcli', *comparing.COMMANDS[best].split(), *those])}"
        )
    return found
