"""``latentcli hybridize``: latent points → class likelihoods → images with soft labels."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from typer import Option

from latentcli.cli import options
from latentcli.cli.app import MAKE, app, command
from latentcli.core.errors import UsageError

PICTURED = 2_000
"""Of the hybrids, the first so many are kept for pictures."""


@command(app, panel=MAKE, examples=[
    "latentcli hybridize vae.pth gmm_params.pkl --classes 4,8 --grid hybrids.png",
    "latentcli hybridize vae.pth graph.npz -n 5000 --strategy boundary",
    "latentcli hybridize vae.pth gmm_params.pkl -n 20000 --near photos --strategy posterior --likelihood neighbours",
])  # fmt: skip
def hybridize(
    vae: options.CheckpointFile,
    classifier: options.MixtureOrGraphFile,
    count: Annotated[int, Option("-n", "--count", min=1, max=10_000_000, help="How many images.")] = 1000,
    strategy: Annotated[
        str,
        Option(metavar="between|mixup|boundary|mixture|posterior|prior", help="Where in the latent space they lie."),
    ] = "between",
    likelihood: Annotated[
        str | None,
        Option(
            metavar="mixture|graph|class-gaussian|neighbours",
            help="What tells how much of each class they are. By default the mixture or the graph.",
        ),
    ] = None,
    near: Annotated[
        str | None, Option(metavar="DATA|latents.npz", help="Images to draw around, or between, or to be neighbours.")
    ] = None,
    ratio: Annotated[
        float | None, Option(metavar="R", help="0 for the first of two classes, 1 for the second. By default anywhere.")
    ] = None,
    temperature: Annotated[float, Option(metavar="T", help="Soft labels sharper (< 1) or softer (> 1).")] = 1.0,
    min_confidence: Annotated[float, Option(metavar="P", help="Drop points whose likeliest class has less.")] = 0.0,
    reject: Annotated[float, Option(metavar="P", help=f"Drop points {options.LESS_LIKELY}.")] = 0.0,
    output: Annotated[
        Path | None, Option("-o", "--output", help="The .npz to write; hybrids.npz unless there is a --folder.")
    ] = None,
    folder: Annotated[
        Path | None, Option(metavar="DIR", help="Write PNG files and soft_labels.csv to this new folder.")
    ] = None,
    grid: Annotated[Path | None, Option(metavar="FILE.png", help="Draw some of them, with captions, there.")] = None,
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    figures: options.Figures = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Decode latent points into images, each with the likelihood of every class as its soft label."""
    import numpy as np

    from latentcli import pictures
    from latentcli.artifacts.models import load_density_classifier, load_model
    from latentcli.cli import console, inputs, made_images
    from latentcli.formats.atomic import check_new_folder
    from latentcli.hybrids import HybridMaker, Recipe
    from latentcli.hybrids.hybridize import posteriors_of
    from latentcli.hybrids.making import HybridBlock
    from latentcli.hybrids.strategies import check_images
    from latentcli.numerics.blocks import Kept

    target = Path("hybrids.npz") if output is None and folder is None else output
    inputs.check_outputs(target, given=[vae, classifier, near, reading.labels], folder=figures, picture=grid)
    if folder is not None:
        check_new_folder(folder)
    chosen, all_classes = options.names(reading.classes), replace(reading, classes=None)
    recipe = Recipe(
        strategy, likelihood, None if chosen is None else tuple(chosen), ratio, temperature, min_confidence,
        reject, seed,
    )  # fmt: skip
    check_images(strategy, likelihood, near is not None)  # before anything is read
    if near is None and (reading.labels is not None or reading.resize):
        name = "resize" if reading.labels is None else "labels"
        raise UsageError(f"`{name}` is of images to draw around", "there are none", "name some: --near DATA")
    model = load_model(vae, device)
    fitted = load_density_classifier(classifier, model)
    around = inputs.latents(near, vae, device, all_classes, target or folder or Path()) if near is not None else None
    images = None if around is None else posteriors_of(around)
    maker = HybridMaker(recipe, fitted, model, images, console.progress)
    names = [str(name) for name in fitted.classes_]
    pictured, confidence = Kept(np.arange(PICTURED if grid or figures else 0)), 0.0
    for block in made_images.written(
        maker.blocks(count), count, model.image_shape, model.latent_model.dimensions, names, npz=target, folder=folder,
        doing="making hybrids",
    ):  # fmt: skip
        confidence += float(block.soft_labels.max(axis=1).sum())
        pictured.add(block._asdict())
    written = [path for path in (target, folder) if path is not None]
    if grid or figures:
        first = HybridBlock(**pictured.arrays)
        paths = [path for path in (grid, pictures.folder(figures) / "hybrids.png" if figures else None) if path]
        written += [pictures.hybrids(path, first.images, first.soft_labels, names) for path in paths]
        if figures:
            plane = figures / "hybrids-plane.png"
            written.append(
                pictures.hybrids_plane(
                    plane, first.latents, first.soft_labels, fitted, maker.likelihood, maker.log_likelihood
                )
            )
    result = {"images": count, "classes": names, "mean_confidence": confidence / count}
    console.result(result, as_json=json, written=written)
