"""``latentcli export``: checkpoint → files of other programs, compared with its own results."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import USE, app, command


@command(app, panel=USE, examples=[
    "latentcli export vae.pth", "latentcli export vae.pth gmm_params.pkl -o classifier",
    "latentcli export cnn.pth --format torch-export", "latentcli export vae.pth --format safetensors -o weights",
])  # fmt: skip
def export(
    vae: Annotated[Path, Argument(metavar="VAE.PTH|CNN.PTH", help="What `train` or `train-cnn` wrote.")],
    classifier: Annotated[
        Path | None,
        Argument(metavar="GMM_PARAMS.PKL|PROBE.PTH", help="A mixture or a probe fitted on that checkpoint."),
    ] = None,
    output: Annotated[Path, Option("-o", "--output", metavar="DIR", help="The folder, new or empty.")] = Path(
        "exported"
    ),
    format: Annotated[str, Option(metavar=options.one_of("exports:FORMATS"), help="Of the files.")] = "onnx",
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Write a model for other programs: encoder and decoder, or a classifier, its preprocessing inside.

    What was written is run again on 16 images, and compared with what latentcli makes of them.
    """
    from latentcli.artifacts.models import load_classifier, load_model
    from latentcli.cli import console
    from latentcli.exports import FORMATS, exporting

    FORMATS[format]  # an unknown name is refused before anything is loaded
    model = load_model(vae, "cpu")
    reader = load_classifier(classifier, model) if classifier else None
    done = exporting.export(model, output, reader, format=format, seed=seed)
    console.notes(done.notes)
    result = {
        "format": format,
        "images": done.images,
        "largest_deviation": done.deviations,
        "tolerance": done.tolerance,
    }
    console.result(result, as_json=json, written=done.files)
