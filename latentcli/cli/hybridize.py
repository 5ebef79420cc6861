"""``latentcli hybridize``: latent points → class likelihoods → images with soft labels."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command
from latentcli.core.errors import UsageError

PICTURED = 2_000
"""Of the hybrids, the first so many are kept for pictures."""


@command(app)
def hybridize(
    vae: options.CheckpointFile,
    classifier: options.MixtureFile,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1_000_000, help="How many images.")] = 1000,
    strategy: Annotated[
        str,
        typer.Option(
            metavar="between|mixup|boundary|mixture|posterior|prior", help="Where in the latent space they lie."
        ),
    ] = "between",
    likelihood: Annotated[
        str,
        typer.Option(metavar="mixture|class-gaussian|neighbours", help="What tells how much of each class they are."),
    ] = "mixture",
    classes: Annotated[
        str | None, typer.Option("--classes", "--digits", metavar="A,B,…", help="Draw them from these classes only.")
    ] = None,
    near: Annotated[
        str | None,
        typer.Option(
            metavar="DATA|latents.npz",
            help="Images, or their latents: to draw around, or between, instead of the mixture; or to be neighbours.",
        ),
    ] = None,
    ratio: Annotated[
        float | None,
        typer.Option(metavar="R", help="How far from the first of two classes to the second, 0 to 1. [anywhere]"),
    ] = None,
    temperature: Annotated[float, typer.Option(metavar="T", help="Soft labels sharper (< 1) or softer (> 1).")] = 1.0,
    min_confidence: Annotated[
        float, typer.Option(metavar="P", help="Drop points whose likeliest class has less than this.")
    ] = 0.0,
    reject: Annotated[
        float,
        typer.Option(
            metavar="P", help="Drop points less likely than this fraction of those the mixture was fitted on."
        ),
    ] = 0.0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The .npz to write; hybrids.npz unless there is a --folder.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write PNG files and soft_labels.csv to this new folder.")
    ] = None,
    grid: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw some of them, with captions, there.")
    ] = None,
    split: options.Split = "train",
    labels: options.Labels = None,
    data_root: options.DataRoot = None,
    max_bad: options.MaxBad = "1%",
    resize: options.Resize = False,
    figures: options.Figures = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Decode latent points into images, each with the likelihood of every class as its soft label."""
    import numpy as np

    from latentcli import artifacts, inference
    from latentcli.cli import console, inputs, pictures
    from latentcli.formats.files import check_new_folder
    from latentcli.hybrids import HybridMaker, Posteriors, Recipe

    target = Path("hybrids.npz") if output is None and folder is None else output
    inputs.check_picture(grid)
    inputs.check_outputs(target, grid, given=[vae, classifier, near, labels], folder=figures)
    if folder is not None:
        check_new_folder(folder)
    chosen = options.names(classes)
    recipe = Recipe(
        strategy,
        likelihood,
        None if chosen is None else tuple(chosen),
        ratio,
        temperature,
        min_confidence,
        reject,
        seed,
    )
    if near is None and (labels is not None or resize):
        raise UsageError(
            f"{'--resize' if labels is None else '--labels'} is of images to draw around",
            "there are none",
            "name some: --near DATA",
        )
    saved, model = inputs.model(vae, device)
    images = None
    if near is not None:
        around = inputs.latents(
            near, vae, device, target or folder or Path(),
            split=split, labels=labels, data_root=data_root, max_bad=max_bad, resize=resize,
        )  # fmt: skip
        images = Posteriors(around.flat, around.posterior_variances, around.names_of_labels())
    labeller = inputs.mixture(classifier, fitted_on=saved.fingerprint, vae=vae)
    names = [str(name) for name in labeller.classes_]
    maker = HybridMaker(recipe, labeller, inference.LatentSpace(model), images, console.progress)
    kept: list[tuple[Any, ...]] = []
    confidence = 0.0
    with ExitStack() as stack:
        writers: list[Any] = []
        if target is not None:
            shape = count, saved.image_shape, labeller.n_features_in_
            writers.append(stack.enter_context(artifacts.hybrids_writer(target, *shape, names)))
        if folder is not None:
            write_files = stack.enter_context(artifacts.hybrid_folder_writer(folder, count, names))
            writers.append(lambda images, soft_labels, latents: write_files(images, soft_labels))
        advance = stack.enter_context(console.progress("making hybrids", count))
        for block in maker.blocks(count):
            for write in writers:
                write(block.images, block.soft_labels, block.latents)
            confidence += float(block.soft_labels.max(axis=1).sum())
            if sum(len(part[0]) for part in kept) < PICTURED:
                kept.append((block.images, block.soft_labels, labeller.transform(block.latents)))
            advance(len(block.images))
    shown, soft_labels, points = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    written = [path for path in (target, folder) if path is not None]
    written += pictures.of_hybrids(
        grid, figures, shown, soft_labels, points, labeller, likelihood, maker.log_likelihood
    )
    result = {"images": count, "classes": names, "mean_confidence": confidence / count}
    console.result(result, as_json=json, written=written)
