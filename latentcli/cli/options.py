"""The arguments and options that commands share, each declared once."""

import csv
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar

from typer import Argument, Option

from latentcli.core.errors import UsageError
from latentcli.training.config import START_LR, TrainingConfig


def one_of(registry: str) -> str:
    """The names of a registry for a help text, read from where it stands: "models:FAMILIES"."""
    module, _, attribute = registry.partition(":")
    return "|".join(getattr(import_module(f"latentcli.{module}"), attribute))


SOURCES = one_of("data:SOURCES").replace("|", ", ")
KINDS_OF_DATA = (
    f"{SOURCES}; a .npz or .npy file; a folder of images or IDX files, or a .zip or .tar.gz of one; "
    "or shards: 'shards/{00000..00999}.tar', *.parquet, here or at an address such as s3://bucket."
)
Data = Annotated[str, Argument(metavar="DATA", help=KINDS_OF_DATA)]
DataOrLatents = Annotated[str, Argument(metavar="DATA|LATENTS.npz", help="Images, or what `latentcli encode` wrote.")]
CheckpointOfImages = Annotated[Path | None, Argument(metavar="VAE.PTH", help="The checkpoint that encodes images.")]
CheckpointFile = Annotated[Path, Argument(metavar="VAE.PTH", help="A checkpoint written by `latentcli train`.")]
FITTED = "GMM_PARAMS.PKL|GRAPH.NPZ|PROBE.PTH"
FITTED_HELP = "A mixture, a graph or a probe fitted on that checkpoint."
ClassifierFile = Annotated[Path, Argument(metavar=FITTED, help=FITTED_HELP)]
ClassifierFileIfAny = Annotated[Path | None, Argument(metavar=FITTED, help=FITTED_HELP)]
LESS_LIKELY = "less likely than this fraction of those the classifier was fitted on"
MixtureOrGraphFile = Annotated[
    Path, Argument(metavar="GMM_PARAMS.PKL|GRAPH.NPZ", help="A mixture or a graph fitted on that checkpoint.")
]
Val = Annotated[str | None, Argument(metavar="VAL", help="Labelled images, a few per class, that name the clusters.")]
ValOfFit = Annotated[str | None, Option(help="Labelled images; DATA's labels do not count then.")]
Classes = Annotated[str | None, Option("--classes", "--digits", metavar="A,B,…", help="These classes only.")]
_SPLIT, _SPLIT_HELP = "train|val|test", "The part of DATA to read. [default: {}, if DATA has parts]"
TrainSplit = Annotated[str | None, Option(metavar=_SPLIT, help=_SPLIT_HELP.format("train"))]
TestSplit = Annotated[str | None, Option(metavar=_SPLIT, help=_SPLIT_HELP.format("test"))]
NoClasses = Annotated[bool, Option("--no-classes", help="Sub-folders are no classes, and DATA's labels do not count.")]
Encoder = Annotated[
    str | None,
    Option(
        metavar="NAME|FILE",
        help="A trained encoder: efficientnet-lite0, torchvision:NAME, timm:NAME, or a file of weights.",
    ),
]
Labels = Annotated[
    Path | None, Option(metavar="FILE.csv", help="Labels: columns File (path or row), Label; or an .npy.")
]
Strict = Annotated[bool, Option("--strict", help="Refuse rows of --labels that name no file of the folder.")]
NoLabel = Annotated[
    str | None,
    Option(
        metavar="A,B,…",
        help="What means no label, beside an empty one; '' is nothing else. [default: -1,nan,unknown,unlabelled]",
    ),
]
LabelsPerClass = Annotated[
    int | None,
    Option(min=1, metavar="N", help="Let the classifier see only N labels of each class, drawn by the seed."),
]
OutputOrStdout = Annotated[
    str, Option("-o", "--output", metavar="FILE.csv|.parquet|-", help="The table to write; - is stdout.")
]
ListOrStdout = Annotated[str, Option("-o", "--output", metavar="FILE.csv|-", help="The list to write; - is stdout.")]
StudyFolder = Annotated[Path, Option("-o", "--output", metavar="DIR", help="The folder of the study.")]
DataRoot = Annotated[
    Path | None,
    Option(envvar="LATENTCLI_DATA", show_envvar=True, metavar="DIR", help="Where the named data sets lie."),
]
CacheDir = Annotated[
    Path | None,
    Option(envvar="LATENTCLI_CACHE", show_envvar=True, metavar="DIR", help="Where decoded images are kept."),
]
NoCache = Annotated[bool, Option("--no-cache", help="Keep no decoded images, and read none that are kept.")]
MaxBad = Annotated[str, Option(metavar="N|P%", help="How many unreadable files of a folder may be skipped.")]
Range = Annotated[
    str | None, Option(metavar="HIGH|LOW,HIGH", help="Numbers of black and white, in arrays and image files.")
]
Background = Annotated[str | None, Option(metavar="COLOUR", help="What transparent pixels of files are laid on.")]
Pages = Annotated[bool, Option("--pages", help="Each page, frame or slice of a file is an image.")]
Resize = Annotated[
    bool, Option("--resize", help="Resize arrays that are not of the model's size, or VAL's that are not of DATA's.")
]
Device = Annotated[str, Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")]
Seed = Annotated[int, Option(min=0, help="Same seed, same bytes.")]
Json = Annotated[bool, Option("--json", help="Print the result as one JSON object.")]
FailUnder = Annotated[
    list[str] | None,
    Option(metavar="NAME=VALUE", help="Exit with 7 if this metric of the result is lower. Repeatable."),
]
Figures = Annotated[Path | None, Option(metavar="DIR", help="Write pictures of the result there.")]
Snapshots = Annotated[
    Path | None,
    Option(metavar="DIR", help="Write what it makes of the same images there, 20 times while it trains, and a film."),
]
TensorBoard = Annotated[
    Path | None, Option(metavar="DIR", help="Write events for TensorBoard there, where that is installed.")
]
Report = Annotated[
    Path | None, Option(metavar="FILE.html", help="Write the result with its images as one page, for any browser.")
]
Epochs = Annotated[int | None, Option(help="Passes over the images. By default as many as they need.")]
BatchSize = Annotated[
    int | None, Option(help="Images a step. By default an eighth of them, at most 256, or 64 of vqvae and fsq.")
]
LearningRate = Annotated[
    float | None,
    Option(
        help=f"The highest learning rate. [default: {TrainingConfig.lr:g}; {START_LR:g} where it begins with a model]"
    ),
]
ImageSize = Annotated[int | None, Option(help="Resize the images to this many pixels a side.")]
Settings = Annotated[
    list[str] | None, Option("--set", metavar="KEY=VALUE", help="Any other setting: see `latentcli settings`.")
]
Resume = Annotated[bool, Option("--resume", help="Go on from where an interrupted run stopped.")]
Part = Annotated[
    str | None, Option(metavar="I/N", help="Of shards and -o DIR: every N-th shard, from the I-th; I is 1 to N.")
]
RetryFailed = Annotated[
    bool, Option("--retry-failed", help="Of shards and -o DIR: also what has images or labels that could not be read.")
]
Quiet = Annotated[bool, Option("--quiet", "-q", help="No progress and no notes, only results and errors.")]
Verbose = Annotated[bool, Option("--verbose", "-v", help="More notes on what is done, and where the time went.")]


@dataclass(frozen=True)
class TrainReading:
    """Which images of DATA a command that trains reads: options that come together, and that ``command`` lays out."""

    classes: Classes = None
    split: TrainSplit = None
    labels: Labels = None
    strict: Strict = False
    no_label: NoLabel = None
    no_classes: NoClasses = False
    data_root: DataRoot = None
    max_bad: MaxBad = "1%"
    range: Range = None
    background: Background = None
    resize: Resize = False
    pages: Pages = False
    cache_dir: CacheDir = None
    no_cache: NoCache = False

    prefer: ClassVar[str] = "train"
    """The part that is read where no other is asked for."""

    def options(self) -> dict[str, Any]:
        """As ``data.load`` takes them."""
        own = {"classes": names(self.classes), "no_label": names(self.no_label), "prefer": self.prefer}
        return {**vars(self), **own}

    def of_val(self, resize: bool = False, split: str | None = None) -> "TrainReading":
        """How VAL is read beside DATA: the same classes, patience and folders; its labels are its own.

        Args:
            resize: whether its arrays are resized even where DATA's are not.
            split: the part of it that is read; None: the one for training, where it has parts.
        """
        kept = ("classes", "no_label", "data_root", "max_bad", "range", "background", "pages", "cache_dir", "no_cache")
        own: dict[str, Any] = {name: getattr(self, name) for name in kept}
        return TrainReading(split=split, resize=self.resize or resize, **own)


@dataclass(frozen=True)
class Reading(TrainReading):
    """Which images of DATA a command reads, and how: options that come together, and that ``command`` lays out."""

    split: TestSplit = None

    prefer: ClassVar[str] = "test"


READ_FOR_TRAINING, READ_TEST = TrainReading(), Reading()
"""What commands that train and fit, and those that measure, read of a set by default."""


@dataclass(frozen=True)
class Training:
    """How a command trains: options that come together, and that ``command`` lays out."""

    epochs: Epochs = None
    batch_size: BatchSize = None
    lr: LearningRate = None
    image_size: ImageSize = None
    settings: Settings = None
    resume: Resume = False
    seed: Seed = TrainingConfig.seed

    def values(self, function: Callable[..., Any], **more: Any) -> dict[str, Any]:
        """``values`` of these settings and of more, which may be None where one was not given."""
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
        raise UsageError(
            f"unknown setting {name!r}", "it is no setting of the model or of its training", "see: latentcli settings"
        )
    return given | own


def parse(setting: str) -> tuple[str, Any]:
    """The name and the value of ``KEY=VALUE``: numbers or a truth value where it reads as such, else text.

    Raises:
        UsageError: there is no ``=`` in it.
    """
    name, equals, text = setting.partition("=")
    if not equals:
        raise UsageError(f"--set {setting!r} is not of the form key=value", "such as beta_warmup=0.2")
    name = name.strip().replace("-", "_")
    for kind in (int, float, whole_numbers):
        try:
            return name, kind(text)
        except ValueError:
            continue
    return name, {"true": True, "false": False, "none": None}.get(text.strip().lower(), text.strip())


def whole_numbers(text: str) -> tuple[int, ...]:
    """The numbers of such as ``8,6,5``; a ``ValueError`` where it is something else."""
    return tuple(map(int, text.split(",")))


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
        remedy = 'write a,b,c, or "a,b",c for a name with a comma'
        raise UsageError(f"{text!r} is no list", str(error), remedy) from error
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def sizes(text: str | None) -> dict[str, float] | None:
    """Numbers by name, of an option such as ``cat=10,dog=20``; None when it was not given. Commas as for ``names``.

    Raises:
        UsageError: a part is not a name and a number.
    """
    found = {}
    for part in names(text) or ():
        name, _, number = part.rpartition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise UsageError(f"{part!r} is no name and number", remedy="write such as cat=10,dog=20") from None
    return None if text is None else found
