"""Classifiers fitted to the latents of images, with the labels that count and the features that they read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.classifiers import CLASSIFIERS, PROBES
from latentcli.core.errors import DataError, ModelFileError
from latentcli.core.labels import labelled_per_class
from latentcli.core.latents import Latents
from latentcli.core.progress import OnEpoch, Progress, silent, unwatched
from latentcli.core.settings import check_kind, check_known, check_number
from latentcli.core.stages import stage
from latentcli.numerics.blocks import slices

if TYPE_CHECKING:
    from latentcli.classifiers.base import LatentClassifier
    from latentcli.classifiers.graph.graph_classifier import GraphClassifier
    from latentcli.classifiers.mixture.expectation_maximisation import Part
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
    from latentcli.classifiers.probes.probe import Probe


@stage("fitting")
def fit_mixture(
    latents: Latents, val: Latents | None = None, *, components: int | None = None, covariance: str | None = None,
    labels_per_class: int | None = None, seed: int = 0, device: str = "cpu", part: "Part | None" = None,
) -> "GaussianMixtureClassifier":  # fmt: skip
    """A Gaussian mixture of latents, whose components get their classes from the labelled ones.

    Args:
        latents: of N images, some labelled.
        val: latents of labelled images to learn the classes from; the labels of ``latents`` do not count then.
        labels_per_class: use this many labels of each class, drawn by the seed; None uses all.
        components: of the mixture; None: one for each class where these tell the classes apart, else five.
        covariance: "full", "tied", "diag" or "spherical"; None is "full".
        seed: of all draws.
        device: where expectation maximisation runs.
        part: where processes share the fit out, which of all rows this one computes with; None: all.

    Returns:
        the fitted classifier, scikit-learn's contract, signed with the latents' checkpoint.

    Raises:
        DataError: nothing is labelled, or a class has fewer labels than asked for.
        UsageError: a setting is out of range.
        FitError: fewer images than components, or a component that collapsed.
        ModelFileError: the two sets of latents were made by different checkpoints.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2)
        >>> mixture = lc.fit_mixture(vae.encode(images), labels_per_class=5)
        >>> mixture.predict_proba(vae.encode(images).flat).shape == (len(images), 3)
        True
    """
    check_number("seed", seed, 0, 2**63 - 1)
    latents = labelled(latents, val, labels_per_class, seed)
    shape = {} if covariance is None else {"covariance_type": covariance}
    mixture: GaussianMixtureClassifier = CLASSIFIERS["gmm"](components, device=device, random_state=seed, **shape)
    rows = slice(None) if part is None else part.rows
    own = Latents({name: array[rows] for name, array in latents.arrays.items()}, latents.checkpoint)
    mixture.fit(own.flat, latents.labels.texts, own.posterior_logvar, classes=latents.labels.names, part=part)
    mixture.fitted_on_ = latents.checkpoint
    return mixture


@stage("fitting")
def fit_graph(
    latents: Latents, val: Latents | None = None, *, neighbours: int = 10, method: str = "auto", alpha: float = 0.9,
    class_sizes: Mapping[str, float] | None = None, features: str | None = None, labels_per_class: int | None = None,
    seed: int = 0, device: str = "cpu", progress: Progress = silent,
) -> "GraphClassifier":  # fmt: skip
    """A classifier that follows the data: labels spread from few images to all, along their nearest neighbours.

    Args:
        latents, val, labels_per_class: as for ``fit_mixture``; all images are in the graph, those of ``val`` too.
        neighbours: nearest neighbours of each image in the graph.
        method: "poisson" (learning) or (label) "spreading"; "auto" leaves labels out to see which is right more often,
            and takes poisson where a class has only one label.
        alpha: of label spreading, in [0, 1): how far labels reach.
        class_sizes: how many images each class has, in any unit; None: not known.
        features: which features of the latents it reads; None: the latents themselves.
        seed: of all draws.
        device: where neighbours are searched.
        progress: of the search for neighbours.

    Returns:
        the fitted classifier, scikit-learn's contract, signed with the latents' checkpoint.

    Raises:
        DataError, ModelFileError: as for ``fit_mixture``; also features that are codes.
        UsageError: a setting is out of range, features that are not there; or there are more than 100,000 images, and
            the package ``usearch`` is not installed.
        FitError: all latents are the same.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=2)
        >>> graph = lc.fit_graph(vae.encode(images), labels_per_class=1)
        >>> graph.predict_proba(vae.encode(images).flat).shape, graph.method_
        ((431, 3), 'poisson')
    """
    check_number("seed", seed, 0, 2**63 - 1)
    latents = labelled(latents, val, labels_per_class, seed, features)
    how = {"method": method, "alpha": alpha, "class_sizes": class_sizes, "features": features, "random_state": seed}
    how |= {"device": device}
    points = features_of(latents, features)
    if points.dtype.kind != "f":
        found = f"found {points.dtype}, which are codes: names without an order"
        raise DataError("a graph needs numbers with distances between them", found, "take `features` quantized")
    graph: GraphClassifier = CLASSIFIERS["graph"](neighbours, **how)
    graph.fit(points, latents.labels.texts, latents.labels.names, progress)
    graph.fitted_on_ = latents.checkpoint
    return graph


@stage("fitting")
def fit_probe(
    latents: Latents, val: Latents | None = None, *, probe: str = "mlp", features: str | None = None,
    labels_per_class: int | None = None, seed: int = 0, device: str = "cpu", on_epoch: OnEpoch = unwatched,
    **settings: Any,
) -> "Probe":  # fmt: skip
    """A probe: a classifier that learns from the labelled ones of these latents alone.

    Args:
        latents, val, labels_per_class: as for ``fit_mixture``; with the features that the probe is to read.
        probe: a kind of probe: "mlp", "conv" (for maps), "linear" or "knn".
        features: which features of the latents it reads; None: the latents themselves.
        seed: of all draws.
        device: where it learns.
        on_epoch: called after each epoch with its metrics.
        settings: of the kind of probe, as ``latentcli.settings("fit-probe", probe)`` lists them.

    Returns:
        the fitted probe, scikit-learn's contract, signed with the latents' checkpoint.

    Raises:
        DataError, ModelFileError: as for ``fit_mixture``.
        UsageError: an unknown probe or setting, a value out of range, or features that are not there.
        FitError: the loss is not finite.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits")
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> probe = lc.fit_probe(vae.encode(images), probe="knn")
        >>> probe.predict(vae.encode(images).flat).shape == (len(images),)
        True
    """
    check_known(settings, [each.name for each in PROBES[probe].described_settings()])
    check_number("seed", seed, 0, 2**63 - 1)
    latents = labelled(latents, val, labels_per_class, seed, features)
    settings |= {"features": features, "shape": latents.feature_shape(features), "random_state": seed}
    learner: Probe = PROBES[probe](device=device, **settings)
    learner.fit(features_of(latents, features), latents.labels.texts, on_epoch, classes=latents.labels.names)
    learner.fitted_on_ = latents.checkpoint
    return learner


def labelled(
    latents: Latents, val: Latents | None, labels_per_class: int | None, seed: int, features: str | None = None
) -> Latents:
    """These latents and those of ``val``, with the labels that a classifier of ``features`` learns from.

    Arguments and errors are those of ``fit_mixture``.
    """
    check_kind("latents", latents, Latents)
    if val is not None:
        check_kind("val", val, Latents)
        latents = latents.unlabelled().followed_by(val)
    if not latents.labels.any:
        problem, remedy = "there are no labels to learn the classes from", "give labelled images (`val`), or `labels`"
        raise DataError(problem, "expected some labelled images", remedy)
    points, classes = features_of(latents, features), latents.labels.occurring
    known = np.flatnonzero(latents.labels.known)
    if len(classes) > 1 and _alike(points, known) and not _alike(points, np.arange(len(points))):  # else: the model's
        problem = f"the labelled images, of {len(classes)} classes, all have the same {features or 'latents'}"
        raise DataError(problem, f"found no difference among {len(known)}", "name labelled images that differ")
    return latents if labels_per_class is None else labelled_per_class(latents, labels_per_class, seed)


def _alike(points: np.ndarray, rows: np.ndarray) -> bool:
    """Whether these rows of points (N, F) are all the same; it looks no farther than the first that is not."""
    return all((points[rows[some]] == points[rows[0]]).all() for some in slices(len(rows), 1_000))


def features_of(latents: Latents, name: str | None) -> np.ndarray:
    """(N, F): the features of this name; None: those that a mixture reads."""
    return latents.flat if name is None else latents.features(name)


def features_for(classifier: "LatentClassifier", latents: Latents) -> np.ndarray:
    """(N, F): the features that a classifier reads; a ``ModelFileError`` if it reads another number of them."""
    found = features_of(latents, classifier.features)
    if found.shape[1] != classifier.n_features_in_:
        sizes = f"it reads {classifier.n_features_in_} features, and the model has {found.shape[1]}"
        raise ModelFileError(
            "the classifier does not fit this model",
            sizes,
            "fit it again with this checkpoint, such as: latentcli fit-gmm DATA MODEL.pth -o FILE",
        )
    return found
