"""A fitted graph as a dict of plain arrays, numbers and strings, and back, nothing taken on trust."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from latentcli.classifiers.mixture import principal
from latentcli.core.errors import ModelFileError

KIND = "graph"
QUANTILES = 1001
"""How many quantiles of the points' distances are kept: every thousandth."""

_NUMBERS = {"n_neighbors": int, "alpha": float, "temperature": float, "components": int, "unreached": float}
_METHODS = ("poisson", "spreading")


def to_params(graph: Any) -> dict[str, Any]:
    """``points``, ``probabilities``, ``labelled`` and its ``labels``, ``classes`` and more of a ``GraphClassifier``.

    Classes become strings; everything else keeps its value to the bit.
    """
    accuracies = {f"left_out_accuracy_{name}": value for name, value in graph.left_out_accuracy_.items()}
    return accuracies | {
        "kind": KIND, "features": graph.features or "", "classes": np.array([str(name) for name in graph.classes_]),
        "points": graph.points_, "scale": graph.scale_,
        **({} if graph.projection_ is None else graph.projection_.to_params()),
        "probabilities": graph.probabilities_, "labelled": graph.labelled_.astype(np.int64),
        "labels": graph.labels_.astype(np.int64), "distance_quantiles": graph.distance_quantiles_,
        "method": graph.method_, "n_neighbors": int(graph.n_neighbors), "alpha": float(graph.alpha),
        "temperature": graph.temperature_, "components": graph.components_, "unreached": graph.unreached_,
    }  # fmt: skip


def from_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of the fitted classifier.

    Raises:
        ModelFileError: something is missing, of the wrong type or shape, not finite, or no graph.
    """
    kind, checkpoint, features = (params.get(name, "") for name in ("kind", "checkpoint", "features"))
    _check(all(type(text) is str for text in (kind, checkpoint, features)), "its names are not texts")
    _check(kind == KIND, f"expected kind {KIND!r}, found {kind[:40]!r}")
    classes = _array(params, "classes", "U", 1)
    _check(len(np.unique(classes)) == len(classes) >= 2, "its classes are not two or more different names")
    points = _array(params, "points", "f", 2)
    scale = _array(params, "scale", "f", 1)
    probabilities = _array(params, "probabilities", "f", 2)
    labelled, labels = _array(params, "labelled", "i", 1), _array(params, "labels", "i", 1)
    quantiles = _array(params, "distance_quantiles", "f", 1)
    count = len(points)
    _check(count >= 2 and points.shape[1] > 0, "it has no points")
    _check(scale.shape == points.shape[1:] and bool((scale > 0).all()), "expected a positive scale of each dimension")
    plane = principal.from_params(params, points.shape[1], lambda problem, _: _refusal(problem))
    largest = np.abs(points).max(axis=0).astype(np.float64) / scale
    _check(bool((largest < 1e18).all()), "its points are too far apart for their scale")  # squares of float32 overflow
    _check(probabilities.shape == (count, len(classes)), "expected a probability of each class for each point")
    whole = (probabilities >= 0).all() and np.abs(probabilities.sum(axis=1, dtype=np.float64) - 1).max() < 1e-4
    _check(bool(whole), "the probabilities of a point do not sum to 1")
    _check(0 < len(labelled) == len(labels), "expected a label for each labelled point")
    _check(labelled.min() >= 0 and labelled.max() < count, "its labels are of points that are not there")
    _check(labels.min() >= 0 and labels.max() < len(classes), "its labels are of classes that are not there")
    _check(len(quantiles) == QUANTILES and bool((np.diff(quantiles) >= 0).all()), "its distances are not ascending")
    numbers: dict[str, Any] = {name: params.get(name) for name in _NUMBERS}
    for name, of in _NUMBERS.items():
        _check(type(numbers[name]) is of and math.isfinite(numbers[name]), f"{name} is no number")
    _check(1 <= numbers["n_neighbors"] <= 1_000, "n_neighbors is out of range")
    _check(params.get("method") in _METHODS, f"expected a method of: {', '.join(_METHODS)}")
    accuracies = {name: params[key] for name in _METHODS if (key := f"left_out_accuracy_{name}") in params}
    _check(all(type(value) is float and 0 <= value <= 1 for value in accuracies.values()), "an accuracy is no fraction")
    return {
        "n_neighbors": numbers["n_neighbors"], "method": params["method"], "alpha": numbers["alpha"],
        "features": features or None, "classes_": classes, "points_": points, "scale_": scale, "projection_": plane,
        "probabilities_": probabilities,
        "labelled_": labelled, "labels_": labels, "distance_quantiles_": quantiles, "method_": params["method"],
        "temperature_": numbers["temperature"], "left_out_accuracy_": accuracies, "fitted_on_": checkpoint,
        "components_": numbers["components"], "unreached_": numbers["unreached"],
        "n_features_in_": points.shape[1] if plane is None else len(plane.offset),
    }  # fmt: skip


def _check(holds: bool, problem: str) -> None:
    if not holds:
        raise _refusal(problem)


def _refusal(problem: str) -> ModelFileError:
    again = "fit it again: latentcli fit-graph DATA MODEL.pth -o FILE"
    return ModelFileError("not a graph that can be used", problem, again)


def _array(params: Mapping[str, Any], name: str, kind: str, dimensions: int) -> np.ndarray:
    value = params.get(name)
    if not isinstance(value, np.ndarray) or value.dtype.kind != kind or value.ndim != dimensions:
        raise _refusal(f"{name} is missing, or of another type or shape")
    _check(kind != "f" or bool(np.isfinite(value).all()), f"{name} is not finite")
    return value
