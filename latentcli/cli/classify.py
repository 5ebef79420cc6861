"""``latentcli classify``: images → latents → labels."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command


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
    classes: options.Classes = None,
    split: options.Split = "test",
    labels: options.Labels = None,
    data_root: options.DataRoot = None,
    max_bad: options.MaxBad = "1%",
    resize: options.Resize = False,
    figures: options.Figures = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Label every image of DATA with a classifier fitted in the latent space."""
    from latentcli import artifacts
    from latentcli.cli import console, fitting, inputs, pictures

    gates = console.parse_gates(fail_under)
    target = inputs.csv_target(output, json, data)
    saved, model = inputs.model(vae, device)
    labeller = inputs.classifier(classifier, fitted_on=saved.fingerprint)
    images = inputs.images(
        data, saved, target, split=split, classes=options.names(classes), labels=labels, data_root=data_root,
        max_bad=max_bad, resize=resize,
    )  # fmt: skip
    latents = fitting.encoded(model, saved.fingerprint, images)
    predicted, probability = fitting.predictions(labeller, latents, reject_below)
    artifacts.write_predictions(
        target or sys.stdout, predicted, files=images.files, probabilities=probability, bad_files=images.bad_files
    )
    rejected = None if reject_below is None else int((predicted == "").sum())
    result = {"images": len(images), "rejected": rejected, **fitting.scores(latents, predicted, labeller)}
    written: list[Path] = [target] if target else []
    if figures is not None:
        written += pictures.of_predictions(figures, latents, labeller, predicted, result)
    console.result(result, as_json=json, written=written, to_stderr=target is None)
    console.check_gates(result, gates)
