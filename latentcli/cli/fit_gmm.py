"""``latentcli fit-gmm``: latents → mixture → parameters."""

import zlib
from pathlib import Path
from typing import Annotated

from typer import Option

from latentcli.cli import options
from latentcli.cli.app import LEARN, app, command


@command(app, panel=LEARN, examples=[
    "latentcli fit-gmm latents.npz --labels-per-class 5",
    "latentcli fit-gmm photos vae.pth --labels labels.csv",
], shared=True)  # fmt: skip
def fit_gmm(
    data: options.DataOrLatents,
    vae: options.CheckpointOfImages = None,
    val: options.ValOfFit = None,
    output: Annotated[Path, Option("-o", "--output", help="The mixture to write.")] = Path("gmm_params.pkl"),
    components: Annotated[int | None, Option(min=1, help="How many Gaussians. By default one per class.")] = None,
    covariance: Annotated[str | None, Option(metavar="full|diag|tied|spherical", help="Shape. [default: full]")] = None,
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    labels_per_class: options.LabelsPerClass = None,
    figures: options.Figures = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Fit a Gaussian mixture to the latents of DATA; labelled images clamp and name its components."""
    from latentcli import pictures
    from latentcli.artifacts.parameters import write_classifier
    from latentcli.classifiers.fitting import fit_mixture, labelled
    from latentcli.classifiers.mixture.expectation_maximisation import Part
    from latentcli.cli import console, inputs
    from latentcli.core import processes

    gates = console.parse_gates(fail_under)
    inputs.check_outputs(output, given=[data, vae, val, reading.labels], folder=figures)
    latents = inputs.latents(data, vae, device, reading, output)
    if val is not None:
        of_val = inputs.latents(val, vae, device, reading.of_val(), output, bad_files="bad_files_val.csv")
        latents = latents.unlabelled().followed_by(of_val)
    inputs.tell_replaced(output, "-o", latents.checkpoint)
    latents = labelled(latents, None, labels_per_class, seed)
    some = (latents.files or ())[:: max(1, len(latents) // 1000)]
    of_labels = latents.labels.names, zlib.crc32(latents.labels.codes.tobytes())
    processes.check_alike(repr([len(latents), latents.checkpoint, of_labels, some, components, covariance, seed]))
    part = Part(processes.share(len(latents)), processes.summed) if processes.count() > 1 else None
    mixture = fit_mixture(latents, components=components, covariance=covariance, seed=seed, device=device, part=part)
    if not processes.is_first():
        return
    write_classifier(output, mixture.to_params())
    console.notes(mixture.notes)
    drawn = pictures.of_fit(figures, latents, mixture) if figures else []
    result = {"images": len(latents), **mixture.summary()}
    console.result(result, as_json=json, written=[output, *drawn])
    console.check_gates(result, gates)
