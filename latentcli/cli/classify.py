"""``latentcli classify``: images → latents → labels."""

import io
from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command
from latentcli.errors import UsageError


@command(app)
def classify(
    data: options.Data,
    vae: options.CheckpointFile,
    classifier: options.ClassifierFile,
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
    """Label every image of DATA with a classifier fitted in the latent space."""
    from latentcli import artifacts
    from latentcli.cli import console, fitting, inputs, pictures

    gates = console.parse_gates(fail_under)
    target = None if output == "-" else Path(output)
    if target is None and json:
        raise UsageError("-o - and --json both want standard output", remedy="write the table to a file: -o vae.csv")
    inputs.check_outputs(target, given=[data, vae, classifier, reading.labels], folder=figures)
    saved, model = inputs.model(vae, device)
    labeller = inputs.classifier(classifier, fitted_on=saved.fingerprint)
    fitting.check_rejects(labeller, reject_below)
    images = inputs.images(data, saved, target, **reading.options())
    latents = fitting.encoded_for(labeller, model, saved.fingerprint, images)
    predicted, probability = fitting.predictions(labeller, latents, reject_below)
    table = io.StringIO()
    artifacts.write_predictions(
        target or table, predicted, files=images.files, probabilities=probability, bad_files=images.bad_files
    )
    if target is None:
        console.emit(table.getvalue())
    rejected = None if reject_below is None else int((predicted == "").sum())
    result = {"images": len(images), "rejected": rejected, **fitting.scores(latents, predicted, labeller)}
    written: list[Path] = [target] if target else []
    if figures is not None:
        written += pictures.of_predictions(figures, latents, labeller, predicted, result)
    console.result(result, as_json=json, written=written, to_stderr=target is None)
    console.check_gates(result, gates)
