"""``latentcli train-cnn``: labelled images, and hybrids beside them → classifier of pixels → checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command
from latentcli.core.errors import UsageError
from latentcli.training.config import SHARE, ClassifierTrainingConfig


@command(app)
def train_cnn(
    data: options.Data,
    val: Annotated[
        str | None,
        typer.Argument(metavar="VAL", help="Labelled images to validate with. By default a few of DATA's, if many."),
    ] = None,
    hybrids: Annotated[
        Path | None,
        typer.Option(
            metavar="HYBRIDS.npz|DIR", help="Images with soft labels: what `hybridize` wrote, file or folder."
        ),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help=f"Of the images of an epoch that are DATA's, beside hybrids. [{SHARE:g}]"),
    ] = None,
    finish: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Of all steps, the last that see DATA's images alone, no hybrids. [0]"),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The checkpoint to write.")] = Path("cnn.pth"),
    training: options.Training = options.TRAINING,
    classes: options.Classes = None,
    split: options.Split = "train",
    labels: options.Labels = None,
    labels_per_class: options.LabelsPerClass = None,
    data_root: options.DataRoot = None,
    max_bad: options.MaxBad = "1%",
    figures: options.Figures = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Train a convolutional classifier of pixels on the labelled images of DATA, and on hybrids beside them."""
    from latentcli import artifacts
    from latentcli import data as datasets
    from latentcli.artifacts import checkpoint
    from latentcli.cli import configuration, console, inputs, pictures, watching
    from latentcli.core import device as devices
    from latentcli.models import PIXEL_CLASSIFIERS, create_classifier
    from latentcli.training import mixing

    if share is not None and hybrids is None:
        raise UsageError("a share is of images beside hybrids", "there are none", "name some: --hybrids hybrids.npz")
    share = SHARE if share is None else share
    log, partial = watching.log(output), watching.partial(output)
    inputs.check_outputs(output, log, partial, given=[data, val, labels, hybrids], folder=figures)
    mixed = artifacts.read_hybrids(hybrids) if hybrids else None
    images = datasets.load(
        data, split=split, classes=options.names(classes), labels=labels, image_size=training.image_size,
        data_root=data_root, max_bad=max_bad, progress=console.progress,
    )  # fmt: skip
    inputs.report_bad_files(images, output)
    validation = inputs.validation(val, images, training.image_size, data_root)
    labelled = mixing.labelled(images, labels_per_class, training.seed)
    if validation is not None and (known := mixing.in_both(labelled, validation)):
        console.note(
            f"warning: {known} of the {len(validation)} images of VAL are trained on: it says too little of others"
        )
    names = mixing.classes_of(labelled, mixed)
    if unseen := [name for name in names if name not in set(labelled.names_of_labels())]:
        console.note(f"only the hybrids show {', '.join(unseen)}: no image of {images.name} is labelled so")

    network_config, loop_config = configuration.configure(
        PIXEL_CLASSIFIERS["cnn"].Config, images.shape, len(names),
        {"finish": finish, **training.given()}, training.settings or [], ClassifierTrainingConfig,
    )  # fmt: skip
    if loop_config.finish and mixed is None:
        raise UsageError(
            "finish is of steps without hybrids", "there are none in any step", "name some: --hybrids hybrids.npz"
        )
    examples = mixing.examples(labelled, names, loop_config, validation, mixed, share)
    count = {"labelled": len(labelled), "hybrids": 0 if mixed is None else len(mixed["images"])}
    identity = configuration.identity(
        "cnn", network_config, loop_config, images.name, examples.arrays(), **count, share=share
    )
    network = create_classifier("cnn", network_config, loop_config.seed, devices.resolve(device))
    console.detail(f"{network_config}\n{loop_config}\non {next(network.parameters()).device}")
    state = watching.state_to_resume(output, identity) if training.resume else None
    history = watching.fit(network, examples, loop_config, output, identity, state)

    saved = checkpoint.Checkpoint(
        family="cnn", config=identity["model"], image_shape=images.shape, class_names=names,
        state_dict=network.state_dict(), training=configuration.provenance(identity, history),
    )  # fmt: skip
    checkpoint.save(output, saved)
    written = [output, log]
    if figures is not None:
        written.append(pictures.history(pictures.folder(figures) / "history.png", history))
    partial.unlink(missing_ok=True)
    result = {"images": count["labelled"], "hybrids": count["hybrids"], "classes": list(names)}
    console.result(result | watching.summary(network, history), as_json=json, written=written)
