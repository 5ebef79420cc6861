"""``latentcli reconstruct``: images → latents → images."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import USE, app, command


@command(app, panel=USE, examples=[
    "latentcli reconstruct photos vae.pth --grid reconstructions.png",
    "latentcli reconstruct latents.npz vae.pth -o decoded.npz",
])  # fmt: skip
def reconstruct(
    data: Annotated[str, Argument(metavar="DATA|LATENTS.npz", help="Images, or latents or codes to decode.")],
    vae: options.CheckpointFile,
    output: Annotated[Path, Option("-o", "--output", help="The images to write.")] = Path("vae_reconstructed.npz"),
    grid: Annotated[Path | None, Option(metavar="FILE.png", help="Draw originals over reconstructions there.")] = None,
    reading: options.Reading = options.READ_TEST,
    figures: options.Figures = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Send every image of DATA through the encoder and back, and measure what is lost; or decode latents."""
    from latentcli import pictures, streams
    from latentcli.artifacts import holds_latents, read_latents, reconstructions_writer
    from latentcli.artifacts.models import load_model
    from latentcli.cli import console, inputs

    gates = console.parse_gates(fail_under)
    inputs.check_outputs(output, given=[data, vae, reading.labels], folder=figures, picture=grid)
    model = load_model(vae, device)
    shape = model.latent_model.config.image_shape
    targets = [grid] if grid else []
    if holds_latents(Path(data)):
        latents = read_latents(Path(data), strict=False, mmap=True)
        inputs.check_latents(data, latents, model)
        count, layout = len(latents), "NHW" if shape[0] == 1 else "NHWC"
        with reconstructions_writer(output, (count, *shape), layout) as write:
            for _, decoded in model.decodings(latents.arrays, console.progress):
                write(decoded)
        targets += [pictures.folder(figures) / "reconstructions.png"] if figures else []
        drawn = pictures.of_decodings(targets, model, latents.arrays) if targets else []
        result: dict[str, Any] = {"images": count}
    else:
        images = inputs.images(data, reading, output, **model.load_options)
        score = streams.reconstruct_to(output, images, model, progress=console.progress)
        targets += [pictures.folder(figures) / "reconstructions.png"] if figures else []
        drawn = [pictures.reconstructions(path, model, images) for path in targets]
        result = {"images": len(images), **score}
    console.result(result, as_json=json, written=[output, *drawn])
    console.check_gates(result, gates)
