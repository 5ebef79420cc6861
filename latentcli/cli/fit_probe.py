"""``latentcli fit-probe``: features → probe → its file."""

from pathlib import Path
from typing import Annotated

from typer import Option

from latentcli.cli import options
from latentcli.cli.app import LEARN, app, command


@command(app, panel=LEARN, examples=[
    "latentcli fit-probe mnist vqvae.pth --probe conv",
    "latentcli fit-probe latents.npz --probe linear --labels-per-class 50",
])  # fmt: skip
def fit_probe(
    data: options.DataOrLatents,
    vae: options.CheckpointOfImages = None,
    val: options.ValOfFit = None,
    output: Annotated[Path, Option("-o", "--output", help="The probe to write.")] = Path("probe.pth"),
    probe: Annotated[
        str,
        Option(
            metavar=options.one_of("classifiers:PROBES"),
            help="Its kind; conv reads quantized, codes, encoder or pixels.",
        ),
    ] = "mlp",
    features: Annotated[
        str | None,
        Option(metavar="mean|quantized|codes|encoder|pixels", help="What it reads. By default what a mixture reads."),
    ] = None,
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    labels_per_class: options.LabelsPerClass = None,
    settings: options.Settings = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Fit a probe to features of DATA's labelled images: it tells how much of the classes they hold."""
    from latentcli.artifacts.models import save_classifier
    from latentcli.classifiers import PROBES, fitting
    from latentcli.cli import console, inputs, training_progress

    gates = console.parse_gates(fail_under)
    inputs.check_outputs(output, given=[data, vae, val, reading.labels])
    PROBES[probe]  # an unknown name is refused before anything is loaded
    how = options.values(settings, fitting.fit_probe, seed=seed)
    latents = inputs.latents(data, vae, device, reading, output, features)
    of_val = None
    if val is not None:
        of_val = inputs.latents(val, vae, device, reading.of_val(), output, features, "bad_files_val.csv")
    inputs.tell_replaced(output, "-o", latents.checkpoint)
    latents = fitting.labelled(latents, of_val, labels_per_class, how["seed"], features)
    with training_progress.epochs(f"fitting {probe}") as on_epoch:
        learner = fitting.fit_probe(
            latents, probe=probe, features=features, device=device, on_epoch=on_epoch, **how
        )  # fmt: skip
    save_classifier(learner, output)
    result = {"images": int(latents.labels.known.sum()), **learner.summary()}
    console.result(result, as_json=json, written=[output])
    console.check_gates(result, gates)
