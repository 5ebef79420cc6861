"""``latentcli reconstruct``: images → latents → images."""

from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command


@command(app)
def reconstruct(
    data: options.Data,
    vae: options.CheckpointFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="The reconstructions to write.")] = Path(
        "vae_reconstructed.npz"
    ),
    grid: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw originals over reconstructions there.")
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
    """Send every image of DATA through the encoder and back, and measure what is lost."""
    from latentcli import artifacts, inference, metrics
    from latentcli.cli import console, inputs, pictures

    gates = console.parse_gates(fail_under)
    inputs.check_picture(grid)
    inputs.check_outputs(output, grid, given=[data, vae, labels], folder=figures)
    saved, model = inputs.model(vae, device)
    images = inputs.images(
        data, saved, output, split=split, classes=options.names(classes), labels=labels, data_root=data_root,
        max_bad=max_bad, resize=resize,
    )  # fmt: skip
    score = metrics.ReconstructionScore()
    with (
        artifacts.reconstructions_writer(output, images.images.shape, images.layout) as write,
        console.progress("reconstructing", len(images)) as advance,
    ):
        for rows, decoded in inference.reconstructions(model, images.images):
            write(decoded)
            score.add(images.images[rows], decoded)
            advance(len(rows))
    result = {"images": len(images), **score.result()}
    written = [output, *pictures.of_reconstructions(figures, grid, model, images)]
    console.result(result, as_json=json, written=written)
    console.check_gates(result, gates)
