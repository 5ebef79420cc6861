"""``latentcli evaluate``: every metric of a model, and of a classifier, on one set of images."""

from pathlib import Path
from typing import Annotated

from typer import Option

from latentcli.cli import options
from latentcli.cli.app import COMPARE, app, command


@command(app, panel=COMPARE, examples=[
    "latentcli evaluate mnist vae.pth gmm_params.pkl --json",
    "latentcli evaluate scans vqvae.pth --fail-under ssim=0.9",
    "latentcli evaluate mnist vqvae.pth --prior prior.pth",
])  # fmt: skip
def evaluate(
    data: options.Data,
    vae: options.CheckpointFile,
    classifier: options.ClassifierFileIfAny = None,
    prior: Annotated[
        Path | None, Option(metavar="PRIOR.PTH", help="A prior of its latents: how many bits they take.")
    ] = None,
    reading: options.Reading = options.READ_TEST,
    figures: options.Figures = None,
    report: options.Report = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Measure on DATA how well a model reconstructs, what its latents are like, and how a classifier reads them."""
    from latentcli import pictures
    from latentcli.artifacts.models import load_classifier, load_latent_model, load_prior
    from latentcli.cli import console, inputs
    from latentcli.inference.evaluation import measure

    gates = console.parse_gates(fail_under)
    inputs.check_outputs(given=[data, vae, classifier, prior, reading.labels], folder=figures)
    inputs.check_report(report, [data, vae, classifier, prior, reading.labels], [figures])
    model = load_latent_model(vae, device)
    reader = load_classifier(classifier, model) if classifier else None
    of_codes = None if prior is None else load_prior(prior, model, device)
    images = inputs.images(data, reading, None, **model.load_options)
    kept = pictures.shown(images.labels) if (figures or report) and reader else None
    result, tally = measure(images, model, reader, prior=of_codes, kept=kept, progress=console.progress)
    if tally is not None:
        console.notes(tally.notes)
        if not tally.any_known:
            console.note(f"{images.name} has no labels: nothing tells how often {classifier} is right")
    drawn: list[Path] = []
    with pictures.place(figures, report) as where:
        if where is not None:
            drawn.append(pictures.reconstructions(pictures.folder(where) / "reconstructions.png", model, images))
            if tally is not None:
                drawn += pictures.of_predictions(where, tally, reader)
        if report is not None:
            pictures.report(
                report, result, model=model, images=images, classifier=reader, drawn=drawn, command=console.called()
            )
    written = [*(drawn if figures else []), *([report] if report else [])]
    console.result(result, as_json=json, written=written)
    console.check_gates(result, gates)
