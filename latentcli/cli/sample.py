"""``latentcli sample``: a prior → codes → new images."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import MAKE, app, command
from latentcli.core.errors import UsageError

PICTURED = 100
"""Of the samples, the first so many are kept for the picture."""

WHITE = 127
"""Pixels of a mask above this value are white."""


@command(app, panel=MAKE, examples=[
    "latentcli sample vqvae.pth prior.pth --grid samples.png",
    "latentcli sample vqvae.pth prior.pth -n 5000 --classes 4,8 --top-p 0.95 --guidance 1.5",
    "latentcli sample vqvae.pth prior.pth -n 8 --complete scan.png --keep top --grid finished.png",
    "latentcli sample vae.pth --folder new",
])  # fmt: skip
def sample(
    vae: options.CheckpointFile,
    prior: Annotated[
        Path | None, Argument(metavar="PRIOR.PTH", help="Of that checkpoint's codes. By default the model's own.")
    ] = None,
    count: Annotated[int, Option("-n", "--count", min=1, max=10_000_000, help="How many images.")] = 1000,
    classes: Annotated[
        str | None, Option("--classes", "--digits", metavar="A,B,…", help="Of these, in turn. By default of all.")
    ] = None,
    temperature: Annotated[float, Option(metavar="T", help="Likely codes likelier (< 1), or less so (> 1).")] = 1.0,
    top_p: Annotated[
        float, Option(metavar="P", help="Draw from the likeliest codes that have this probability together.")
    ] = 1.0,
    guidance: Annotated[
        float, Option(metavar="G", help="How much the class counts: more than 1 exaggerates it, 0 leaves it out.")
    ] = 1.0,
    complete: Annotated[
        str | None, Option(metavar="IMAGE", help="Finish this image, of which a part is kept, in many ways.")
    ] = None,
    keep: Annotated[
        str | None, Option(metavar="top|left|MASK.png", help="That part: a half, or what is white. [default: top]")
    ] = None,
    output: Annotated[
        Path | None, Option("-o", "--output", help="The .npz to write; samples.npz unless there is a --folder.")
    ] = None,
    folder: Annotated[
        Path | None, Option(metavar="DIR", help="Write PNG files, and their classes, to this new folder.")
    ] = None,
    grid: Annotated[Path | None, Option(metavar="FILE.png", help="Draw some of them there.")] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Make new images: of codes that `latentcli fit-prior` has learned, or of the model's own prior."""
    import numpy as np

    from latentcli import artifacts, pictures
    from latentcli.artifacts.models import load_latent_model, load_model
    from latentcli.cli import console, inputs
    from latentcli.formats.atomic import check_new_folder
    from latentcli.hybrids.completing import PARTS, given
    from latentcli.hybrids.sampling import Sampler, SampleRecipe

    target = Path("samples.npz") if output is None and folder is None else output
    inputs.check_picture(grid)
    inputs.check_outputs(target, grid, given=[vae, prior, complete, None if keep in PARTS else keep])
    if folder is not None:
        check_new_folder(folder)
    chosen = options.names(classes)
    recipe = SampleRecipe(None if chosen is None else tuple(chosen), temperature, top_p, guidance, seed)
    if complete is None and keep is not None:
        raise UsageError("`keep` is of an image to complete", "there is none", "name one: --complete IMAGE")
    model = load_latent_model(vae, device)
    part = None
    if complete is not None:
        mask: Any = keep or PARTS[0]
        if mask not in PARTS:
            mask = inputs.images(mask, options.READ_TEST, target, image_shape=(1, *model.image_shape[1:]))
            mask = mask.images[0, 0] > WHITE
        part = given(inputs.images(complete, options.READ_TEST, target, **model.load_options), mask, model)
    sampler = Sampler(recipe, model, None if prior is None else load_model(prior, device), part)
    if prior is None and "codes" in model.latent_network.FEATURES:
        console.note(f"each code is drawn by itself; for images that show something: latentcli fit-prior DATA {vae}")
    names, kept, kept_images = list(sampler.names), list[Any](), 0
    with ExitStack() as stack:
        writers: list[Any] = []
        if target is not None:
            shape = count, model.image_shape, sampler.dimensions
            writers.append(stack.enter_context(artifacts.hybrids_writer(target, *shape, names)))
        if folder is not None:
            write_files = stack.enter_context(artifacts.hybrid_folder_writer(folder, count, names))
            writers.append(lambda images, soft_labels, latents: write_files(images, soft_labels))
        advance = stack.enter_context(console.progress("sampling", count))
        for block in sampler.blocks(count):
            for write in writers:
                write(block.images, block.soft_labels, block.latents)
            if kept_images < PICTURED:
                kept.append(block)
                kept_images += len(block.images)
            advance(len(block.images))
    written = [path for path in (target, folder) if path is not None]
    if grid:
        shown, soft_labels = (np.concatenate([getattr(block, name) for block in kept])
                              for name in ("images", "soft_labels"))  # fmt: skip
        written.append(pictures.samples(grid, shown, soft_labels, names))
    console.result({"images": count, "classes": names}, as_json=json, written=written)
