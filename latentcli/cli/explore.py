"""``latentcli explore``: images → latents → a page in the browser, where they are seen, labelled and classified."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import LEARN, app, command
from latentcli.core.errors import ModelFileError, UsageError

if TYPE_CHECKING:
    from latentcli.core.progress import Progress
    from latentcli.explore.exploration import Exploration


@command(app, panel=LEARN, examples=[
    "latentcli explore photos vae.pth",
    "latentcli explore photos vae.pth gmm_params.pkl --labels labels.csv --port 8080 --no-browser",
])  # fmt: skip
def explore(
    data: options.Data,
    vae: options.CheckpointFile,
    classifier: Annotated[
        Path | None,
        Argument(
            metavar=f"{options.FITTED}|CNN.PTH", help=f"{options.FITTED_HELP} Without one a graph is fitted to labels."
        ),
    ] = None,
    output: Annotated[
        Path | None, Option("-o", "--output", help="The classifier to write. [default: CLASSIFIER, or graph.npz]")
    ] = None,
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    port: Annotated[int, Option(min=0, max=65_535, help="Of 127.0.0.1; 0: any that is free.")] = 0,
    no_browser: Annotated[bool, Option("--no-browser", help="Open no browser, only tell the address.")] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """See the images of DATA by their latents in the browser, label them, and fit a classifier as you do, until Ctrl-C.

    Labels are in --labels (labels.csv) at once, whether it is there or not; the classifier is written by "save", and at
    the end.
    """
    from latentcli.cli import console, inputs
    from latentcli.explore import files, serving
    from latentcli.formats import own_files
    from latentcli.formats.regular_files import kind

    if console.verbosity.quiet and no_browser:
        raise UsageError(
            "nobody would know the address of the page", "found -q and --no-browser", "leave one of them out"
        )
    own_files.check_place(vae, own_files.MODEL)
    if kind(vae) is None:
        remedy = f"train it first: {own_files.command('model', vae)}"
        raise ModelFileError(f"cannot read {vae}", "there is no such file", remedy)
    of_pixels = classifier is not None and own_files.kind_of(classifier) == "model"
    fitted = None if of_pixels else classifier
    labels, target = reading.labels or files.LABELS, output or fitted or files.GRAPH
    plane = target.with_name(files.PICTURE)
    inputs.check_outputs(
        *(path for path in files.written(labels, target) if path != plane), given=[data, vae], picture=plane
    )
    inputs.check_apart(target.parent, "-o", [data])
    holds = None if fitted is None else own_files.check_place(fitted, own_files.CLASSIFIER)
    if holds is None or output is not None:
        own_files.called(target, holds)

    @contextmanager
    def prepare(progress: "Progress") -> "Iterator[Exploration]":
        from latentcli.artifacts.models import load_classifier, load_latent_model, load_model
        from latentcli.explore import exploring

        reader = None
        with progress("reading models", 1) as advance:
            model = load_latent_model(vae, device)
            if classifier is None:
                pass
            elif not classifier.exists():
                made = own_files.called(classifier)
                console.note(f"{classifier} is not there yet: a classifier ({made}) will be fitted to labels")
            else:
                reader = load_model(classifier, device) if of_pixels else load_classifier(classifier, model)
            inputs.tell_replaced(target, "-o", model.fingerprint)
            advance(1)
        images = inputs.images(
            data, replace(reading, labels=None), labels, progress=progress, **model.load_options
        )  # fmt: skip
        no_label = options.names(reading.no_label)
        with exploring.opened(
            images, model, reader, labels, target, no_label=no_label, strict=reading.strict, seed=seed,
            progress=progress,
        ) as exploration:  # fmt: skip
            yield exploration

    how = {"port": port, "no_browser": no_browser, "progress": console.progress, "tell": console.note}
    found = serving.run(prepare, labels, target, **how)
    counts = {"images": len(found.labels), "labelled": int(found.labels.known.sum())}
    result = counts | {"classes": list(found.labels.occurring)}
    console.result(result, as_json=json, written=found.written)
