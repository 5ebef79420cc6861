"""``latentcli settings``: every setting that ``--set`` reaches, with its range, default and meaning."""

from dataclasses import asdict
from typing import Annotated

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import LOOK, app, command


@command(app, panel=LOOK, examples=[
    "latentcli settings", "latentcli settings train --model vqvae", "latentcli settings train-cnn",
])  # fmt: skip
def settings(
    of: Annotated[str, Argument(metavar="[train|train-cnn|fit-probe|fit-prior]", help="The command.")] = "train",
    model: Annotated[
        str | None, Option(help=f"Model family ({options.one_of('models:FAMILIES')}), or kind of probe or prior.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List every setting of a training by name: its range, its default and what it means."""
    from latentcli.cli import console
    from latentcli.training.settings import settings as settings_of

    groups = settings_of(of, model)
    if json:
        console.result({group: [asdict(each) for each in found] for group, found in groups.items()}, as_json=True)
        return
    for group, found in groups.items():
        width = max(len(each.name) for each in found)
        console.emit(f"{group}\n")
        for each in found:
            value = each.default if each.default is not None else "none"
            value = str(value).lower() if isinstance(value, bool) else value
            allowed = each.kind + (f", {each.range}" if each.range else "")
            console.emit(f"  {each.name:<{width}}  {each.meaning}\n  {'':<{width}}  [{allowed}; default: {value}]\n")
