"""``latentcli study latents``: many trainings under one protocol, one table of them all; and what studies share."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command
from latentcli.core.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from latentcli.core.image_set import ImageSet
    from latentcli.experiments.cells import Cell
    from latentcli.experiments.tables import Column
    from latentcli.experiments.tasks import Task
    from latentcli.models.base import LatentModel
    from latentcli.training.config import TrainingConfig
    from latentcli.training.examples import Examples

study = typer.Typer(help="Compare models under one protocol; what is finished is kept.", no_args_is_help=True)
app.add_typer(study, name="study")

HELD_OUT = 6
"""One image of so many is kept for the test, drawn at random, where a file has no test part of its own."""


@command(study)
def latents(
    data: Annotated[list[str], typer.Argument(metavar="DATA…", help="Labelled data sets: names, files or folders.")],
    test: Annotated[
        list[str] | None,
        typer.Option(help="The test part of a DATA that has none by its name, in their order. Else a sixth is kept."),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder of the study.")] = Path(
        "study"
    ),
    models: Annotated[str, typer.Option(metavar="A,B,…", help="Model families.")] = "vae,vqvae",
    recipe: Annotated[str, typer.Option(metavar="paper|best", help="How they are trained.")] = "best",
    probes: Annotated[
        str, typer.Option("--probe", metavar="mlp,conv,…", help="What reads the latents: kinds of probes.")
    ] = "mlp",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Trainings of each model.")] = 3,
    label_embedding: Annotated[
        bool, typer.Option("--label-embedding", help="Also a VQ-VAE that is shown the labels, and what leaks of them.")
    ] = False,
    superclasses: Annotated[
        str | None, typer.Option("--labels", metavar="coarse|fine", help="Of cifar100: 20 superclasses or 100 classes.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Of all models or of their training."),
    ] = None,
    image_size: options.ImageSize = None,
    data_root: options.DataRoot = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Train model families side by side; compare probe accuracy, reconstructions and bits, beside raw pixels."""
    from latentcli.cli import configuration, console, pictures, study_pictures
    from latentcli.experiments import cells, tables
    from latentcli.experiments.latents import Protocol
    from latentcli.experiments.latents import cells as cells_of
    from latentcli.formats.files import check_folder
    from latentcli.models import FAMILIES

    families = options.names(models) or []
    for family in families:
        FAMILIES[family]  # an unknown name is refused before anything is loaded
    check_folder(output)
    tasks = tasks_of(data, test or [], superclasses, image_size, data_root)
    own = tuple(map(configuration.parse, settings or []))
    kinds = tuple(options.names(probes) or ())
    protocol = Protocol(recipe, kinds, label_embedding, device, own)
    plan = cells_of(tasks, families, seeds, protocol, pictures.folder(output), fit)
    results = cells.run(plan, output, Announcer(plan))

    columns = tables.latents(kinds)
    written = write_tables(output, results, columns)
    written += study_pictures.of_latent_spaces(output, tasks, families, results, columns[:4])
    table = tables.markdown([row for row in results if "leaked" not in row], ("data", "model"), columns)
    leaks = [row for row in results if "leaked" in row]
    if json:
        console.result({"cells": results}, as_json=True, written=written)
        return
    console.emit(table + (f"\n{tables.markdown(leaks, ('data', 'model'), tables.LEAKS)}" if leaks else ""))
    console.note(f"written: {output}")


def tasks_of(
    data: Sequence[str],
    tests: Sequence[str],
    superclasses: str | None,
    image_size: int | None,
    data_root: Path | None,
) -> "list[Task]":
    """The data sets of a study, each in two parts.

    Args:
        data, tests: as on the command line.
        superclasses: "coarse" or "fine", of CIFAR-100; None where it was not said.
        image_size: height and width that both parts are brought to; None leaves them as they are.
        data_root: where named sets are looked up first.

    Raises:
        UsageError: more test parts than data sets that lack one, or superclasses of another set than CIFAR-100.
        DataError: a set has no labels, or its parts do not fit each other.
    """
    from latentcli import data as datasets
    from latentcli.cli import console
    from latentcli.experiments.tasks import Task

    if superclasses not in (None, "coarse", "fine"):
        raise UsageError(f"--labels {superclasses!r} is neither coarse nor fine")
    names = list(data)
    if superclasses is not None and not any(f"{name}-coarse" in datasets.SOURCES for name in data):
        raise UsageError(f"--labels {superclasses} is of cifar100 alone", f"found {', '.join(data)}", "leave it out")
    if superclasses == "coarse":
        names = [f"{name}-coarse" if f"{name}-coarse" in datasets.SOURCES else name for name in data]
    lacking = [name for name in names if name not in datasets.SOURCES]
    if len(tests) > len(lacking):
        raise UsageError(f"{len(tests)} test parts for {len(lacking)} DATA without one", "named sets have their own")
    parts = dict(zip(lacking, tests, strict=False))
    tasks = []
    for name in names:
        load = partial(datasets.load, data_root=data_root, progress=console.progress)
        train = load(name, split="train", image_size=image_size)
        if name in datasets.SOURCES or name in parts:
            resize = image_size is not None
            held = load(parts.get(name, name), split="test", image_shape=train.shape, resize=resize)
        else:
            train, held = divided(train)
        tasks.append(Task(known(train), known(held)))
        if both := tasks[-1].images_in_both():
            console.note(
                f"warning: {both} of the {len(tasks[-1].test)} test images of {train.name} are trained on, too"
            )
        if tasks[-1].train.class_names != tasks[-1].test.class_names:
            raise DataError(f"the two parts of {train.name} have unlike classes")
    if len({task.name for task in tasks}) < len(tasks):
        raise UsageError("two data sets have the same name", f"found {', '.join(task.name for task in tasks)}")
    return tasks


def divided(images: "ImageSet") -> "tuple[ImageSet, ImageSet]":
    """Training and test part of a set that has only one: the same for the same number of images."""
    import numpy as np

    order = np.random.default_rng(0).permutation(len(images))
    count = len(images) // HELD_OUT
    return images.take(np.sort(order[count:])), images.take(np.sort(order[:count]))


def known(images: "ImageSet") -> "ImageSet":
    """The labelled images.

    Raises:
        DataError: there are none of two classes or more.
    """
    import numpy as np

    if images.labels is None or len(np.unique(images.labels[images.labels >= 0])) < 2:
        raise DataError(f"{images.name} has no labels of two classes", "a study measures how well they are told apart")
    return images.take(images.labels >= 0)


class Announcer:
    """Says which cell comes next or is done, and how long the rest will take: each as long as the cells most like it.

    These are the cells that differ from it in their seed alone, or else the one that was finished last.

    Args:
        plan: of the study.
        jobs: how many cells are computed side by side.
    """

    def __init__(self, plan: "Sequence[Cell]", jobs: int = 1) -> None:
        self.count, self.jobs = len(plan), jobs
        self.left = {cell.name for cell in plan}
        self.seconds: dict[str, list[float]] = {}
        self.last = 0.0

    def __call__(self, cell: "Cell", event: str, seconds: float) -> None:
        from latentcli.cli import console

        begins = event == "begins"
        if not begins:
            self.left.discard(cell.name)
        if seconds:
            self.seconds.setdefault(kind(cell.name), []).append(seconds)
            self.last = seconds
        left = "" if event == "kept from before" else self._time_left()
        console.note(f"{self.count - len(self.left) + begins}/{self.count} {cell.name}: {event}{left}")

    def _time_left(self) -> str:
        from latentcli.cli.watching import clock

        if not self.seconds or not self.left:
            return ""
        usual = {name: sum(some) / len(some) for name, some in self.seconds.items()}
        return f", about {clock(sum(usual.get(kind(name), self.last) for name in self.left) / self.jobs)} left"


def kind(name: str) -> str:
    """What the names of cells that differ in their seed alone have in common."""
    return name.rpartition("-")[0]


def fit(
    model: "LatentModel",
    examples: "np.ndarray | Examples",
    config: "TrainingConfig",
    path: Path,
    identity: Mapping[str, Any],
) -> Sequence[Mapping[str, float]]:
    """A training run as ``train`` runs it: watched, stoppable, and going on where it stopped."""
    from latentcli.cli import watching

    wanted = {"cell": dict(identity)}
    state = watching.state_to_resume(path, wanted) if watching.partial(path).exists() else None
    history = watching.fit(model, examples, config, path, wanted, state, again="the same call")
    watching.partial(path).unlink(missing_ok=True)
    return history


def write_tables(folder: Path, results: Sequence[dict[str, Any]], columns: "Sequence[Column]") -> list[Path]:
    """The results of a comparison of latent spaces as JSON, CSV and Markdown."""
    from latentcli.experiments import tables

    measured, leaks = ([row for row in results if ("leaked" in row) == leaking] for leaking in (False, True))
    text = tables.markdown(measured, ("data", "model"), columns)
    if leaks:
        text += f"\n{tables.LEAKED}\n\n{tables.markdown(leaks, ('data', 'model'), tables.LEAKS)}"
    return write(folder, {
        "table.json": tables.as_json(results, ("data", "model"), (*columns, *tables.LEAKS)),
        "table.csv": tables.comma_separated(results),
        "table.md": text,
    })  # fmt: skip


def write(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Texts as files of these names."""
    from latentcli.formats.files import atomic_write

    for name, content in contents.items():
        with atomic_write(folder / name) as file:
            file.write(content.encode())
    return [folder / name for name in contents]
