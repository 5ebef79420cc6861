"""``latentcli study latents``: many trainings under one protocol, one table of them all; and what studies share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import COMPARE, app, command

if TYPE_CHECKING:
    from latentcli.experiments.cells import Cell
    from latentcli.experiments.tasks import Task

study = typer.Typer(
    name="study", help="Compare models under one protocol; what is finished is kept.", no_args_is_help=True
)
app.add_typer(study, name="study", rich_help_panel=COMPARE)


@command(study, examples=["latentcli study latents mnist --models vae,vqvae --seeds 3 -o study"])
def latents(
    data: Annotated[list[str], Argument(metavar="DATA…", help="Labelled data sets: names, files or folders.")],
    test: Annotated[
        list[str] | None, Option(help="Test parts of those DATA that have none, in their order. Else a sixth is kept.")
    ] = None,
    output: options.StudyFolder = Path("study"),
    models: Annotated[str, Option(metavar="A,B,…", help="Model families.")] = "vae,vqvae",
    recipe: Annotated[str, Option(metavar="paper|best", help="How they are trained.")] = "best",
    probes: Annotated[str, Option("--probe", metavar="mlp,conv,…", help="Kinds of probes of the latents.")] = "mlp",
    seeds: Annotated[int, Option(min=1, max=1000, help="Trainings of each model.")] = 3,
    label_embedding: Annotated[
        bool, Option("--label-embedding", help="Also a VQ-VAE that is shown the labels, and what leaks of them.")
    ] = False,
    superclasses: Annotated[
        str | None, Option("--labels", metavar="coarse|fine", help="Of cifar100: 20 superclasses or 100 classes.")
    ] = None,
    settings: options.Settings = None,
    image_size: options.ImageSize = None,
    data_root: options.DataRoot = None,
    report: options.Report = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Train model families side by side; compare probe accuracy, reconstructions and bits, beside raw pixels."""
    from latentcli import pictures
    from latentcli.cli import inputs, training_progress
    from latentcli.experiments import latents as comparison
    from latentcli.experiments import tables
    from latentcli.experiments.kept_models import kept_model
    from latentcli.formats.atomic import check_folder
    from latentcli.models import FAMILIES

    families = options.names(models) or []
    for family in families:
        FAMILIES[family]  # an unknown name is refused before anything is loaded
    check_folder(output)
    inputs.check_report(report, [*data, *(test or [])])
    kinds = tuple(options.names(probes) or ())
    own = tuple(map(options.parse, settings or []))
    config = comparison.StudyConfig(recipe, kinds, label_embedding, device, own)
    tasks = load_tasks(data, test or [], superclasses, image_size, data_root)
    plan = comparison.cells(tasks, families, seeds, config, output)
    with the_same_call_goes_on():
        results = comparison.study_latents(
            tasks, families, seeds, config, folder=output, watch=training_progress.TrainingProgress,
            on_cell=StudyProgress(plan),
        )  # fmt: skip
    models_of = (
        (f"{task.name}-{family}", kept_model(comparison.checkpoint_of(output, task, family, 0)), task.test)
        for task in tasks
        for family in families
    )

    columns = tables.latents(kinds)
    written = tables.write(output, tables.of_latents(results, columns))
    written += pictures.of_latent_spaces(output, results, columns[:4], models_of)
    table = tables.cells([row for row in results if "leaked" not in row], ("data", "model"), columns)
    told = {"data": data, "models": families, "seeds": seeds, "recipe": recipe, "settings": dict(own)}
    page = Page("A study of latent spaces", table, told)
    tell(results, tables.shown(results, columns), written, page, output, report, json)


@dataclass(frozen=True)
class Page:
    """What the report of a study holds beside its pictures: a title, a table, and what was run."""

    title: str
    table: list[list[str]]
    told: dict[str, Any]


def tell(
    results: "list[dict[str, Any]]", shown: str, written: list[Path], page: Page, output: Path, report: Path | None,
    json: bool,
) -> None:  # fmt: skip
    """Write the report of a study, where one is asked for, and say what it has found.

    Args:
        results: of each cell.
        shown: their table, as text.
        written: the files that there are; the report becomes one of them.
        page: for the report.
        output, report, json: as on the command line.
    """
    from latentcli import pictures
    from latentcli.cli import console

    if report is not None:
        pictures.report(
            report, page.told, title=page.title, drawn=written, table=page.table, command=console.called()
        )  # fmt: skip
        written.append(report)
    if json:
        console.result({"cells": results}, as_json=True, written=written)
        return
    console.emit(shown)
    console.note(f"written: {output}")


def side_by_side(jobs: int | None, device: str) -> int:
    """How many processes compute the cells of a study: as many as were asked for, or one for each core of a CPU."""
    from latentcli.core import device as devices
    from latentcli.numerics import threads

    return jobs or (threads.available() if devices.resolve(device).type == "cpu" else 1)


@contextmanager
def the_same_call_goes_on() -> Iterator[None]:
    """Says so where a study is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted: what is finished is kept, and the same call goes on") from None


def load_tasks(
    data: Sequence[str], tests: Sequence[str], superclasses: str | None, image_size: int | None, data_root: Path | None,
    held_out: bool = False,
) -> "list[Task]":  # fmt: skip
    """The data sets of a study, as ``tasks.load_tasks`` has them, with a warning of test images that are trained on."""
    from latentcli.cli import console
    from latentcli.experiments import tasks

    found = tasks.load_tasks(data, tests, superclasses, image_size, data_root, console.progress, held_out)
    for task in found:
        if both := task.images_in_both():
            images = f"{both} of the {len(task.test)} test images of {task.train.name}"
            console.note(f"warning: {images} are trained on, too")
    return found


class StudyProgress:
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
        from latentcli.cli.training_progress import clock

        if not self.seconds or not self.left:
            return ""
        usual = {name: sum(some) / len(some) for name, some in self.seconds.items()}
        return f", about {clock(sum(usual.get(kind(name), self.last) for name in self.left) / self.jobs)} left"


def kind(name: str) -> str:
    """What the names of cells that differ in their seed alone have in common."""
    return name.rpartition("-")[0]
