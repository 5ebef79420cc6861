"""The settings of each kind of training, for people."""

from latentcli.classifiers import PROBES
from latentcli.core.errors import UsageError
from latentcli.core.settings import Described, described
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS
from latentcli.training.config import ClassifierTrainingConfig, TrainingConfig


def settings(of: str = "train", model: str | None = None) -> dict[str, list[Described]]:
    """The settings that a training takes by name, by group.

    Args:
        of: "train", "train-cnn" or "fit-probe".
        model: of "train" a model family, of "fit-probe" a kind of probe; None: "vae", or "mlp".

    Raises:
        UsageError: there is no such training, family or probe.

    Example:
        >>> import latentcli as lc
        >>> [each.range for each in lc.settings("train")["training"] if each.name == "epochs"]
        ['1 to 100000 or none']
    """
    match of:
        case "train":
            return of_training(model or "vae")
        case "train-cnn":
            return of_cnn()
        case "fit-probe":
            return of_probe(model or "mlp")
    raise UsageError(f"unknown training {of!r}", "expected one of: train, train-cnn, fit-probe")


def of_training(model: str = "vae") -> dict[str, list[Described]]:
    """The settings of a model family and of its training, by group.

    Args:
        model: a name in ``FAMILIES``.

    Raises:
        UsageError: there is no such family.
    """
    config = FAMILIES[model].Config
    return {f"model {model}": described(config, config.OF_DATA), "training": described(TrainingConfig)}


def of_cnn() -> dict[str, list[Described]]:
    """The settings of a classifier of pixels and of its training, by group."""
    config = PIXEL_CLASSIFIERS["cnn"].Config
    return {"model cnn": described(config, config.OF_DATA), "training": described(ClassifierTrainingConfig)}


def of_probe(probe: str = "mlp") -> dict[str, list[Described]]:
    """The settings of a kind of probe.

    Args:
        probe: a name in ``PROBES``.

    Raises:
        UsageError: there is no such probe.
    """
    return {f"probe {probe}": PROBES[probe].described_settings()}
