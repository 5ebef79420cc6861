"""``latentcli import``: weights of another program → checkpoint."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import USE, app, command


@command(app, name="import", panel=USE, examples=[
    "latentcli import exported/weights.safetensors --like vae.pth",
    "latentcli import tuned.safetensors --like vae.pth -o tuned.pth",
])  # fmt: skip
def import_weights(
    weights: Annotated[Path, Argument(metavar="FILE.safetensors", help="Every weight of the network, by its name.")],
    like: Annotated[
        Path, Option(metavar="VAE.PTH|CNN.PTH", help="The checkpoint of a model that these weights belong to.")
    ],
    output: Annotated[Path, Option("-o", "--output", help="The checkpoint to write.")] = Path("imported.pth"),
    json: options.Json = False,
) -> None:
    """Make a checkpoint of weights that another program wrote or changed, in the place of those of a model like it."""
    from latentcli.artifacts.models import load_model, save_model
    from latentcli.cli import console, inputs
    from latentcli.exports import importing

    inputs.check_outputs(output, given=[weights, like])
    model = importing.import_weights(weights, load_model(like, "cpu"))
    save_model(model, output)
    count = sum(parameter.numel() for parameter in model.network.parameters())
    result = {"family": model.family, "parameters": count, "fingerprint": model.fingerprint}
    console.result(result, as_json=json, written=[output])
