"""``latentcli study hybrids``: accuracy against the number of labelled images, with and without hybrids."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from latentcli.cli import options
from latentcli.cli.app import command
from latentcli.cli.study import Announcer, study, tasks_of, write
from latentcli.core.errors import UsageError

QUICK: dict[str, Any] = {
    "steps": 250, "batch_size": 32, "count": 3_000, "unlabelled": 10_000, "pixel_budget": 40_000_000
}  # fmt: skip
"""Of a first curve: of a model and of classifiers that have seen less."""

USUAL_SIZES = {True: (5, 20, 100), False: (1, 5, 10, 20, 50, 100, 500, 1000)}
"""Labelled images of each class, of a quick study and of another: those that the data has."""


@command(study)
def hybrids(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A labelled data set: a name, a file or a folder.")],
    test: Annotated[
        str | None, typer.Option(help="The test part of a DATA that has none by its name. Else a sixth is kept.")
    ] = None,
    per_class: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…", help="Labelled images of each class. [of 1,5,10,20,50,100,500,1000 what there are]"
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=1000, help="Repetitions of each. [5; --quick: 2]")] = None,
    arms: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Ways to learn: plain, augmented, mixup, hybrids-labelled, hybrids-unlabelled, pseudo-labels; "
            "and, when they are named, augmented-mixup, spread-labels and as-published.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=10**7, help="Of the optimiser, for every classifier. [1500; --quick: 250]")
    ] = None,
    model: Annotated[str, typer.Option(help="Family of the models that hybrids are made with.")] = "vae",
    quick: Annotated[
        bool, typer.Option("--quick", help="A first curve: fewer sizes, seeds, steps and images.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, max=256, help="Processes. By default one for each core.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder of the study.")] = Path(
        "study-hybrids"
    ),
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Of the models or of their training.")
    ] = None,
    image_size: options.ImageSize = None,
    data_root: options.DataRoot = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Do hybrids make a classifier better? Accuracy against labelled images, beside other ways to learn from them."""
    from latentcli.cli import configuration, console, pictures, study_pictures
    from latentcli.core import device as devices
    from latentcli.experiments import cells, tables
    from latentcli.experiments.arms import ARMS, USUAL
    from latentcli.experiments.hybrids import Protocol, fewest_of_a_class
    from latentcli.experiments.hybrids import cells as cells_of
    from latentcli.formats.files import check_folder
    from latentcli.models import FAMILIES

    FAMILIES[model]  # an unknown name is refused before anything is loaded
    given = (QUICK if quick else {}) | ({} if steps is None else {"steps": steps})
    own = map(configuration.parse, settings or [])
    protocol = Protocol(
        per_class=USUAL_SIZES[quick] if per_class is None else whole_numbers(per_class),
        arms=USUAL if arms is None else tuple(options.names(arms) or ()), family=model,
        settings=tuple(own), device=device, **given,
    )  # fmt: skip
    check_folder(output)
    (task,) = tasks_of([data], [test] if test else [], None, image_size, data_root)
    if per_class is None:
        fewest = fewest_of_a_class(task)
        protocol = replace(
            protocol, per_class=tuple(size for size in protocol.per_class if size <= max(fewest, 1))
        )  # none: refused below
        console.note(f"labelled images of each class: {', '.join(map(str, protocol.per_class))}")
    shared, plan = cells_of(task, seeds or (2 if quick else 5), protocol, output)
    on_cpu = devices.resolve(device).type == "cpu"
    side_by_side = jobs or (os.cpu_count() if on_cpu else None) or 1
    watch = Announcer([*shared, *plan], side_by_side)
    try:
        cells.run(shared, pictures.folder(output), watch, side_by_side)
        results = cells.run(plan, output, watch, side_by_side)
    except KeyboardInterrupt:
        console.note("interrupted: what is finished is kept, and the same call goes on")
        raise
    measured = [result for result in results if "accuracy" in result]
    for arm, size in dict.fromkeys((row["arm"], row["per_class"]) for row in results if "accuracy" not in row):
        console.note(f"warning: {arm} with {size} a class: there was nothing to add, so it is not measured")

    by = "data", "arm", "per_class"
    columns = [tables.Column(arm, ARMS[arm].title + ", %", ".2f", 100.0) for arm in protocol.arms]
    table = tables.markdown(tables.by_arm(measured), ("data", "labelled per class"), columns)
    written = write(
        output,
        {
            "table.json": tables.as_json(measured, by, [tables.ACCURACY]),
            "table.csv": tables.comma_separated(results),
            "table.md": table,
        },
    )
    rows = tables.rows(measured, by, [tables.ACCURACY])
    written.append(study_pictures.of_hybrids(output / "curve.png", task.train.name, rows))
    if json:
        console.result({"cells": results}, as_json=True, written=written)
        return
    console.emit(table)
    console.note(f"written: {output}")


def whole_numbers(text: str) -> tuple[int, ...]:
    """The numbers of a comma-separated option.

    Raises:
        UsageError: one is no whole number of 1 or more.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) < 10**9 for part in parts):
        raise UsageError(f"--per-class {text!r} is no list of whole numbers", "expected 1 or more each, like 1,5,10")
    return tuple(dict.fromkeys(map(int, parts)))
