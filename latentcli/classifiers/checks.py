"""Checks of the points and labels that a classifier is fitted to.

scikit-learn's contract asks for ``ValueError``, the project's for its own tree: these errors are both.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from latentcli.classifiers.chunks import rows_at_once
from latentcli.core.errors import DataError, UsageError
from latentcli.core.labels import UNLABELLED, class_order


class InvalidSetting(UsageError, ValueError):
    """A setting of the estimator is out of range."""


class InvalidSamples(DataError, ValueError):
    """Points or labels that no classifier can be fitted to."""


class NotConverged(ConvergenceWarning):
    """An iteration ended before it converged; its result may do."""


def check_finite(X: np.ndarray) -> None:
    """Raise a ``DataError`` where a row of X (N, D) has NaN or infinity."""
    step = rows_at_once(X.shape[1])
    for first in range(0, len(X), step):
        bad = ~np.isfinite(X[first : first + step]).all(axis=1)
        if bad.any():
            found = f"NaN or infinity in row {first + int(bad.argmax())}"
            raise InvalidSamples("the points are not finite", found, "leave these rows out, or encode them again")


def encode_labels(y: Any, samples: int, classes: Sequence[str] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The classes that occur among labels, and each sample's index into them.

    Args:
        y: (N,) numbers, ``UNLABELLED`` where there is no label; or texts, "" (or None) where there is none.
        samples: N.
        classes: names of the classes in the order to keep, compared with the labels as texts; names that label nothing
            are left out. None: sorted, texts that are all whole numbers by value ("9" before "10").

    Returns:
        (C,) classes, of the labels' type; (N,) int64 indices into them, or ``UNLABELLED``.

    Raises:
        DataError: there is not one label per sample, no label, only one class, or a label not among ``classes``.
    """
    y = column_or_1d(y, warn=True)
    if len(y) != samples:
        raise InvalidSamples("not one label for each point", f"expected {samples} labels, found {len(y)}")
    unlabelled = np.array([one is None or one == "" for one in y]) if y.dtype.kind in "OUS" else np.zeros(samples, bool)
    if y.dtype.kind not in "US":
        unlabelled |= y == UNLABELLED
    known = y[~unlabelled]
    if not len(known):
        remedy = "label a few samples of each class, or fit without labels"
        raise InvalidSamples("no sample is labelled: there is no class", None, remedy)
    if known.dtype.kind == "O" and isinstance(known[0], str):
        known = known.astype(str)
    if known.dtype.kind not in "biuUS":  # else it would warn of many classes
        check_classification_targets(known)
    found, indices = np.unique(known, return_inverse=True)
    if len(found) < 2:
        expected = f"expected at least two classes, found {str(found[0])!r}"
        raise InvalidSamples("all labels are of one class", expected, "label images of another class")
    order = _order(found, classes)
    encoded = np.full(samples, UNLABELLED)
    encoded[~unlabelled] = np.argsort(order)[indices]
    return found[order], encoded


def _order(found: np.ndarray, classes: Sequence[str] | None) -> list[int]:
    """Positions of the classes in ``found``, which is sorted as scikit-learn does, in the order to keep them."""
    if classes is None and found.dtype.kind != "U":
        return list(range(len(found)))
    position = {str(name): index for index, name in enumerate(found)}
    names = class_order(list(position)) if classes is None else tuple(dict.fromkeys(classes))
    if unknown := [name for name in position if name not in names]:
        problem = f"the labels hold classes that are not among `classes`: {', '.join(unknown)}"
        remedy = "name all classes in `classes`, or leave these samples unlabelled"
        raise InvalidSamples(problem, f"expected some of: {', '.join(names)}", remedy)
    return [position[name] for name in names if name in position]


def drawn_seed(random_state: Any) -> int:
    """A seed in 0 … 2³¹ − 2 from what scikit-learn calls ``random_state``: an int, numpy's ``RandomState``, or None.

    An int may have 64 bits, though numpy's takes 32 at a time.
    """
    if isinstance(random_state, int | np.integer) and random_state >= 2**32:
        random_state = np.random.RandomState([int(random_state) % 2**32, int(random_state) >> 32])
    return int(check_random_state(random_state).randint(2**31 - 1))
