"""The right size: what settings cost in bits and processor time, and what they gain in likeness and in accuracy.

One cell is one training: one point of a grid of settings, and one seed. Its model, and probes of its latents, are
measured on images that neither has seen.
"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from latentcli.classifiers import PROBES
from latentcli.classifiers.fitting import fit_probe
from latentcli.core.errors import UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.latents import Latents
from latentcli.experiments.cells import Cell, Result, Watch, unwatched_cell
from latentcli.experiments.cells import run as run_cells
from latentcli.experiments.grid import Over, Point, points, settable
from latentcli.experiments.kept_models import trained_once
from latentcli.experiments.tasks import Task
from latentcli.numerics import metrics
from latentcli.numerics.threads import torch_threads
from latentcli.training.train import Plan, plan

FEW, DRAWS = 5, 3
"""Labels of each class that a probe's second figure is of; and how often they are drawn, for a mean."""


@dataclass(frozen=True)
class StudyConfig:
    """What all cells of a study share.

    Attributes:
        family: of the models, where it is not swept over.
        random: number of points, drawn from the grid; None: all of it.
        seed: of that choice.
        probes: registered kinds of probes.
        settings: of models or training, the same at all points; a family that lacks one goes without.
        device: where everything runs.
    """

    family: str = "vqvae"
    random: int | None = None
    seed: int = 0
    probes: tuple[str, ...] = ("mlp",)
    settings: tuple[tuple[str, Any], ...] = ()
    device: str = "cpu"


def cells(task: Task, over: Over, seeds: int, config: StudyConfig, folder: Path) -> list[Cell]:
    """All cells of a study, point by point; arguments as ``study_sweep``.

    Raises:
        UsageError: a family, setting or probe is unknown, or a value is out of range.
    """
    if not config.probes:
        raise UsageError("there is no probe to read the latents with", f"expected some of: {', '.join(PROBES)}")
    probes = {kind: {**PROBES[kind]().get_params(), "device": config.device} for kind in config.probes}
    shared = {"data": task.identity(), "probes": probes, "few": [FEW, DRAWS]}
    made = []
    for point in points(over, config.family, config.random, config.seed, [name for name, _ in config.settings]):
        how = planned(point, task.train, config, seed=0)
        for seed in range(seeds):
            training = asdict(replace(how.training, seed=seed))
            identity = {**shared, "family": point.family, "model": asdict(how.network), "training": training}
            identity |= {} if how.encoder is None else {"encoder": how.encoder.facts}
            name = f"{task.name}-{point.name}-{seed}"
            path = folder / "models" / name / "vae.pth"
            made.append(Cell(name, identity, partial(measured, task, point, seed, config, path)))
    return made


def planned(point: Point, images: ImageSet, config: StudyConfig, seed: int) -> Plan:
    """How a point's model is trained: as ``train`` does, but for the settings of this point and those of all.

    Raises:
        UsageError: a value is out of range, or does not go with another.
    """
    own = settable(point.family)
    settings = {name: value for name, value in config.settings if name in own} | dict(point.settings)
    try:
        return plan(point.family, images, len(images.class_names), {**settings, "seed": seed})
    except UsageError as error:
        at = ", ".join(f"{name} {value}" for name, value in point.facts.items())
        raise UsageError(f"{error.problem}, at the point {at}", error.found, error.remedy) from error


def measured(task: Task, point: Point, seed: int, config: StudyConfig, path: Path) -> Result:
    """Train a point's model, save it, and measure it and probes of its latents on the test images.

    It computes on one thread, since only the same number of threads gives the same bytes.
    """
    images, how = task.train, planned(point, task.train, config, seed)
    which = {"data": images.name, **point.facts, "seed": seed}
    with torch_threads(1):
        model, facts = trained_once(how, images, path, how.identity(images), config.device)
        quality = metrics.reconstruction(task.test.images, model.reconstruct(task.test))
        train, test = model.encode(images), model.encode(task.test)
        read: Result = {}
        for kind in config.probes:
            read[f"{kind}_accuracy"] = accuracy(kind, train, test, None, seed, config.device)
            if images.labels.counts.min() >= FEW:
                draws = (accuracy(kind, train, test, FEW, DRAWS * seed + draw, config.device) for draw in range(DRAWS))
                read[f"{kind}_accuracy_few"] = sum(draws) / DRAWS
    found = {**quality, **model.measures(test), **read, **facts}
    return which | found | which  # settings go before facts of their name, such as the epochs that were needed


def accuracy(kind: str, train: Latents, test: Latents, per_class: int | None, seed: int, device: str) -> float:
    """Accuracy on test latents of a probe that has learned from so many labels of each class, or from all."""
    probe = fit_probe(train, probe=kind, labels_per_class=per_class, seed=seed, device=device)
    scores = metrics.classification(test.labels.texts, probe.predict(test.flat), list(train.labels.names))
    found: float = scores["accuracy"]
    return found


def study_sweep(
    task: Task, over: Over, seeds: int = 1, config: StudyConfig = StudyConfig(), *, folder: str | Path, jobs: int = 1,
    on_cell: Watch = unwatched_cell,
) -> list[Result]:  # fmt: skip
    """Train a model at each point of a grid of settings; measure reconstructions, bits, codes and probes.

    Finished results are saved in the folder, and the same call continues an interrupted study; so does one with more
    values, points or seeds.

    Args:
        task: the data set, as ``experiments.tasks.load_tasks`` gives it, with ``held_out``: what is chosen by a sweep
            should not be chosen by test images.
        over: values by the name of their setting, of models or training; ``model`` for the family. Of several families
            each takes those settings that it has.
        seeds: trainings of each point, from seed 0.
        config: the family, how many points, probes, and settings that all points share.
        folder: of the study; models go to its ``models``.
        jobs: number of processes.
        on_cell: is told of each cell.

    Returns:
        one mapping for each training: its settings, ``bits_per_image`` (of codes; continuous latents have none),
        ``mse``, ``ssim``, ``codes_used``, ``perplexity``, the accuracy of each probe with all labels (``mlp_accuracy``)
        and with five of each class (``mlp_accuracy_few``, the mean of three draws; none where a class has fewer), and
        ``processor_seconds`` of the training.

    Raises:
        UsageError: a family, setting or probe is unknown, a value is out of range; or the folder holds another study.
        OutputError: a result cannot be written.

    Example:
        >>> import latentcli as lc
        >>> from latentcli.experiments.sweep import StudyConfig
        >>> from latentcli.experiments.tasks import Task
        >>> digits = Task(*(lc.load("digits", split=half, classes=["1", "4"]) for half in ("train", "test")))
        >>> small = (("backbone", "mlp"), ("width", 32), ("latent_dim", 2), ("epochs", 1), ("min_steps", 0))
        >>> config = StudyConfig(probes=("knn",), settings=small)
        >>> rows = lc.study_sweep(digits, {"codes": [4, 16]}, 1, config, folder="sweep")
        >>> [(row["codes"], row["bits_per_image"]) for row in rows]
        [(4, 32.0), (16, 64.0)]
    """
    return run_cells(cells(task, over, seeds, config, Path(folder)), Path(folder), on_cell, jobs)
