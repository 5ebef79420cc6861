"""Latent spaces side by side: the accuracy of probes, the quality of reconstructions, and the bits per image.

One cell of the study is one training of one family on one data set with one seed, with probes fitted to the latents
of the training images; it is measured once, on test images that neither has seen. A control gives the same probes the
pixels themselves.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.classifiers import PROBES
from latentcli.core.errors import UsageError
from latentcli.core.image_set import ImageSet
from latentcli.core.progress import Listener
from latentcli.experiments.cells import Cell, Result, Watch, unwatched_cell
from latentcli.experiments.cells import run as run_cells
from latentcli.experiments.kept_models import in_study, trained_once
from latentcli.experiments.recipes import recipe
from latentcli.experiments.tasks import Task
from latentcli.numerics import metrics
from latentcli.training.train import Plan, plan

PIXELS = "pixels"
"""The control: no model, the probe reads the images."""
LABELLED = "vqvae-with-labels"
"""A VQ-VAE that is given the labels (see ``label_embedding``)."""


@dataclass(frozen=True)
class StudyConfig:
    """What all cells of a study share.

    Attributes:
        recipe: a name in ``recipes.RECIPES``.
        probes: registered kinds of probes.
        label_embedding: also train a VQ-VAE that is given the labels, and measure how they leak.
        device: where everything runs.
        settings: of models or training, which override the recipe's; for trials.
    """

    recipe: str = "best"
    probes: tuple[str, ...] = ("mlp",)
    label_embedding: bool = False
    device: str = "cpu"
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Run:
    """One training of a study.

    Attributes:
        task: the data set.
        family: registered, or one of ``PIXELS`` and ``LABELLED``.
        seed: of all randomness.
        config, folder: of the study.
        watch: makes a listener for the training.
    """

    task: Task
    family: str
    seed: int
    config: StudyConfig
    folder: Path
    watch: Callable[[], Any]

    @property
    def path(self) -> Path:
        """Where the model is saved, in a folder with the cell's name."""
        return checkpoint_of(self.folder, self.task, self.family, self.seed)

    @property
    def facts(self) -> Result:
        """The entries of the result that say which training it is of."""
        return {"data": self.task.train.name, "model": self.family, "seed": self.seed}

    def planned(self) -> Plan:
        """How it is trained, by the recipe's settings, overridden by the study's; views are the same for all data.

        Raises:
            UsageError: the family, the recipe or a setting is unknown, or a value is out of range.
        """
        from latentcli.models import FAMILIES

        family, images = "vqvae" if self.family == LABELLED else self.family, self.task.train
        config = FAMILIES[family].Config
        views = {"views": config.views} if "views" in config.settable() else {}
        of_recipe = recipe(self.config.recipe, family, images.shape, len(images))
        return plan(family, images, None, {**views, **of_recipe, **dict(self.config.settings), "seed": self.seed})

    def trained_with(self) -> dict[str, Any]:
        """All settings of the training, as plain values; errors as for ``planned``."""
        how = self.planned()
        found = {"model": asdict(how.network), "training": asdict(how.training)}
        return found if how.encoder is None else {**found, "encoder": how.encoder.facts}


def cells(
    tasks: Sequence[Task], families: Sequence[str], seeds: int, config: StudyConfig, folder: Path,
    watch: Callable[[], Any] = Listener,
) -> list[Cell]:  # fmt: skip
    """All cells of a study, for each data set and seed the control, then each family; arguments as ``study_latents``.

    Raises:
        UsageError: a family, recipe, probe or setting is unknown, or a value is out of range.
    """
    if not config.probes:
        raise UsageError("there is no probe to read the latents with", f"expected some of: {', '.join(PROBES)}")
    probes = {kind: {**PROBES[kind]().get_params(), "device": config.device} for kind in config.probes}
    made = []
    for task in tasks:
        images = task.identity()
        for seed in range(seeds):
            for family in (PIXELS, *families, *([LABELLED] if config.label_embedding else [])):
                run = Run(task, family, seed, config, folder, watch)
                identity: dict[str, Any] = {"data": images, "family": family, "seed": seed, "probes": probes}
                identity |= {} if family == PIXELS else run.trained_with()
                made.append(Cell(run.path.parent.name, identity, partial(KINDS.get(family, measured), run, identity)))
    return made


def checkpoint_of(folder: Path, task: Task, family: str, seed: int) -> Path:
    """Where the model of a cell is saved."""
    return folder / "models" / f"{task.name}-{family}-{seed}" / "vae.pth"


def control(run: Run, cell: Mapping[str, Any]) -> Result:
    """The probe on pixels."""
    parts = (np.moveaxis(part.images, 1, -1) for part in (run.task.train, run.task.test))
    train, test = (part.reshape(len(part), -1).astype(np.float32) / 255 for part in parts)
    channels, height, width = run.task.train.shape
    return run.facts | probed(run, train, test, (height, width, channels), run.config.probes)


def probed(
    run: Run, train: np.ndarray, test: np.ndarray, shape: tuple[int, int, int] | None, kinds: Sequence[str]
) -> Result:
    """Test accuracy of probes fitted to features of the training images, as ``KIND_accuracy``, and ``KIND_seconds``.

    Args:
        run: with the labels and the seed.
        train, test: (N, F) features.
        shape: (height, width, channels) of the features if they are maps.
        kinds: of probes.
    """
    labels, truth = run.task.train.labels, run.task.test.labels
    result: Result = {}
    for kind in kinds:
        began = time.monotonic()
        probe = PROBES[kind](random_state=run.seed, device=run.config.device, shape=shape)
        probe.fit(train, labels.texts, classes=labels.names)
        scores = metrics.classification(truth.texts, probe.predict(test), list(labels.names))
        result |= {f"{kind}_accuracy": scores["accuracy"], f"{kind}_seconds": time.monotonic() - began}
    return result


def measured(run: Run, cell: Mapping[str, Any]) -> Result:
    """Train a model, save it, and measure it and probes of its latents on the test images."""
    model, facts = trained_once(run.planned(), run.task.train, run.path, cell, run.config.device, run.watch)
    train, test = (model.encode(part) for part in (run.task.train, run.task.test))
    scores = probed(run, train.flat, test.flat, train.feature_shape(None), run.config.probes)
    quality = metrics.reconstruction(run.task.test.images, model.reconstruct(run.task.test))
    return {**run.facts, **scores, **quality, **model.measures(test), **facts}


def leaking(run: Run, cell: Mapping[str, Any]) -> Result:
    """Accuracy of a probe of codes made with labels, by when the encoder is given the labels.

    Returns:
        ``leaked``: accuracy with labels when the probe is fitted and when it is tested; ``labels_at_fitting``: only
        when it is fitted; ``without_labels``: never, though the model was trained with them.
    """
    from latentcli.core import device as devices
    from latentcli.experiments import label_embedding
    from latentcli.models.backbones import initialise
    from latentcli.models.vqvae import VQVAEConfig
    from latentcli.numerics.random import generator_for
    from latentcli.training.resumable import fit

    how = run.planned()
    training = how.training
    assert isinstance(how.network, VQVAEConfig)
    images, classes = run.task.train, len(run.task.train.class_names)
    network = label_embedding.LabelledVQVAE(how.network, classes)
    initialise(network, generator_for(run.seed, "weights"))
    network.to(devices.resolve(run.config.device))
    examples = label_embedding.examples(images.images, images.labels.codes, classes, training)
    in_study(run.watch, run.path, fit, network, examples, training, identity=cell)

    def features(part: ImageSet, given: bool) -> np.ndarray:
        return label_embedding.features(network, part.images, part.labels.codes if given else None)

    shape, kind = network.feature_shape(network.FEATURES[0]), run.config.probes[0]
    (train, test), (plain_train, plain_test) = (
        [features(part, given) for part in (images, run.task.test)] for given in (True, False)
    )
    pairs = {"leaked": (train, test), "labels_at_fitting": (train, plain_test),
             "without_labels": (plain_train, plain_test)}  # fmt: skip
    read = {name: probed(run, *pair, shape, [kind])[f"{kind}_accuracy"] for name, pair in pairs.items()}
    return run.facts | read


KINDS = {PIXELS: control, LABELLED: leaking}
"""The functions that compute cells of no registered family."""


def study_latents(
    tasks: Sequence[Task], families: Sequence[str] = ("vae", "vqvae"), seeds: int = 3,
    config: StudyConfig = StudyConfig(), *, folder: str | Path, watch: Callable[[], Any] = Listener,
    on_cell: Watch = unwatched_cell,
) -> list[Result]:  # fmt: skip
    """Train model families side by side; measure probes, reconstructions and bits, beside raw pixels.

    Finished results are saved in the folder, and the same call continues an interrupted study.

    Args:
        tasks: the data sets, as ``experiments.tasks.load_tasks`` gives them.
        families: registered model families.
        seeds: number of trainings of each, from seed 0.
        config: recipe, probes and settings.
        folder: of the study; models go to its ``models``.
        watch: makes a ``Listener`` for each training; if it is a context manager, it is entered.
        on_cell: is told of each cell.

    Returns:
        one mapping of metrics by name for each training.

    Raises:
        UsageError: a family, recipe, probe or setting is unknown; or the folder holds another study.
        OutputError: a result cannot be written.

    Example:
        >>> import latentcli as lc
        >>> from latentcli.experiments.latents import StudyConfig
        >>> from latentcli.experiments.tasks import Task
        >>> digits = Task(*(lc.load("digits", split=half, classes=["1", "4"]) for half in ("train", "test")))
        >>> small = (("backbone", "mlp"), ("width", 32), ("latent_dim", 2), ("epochs", 1))
        >>> rows = lc.study_latents([digits], ["vae"], 1, StudyConfig(probes=("knn",), settings=small), folder="study")
        >>> [row["model"] for row in rows]
        ['pixels', 'vae']
    """
    plan = cells(tasks, families, seeds, config, Path(folder), watch)
    return run_cells(plan, Path(folder), on_cell)
