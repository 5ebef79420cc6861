"""``latentcli plot``: one picture of a model, of data in its latent space, or of its predictions."""

from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command
from latentcli.core.errors import DataError

plot = typer.Typer(help="Draw one picture, as PNG or SVG by the name's ending.", no_args_is_help=True)
app.add_typer(plot, name="plot")

Picture = Annotated[Path, typer.Option("-o", "--output", metavar="FILE.png|svg", help="The picture to write.")]
Mixture = Annotated[Path | None, typer.Argument(metavar="GMM_PARAMS.PKL", help="A mixture whose ellipses are drawn.")]


@command(plot)
def history(vae: options.CheckpointFile, output: Picture = Path("history.png")) -> None:
    """Training curves: the loss and its terms, epoch by epoch."""
    from latentcli.artifacts import checkpoint
    from latentcli.cli import console, inputs, pictures

    inputs.check_picture(output, given=[vae])
    rows = checkpoint.load(vae).training["history"]
    console.result({"epochs": len(rows)}, as_json=False, written=[pictures.history(output, rows)])


@command(plot)
def latent(
    data: options.Data,
    vae: options.CheckpointFile,
    gmm: Mixture = None,
    output: Picture = Path("latent.png"),
    reading: options.Reading = options.READ_TEST,
    device: options.Device = "auto",
) -> None:
    """Where DATA lies in the latent space, by class; beyond two dimensions on its principal plane."""
    from latentcli.cli import console, fitting, inputs, pictures

    inputs.check_picture(output, given=[data, vae])
    saved, model = inputs.model(vae, device)
    labeller = inputs.classifier(gmm, fitted_on=saved.fingerprint, vae=vae) if gmm else None
    images = inputs.images(data, saved, output, **reading.options())
    drawn = pictures.latent(output, fitting.encoded(model, saved.fingerprint, images), labeller)
    console.result({"images": len(images)}, as_json=False, written=[drawn])


@command(plot)
def manifold(
    vae: options.CheckpointFile,
    gmm: Annotated[
        Path | None, typer.Argument(metavar="GMM_PARAMS.PKL", help="A mixture to draw the plane of, not the prior's.")
    ] = None,
    output: Picture = Path("manifold.png"),
    device: options.Device = "auto",
) -> None:
    """The decoded latent plane: 20×20 images between the 5th and the 95th percentile of the prior."""
    from latentcli.cli import console, inputs, pictures

    inputs.check_picture(output, given=[vae, gmm])
    saved, model = inputs.model(vae, device)
    mixture = inputs.mixture(gmm, fitted_on=saved.fingerprint, vae=vae) if gmm else None
    drawn = pictures.manifold(output, model, mixture)
    console.result({"images": pictures.MANIFOLD_SIDE**2}, as_json=False, written=[drawn])


@command(plot)
def reconstructions(
    data: options.Data,
    vae: options.CheckpointFile,
    output: Picture = Path("reconstructions.png"),
    reading: options.Reading = options.READ_TEST,
    device: options.Device = "auto",
) -> None:
    """Originals over reconstructions, each pair with its structural similarity."""
    from latentcli.cli import console, inputs, pictures

    inputs.check_picture(output, given=[data, vae])
    saved, model = inputs.model(vae, device)
    images = inputs.images(data, saved, output, **reading.options())
    drawn = pictures.reconstructions(output, model, images)
    console.result({"images": len(images)}, as_json=False, written=[drawn])


@command(plot)
def codes(
    data: options.Data,
    vae: options.CheckpointFile,
    output: Picture = Path("codes.png"),
    reading: options.Reading = options.READ_TEST,
    device: options.Device = "auto",
) -> None:
    """Images of DATA with their reconstructions and maps of codes, and how DATA uses the codebook."""
    from latentcli.cli import console, fitting, inputs, pictures

    inputs.check_picture(output, given=[data, vae])
    saved, model = inputs.model(vae, device)
    images = inputs.images(data, saved, output, **reading.options())
    latents = fitting.encoded(model, saved.fingerprint, images)
    drawn = pictures.codes(output, model, images, latents)
    console.result({"images": len(images), **model.measures(latents.arrays)}, as_json=False, written=[drawn])


@command(plot)
def tsne(
    data: options.Data,
    vae: options.CheckpointFile,
    output: Picture = Path("tsne.png"),
    points: Annotated[
        int, typer.Option(min=1, max=20_000, help="Images that are drawn, as many of each class; all where fewer.")
    ] = 2_000,
    reading: options.Reading = options.READ_TEST,
    seed: options.Seed = 0,
    device: options.Device = "auto",
) -> None:
    """Which images of DATA are near to each other in the latent space, by class (t-SNE)."""
    from latentcli.cli import console, fitting, inputs, pictures
    from latentcli.figures.tsne import evenly_by_class

    inputs.check_picture(output, given=[data, vae, reading.labels])
    saved, model = inputs.model(vae, device)
    images = inputs.images(data, saved, output, **reading.options())
    found = images.take(evenly_by_class(images.labels, len(images), points, seed))
    drawn = pictures.tsne(output, fitting.encoded(model, saved.fingerprint, found), seed)
    console.result({"images": len(images), "points": len(found)}, as_json=False, written=[drawn])


@command(plot)
def confusion(
    data: options.Data,
    vae: options.CheckpointFile,
    gmm: options.ClassifierFile,
    output: Picture = Path("confusion.png"),
    reading: options.Reading = options.READ_TEST,
    device: options.Device = "auto",
) -> None:
    """True against predicted classes of labelled DATA."""
    from latentcli.cli import console, fitting, inputs, pictures

    inputs.check_picture(output, given=[data, vae])
    saved, model = inputs.model(vae, device)
    labeller = inputs.classifier(gmm, fitted_on=saved.fingerprint, vae=vae)
    images = inputs.images(data, saved, output, **reading.options())
    latents = fitting.encoded_for(labeller, model, saved.fingerprint, images)
    predicted, _ = fitting.predictions(labeller, latents)
    result = fitting.scores(latents, predicted, labeller.classes_)
    if not result:
        raise DataError(f"{images.name} has no labels to compare the predictions with")
    console.result(result, as_json=False, written=[pictures.confusion(output, result)])
