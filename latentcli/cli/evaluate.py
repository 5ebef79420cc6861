"""``latentcli evaluate``: every figure of a model, and of a classifier, on one set of images."""

from pathlib import Path
from typing import Annotated, Any

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command


@command(app)
def evaluate(
    data: options.Data,
    vae: options.CheckpointFile,
    classifier: Annotated[
        Path | None,
        typer.Argument(metavar="GMM_PARAMS.PKL|PROBE.PTH", help="A mixture or a probe fitted on that checkpoint."),
    ] = None,
    reading: options.Reading = options.READ_TEST,
    figures: options.Figures = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Measure on DATA how well a model reconstructs, what its latents are like, and how a classifier reads them."""
    from latentcli import inference
    from latentcli.cli import console, fitting, inputs, pictures
    from latentcli.numerics import metrics

    gates = console.parse_gates(fail_under)
    inputs.check_outputs(given=[data, vae, classifier, reading.labels], folder=figures)
    saved, model = inputs.model(vae, device)
    labeller = inputs.classifier(classifier, fitted_on=saved.fingerprint, vae=vae) if classifier else None
    images = inputs.images(data, saved, None, **reading.options())
    if labeller is None:
        latents = fitting.encoded(model, saved.fingerprint, images)
    else:
        latents = fitting.encoded_for(labeller, model, saved.fingerprint, images)
    score = metrics.ReconstructionScore()
    with console.progress("decoding", len(images)) as advance:
        for rows, decoded in inference.reconstructions(model, images.images):
            score.add(images.images[rows], decoded)
            advance(len(rows))
    result: dict[str, Any] = {**score.result(), **model.measures(latents.arrays)}
    written: list[Path] = []
    if figures is not None:
        written += pictures.of_reconstructions(figures, None, model, images)
    if labeller is not None:
        predicted, _ = fitting.predictions(labeller, latents)
        result |= fitting.scores(latents, predicted, labeller.classes_)
        if figures is not None:
            written += pictures.of_predictions(figures, latents, labeller.classes_, predicted, result, labeller)
    result["images"] = len(images)
    console.result(result, as_json=json, written=written)
    console.check_gates(result, gates)
