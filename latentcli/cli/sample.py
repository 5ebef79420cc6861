"""``latentcli sample``: a prior → latents → new images."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import MAKE, app, command
from latentcli.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

PICTURED = 100
"""Of the samples, the first so many are kept for the picture."""

WHITE = 127
"""Pixels of a mask above this value are white."""


@command(app, panel=MAKE, examples=[
    "latentcli sample vqvae.pth prior.pth --grid samples.png",
    "latentcli sample vqvae.pth prior.pth -n 5000 --classes 4,8 --top-p 0.95 --guidance 2",
    "latentcli sample vqvae.pth prior.pth -n 8 --complete scan.png --keep top --grid finished.png",
    "latentcli sample vae.pth prior.pth --classes cat --folder new",
])  # fmt: skip
def sample(
    vae: options.CheckpointFile,
    prior: Annotated[
        Path | None, Argument(metavar="PRIOR.PTH", help="Of that checkpoint's latents. By default the model's own.")
    ] = None,
    count: Annotated[int, Option("-n", "--count", min=1, max=10_000_000, help="How many images.")] = 1000,
    classes: Annotated[
        str | None, Option("--classes", "--digits", metavar="A,B,…", help="Of these, in turn. By default of all.")
    ] = None,
    temperature: Annotated[float, Option(metavar="T", help="What is likely likelier (< 1), or less so (> 1).")] = 1.0,
    top_p: Annotated[
        float, Option(metavar="P", help="Draw from the likeliest codes that have this probability together.")
    ] = 1.0,
    guidance: Annotated[
        float, Option(metavar="G", help="How much the class counts: more than 1 exaggerates it, 0 leaves it out.")
    ] = 1.5,
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
    """Make new images: of latents as `latentcli fit-prior` has learned them, or of the model's own prior."""
    import numpy as np

    from latentcli import pictures
    from latentcli.artifacts.models import load_latent_model, load_prior
    from latentcli.cli import console, inputs, made_images
    from latentcli.formats.atomic import check_new_folder
    from latentcli.hybrids.completing import PARTS, given
    from latentcli.hybrids.sampling import Sampler, SampleRecipe
    from latentcli.numerics.blocks import Kept

    target = Path("samples.npz") if output is None and folder is None else output
    inputs.check_outputs(target, given=[vae, prior, complete, None if keep in PARTS else keep], picture=grid)
    if folder is not None:
        check_new_folder(folder)
    chosen = options.names(classes)
    recipe = SampleRecipe(None if chosen is None else tuple(chosen), temperature, top_p, guidance, seed)
    if complete is None and keep is not None:
        raise UsageError("`keep` is of an image to complete", "there is none", "name one: --complete IMAGE")
    model = load_latent_model(vae, device)
    of_codes = None if prior is None else load_prior(prior, model, device)
    part = None
    if complete is not None:
        mask: Any = keep or PARTS[0]
        if mask not in PARTS and (inputs.is_source(mask) or Path(mask).suffix):
            _check_size(mask, complete, model.image_shape[1:])
            mask = _mask(mask, (1, *model.image_shape[1:]))
        part = given(inputs.images(complete, options.READ_TEST, target, resize=True, **model.load_options), mask, model)
    sampler = Sampler(recipe, model, of_codes, part)
    if prior is None and "codes" in model.latent_network.FEATURES:
        console.note(f"each code is drawn by itself; for images that show something: latentcli fit-prior DATA {vae}")
    names = list(sampler.names)
    pictured = Kept(np.arange(PICTURED if grid else 0))
    for block in made_images.written(
        sampler.blocks(count), count, model.image_shape, sampler.dimensions, names, npz=target, folder=folder,
        doing="sampling",
    ):  # fmt: skip
        pictured.add(block._asdict())
    written = [path for path in (target, folder) if path is not None]
    if grid:
        shown = pictured.arrays
        written.append(
            pictures.samples(
                grid,
                shown["images"],
                shown["soft_labels"],
                names,
                len(sampler.chosen),
                None if part is None else part.image,
            )
        )
    console.result({"images": count, "classes": names}, as_json=json, written=written)


def _mask(path: str, shape: tuple[int, int, int]) -> "np.ndarray":
    """(H, W) bool: what is white in the one image of a file, and not transparent."""
    from latentcli.data import load

    found = load(path, image_shape=shape, background="black", prefer="test", resize=True)
    if len(found) != 1:
        raise UsageError(f"`keep` names {len(found)} images", "the mask is one", "name one")
    white = found.images[0, 0] > WHITE
    if not white.any():
        expected = f"expected white, brighter than {WHITE} of 255, where the image stays; found at most "
        raise UsageError(
            f"the mask {path} shows no white", f"{expected}{found.images.max()}", "paint white what is to stay"
        )
    return white


def _check_size(mask: str, image: str, of_model: tuple[int, ...]) -> None:
    """Refuse a mask that was not drawn over the image, nor over one of the model's size: it would be stretched."""
    from latentcli.formats.image_files import UnreadableImage, measure

    sizes = []
    for path in map(Path, (mask, image)):
        with suppress(UnreadableImage, OSError):  # an array; or whoever reads it tells what is wrong
            sizes.append(measure(path) if path.is_file() else None)
    if len(sizes) == 2 and sizes[0] not in (None, sizes[1], tuple(of_model)):
        expected = " or ".join(f"{height}×{width}" for height, width in dict.fromkeys((sizes[1] or of_model, of_model)))
        found = f"expected {expected} pixels, height first, found {sizes[0][0]}×{sizes[0][1]}"
        raise UsageError(f"the mask {mask} does not fit {image}", found, "draw it over the image")
