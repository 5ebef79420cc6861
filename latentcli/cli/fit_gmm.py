"""``latentcli fit-gmm``: latents → mixture → parameters."""

from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command


@command(app)
def fit_gmm(
    data: Annotated[
        str, typer.Argument(metavar="DATA|LATENTS.npz", help="Images, or latents that `latentcli encode` wrote.")
    ],
    vae: Annotated[Path | None, typer.Argument(metavar="VAE.PTH", help="The checkpoint that encodes images.")] = None,
    val: Annotated[
        str | None, typer.Option(help="Labelled images that name the clusters; DATA's labels do not count then.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The mixture to write.")] = Path("gmm_params.pkl"),
    components: Annotated[
        int | None, typer.Option(min=1, help="Components of the mixture. By default one per class.")
    ] = None,
    covariance: Annotated[
        str | None, typer.Option(metavar="full|diag|tied|spherical", help="Shape of the covariances. By default full.")
    ] = None,
    reading: options.Reading = options.READ_TRAIN,
    labels_per_class: options.LabelsPerClass = None,
    figures: options.Figures = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Fit a Gaussian mixture to the latents of DATA; labelled images clamp and name its components."""
    from latentcli.cli import console, fitting, inputs, pictures

    gates = console.parse_gates(fail_under)
    inputs.check_outputs(output, given=[data, vae, val, reading.labels], folder=figures)
    latents = inputs.latents(data, vae, device, output, **reading.options())
    few = inputs.latents(val, vae, device, output, data_root=reading.data_root, resize=reading.resize) if val else None
    latents = fitting.labelled(latents, few, labels_per_class, seed)
    mixture = fitting.fit_mixture(
        latents, device, n_components=components, covariance_type=covariance, random_state=seed
    )
    fitting.write_mixture(output, mixture, latents.checkpoint)
    written = [output]
    if figures is not None:
        written += pictures.of_mixture(figures, latents, mixture)
    result = {"images": len(latents), **fitting.summary(mixture)}
    console.result(result, as_json=json, written=written)
    console.check_gates(result, gates)
