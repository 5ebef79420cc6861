"""Labels: their order, and how to keep only a few of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from latentcli.core.errors import DataError
from latentcli.core.image_set import UNLABELLED, ImageSet
from latentcli.core.latents import Latents

Labelled = TypeVar("Labelled", ImageSet, Latents)


def class_order(names: Sequence[str]) -> tuple[str, ...]:
    """Class names without repetition: by value when all are whole numbers ("9" before "10"), else by text."""
    unique = set(names)
    if all(name.removeprefix("-").isdecimal() and name.isascii() and len(name) < 20 for name in unique):
        return tuple(sorted(unique, key=lambda name: (int(name), name)))
    return tuple(sorted(unique))


def labelled_per_class(images: Labelled, n: int, seed: int) -> Labelled:
    """The same images, or latents of images, with only ``n`` labels of each class; all others become unlabelled.

    Args:
        images: with labels.
        n: labels to keep of each class, at least 1.
        seed: which ones; each class is drawn apart, so that it does not depend on the others.

    Raises:
        DataError: no labels, or a class with fewer.
    """
    if images.labels is None or not (images.labels != UNLABELLED).any():
        raise DataError(f"{images.name} has no labels to choose {n} per class from")
    kept = np.full(len(images), UNLABELLED, dtype=np.int64)
    for code, name in enumerate(images.class_names):
        rows = np.flatnonzero(images.labels == code)
        if len(rows) < n:
            raise DataError(
                f"{images.name} has too few labels of class {name!r}",
                f"expected {n}, found {len(rows)}",
                f"ask for at most {len(rows)} per class, or leave that class out"
                if len(rows)
                else "leave it out with --classes",
            )
        kept[np.random.default_rng([seed, code]).choice(rows, size=n, replace=False)] = code
    return replace(images, labels=kept)
