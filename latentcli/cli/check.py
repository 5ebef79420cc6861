"""``latentcli check``: images → what may be wrong with them."""

from pathlib import Path

from latentcli.cli import options
from latentcli.cli.app import COMPARE, app, command


@command(app, panel=COMPARE, examples=[
    "latentcli check photos vae.pth -o findings.csv",
    "latentcli check photos vae.pth graph.npz --labels labels.csv --json",
])  # fmt: skip
def check(
    data: options.Data,
    vae: options.CheckpointFile,
    classifier: options.ClassifierFileIfAny = None,
    output: options.ListOrStdout = "-",
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """List images of DATA that something may be wrong with: labels, duplicates, outliers, files that show nothing.

    Labels are judged by those of all other images; with a classifier by one of its kind, which is fitted again without
    the labels in question.
    """
    from latentcli.artifacts.models import load_classifier, load_latent_model
    from latentcli.classifiers.doubts import FEWEST
    from latentcli.cli import console, inputs
    from latentcli.inference import checking

    target = None if output in console.STDOUT else Path(output)
    inputs.check_outputs(target, given=[data, vae, classifier, reading.labels])
    model = load_latent_model(vae, device)
    reader = load_classifier(classifier, model) if classifier else None
    images = inputs.images(data, reading, target, **model.load_options)
    few = [name for name, count in zip(images.class_names, images.labels.counts, strict=True) if 0 < count < FEWEST]
    if few:
        console.note(f"labels of {len(few)} class(es) were not judged, as there are fewer than {FEWEST} of each")
    found = checking.check(images, model, reader, seed=seed, progress=console.progress)
    console.listing(
        {"images": len(images), "labels": int(images.labels.known.sum()), **found.counts}, found, target, json
    )
