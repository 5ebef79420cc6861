"""``latentcli plot``: one picture of a model, of data in its latent space, or of its predictions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import LOOK, app, command
from latentcli.core.errors import DataError

if TYPE_CHECKING:
    from latentcli.core.image_set import ImageSet
    from latentcli.models.trained import TrainedModel

plot = typer.Typer(name="plot", help="Draw one picture, as PNG or SVG by the name's ending.", no_args_is_help=True)
app.add_typer(plot, name="plot", rich_help_panel=LOOK)

Picture = Annotated[Path, Option("-o", "--output", metavar="FILE.png|svg", help="The picture to write.")]
Ellipses = Annotated[
    Path | None,
    Argument(metavar=options.FITTED, help="A mixture, of which ellipses are drawn; a graph, of which classes are."),
]


def _model_and_images(
    data: str, vae: Path, output: Path, reading: options.Reading, device: str
) -> "tuple[TrainedModel, ImageSet]":
    """What most pictures are of, after the checks that all have in common."""
    from latentcli.artifacts.models import load_latent_model
    from latentcli.cli import inputs

    inputs.check_outputs(picture=output, given=[data, vae, reading.labels])
    model = load_latent_model(vae, device)
    return model, inputs.images(data, reading, output, **model.load_options)


@command(plot)
def history(vae: options.CheckpointFile, output: Picture = Path("history.png")) -> None:
    """Training curves: the loss and its terms, epoch by epoch."""
    from latentcli import pictures
    from latentcli.artifacts.models import load_model
    from latentcli.cli import console, inputs

    inputs.check_outputs(picture=output, given=[vae])
    rows = load_model(vae, "cpu").history
    console.result({"epochs": len(rows)}, as_json=False, written=[pictures.history(output, rows)])


@command(plot)
def latent(
    data: options.DataOrLatents,
    vae: options.CheckpointFile,
    gmm: Ellipses = None,
    output: Picture = Path("latent.png"),
    reading: options.Reading = options.READ_TEST,
    device: options.Device = "auto",
) -> None:
    """Where DATA lies in the latent space, by class; beyond two dimensions on its principal plane."""
    from latentcli import pictures
    from latentcli.artifacts.models import load_classifier, load_latent_model
    from latentcli.cli import console, inputs

    inputs.check_outputs(picture=output, given=[data, vae, reading.labels])
    model = load_latent_model(vae, device)
    classifier = load_classifier(gmm, model) if gmm else None
    latents = inputs.latents(data, vae, device, reading, output)
    drawn = pictures.latent(output, latents, classifier)
    console.result({"images": len(latents)}, as_json=False, written=[drawn])


@command(plot)
def manifold(
    vae: options.CheckpointFile,
    gmm: Annotated[
        Path | None, Argument(metavar="GMM_PARAMS.PKL", help="A mixture to draw the plane of, not the prior's.")
    ] = None,
    output: Picture = Path("manifold.png"),
    device: options.Device = "auto",
) -> None:
    """The decoded latent plane: 20×20 images between the 5th and the 95th percentile of the prior."""
    from latentcli import pictures
    from latentcli.artifacts.models import load_mixture, load_model
    from latentcli.cli import console, inputs

    inputs.check_outputs(picture=output, given=[vae, gmm])
    model = load_model(vae, device)
    drawn = pictures.manifold(output, model, load_mixture(gmm, model) if gmm else None)
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
    from latentcli import pictures
    from latentcli.cli import console

    model, images = _model_and_images(data, vae, output, reading, device)
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
    from latentcli import pictures
    from latentcli.cli import console

    model, images = _model_and_images(data, vae, output, reading, device)
    latents = model.encode(images, progress=console.progress)
    drawn = pictures.codes(output, model, images, latents)
    console.result({"images": len(images), **model.measures(latents)}, as_json=False, written=[drawn])


@command(plot)
def tsne(
    data: options.Data,
    vae: options.CheckpointFile,
    output: Picture = Path("tsne.png"),
    points: Annotated[
        int, Option(min=1, max=20_000, help="Images that are drawn, as many of each class; all where fewer.")
    ] = 2_000,
    reading: options.Reading = options.READ_TEST,
    seed: options.Seed = 0,
    device: options.Device = "auto",
) -> None:
    """Which images of DATA are near to each other in the latent space, by class (t-SNE)."""
    from latentcli import pictures
    from latentcli.cli import console
    from latentcli.figures.tsne import evenly_by_class

    model, images = _model_and_images(data, vae, output, reading, device)
    codes = images.labels.codes if images.labels.any else None
    found = images.take(evenly_by_class(codes, len(images), points, seed))
    drawn = pictures.tsne(output, model.encode(found, progress=console.progress), seed)
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
    from latentcli import pictures
    from latentcli.artifacts.models import load_classifier
    from latentcli.cli import console
    from latentcli.inference.classification import classify

    model, images = _model_and_images(data, vae, output, reading, device)
    result = classify(images, model, load_classifier(gmm, model), progress=console.progress).scores()
    if not result:
        problem = f"{images.name} has no labels to compare the predictions with"
        raise DataError(problem, images.labels_looked_for, "give some: `labels` names a table or an .npy file of them")
    console.result(result, as_json=False, written=[pictures.confusion(output, result)])
