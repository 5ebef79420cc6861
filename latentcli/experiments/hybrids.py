"""Do hybrids make a classifier better? Accuracy against the number of labelled images, arm by arm.

One cell is one classifier: of one arm, one number of labelled images a class and one seed. The same labelled images
go to every arm, and every arm takes the same number of optimiser steps. It is measured once, on the test part.
"""

import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcli.core.errors import DataError, FitError, UsageError
from latentcli.experiments.arms import ARMS, USUAL, Arm, Given
from latentcli.experiments.cells import Cell, Result, compute
from latentcli.experiments.kept_models import kept_model
from latentcli.experiments.recipes import sorted_out
from latentcli.experiments.tasks import Task

if TYPE_CHECKING:
    from latentcli.core.image_set import ImageSet
    from latentcli.models.base import LatentModel, ModelConfig
    from latentcli.models.layers import Shape
    from latentcli.training.config import TrainingConfig
    from latentcli.training.mixing import Hybrids

PUBLISHED = (("latent_dim", 2), ("components", 1), ("information", 0.0))
"""Settings of the VAE that hybrids were first published with: two dimensions, N(0, I) as prior."""

FEW = 100_000_000
"""Values that a model of labelled images alone sees in its training, at most, and half of what the model of all images
sees: there is one for every such cell."""

MODEL = "model"
"""Cells of this name train the model of all unlabelled images, which the arms share."""


@dataclass(frozen=True)
class Protocol:
    """What all cells of a study share.

    Attributes:
        per_class: numbers of labelled images of each class.
        arms: names in ``ARMS``.
        steps: of the optimiser, for every classifier.
        batch_size: of every classifier.
        count: images that an arm may add, where it does not say how many by itself.
        unlabelled: images without labels that an arm may learn from, drawn for each seed; None: all.
        values_seen: of a model's training, as in ``TrainingConfig``.
        family: of the models.
        settings: of the models or of their training, that go before the usual ones.
        device: where everything runs.

    Raises:
        UsageError: an unknown arm, or a number out of range.
    """

    per_class: tuple[int, ...] = (1, 5, 10, 20, 50, 100, 500, 1000)
    arms: tuple[str, ...] = USUAL
    steps: int = 1_500
    batch_size: int = 64
    count: int = 20_000
    unlabelled: int | None = None
    values_seen: int = 700_000_000
    family: str = "vae"
    settings: tuple[tuple[str, Any], ...] = ()
    device: str = "cpu"

    def __post_init__(self) -> None:
        for arm in self.arms:
            if arm not in ARMS:
                raise UsageError(f"unknown arm {arm!r}", f"expected some of: {', '.join(ARMS)}")
        if not self.arms or not self.per_class or min(self.per_class) < 1:
            raise UsageError("a study needs an arm, and one labelled image a class or more")


def cells(task: Task, seeds: int, protocol: Protocol, folder: Path) -> tuple[list[Cell], list[Cell]]:
    """The cells that train what others share, and all others, smallest first.

    Args:
        task: its data set.
        seeds: how many, from 0.
        protocol: shared by all.
        folder: of the study; models go to its ``models``.

    Raises:
        DataError: a class has fewer images than the largest number asked for.
        UsageError: a setting of the models is unknown, or out of range.
    """
    configured(protocol, task.train.shape, len(task.train.class_names), 0)
    images, shared = task.identity(), asdict(protocol)
    for plural in ("per_class", "arms"):
        del shared[plural]
    fewest = fewest_of_a_class(task)
    if max(protocol.per_class) > fewest:
        raise DataError(
            f"{task.train.name} has too few labelled images for {max(protocol.per_class)} a class",
            f"its smallest class has {fewest}",
            f"--per-class {','.join(str(size) for size in protocol.per_class if size <= fewest) or fewest}",
        )
    common = [
        Cell(f"{task.name}-{MODEL}-{seed}", {"data": images, "seed": seed, **shared},
             partial(trained, task, seed, protocol, folder))
        for seed in range(seeds)
        if any(ARMS[arm].shares_model for arm in protocol.arms)
    ]  # fmt: skip
    arms = [
        Cell(f"{task.name}-{arm}-{size}-{seed}",
             {"data": images, "arm": arm, "recipe": recipe_of(arm, size, len(task.train.class_names), protocol),
              "per_class": size, "seed": seed, **shared},
             partial(measured, task, arm, size, seed, protocol, folder))
        for size in sorted(protocol.per_class)
        for seed in range(seeds)
        for arm in protocol.arms
    ]  # fmt: skip
    return common, arms


def recipe_of(arm: str, size: int, classes: int, protocol: Protocol) -> dict[str, Any]:
    """What an arm does with so many labelled images of each class."""
    return ARMS[arm].recipe(size * classes, protocol.steps * protocol.batch_size)


def fewest_of_a_class(task: Task) -> int:
    """How many labelled training images the smallest class has."""
    labels = task.train.labels
    assert labels is not None
    return int(np.bincount(labels[labels >= 0], minlength=len(task.train.class_names)).min())


def trained(task: Task, seed: int, protocol: Protocol, folder: Path) -> Result:
    """Train the model of all images, without their labels."""
    began = time.monotonic()
    on_one_thread()
    images = without_labels(task, seed, protocol)
    model_of(images, len(task.train.class_names), seed, protocol, folder / "models" / f"{task.name}-{seed}")
    return {"data": task.train.name, "arm": MODEL, "seed": seed, "seconds": time.monotonic() - began}


def without_labels(task: Task, seed: int, protocol: Protocol) -> "ImageSet":
    """The images that arms may learn from without labels."""
    images = replace(task.train, labels=None)
    if protocol.unlabelled is None or protocol.unlabelled >= len(images):
        return images
    rows = np.random.default_rng([seed, len(images)]).permutation(len(images))
    return images.take(np.sort(rows[: protocol.unlabelled]))


def measured(task: Task, arm: str, size: int, seed: int, protocol: Protocol, folder: Path) -> Result:
    """Train a classifier as the arm says, and measure it on the test images.

    Where the arm finds nothing to add, none is trained: it would be another arm's. The result has no accuracy then.
    """
    from latentcli import inference
    from latentcli.core import device as devices
    from latentcli.models import PIXEL_CLASSIFIERS, create_classifier
    from latentcli.numerics import metrics
    from latentcli.training import mixing
    from latentcli.training.config import ClassifierTrainingConfig
    from latentcli.training.loop import Callbacks, Run

    on_one_thread()
    began, names = time.monotonic(), task.train.class_names
    labelled, unlabelled = mixing.labelled(task.train, size, seed), without_labels(task, seed, protocol)

    def model(images: "ImageSet", published: bool) -> "LatentModel":
        name = f"{task.name}-{seed}" if images is unlabelled else f"{task.name}-{arm}-{size}-{seed}"
        how = replace(protocol, family="vae", settings=PUBLISHED) if published else protocol
        if images is not unlabelled:
            batches = () if published else (("batch_size", protocol.batch_size),)  # else few steps see many copies
            how = replace(how, values_seen=min(FEW, how.values_seen // 2), settings=(*batches, *how.settings))
        return model_of(images, len(names), seed, how, folder / "models" / name)

    plan = ARMS[arm]
    recipe = recipe_of(arm, size, len(names), protocol)
    given = Given(labelled, unlabelled, seed, recipe.get("count", protocol.count), model, protocol.device)
    added = added_by(plan, given)
    facts: Result = {"data": task.train.name, "arm": arm, "per_class": size, "seed": seed}
    if plan.added and added is None:
        return facts | {"added": 0, "seconds": time.monotonic() - began}
    config = PIXEL_CLASSIFIERS["cnn"].Config.for_data(task.train.shape, len(names), **plan.settings)
    # One pass over as many rows as all steps take: every arm sees the same number of images.
    training = ClassifierTrainingConfig(
        epochs=1, batch_size=protocol.batch_size, held_out=0.0, finish=plan.finish, seed=seed
    )
    examples = mixing.examples(labelled, names, training, None, added, recipe["share"])
    order = np.random.default_rng([seed, size]).permutation(examples.train_rows)
    rows = np.resize(order, protocol.steps * protocol.batch_size)
    network = create_classifier("cnn", config, seed, devices.resolve(protocol.device))
    Run(network, replace(examples, train_rows=rows), training).fit(Callbacks())
    probabilities = inference.probabilities(network, task.test.images)
    predicted = np.array(names)[probabilities.argmax(axis=1)]
    accuracy = metrics.classification(task.test.names_of_labels(), predicted, list(names))["accuracy"]
    count = 0 if added is None else len(added["images"])
    return facts | {"accuracy": accuracy, "added": count, "seconds": time.monotonic() - began}


def added_by(plan: Arm, given: Given) -> "Hybrids | None":
    """What an arm is given beside the labelled images: nothing where these are too few to make a mixture of."""
    from latentcli.hybrids import NoPointAccepted

    try:
        return plan.added(given) if plan.added else None
    except (FitError, NoPointAccepted):
        return None


def on_one_thread() -> None:
    """Cells run side by side; and the same number of threads gives the same bytes, however many run at once."""
    import torch

    torch.set_num_threads(1)


def configured(
    protocol: Protocol, image_shape: "Shape", classes: int, seed: int
) -> "tuple[ModelConfig, TrainingConfig]":
    """What the models are, and how they are trained.

    Raises:
        UsageError: a setting is unknown, or out of range.
    """
    from latentcli.models import FAMILIES
    from latentcli.training.config import TrainingConfig

    of_model, of_training = sorted_out(protocol.settings)
    config = FAMILIES[protocol.family].Config.for_data(image_shape, classes, **of_model)
    return config, TrainingConfig(**({"values_seen": protocol.values_seen} | of_training | {"seed": seed}))


def model_of(images: "ImageSet", classes: int, seed: int, protocol: Protocol, folder: Path) -> "LatentModel":
    """A model trained on images, without their labels; the one that was kept, where there is one.

    Args:
        images: of which the pixels count.
        classes: how many the model is to be ready for.
        seed: of its training.
        protocol: says which model.
        folder: where it is kept.
    """
    from latentcli.artifacts import checkpoint
    from latentcli.core import device as devices
    from latentcli.formats.files import digest
    from latentcli.models import create
    from latentcli.training.loop import Callbacks, Run

    family, path = protocol.family, folder / "vae.pth"
    config, training = configured(protocol, images.shape, classes, seed)

    def train() -> Result:
        network = create(family, config, seed, devices.resolve(protocol.device))
        history = Run(network, images.images, training).fit(Callbacks())
        facts = {"seed": seed, "settings": asdict(training), "history": list(history)}
        saved = checkpoint.Checkpoint(family, asdict(config), images.shape, (), network.state_dict(), facts)
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint.save(path, saved)
        return {"epochs": len(history)}

    identity = {
        "images": digest({"images": images.images}), "family": family, "model": asdict(config),
        "training": asdict(training),
    }  # fmt: skip
    compute(Cell("training", identity, train), folder, path)
    return kept_model(path, protocol.device)
