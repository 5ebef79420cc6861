"""``latentcli study samples``: new images of each model beside real ones, reconstructions and codes by chance."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import command
from latentcli.cli.study import Page, StudyProgress, load_tasks, study, tell, the_same_call_goes_on

FEW = 100
"""Images of a set, of which figures say little."""


@command(study, examples=[
    "latentcli study samples mnist",
    "latentcli study samples photos --features efficientnet-lite0 --seeds 1 --set prior.epochs=20",
])  # fmt: skip
def samples(
    data: Annotated[list[str], Argument(metavar="DATA…", help="Labelled data sets: names, files or folders.")],
    test: Annotated[
        list[str] | None, Option(help="Test parts of those DATA that have none, in their order. Else a sixth is kept.")
    ] = None,
    output: options.StudyFolder = Path("study-samples"),
    models: Annotated[str, Option(metavar="A,B,…", help="Model families.")] = "vqvae",
    recipe: Annotated[str, Option(metavar="paper|best", help="How they are trained.")] = "best",
    features: Annotated[
        str, Option(metavar="cnn|ENCODER", help="In which images are compared: of a CNN of the training images, or of "
        "efficientnet-lite0, torchvision:NAME …")
    ] = "cnn",
    count: Annotated[
        int, Option("-n", "--count", min=1, max=10_000_000, help="Images of each set, at most half of the test images.")
    ] = 5_000,
    temperature: Annotated[float, Option(metavar="T", help="Of samples: what is likely likelier (< 1) or less.")] = 1.0,
    top_p: Annotated[float, Option(metavar="P", help="Of samples of codes: the likeliest of this probability.")] = 1.0,
    guidance: Annotated[float, Option(metavar="G", help="Of samples: how much the class counts.")] = 1.5,
    seeds: Annotated[int, Option(min=1, max=1000, help="Trainings of each model.")] = 3,
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="Any setting of the models; prior.KEY, cnn.KEY: of these."),
    ] = None,
    image_size: options.ImageSize = None,
    data_root: options.DataRoot = None,
    report: options.Report = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:  # fmt: skip
    """How like real images are samples? Fréchet distance, precision, recall, density, coverage, classes, copies."""
    from latentcli import pictures
    from latentcli.cli import console, inputs, training_progress
    from latentcli.experiments import samples as comparison
    from latentcli.experiments import tables
    from latentcli.formats.atomic import check_folder
    from latentcli.models import FAMILIES

    families = options.names(models) or []
    for family in families:
        FAMILIES[family]  # an unknown name is refused before anything is loaded
    check_folder(output)
    inputs.check_report(report, [*data, *(test or [])])
    own = tuple(map(options.parse, settings or []))
    config = comparison.StudyConfig(recipe, features, count, temperature, top_p, guidance, device, own)
    tasks = load_tasks(data, test or [], None, image_size, data_root)
    plan = comparison.cells(tasks, families, seeds, config, output)
    for task in tasks:
        if (of_each := len(task.test) // 2) < FEW:
            console.note(
                f"warning: each set is of {of_each} images of {task.name}, half of its test images: figures of fewer "
                f"than {FEW} say little, and may call blurs like real images; name more test images: --test"
            )
    with the_same_call_goes_on():
        results = comparison.study_samples(
            tasks, families, seeds, config, folder=output, watch=training_progress.TrainingProgress,
            on_cell=StudyProgress(plan),
        )  # fmt: skip
    examples = (
        (f"{task.name}-{family}", comparison.examples(task, family, config, output))
        for task in tasks
        for family in families
    )

    contents = tables.of_samples(results)
    written = tables.write(output, contents)
    written += pictures.of_samples(output, results, tables.SAMPLES[:5], examples)
    told = {"data": data, "models": families, "seeds": seeds, "features": features, "settings": dict(own)}
    page = Page("A study of samples", tables.cells(results, tables.BY_IMAGES, tables.SAMPLES), told)
    tell(results, contents["table.md"], written, page, output, report, json)
