"""``latentcli train``: images → model → checkpoint, and the mixture where labels name its clusters."""

from pathlib import Path
from typing import Annotated

import typer

from latentcli.cli import options
from latentcli.cli.app import app, command

FAMILYS_OWN = "By default what the model family takes."


@command(app)
def train(
    data: options.Data,
    val: options.Val = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The checkpoint to write.")] = Path("vae.pth"),
    gmm: Annotated[Path, typer.Option(help="The mixture to write when there are labels.")] = Path("gmm_params.pkl"),
    model: Annotated[str, typer.Option(help="Model family.")] = "vae",
    backbone: Annotated[str | None, typer.Option(metavar="mlp|conv|conv-mlp", help=f"Networks. {FAMILYS_OWN}")] = None,
    latent_dim: Annotated[int | None, typer.Option(help=f"Dimensions of the latent space. {FAMILYS_OWN}")] = None,
    loss: Annotated[
        str | None, typer.Option(metavar="bce|mse|ssim|bce+ssim…", help=f"Reconstruction. {FAMILYS_OWN}")
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help=f"Weight of the KL divergence, or of the commitment to codes. {FAMILYS_OWN}")
    ] = None,
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
    """Train a model on DATA without its labels; then fit a mixture that VAL's labels, or else DATA's, name."""
    from latentcli import data as datasets
    from latentcli.artifacts import checkpoint
    from latentcli.cli import configuration, console, fitting, inputs, pictures, watching
    from latentcli.core import device as devices
    from latentcli.models import FAMILIES, create
    from latentcli.training.config import TrainingConfig

    inputs.check_outputs(output, given=[data, val, labels], folder=figures)
    log, partial = watching.log(output), watching.partial(output)
    inputs.check_outputs(output, gmm, log, partial, given=[data, val, labels])
    images = datasets.load(
        data, split=split, classes=options.names(classes), labels=labels, image_size=training.image_size,
        data_root=data_root, max_bad=max_bad, progress=console.progress,
    )  # fmt: skip
    inputs.report_bad_files(images, output)
    few = inputs.validation(val, images, training.image_size, data_root)
    naming = fitting.naming(images, few, labels_per_class)

    network_config, loop_config = configuration.configure(
        FAMILIES[model].Config, images.shape, len(naming.class_names) if naming else None,
        {"backbone": backbone, "latent_dim": latent_dim, "loss": loss, "beta": beta, **training.given()},
        training.settings or [], TrainingConfig,
    )  # fmt: skip
    identity = configuration.identity(model, network_config, loop_config, images.name, {"images": images.images})
    network = create(model, network_config, loop_config.seed, devices.resolve(device))
    console.detail(f"{network_config}\n{loop_config}\non {next(network.parameters()).device}")
    state = watching.state_to_resume(output, identity) if training.resume else None
    history = watching.fit(network, images.images, loop_config, output, identity, state)

    saved = checkpoint.Checkpoint(
        family=model, config=identity["model"], image_shape=images.shape, class_names=images.class_names,
        state_dict=network.state_dict(), training=configuration.provenance(identity, history),
    )  # fmt: skip
    checkpoint.save(output, saved)
    written = [output, log]
    mixture = None
    latents = fitting.encoded(network, saved.fingerprint, images)
    if naming is not None:
        few_latents = fitting.encoded(network, saved.fingerprint, few) if few else None
        mixture = fitting.fit_mixture(
            fitting.labelled(latents, few_latents, labels_per_class, training.seed), device, random_state=training.seed
        )
        fitting.write_mixture(gmm, mixture, saved.fingerprint)
        written.append(gmm)
    if figures is not None:
        written += pictures.of_training(figures, history, network, images, latents, mixture)
    partial.unlink(missing_ok=True)
    console.result({"images": len(images), **watching.summary(network, history)}, as_json=json, written=written)
