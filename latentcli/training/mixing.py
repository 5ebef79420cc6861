"""The examples of a classifier: labelled images, and hybrids, whose soft labels are probabilities of the classes."""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from latentcli.core.errors import DataError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.labels import labelled_per_class
from latentcli.core.rows import stacked
from latentcli.core.settings import check_kind
from latentcli.numerics.random import generator_for
from latentcli.training.config import LABELLED_FRACTION, ClassifierTrainingConfig
from latentcli.training.examples import Examples, split

MAX_ROWS = 100_000_000
"""Images of an epoch, repeats counted, at most; a fraction near 0 or 1 could ask for any number."""

MIN_HELD_OUT = 30
"""Fewer images are not held out: their loss says too little to choose weights by, so they are better learned from."""

Hybrids = Mapping[str, np.ndarray]
"""``images`` (M, H, W) or (M, H, W, C) uint8, ``soft_labels`` (M, K) float, ``classes`` (K,) names: ``hybrids.npz``."""


def labelled(images: ImageSet, per_class: int | None, seed: int) -> ImageSet:
    """The labelled ones of these images, or ``per_class`` of each class, drawn by the seed.

    Raises:
        UsageError: it is no ``ImageSet``.
        DataError: none is labelled, or a class has fewer than asked for.
    """
    check_kind("images", images, ImageSet)
    if not images.labels.any:
        raise DataError(
            f"{images.name} has no labels to learn from", images.labels_looked_for,
            "put them there, or give a table of them: `labels`",
        )  # fmt: skip
    kept = images if per_class is None else labelled_per_class(images, per_class, seed)
    return kept.take(kept.labels.known)


def classes_of(images: ImageSet, hybrids: Hybrids | None) -> tuple[str, ...]:
    """Names of the classes that label images, in their order, then of those that only the hybrids have.

    Raises:
        DataError: there is one class only; or images and hybrids have none in common.
    """
    own = images.labels.occurring
    mixed = () if hybrids is None else tuple(map(str, hybrids["classes"]))
    if hybrids is not None and not set(own) & set(mixed):
        raise DataError(
            f"the hybrids have no class in common with {images.name}",
            f"expected some of {', '.join(own)}, found {', '.join(mixed)}",
            "make them with a classifier fitted to the same classes, name the columns of soft labels by them, or leave "
            "out `hybrids`",
        )
    names = (*own, *(name for name in mixed if name not in own))
    if len(names) < 2:
        raise DataError(
            f"all labels of {images.name} are of one class", "expected two classes or more to tell apart",
            "label images of another class, or leave the labels out: `no_classes`",
        )  # fmt: skip
    return names


def examples(
    images: ImageSet, classes: Sequence[str], config: ClassifierTrainingConfig, validation: ImageSet | None = None,
    hybrids: Hybrids | None = None, share: float = LABELLED_FRACTION,
) -> Examples:  # fmt: skip
    """What a classifier learns from: labelled images, and hybrids in the right proportion to them.

    The validation loss is computed on ``validation``, or else on some of the labelled images, if there are many; never
    on hybrids.

    Args:
        images: all of them labelled.
        classes: K names, of all the labels and soft labels: the columns of the targets.
        config: of the loop; says how many images are held out, how many steps are without hybrids, and the seed.
        validation: of the same shape; only images labelled with one of the classes count.
        hybrids: of the same shape.
        share: fraction of an epoch's images that are labelled ones, in [0, 1], where there are hybrids.

    Raises:
        DataError: hybrids of another shape, or none; no validation image of these classes.
        UsageError: a share that would take too many repeats.
    """
    rows, held_out = split(len(images), config)
    if validation is not None or len(held_out) < MIN_HELD_OUT:
        rows, held_out = np.arange(len(images)), np.arange(0)
    parts, targets = [images.images], [one_hot(images, classes)]
    if validation is not None:
        known = validation.take(known_rows(validation, classes))
        held_out = len(images) + np.arange(len(known))
        parts.append(known.images)
        targets.append(one_hot(known, classes))
    if hybrids is None:
        return Examples(stacked(parts), rows, held_out, np.concatenate(targets))
    first = sum(map(len, parts))
    parts.append(pixels(hybrids, images))
    targets.append(soft_targets(hybrids, classes))
    mixed = repeated_rows(rows, first + np.arange(len(parts[-1])), share, config.seed)
    final = rows if config.finish else None
    return Examples(stacked(parts), mixed, held_out, np.concatenate(targets), final, config.finish)


def repeated_rows(labelled: np.ndarray, hybrids: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Row numbers of an epoch: all rows at least once, and those of one kind repeated until the share is right.

    Args:
        labelled, hybrids: (L,) and (M,) row numbers.
        share: fraction of labelled rows; 0 and 1 leave one kind out.
        seed: of the choice of rows that are repeated once more than others.

    Raises:
        UsageError: there would be more than ``MAX_ROWS``.
    """
    total = math.ceil(max(len(labelled) / share if share else 0, len(hybrids) / (1 - share) if share < 1 else 0))
    if total > MAX_ROWS:
        raise UsageError(
            f"a labelled fraction of {share:g} would take {total:,} images an epoch",
            f"with {len(labelled):,} labelled images and {len(hybrids):,} hybrids",
            f"give a `labelled_fraction` nearer to theirs, such as {LABELLED_FRACTION:g}",
        )
    wanted = round(share * total)
    repeated = [
        np.resize(rows[torch.randperm(len(rows), generator=generator_for(seed, "repeats", kind)).numpy()], count)
        for kind, (rows, count) in enumerate(((labelled, wanted), (hybrids, total - wanted)))
    ]
    return np.sort(np.concatenate(repeated))


def one_hot(images: ImageSet, classes: Sequence[str]) -> np.ndarray:
    """(N, K) float32: the labels as soft labels."""
    return np.eye(len(classes), dtype=np.float32)[images.labels.among(classes).codes]


def soft_targets(hybrids: Hybrids, classes: Sequence[str]) -> np.ndarray:
    """(M, K) float32: the hybrids' soft labels in the columns of these classes, each row summing to 1."""
    columns = [list(classes).index(str(name)) for name in hybrids["classes"]]
    targets = hybrids["soft_labels"].astype(np.float64) @ np.eye(len(classes))[columns]
    return (targets / targets.sum(axis=1, keepdims=True)).astype(np.float32)


def pixels(hybrids: Hybrids, images: ImageSet) -> np.ndarray:
    """(M, C, H, W) uint8: the hybrids' images; a ``DataError`` if there are none, or of another shape than images."""
    found = hybrids["images"]
    found = found[:, None] if found.ndim == 3 else np.moveaxis(found, 3, 1)
    if not len(found):
        raise DataError("there are no hybrids in the file", "expected one image or more", "leave out `hybrids`")
    if found.shape[1:] != images.shape:
        expected = f"expected {images.shape} (channels, height, width), found {found.shape[1:]}"
        remedy = "make them with a model trained on images of this shape, or leave out `hybrids`"
        channels, height, width = found.shape[1:]
        if channels == images.shape[0] and height == width:
            remedy = f"read {images.name} at their size: `image_size` {height}; or {remedy}"
        raise DataError(f"the hybrids are of another shape than {images.name}", expected, remedy)
    return found


def known_rows(images: ImageSet, classes: Sequence[str]) -> np.ndarray:
    """(N,) bool: which images are labelled with one of these classes; a ``DataError`` if none is."""
    known = images.labels.among(classes).known
    if not known.any():
        found = ", ".join(images.labels.occurring) or "none"
        expected = f"expected images labelled {', '.join(classes)}, found {found}"
        raise DataError(f"{images.name} has no labels to validate with", expected, "label some so, or leave out `val`")
    return known


def in_both(images: np.ndarray, others: np.ndarray) -> int:
    """How many of the other images (M, C, H, W) occur, byte for byte, among these (N, C, H, W)."""
    trained_on = {hashlib.sha256(image.tobytes()).digest() for image in images}
    return sum(hashlib.sha256(image.tobytes()).digest() in trained_on for image in others)
