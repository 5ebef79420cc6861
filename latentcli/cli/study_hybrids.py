"""``latentcli study hybrids``: accuracy against the number of labelled images, with and without hybrids."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import command
from latentcli.cli.study import Page, StudyProgress, load_tasks, side_by_side, study, tell, the_same_call_goes_on
from latentcli.core.errors import UsageError

QUICK: dict[str, Any] = {
    "steps": 250, "batch_size": 32, "count": 3_000, "unlabelled": 10_000, "pixel_budget": 40_000_000
}  # fmt: skip
"""Of a first curve: of a model and of classifiers that have seen less."""

USUAL_SIZES = {True: (5, 20, 100), False: (1, 5, 10, 20, 50, 100, 500, 1000)}
"""Labelled images of each class, of a quick study and of another: those that the data has."""

WAYS = (
    "Ways to learn: plain, augmented, mixup, hybrids-labelled, hybrids-unlabelled, pseudo-labels; "
    "others only when they are named: hybrids-graph, samples, hybrids-codes, begun, graph, augmented-mixup, "
    "spread-labels, as-published."
)


@command(study, examples=["latentcli study hybrids mnist --quick", "latentcli study hybrids photos --per-class 5,10"])
def hybrids(
    data: Annotated[str, Argument(metavar="DATA", help="A labelled data set: a name, a file or a folder.")],
    test: Annotated[str | None, Option(help="The test part of a DATA that has none. Else a sixth is kept.")] = None,
    per_class: Annotated[
        str | None, Option(metavar="N,N,…", help="Labelled images. [of 1,5,10,20,50,100,500,1000 what there are]")
    ] = None,
    seeds: Annotated[int | None, Option(min=1, max=1000, help="Repetitions of each. [5; --quick: 2]")] = None,
    arms: Annotated[str | None, Option(metavar="A,B,…", help=WAYS)] = None,
    steps: Annotated[int | None, Option(min=1, max=10**7, help="For every classifier. [1500; --quick: 250]")] = None,
    model: Annotated[str, Option(help="Family of the models that hybrids are made with.")] = "vae",
    quick: Annotated[bool, Option("--quick", help="A first curve: fewer sizes, seeds, steps and images.")] = False,
    jobs: Annotated[int | None, Option(min=1, max=256, help="Processes. By default one for each core.")] = None,
    output: options.StudyFolder = Path("study-hybrids"),
    settings: options.Settings = None,
    image_size: options.ImageSize = None,
    data_root: options.DataRoot = None,
    report: options.Report = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Do hybrids make a classifier better? Accuracy against labelled images, beside other ways to learn from them."""
    from latentcli import pictures
    from latentcli.cli import console, inputs
    from latentcli.experiments import hybrids as comparison
    from latentcli.experiments import tables
    from latentcli.experiments.arms import ARMS, USUAL
    from latentcli.formats.atomic import check_folder
    from latentcli.models import FAMILIES

    FAMILIES[model]  # an unknown name is refused before anything is loaded
    given = (QUICK if quick else {}) | ({} if steps is None else {"steps": steps})
    config = comparison.StudyConfig(
        per_class=USUAL_SIZES[quick] if per_class is None else whole_numbers(per_class),
        arms=USUAL if arms is None else tuple(options.names(arms) or ()), family=model,
        settings=tuple(map(options.parse, settings or [])), device=device, **given,
    )  # fmt: skip
    check_folder(output)
    inputs.check_report(report, [data, test])
    (task,) = load_tasks([data], [test] if test else [], None, image_size, data_root)
    if per_class is None:
        most = max(comparison.fewest_of_a_class(task), 1)  # none: refused below
        config = replace(config, per_class=tuple(size for size in config.per_class if size <= most))
    repetitions = seeds or (2 if quick else 5)
    shared, plan = comparison.cells(task, repetitions, config, output)
    if per_class is None:
        console.note(f"labelled images of each class: {', '.join(map(str, config.per_class))}")
    processes = side_by_side(jobs, device)
    watch = StudyProgress([*shared, *plan], processes)
    pictures.folder(output)
    with the_same_call_goes_on():
        results = comparison.study_hybrids(task, repetitions, config, folder=output, jobs=processes, on_cell=watch)
    for arm, size in dict.fromkeys((row["arm"], row["per_class"]) for row in results if "accuracy" not in row):
        console.note(f"warning: {arm} with {size} a class: there was nothing to add, so it is not measured")

    titles = {arm: ARMS[arm].title for arm in config.arms}
    contents, rows = tables.of_hybrids(results, titles)
    written = tables.write(output, contents)
    written.append(pictures.accuracy_curve(output / "curve.png", task.train.name, rows, titles))
    told = {"data": task.train.name, "seeds": repetitions, "steps": config.steps, "settings": dict(config.settings)}
    page = Page("A study of hybrids", tables.cells_of_hybrids(results, titles), told)
    tell(results, contents["table.md"], written, page, output, report, json)


def whole_numbers(text: str) -> tuple[int, ...]:
    """The numbers of a comma-separated option.

    Raises:
        UsageError: one is no whole number of 1 or more.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) < 10**9 for part in parts):
        raise UsageError(f"--per-class {text!r} is no list of whole numbers", "expected 1 or more each, like 1,5,10")
    return tuple(dict.fromkeys(map(int, parts)))
