"""``latentcli classify``: images → latents → labels, or images → labels."""

import io
from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command
from latentcli.core.errors import UsageError


@command(app)
def classify(
    data: options.Data,
    vae: Annotated[
        Path,
        typer.Argument(
            metavar="VAE.PTH|CNN.PTH", help="A checkpoint written by `latentcli train`, or by `latentcli train-cnn`."
        ),
    ],
    classifier: Annotated[
        Path | None,
        typer.Argument(
            metavar="GMM_PARAMS.PKL|PROBE.PTH",
            help="A mixture or a probe fitted on the former; the latter needs no other file.",
        ),
    ] = None,
    output: options.OutputOrStdout = "vae.csv",
    reject_below: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="P",
            help="Leave images unlabelled that are less likely than this fraction of those the mixture was fitted on.",
        ),
    ] = None,
    reading: options.Reading = options.READ_TEST,
    figures: options.Figures = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Label every image of DATA with a classifier fitted in the latent space, or with one that reads pixels."""
    from latentcli import artifacts
    from latentcli.cli import console, fitting, inputs, labelling, pictures

    gates = console.parse_gates(fail_under)
    target = None if output == "-" else Path(output)
    if target is None and json:
        raise UsageError("-o - and --json both want standard output", remedy="write the table to a file: -o vae.csv")
    inputs.check_outputs(target, given=[data, vae, classifier, reading.labels], folder=figures)
    way = labelling.ByLatents(vae, classifier, device) if classifier else labelling.ByPixels(vae, device)
    fitting.check_rejects(way.labeller, reject_below)
    images = inputs.images(data, way.saved, target, **reading.options())
    known, predicted, probability = way.label(images, reject_below)
    table = io.StringIO()
    artifacts.write_predictions(
        target or table, predicted, files=images.files, probabilities=probability, bad_files=images.bad_files
    )
    if target is None:
        console.emit(table.getvalue())
    rejected = None if reject_below is None else int((predicted == "").sum())
    result = {"images": len(images), "rejected": rejected, **fitting.scores(known, predicted, way.classes)}
    written: list[Path] = [target] if target else []
    if figures is not None:
        written += pictures.of_predictions(figures, known, way.classes, predicted, result, way.labeller)
    console.result(result, as_json=json, written=written, to_stderr=target is None)
    console.check_gates(result, gates)
