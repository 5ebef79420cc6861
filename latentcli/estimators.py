"""Models of latents as scikit-learn's estimators, which read images as rows of numbers.

A row of F numbers is an image of the shape that ``image_shape`` says: (H, W), or (C, H, W) with 1 or 3 channels.
Without one it is grey and as square as F allows: H is the largest divisor of F that is no larger than W = F / H. A side
of fewer pixels than models take (8) is lengthened by repeating the last row or column; ``inverse_transform`` cuts it.

Models see bytes. The numbers of a uint8 array are these bytes. Of other arrays 0 … 1 becomes 0 … 255 if all numbers
that ``fit`` is given lie in [0, 1]; otherwise the least of them becomes 0 and the largest 255. Later rows are read in
the same way, whatever their type: numbers outside that range count as its ends.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from latentcli.classifiers import CLASSIFIERS
from latentcli.classifiers.checks import InvalidSamples, InvalidSetting, encode_labels
from latentcli.core.image_set import LARGEST, SMALLEST, ImageSet, Shape
from latentcli.models.trained import TrainedModel
from latentcli.training.train import train

MIXTURE = "mixture"
"""What ``LatentClassifier`` calls the Gaussian mixture, which is registered as "gmm"."""

BLOCK = 32
"""Rows that are encoded together at least: matrices of few rows are multiplied in another order, with results that
differ in the last bits, and the nearest neighbour of an image is to be at distance 0 of itself."""


@dataclass(eq=False, repr=False)
class VAETransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Latents of images: a model of any family, trained on rows of numbers, as a transformer.

    Args:
        image_shape: (H, W) or (C, H, W) of the image that a row is; None: grey, as square as can be.
        model: a model family: "vae", "vqvae", "fsq" or one that another package adds.
        latent_dim: dimensions of the latent space, or of each vector of a codebook; None: the family's own.
        epochs: passes over the images; None: as many as they need.
        settings: others of the model and its training by name (``latentcli.settings``); the arguments go before them.
        random_state: seed of the weights, the order and the noise; or numpy's generator, or None, to draw one.
        device: "cpu", "auto", "cuda", "cuda:N" or "mps".

    Attributes:
        model_: the ``TrainedModel``.
        image_shape_: (C, H, W) of the image that a row is, before it is lengthened.
        range_: the numbers that become the bytes 0 and 255.
        n_features_in_: F.

    Example:
        >>> from latentcli import VAETransformer
        >>> from sklearn.datasets import load_digits
        >>> pixels, _ = load_digits(return_X_y=True)
        >>> vae = VAETransformer(latent_dim=2, epochs=1, settings={"backbone": "mlp", "width": 16}).fit(pixels)
        >>> vae.image_shape_, vae.range_, vae.transform(pixels).shape
        ((1, 8, 8), (0.0, 16.0), (1797, 2))
        >>> vae.inverse_transform([[0.0, 0.0]]).shape
        (1, 64)
    """

    image_shape: Sequence[int] | None = None
    model: str = "vae"
    latent_dim: int | None = None
    epochs: int | None = None
    settings: Mapping[str, Any] | None = None
    random_state: Any = 0
    device: str = "cpu"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Train a model on images.

        Args:
            X: (N, F) finite numbers, a row an image; two rows or more.
            y: not used.

        Raises:
            UsageError: an unknown family or setting, or a value out of range.
            DataError: rows that cannot be images of that shape.
            FitError: the loss is not finite.
        """
        return self._fit(X, classes=None)

    def _fit(self, X: np.ndarray, classes: int | None) -> Self:
        """As ``fit``, for a latent space that is to tell so many classes apart."""
        X = validate_data(self, X, ensure_min_samples=2)
        self.image_shape_ = shape_of_rows(X.shape[1], self.image_shape)
        self.range_ = range_of(X)
        given = {"latent_dim": self.latent_dim, "epochs": self.epochs, "seed": seed_of(self.random_state)}
        settings = dict(self.settings or {}) | {name: value for name, value in given.items() if value is not None}
        self.model_ = train(self._images(X), model=self.model, classes=classes, device=self.device, **settings)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """(N, D) float32: the latents of images X (N, F), of a VAE the posterior means."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        enough = np.resize(np.arange(len(X)), max(len(X), BLOCK))
        return self.model_.encode(self._images(X[enough])).flat[: len(X)]

    def inverse_transform(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32: the images of latents X (N, D), as rows of numbers in ``range_``."""
        check_is_fitted(self)
        X, (low, high), dimensions = check_array(X, dtype=np.float32), self.range_, self._n_features_out
        if X.shape[1] != dimensions:
            raise InvalidSamples("these are not latents of this model", f"expected (N, {dimensions}), found {X.shape}")
        _, height, width = self.image_shape_
        images = self.model_.decode(X)[:, :, :height, :width]
        rows: np.ndarray = low + (high - low) * images.reshape(len(X), -1)
        return rows.astype(np.float32)

    def _images(self, X: np.ndarray) -> ImageSet:
        return images_of_rows(X, self.image_shape_, self.range_)

    @property
    def _n_features_out(self) -> int:
        return self.model_.latent_model.dimensions


@dataclass(eq=False, repr=False)
class LatentClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of images that learns a latent space from all rows, and the classes from those with a label.

    Args:
        image_shape, model, latent_dim, epochs, settings, random_state, device: as for ``VAETransformer``.
        classifier: what reads the latents: "mixture" or "graph", which learn from the unlabelled rows too; or a kind of
            probe, "mlp", "linear", "knn" or "conv" (of maps), which learns from labelled ones alone.
        classifier_settings: of the mixture, the graph or the probe, by name.

    Attributes:
        transformer_: the fitted ``VAETransformer``.
        classifier_: the fitted mixture, graph or probe.
        classes_: (C,) the labels that occur, of their own type; texts that are all whole numbers by value.
        n_features_in_: F.

    Example:
        >>> from latentcli import LatentClassifier
        >>> from sklearn.datasets import load_digits
        >>> pixels, digits = load_digits(n_class=3, return_X_y=True)
        >>> digits[30:] = -1  # without a label
        >>> settings = {"backbone": "mlp", "width": 32}
        >>> classifier = LatentClassifier(latent_dim=4, epochs=5, settings=settings).fit(pixels, digits)
        >>> classifier.predict(pixels).shape, classifier.classes_.tolist()
        ((537,), [0, 1, 2])
    """

    image_shape: Sequence[int] | None = None
    model: str = "vae"
    latent_dim: int | None = None
    epochs: int | None = None
    settings: Mapping[str, Any] | None = None
    classifier: str = MIXTURE
    classifier_settings: Mapping[str, Any] | None = None
    random_state: Any = 0
    device: str = "cpu"

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train a model on all images, then the classifier on their latents.

        Args:
            X: (N, F) finite numbers, a row an image.
            y: (N,) labels: numbers, -1 where unlabelled; or texts, "" (or None) where unlabelled.

        Raises:
            UsageError: an unknown family, classifier or setting, or a value out of range.
            DataError: rows that cannot be images of that shape, or labels of fewer than two classes.
            FitError: the loss is not finite, or a component of the mixture collapsed.
        """
        X, y = validate_data(self, X, y, ensure_min_samples=2, y_numeric=False)
        names, _ = encode_labels(y, len(X))
        kind, seed = CLASSIFIERS["gmm" if self.classifier == MIXTURE else self.classifier], seed_of(self.random_state)
        self.transformer_ = VAETransformer(
            self.image_shape, self.model, self.latent_dim, self.epochs, self.settings, seed, self.device
        )._fit(X, len(names))
        latents = self.model_.encode(self.transformer_._images(X))
        known = {"random_state": seed, "device": self.device, "shape": latents.feature_shape(None)}
        taken = kind().get_params()
        settings: dict[str, Any] = {name: value for name, value in known.items() if name in taken}
        more = (latents.posterior_logvar,) if self.classifier == MIXTURE else ()
        self.classifier_ = kind(**settings | dict(self.classifier_settings or {})).fit(latents.flat, y, *more)
        self.classifier_.fitted_on_ = latents.checkpoint
        self.classes_ = self.classifier_.classes_
        return self

    @property
    def model_(self) -> TrainedModel:
        """The model that encodes the images."""
        return self.transformer_.model_

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, C) float32, as exact as latents are: p(class | image) of X (N, F), columns as in ``classes_``."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        probabilities: np.ndarray = self.classifier_.predict_proba(self.transformer_.transform(X))
        return probabilities.astype(np.float32)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """(N,) the likeliest of ``classes_`` for each row of X (N, F)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


def shape_of_rows(features: int, image_shape: Sequence[int] | None) -> Shape:
    """(C, H, W) of the image that a row of so many numbers is; a ``LatentError`` if it cannot be one of that shape."""
    if image_shape is None:
        height = next(side for side in range(math.isqrt(features), 0, -1) if features % side == 0)
        if features // height > LARGEST:
            raise InvalidSamples(
                f"a row of {features} numbers is no image of at most {LARGEST} pixels a side",
                f"the most square one has {height}×{features // height}", "say which image it is: `image_shape`",
            )  # fmt: skip
        return 1, height, features // height
    shape = tuple(image_shape)
    channels, *sides = shape if len(shape) == 3 else (1, *shape)
    if len(sides) != 2 or channels not in (1, 3) or not all(1 <= side <= LARGEST for side in sides):
        raise InvalidSetting(
            f"`image_shape` is {shape}", f"expected (H, W) or (1, H, W) or (3, H, W), sides of at most {LARGEST} pixels"
        )
    if math.prod(shape) != features:
        raise InvalidSamples(
            f"a row of {features} numbers is no image of the `image_shape` {shape}", f"that has {math.prod(shape)}"
        )
    return channels, sides[0], sides[1]


def range_of(X: np.ndarray) -> tuple[float, float]:
    """The numbers that become the bytes 0 and 255 where a model learns from X (N, F)."""
    if X.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(X.min()), float(X.max())
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1.0


def images_of_rows(X: np.ndarray, shape: Shape, value_range: tuple[float, float]) -> ImageSet:
    """Rows of numbers X (N, F) as images of this shape: ``value_range`` as bytes, on sides of 8 pixels at least."""
    low, high = value_range
    scaled = np.asarray(X, dtype=np.float64).clip(low, high) / (high - low) - low / (high - low)
    images = np.rint(255.0 * scaled).clip(0, 255).astype(np.uint8).reshape(len(X), *shape)
    below, right = (max(0, SMALLEST - side) for side in shape[1:])
    return ImageSet(np.pad(images, ((0, 0), (0, 0), (0, below), (0, right)), mode="edge"), name="rows")


def seed_of(random_state: Any) -> int:
    """A seed: the number itself, or one that numpy's generator draws."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31))
