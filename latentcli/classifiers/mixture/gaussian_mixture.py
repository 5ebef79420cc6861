"""The Gaussian mixture, by scikit-learn's contract."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Self

import numpy as np
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from latentcli.classifiers.base import DensityClassifier, first_of_each
from latentcli.classifiers.checks import (
    InvalidSamples,
    InvalidSetting,
    NotConverged,
    check_finite,
    drawn_seed,
    encode_labels,
)
from latentcli.classifiers.chunks import rows_at_once
from latentcli.classifiers.mixture import params as mixture_params
from latentcli.classifiers.mixture import principal
from latentcli.classifiers.mixture.expectation_maximisation import Part, Samples
from latentcli.classifiers.mixture.gaussians import ClassGaussians, Mixture, log_joint, log_sum
from latentcli.classifiers.mixture.semi_supervised import Settings, check_samples, fit_best
from latentcli.core.device import computing
from latentcli.core.errors import ModelFileError
from latentcli.core.labels import UNLABELLED
from latentcli.core.settings import check
from latentcli.numerics.threads import one_thread_each, side_by_side


class GaussianMixtureClassifier(DensityClassifier, Settings, ClassifierMixin, TransformerMixin, BaseEstimator):
    """A mixture of Gaussians fitted by EM to labelled and unlabelled points, and read as a classifier.

    p(class | z) is the sum of the responsibilities of the class's components. With as many components as classes,
    component and class are one from the start: each point begins in the class of the labelled point nearest to it
    (``starts``), and a labelled point counts for its class's component alone. With more, EM first finds the shape of
    the data without the labels, from the means of these classes and further points; then the labels give the components
    their classes (``component_classes``), and EM goes on with each labelled point held to its own class's components.

    In a space of more than ``max_dimensions`` the mixture lives on a principal plane of the points with that many
    dimensions. Points are always given in the whole space; densities are then those of their projections.

    The arguments are those of ``Settings``.

    Attributes:
        weights_: (K,) sum to 1.
        means_: (K, d), in the plane; d is D where there is none.
        covariances_: (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical.
        projection_: the principal plane (``principal.Projection``), or None.
        class_gaussians_: a diagonal Gaussian for each class, of its labelled points, in the space of ``means_``;
            None without labels.
        log_density_quantiles_: (1001,) ascending: log p(z) of the fitted points, at every thousandth.
        component_labels_: (K,) indices into ``classes_``.
        classes_: (C,) the labels that occur, in the order that ``fit`` says; the components' numbers without labels.
        converged_: whether EM converged within ``max_iter``.
        n_iter_: iterations, those before the components had classes included.
        log_likelihoods_: nats per sample before each iteration of the last run of EM: the mean of log p(z), and of
            log p(z, class) for the labelled; ``lower_bound_`` is the last of them.

    Source: Dempster, Laird & Rubin 1977; Nigam et al. 2000.
    """

    LIKELIHOOD = "mixture"
    features: str | None = None  # those that come first in the model's family

    def fit(
        self, X: np.ndarray, y: np.ndarray | None = None, posterior_logvar: np.ndarray | None = None,
        classes: Sequence[str] | None = None, part: Part | None = None,
    ) -> Self:  # fmt: skip
        """Fit the mixture to points, some or all of which may carry a label.

        Args:
            X: (N, D) floats, finite; float32 and float64 are read in chunks, from disk where memory-mapped.
            y: (N,) labels, as ``encode_labels`` takes them. None: no labels; the classes are the components' numbers.
            posterior_logvar: (N, D) logarithms of each point's variances, where X are the means of distributions:
                ``class_gaussians_`` include these variances. None: the points have none.
            classes: the order that ``classes_`` is to have, as for ``encode_labels``.
            part: where processes share the points out, which of them X, and ``posterior_logvar``, are; y are all
                labels. Each of the processes calls this, and each has the whole mixture in the end. None: all.

        Raises:
            UsageError: a setting is out of range.
            DataError: points are not finite, or the labels cannot be learned from, as for ``encode_labels``; or the
                mixture would be larger than any that is read.
            FitError: there are fewer samples than components, all points are the same, or a component collapses.
        """
        settings, device = self._settings(), computing(self.device)
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_all_finite=False)
        count = len(X)
        if part is not None:
            count = int(part.add_up(np.array(len(X))))
        names, labels = np.arange(0), np.full(count, UNLABELLED)
        if y is not None:
            names, labels = encode_labels(y, count, classes)
        wide = X.shape[1] > settings.max_dimensions
        chunk_size = settings.chunk_size or (1024 if device == "cpu" else 65536)
        samples = Samples(X, labels, rows_at_once(X.shape[1]) if wide else chunk_size, device, part)
        wanted, dimensions = settings.n_components or max(len(names), 1), min(X.shape[1], settings.max_dimensions)
        if mixture_params.is_too_large(wanted, dimensions):
            found = f"found {wanted:,} components in {dimensions:,} dimensions"
            remedy = "give fewer `components` or dimensions; or fit a probe, which takes any number: --probe knn"
            raise InvalidSamples("the mixture is too large", found, remedy)
        check_samples(samples, wanted, len(names))
        projection = None
        if wide:
            projection = principal.fit(samples, settings.max_dimensions, np.random.default_rng(settings.random_state))
            samples = Samples(projection.transform(X), labels, chunk_size, device, part)
        with one_thread_each():
            fit = fit_best(samples, len(names), settings, names.tolist())
        components = fit.component_classes
        self._adopt(fit.mixture, projection, components, names if len(names) else np.arange(len(components)))
        self.fitted_on_, self.class_gaussians_, self._learned_from = "", None, None
        if len(names):
            known = np.flatnonzero(samples.own_labels != UNLABELLED)
            widths = None if posterior_logvar is None else np.exp(np.asarray(posterior_logvar)[known])
            if widths is not None and projection is not None:
                widths = widths @ projection.directions.T**2
            self.class_gaussians_ = ClassGaussians.of(
                samples.points[known], samples.own_labels[known], len(names), widths, samples.add_up
            )
            known = np.flatnonzero(labels != UNLABELLED)
            kept = known[first_of_each(labels[known])]
            self._learned_from = samples.take(kept).astype(np.float32), labels[kept]
        densities = samples.gathered(self._of_reduced(samples.points, 0, log_sum))
        self.log_density_quantiles_ = np.quantile(densities, np.linspace(0, 1, mixture_params.QUANTILES))
        self.log_likelihoods_ = np.array(fit.log_likelihoods)
        self.lower_bound_ = fit.log_likelihoods[-1]
        self.converged_, self.n_iter_ = fit.converged, fit.iterations_before + len(fit.log_likelihoods)
        if not fit.converged:
            message = (
                f"the mixture did not converge in {self.max_iter} iterations of EM: its classes may be right yet; "
            )
            warnings.warn(message + "take `covariance` tied, which converges sooner", NotConverged, stacklevel=2)
        return self

    def _settings(self) -> Settings:
        """The settings, checked, as plain numbers, with a seed for ``random_state``."""
        given = {each.name: getattr(self, each.name) for each in fields(Settings)}
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
        settings = Settings(**plain | {"random_state": drawn_seed(self.random_state)})
        check(settings, InvalidSetting)
        return settings

    def _adopt(
        self, mixture: Mixture, plane: principal.Projection | None, component_labels: np.ndarray, classes: np.ndarray
    ) -> None:
        self.weights_, self.means_, self.covariances_ = mixture.weights, mixture.means, mixture.covariances
        self.component_labels_, self.classes_ = component_labels, classes
        self.projection_ = plane
        self.n_features_in_ = self.means_.shape[1] if plane is None else len(plane.offset)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before it is used: that one cluster holds nearly all images."""
        return self._mixture().notes

    def _mixture(self) -> Mixture:
        return Mixture(self.weights_, self.means_, self.covariances_, self.covariance_type)

    def transform(self, X: np.ndarray) -> np.ndarray:
        """(N, d) floats: the points X (N, D) in the space of ``means_``; themselves where that is the whole space."""
        check_is_fitted(self, "means_")
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False, ensure_all_finite=False)
        check_finite(X)
        return X if self.projection_ is None else self.projection_.transform(X)

    def inverse_transform(self, points: np.ndarray) -> np.ndarray:
        """(N, D) floats: points (N, d) of the space of ``means_`` in the whole space."""
        check_is_fitted(self, "means_")
        return points if self.projection_ is None else self.projection_.inverse_transform(points)

    def coordinates(self, X: np.ndarray) -> np.ndarray:
        """As ``transform``."""
        return self.transform(X)

    def points_at(self, coordinates: np.ndarray) -> np.ndarray:
        """As ``inverse_transform``."""
        return self.inverse_transform(coordinates)

    def _of_reduced(self, points: np.ndarray, width: int, reduce: Any) -> np.ndarray:
        """``reduce`` of each chunk's log joint density (K, n), as rows of an array (N,) or (N, width)."""
        mixture, origin = self._mixture(), self.weights_ @ self.means_
        result = np.empty((len(points), width) if width else len(points))
        step = self.chunk_size or 1024
        starts = range(0, len(points), step)

        def reduced(first: int) -> np.ndarray:
            return np.asarray(reduce(log_joint(points[first : first + step], mixture, origin)).T)

        for first, rows in zip(starts, side_by_side(reduced, starts), strict=True):
            result[first : first + step] = rows
        return result

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """(N,) float64: log p(z) of each of the points X (N, D), in nats."""
        return self._of_reduced(self.transform(X), 0, log_sum)

    def typicality(self, X: np.ndarray) -> np.ndarray:
        """(N,) in [0, 1]: the fraction of the fitted points that are less likely than each of X (N, D).

        Points like those the mixture was fitted on are uniform in [0, 1]; points far from all of them lie at 0.

        Raises:
            ModelFileError: the mixture was read from parameters without ``log_density_quantiles``.
        """
        if (quantiles := self.log_density_quantiles_) is None:
            problem = "the mixture does not say how likely the images it was fitted on are"
            expected = "expected log_density_quantiles in its file"
            raise ModelFileError(problem, expected, "fit it again: latentcli fit-gmm DATA MODEL.pth -o FILE")
        return np.interp(self.score_samples(X), quantiles, np.linspace(0, 1, len(quantiles)))

    def full_covariances(self) -> np.ndarray:
        """(K, d, d) float64: the covariances, whatever the covariance type."""
        check_is_fitted(self, "means_")
        return self._mixture().full_covariances()

    def principal_plane(self) -> tuple[np.ndarray, np.ndarray]:
        """The whole mixture's mean (D,), and its two directions (2, D) of most variance, as long as its deviations."""
        mean = self.weights_ @ self.means_
        spread = (self.means_ - mean) * np.sqrt(self.weights_)[:, None]
        covariance = np.tensordot(self.weights_, self.full_covariances(), axes=1) + spread.T @ spread
        values, vectors = np.linalg.eigh(covariance)
        directions = np.zeros((2, len(mean)))
        directions[: len(mean)] = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1][:, :2].T
        centre = self.inverse_transform(mean)
        return centre, self.inverse_transform(mean + directions) - centre

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, C) float64: p(class | z) of each of the points X (N, D), columns as in ``classes_``; rows sum to 1."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, C) float64: log p(class | z) of each of the points X (N, D), right also where p would be rounded to 0."""
        check_is_fitted(self, "means_")
        components_of = [self.component_labels_ == label for label in range(len(self.classes_))]

        def posterior(joint: np.ndarray) -> np.ndarray:
            of_classes = np.array([logsumexp(joint[rows], axis=0) for rows in components_of])  # -inf of no component
            return of_classes - logsumexp(of_classes, axis=0)

        return self._of_reduced(self.transform(X), len(self.classes_), posterior)

    def sample(self, n: int = 1, seed: int | np.random.Generator = 0) -> tuple[np.ndarray, np.ndarray]:
        """Draw points: (n, D) float64, and the component each came from, (n,) int."""
        check_is_fitted(self, "means_")
        generator = np.random.default_rng(seed)
        components = generator.choice(len(self.weights_), size=n, p=self.weights_ / self.weights_.sum())
        return self.inverse_transform(self.draw(components, generator)), components

    def draw(self, components: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(n, d) float64: a point of each of these components (n,), in the space of ``means_``."""
        factors = np.linalg.cholesky(self.full_covariances())
        noise = generator.standard_normal((len(components), self.means_.shape[1]))
        points = self.means_[components]
        for component in np.unique(components):
            rows = components == component
            points[rows] += noise[rows] @ factors[component].T
        return points

    def draw_of_classes(self, classes: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """(n, D) float64: a point of each of these classes (n,), given by index, drawn from the class's components."""
        components = np.empty(len(classes), int)
        for label in np.unique(classes):
            rows = classes == label
            weights = np.where(self.component_labels_ == label, self.weights_, 0.0)
            components[rows] = random.choice(len(weights), size=int(rows.sum()), p=weights / weights.sum())
        return self.inverse_transform(self.draw(components, random))

    @property
    def learned_from(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Of each class the first labelled points, in the space of ``means_``, and their classes."""
        return self._learned_from

    def summary(self) -> dict[str, Any]:
        """The results of the fit, as plain values."""
        metrics = {"converged": bool(self.converged_), "log_likelihood": float(self.lower_bound_)}
        sizes = {"components": len(self.weights_), "iterations": int(self.n_iter_)}
        return {"classes": [str(name) for name in self.classes_], **sizes, **metrics}

    def to_params(self) -> dict[str, Any]:
        """Plain arrays and strings: what ``from_params`` reads. ``checkpoint`` is ``fitted_on_``."""
        check_is_fitted(self, "means_")
        params = mixture_params.to_params(self._mixture(), self.projection_, self.component_labels_, self.classes_)
        if self.class_gaussians_ is not None:
            params |= {"class_means": self.class_gaussians_.means, "class_variances": self.class_gaussians_.variances}
        if self._learned_from is not None:
            params["labelled_points"], params["labels"] = self._learned_from
        if self.log_density_quantiles_ is not None:
            params["log_density_quantiles"] = self.log_density_quantiles_
        return params | ({"checkpoint": self.fitted_on_} if self.fitted_on_ else {})

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The classifier that ``to_params`` described; its classes are strings.

        Raises:
            ModelFileError: something is missing, of the wrong shape, or not a mixture.
        """
        mixture, component_labels, classes = mixture_params.from_params(params)
        classifier = cls(n_components=len(mixture.weights), covariance_type=mixture.covariance_type)
        classifier._adopt(mixture, mixture_params.projection(params, mixture), component_labels, classes)
        classifier.log_density_quantiles_ = mixture_params.quantiles(params)
        classifier.class_gaussians_ = mixture_params.class_gaussians(params, mixture, len(classes))
        classifier._learned_from = mixture_params.learned_from(params, mixture, len(classes))
        classifier.fitted_on_ = mixture_params.checkpoint(params)
        return classifier

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags
