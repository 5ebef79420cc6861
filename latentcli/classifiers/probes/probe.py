"""What all probes have in common: they learn labels of images from features, which shows what a latent space encodes.

Source: Alain & Bengio 2017 (linear probes).
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from latentcli.classifiers.base import LatentClassifier
from latentcli.classifiers.checks import InvalidSamples, InvalidSetting, check_finite, encode_labels
from latentcli.core.errors import LatentError, ModelFileError
from latentcli.core.progress import OnEpoch, unwatched
from latentcli.core.settings import Described, check, described

Arrays = dict[str, np.ndarray]
MapShape = tuple[int, int, int]
"""Height, width and channels of features that are maps; a row holds them position by position, channels last."""

MAX_CODES = 2**16
MAX_FEATURES = 2**24
_KEYS = {"kind", "features", "classes", "inputs", "codes", "settings", "arrays", "history"}


@dataclass(kw_only=True, eq=False, repr=False)
class Probe(LatentClassifier, ClassifierMixin, BaseEstimator):
    """A classifier of features (N, F): floats, which it standardises, or integers, which are codes without an order.

    A kind of probe says how it learns, from labelled images alone, and which arrays it is made of.
    Settings that ``setting`` makes have a range, and are kept with the fitted probe, as are features and shape.

    Attributes:
        features: the name of the features; None: the first of the model's family.
        shape: height, width and channels where the features are maps; None: unknown, or they are none.
        random_state: seed of all randomness, where there is any.
        device: where it learns: cpu, auto, cuda, cuda:N, mps.
        codes_: K, when it was fitted to codes 0 … K − 1; 0 when it was fitted to floats.
        history_: one row an epoch; where several networks learn, of one after the other, by their ``network``; empty
            where there are no epochs.
    """

    KIND: ClassVar[str]
    READS_MAPS: ClassVar[bool] = False
    """Whether it reads nothing but maps, and needs their shape."""

    features: str | None = None
    shape: MapShape | None = None
    random_state: int = 0
    device: str = "cpu"

    @classmethod
    def described_settings(cls) -> list[Described]:
        """The settings of this kind of probe; not those of every probe, which ``fit_probe`` has arguments for."""
        return described(cls, [each.name for each in fields(Probe)])

    @classmethod
    def _kept(cls) -> list[str]:
        return [each.name for each in fields(cls) if each.metadata]

    @abstractmethod
    def _learn(self, X: np.ndarray, labels: np.ndarray, on_epoch: OnEpoch) -> None:
        """Learn from X (N, F) and labels (N,) int, indices into ``classes_`` or UNLABELLED."""

    @abstractmethod
    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        """(N, C) float64 of X (N, F)."""

    @abstractmethod
    def _arrays(self) -> Arrays:
        """What was learnt, by name."""

    @abstractmethod
    def _adopt(self, arrays: Arrays) -> None:
        """Take over what ``_arrays`` gave of a probe with these settings, sizes and classes, or raise a ValueError."""

    def fit(
        self, X: np.ndarray, y: np.ndarray, on_epoch: OnEpoch = unwatched, classes: Sequence[str] | None = None
    ) -> Self:
        """Learn the classes of features.

        Args:
            X: (N, F) floats, finite; or integers from 0, which are codes. May be memory-mapped; it is read a batch
                at a time and never copied whole to another precision.
            y: (N,) labels, as ``encode_labels`` takes them. Rows without a label count for the mean and the deviation
                of the features only.
            on_epoch: called after each epoch with its row of the history.
            classes: the order that ``classes_`` is to have, as for ``encode_labels``.

        Raises:
            UsageError: a setting is out of range.
            DataError: features are not finite, or the labels cannot be learned from, as for ``encode_labels``.
            FitError: the loss is not finite.
        """
        check(self, InvalidSetting)
        if y is None:
            raise InvalidSamples("a probe requires y to be passed, but the target y is None")
        X = self._checked(X, reset=True)
        self._map_shape()
        self.codes_ = 0 if X.dtype.kind == "f" else int(X.max()) + 1
        if self.codes_ and (X.min() < 0 or self.codes_ > MAX_CODES):
            found = f"found integers from {X.min()} to {X.max()}"
            raise InvalidSamples(f"codes lie between 0 and {MAX_CODES - 1}", found, "give floats")
        self.classes_, labels = encode_labels(y, len(X), classes)
        self.fitted_on_ = ""
        self.history_: list[dict[str, float]] = []
        self._learn(X, labels, on_epoch)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, C) float64: p(class | features) of X (N, F), columns as in ``classes_``; rows sum to 1.

        Raises:
            DataError: X is not finite, or floats where the probe was fitted to codes.
        """
        check_is_fitted(self, "classes_")
        X = self._checked(X, reset=False)
        if self.codes_ and (X.dtype.kind == "f" or (len(X) and X.min() < 0)):
            raise InvalidSamples("this probe reads codes", f"expected integers from 0, found {X.dtype}")
        return self._probabilities(X)

    def best_rows(self) -> list[dict[str, float]]:
        """The rows of the epochs whose weights were kept, one a network; none where nothing was trained."""
        histories = groupby(self.history_, key=lambda row: row.get("network"))
        return [rows[best_epoch(rows) - 1] for rows in (list(rows) for _, rows in histories)]

    def _checked(self, X: np.ndarray, reset: bool) -> np.ndarray:
        X = validate_data(self, X, reset=reset, ensure_all_finite=False)
        if X.dtype.kind not in "iu" and X.dtype not in (np.float32, np.float64):
            X = X.astype(np.float32)
        if X.dtype.kind == "f":
            check_finite(X)
        return X

    def _map_shape(self) -> MapShape | None:
        """``shape``; a ``UsageError`` if it cannot be that of the features, or there is none though one is needed."""
        if self.shape is None:
            if self.READS_MAPS:
                problem = f"{self.KIND} reads maps, and these features are not maps, or of unknown shape"
                remedy = "take `features` that are maps, computed from the images; or another `probe`, such as mlp"
                raise InvalidSetting(problem, None, remedy)
            return None
        whole = len(self.shape) == 3 and all(type(size) is int and size > 0 for size in self.shape)
        if not whole or math.prod(self.shape) != self.n_features_in_:
            found = f"found {self.shape!r:.80} and {self.n_features_in_} features"
            raise InvalidSetting("shape is not (height, width, channels) of the features", found)
        height, width, channels = self.shape
        return height, width, channels

    def summary(self) -> dict[str, Any]:
        """The results of the fit: metrics of the best epoch where there are epochs, means over several networks."""
        result: dict[str, Any] = {"classes": [str(name) for name in self.classes_], "dimensions": self.n_features_in_}
        if not (best := self.best_rows()):
            return result
        means = {name: float(np.mean([row[name] for row in best])) for name in best[0]}
        which = {"best_epoch": int(means["epoch"])} if len(best) == 1 else {"networks": len(best)}
        validated = {name: value for name, value in means.items() if name.startswith("val_")}
        trained = {"train_loss": means["loss"], "train_accuracy": means["accuracy"], **validated}
        return result | {"epochs": len(self.history_), **which, **trained}

    def to_params(self) -> dict[str, Any]:
        """The fitted probe as plain values and arrays, its classes as strings; ``checkpoint`` is ``fitted_on_``."""
        check_is_fitted(self, "classes_")
        return ({"checkpoint": self.fitted_on_} if self.fitted_on_ else {}) | {
            "kind": self.KIND, "features": self.features, "classes": [str(name) for name in self.classes_],
            "inputs": int(self.n_features_in_), "codes": self.codes_,
            "settings": {"shape": self.shape} | {name: getattr(self, name) for name in self._kept()},
            "arrays": self._arrays(), "history": self.history_,
        }  # fmt: skip

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The probe that ``to_params`` described; its classes are strings.

        Raises:
            ModelFileError: something is missing, of the wrong type or shape, or not finite.
        """
        if not set(params) >= _KEYS or params["kind"] != cls.KIND:
            raise _refusal(f"expected the keys {', '.join(sorted(_KEYS))} of a probe {cls.KIND!r}")
        features, classes, inputs, codes = (params[name] for name in ("features", "classes", "inputs", "codes"))
        settings, arrays, history = params["settings"], params["arrays"], params["history"]
        checkpoint, names = params.get("checkpoint", ""), {"shape", *cls._kept()}
        sizes = type(inputs) is int and type(codes) is int and 0 < inputs <= MAX_FEATURES and 0 <= codes <= MAX_CODES
        named = type(classes) is list and all(type(name) is str and name for name in classes)
        described = type(settings) is dict and set(settings) == names
        for holds, problem in (
            (features is None or type(features) is str, "its features have no name"),
            (named and 2 <= len(set(classes)) == len(classes), "its classes are not two or more different names"),
            (sizes, "its sizes are not numbers of features and codes"),
            (described, f"expected the settings {', '.join(sorted(names))}"),
            (described and type(settings["shape"]) in (tuple, list, type(None)), "its shape is not one of maps"),
            (type(history) is list and all(map(_is_row, history)), "its history is not one of named numbers"),
            (type(arrays) is dict and all(map(_is_finite, arrays.values())), "its arrays are not finite numbers"),
            (type(checkpoint) is str, "its checkpoint is no fingerprint"),
        ):
            if not holds:
                raise _refusal(problem)
        probe = cls(features=features, **settings)
        probe.classes_, probe.history_ = np.array(classes, dtype=str), history
        probe.n_features_in_, probe.codes_, probe.fitted_on_ = inputs, codes, checkpoint
        try:
            check(probe, InvalidSetting)
            probe._map_shape()
            probe._adopt(arrays)
        except (ValueError, LatentError) as error:
            raise _refusal(getattr(error, "problem", None) or str(error)) from error
        return probe


def best_epoch(history: list[dict[str, float]]) -> int:
    """The epoch, from 1, of highest accuracy on the rows held out, then least loss; the last where there are none."""
    scored = [(row["val_accuracy"], -row["val_loss"], row["epoch"]) for row in history if "val_loss" in row]
    return int(max(scored)[2]) if scored else len(history)


def standardisation(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale (F,), float32, with which the features (N, F) get mean 0 and deviation 1.

    A feature that hardly varies is not blown up to the others' size: no scale is smaller than a tenth of the root
    mean square of all deviations. Such are the dimensions that a VAE does not use, and pixels at the margin.
    """
    zero = np.zeros(X.shape[1])
    mean = sum((chunk.sum(axis=0) for chunk in _chunks(X)), zero) / len(X)
    variances = sum((np.square(chunk - mean).sum(axis=0) for chunk in _chunks(X)), zero) / len(X)
    scale = np.sqrt(np.maximum(variances, 0.01 * variances.mean()))
    narrow = scale.astype(np.float32)
    return mean.astype(np.float32), np.where((narrow > 0) & np.isfinite(narrow), narrow, np.float32(1.0))


def _chunks(X: np.ndarray) -> Iterator[np.ndarray]:
    return (np.asarray(X[first : first + 1024], dtype=np.float64) for first in range(0, len(X), 1024))


def _refusal(problem: str) -> ModelFileError:
    return ModelFileError(
        "not a probe that can be used", problem, "fit it again: latentcli fit-probe DATA MODEL.pth -o FILE"
    )


def _is_row(row: Any) -> bool:
    return type(row) is dict and all(type(name) is str and type(value) is float for name, value in row.items())


def _is_finite(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in "fiu" and bool(np.isfinite(array).all())
