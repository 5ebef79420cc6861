"""``latentcli distort``: images → the same and distorted copies of them, as data for the other commands."""

from pathlib import Path
from typing import Annotated

from typer import Option

from latentcli.cli import options
from latentcli.cli.app import MAKE, app, command


@command(app, panel=MAKE, examples=["latentcli distort mnist --labels-per-class 10 -n 10000"])
def distort(
    data: options.Data,
    count: Annotated[int, Option("-n", "--count", min=1, max=1_000_000, help="How many images, at least.")] = 10_000,
    output: Annotated[Path, Option("-o", "--output", help="The .npz to write.")] = Path("distorted.npz"),
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    labels_per_class: options.LabelsPerClass = None,
    image_size: options.ImageSize = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Write the labelled images of DATA, or all where none is labelled, and distorted copies with the same labels."""
    from latentcli.artifacts.images import write_images
    from latentcli.cli import console, inputs
    from latentcli.training import mixing
    from latentcli.training.distortion import augmented_copies

    inputs.check_outputs(output, given=[data, reading.labels])
    images = inputs.images(data, reading, output, image_size=image_size)
    if labels_per_class is not None or images.labels.any:
        images = mixing.labelled(images, labels_per_class, seed)
    many = augmented_copies(images, count, seed)
    write_images(output, many)
    console.result({"images": len(many), "of": len(images)}, as_json=json, written=[output])
