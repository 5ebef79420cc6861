"""Do hybrids make a classifier better? Accuracy against the number of labelled images, arm by arm.

One cell is one classifier: one arm, one number of labelled images per class and one seed. Every arm gets the same
labelled images and takes the same number of optimiser steps. A classifier is measured once, on the test part.
"""

import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError, FitError, UsageError
from latentcli.core.image_set import ImageSet
from latentcli.experiments.arms import ARMS, CODES, PUBLISHED, STUDYS, USUAL, Given, Lesson
from latentcli.experiments.cells import Cell, Result, Watch, compute, unwatched_cell
from latentcli.experiments.cells import run as run_cells
from latentcli.experiments.kept_models import kept_model
from latentcli.experiments.tasks import Task
from latentcli.formats.atomic import make_folder
from latentcli.hybrids import NoPointAccepted
from latentcli.inference.classification import classify
from latentcli.models import FAMILIES
from latentcli.models.trained import TrainedModel
from latentcli.numerics import metrics
from latentcli.numerics.threads import torch_threads
from latentcli.training import mixing
from latentcli.training.config import ClassifierTrainingConfig
from latentcli.training.identity import identity
from latentcli.training.train import Plan, begun_lr, plan, trained

AS_PUBLISHED = (("latent_dim", 2), ("components", 1), ("information", 0.0))
"""Settings of the VAE that hybrids were first published with: two dimensions, N(0, I) as prior."""

LABELLED_BUDGET = 100_000_000
"""The largest pixel budget of a model of labelled images alone, of which every such cell trains one; at most half the
budget of the model of all images."""

MODEL = "model"
"""The name, in place of an arm's, of cells that train the model of all images, which arms share."""


@dataclass(frozen=True)
class StudyConfig:
    """What all cells of a study share.

    Attributes:
        per_class: numbers of labelled images of each class.
        arms: names in ``ARMS``.
        steps, batch_size: of the optimiser, for every classifier.
        count: number of images to add, for arms that do not choose it themselves.
        unlabelled: number of images without labels to learn from, drawn for each seed; None: all.
        pixel_budget: of a model's training, as in ``TrainingConfig``.
        family: of the models.
        settings: of the models or of their training, which override the defaults.
        device: where everything runs.

    Raises:
        UsageError: an arm is unknown, or a number out of range.
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
    """The cells that train models which others share, and all others, smallest first; arguments as ``study_hybrids``.

    Raises:
        DataError: a class has fewer images than the largest number asked for.
        UsageError: a setting of the models is unknown, or out of range.
    """
    planned(config, task.train, len(task.train.class_names), 0)
    images = task.identity()
    shared = {name: value for name, value in asdict(config).items() if name not in ("per_class", "arms")}
    fewest = fewest_of_a_class(task)
    if max(config.per_class) > fewest:
        raise DataError(
            f"{task.train.name} has too few labelled images for {max(config.per_class)} a class",
            f"its smallest class has {fewest}",
            f"give `per_class` as {','.join(str(size) for size in config.per_class if size <= fewest) or fewest}",
        )
    needed = dict.fromkeys(kind_of(which, config) for arm in config.arms for which in ARMS[arm].shares)
    common = [
        Cell(name_of_shared(task, which, seed), {"data": images, "seed": seed, **shared},
             partial(train_shared, task, which, seed, config, folder))
        for seed in range(seeds)
        for which in needed
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
    """The number of labelled training images of the smallest class."""
    return int(task.train.labels.counts.min())


def kind_of(which: str, config: StudyConfig) -> str:
    """``STUDYS`` also for a model with codes, where the study's family has some."""
    return STUDYS if which == CODES and "codes" in FAMILIES[config.family].FEATURES else which


def name_of_shared(task: Task, which: str, seed: int) -> str:
    """The name of the cell that trains a model which arms share."""
    return f"{task.name}-{MODEL}-{seed}" if which == STUDYS else f"{task.name}-{MODEL}-{which}-{seed}"


def configured(which: str, config: StudyConfig) -> StudyConfig:
    """The study's configuration with the family and the settings of such a model."""
    if which == PUBLISHED:
        return replace(config, family="vae", settings=AS_PUBLISHED)
    if which == CODES:  # as the family trains by default
        return replace(config, family="vqvae", settings=(("pixel_budget", None),))
    return config


def train_shared(task: Task, which: str, seed: int, config: StudyConfig, folder: Path) -> Result:
    """Train a model of all images, without their labels."""
    began = time.monotonic()
    images = without_labels(task, seed, config)
    with torch_threads(1):
        shared_model(images, task, which, seed, config, folder)
    return {"data": task.train.name, "arm": MODEL, "seed": seed, "seconds": time.monotonic() - began}


def shared_model(
    images: ImageSet, task: Task, which: str, seed: int, config: StudyConfig, folder: Path
) -> TrainedModel:  # fmt: skip
    """A model of all images, loaded if it was saved before."""
    name = f"{task.name}-{seed}" if which == STUDYS else f"{task.name}-{which}-{seed}"
    how = configured(which, config)
    return model_of(images, len(task.train.class_names), seed, how, folder / "models" / name)


def without_labels(task: Task, seed: int, config: StudyConfig) -> ImageSet:
    """The images without labels from which arms may learn."""
    images = task.train.unlabelled()
    if config.unlabelled is None or config.unlabelled >= len(images):
        return images
    rows = np.random.default_rng([seed, len(images)]).permutation(len(images))
    return images.take(np.sort(rows[: config.unlabelled]))


def measured(task: Task, arm: str, size: int, seed: int, config: StudyConfig, folder: Path) -> Result:
    """Train a classifier as the arm says, and measure it on the test images.

    If the labelled images are too few for the arm, no classifier is trained, and the result has no accuracy. Every
    cell runs on one thread, since only the same number of threads gives the same bytes.
    """
    began, names = time.monotonic(), task.train.class_names
    labelled, unlabelled = mixing.labelled(task.train, size, seed), without_labels(task, seed, config)

    def model(images: ImageSet, which: str) -> TrainedModel:
        if images is unlabelled:
            return shared_model(images, task, kind_of(which, config), seed, config, folder)
        how = configured(which, config)
        batches = () if which == PUBLISHED else (("batch_size", config.batch_size),)  # the default takes too few steps
        budget = min(LABELLED_BUDGET, how.pixel_budget // 2)
        how = replace(how, pixel_budget=budget, settings=(*batches, *how.settings))
        return model_of(images, len(names), seed, how, folder / "models" / f"{task.name}-{arm}-{size}-{seed}")

    seen = config.steps * config.batch_size
    given = Given(labelled, unlabelled, seed, seen, config.count, model, config.device)
    facts: Result = {"data": task.train.name, "arm": arm, "per_class": size, "seed": seed}
    with torch_threads(1):
        lesson = lesson_of(arm, given)
        if lesson is None:
            return facts | {"added": 0, "seconds": time.monotonic() - began}
        if lesson.reader is None:
            accuracy = accuracy_of(lesson, labelled, task, size, seed, config)
        else:
            accuracy = classify(task.test, *lesson.reader).scores()["accuracy"]
    added = 0 if lesson.hybrids is None else len(lesson.hybrids["images"])
    return facts | {"accuracy": accuracy, "added": added, "seconds": time.monotonic() - began}


def lesson_of(arm: str, given: Given) -> Lesson | None:
    """What an arm learns from; None if the labelled images are too few to fit a mixture."""
    try:
        return ARMS[arm].lesson(given, **ARMS[arm].recipe)
    except (FitError, NoPointAccepted):
        return None


def accuracy_of(
    lesson: Lesson, labelled: ImageSet, task: Task, size: int, seed: int, config: StudyConfig
) -> float:  # fmt: skip
    """Test accuracy of a classifier trained on the labelled images and the lesson."""
    from latentcli.models import PIXEL_CLASSIFIERS

    names = task.train.class_names
    classifier, start = PIXEL_CLASSIFIERS["cnn"], lesson.start
    begun = {} if start is None else classifier.Config.encoder_of(start.config)
    network_config = classifier.Config.for_data(task.train.shape, len(names), **lesson.settings, **begun)
    # One pass over as many rows as all steps take: every arm sees the same number of images.
    lr = ClassifierTrainingConfig.lr if start is None else begun_lr(network_config)
    training = ClassifierTrainingConfig(
        epochs=1, batch_size=config.batch_size, held_out=0.0, finish=lesson.finish, seed=seed, lr=lr
    )
    examples = mixing.examples(labelled, names, training, None, lesson.hybrids, lesson.labelled_fraction)
    order = np.random.default_rng([seed, size]).permutation(examples.train_rows)
    examples = replace(examples, train_rows=np.resize(order, config.steps * config.batch_size))
    run = identity("cnn", network_config, training, task.train.name, {"images": examples.images})
    weights = None if start is None else classifier.weights_of(start.latent_network.encoder)
    network = trained("cnn", network_config, training, examples, run, names, weights, device=config.device)
    predicted = np.array(names)[network.probabilities(task.test).argmax(axis=1)]
    accuracy: float = metrics.classification(task.test.labels.texts, predicted, list(names))["accuracy"]
    return accuracy


def planned(config: StudyConfig, images: ImageSet, classes: int, seed: int) -> Plan:
    """How the models are trained; a ``UsageError`` if a setting is wrong."""
    settings = {"pixel_budget": config.pixel_budget, **dict(config.settings), "seed": seed}
    return plan(config.family, images, classes, settings)


def model_of(images: ImageSet, classes: int, seed: int, config: StudyConfig, folder: Path) -> TrainedModel:
    """A model trained on the pixels of images, loaded if it was saved in the folder before.

    Args:
        images: to train on.
        classes: number of classes, from which the family may derive settings.
        seed: of its training.
        config: of the model.
        folder: where it is saved.
    """
    path, how = folder / "vae.pth", planned(config, images, classes, seed)

    def train() -> Result:
        model = how.carry_out(images, (), device=config.device)
        make_folder(folder)
        model.save(path)
        return {"epochs": len(model.history)}

    compute(Cell("training", how.identity(images), train), folder, path)
    return kept_model(path, config.device)


def study_hybrids(
    task: Task, seeds: int = 5, config: StudyConfig = StudyConfig(), *, folder: str | Path, jobs: int = 1,
    on_cell: Watch = unwatched_cell,
) -> list[Result]:  # fmt: skip
    """Accuracy of a CNN against the number of labelled images, with and without hybrids beside them.

    Finished results are saved in the folder, and the same call continues an interrupted study.

    Args:
        task: the data set, as ``experiments.tasks.load_tasks`` gives it.
        seeds: repetitions of each cell, from seed 0.
        config: sizes, arms, steps and settings.
        folder: of the study; models go to its ``models``.
        jobs: number of processes.
        on_cell: is told of each cell.

    Returns:
        one mapping for each cell: its arm, labelled images per class, seed and accuracy.

    Raises:
        DataError: a class has fewer images than the largest number asked for.
        UsageError: a setting is unknown; or the folder holds another study.
        OutputError: a result cannot be written.

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
