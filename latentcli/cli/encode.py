"""``latentcli encode``: checkpoint → images → latents."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import USE, app, command
from latentcli.core.errors import UsageError


@command(app, panel=USE, examples=[
    "latentcli encode photos vae.pth", "latentcli encode mnist vae.pth --split train",
    "latentcli encode photos --encoder efficientnet-lite0",
])  # fmt: skip
def encode(
    data: options.Data,
    vae: Annotated[Path | None, Argument(metavar="VAE.PTH", help="A checkpoint that `latentcli train` wrote.")] = None,
    output: Annotated[Path, Option("-o", "--output", help="The latents to write; FILE.parquet is a table.")] = Path(
        "latents.npz"
    ),
    encoder: options.Encoder = None,
    image_size: options.ImageSize = None,
    reading: options.Reading = options.READ_TEST,
    figures: options.Figures = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Write the latents of every image of DATA: posterior means and log-variances, or codes and their vectors.

    With --encoder instead of VAE.PTH they are the features of an encoder that is already trained.
    """
    from latentcli import pictures
    from latentcli.artifacts import write_latents
    from latentcli.artifacts.models import load_latent_model
    from latentcli.cli import console, inputs
    from latentcli.inference import encoding

    if (vae is None) == (encoder is None):
        found_both = "found neither" if vae is None else "found both"
        raise UsageError(
            "DATA is encoded by one checkpoint or by one trained encoder", found_both, "give VAE.PTH or --encoder"
        )
    if vae is not None and image_size is not None:
        raise UsageError("--image-size is of --encoder", "a checkpoint knows the size of its images", "leave it out")
    if encoder is not None and figures is not None:
        raise UsageError("--figures draws with a checkpoint", remedy="name one: latentcli encode DATA vae.pth")
    inputs.check_outputs(output, given=[data, vae, *inputs.encoder_files(encoder), reading.labels], folder=figures)
    gates = console.parse_gates(fail_under)
    measures, drawn = {}, []
    if vae is not None:
        model = load_latent_model(vae, device)
        images = inputs.images(data, reading, output, **model.load_options)
        latents = model.encode(images, progress=console.progress)
        measures = model.measures(latents)
        drawn = pictures.of_encoding(figures, model, images, latents) if figures else []
    else:
        found = encoding.find_encoder(str(encoder))
        size = image_size or inputs.size_of_files(data, found.network.preprocessing.size)
        images = inputs.images(data, reading, output, image_size=size)
        latents = encoding.encode(images, found, device=device, progress=console.progress)
    write_latents(output, latents)
    result = {"images": len(images), "dimensions": latents.flat.shape[1], **measures}
    console.result(result, as_json=json, written=[output, *drawn])
    console.check_gates(result, gates)
