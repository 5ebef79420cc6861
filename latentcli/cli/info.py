"""``latentcli info``: what a file of latentcli's is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Argument

from latentcli.cli import options
from latentcli.cli.app import LOOK, app, command


@command(app, panel=LOOK, examples=[
    "latentcli info vae.pth", "latentcli info vae.pth gmm_params.pkl latents.npz --json",
])  # fmt: skip
def info(
    files: Annotated[
        list[Path], Argument(metavar="FILE…", help="Checkpoints, mixtures, graphs, probes, latents, hybrids.")
    ],
    json: options.Json = False,
) -> None:
    """Tell what files are: model, images, classes, settings, how it was trained, and which of them fit each other."""
    from latentcli.artifacts.info import describe
    from latentcli.cli import console

    found = {str(path): describe(path) for path in files}
    if json:
        console.result({"files": found} if len(found) > 1 else next(iter(found.values())), as_json=True)
        return
    models = {what["fingerprint"]: name for name, what in found.items() if "fingerprint" in what}
    for name, what in found.items():
        lines = [console.printable(name), *_lines(what, "  ")]
        for key in ("fitted_on", "checkpoint"):
            if what.get(key) in models:
                lines.append(f"  fits  {console.printable(models[what[key]])}")
        console.emit("\n".join(lines) + "\n")


def _lines(values: Mapping[str, Any], indent: str) -> list[str]:
    """One line a value; mappings indented below their name."""
    from latentcli.cli import console

    width = max((len(name) for name, value in values.items() if not isinstance(value, Mapping)), default=0)
    lines = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        elif value is not None and value != "":
            shown = f"{value:.6g}" if isinstance(value, float) else console.readable(value)
            lines.append(f"{indent}{name:<{width}}  {shown}")
    return lines
