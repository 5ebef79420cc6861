"""``latentcli classify``: images → latents → labels, or images → labels."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import USE, app, command
from latentcli.core.errors import UsageError


@command(app, panel=USE, examples=[
    "latentcli classify photos vae.pth gmm_params.pkl",
    "latentcli classify photos cnn.pth -o - | cut -d, -f1,2",
    "latentcli classify cat.png dog.png vae.pth gmm_params.pkl",
    "latentcli classify latents.npz probe.pth",
    "latentcli classify 'shards/*.tar' vae.pth probe.pth -o labelled",
    "latentcli classify mnist vae.pth gmm_params.pkl --fail-under accuracy=0.95 --json",
], shared=True)  # fmt: skip
def classify(
    data: options.DataOrLatents,
    vae: Annotated[
        Path,
        Argument(metavar="VAE.PTH|CNN.PTH", help="What `train` or `train-cnn` wrote; after LATENTS.npz a classifier."),
    ],
    classifier: Annotated[
        Path | None, Argument(metavar=options.FITTED, help=f"{options.FITTED_HELP} CNN.PTH needs none.")
    ] = None,
    more: Annotated[
        list[str] | None, Argument(metavar="", help="DATA may be several pictures; all of them stand before the rest.")
    ] = None,
    output: options.OutputOrStdout = "vae.csv",
    reject_below: Annotated[
        float | None,
        Option(min=0.0, max=1.0, metavar="P", help=f"Leave images unlabelled that are {options.LESS_LIKELY}."),
    ] = None,
    reading: options.Reading = options.READ_TEST,
    part: options.Part = None,
    retry_failed: options.RetryFailed = False,
    figures: options.Figures = None,
    report: options.Report = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Label every image of DATA with a classifier fitted in the latent space, or with one that reads pixels.

    Where DATA is shards, and -o a folder, each shard becomes a part of it; the same call again does what is missing.
    """
    from latentcli import pictures, sharded, streams
    from latentcli.artifacts import holds_latents
    from latentcli.artifacts.models import load_classifier, load_model
    from latentcli.cli import console, inputs, parts
    from latentcli.inference import classification

    given, vae, classifier = inputs.pictures_before_files(data, vae, classifier, *more or ())
    gates = console.parse_gates(fail_under)
    target = None if output in console.STDOUT else Path(output)
    if target is None and json:
        raise UsageError(
            f"-o {output} and --json both want standard output", remedy="write the table to a file: -o vae.csv"
        )
    source = data if len(given) == 1 else given
    if (
        folder := parts.folder_of(source, target, reading, part, retry_failed, figures or report, command="classify")
    ) is not None:
        model = load_model(vae, device)
        reader = load_classifier(classifier, model) if classifier else None
        of_parts = parts.how(reading, part, retry_failed)
        done = sharded.classify_shards(source, model, reader, folder, reject_below=reject_below, **of_parts)
        parts.tell(done, json, gates)
        return
    inputs.check_outputs(target, given=[*given, vae, classifier, reading.labels], folder=figures)
    inputs.check_report(report, [*given, vae, classifier, reading.labels], [target, figures])
    with console.table(target) as table:
        if classifier is None and len(given) == 1 and holds_latents(Path(data)):
            reader = load_classifier(vae)
            latents = inputs.latents(data, None, device, reading, vae)
            about: dict[str, Any] = {"latents": latents, "reject_below": reject_below}
            kept = pictures.shown(latents.labels) if figures or report else None
            found = streams.classify_latents_to(table, latents, reader, reject_below, kept)
        else:
            model = load_model(vae, device)
            reader = load_classifier(classifier, model) if classifier else None
            classification.check_reader(model, reader, reject_below)
            images = inputs.images(source, reading, target, **model.load_options)
            about = {"images": images, "model": model, "reject_below": reject_below}
            kept = pictures.shown(images.labels) if figures or report else None
            found = streams.classify_to(
                table, images, model, reader, reject_below=reject_below, kept=kept, progress=console.progress
            )
    console.notes(found.notes)
    if figures and not found.any_known:
        console.note(f"{data} has no labels: there is no accuracy, and no picture of a confusion matrix")
    counts = {"images": len(found), "labelled": found.labelled, "rejected": found.rejected}
    result = counts | found.scores() | counts
    with pictures.place(figures, report) as where:
        drawn = pictures.of_predictions(where, found, reader) if where else []
        if report is not None:
            pictures.report(report, result, **about, classifier=reader, drawn=drawn, command=console.called())
    written = [*([target] if target else []), *(drawn if figures else []), *([report] if report else [])]
    console.result(result, as_json=json, written=written, to_stderr=target is None)
    console.check_gates(result, gates)
