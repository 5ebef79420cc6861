"""What a mixture can be fitted to, checked before it is, each refusal saying what to change.

scikit-learn's contract asks for ``ValueError``, the project's for its own tree: these errors are both.
"""

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from latentcli.classifiers.mixture.expectation_maximisation import UNLABELLED, CollapsedComponent, Samples
from latentcli.classifiers.mixture.gaussians import COVARIANCE_TYPES
from latentcli.core.errors import DataError, FitError, UsageError

_VALUES_AT_ONCE = 2**22


class InvalidSetting(UsageError, ValueError):
    """A setting of the estimator is out of range."""


class InvalidSamples(DataError, ValueError):
    """Points or labels that no classifier can be fitted to."""


class DegenerateFit(FitError, ValueError):
    """Data that this mixture cannot be fitted to."""


def settings(estimator: Any) -> str:
    """Check an estimator's settings; returns the device that computes: ``cpu``, or one of torch's with float64."""
    ranges = {
        "n_components": (estimator.n_components is None or estimator.n_components >= 1, "None or at least 1"),
        "covariance_type": (estimator.covariance_type in COVARIANCE_TYPES, f"one of {', '.join(COVARIANCE_TYPES)}"),
        "tol": (estimator.tol >= 0, "at least 0"),
        "reg_covar": (estimator.reg_covar >= 0, "at least 0"),
        "shrinkage": (estimator.shrinkage >= 0, "at least 0"),
        "max_iter": (estimator.max_iter >= 1, "at least 1"),
        "n_init": (estimator.n_init >= 1, "at least 1"),
        "chunk_size": (estimator.chunk_size is None or estimator.chunk_size >= 1, "None or at least 1"),
        "max_dimensions": (estimator.max_dimensions >= 1, "at least 1"),
    }
    for name, (within, expected) in ranges.items():
        if not within:
            raise InvalidSetting(f"{name} is out of range", f"expected {expected}, found {getattr(estimator, name)!r}")
    if estimator.device in ("cpu", "mps"):
        return "cpu"
    from latentcli.core.device import resolve

    device = resolve(estimator.device)
    return "cpu" if device.type == "mps" else str(device)


def points(X: np.ndarray, finite: bool = False) -> np.ndarray:
    """X (N, D) itself; with ``finite``, after looking for NaN and infinity, a chunk at a time.

    Raises:
        DataError: there are some.
    """
    step = max(1, _VALUES_AT_ONCE // X.shape[1])
    for first in range(0, len(X) if finite else 0, step):
        bad = ~np.isfinite(X[first : first + step]).all(axis=1)
        if bad.any():
            raise InvalidSamples(
                "the points are not finite",
                f"NaN or infinity in row {first + int(bad.argmax())}",
                "leave these rows out, or encode them again",
            )
    return X


def labels(y: Any, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes, sorted, and each sample's index into them, (N,) int64, or ``UNLABELLED``.

    Raises:
        DataError: not one label per sample, none at all, or one class only.
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
    check_classification_targets(known)
    classes, indices = np.unique(known, return_inverse=True)
    if len(classes) < 2:
        raise InvalidSamples(
            "all labels are of one class",
            f"expected at least two classes, found {str(classes[0])!r}",
            "label images of another class",
        )
    found = np.full(samples, UNLABELLED)
    found[~unlabelled] = indices
    return classes, found


def samples(data: Samples, components: int, classes: np.ndarray | None) -> None:
    """Refuse data that no such mixture can be fitted to.

    Raises:
        DataError: points that are not finite, or too large to square.
        FitError: fewer components than classes, fewer samples than components, constant data.
    """
    if not data.finite:
        points(data.points, finite=True)
        raise InvalidSamples("the points are too large: their variance is infinity", None, "scale them down")
    if classes is not None and components < len(classes):
        raise DegenerateFit(
            "fewer components than classes",
            f"{components} components for {len(classes)} classes",
            f"ask for n_components of {len(classes)} or more",
        )
    if len(data) < max(components, 2):
        raise DegenerateFit(
            "too few samples for the mixture",
            f"n_samples={len(data)} for {components} components",
            "give more samples, or ask for fewer components",
        )
    if data.variances.max() <= (1e-12 * np.abs(data.origin).max()) ** 2:
        raise DegenerateFit(
            "there is nothing to tell apart: all points are the same",
            f"found {len(data)} of them",
            "a model that collapsed, or has hardly been trained, maps every image to one point: train it longer",
        )


def collapsed(collapse: CollapsedComponent, estimator: Any) -> DegenerateFit:
    """The error for a component that collapsed in every start that was tried."""
    which = "a component" if collapse.component is None else f"component {collapse.component}"
    return DegenerateFit(
        f"{which} collapsed: {collapse}",
        f"with covariance_type={estimator.covariance_type!r}, reg_covar={estimator.reg_covar:g}",
        "ask for fewer components, increase reg_covar or shrinkage, or give more samples",
    )
