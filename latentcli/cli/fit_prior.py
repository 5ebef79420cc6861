"""``latentcli fit-prior``: latents of images → prior of them → its file."""

from pathlib import Path
from typing import Annotated

from typer import Option

from latentcli.cli import options
from latentcli.cli.app import LEARN, app, command
from latentcli.training.config import TrainingConfig


@command(app, panel=LEARN, examples=[
    "latentcli fit-prior mnist vqvae.pth",
    "latentcli fit-prior latents.npz vae.pth --classifier graph.npz -o prior.pth",
])  # fmt: skip
def fit_prior(
    data: options.DataOrLatents,
    vae: options.CheckpointFile,
    classifier: Annotated[
        Path | None,
        Option(metavar=options.FITTED, help="Its probabilities stand for the labels that DATA lacks."),
    ] = None,
    output: Annotated[Path, Option("-o", "--output", help="The prior to write.")] = Path("prior.pth"),
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    lr: Annotated[
        float | None, Option(help="The highest learning rate. By default as `latentcli settings fit-prior` says.")
    ] = None,
    settings: options.Settings = None,
    resume: options.Resume = False,
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    figures: options.Figures = None,
    snapshots: options.Snapshots = None,
    tensorboard: options.TensorBoard = None,
    seed: options.Seed = TrainingConfig.seed,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Learn which latents images have, of each class and of all: `latentcli sample` makes new images of it."""
    from latentcli.artifacts.models import load_classifier, load_latent_model
    from latentcli.cli import console, inputs, training_progress
    from latentcli.core import device as devices
    from latentcli.training.priors import fit_prior as fit

    how = options.values(settings, fit, epochs=epochs, batch_size=batch_size, lr=lr, seed=seed)
    log, state = training_progress.outputs(output)
    given: list[str | Path | None] = [data, vae, classifier, reading.labels]
    inputs.check_outputs(output, log, state, given=given, folder=figures)
    watched = training_progress.Watched(snapshots, tensorboard, given)
    devices.start(device)
    model = load_latent_model(vae, device)
    reader = load_classifier(classifier, model) if classifier else None
    own = model.latent_network.FEATURES
    wanted = ["codes" if "codes" in own else own[0], *([] if reader is None else [reader.features or own[0]])]
    latents = inputs.latents(data, vae, device, reading, output, wanted)
    ended = training_progress.finished(output, state, device) if resume else None
    with watched.listener() as listener:
        trained = fit(
            latents, model, classifier=reader, device=device, state=state, resume=resume, finished=ended,
            log=log, listener=listener, **how,
        )  # fmt: skip
    console.notes(trained.notes)
    written = training_progress.kept(trained, ended, output, watched, figures)
    result = {
        "images": len(latents), "labelled": int(latents.labels.known.sum()), "classes": list(trained.class_names),
        **training_progress.summary(trained),
    }  # fmt: skip
    console.result(result, as_json=json, written=written)
