"""``latentcli train``: images → model → checkpoint, and the mixture where labels name its clusters."""

import shlex
from pathlib import Path
from typing import Annotated

from typer import Option

from latentcli.cli import options
from latentcli.cli.app import LEARN, app, command

FAMILYS_OWN = "By default what the model family takes."
SEEN = (
    "The mixture has learned its classes from labels of these images: of images that it has not seen it may be right "
    "about fewer. latentcli evaluate tells, on others."
)
"""What a report says of a mixture that is tried on the images whose labels it had."""


@command(app, panel=LEARN, examples=[
    "latentcli train mnist --digits 1,4,8 --labels-per-class 5 --figures pictures",
    "latentcli train photos --image-size 64 --labels labels.csv",
    "latentcli train photos --image-size 224 --labels labels.csv --encoder efficientnet-lite0",
    "latentcli train mnist --model vqvae -o vqvae.pth --snapshots snapshots --resume",
    "latentcli train photos --continue-from vae.pth --epochs 200 -o vae2.pth --gmm gmm2.pkl",
], elsewhere={"covariance": "fit-gmm --covariance"}, shared=True)  # fmt: skip
def train(
    data: options.Data,
    val: options.Val = None,
    output: Annotated[Path, Option("-o", "--output", help="The checkpoint to write.")] = Path("vae.pth"),
    gmm: Annotated[
        Path | None, Option(help="The mixture to write when there are labels. [default: gmm_params.pkl]")
    ] = None,
    model: Annotated[
        str | None, Option(metavar=options.one_of("models:FAMILIES"), help="Model family. [default: vae]")
    ] = None,
    continue_from: Annotated[
        Path | None,
        Option(
            metavar="VAE.pth", help="Begin a new run with the weights and settings of this model. Epochs count anew."
        ),
    ] = None,
    backbone: Annotated[
        str | None, Option(help=f"Encoder and decoder, as `latentcli settings` lists them. {FAMILYS_OWN}")
    ] = None,
    encoder: options.Encoder = None,
    fine_tune: Annotated[
        bool | None, Option("--fine-tune", help="Train that encoder, too; otherwise it stays as it is.")
    ] = None,
    views: Annotated[
        str | None,
        Option(
            metavar="auto|digits|scans|photos|none", help="How images may differ and show the same. [default: auto]"
        ),
    ] = None,
    latent_dim: Annotated[int | None, Option(help=f"Dimensions of the latent space. {FAMILYS_OWN}")] = None,
    loss: Annotated[str | None, Option(metavar="bce|mse|ssim|bce+ssim…", help=f"Reconstruction. {FAMILYS_OWN}")] = None,
    beta: Annotated[float | None, Option(help=f"Weight of the KL or commitment term. {FAMILYS_OWN}")] = None,
    training: options.Training = options.TRAINING,
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    labels_per_class: options.LabelsPerClass = None,
    figures: options.Figures = None,
    snapshots: options.Snapshots = None,
    tensorboard: options.TensorBoard = None,
    report: options.Report = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Train a model on DATA without its labels; then fit a mixture that VAL's labels, or else DATA's, name."""
    from latentcli import pictures
    from latentcli.artifacts.models import load_mixture, load_model, save_classifier
    from latentcli.classifiers.fitting import fit_mixture
    from latentcli.classifiers.mixture.semi_supervised import Collapsed
    from latentcli.cli import comparison, console, inputs, training_progress
    from latentcli.core import device as devices
    from latentcli.core import processes
    from latentcli.core.errors import FitError
    from latentcli.core.labels import labelled_per_class
    from latentcli.formats import own_files
    from latentcli.training.train import check_named
    from latentcli.training.train import train as train_model

    settings = training.values(train_model, backbone=backbone, latent_dim=latent_dim, loss=loss, beta=beta,
                               encoder=encoder, fine_tune=fine_tune, views=views)  # fmt: skip
    log, state = training_progress.outputs(output)
    of_labels = {"VAL": val, "--gmm": gmm, "--labels-per-class": labels_per_class}
    asked = [name for name, value in of_labels.items() if value is not None]
    gmm = gmm or Path("gmm_params.pkl")
    if continue_from:
        own_files.check_place(continue_from, own_files.MODEL)  # before it is taken for an input that is replaced
    read = [data, val, *inputs.encoder_files(encoder), reading.labels, continue_from]
    inputs.check_outputs(output, gmm, log, state, given=read, folder=figures)
    inputs.check_report(report, read, [output, gmm, log, state, figures])
    watched = training_progress.Watched(snapshots, tensorboard, read)
    devices.start(device)
    begun = load_model(continue_from, device) if continue_from else None
    images, labelled = inputs.images_and_validation(data, val, reading, output, training.image_size, begun)
    naming = images if labelled is None else labelled
    named = naming.labels.any or bool(asked)
    if not named:
        later = shlex.join(["latentcli", "fit-gmm", data, str(output), "--labels", "labels.csv"])
        console.note(
            f"{images.name} has no labels, so no mixture names its clusters: give some as VAL or with --labels, or "
            f"later: {later}"
        )
    if named:
        check_named(naming, " and ".join(asked))
        if labels_per_class is not None:  # refused now, not after hours of training
            labelled_per_class(naming, labels_per_class, training.seed)
    ended = training_progress.finished(output, state, device) if training.resume else None
    if named and ended is None:
        inputs.tell_replaced(gmm, "--gmm", replaced=output)
    with watched.listener() as listener:
        trained = train_model(
            images, model=model, continue_from=begun, classes=len(naming.class_names) if named else 0, device=device,
            state=state, resume=training.resume, finished=ended, log=log, listener=listener, **settings,
        )  # fmt: skip
    if not processes.is_first():
        return
    console.notes(trained.notes)
    written, mixture, latents, compared = [], None, None, {}
    if ended is None:
        training_progress.save(trained, output)
        written = [output, log, *watched.written]
    else:
        left = [output, gmm] if named and gmm.exists() else [output]
        console.note(
            f"nothing to resume: the run of {output} has ended; {' and '.join(map(str, left))} stay as they are"
        )
        mixture = load_mixture(gmm, trained) if gmm in left else None
    if (named and mixture is None) or figures is not None or report is not None:
        latents = trained.encode(images, progress=console.progress)
    given = {
        "--val": val or (None if labelled is None else data), "--labels": reading.labels, "--classes": reading.classes,
        "--labels-per-class": labels_per_class,
    }  # fmt: skip
    those = [data, str(output)]
    those += [str(part) for option, value in given.items() if value is not None for part in (option, value)]
    if named and mixture is None and latents is not None:
        val_latents = None if labelled is None else trained.encode(labelled, progress=console.progress)
        try:
            mixture = fit_mixture(
                latents, val_latents, labels_per_class=labels_per_class, seed=settings["seed"], device=device
            )  # fmt: skip
        except FitError as failed:
            state.unlink(missing_ok=True)
            again = shlex.join(["latentcli", "fit-graph", *those])
            on = f"another classifier may do: {again}" if isinstance(failed, Collapsed) else failed.remedy
            raise FitError(failed.problem, failed.found, f"{output} was written, {gmm} was not; {on}") from failed
        save_classifier(mixture, gmm)
        console.notes(mixture.notes)
        written.append(gmm)
        compared = comparison.compared(
            latents, val_latents, naming.labels, labels_per_class, settings["seed"], device, those
        )  # fmt: skip
    judged = {f"compared_{name}": accuracy for name, accuracy in compared.items()}
    result = {"images": len(images), **training_progress.summary(trained), **judged}
    with pictures.place(figures, report) as where:
        drawn = pictures.of_training(where, trained, images, latents, mixture) if where and latents else []
        if report is not None:
            pictures.report(
                report, result, model=trained, images=images, classifier=mixture, drawn=drawn,
                command=console.called(), seen=SEEN if labelled is None else "",
            )  # fmt: skip
    written += [*(drawn if figures else []), *([report] if report else [])]
    state.unlink(missing_ok=True)
    console.result(result, as_json=json, written=written)
