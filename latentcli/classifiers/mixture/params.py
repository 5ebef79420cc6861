"""A fitted mixture as a dict of plain arrays and strings, and back, nothing taken on trust.

The functions that read raise a ``ModelFileError`` when something is missing, of the wrong type or shape, not finite,
or no mixture.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentcli.classifiers.mixture import principal
from latentcli.classifiers.mixture.gaussians import COVARIANCE_TYPES, ClassGaussians, Mixture
from latentcli.classifiers.mixture.principal import Projection
from latentcli.core.errors import ModelFileError

KIND = "gmm"
QUANTILES = 1001
"""How many quantiles of the fitted points' log density are kept: every thousandth."""

MAX_COMPONENTS = 10_000
"""Of a mixture that is fitted, or read."""

_MAX_DIMENSIONS = 4_096


def to_params(
    mixture: Mixture, projection: Projection | None, component_labels: np.ndarray, classes: np.ndarray
) -> dict[str, Any]:
    """``kind``, ``covariance_type``, ``weights``, ``means``, ``covariances``, ``component_labels`` and ``classes``.

    Where the mixture lives on a plane of the space, also ``projection`` (d, D), the plane's directions, and
    ``offset`` (D,). Classes become strings; everything else keeps its value to the bit.
    """
    plane = {} if projection is None else projection.to_params()
    return plane | {
        "kind": KIND, "covariance_type": mixture.covariance_type, "weights": mixture.weights.copy(),
        "means": mixture.means.copy(), "covariances": mixture.covariances.copy(),
        "component_labels": component_labels.astype(np.int64),
        "classes": np.array([str(name) for name in classes], dtype=str),
    }  # fmt: skip


def from_params(params: Mapping[str, Any]) -> tuple[Mixture, np.ndarray, np.ndarray]:
    """The mixture, the class of each component (K,) int64, and the classes (C,) str."""
    kind, covariance_type = params.get("kind"), params.get("covariance_type")
    if not isinstance(kind, str) or kind != KIND:
        raise _refusal("this is no Gaussian mixture", f"expected kind {KIND!r}, found {_short(kind)}")
    if not isinstance(covariance_type, str) or covariance_type not in COVARIANCE_TYPES:
        expected = f"expected one of {', '.join(COVARIANCE_TYPES)}"
        raise _refusal("unknown covariance type", f"{expected}, found {_short(covariance_type)}")
    weights, means, covariances = (_numbers(params, name) for name in ("weights", "means", "covariances"))
    _check_shapes(weights, means, covariances, covariance_type)
    if (weights < 0).any() or abs(weights.sum() - 1) > 1e-6:
        raise _refusal("the weights are not a distribution", f"expected a sum of 1, found {weights.sum():.6g}")
    _check_positive(covariances, covariance_type)
    component_labels, classes = _classes(params, len(weights))
    return Mixture(weights, means, covariances, covariance_type), component_labels, classes


def projection(params: Mapping[str, Any], mixture: Mixture) -> Projection | None:
    """The plane that the mixture lives on; None where it is the whole space."""
    return principal.from_params(params, mixture.means.shape[1], _refusal)


def quantiles(params: Mapping[str, Any]) -> np.ndarray | None:
    """(QUANTILES,) float64: the log densities of the fitted points, ascending; None where they were not kept."""
    if "log_density_quantiles" not in params:
        return None
    found = _numbers(params, "log_density_quantiles")
    if found.shape != (QUANTILES,) or (np.diff(found) < 0).any():
        raise _refusal("the quantiles of its log density are wrong", f"expected {QUANTILES} ascending numbers")
    return found


def class_gaussians(params: Mapping[str, Any], mixture: Mixture, classes: int) -> ClassGaussians | None:
    """A diagonal Gaussian for each class; None where they were not kept."""
    if "class_means" not in params and "class_variances" not in params:
        return None
    means, variances = _numbers(params, "class_means"), _numbers(params, "class_variances")
    expected = (classes, mixture.means.shape[1])
    if means.shape != expected or variances.shape != expected or not (variances > 0).all():
        found = f"expected {expected} positive variances, found {means.shape} and {variances.shape}"
        raise _refusal("the Gaussians of its classes are wrong", found)
    return ClassGaussians(means, variances)


def learned_from(
    params: Mapping[str, Any], mixture: Mixture, classes: int
) -> tuple[np.ndarray, np.ndarray] | None:  # fmt: skip
    """Labelled points (L, d) float32 and their classes (L,) int64; None where they were not kept."""
    if "labelled_points" not in params and "labels" not in params:
        return None
    points, labels = _numbers(params, "labelled_points"), params.get("labels")
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.shape != points.shape[:1]:
        raise _refusal("its labels are not an integer for each labelled point", f"found {type(labels).__name__}")
    if points.shape[1:] != mixture.means.shape[1:] or not len(points):
        raise _refusal("its labelled points do not fit its means", f"found points {points.shape}")
    if labels.min() < 0 or labels.max() >= classes:
        raise _refusal("its labels point outside of the classes", f"expected 0 to {classes - 1}")
    return points.astype(np.float32), labels.astype(np.int64)


def checkpoint(params: Mapping[str, Any]) -> str:
    """Fingerprint of the checkpoint whose latents the mixture reads; "" where it was not kept."""
    found = params.get("checkpoint", "")
    if not isinstance(found, str):
        raise _refusal("its checkpoint is no fingerprint", f"found {_short(found)}")
    return found


def _refusal(problem: str, found: str | None = None) -> ModelFileError:
    return ModelFileError(
        f"not a mixture that can be used: {problem}", found, "fit it again: latentcli fit-gmm DATA MODEL.pth -o FILE"
    )


def _short(value: object) -> str:
    return repr(value)[:40] if isinstance(value, str) else type(value).__name__


def is_too_large(components: int, dimensions: int) -> bool:
    """Whether a mixture is larger than any that is read."""
    numbers = components * dimensions**2
    return components > MAX_COMPONENTS or dimensions > _MAX_DIMENSIONS or numbers > principal.MOST_NUMBERS


def _numbers(params: Mapping[str, Any], name: str) -> np.ndarray:
    return principal.numbers(params, name, _refusal)


def _check_shapes(weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, covariance_type: str) -> None:
    if means.ndim != 2 or 0 in means.shape or weights.shape != means.shape[:1]:
        raise _refusal("weights and means do not fit together", f"found {weights.shape} and {means.shape}")
    k, d = means.shape
    if is_too_large(k, d):
        raise _refusal("too large", f"{k} components in {d} dimensions")
    expected = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[covariance_type]
    if covariances.shape != expected:
        raise _refusal("the covariances do not fit the means", f"expected {expected}, found {covariances.shape}")


def _check_positive(covariances: np.ndarray, covariance_type: str) -> None:
    if covariance_type in ("diag", "spherical"):
        if not (covariances > 0).all():
            raise _refusal("a variance is not positive")
        return
    transposed = np.swapaxes(covariances, -1, -2)
    if not np.allclose(covariances, transposed, rtol=1e-6, atol=1e-12 * np.abs(covariances).max()):
        raise _refusal("a covariance is not symmetric")
    try:
        np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        raise _refusal("a covariance is not positive definite") from None


def _classes(params: Mapping[str, Any], components: int) -> tuple[np.ndarray, np.ndarray]:
    classes, component_labels = params.get("classes"), params.get("component_labels")
    if not isinstance(classes, np.ndarray) or classes.dtype.kind != "U" or classes.ndim != 1 or not classes.size:
        raise _refusal("classes is not an array of names", f"found {type(classes).__name__}")
    if len(np.unique(classes)) < len(classes):
        raise _refusal("a class is named twice")
    if not isinstance(component_labels, np.ndarray) or component_labels.dtype.kind not in "iu":
        raise _refusal("component_labels are not integers", f"found {type(component_labels).__name__}")
    if component_labels.shape != (components,):
        raise _refusal("component_labels is not one integer for each component")
    if component_labels.min() < 0 or component_labels.max() >= len(classes):
        raise _refusal("component_labels point outside of the classes", f"expected 0 to {len(classes) - 1}")
    return component_labels.astype(np.int64), classes
