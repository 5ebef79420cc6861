"""The arguments and options that commands share, each declared once."""

import csv
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from latentcli.core.errors import UsageError
from latentcli.training.config import TrainingConfig


def one_of(registry: str) -> str:
    """The names of a registry for a help text, read from where it stands: "models:FAMILIES"."""
    module, _, attribute = registry.partition(":")
    return "|".join(getattr(import_module(f"latentcli.{module}"), attribute))


Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help=f"{one_of('data:SOURCES').replace('|', ', ')}; a .npz or .npy file; a folder of images or IDX files.",
    ),
]
DataOrLatents = Annotated[
    str, typer.Argument(metavar="DATA|LATENTS.npz", help="Images, or latents that `latentcli encode` wrote.")
]
CheckpointOfImages = Annotated[
    Path | None, typer.Argument(metavar="VAE.PTH", help="The checkpoint that encodes images.")
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
    typer.Option(metavar="NAME=VALUE", help="Exit with 7 if this metric of the result is lower. Repeatable."),
]
Figures = Annotated[Path | None, typer.Option(metavar="DIR", help="Write pictures of the result there.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the images. By default as many as they need.")]
BatchSize = Annotated[
    int | None, typer.Option(help="Images a step. By default 256, or an eighth of the images where these are few.")
]
LearningRate = Annotated[float, typer.Option(help="The highest learning rate.")]
ImageSize = Annotated[int | None, typer.Option(help="Resize the images to this many pixels a side.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Any other setting of model or training: see `latentcli settings`."
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from where an interrupted run stopped.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes, only results and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="More notes on what is done.")]


@dataclass(frozen=True)
class TrainReading:
    """Which images of DATA a command that trains reads: options that come together, and that ``command`` lays out."""

    classes: Classes = None
    split: Split = "train"
    labels: Labels = None
    data_root: DataRoot = None
    max_bad: MaxBad = "1%"

    def options(self) -> dict[str, Any]:
        """As ``data.load`` takes them."""
        return {**vars(self), "classes": names(self.classes)}

    def of_val(self, resize: bool | None = None) -> "TrainReading":
        """How VAL is read beside DATA: the same classes, patience and folders; its labels are its own.

        Args:
            resize: whether its arrays are resized; None: as DATA's.
        """
        own: dict[str, Any] = {"classes": self.classes, "data_root": self.data_root, "max_bad": self.max_bad}
        wanted = getattr(self, "resize", False) if resize is None else resize
        return Reading(split="train", resize=wanted, **own)


@dataclass(frozen=True)
class Reading(TrainReading):
    """Which images of DATA a command reads, and how: options that come together, and that ``command`` lays out."""

    split: Split = "test"
    resize: Resize = False


@dataclass(frozen=True)
class NearReading:
    """Which images a command draws around, and how: options that come together, and that ``command`` lays out."""

    split: Split = "train"
    labels: Labels = None
    data_root: DataRoot = None
    max_bad: MaxBad = "1%"
    resize: Resize = False
    classes = None  # --classes are those that are drawn

    def options(self) -> dict[str, Any]:
        """As ``data.load`` takes them."""
        return vars(self)


READ_FOR_TRAINING, READ_TEST, READ_TRAIN, READ_NEAR = TrainReading(), Reading(), Reading(split="train"), NearReading()
"""What commands that train, that measure, that fit and that draw around images read of a named set by default."""


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

    def values(self, function: Callable[..., Any], **more: Any) -> dict[str, Any]:
        """The settings of model and training by name; what ``--set`` says goes before all else.

        Args:
            function: the settings are passed to: its own parameters are no settings.
            more: settings that have options of their own; None where one was not given.

        Raises:
            UsageError: ``--set`` has no ``=`` in it, or names no setting.
        """
        given = {name: getattr(self, name) for name in ("epochs", "batch_size", "lr", "seed")} | more
        return values(self.settings, function, **given)


TRAINING = Training()


def values(settings: list[str] | None, function: Callable[..., Any], **given: Any) -> dict[str, Any]:
    """The settings that a function of the library is called with; what ``--set`` says goes before all else.

    Args:
        settings: of ``--set``.
        function: takes them; its own parameters are no settings, but for those that are given.
        given: settings that have options of their own.

    Raises:
        UsageError: a setting has no ``=`` in it, or is another argument of the function.
    """
    own = dict(map(parse, settings or []))
    parameters = inspect.signature(function).parameters.values()
    taken = {each.name for each in parameters if each.kind is not each.VAR_KEYWORD} - given.keys()
    for name in sorted(own.keys() & taken):
        raise UsageError(f"unknown setting {name!r}", "it is no setting of the model or of its training")
    return given | own


def parse(setting: str) -> tuple[str, Any]:
    """The name and the value of ``KEY=VALUE``: a number or a truth value where it reads as one, else text.

    Raises:
        UsageError: there is no ``=`` in it.
    """
    name, equals, text = setting.partition("=")
    if not equals:
        raise UsageError(f"--set {setting!r} is not of the form key=value", "such as beta_warmup=0.2")
    name = name.strip().replace("-", "_")
    for kind in (int, float):
        try:
            return name, kind(text)
        except ValueError:
            continue
    return name, {"true": True, "false": False, "none": None}.get(text.strip().lower(), text.strip())


def names(text: str | None) -> list[str] | None:
    """The parts of a comma-separated option, each once, or None when it was not given.

    A part with a comma stands in double quotes, as in a CSV file.

    Raises:
        UsageError: its quotes do not match.
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
