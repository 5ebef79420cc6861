"""From the latents of images to a trained prior of them, in one call."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from latentcli.classifiers.fitting import features_for
from latentcli.core.errors import DataError, ModelFileError, UsageError
from latentcli.core.latents import Latents
from latentcli.core.progress import Listener
from latentcli.core.settings import check_kind
from latentcli.models import PRIORS
from latentcli.models.base import Model
from latentcli.models.prior import Prior, prior_for
from latentcli.models.trained import TrainedModel
from latentcli.numerics.blocks import slices
from latentcli.numerics.linear import FastLinear
from latentcli.training.config import TrainingConfig
from latentcli.training.examples import Examples, split
from latentcli.training.identity import identity
from latentcli.training.observed import as_bytes
from latentcli.training.train import configure, trained

if TYPE_CHECKING:
    from latentcli.classifiers.base import LatentClassifier

_BLOCK = 4_096  # images that a classifier reads at a time


def fit_prior(
    latents: Latents, model: TrainedModel, *, classifier: "LatentClassifier | None" = None,
    soft_labels: np.ndarray | None = None,
    device: str = "auto", state: str | Path | None = None, resume: bool = True, finished: TrainedModel | None = None,
    log: str | Path | None = None, listener: Listener | None = None, **settings: Any,
) -> TrainedModel:  # fmt: skip
    """Train a prior of latents, of which new images are made: ``sample``.

    Of codes it is a causal transformer, of a VAE's points a flow. Where images have labels it learns
    p(latents | class), and p(latents) as well.

    Args:
        latents: of two or more images, which ``model`` encoded, with their labels, if there are any.
        model: a model of latents.
        classifier: fitted to the model's latents; its probabilities stand for the labels that are missing. None: images
            without a label teach the prior nothing about classes.
        soft_labels: (N, K) probabilities of the K classes that label images, in their order, which stand for the labels
            that are missing, as a classifier's do; a row may sum to less than 1. None: there are none.
        device, state, resume, finished, log, listener: as for ``train``.
        settings: of the prior (``width``, ``layers`` …) and of its training (``epochs``, ``lr``, ``seed`` …);
            ``latentcli settings fit-prior`` lists them. None leaves a default.

    Raises:
        UsageError: classifier and soft labels are both given; an unknown setting or device, a
            value out of range, or other settings or data than those of the state, or of the ``finished`` run.
        ModelFileError: the latents are of another model, or the classifier was fitted on another; or the model is one
            of pixels, or a prior.
        DataError: there is only one image, the latents are not the model's, or the soft labels not (N, K).
        FitError: the loss is not finite.
        KeyboardInterrupt: after Ctrl-C, or a SIGTERM; the state was saved.

    Source: van den Oord, Vinyals & Kavukcuoglu 2017, section 3.3; Lipman et al. 2023; Ho & Salimans 2022, algorithm 1.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4"])
        >>> vqvae = lc.train(images, model="vqvae", codes=8, latent_dim=4, width=32, epochs=1)
        >>> prior = lc.fit_prior(vqvae.encode(images), vqvae, width=16, layers=1, heads=2, epochs=1)
        >>> prior.class_names, prior.fitted_on == vqvae.fingerprint
        (('1', '4'), True)
    """
    check_kind("model", model, TrainedModel)
    family = prior_for(model.latent_network)
    prior: type[Prior] = PRIORS[family]
    examples = prior.examples(latents, model)
    if len(examples) < 2:
        raise DataError("the latents of one image are too few to train on", "expected two or more", "give more images")
    names = _class_names(latents, classifier, model)
    if soft_labels is not None:
        _check_soft(soft_labels, (len(examples), len(names)), classifier)
    targets = _targets(latents, classifier, soft_labels, names) if names else None
    sizes = {**prior.sizes(model), "classes": len(names)}
    network, training = configure(prior.Config, TrainingConfig, model.image_shape, None, settings, sizes)
    rows, held_out = split(len(examples), training)
    if targets is not None:
        rows, held_out = _with_each_class(rows, held_out, targets)
    arrays = {"images": examples} if targets is None else {"images": examples, "targets": targets}
    facts = {"labelled": int(latents.labels.known.sum()), "checkpoint": model.fingerprint}
    run = identity(family, network, training, "latents", arrays, **facts)
    return trained(
        family, network, training, Examples(examples, rows, held_out, targets), run, names,
        prior.begun(examples[rows], network, model),
        device=device, state=state, resume=resume, finished=finished, log=log, listener=listener,
        draw=partial(_drawn, model),
    )  # fmt: skip


def _with_each_class(rows: np.ndarray, held_out: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """These rows of images to train on, and to hold out: of a class whose images (N, K) are all held out, none are."""
    missing = ~targets[rows].any(axis=0)
    back = targets[held_out][:, missing].any(axis=1)
    return np.sort(np.concatenate([rows, held_out[back]])), held_out[~back]


@torch.inference_mode()
@FastLinear()
def _drawn(model: TrainedModel, network: Model, count: int) -> np.ndarray:
    """(count, C, H, W) uint8: samples of a prior of the model's latents, of its classes in turn, of the same noise."""
    assert isinstance(network, Prior)
    known, device = network.config.classes, next(network.parameters()).device
    noise = np.random.default_rng(0).random((count, network.noise_size), dtype=np.float32)
    classes = torch.eye(known, device=device).repeat(count, 1)[:count] if known else None
    latents = network.sample(torch.from_numpy(noise).to(device), classes)
    return as_bytes(np.concatenate([images for _, images in model.decodings({network.LATENTS: latents.cpu().numpy()})]))


def _class_names(latents: Latents, classifier: "LatentClassifier | None", model: TrainedModel) -> tuple[str, ...]:
    """Names of the classes that label images, in their order, then of those that only the classifier has.

    Raises:
        ModelFileError: the classifier was fitted on another model.
    """
    names = latents.labels.occurring
    if classifier is None:
        return tuple(names)
    if classifier.fitted_on_ not in ("", model.fingerprint):
        raise ModelFileError(
            "the classifier was fitted on another checkpoint",
            f"expected latents of {model.name} {model.fingerprint[:6]}…, found {classifier.fitted_on_[:6]}…",
            "fit it again on this checkpoint",
        )
    return (*names, *(name for name in map(str, classifier.classes_) if name not in names))


def _check_soft(
    soft_labels: np.ndarray, shape: tuple[int, int], classifier: "LatentClassifier | None"
) -> None:  # fmt: skip
    """Raise where soft labels are not of this shape, or come beside a classifier."""
    if classifier is not None:
        raise UsageError("`classifier` and `soft_labels` both stand for labels", None, "leave one of them out")
    if np.shape(soft_labels) != shape or not (np.all(soft_labels >= 0) and np.all(soft_labels.sum(axis=1) < 1 + 1e-4)):
        found = f"found {np.shape(soft_labels)}"
        raise DataError("these are no soft labels of the images", f"expected {shape} probabilities, {found}")


def _targets(
    latents: Latents, classifier: "LatentClassifier | None", soft_labels: np.ndarray | None, names: tuple[str, ...]
) -> np.ndarray:
    """(N, K) float32: the labels as probabilities, of unlabelled images what soft labels or classifier say, or 0."""
    targets = np.zeros((len(latents), len(names)), np.float32)
    if soft_labels is not None:
        targets[:] = soft_labels
    codes = latents.labels.among(names).codes
    unknown = np.flatnonzero(codes < 0)
    if classifier is not None:
        columns = [names.index(str(name)) for name in classifier.classes_]
        for part in slices(len(unknown), _BLOCK):
            rows = unknown[part]
            arrays = {name: array[rows] for name, array in latents.arrays.items()}
            some = replace(latents, arrays=arrays, labels=latents.labels.take(rows), files=None)
            targets[rows[:, None], columns] = classifier.predict_proba(features_for(classifier, some))
    known = np.flatnonzero(codes >= 0)
    targets[known] = np.eye(len(names), dtype=np.float32)[codes[known]]
    return targets
