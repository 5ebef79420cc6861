"""``latentcli reconstruct``: images → latents → images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command

if TYPE_CHECKING:
    from latentcli.core.image_set import ImageSet
    from latentcli.core.latents import Latents
    from latentcli.models.base import LatentModel


@command(app)
def reconstruct(
    data: Annotated[str, typer.Argument(metavar="DATA|LATENTS.npz", help="Images, or latents or codes to decode.")],
    vae: options.CheckpointFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="The reconstructions to write.")] = Path(
        "vae_reconstructed.npz"
    ),
    grid: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw originals over reconstructions there.")
    ] = None,
    reading: options.Reading = options.READ_TEST,
    figures: options.Figures = None,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Send every image of DATA through the encoder and back, and measure what is lost; or decode latents."""
    from latentcli import artifacts
    from latentcli.cli import console, inputs

    gates = console.parse_gates(fail_under)
    inputs.check_picture(grid)
    inputs.check_outputs(output, grid, given=[data, vae, reading.labels], folder=figures)
    saved, model = inputs.model(vae, device)
    if artifacts.holds_latents(Path(data)):
        latents = artifacts.read_latents(Path(data), strict=False)
        inputs.check_latents(data, latents, vae, saved.fingerprint)
        result, pictured = _decode(model, latents, output, grid, figures)
    else:
        images = inputs.images(data, saved, output, **reading.options())
        result, pictured = _reconstruct(model, images, output, grid, figures)
    console.result(result, as_json=json, written=[output, *pictured])
    console.check_gates(result, gates)


def _reconstruct(
    model: "LatentModel", images: "ImageSet", output: Path, grid: Path | None, figures: Path | None
) -> tuple[dict[str, Any], list[Path]]:
    """Images there and back: the figures of the result, and the pictures of it."""
    from latentcli import artifacts, inference
    from latentcli.cli import console, pictures
    from latentcli.numerics import metrics

    score = metrics.ReconstructionScore()
    with (
        artifacts.reconstructions_writer(output, images.images.shape, images.layout) as write,
        console.progress("reconstructing", len(images)) as advance,
    ):
        for rows, decoded in inference.reconstructions(model, images.images):
            write(decoded)
            score.add(images.images[rows], decoded)
            advance(len(rows))
    pictured = pictures.of_reconstructions(figures, grid, model, images)
    return {"images": len(images), **score.result()}, pictured


def _decode(
    model: "LatentModel", latents: "Latents", output: Path, grid: Path | None, figures: Path | None
) -> tuple[dict[str, Any], list[Path]]:
    """Latents to images, as ``_reconstruct``; there are no originals to measure them by."""
    from latentcli import artifacts, inference
    from latentcli.cli import console, pictures

    shape = (len(latents), *model.config.image_shape)
    with (
        artifacts.reconstructions_writer(output, shape, "NHW" if shape[1] == 1 else "NHWC") as write,
        console.progress("decoding", len(latents)) as advance,
    ):
        for rows, decoded in inference.decodings_of_arrays(model, latents.arrays):
            write(decoded)
            advance(len(rows))
    return {"images": len(latents)}, pictures.of_decodings(figures, grid, model, latents.arrays)
