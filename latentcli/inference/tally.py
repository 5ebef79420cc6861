"""What remains of predictions when their images have gone by: numbers of images."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from latentcli.core.labels import Labels
from latentcli.core.latents import Latents
from latentcli.inference.class_names import compare_classes
from latentcli.numerics import metrics


class Tally:
    """How many images of each known class were given each label: 8 bytes a pair of classes, however many images.

    Args:
        known: names of the classes that label images.
        names: of the classes that images are given.
        rejects: whether unlikely images were rejected.

    Attributes:
        counts: (K + 1, C + 1) images by known class, the last row of those without one, and by predicted class, the
            last column of those that were rejected.
        latents: of some of the images, for a picture; None where none were kept.

    Example:
        >>> import latentcli as lc
        >>> found = lc.Tally(known=["4", "8"], names=["4", "8"])
        >>> found.add(known=lc.Labels.of(["4", "8"]), predicted=lc.Labels.of(["4", "8"]))
        >>> found.add(known=lc.Labels.of(["8"], ["4", "8"]), predicted=lc.Labels.of(["4"], ["4", "8"]))
        >>> len(found), round(found.scores()["accuracy"], 4)
        (3, 0.6667)
    """

    def __init__(self, known: Sequence[str], names: Sequence[str], rejects: bool = False) -> None:
        self.known, self.names, self.rejects = tuple(known), tuple(names), rejects
        self.counts = np.zeros((len(self.known) + 1, len(self.names) + 1), np.int64)
        self.latents: Latents | None = None

    def add(self, known: Labels, predicted: Labels) -> None:
        """Take in the next images: the labels that came with them, and those that they were given."""
        np.add.at(self.counts, (known.codes, predicted.codes), 1)  # -1 is the last

    def __len__(self) -> int:
        return int(self.counts.sum())

    @property
    def rejected(self) -> int | None:
        """How many images were rejected; None unless ``rejects``."""
        return int(self.counts[:, -1].sum()) if self.rejects else None

    @property
    def any_known(self) -> bool:
        """Whether the class of one image or more is known."""
        return bool(self.counts[:-1].any())

    @property
    def labelled(self) -> int | None:
        """How many images the scores are of; None where they are of all, or there are none."""
        count = int(self.counts[:-1].sum())
        return count if 0 < count < len(self) else None

    @property
    def known_counts(self) -> list[int]:
        """Of each of ``names``, how many images are known to be of that class."""
        counts = dict(zip(self.known, self.counts.sum(axis=1).tolist(), strict=False))
        return [counts.get(name, 0) for name in self.names]

    @property
    def predicted_counts(self) -> list[int]:
        """Of each of ``names``, how many images were given that label."""
        return [int(count) for count in self.counts[:, :-1].sum(axis=0)]

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the scores are read: classes that only the data or only the classifier knows."""
        counts = zip(self.known, self.counts.sum(axis=1), strict=False)
        return compare_classes([name for name, count in counts if count], self.names)

    def scores(self) -> dict[str, Any]:
        """Accuracy, F1, precision, recall and the confusion matrix on the images whose label is known; {} without any.

        A rejected image counts as wrong.
        """
        counts: Counter[tuple[str, str]] = Counter()
        of_known, names = self.counts[:-1], (*self.names, "")
        for row, column in np.argwhere(of_known).tolist():  # of thousands of classes nearly all pairs are none
            counts[self.known[row], names[column]] += int(of_known[row, column])
        return metrics.classification_of_counts(counts, self.names)
