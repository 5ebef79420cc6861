"""The arguments and options that commands share, each declared once."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from latentcli.core.errors import UsageError
from latentcli.training.config import TrainingConfig

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="digits, mnist, fashion-mnist, cifar10, cifar100; a .npz or .npy file; a folder of images or IDX files.",
    ),
]
CheckpointFile = Annotated[Path, typer.Argument(metavar="VAE.PTH", help="A checkpoint written by `latentcli train`.")]
ClassifierFile = Annotated[
    Path,
    typer.Argument(metavar="GMM_PARAMS.PKL|PROBE.PTH", help="A mixture or a probe fitted on that checkpoint."),
]
MixtureFile = Annotated[Path, typer.Argument(metavar="GMM_PARAMS.PKL", help="A mixture fitted on that checkpoint.")]
Val = Annotated[
    str | None, typer.Argument(metavar="VAL", help="Labelled images, a few per class, that name the clusters.")
]
Classes = Annotated[str | None, typer.Option("--classes", "--digits", metavar="A,B,…", help="Keep these classes only.")]
Split = Annotated[str, typer.Option(metavar="train|test", help="Which half of a named data set.")]
Labels = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="Labels of some images: columns File,Label (a path or a row number)."),
]
LabelsPerClass = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Let the classifier see only N labels of each class, drawn by the seed."),
]
OutputOrStdout = Annotated[
    str, typer.Option("-o", "--output", metavar="FILE.csv|-", help="The CSV to write; - is stdout.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(envvar="LATENTCLI_DATA", show_envvar=True, metavar="DIR", help="Where the named data sets lie."),
]
MaxBad = Annotated[
    str, typer.Option(metavar="N|P%", help="How many unreadable files of a folder are skipped before giving up.")
]
Resize = Annotated[bool, typer.Option("--resize", help="Resize arrays that are not of the model's size.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
FailUnder = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Exit with 7 if this figure of the result is lower. Repeatable."),
]
Figures = Annotated[Path | None, typer.Option(metavar="DIR", help="Write pictures of the result there.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the images. By default as many as they need.")]
BatchSize = Annotated[int | None, typer.Option(help="Images a step. By default 256, or fewer of few.")]
LearningRate = Annotated[float, typer.Option(help="The highest learning rate.")]
ImageSize = Annotated[int | None, typer.Option(help="Resize the images to this many pixels a side.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other setting of model or training.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from where an interrupted run stopped.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes, only results and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="More notes on what is done.")]


@dataclass(frozen=True)
class Reading:
    """Which images of DATA a command reads, and how: options that come together, and that ``command`` lays out."""

    classes: Classes = None
    split: Split = "test"
    labels: Labels = None
    data_root: DataRoot = None
    max_bad: MaxBad = "1%"
    resize: Resize = False

    def options(self) -> dict[str, Any]:
        """As ``data.load`` takes them."""
        return {**vars(self), "classes": names(self.classes)}


READ_TEST, READ_TRAIN = Reading(), Reading(split="train")
"""What commands that measure read of a named set by default, and what commands that fit."""


@dataclass(frozen=True)
class Training:
    """How a command trains: options that come together, and that ``command`` lays out."""

    epochs: Epochs = None
    batch_size: BatchSize = None
    lr: LearningRate = TrainingConfig.lr
    image_size: ImageSize = None
    settings: Settings = None
    resume: Resume = False
    seed: Seed = TrainingConfig.seed

    def given(self) -> dict[str, Any]:
        """The fields of the training's configuration; None where an option was not given."""
        return {name: getattr(self, name) for name in ("epochs", "batch_size", "lr", "seed")}


TRAINING = Training()


def names(text: str | None) -> list[str] | None:
    """The parts of a comma-separated option, each once, or None when it was not given.

    A part with a comma stands in double quotes, as in a CSV file.

    Raises:
        UsageError: it is no line of such a file.
    """
    if text is None:
        return None
    try:
        parts = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error as error:
        raise UsageError(
            f"{text!r} is no list", str(error), 'write a,b,c, or "a,b",c for a name with a comma'
        ) from error
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))
