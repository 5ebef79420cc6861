"""``latentcli study sweep``: what any settings cost in bits and time, and what they gain, as a table and a front."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import command
from latentcli.cli.study import Page, StudyProgress, load_tasks, side_by_side, study, tell, the_same_call_goes_on
from latentcli.core.errors import UsageError


@command(study, examples=[
    "latentcli study sweep mnist --over codes=64,256,1024 --over latent_dim=8,64 --set epochs=5",
    "latentcli study sweep photos --over model=vqvae,fsq --over stages=1,2,3 --over codes=64,512 --random 8",
    "latentcli study sweep scans --model fsq --over levels=3,5,'\"8,6,5\"' --seeds 3 --report sweep.html",
])  # fmt: skip
def sweep(
    data: Annotated[str, Argument(metavar="DATA", help="A labelled data set: a name, a file or a folder.")],
    over: Annotated[
        list[str] | None,
        Option(
            metavar="KEY=A,B,…",
            help="Values of a setting: see `latentcli settings`; model=vqvae,fsq for families, each of which takes the "
            'settings it has. A value with a comma stands in double quotes: levels=5,"8,6,5". Repeatable.',
        ),
    ] = None,
    test: Annotated[
        str | None, Option(help="Images to measure on. Else a sixth of DATA's training part is kept for that.")
    ] = None,
    model: Annotated[str, Option(metavar=options.one_of("models:FAMILIES"), help="Model family.")] = "vqvae",
    random: Annotated[
        int | None, Option(min=1, metavar="N", help="N points of the grid, drawn by --seed. By default all.")
    ] = None,
    seed: Annotated[int, Option(min=0, help="Of --random: a larger N has the points of a smaller one, too.")] = 0,
    seeds: Annotated[int, Option(min=1, max=1000, help="Trainings of each point.")] = 1,
    probes: Annotated[
        str,
        Option(
            "--probe", metavar="mlp,conv,…", help="Kinds of probes of the latents; of large maps linear is fastest."
        ),
    ] = "mlp",
    jobs: Annotated[int | None, Option(min=1, max=256, help="Processes. By default one for each core.")] = None,
    output: options.StudyFolder = Path("study-sweep"),
    settings: options.Settings = None,
    image_size: options.ImageSize = None,
    data_root: options.DataRoot = None,
    report: options.Report = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """What is the right size? Any settings, point by point: bits, likeness, codes used, probe accuracy and time."""
    from latentcli import pictures
    from latentcli.cli import console, inputs
    from latentcli.experiments import grid, tables
    from latentcli.experiments import sweep as comparison
    from latentcli.formats.atomic import check_folder

    swept: dict[str, list[Any]] = {}
    for text in over or []:
        name, listed = values(text)
        swept[name] = [*swept.get(name, ()), *listed]
    kinds = tuple(options.names(probes) or ())
    config = comparison.StudyConfig(
        model, random, seed, kinds, tuple(map(options.parse, settings or [])), device
    )  # fmt: skip
    count = len(grid.points(swept, model, random, seed, [name for name, _ in config.settings]))  # or refused at once
    check_folder(output)
    inputs.check_report(report, [data, test])
    (task,) = load_tasks([data], [test] if test else [], None, image_size, data_root, held_out=True)
    plan = comparison.cells(task, swept, seeds, config, output)
    console.note(f"{count} points, {len(task.train)} images to train on, {len(task.test)} to measure on")
    processes = side_by_side(jobs, device)
    pictures.folder(output)
    with the_same_call_goes_on():
        results = comparison.study_sweep(
            task, swept, seeds, config, folder=output, jobs=processes, on_cell=StudyProgress(plan, processes)
        )

    columns, names = tables.sweep(kinds), grid.settings_of(swept)
    point = ("data", "model", *names)
    by = (*point, tables.FRONT)
    results = tables.with_front(results, point)
    contents = tables.of_sweep(results, by, columns)
    written = tables.write(output, contents)
    rows = tables.rows(results, by, columns)
    without = sorted({row["model"] for row in rows if "bits_per_image" not in row})
    if without:
        console.note(f"bits per image are of codes alone: {', '.join(without)} stands in the table, not in the picture")
    if len(without) < len({row["model"] for row in rows}):
        read = next(column for column in columns if column.key == f"{kinds[0]}_accuracy")
        written.append(pictures.front(output / "front.png", task.train.name, rows, names, read))
    told = {"data": task.train.name, "over": over, "seeds": seeds, "settings": dict(config.settings)}
    page = Page("A sweep over settings", tables.cells(results, by, columns), told)
    tell(results, contents["table.md"], written, page, output, report, json)


def values(text: str) -> tuple[str, list[Any]]:
    """The name of a setting, and the values that ``--over KEY=A,B`` gives it.

    Raises:
        UsageError: it is not of this form.
    """
    name, equals, listed = text.partition("=")
    found = options.names(listed)
    if not equals or not found:
        remedy = 'such as codes=64,256, or levels=5,"8,6,5" for a value with commas'
        raise UsageError(f"--over {text!r} is not of the form key=value,value", None, remedy)
    parsed = [options.parse(f"{name}={value}") for value in found]
    return parsed[0][0], [value for _, value in parsed]
