"""``latentcli fit-probe``: features → probe → its file."""

from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command


@command(app)
def fit_probe(
    data: Annotated[
        str, typer.Argument(metavar="DATA|LATENTS.npz", help="Images, or latents that `latentcli encode` wrote.")
    ],
    vae: Annotated[Path | None, typer.Argument(metavar="VAE.PTH", help="The checkpoint that encodes images.")] = None,
    val: Annotated[
        str | None, typer.Option(help="Labelled images to learn from; DATA's labels do not count then.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The probe to write.")] = Path("probe.pth"),
    probe: Annotated[
        str,
        typer.Option(metavar="mlp|conv|linear|knn", help="What learns; conv reads maps: quantized, encoder, pixels."),
    ] = "mlp",
    features: Annotated[
        str | None,
        typer.Option(
            metavar="mean|quantized|codes|encoder|pixels",
            help="What it reads of an image, as far as the model has it; pixels are a control. "
            "By default what a mixture reads.",
        ),
    ] = None,
    reading: options.Reading = options.READ_TRAIN,
    labels_per_class: options.LabelsPerClass = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Fit a probe to features of DATA's labelled images: it tells how much of the classes they hold."""
    from latentcli.artifacts import probes as probe_files
    from latentcli.classifiers import PROBES
    from latentcli.cli import console, fitting, inputs, watching

    gates = console.parse_gates(fail_under)
    inputs.check_outputs(output, given=[data, vae, val, reading.labels])
    kind = PROBES[probe]
    latents = inputs.latents(data, vae, device, output, features, **reading.options())
    few = (
        inputs.latents(val, vae, device, output, features, data_root=reading.data_root, resize=reading.resize)
        if val
        else None
    )
    latents = fitting.labelled(latents, few, labels_per_class, seed)
    names = latents.names_of_labels()
    learner = kind(features=features, shape=latents.feature_shape(features), random_state=seed, device=device)
    with watching.epochs(f"fitting {probe}") as on_epoch:
        learner.fit(latents.flat if features is None else latents.features(features), names, on_epoch)
    probe_files.write(output, learner.to_params() | {"checkpoint": latents.checkpoint})
    result = {"images": int((names != "").sum()), **fitting.probe_summary(learner)}
    console.result(result, as_json=json, written=[output])
    console.check_gates(result, gates)
