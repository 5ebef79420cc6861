"""A set of images in memory, with their labels and file names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.labels import Labelled, Labels, check_classes
from latentcli.core.rows import taken

SMALLEST, LARGEST = 8, 256
"""Pixels a side, inclusive: the heights and widths that models take."""

Shape = tuple[int, int, int]
"""Channels, height and width of one image."""


@dataclass(frozen=True)
class ImageSet(Labelled):
    """N images, and the labels and file names that came with them.

    Attributes:
        images: (N, C, H, W) uint8, C is 1 or 3; in memory or memory-mapped, or ``Rows`` of what is; never changed.
        labels: of the N images; by default all are unlabelled.
        files: paths within the folder the images came from; None for arrays.
        name: how to call the data in messages: its path, as the user has it; checkpoints keep the last part of it.
        layout: the axes of the source, "NHW", "NHWC" or "NCHW", so that outputs can be given back the same way.
        bad_files: (path, reason) of files that could not be read, in path order; not among the images.
        notes: what the user should know about how the source was read, a line each.
        parts: of which the source consists, such as ("train", "val", "test"); the images are of one of them.
        spans: the numbers of black and white by which images of more than 8 bits were read, by "whole" (whole numbers),
            "float" and "units" (of a medical device).
        numpy: the expression that makes of ``data``, the array of the source, one in ``layout``, for messages.
        elsewhere: paths of the files of each other part of the folder, where labels may name these, too.
        labels_in: where the source would have its labels, for messages; "": as its files tell.

    Raises:
        DataError: ``images`` have another form.

    Example:
        >>> import latentcli as lc
        >>> import numpy as np
        >>> images = lc.ImageSet(np.zeros((2, 1, 28, 28), np.uint8), lc.Labels.of(["cat", ""]))
        >>> len(images), images.shape, images.class_names
        (2, (1, 28, 28), ('cat',))
    """

    MADE_BY: ClassVar[str] = "`load(source)`, or `ImageSet` of an array (N, C, H, W) of uint8"

    images: np.ndarray
    labels: Labels = None  # type: ignore[assignment]  # as many as there are images
    files: tuple[str, ...] | None = None
    name: str = "images"
    layout: str = "NHW"
    bad_files: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    spans: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    numpy: str = "data"
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels_in: str = ""

    def __post_init__(self) -> None:
        form = tuple(getattr(self.images, name, None) for name in ("dtype", "ndim"))
        if form != (np.uint8, 4) or self.shape[0] not in (1, 3):
            found = f"{form[0]} {self.images.shape}" if form[0] else type(self.images).__name__
            expected = "expected an array (N, C, H, W) of uint8, of 1 or 3 channels"
            raise DataError("the images do not have the form of an `ImageSet`", f"{expected}, found {found}")
        super().__post_init__()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> Shape:
        """Channels, height and width of each image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def labels_looked_for(self) -> str:
        """Where a source of this kind has its labels, for the message that there are none."""
        if self.labels_in:
            return f"expected {self.labels_in}"
        if self.files is not None:
            return "expected a sub-folder for each class, of names that do not mean no label"
        return "expected an array of one label an image: labels, y, target or the like"

    def take(self, rows: np.ndarray) -> "ImageSet":
        """The same set with only these rows (indices or a boolean mask); many of mapped images stay on the disk."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        files = None if self.files is None else tuple(self.files[row] for row in rows)
        return replace(self, images=taken(self.images, rows), labels=self.labels.take(rows), files=files)

    def only(self, classes: Sequence[str]) -> "ImageSet":
        """The images of these classes, with ``class_names`` in the order given.

        Raises:
            DataError: the set has no labels, or has no such class.
        """
        if not self.class_names:
            problem = f"{self.name} has no labels to choose classes {', '.join(classes)} by"
            raise DataError(problem, self.labels_looked_for, "leave out `classes`, or give labels: `labels`")
        check_classes(classes, self.class_names, self.name)
        labels = self.labels.among(classes)
        return replace(self, labels=labels).take(labels.known)
