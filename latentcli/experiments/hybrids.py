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

from latentcli.artifacts.models import save_model
from latentcli.core.errors import DataError, FitError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.experiments.arms import ARMS, USUAL, Given, Lesson
from latentcli.experiments.cells import Cell, Result, Watch, compute, unwatched_cell
from latentcli.experiments.cells import run as run_cells
from latentcli.experiments.kept_models import kept_model
from latentcli.experiments.tasks import Task
from latentcli.hybrids import NoPointAccepted
from latentcli.models.trained import TrainedModel
from latentcli.numerics import metrics
from latentcli.numerics.threads import torch_threads
from latentcli.training import mixing
from latentcli.training.config import ClassifierTrainingConfig, TrainingConfig
from latentcli.training.identity import identity
from latentcli.training.train import configure, trained

if TYPE_CHECKING:
    from latentcli.core.image_set import Shape
    from latentcli.models.base import ModelConfig

PUBLISHED = (("latent_dim", 2), ("components", 1), ("information", 0.0))
"""Settings of the VAE that hybrids were first published with: two dimensions, N(0, I) as prior."""

LABELLED_BUDGET = 100_000_000
"""The pixel budget of a model of labelled images alone, at most; else half of that of the model of all images. One is
trained for every such cell."""

MODEL = "model"
"""Cells of this name train the model of all unlabelled images, which the arms share."""


@dataclass(frozen=True)
class StudyConfig:
    """What all cells of a study share.

    Attributes:
        per_class: numbers of labelled images of each class.
        arms: names in ``ARMS``.
        steps: of the optimiser, for every classifier.
        batch_size: of every classifier.
        count: images that an arm may add, where it does not say how many by itself.
        unlabelled: images without labels that an arm may learn from, drawn for each seed; None: all.
        pixel_budget: of a model's training, as in ``TrainingConfig``.
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
    pixel_budget: int = 700_000_000
    family: str = "vae"
    settings: tuple[tuple[str, Any], ...] = ()
    device: str = "cpu"

    def __post_init__(self) -> None:
        for arm in self.arms:
            if arm not in ARMS:
                raise UsageError(f"unknown arm {arm!r}", f"expected some of: {', '.join(ARMS)}")
        if not self.arms or not self.per_class or min(self.per_class) < 1:
            raise UsageError("a study needs an arm, and one labelled image a class or more")


def cells(task: Task, seeds: int, config: StudyConfig, folder: Path) -> tuple[list[Cell], list[Cell]]:
    """The cells that train what others share, and all others, smallest first.

    Args:
        task: its data set.
        seeds: how many, from 0.
        config: shared by all.
        folder: of the study; models go to its ``models``.

    Raises:
        DataError: a class has fewer images than the largest number asked for.
        UsageError: a setting of the models is unknown, or out of range.
    """
    configured(config, task.train.shape, len(task.train.class_names), 0)
    images, shared = task.identity(), asdict(config)
    for plural in ("per_class", "arms"):
        del shared[plural]
    fewest = fewest_of_a_class(task)
    if max(config.per_class) > fewest:
        raise DataError(
            f"{task.train.name} has too few labelled images for {max(config.per_class)} a class",
            f"its smallest class has {fewest}",
            f"give `per_class` as {','.join(str(size) for size in config.per_class if size <= fewest) or fewest}",
        )
    common = [
        Cell(f"{task.name}-{MODEL}-{seed}", {"data": images, "seed": seed, **shared},
             partial(train_shared, task, seed, config, folder))
        for seed in range(seeds)
        if any(ARMS[arm].shares_model for arm in config.arms)
    ]  # fmt: skip
    arms = [
        Cell(f"{task.name}-{arm}-{size}-{seed}",
             {"data": images, "arm": arm, "recipe": dict(ARMS[arm].recipe),
              "per_class": size, "seed": seed, **shared},
             partial(measured, task, arm, size, seed, config, folder))
        for size in sorted(config.per_class)
        for seed in range(seeds)
        for arm in config.arms
    ]  # fmt: skip
    return common, arms


def fewest_of_a_class(task: Task) -> int:
    """How many labelled training images the smallest class has."""
    return int(task.train.labels.counts.min())


def train_shared(task: Task, seed: int, config: StudyConfig, folder: Path) -> Result:
    """Train the model of all images, without their labels."""
    began = time.monotonic()
    images = without_labels(task, seed, config)
    with torch_threads(1):
        model_of(images, len(task.train.class_names), seed, config, folder / "models" / f"{task.name}-{seed}")
    return {"data": task.train.name, "arm": MODEL, "seed": seed, "seconds": time.monotonic() - began}


def without_labels(task: Task, seed: int, config: StudyConfig) -> ImageSet:
    """The images that arms may learn from without labels."""
    images = task.train.unlabelled()
    if config.unlabelled is None or config.unlabelled >= len(images):
        return images
    rows = np.random.default_rng([seed, len(images)]).permutation(len(images))
    return images.take(np.sort(rows[: config.unlabelled]))


def measured(task: Task, arm: str, size: int, seed: int, config: StudyConfig, folder: Path) -> Result:
    """Train a classifier as the arm says, and measure it on the test images.

    Where the arm finds nothing to add, none is trained: it would be another arm's. The result has no accuracy then.
    Cells run side by side, each on one thread: the same number of threads gives the same bytes.
    """
    began, names = time.monotonic(), task.train.class_names
    labelled, unlabelled = mixing.labelled(task.train, size, seed), without_labels(task, seed, config)

    def model(images: ImageSet, published: bool) -> TrainedModel:
        name = f"{task.name}-{seed}" if images is unlabelled else f"{task.name}-{arm}-{size}-{seed}"
        how = replace(config, family="vae", settings=PUBLISHED) if published else config
        if images is not unlabelled:
            batches = () if published else (("batch_size", config.batch_size),)  # else few steps see many copies
            budget = min(LABELLED_BUDGET, how.pixel_budget // 2)
            how = replace(how, pixel_budget=budget, settings=(*batches, *how.settings))
        return model_of(images, len(names), seed, how, folder / "models" / name)

    seen = config.steps * config.batch_size
    given = Given(labelled, unlabelled, seed, seen, config.count, model, config.device)
    facts: Result = {"data": task.train.name, "arm": arm, "per_class": size, "seed": seed}
    with torch_threads(1):
        lesson = lesson_of(arm, given)
        if lesson is None:
            return facts | {"added": 0, "seconds": time.monotonic() - began}
        accuracy = accuracy_of(lesson, labelled, task, size, seed, config)
    added = 0 if lesson.hybrids is None else len(lesson.hybrids["images"])
    return facts | {"accuracy": accuracy, "added": added, "seconds": time.monotonic() - began}


def lesson_of(arm: str, given: Given) -> Lesson | None:
    """What an arm learns from; None where the labelled images are too few to make a mixture of."""
    try:
        return ARMS[arm].lesson(given, **ARMS[arm].recipe)
    except (FitError, NoPointAccepted):
        return None


def accuracy_of(
    lesson: Lesson, labelled: ImageSet, task: Task, size: int, seed: int, config: StudyConfig
) -> float:  # fmt: skip
    """Of a classifier that has learned from the labelled images and the lesson, on the test images."""
    from latentcli.models import PIXEL_CLASSIFIERS

    names = task.train.class_names
    network_config = PIXEL_CLASSIFIERS["cnn"].Config.for_data(task.train.shape, len(names), **lesson.settings)
    # One pass over as many rows as all steps take: every arm sees the same number of images.
    training = ClassifierTrainingConfig(
        epochs=1, batch_size=config.batch_size, held_out=0.0, finish=lesson.finish, seed=seed
    )
    examples = mixing.examples(labelled, names, training, None, lesson.hybrids, lesson.labelled_fraction)
    order = np.random.default_rng([seed, size]).permutation(examples.train_rows)
    rows = np.resize(order, config.steps * config.batch_size)
    examples = replace(examples, train_rows=rows)
    run = identity("cnn", network_config, training, task.train.name, {"images": examples.images})
    network = trained("cnn", network_config, training, examples, run, names, device=config.device)
    predicted = np.array(names)[network.probabilities(task.test).argmax(axis=1)]
    accuracy: float = metrics.classification(task.test.labels.texts, predicted, list(names))["accuracy"]
    return accuracy


def configured(
    config: StudyConfig, image_shape: "Shape", classes: int, seed: int
) -> "tuple[ModelConfig, TrainingConfig]":
    """What the models are, and how they are trained.

    Raises:
        UsageError: a setting is unknown, or out of range.
    """
    from latentcli.models import FAMILIES

    settings = {"pixel_budget": config.pixel_budget, **dict(config.settings), "seed": seed}
    return configure(FAMILIES[config.family].Config, TrainingConfig, image_shape, classes, settings)


def model_of(images: ImageSet, classes: int, seed: int, config: StudyConfig, folder: Path) -> TrainedModel:
    """A model trained on images, without their labels; the one that was kept, where there is one.

    Args:
        images: of which the pixels count.
        classes: how many the model is to be ready for.
        seed: of its training.
        config: says which model.
        folder: where it is kept.
    """
    family, path = config.family, folder / "vae.pth"
    network_config, training = configured(config, images.shape, classes, seed)
    run = identity(family, network_config, training, images.name, {"images": images.images})

    def train() -> Result:
        model = trained(family, network_config, training, images.images, run, (), device=config.device)
        folder.mkdir(parents=True, exist_ok=True)
        save_model(model, path)
        return {"epochs": len(model.history)}

    compute(Cell("training", run, train), folder, path)
    return kept_model(path, config.device)


def study_hybrids(
    task: Task,
    seeds: int = 5,
    config: StudyConfig = StudyConfig(),
    *,
    folder: str | Path,
    jobs: int = 1,
    on_cell: Watch = unwatched_cell,
) -> list[Result]:
    """Accuracy of a CNN against the number of labelled images, with hybrids beside them and without.

    What is finished is kept in the folder, and the same call goes on.

    Args:
        task: the data set, as ``experiments.tasks.load_tasks`` gives it.
        seeds: repetitions of each cell, from seed 0.
        config: sizes, arms, steps and settings.
        folder: of the study.
        jobs: processes that work side by side.
        on_cell: is told of each cell.

    Returns:
        one mapping for each cell: its arm, labelled images a class, seed and accuracy.

    Raises:
        DataError: a class has fewer images than the largest number asked for.
        UsageError: an unknown setting; or the folder holds another study.
        OutputError: a result cannot be kept.

    Example:
        >>> import latentcli as lc
        >>> from latentcli.experiments.hybrids import StudyConfig
        >>> from latentcli.experiments.tasks import Task
        >>> digits = Task(*(lc.load("digits", split=half, classes=["1", "4"]) for half in ("train", "test")))
        >>> config = StudyConfig(per_class=(5,), arms=("plain", "augmented"), steps=5)
        >>> rows = lc.study_hybrids(digits, 1, config, folder="study-hybrids")
        >>> [(row["arm"], row["per_class"]) for row in rows]
        [('plain', 5), ('augmented', 5)]
    """
    shared, plan = cells(task, seeds, config, Path(folder))
    run_cells(shared, Path(folder), on_cell, jobs)
    return run_cells(plan, Path(folder), on_cell, jobs)
