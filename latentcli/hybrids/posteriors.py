"""Images as hybrids see them: where they lie in the latent space, and which of their classes are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentcli.core.errors import DataError

UNLABELLED, OTHER = -1, -2
"""In place of a class: an image without a label, and one of a class that is none of those asked about."""


@dataclass(frozen=True)
class Posteriors:
    """Where in the latent space N images lie.

    Attributes:
        means: (N, D) float.
        variances: (N, D) float; None of models whose latents are points.
        names: (N,) of the classes that are known, "" of others; None: no class is known.
    """

    means: np.ndarray
    variances: np.ndarray | None = None
    names: np.ndarray | None = None

    def known(self, classes: Sequence[str]) -> np.ndarray:
        """(N,) int: which of these classes each image is known to be of, else ``UNLABELLED`` or ``OTHER``."""
        if self.names is None:
            return np.full(len(self.means), UNLABELLED)
        index = {"": UNLABELLED} | {name: column for column, name in enumerate(classes)}
        return np.array([index.get(str(name), OTHER) for name in self.names], int)

    def strangers(self, classes: Sequence[str]) -> DataError:
        """What to say where all images are known to be of other classes than these."""
        others = sorted(set(map(str, () if self.names is None else self.names)))
        return DataError(
            "the images have no class in common with the mixture",
            f"expected some of {', '.join(classes)}, found {', '.join(others)}",
            "name images of the mixture's classes, or unlabelled ones: --near",
        )
