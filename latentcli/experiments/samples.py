"""How good are samples? New images of each model beside real ones, beside reconstructions and beside codes by chance.

One cell is one set of images of one model and seed, compared with half of the test images; or a training that sets
share. Models, priors and the CNN that looks at all images see the training part only.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from latentcli.core.errors import UsageError
from latentcli.core.progress import Listener
from latentcli.core.settings import check, setting
from latentcli.experiments import latents
from latentcli.experiments.cells import Cell, Result, Watch, unwatched_cell
from latentcli.experiments.cells import run as run_cells
from latentcli.experiments.generators import KINDS, Generator, Made
from latentcli.experiments.realism import CNN, Comparison, Observer
from latentcli.experiments.tasks import Task
from latentcli.hybrids.sampling import SampleRecipe
from latentcli.inference.fidelity import nearest_images

REAL = "real"
"""The name, in place of a kind of images made, of the other half of the test images."""

PRIOR = "prior"
PARTS = (PRIOR, CNN)
"""What else than the models has settings: those begin with such a name and a dot."""

PICTURED, PAIRED = 100, 20
"""Samples of a picture, and those of one that shows the nearest training image of each."""


@dataclass(frozen=True)
class StudyConfig:
    """What all cells of a study share.

    Attributes:
        recipe: of the models, a name in ``recipes.RECIPES``.
        features: in which images are compared: "cnn", of a CNN trained on the training images, or an encoder that is
            trained already, by its name.
        count: images of each set at most; half of the test images where these are fewer.
        temperature, top_p, guidance: of samples, as of ``sample``.
        device: where everything runs.
        settings: of the models or of their training, which override the recipe's; those of the prior begin with
            "prior.", those of the CNN with "cnn.".

    Raises:
        UsageError: a value is out of range, or a setting is of something else.
    """

    recipe: str = "best"
    features: str = CNN
    count: int = setting(5_000, between=(1, 10_000_000))
    temperature: float = SampleRecipe.temperature
    top_p: float = SampleRecipe.top_p
    guidance: float = SampleRecipe.guidance
    device: str = "cpu"
    settings: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        check(self)
        for part, name in ((each.rpartition(".")[0], each) for each, _ in self.settings):
            if part not in ("", *PARTS):
                raise UsageError(
                    f"unknown setting {name!r}", f"expected one of a model, or one of {' or '.join(PARTS)}",
                    f"such as {PRIOR}.epochs",
                )  # fmt: skip

    @property
    def sampling(self) -> SampleRecipe:
        """How samples are drawn."""
        return SampleRecipe(None, self.temperature, self.top_p, self.guidance)

    def of(self, part: str = "") -> dict[str, Any]:
        """The settings of the models, or of one of ``PARTS``, by their own names."""
        split = [(*name.rpartition(".")[::2], value) for name, value in self.settings]
        return {name: value for of, name, value in split if of == part}


def observer_of(task: Task, config: StudyConfig, folder: Path, watch: Callable[[], Any] = Listener) -> Observer:
    """What looks at the images of a task; arguments as of ``study_samples``."""
    return Observer(task, config.features, config.of(CNN), folder, config.device, watch)


def generator_of(
    task: Task, family: str, seed: int, config: StudyConfig, folder: Path, watch: Callable[[], Any] = Listener
) -> Generator:
    """A model of a task with its prior; arguments as of ``study_samples``."""
    own = latents.StudyConfig(recipe=config.recipe, device=config.device, settings=tuple(config.of().items()))
    run = latents.Run(task, family, seed, own, folder, watch)
    return Generator(run, config.of(PRIOR), config.sampling)


def cells(
    tasks: Sequence[Task], families: Sequence[str], seeds: int, config: StudyConfig, folder: Path,
    watch: Callable[[], Any] = Listener,
) -> list[Cell]:  # fmt: skip
    """All cells of a study, in their order: trainings before what they are needed for; arguments as ``study_samples``.

    Raises:
        UsageError: a family, recipe or setting is unknown, or a value is out of range; or there is no such encoder.
        DataError: a data set has too few test images.
        ModelFileError: the encoder's weights cannot be read.
    """
    made = []
    for task in tasks:
        observer = observer_of(task, config, folder, watch)
        made.append(Cell(f"{task.name}-{CNN}", observer.identity, observer.train))
        for seed in range(seeds):
            comparison = Comparison(observer, config.count, seed)
            facts = {"observer": observer.identity, "count": config.count, "seed": seed}
            made.append(Cell(f"{task.name}-{REAL}-{seed}", facts, partial(measured_real, comparison)))
            for family in families:
                generator = generator_of(task, family, seed, config, folder, watch)
                made += of_generator(generator, comparison, facts)
    return made


def of_generator(generator: Generator, comparison: Comparison, facts: dict[str, Any]) -> list[Cell]:
    """The cells of one model and seed: of its trainings, and of each kind of images; ``facts`` identify the rest."""
    run, own = generator.run, generator.identity
    name = f"{run.task.name}-{run.family}"
    made = [Cell(f"{name}-model-{run.seed}", generator.model_identity, generator.train_model)]
    made.append(Cell(f"{name}-{PRIOR}-{run.seed}", own, generator.train_prior))
    for kind, what in KINDS.items():
        if what.of_codes in (None, generator.has_codes):
            drawn = {"recipe": asdict(generator.recipe)} if kind == "samples" else {}
            identity = {**facts, "generator": own, "images": kind, **drawn}
            made.append(Cell(f"{name}-{kind}-{run.seed}", identity, partial(measured, generator, comparison, kind)))
    return made


def measured_real(comparison: Comparison) -> Result:
    """The other half of the test images beside the first."""
    others = comparison.others
    facts = {"data": others.name, "model": "–", "images": REAL, "seed": comparison.seed, "count": len(others)}
    return facts | comparison.measured(Made(others.images, others.labels.texts))


def measured(generator: Generator, comparison: Comparison, kind: str) -> Result:
    """Images of this kind beside real ones, and the seconds that it took to make them."""
    facts = generator.run.facts | {"images": KINDS[kind].title, "count": len(comparison.others)}
    generator.model, generator.prior  # noqa: B018  # trained, or loaded, before the time counts
    began = time.monotonic()
    made = KINDS[kind].make(generator, comparison.others)
    return facts | comparison.measured(made) | {"making_seconds": time.monotonic() - began}


def study_samples(
    tasks: Sequence[Task], families: Sequence[str] = ("vqvae",), seeds: int = 3, config: StudyConfig = StudyConfig(),
    *, folder: str | Path, watch: Callable[[], Any] = Listener, on_cell: Watch = unwatched_cell,
) -> list[Result]:  # fmt: skip
    """How like real images samples are: Fréchet distance, precision, recall, density, coverage, classes and copies.

    Each figure comes beside that of other real images, of reconstructions, of codes drawn each by itself, by their
    frequency in all places, and by that at each place; or, of a model without codes, of samples of its own prior.
    Finished results are saved in the folder, and the same call continues an interrupted study.

    Args:
        tasks: the data sets, as ``experiments.tasks.load_tasks`` gives them.
        families: registered model families.
        seeds: number of trainings of each, from seed 0.
        config: recipe, features, samples and settings.
        folder: of the study; models go to its ``models``.
        watch: makes a ``Listener`` for each training; if it is a context manager, it is entered.
        on_cell: is told of each cell.

    Returns:
        one mapping for each set of images: ``data``, ``model``, ``images``, ``seed``, ``count``, and its measures:
        ``frechet_distance`` (between Gaussians of features, in squares of their unit), ``precision``, ``recall``,
        ``density``, ``coverage``; ``read_right``, the fraction that the CNN reads as their class; ``nearer``, how
        probably one is nearer to a training image, by pixels, than a real one is; ``copied``, the fraction nearer to
        one than 99 % of real images are; and ``making_seconds``.

    Raises:
        UsageError: a family, recipe, encoder or setting is unknown; or the folder holds another study.
        DataError: a data set has too few test images.
        OutputError: a result cannot be written.

    Source: Heusel et al. 2017; Kynkäänniemi et al. 2019; Naeem et al. 2020; Meehan, Chaudhuri & Dasgupta 2020.

    Example:
        >>> import latentcli as lc
        >>> from latentcli.experiments.samples import StudyConfig
        >>> from latentcli.experiments.tasks import Task
        >>> digits = Task(*(lc.load("digits", split=half, classes=["1", "4"]) for half in ("train", "test")))
        >>> small = {"codes": 8, "latent_dim": 4, "width": 32, "epochs": 1, "prior.width": 16, "prior.layers": 1}
        >>> small |= {"prior.epochs": 1, "cnn.width": 16, "cnn.epochs": 1}
        >>> config = StudyConfig(settings=tuple(small.items()))
        >>> rows = lc.study_samples([digits], seeds=1, config=config, folder="study-samples")
        >>> [row["images"] for row in rows]
        ['real', 'reconstructions', 'samples', 'independent codes', 'codes by place']
    """
    results = run_cells(cells(tasks, families, seeds, config, Path(folder), watch), Path(folder), on_cell)
    return [result for result in results if "images" in result]


class Examples(NamedTuple):
    """Samples of a kept model, to be looked at.

    Attributes:
        images, soft_labels, classes: (N, C, H, W) uint8, (N, K) and K names; K is 0 where samples have no classes.
        nearest: (M, C, H, W) uint8: the training images nearest to the first of them.
        distances: (M,) between these, as ``nearest_images`` gives them.
    """

    images: np.ndarray
    soft_labels: np.ndarray
    classes: tuple[str, ...]
    nearest: np.ndarray
    distances: np.ndarray


def examples(task: Task, family: str, config: StudyConfig, folder: Path) -> Examples:
    """Samples of the model of seed 0, of all classes in turn; arguments as of ``study_samples``."""
    made = generator_of(task, family, 0, config, folder).sample(PICTURED)
    names = () if made.classes is None else task.train.class_names
    soft_labels = np.zeros((len(made.images), 0))
    if made.classes is not None:
        soft_labels = (made.classes[:, None] == np.array(names)).astype(np.float64)
    rows, distances = nearest_images(made.images[:PAIRED], task.train.images)
    return Examples(made.images, soft_labels, names, task.train.images[rows], distances)
