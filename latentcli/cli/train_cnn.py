"""``latentcli train-cnn``: labelled images, and hybrids beside them → classifier of pixels → checkpoint."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from latentcli.cli import options
from latentcli.cli.app import LEARN, app, command


@command(app, panel=LEARN, examples=[
    "latentcli train-cnn mnist --labels-per-class 10",
    "latentcli train-cnn photos --labels labels.csv --hybrids hybrids.npz --labelled-fraction 0.25",
    "latentcli train-cnn photos --labels labels.csv --from vae.pth",
    "latentcli train-cnn photos --labels more.csv --continue-from cnn.pth -o cnn2.pth",
], shared=True)  # fmt: skip
def train_cnn(
    data: options.Data,
    val: Annotated[
        str | None, Argument(metavar="VAL", help="Labelled images to validate with. By default a few of many in DATA.")
    ] = None,
    start: Annotated[
        Path | None,
        Option(
            "--from",
            "--continue-from",
            metavar="VAE.pth|CNN.pth",
            help="Begin with this encoder, or all of a CNN: weights, settings, classes. Epochs count anew.",
        ),
    ] = None,
    hybrids: Annotated[
        Path | None, Option(metavar="HYBRIDS.npz|DIR", help="What `latentcli hybridize` wrote, or other soft labels.")
    ] = None,
    labelled_fraction: Annotated[
        float | None,
        Option("--labelled-fraction", "--share", min=0.0, max=1.0, help="DATA's part, beside hybrids. [default: 0.5]"),
    ] = None,
    finish: Annotated[
        float | None, Option(min=0.0, max=1.0, help="The last part of the steps, without hybrids. [default: 0]")
    ] = None,
    fine_tune: Annotated[
        bool | None, Option("--fine-tune", help="Train an encoder, too, that was trained elsewhere; else it stays.")
    ] = None,
    output: Annotated[Path, Option("-o", "--output", help="The checkpoint to write.")] = Path("cnn.pth"),
    training: options.Training = options.TRAINING,
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    labels_per_class: options.LabelsPerClass = None,
    figures: options.Figures = None,
    tensorboard: options.TensorBoard = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Train a convolutional classifier of pixels on the labelled images of DATA, and on hybrids beside them."""
    from latentcli.artifacts import read_hybrids
    from latentcli.artifacts.models import load_model
    from latentcli.cli import console, inputs, training_progress
    from latentcli.core import device as devices
    from latentcli.core import processes
    from latentcli.training import mixing
    from latentcli.training.train import train_cnn as train_classifier

    settings = training.values(train_classifier, finish=finish, fine_tune=fine_tune)
    log, state = training_progress.outputs(output)
    read = [data, val, reading.labels, hybrids, start]
    inputs.check_outputs(output, log, state, given=read, folder=figures)
    watched = training_progress.Watched(None, tensorboard, read)
    devices.start(device)
    begun = load_model(start, device) if start else None
    notes: list[str] = []
    mixed = read_hybrids(hybrids, notes) if hybrids else None
    console.notes(notes)
    images, validation = inputs.images_and_validation(data, val, reading, output, training.image_size, begun)
    labelled = mixing.labelled(images, labels_per_class, settings["seed"])
    if validation is not None and (known := mixing.in_both(labelled.images, validation.images)):
        console.note(
            f"warning: {known} of the {len(validation)} images of VAL are trained on: it says too little of others"
        )
    ended = training_progress.finished(output, state, device) if training.resume else None
    with watched.listener() as listener:
        trained = train_classifier(
            images, validation, start=begun, hybrids=mixed, labelled_fraction=labelled_fraction,
            labels_per_class=labels_per_class, device=device, state=state, resume=training.resume, finished=ended,
            log=log, listener=listener, **settings,
        )  # fmt: skip
    if not processes.is_first():
        return
    if unseen := [name for name in trained.class_names if name not in labelled.labels.occurring]:
        console.note(f"only the hybrids show {', '.join(unseen)}: no image of {images.name} is labelled so")
    written = training_progress.kept(trained, ended, output, watched, figures)
    result = {
        "images": len(labelled), "hybrids": 0 if mixed is None else len(mixed["images"]),
        "classes": list(trained.class_names),
    }  # fmt: skip
    console.result(result | training_progress.summary(trained), as_json=json, written=written)
