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
    "latentcli encode 'shards/{00000..00999}.tar' vae.pth -o encoded --part 1/8",
], shared=True)  # fmt: skip
def encode(
    data: options.Data,
    vae: Annotated[Path | None, Argument(metavar="VAE.PTH", help="A checkpoint that `latentcli train` wrote.")] = None,
    output: Annotated[
        Path,
        Option("-o", "--output", help="The latents to write; FILE.parquet is a table; of shards, a folder of parts."),
    ] = Path("latents.npz"),
    encoder: options.Encoder = None,
    image_size: options.ImageSize = None,
    reading: options.Reading = options.READ_TEST,
    part: options.Part = None,
    retry_failed: options.RetryFailed = False,
    figures: options.Figures = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Write the latents of every image of DATA: posterior means and log-variances, or codes and their vectors.

    With --encoder instead of VAE.PTH they are the features of an encoder that is already trained. Where DATA is shards,
    and -o a folder, each shard becomes a part of it; the same call again does what is missing.
    """
    from latentcli import pictures, sharded, streams
    from latentcli.artifacts.models import load_latent_model
    from latentcli.cli import console, inputs, parts
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
    if (folder := parts.folder_of(data, output, reading, part, retry_failed, figures, command="encode")) is not None:
        gates = console.parse_gates(fail_under)
        by = str(encoder) if vae is None else load_latent_model(vae, device)
        of_parts = parts.how(reading, part, retry_failed)
        done = sharded.encode_shards(data, by, folder, image_size=image_size, device=device, **of_parts)
        parts.tell(done, json, gates)
        return
    inputs.check_outputs(output, given=[data, vae, *inputs.encoder_files(encoder), reading.labels], folder=figures)
    gates = console.parse_gates(fail_under)
    drawn: list[Path] = []
    if vae is not None:
        model = load_latent_model(vae, device)
        images = inputs.images(data, reading, output, **model.load_options)
        kept = pictures.shown(images.labels) if figures else None
        found = streams.encode_to(output, images, model, kept=kept, progress=console.progress)
        if figures and found.kept is not None:
            drawn = pictures.of_encoding(figures, model, images, found.kept, kept)
    else:
        network = encoding.find_encoder(str(encoder))
        size = image_size or inputs.size_of_files(data, network.network.preprocessing.size)
        images = inputs.images(data, reading, output, image_size=size)
        found = streams.encode_to(output, images, network, device=device, progress=console.progress)
    result = {"images": found.images, "dimensions": found.dimensions, **found.measures}
    console.result(result, as_json=json, written=[output, *drawn])
    console.check_gates(result, gates)
