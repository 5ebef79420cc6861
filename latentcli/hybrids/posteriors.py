"""Posteriors of images in the latent space, with the classes that are known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.labels import UNLABELLED

OTHER = -2
"""The code of an image whose known class is not among those asked about."""


@dataclass(frozen=True)
class Posteriors:
    """The posteriors of N images: means (N, D), variances (N, D) or None where latents are points, and class names.

    The names (N,) are "" where the class is not known; None where no class is.
    """

    means: np.ndarray
    variances: np.ndarray | None = None
    names: np.ndarray | None = None

    def first(self, dimensions: int) -> "Posteriors":
        """The same posteriors in the first so many dimensions."""
        variances = None if self.variances is None else self.variances[:, :dimensions]
        return replace(self, means=self.means[:, :dimensions], variances=variances)

    def known(self, classes: Sequence[str]) -> np.ndarray:
        """(N,) int: the index in ``classes`` of each image's known class, or ``UNLABELLED`` or ``OTHER``."""
        if self.names is None:
            return np.full(len(self.means), UNLABELLED)
        index = {"": UNLABELLED} | {name: column for column, name in enumerate(classes)}
        return np.array([index.get(str(name), OTHER) for name in self.names], int)

    def unknown_classes_error(self, classes: Sequence[str]) -> DataError:
        """The error where every image is known to be of a class that is not among ``classes``."""
        others = sorted(set(map(str, () if self.names is None else self.names)))
        found = f"expected some of {', '.join(classes)}, found {', '.join(others)}"
        remedy = "give images of the mixture's classes, or unlabelled ones, as `near`"
        return DataError("the images have no class in common with the mixture", found, remedy)
