"""``latentcli encode``: checkpoint → images → latents."""

from pathlib import Path
from typing import Annotated

from typer import Option

from latentcli.cli import options
from latentcli.cli.app import USE, app, command


@command(app, panel=USE, examples=["latentcli encode photos vae.pth", "latentcli encode mnist vae.pth --split train"])
def encode(
    data: options.Data,
    vae: options.CheckpointFile,
    output: Annotated[Path, Option("-o", "--output", help="The latents to write.")] = Path("latents.npz"),
    reading: options.Reading = options.READ_TEST,
    figures: options.Figures = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Write the latents of every image of DATA: posterior means and log-variances, or codes and their vectors."""
    from latentcli import pictures
    from latentcli.artifacts import write_latents
    from latentcli.artifacts.models import load_model
    from latentcli.cli import console, inputs

    inputs.check_outputs(output, given=[data, vae, reading.labels], folder=figures)
    gates = console.parse_gates(fail_under)
    model = load_model(vae, device)
    images = inputs.images(data, reading, output, image_shape=model.latent_model.config.image_shape)
    latents = model.encode(images, progress=console.progress)
    write_latents(output, latents)
    drawn = pictures.of_encoding(figures, model, images, latents) if figures else []
    result = {"images": len(images), "dimensions": latents.flat.shape[1], **model.measures(latents)}
    console.result(result, as_json=json, written=[output, *drawn])
    console.check_gates(result, gates)
