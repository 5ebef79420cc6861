"""Fitting a latent classifier from the shell: which labels count, and what is written of it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.errors import DataError

if TYPE_CHECKING:
    from latentcli.classifiers.gaussian_mixture import GaussianMixtureClassifier
    from latentcli.data import ImageSet
    from latentcli.latents import Latents
    from latentcli.models.base import LatentModel


def encoded(model: "LatentModel", fingerprint: str, images: "ImageSet") -> "Latents":
    """The latents of images, with a progress bar."""
    from latentcli import inference
    from latentcli.cli import console
    from latentcli.latents import Latents

    with console.progress("encoding", len(images)) as advance:
        arrays = inference.encode(model, images.images, advance)
    return Latents(arrays, fingerprint, images.labels, images.class_names, images.files)


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
    from latentcli.data import keep_labels

    latents = latents.unlabelled().followed_by(few) if few is not None else latents
    if latents.labels is None or not (latents.labels >= 0).any():
        raise DataError(
            "there are no labels to name the clusters with",
            "expected some labelled images",
            "give a labelled VAL, or --labels labels.csv",
        )
    if per_class is not None:
        latents = replace(latents, labels=keep_labels(latents.labels, latents.class_names, per_class, seed))
    return latents


def fit_mixture(latents: "Latents", device: str, **settings: Any) -> "GaussianMixtureClassifier":
    """A mixture fitted on latents and the labels they carry; classes are names.

    Args:
        latents: with labels.
        device: where expectation maximisation runs.
        settings: of the classifier, by name; None leaves a default.
    """
    from latentcli.classifiers import CLASSIFIERS

    assert latents.labels is not None
    given = {name: value for name, value in settings.items() if value is not None}
    names = np.array([*latents.class_names, ""], dtype=object)
    seen = np.unique(latents.labels[latents.labels >= 0])
    compact = np.full(len(latents.class_names) + 1, -1, np.int64)
    compact[seen] = np.arange(len(seen))
    mixture = CLASSIFIERS["gmm"](device=device, **given)
    mixture.fit(latents.flat, compact[latents.labels])
    mixture.classes_ = names[seen].astype(str)
    return mixture
