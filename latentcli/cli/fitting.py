"""Fitting a latent classifier from the shell: which labels count, and what is written of it."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.core.errors import DataError, ModelFileError, UsageError

if TYPE_CHECKING:
    from latentcli.classifiers.base import LatentClassifier
    from latentcli.classifiers.mixture.gaussian_mixture import GaussianMixtureClassifier
    from latentcli.classifiers.probes.probe import Probe
    from latentcli.core.image_set import ImageSet
    from latentcli.core.latents import Latents
    from latentcli.models.base import LatentModel, PixelClassifier


def check_features(model: "LatentModel", name: str | None) -> None:
    """Refuse the name of features that the model's family does not have; None is fine.

    Raises:
        UsageError: the message lists those it has.
    """
    if name is not None and name not in model.FEATURES:
        raise UsageError(f"this model has no features {name!r}", f"expected one of: {', '.join(model.FEATURES)}")


def encoded(model: "LatentModel", fingerprint: str, images: "ImageSet", features: str | None = None) -> "Latents":
    """The latents of images, with a progress bar.

    Args:
        model: on its device.
        fingerprint: of its checkpoint.
        images: of its shape.
        features: needed beside what encoding gives, one of the model's ``FEATURES``; None: no others.
    """
    from latentcli import inference
    from latentcli.cli import console
    from latentcli.core.latents import ARRAYS_OF_FEATURES, Latents

    with console.progress("encoding", len(images)) as advance:
        arrays = inference.encode(model, images.images, advance)
    if features is not None and ARRAYS_OF_FEATURES.get(features) not in arrays:
        with console.progress(f"features: {features}", len(images)) as advance:
            arrays[features] = inference.features(model, images.images, features, advance)
    shapes = {name: shape for name in model.FEATURES if (shape := model.feature_shape(name)) is not None}
    return Latents(arrays, fingerprint, images.labels, images.class_names, images.files, shapes)


def encoded_for(labeller: "LatentClassifier", model: "LatentModel", fingerprint: str, images: "ImageSet") -> "Latents":
    """The latents of images, with the features that a classifier reads.

    Raises:
        ModelFileError: the classifier does not fit the model, though it claims to.
    """
    if labeller.features not in (None, *model.FEATURES):
        raise ModelFileError(
            f"the classifier reads features that this model does not have: {labeller.features!r}",
            f"expected one of: {', '.join(model.FEATURES)}",
            "fit it again on this checkpoint",
        )
    return encoded(model, fingerprint, images, labeller.features)


def features_for(labeller: "LatentClassifier", latents: "Latents") -> np.ndarray:
    """(N, F): the features that a classifier reads.

    Raises:
        ModelFileError: the classifier reads another number of features.
    """
    found = latents.flat if labeller.features is None else latents.features(labeller.features)
    if found.shape[1] != labeller.n_features_in_:
        raise ModelFileError(
            "the classifier does not fit this model",
            f"it reads {labeller.n_features_in_} features, and the model has {found.shape[1]}",
            "fit it again on this checkpoint",
        )
    return found


def check_rejects(labeller: "LatentClassifier | PixelClassifier", reject_below: float | None) -> None:
    """Refuse to reject images by how likely they are where the classifier does not know.

    Raises:
        UsageError: it is no mixture.
    """
    from latentcli.classifiers.base import DensityClassifier

    if reject_below is not None and not isinstance(labeller, DensityClassifier):
        raise UsageError(
            "--reject-below needs a mixture",
            "other classifiers tell classes apart, not how likely an image is",
            "fit a mixture: latentcli fit-gmm DATA MODEL.pth",
        )


def naming(images: "ImageSet", few: "ImageSet | None", per_class: int | None) -> "ImageSet | None":
    """The images whose labels will name the clusters, checked before hours of training; None when there are none.

    Raises:
        DataError: VAL has no labels, or a class has fewer than asked for.
    """
    from latentcli.core.labels import labelled_per_class

    if few is not None and (few.labels is None or not (few.labels >= 0).any()):
        raise DataError(
            f"{few.name} has no labels to name the clusters with", "expected labelled images, a few per class"
        )
    source = few if few is not None else images
    if source.labels is None or not (source.labels >= 0).any():
        return None
    if len(np.unique(source.labels[source.labels >= 0])) < 2:
        raise DataError(
            f"all labels of {source.name} are of one class",
            "expected two classes or more to tell apart",
            "label images of another class, or take the images of that class without labels",
        )
    return source if per_class is None else labelled_per_class(source, per_class, 0)


def labelled(latents: "Latents", few: "Latents | None", per_class: int | None, seed: int) -> "Latents":
    """The latents a mixture is fitted on, with the labels it may see.

    Args:
        latents: of the many images.
        few: of labelled images that name the clusters; their labels count then, and those of ``latents`` do not.
        per_class: keep so many labels of each class only; None keeps all.
        seed: of the draw.

    Raises:
        DataError: nothing is labelled, or a class has fewer labels than asked for.
    """
    from latentcli.core.labels import labelled_per_class

    if few is not None:
        latents = latents.unlabelled().followed_by(few)
    if latents.labels is None or not (latents.labels >= 0).any():
        raise DataError(
            "there are no labels to learn the classes from", "expected some labelled images",
            "give labelled images (VAL or --val), or --labels labels.csv",
        )  # fmt: skip
    return latents if per_class is None else labelled_per_class(latents, per_class, seed)


def fit_mixture(latents: "Latents", device: str, **settings: Any) -> "GaussianMixtureClassifier":
    """A mixture fitted on latents and the labels they carry; its classes are the names that occur.

    Args:
        latents: with labels.
        device: where expectation maximisation runs.
        settings: of the classifier, by name; None leaves a default.
    """
    from latentcli.classifiers import CLASSIFIERS

    given = {name: value for name, value in settings.items() if value is not None}
    mixture = CLASSIFIERS["gmm"](device=device, **given)
    return mixture.fit(latents.flat, latents.names_of_labels(), latents.posterior_variances)


def write_mixture(path: Path, mixture: "GaussianMixtureClassifier", fingerprint: str) -> None:
    """Keep a mixture, with the fingerprint of the checkpoint whose latents it was fitted on."""
    from latentcli import artifacts

    artifacts.write_classifier(path, mixture.to_params() | {"checkpoint": fingerprint})


def summary(mixture: "GaussianMixtureClassifier") -> dict[str, Any]:
    """What a fit came to."""
    return {
        "classes": [str(name) for name in mixture.classes_], "components": len(mixture.weights_),
        "iterations": int(mixture.n_iter_), "converged": bool(mixture.converged_),
        "log_likelihood": float(mixture.lower_bound_),
    }  # fmt: skip


def predictions(
    labeller: "LatentClassifier", latents: "Latents", reject_below: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Class names, "" where rejected, and the probability of each image's most likely class.

    Args:
        labeller: fitted.
        latents: of N images, with the features that it reads.
        reject_below: reject an image that is less likely under the mixture than this fraction of those it was
            fitted on; None rejects none.

    Raises:
        UsageError: there is something to reject, and the classifier is no mixture.
    """
    from latentcli.classifiers.base import DensityClassifier

    check_rejects(labeller, reject_below)
    features = features_for(labeller, latents)
    probabilities = labeller.predict_proba(features)
    names = np.array([str(name) for name in labeller.classes_], dtype=object)[probabilities.argmax(axis=1)]
    if reject_below is not None and isinstance(labeller, DensityClassifier):
        names[labeller.typicality(features) < reject_below] = ""
    return names, probabilities.max(axis=1)


def scores(known: "Latents | ImageSet", predicted: np.ndarray, classes: Iterable[Any]) -> dict[str, Any]:
    """The figures of a classification, as far as labels are known; none when there are none."""
    from latentcli.numerics import metrics

    if known.labels is None:
        return {}
    return metrics.classification(known.names_of_labels(), predicted, [str(name) for name in classes])


def probe_summary(probe: "Probe") -> dict[str, Any]:
    """What a probe's fit came to: of those with epochs the figures of the best; of several networks their means."""
    result: dict[str, Any] = {"classes": [str(name) for name in probe.classes_], "dimensions": probe.n_features_in_}
    best = probe.best_rows()
    if not best:
        return result
    means = {name: float(np.mean([row[name] for row in best])) for name in best[0]}
    which = {"best_epoch": int(means["epoch"])} if len(best) == 1 else {"networks": len(best)}
    figures = {name: value for name, value in means.items() if name.startswith("val_")}
    result |= {"epochs": len(probe.history_), **which}
    return result | {"train_loss": means["loss"], "train_accuracy": means["accuracy"], **figures}
