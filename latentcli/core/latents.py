"""What an encoder makes of images, as numpy arrays: what commands hand to one another."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from latentcli.core.errors import ModelFileError, UsageError
from latentcli.core.growing import joined
from latentcli.core.labels import Labelled, Labels

ARRAYS_OF_FEATURES = {"mean": "mu", "quantized": "quantized", "codes": "codes"}
"""Which array of ``Latents.arrays`` holds the features of this name. Other features need the images and the model."""


@dataclass(frozen=True)
class Latents(Labelled):
    """The latents of N images, in the images' order.

    Attributes:
        arrays: by name, each with N rows. VAE: ``mu`` and ``logvar`` (N, D) float32, the mean and log-variance
            of the posterior; where some dimensions are details, which no classifier reads, these apart as ``details``
            and ``details_logvar`` (N, R). VQ-VAE: ``codes`` (N, h, w) integers and ``quantized`` (N, h, w, D) float32.
            In memory also other features, by their own name.
        checkpoint: fingerprint (SHA-256) of the checkpoint that encoded them.
        labels: of the N images; by default all are unlabelled.
        files: paths within the folder the images came from; None for arrays.
        shapes: height, width and channels of features that are maps although their array is flat, by name.

    Example:
        >>> import latentcli as lc
        >>> import numpy as np
        >>> points = np.zeros((3, 2), np.float32)
        >>> latents = lc.Latents({"mu": points, "logvar": points}, checkpoint="", labels=lc.Labels.of(["a", "b", ""]))
        >>> latents.flat.shape, latents.posterior_variances[0].tolist()
        ((3, 2), [1.0, 1.0])
    """

    MADE_BY: ClassVar[str] = "`model.encode(images)`, or `read_latents(path)`"

    arrays: Mapping[str, np.ndarray]
    checkpoint: str
    labels: Labels = None  # type: ignore[assignment]  # as many as there are images
    files: tuple[str, ...] | None = None
    shapes: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    @property
    def _names(self) -> list[str]:
        """Those features of ``ARRAYS_OF_FEATURES`` that these latents hold; the first is what a mixture reads."""
        return [name for name, array in ARRAYS_OF_FEATURES.items() if array in self.arrays]

    def holds(self, name: str) -> bool:
        """Whether ``features`` of this name are here."""
        return ARRAYS_OF_FEATURES.get(name, name) in self.arrays

    @property
    def flat(self) -> np.ndarray:
        """(N, D) float: what a mixture reads; the posterior mean, or the quantised map in one row."""
        return self.features(next(iter(self._names), "mean"))

    @property
    def points(self) -> np.ndarray:
        """(N, D) float: what a decoder takes; ``flat``, and the details beside it where there are some."""
        return np.hstack([self.flat, self.arrays["details"]]) if "details" in self.arrays else self.flat

    @property
    def is_flat(self) -> bool:
        """Whether they hold what ``flat`` gives, and not only other features."""
        return bool(self._names)

    @property
    def posterior_logvar(self) -> np.ndarray | None:
        """(N, D) float: logarithms of the variances of each image's posterior, for ``flat``; None as for these."""
        return self.arrays["logvar"].reshape(len(self), -1) if "logvar" in self.arrays else None

    @property
    def posterior_variances(self) -> np.ndarray | None:
        """(N, D) float: of each image's posterior, for ``flat``; None for a family whose latents are points."""
        return None if self.posterior_logvar is None else np.exp(self.posterior_logvar)

    @property
    def point_variances(self) -> np.ndarray | None:
        """(N, D) float: the same for ``points``."""
        variances = self.posterior_variances
        if variances is None or "details_logvar" not in self.arrays:
            return variances
        return np.hstack([variances, np.exp(self.arrays["details_logvar"])])

    def features(self, name: str) -> np.ndarray:
        """(N, F): the features of this name, one row an image.

        Raises:
            UsageError: these latents do not hold them.
        """
        array = self.arrays.get(ARRAYS_OF_FEATURES.get(name, name))
        if array is None:
            raise UsageError(
                f"latents of this model hold no features {name!r}", f"expected one of: {', '.join(self._names)}",
                "the others need the images: give DATA and the checkpoint instead",
            )  # fmt: skip
        return array.reshape(len(array), -1)

    def feature_shape(self, name: str | None) -> tuple[int, int, int] | None:
        """Height, width and channels of the features of this name, where they are maps; None stands for ``flat``."""
        name = name or next(iter(self._names), "mean")
        array = self.arrays.get(ARRAYS_OF_FEATURES.get(name, name))
        if array is None or array.ndim not in (3, 4):
            return self.shapes.get(name)
        height, width, channels = (*array.shape[1:], 1)[:3]
        return height, width, channels

    def take(self, rows: np.ndarray | slice) -> "Latents":
        """The latents of these images alone (indices, a boolean mask or a slice)."""
        files = None if self.files is None else tuple(np.array(self.files, dtype=object)[rows])
        arrays = {name: array[rows] for name, array in self.arrays.items()}
        return replace(self, arrays=arrays, labels=self.labels.take(rows), files=files)

    def followed_by(self, other: "Latents") -> "Latents":
        """These latents, then ``other``'s.

        Raises:
            ModelFileError: the two were made by different checkpoints.
        """
        one, two = ({name: array.shape[1:] for name, array in each.arrays.items()} for each in (self, other))
        if self.checkpoint != other.checkpoint or one != two:
            raise ModelFileError(
                "the two sets of latents were made by different checkpoints",
                f"expected latents of {self.checkpoint[:6]}…, found {other.checkpoint[:6]}…",
                "encode both with the same checkpoint",
            )
        arrays = {name: joined([array, other.arrays[name]]) for name, array in self.arrays.items()}
        return Latents(arrays, self.checkpoint, self.labels.followed_by(other.labels), shapes=self.shapes)
