"""``latentcli suggest``: latents → the images to label next."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import USE, app, command


@command(app, panel=USE, examples=[
    "latentcli suggest photos vae.pth -n 30 -o labels.csv",
    "latentcli suggest photos vae.pth graph.npz --labels labels.csv",
    "latentcli suggest latents.npz graph.npz --json",
])  # fmt: skip
def suggest(
    data: options.DataOrLatents,
    vae: Annotated[
        Path | None, Argument(metavar="VAE.PTH", help="The checkpoint that encodes images; after LATENTS.npz none.")
    ] = None,
    classifier: options.ClassifierFileIfAny = None,
    count: Annotated[int, Option("-n", "--count", min=1, max=10_000, help="How many images.")] = 20,
    output: options.ListOrStdout = "-",
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """List the images without a label whose labels would help a classifier most, the best first.

    They stand for many others, and are unlike those that have a label (--labels); with a classifier those count more
    that it is uncertain of. The list is a table for --labels, once its column Label is filled in.
    """
    from latentcli.cli import console, inputs
    from latentcli.inference import suggesting

    target = None if output in console.STDOUT else Path(output)
    inputs.check_outputs(target, given=[data, vae, classifier, reading.labels])
    inputs.check_no_labels(target)
    latents, reader = inputs.latents_and_classifier(data, vae, classifier, device, reading, target)
    labels = int(latents.labels.known.sum())
    if reader is not None and not labels:
        console.note(f"no image of {data} has a label: those that the classifier has learned from may be in the list")
    found = suggesting.suggest(latents, reader, count, seed=seed, progress=console.progress)
    if len(found) < count:
        console.note(f"{len(found)} image(s) have no label: the list has all of them")
    counts = {"images": len(latents), "labels": labels, "suggested": len(found), "covered": found.covered}
    console.listing(counts, found, target, json)
