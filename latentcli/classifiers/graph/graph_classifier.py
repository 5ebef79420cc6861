"""Labels that spread over the graph of nearest neighbours, by scikit-learn's contract."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from latentcli.classifiers.base import DensityClassifier, first_of_each
from latentcli.classifiers.checks import InvalidSamples, InvalidSetting, check_finite, drawn_seed, encode_labels
from latentcli.classifiers.chunks import rows_at_once
from latentcli.classifiers.graph import calibration
from latentcli.classifiers.graph import params as graph_params
from latentcli.classifiers.graph.laplacian import Graph
from latentcli.classifiers.graph.neighbours import graph_of, nearest, nearness, neighbours
from latentcli.classifiers.graph.spread import LabelSpreading, PoissonLearning, Spread, leave_one_out
from latentcli.classifiers.mixture import principal
from latentcli.classifiers.mixture.expectation_maximisation import Samples
from latentcli.classifiers.probes.probe import standardisation
from latentcli.core.device import computing
from latentcli.core.errors import FitError, UsageError
from latentcli.core.labels import UNLABELLED
from latentcli.core.progress import Progress, silent
from latentcli.core.settings import check, setting

AUTO, METHODS = "auto", ("poisson", "spreading")
"""Which way labels spread; the first is taken where leaving labels out finds both as good, or cannot be done."""

MOST_LEFT_OUT, FEWEST_LEFT_OUT = 200, 20
"""Labels that are left out, one at a time, to judge by: fewer of them the larger the graph, and never more than 2²²
numbers in all of their right-hand sides, unless these are the fewest."""


WIDE, PLANE = 256, 32
"""Dimensions beyond which neighbours are searched in the principal plane of so many. Of the 3,136 numbers of a VQ-VAE's
map the plane keeps what images differ in most; a new point is read in a thirtieth of the time."""

UNREACHED = 0.05
"""Fraction of the points in parts without a label from which on a user is told."""

PESSIMISTIC = 5
"""Labels of the smallest class below which a user is told that the accuracy on labels left out is too low: on
scikit-learn's digits (12 draws) it is 0.76 with two labels a class, 0.90 with four and 0.94 with eight; of all images
0.91, 0.92 and 0.95 are right."""


MOST_PROBABILITIES = 2**27
"""Points times classes at most: more would take many gigabytes, several arrays of float64, and hours."""


class NothingToTellApart(FitError, ValueError):
    """Points that make no graph; a ``ValueError`` too, as scikit-learn's contract asks."""


@dataclass(eq=False, repr=False)
class GraphClassifier(DensityClassifier, ClassifierMixin, BaseEstimator):
    """Classes that spread from few labelled points to all others, along the graph of their nearest neighbours.

    It follows the shape of the data, however bent: a class is what hangs together. Points that are the same are one
    point of the graph, which may have several labels. Scores of the classes (``spread``) become probabilities by a
    temperature which labels that were left out find likeliest (``calibration``). A new point has the mean of its
    nearest points' probabilities, weighted as in the graph; so has a point of the graph, which is nearest to itself.

    Attributes:
        n_neighbors: how many nearest neighbours a point has in the graph, and how many a new point asks.
        method: "poisson" or "spreading"; "auto" takes the one that is right about more of the labels that are left out,
            poisson where they are equal or where a class has only one label.
        alpha: of label spreading: the probability that the walk goes on.
        class_sizes: how many points each class has, by its name, in any unit: the mean of the points' probabilities is
            then these shares, and the temperature is chosen with them. None: not known.
        random_state: seed, or numpy's generator, of the labels that are left out, where there are many.
        features: the name of the features it reads; None: the first of the model's family.
        device: where neighbours are searched: "cpu", or one with CUDA, which compares all pairs however many.
        classes_: (C,) the labels that occur, in the order that ``fit`` says.
        projection_: where D is more than ``WIDE`` the principal plane of ``PLANE`` dimensions that the graph lives on
            (``principal.Projection``); else None.
        points_: (N, d) the different points, in the order of their numbers; d is D, or ``PLANE`` where there is one.
        scale_: (d,) float32 their deviations, in whose units distances are measured, as probes do: measured on two sets
            of latents, it is right about 0.2 to 1.6 more images of 100. In a plane all have the unit of the points: the
            first components tell most.
        probabilities_: (N, C) float32 of each of them.
        labelled_: (L,) rows of ``points_``, and ``labels_``: (L,) indices into ``classes_``: every label there was.
        distance_quantiles_: (1001,) ascending: of the points' distances to their ``n_neighbors``-th neighbours, at
            every thousandth.
        method_, temperature_: what was chosen.
        left_out_accuracy_: by method, on the labels that were left out; empty where none was. Each is judged by a graph
            with one label less of its class: with fewer than ``PESSIMISTIC`` labels a class it is too low.
        components_: into how many parts the graph fell before bridges joined them.
        unreached_: the fraction of the points in parts without a label.

    Source: Zhou et al. 2004; Calder, Cook, Thorpe & Slepčev 2020.
    """

    LIKELIHOOD: ClassVar[str] = "graph"

    n_neighbors: int = setting(10, between=(1, 1_000))
    _: KW_ONLY
    method: str = setting(AUTO, choices=(AUTO, *METHODS))
    alpha: float = setting(0.9, between=(0.0, 0.9999))
    class_sizes: Mapping[Any, float] | None = None
    random_state: Any = 0
    features: str | None = None
    device: str = "cpu"

    def fit(
        self, X: np.ndarray, y: np.ndarray, classes: Sequence[str] | None = None, progress: Progress = silent
    ) -> Self:
        """Build the graph and spread the labels.

        Args:
            X: (N, D) floats, finite.
            y: (N,) labels, as ``encode_labels`` takes them; most may be missing.
            classes: the order that ``classes_`` is to have, as for ``encode_labels``.
            progress: told about the search for neighbours.

        Raises:
            UsageError: a setting is out of range, or what searches among so many points is not installed.
            DataError: points are codes or not finite, or the labels cannot be learned from, as for ``encode_labels``;
                or points times classes are more than ``MOST_PROBABILITIES``.
            FitError: all points are the same.
        """
        check(self, InvalidSetting)
        if y is None:
            raise InvalidSamples("a graph requires y to be passed, but the target y is None")
        X = self._checked(X, reset=True)
        self.classes_, labels = encode_labels(y, len(X), classes)
        shares = self._shares()
        self.points_, self._same = np.unique(X + 0.0, axis=0, return_inverse=True)  # no -0.0, the same as 0.0
        if len(self.points_) < 2:
            problem = "there is nothing to tell apart: all points are the same"
            remedy = "give images that differ; where these do, train the model longer, or with a smaller beta"
            raise NothingToTellApart(problem, f"found {len(X)} of them", remedy)
        self._check_size()
        self.projection_ = self._plane()
        if self.projection_ is None:
            self.scale_ = standardisation(self.points_)[1]
        else:
            self.points_ = self.projection_.transform(self.points_).astype(self.points_.dtype)
            self.scale_ = np.ones(self.points_.shape[1], np.float32)
        scaled = self.points_ / self.scale_
        device = computing(self.device)
        rows, distances = neighbours(scaled, min(self.n_neighbors, len(self.points_) - 1), progress, device)
        graph, self._components = graph_of(scaled, rows, distances)
        self._graph = replace(graph, device=device)
        self.components_ = int(self._components.max()) + 1
        self.distance_quantiles_ = np.quantile(distances[:, -1], np.linspace(0, 1, graph_params.QUANTILES))
        self.fitted_on_ = ""
        self._label(labels, shares)
        return self

    def relabelled(self, y: np.ndarray, classes: Sequence[str] | None = None) -> Self:
        """The same graph with other labels: its neighbours, which take most of the time of ``fit``, are kept.

        Args:
            y, classes: as for ``fit``, of the points that it was fitted to.

        Raises:
            DataError: as of ``fit``.
            UsageError: as of ``fit``; or it was read from a file, which does not hold the graph itself.
        """
        if not hasattr(self, "_graph"):
            problem, remedy = "a graph that was read from a file takes no other labels", "fit it again to the points"
            raise InvalidSetting(problem, None, remedy)
        other = copy.copy(self)
        other.classes_, labels = encode_labels(y, len(self._same.ravel()), classes)
        other._check_size()
        other._label(labels, other._shares())
        return other

    def _check_size(self) -> None:
        points, classes = len(self.points_), len(self.classes_)
        if points * classes > MOST_PROBABILITIES:
            problem = f"a graph of {points:,} images and {classes:,} classes has {points * classes:,} probabilities"
            remedy = "give fewer of either; or fit a probe, which takes any number: --probe knn"
            raise InvalidSamples(problem, f"expected {MOST_PROBABILITIES:,} at most", remedy)

    def _label(self, labels: np.ndarray, shares: np.ndarray | None) -> None:
        """Spread the labels (n,) of the points that were given, codes of ``classes_``, over the graph."""
        known = labels != UNLABELLED
        counts = np.zeros((len(self.points_), len(self.classes_)))
        np.add.at(counts, (self._same.ravel()[known], labels[known]), 1)
        self.labelled_, self.labels_ = np.repeat(np.argwhere(counts > 0), counts[counts > 0].astype(int), axis=0).T
        components = self._components
        self.unreached_ = float((~np.isin(components, components[self.labelled_])).mean())
        self._spread(self._graph, counts, shares)

    def _spread(self, graph: Graph, counts: np.ndarray, shares: np.ndarray | None) -> None:
        """Choose a method and a temperature, and give every point its probabilities."""
        ways: dict[str, Spread] = {"poisson": PoissonLearning(), "spreading": LabelSpreading(self.alpha)}
        tried = [self.method] if self.method != AUTO else list(METHODS)
        labelled = counts.any(axis=1)
        chosen = self._left_out() if counts.sum(axis=0).min() > 1 else np.empty(0, int)
        self.left_out_accuracy_: dict[str, float] = {}
        found: dict[str, np.ndarray] = {}
        temperatures: dict[str, float] = {}
        for name in tried if len(chosen) else tried[:1]:
            way, truth = ways[name], self.labels_[chosen]
            sources = np.zeros_like(counts)
            sources[labelled] = way.sources(counts[labelled])
            scores = way.kernel(graph, sources)
            scale = way.scale(scores)
            logits = way.logits(scores, scale)
            if len(chosen):
                left_out = way.logits(leave_one_out(way, graph, counts, self.labelled_[chosen], truth), scale)
                how = calibration.calibrated(logits, left_out, truth, shares)
                answers = calibration.probabilities(left_out, how).argmax(axis=1)
                self.left_out_accuracy_[name] = float((answers == truth).mean())
            else:
                how = calibration.Calibration(way.temperature, calibration.offsets(logits, way.temperature, shares))
            temperatures[name], found[name] = how.temperature, calibration.probabilities(logits, how)
        self.method_ = max(found, key=lambda name: self.left_out_accuracy_.get(name, 0.0))
        self.temperature_, self.probabilities_ = temperatures[self.method_], found[self.method_].astype(np.float32)

    def _left_out(self) -> np.ndarray:
        """Indices of the labels to leave out, ascending."""
        most = min(MOST_LEFT_OUT, max(FEWEST_LEFT_OUT, 2**22 // len(self.points_)), len(self.labels_))
        random = np.random.default_rng(drawn_seed(self.random_state))
        return np.sort(random.choice(len(self.labels_), most, replace=False))

    def _shares(self) -> np.ndarray | None:
        """(C,) by ``class_sizes``, summing to 1."""
        if self.class_sizes is None:
            return None
        sizes = {str(name): size for name, size in self.class_sizes.items()}
        names = [str(name) for name in self.classes_]
        positive = all(isinstance(size, int | float | np.number) and 0 < size < np.inf for size in sizes.values())
        if set(sizes) != set(names) or not positive:
            found = ", ".join(f"{name}={size!r}" for name, size in sizes.items())[:200]
            expected = f"expected a positive number for each of: {', '.join(names)}; found {found}"
            raise InvalidSetting("`class_sizes` are not the sizes of the classes", expected)
        shares = np.array([float(sizes[name]) for name in names])
        return np.asarray(shares / shares.sum())

    def _plane(self) -> principal.Projection | None:
        """The plane that the graph is to live on; None for the whole space."""
        count, width = self.points_.shape
        if width <= WIDE:
            return None
        samples = Samples(self.points_, np.full(count, UNLABELLED), rows_at_once(width))
        return principal.fit(samples, PLANE, np.random.default_rng(drawn_seed(self.random_state)))

    def in_units(self, X: np.ndarray) -> np.ndarray:
        """(N, d): points X (N, D) as distances between them are measured: in the plane, and in units of ``scale_``."""
        if self.projection_ is not None:
            X = self.projection_.transform(X).astype(self.points_.dtype)
        return np.asarray(X / self.scale_)

    def _checked(self, X: np.ndarray, reset: bool) -> np.ndarray:
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=reset, ensure_all_finite=False)
        check_finite(X)
        return X

    def _nearest(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        check_is_fitted(self, "points_")
        queries, points = self.in_units(self._checked(X, reset=False)), self.points_ / self.scale_
        return nearest(queries, points, min(self.n_neighbors, len(points)), device=computing(self.device))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, C) float64: p(class | z) of each of the points X (N, D), columns as in ``classes_``; rows sum to 1."""
        return self.voted(*self.voters(X))

    def voters(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows (N, k) of the points that vote on the class of each of X (N, D), and their weights: whatever labels."""
        rows, distances = self._nearest(X)
        return rows, nearness(distances)

    def voted(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(N, C) float64: ``predict_proba`` of points with these ``voters``."""
        votes = np.einsum("nk,nkc->nc", weights, self.probabilities_[rows].astype(np.float64))
        return np.asarray(votes / votes.sum(axis=1, keepdims=True))

    def typicality(self, X: np.ndarray) -> np.ndarray:
        """(N,) in [0, 1]: the fraction of the fitted points that lie farther from their neighbours than X (N, D)."""
        _, distances = self._nearest(X)
        return 1 - np.interp(distances[:, -1], self.distance_quantiles_, np.linspace(0, 1, graph_params.QUANTILES))

    def draw_of_classes(self, classes: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """(n, D): a point of the graph of each of these classes (n,), indices into ``classes_``.

        Raises:
            UsageError: a class is no point's likeliest.
        """
        check_is_fitted(self, "points_")
        rows, likeliest = np.empty(len(classes), int), self.probabilities_.argmax(axis=1)
        for label in np.unique(classes):
            candidates = np.flatnonzero(likeliest == label)
            if not len(candidates):
                remedy = "leave that class out of `classes`, or label more images of it"
                raise UsageError(f"no image of the graph is of class {str(self.classes_[label])!r}", None, remedy)
            rows[classes == label] = random.choice(candidates, size=int((classes == label).sum()))
        return self._whole(self.points_[rows])

    @property
    def learned_from(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each class the first labelled points, in their order here, and their classes."""
        rows = first_of_each(self.labels_)
        return self._whole(self.points_[self.labelled_[rows]]), self.labels_[rows]

    def _whole(self, points: np.ndarray) -> np.ndarray:
        """(n, D): where these points of the graph lie in the whole space."""
        return points if self.projection_ is None else self.projection_.inverse_transform(points).astype(points.dtype)

    def summary(self) -> dict[str, Any]:
        """The results of the fit, as plain values."""
        best = {"left_out_accuracy": self.left_out_accuracy_[self.method_]} if self.left_out_accuracy_ else {}
        return {
            "classes": [str(name) for name in self.classes_], "points": len(self.points_),
            "labels": len(self.labels_), "method": self.method_, **best,
            **{f"left_out_accuracy_{name}": value for name, value in self.left_out_accuracy_.items()},
            "temperature": self.temperature_, "components": self.components_, "unreached": self.unreached_,
        }  # fmt: skip

    def to_params(self) -> dict[str, Any]:
        """Plain arrays, numbers and strings: what ``from_params`` reads. ``checkpoint`` is ``fitted_on_``."""
        check_is_fitted(self, "points_")
        return graph_params.to_params(self) | ({"checkpoint": self.fitted_on_} if self.fitted_on_ else {})

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The classifier that ``to_params`` described; its classes are strings.

        Raises:
            ModelFileError: something is missing, of the wrong type or shape, or not finite.
        """
        classifier = cls()
        for name, value in graph_params.from_params(params).items():
            setattr(classifier, name, value)
        return classifier
