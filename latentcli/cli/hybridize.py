"""``latentcli hybridize``: latent points → class likelihoods → images with soft labels."""

from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command


@command(app)
def hybridize(
    vae: options.CheckpointFile,
    classifier: options.ClassifierFile,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1_000_000, help="How many images.")] = 1000,
    classes: Annotated[
        str | None, typer.Option("--classes", "--digits", metavar="A,B,…", help="Lie between these classes only.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The images and soft labels to write.")] = Path(
        "hybrids.npz"
    ),
    grid: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw some of them, with captions, there.")
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Decode points that lie between the classes, each with the likelihood of every class as its soft label."""
    import numpy as np

    from latentcli import artifacts, hybrids, inference
    from latentcli.cli import console, inputs, pictures

    inputs.check_picture(grid)
    inputs.check_outputs(output, grid, given=[vae, classifier])
    saved, model = inputs.model(vae, device)
    labeller = inputs.mixture(classifier, fitted_on=saved.fingerprint)
    points = hybrids.between(labeller, count, options.names(classes), seed)
    images = np.empty((count, *saved.image_shape), np.uint8)
    latents = np.empty((count, labeller.n_features_in_), np.float32)
    with console.progress("decoding", count) as advance:
        for rows, valid, decoded in inference.decodings(model, points, labeller.inverse_transform):
            latents[rows], images[rows] = valid, hybrids.to_bytes(decoded)
            advance(len(rows))
    soft_labels = labeller.predict_proba(latents)
    names = [str(name) for name in labeller.classes_]
    artifacts.write_hybrids(output, images, soft_labels, names, latents)
    written = [output, *pictures.of_hybrids(grid, images, soft_labels, names)]
    result = {"images": count, "classes": names, "mean_confidence": float(soft_labels.max(axis=1).mean())}
    console.result(result, as_json=json, written=written)
