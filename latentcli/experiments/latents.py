"""Latent spaces side by side: how well a probe reads them, how well images come back, in how many bits.

One cell of the study is one training of one family on one data set with one seed, and a probe fitted to the latents
of the training images; it is measured once, on test images that neither has seen. A control gives the same probe the
pixels themselves.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.core.errors import UsageError
from latentcli.experiments.cells import Cell, Result, compute
from latentcli.experiments.kept_models import kept_model
from latentcli.experiments.recipes import recipe, sorted_out
from latentcli.experiments.tasks import Task

if TYPE_CHECKING:
    from latentcli.core.image_set import ImageSet
    from latentcli.models.base import LatentModel, ModelConfig
    from latentcli.training.config import TrainingConfig
    from latentcli.training.examples import Examples

Fit = Callable[
    ["LatentModel", "np.ndarray | Examples", "TrainingConfig", Path, Mapping[str, Any]], Sequence[Mapping[str, float]]
]
"""Trains a model in place on images (N, C, H, W) uint8, or examples, and gives the history. The path is where its
checkpoint will be, the mapping what makes the run the same run: enough to keep its state, and to go on from it."""


PIXELS = "pixels"
"""The control: no model, the probe reads the images."""
LABELLED = "vqvae-with-labels"
"""A VQ-VAE that is shown the labels (see ``label_embedding``)."""


@dataclass(frozen=True)
class Protocol:
    """What all cells of a study share.

    Attributes:
        recipe: a name in ``recipes.RECIPES``.
        probes: registered kinds of probes.
        label_embedding: also train a VQ-VAE that is shown the labels, and measure what leaks.
        device: where everything runs.
        settings: of models or training, that go before the recipe's; for trials.
    """

    recipe: str = "best"
    probes: tuple[str, ...] = ("mlp",)
    label_embedding: bool = False
    device: str = "cpu"
    settings: tuple[tuple[str, Any], ...] = ()


def cells(
    tasks: Sequence[Task], families: Sequence[str], seeds: int, protocol: Protocol, folder: Path, fit: Fit
) -> list[Cell]:
    """All cells of a study: for each data set and seed the control, then each family.

    Args:
        tasks: the data sets.
        families: registered model families.
        seeds: how many, from 0.
        protocol: shared by all.
        folder: of the study; checkpoints go to its ``models``.
        fit: how a model is trained.

    Raises:
        UsageError: an unknown family, recipe, probe or setting, or a value out of range.
    """
    from latentcli.classifiers import PROBES

    if not protocol.probes:
        raise UsageError("there is no probe to read the latents with", f"expected some of: {', '.join(PROBES)}")
    probes = {kind: {**PROBES[kind]().get_params(), "device": protocol.device} for kind in protocol.probes}
    made = []
    for task in tasks:
        images = task.identity()
        for seed in range(seeds):
            for family in (PIXELS, *families, *([LABELLED] if protocol.label_embedding else [])):
                identity: dict[str, Any] = {"data": images, "family": family, "seed": seed, "probes": probes}
                if family != PIXELS:
                    config, training = configured(task, family, seed, protocol)
                    identity |= {"model": asdict(config), "training": asdict(training)}
                path = checkpoint_of(folder, task, family, seed)
                work = partial(KINDS.get(family, trained), task, family, seed, protocol, path, identity, fit)
                made.append(Cell(path.parent.name, identity, work))
    return made


def configured(task: Task, family: str, seed: int, protocol: Protocol) -> "tuple[ModelConfig, TrainingConfig]":
    """The configurations of one training: the recipe's settings, and the protocol's own, which go before them.

    Raises:
        UsageError: an unknown family, recipe or setting, or a value out of range.
    """
    from latentcli.models import FAMILIES
    from latentcli.training.config import TrainingConfig

    family = "vqvae" if family == LABELLED else family
    plan = recipe(protocol.recipe, family, task.train.shape, len(task.train))
    of_model, of_training = sorted_out(protocol.settings)
    config = FAMILIES[family].Config.for_data(task.train.shape, None, **(dict(plan.model) | of_model))
    return config, TrainingConfig(**(dict(plan.training) | of_training | {"seed": seed}))


def checkpoint_of(folder: Path, task: Task, family: str, seed: int) -> Path:
    """Where the model of a cell is kept, in a folder that is called like the cell."""
    return folder / "models" / f"{task.name}-{family}-{seed}" / "vae.pth"


def control(
    task: Task, family: str, seed: int, protocol: Protocol, path: Path, identity: Mapping[str, Any], fit: Fit
) -> Result:
    """The probe on pixels."""
    train, test = (
        np.moveaxis(half.images, 1, -1).reshape(len(half), -1).astype(np.float32) / 255
        for half in (task.train, task.test)
    )
    channels, height, width = task.train.shape
    scores = probed(task, train, test, (height, width, channels), protocol, seed)
    return {"data": task.train.name, "model": family, "seed": seed, **scores}


def probed(
    task: Task, train: np.ndarray, test: np.ndarray, shape: tuple[int, int, int] | None, protocol: Protocol, seed: int
) -> Result:
    """Accuracy on the test images of probes fitted to features of the training images, as ``KIND_accuracy``.

    Args:
        task: whose labels they are.
        train, test: (N, F) features.
        shape: (height, width, channels) of the features where they are maps.
        protocol: names the probes.
        seed: of the probes.
    """
    from latentcli.classifiers import PROBES
    from latentcli.numerics import metrics

    names = [np.array([*half.class_names, ""])[half.labels] for half in (task.train, task.test)]
    result: Result = {}
    for kind in protocol.probes:
        began = time.monotonic()
        probe = PROBES[kind](random_state=seed, device=protocol.device, shape=shape).fit(train, names[0])
        scores = metrics.classification(names[1], probe.predict(test), list(task.train.class_names))
        result |= {f"{kind}_accuracy": scores["accuracy"], f"{kind}_seconds": time.monotonic() - began}
    return result


def trained(
    task: Task, family: str, seed: int, protocol: Protocol, path: Path, identity: Mapping[str, Any], fit: Fit
) -> Result:
    """Train a model, keep it, and measure it and a probe of its latents on the test images."""
    from latentcli import inference
    from latentcli.numerics import metrics

    training = Cell("training", identity, partial(train_model, task, family, seed, protocol, path, identity, fit))
    facts = compute(training, path.parent, path).result
    network = kept_model(path, protocol.device)
    name = network.FEATURES[0]
    train, test = (inference.features(network, half.images, name) for half in (task.train, task.test))
    scores = probed(task, train, test, network.feature_shape(name), protocol, seed)
    quality = metrics.reconstruction(task.test.images, inference.reconstruct(network, task.test.images))
    measures = network.measures(inference.encode(network, task.test.images))
    return {
        "data": task.train.name, "model": family, "seed": seed, **scores, **quality, **measures, **facts,
    }  # fmt: skip


def train_model(
    task: Task, family: str, seed: int, protocol: Protocol, path: Path, identity: Mapping[str, Any], fit: Fit
) -> Result:
    """Train a model and keep it as ``path``."""
    from latentcli.artifacts import checkpoint
    from latentcli.core import device as devices
    from latentcli.models import create
    from latentcli.models.backbones import count_parameters

    config, training = configured(task, family, seed, protocol)
    network = create(family, config, seed, devices.resolve(protocol.device))
    path.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    history = fit(network, task.train.images, training, path, identity)
    seconds = time.monotonic() - began
    checkpoint.save(
        path,
        checkpoint.Checkpoint(
            family, asdict(config), task.train.shape, task.train.class_names, network.state_dict(),
            {"seed": seed, "settings": asdict(training), "history": list(history)},
        ),
    )  # fmt: skip
    return {"training_seconds": seconds, "epochs": len(history), "parameters": count_parameters(network)}


def leaking(
    task: Task, family: str, seed: int, protocol: Protocol, path: Path, identity: Mapping[str, Any], fit: Fit
) -> Result:
    """What a probe reads in codes made with labels, by where the labels were given.

    Returns:
        ``leaked``: accuracy with labels when the probe is fitted and when it is tested; ``labels_at_fitting``: when
        it is fitted only; ``without_labels``: never, though the model was trained with them.
    """
    from latentcli.core import device as devices
    from latentcli.experiments import label_embedding
    from latentcli.models.backbones import initialise
    from latentcli.models.vqvae import VQVAEConfig
    from latentcli.numerics.random import generator_for

    config, training = configured(task, family, seed, protocol)
    assert isinstance(config, VQVAEConfig)
    assert task.train.labels is not None
    classes = len(task.train.class_names)
    network = label_embedding.LabelledVQVAE(config, classes)
    initialise(network, generator_for(seed, "weights"))
    network.to(devices.resolve(protocol.device))
    path.parent.mkdir(parents=True, exist_ok=True)
    examples = label_embedding.examples(task.train.images, task.train.labels, classes, training)
    fit(network, examples, training, path, identity)

    def features(half: "ImageSet", shown: bool) -> np.ndarray:
        return label_embedding.features(network, half.images, half.labels if shown else None)

    shape = network.feature_shape(network.FEATURES[0])
    shown, hidden = ([features(half, given) for half in (task.train, task.test)] for given in (True, False))
    pairs = {
        "leaked": (shown[0], shown[1]), "labels_at_fitting": (shown[0], hidden[1]),
        "without_labels": (hidden[0], hidden[1]),
    }  # fmt: skip
    first = replace(protocol, probes=protocol.probes[:1])
    read = {name: probed(task, *pair, shape, first, seed) for name, pair in pairs.items()}
    scores = {name: result[f"{first.probes[0]}_accuracy"] for name, result in read.items()}
    return {"data": task.train.name, "model": family, "seed": seed, **scores}


KINDS = {PIXELS: control, LABELLED: leaking}
"""What computes a cell that is no registered family's."""
