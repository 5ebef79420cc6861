"""``latentcli distort``: images → the same and distorted copies of them, as data for the other commands."""

from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command


@command(app)
def distort(
    data: options.Data,
    count: Annotated[
        int, typer.Option("-n", "--count", min=1, max=1_000_000, help="How many images there are to be at least.")
    ] = 10_000,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .npz to write.")] = Path("distorted.npz"),
    classes: options.Classes = None,
    split: options.Split = "train",
    labels: options.Labels = None,
    labels_per_class: options.LabelsPerClass = None,
    image_size: options.ImageSize = None,
    data_root: options.DataRoot = None,
    max_bad: options.MaxBad = "1%",
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Write the labelled images of DATA, or all where none is labelled, and distorted copies with the same labels."""
    from latentcli import artifacts
    from latentcli import data as datasets
    from latentcli.artifacts.images import laid_out, layout_of
    from latentcli.cli import console, inputs
    from latentcli.training import mixing
    from latentcli.training.distortion import augmented_copies

    inputs.check_outputs(output, given=[data, labels])
    images = datasets.load(
        data, split=split, classes=options.names(classes), labels=labels, image_size=image_size,
        data_root=data_root, max_bad=max_bad, progress=console.progress,
    )  # fmt: skip
    inputs.report_bad_files(images, output)
    if labels_per_class is not None or (images.names_of_labels() != "").any():
        images = mixing.labelled(images, labels_per_class, seed)
    many = augmented_copies(images, count, seed)
    arrays = {"data": laid_out(many.images, layout_of(many.shape[0]))}
    names = many.names_of_labels()
    if (names != "").any():
        arrays["labels"] = names
    artifacts.write_arrays(output, arrays)
    console.result({"images": len(many), "of": len(images)}, as_json=json, written=[output])
