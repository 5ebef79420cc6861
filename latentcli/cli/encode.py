"""``latentcli encode``: checkpoint → images → latents."""

from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command


@command(app)
def encode(
    data: options.Data,
    vae: options.CheckpointFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="The latents to write.")] = Path("latents.npz"),
    reading: options.Reading = options.READ_TEST,
    figures: options.Figures = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Write the latents of every image of DATA: posterior means and log-variances, or codes and their vectors."""
    from latentcli import artifacts
    from latentcli.cli import console, fitting, inputs, pictures

    inputs.check_outputs(output, given=[data, vae, reading.labels], folder=figures)
    gates = console.parse_gates(fail_under)
    saved, model = inputs.model(vae, device)
    images = inputs.images(data, saved, output, **reading.options())
    latents = fitting.encoded(model, saved.fingerprint, images)
    artifacts.write_latents(output, latents)
    result = {"images": len(images), "dimensions": latents.flat.shape[1], **model.measures(latents.arrays)}
    console.result(result, as_json=json, written=[output, *pictures.of_encoding(figures, model, images, latents)])
    console.check_gates(result, gates)
