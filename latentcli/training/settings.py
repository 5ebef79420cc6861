"""The settings of each kind of training, described for people."""

from latentcli.classifiers import PROBES
from latentcli.core.errors import UsageError
from latentcli.core.registry import Registry
from latentcli.core.settings import Described, described
from latentcli.models import FAMILIES, PIXEL_CLASSIFIERS, PRIORS
from latentcli.training.config import ClassifierTrainingConfig, TrainingConfig


def settings(of: str = "train", model: str | None = None) -> dict[str, list[Described]]:
    """The settings that a training takes by name, by group.

    Args:
        of: "train", "train-cnn", "fit-probe" or "fit-prior".
        model: for "train" a model family, None for "vae"; for "fit-probe" a kind of probe, None for "mlp"; for
            "fit-prior" a kind of prior, None for "transformer", that of codes.

    Raises:
        UsageError: there is no such training, family, probe or prior.

    Example:
        >>> import latentcli as lc
        >>> [each.range for each in lc.settings("train")["training"] if each.name == "epochs"]
        ['1 to 100000 or none']
    """
    match of:
        case "train":
            return _of("vae" if model is None else model, FAMILIES, TrainingConfig)
        case "train-cnn":
            return _of("cnn", PIXEL_CLASSIFIERS, ClassifierTrainingConfig)
        case "fit-probe":
            probe = "mlp" if model is None else model
            return {f"probe {probe}": PROBES[probe].described_settings()}
        case "fit-prior":
            return _of("transformer" if model is None else model, PRIORS, TrainingConfig)
    raise UsageError(f"unknown training {of!r}", "expected one of: train, train-cnn, fit-probe, fit-prior")


def _of(model: str, registry: Registry, training: type[TrainingConfig]) -> dict[str, list[Described]]:
    config = registry[model].Config
    return {
        f"model {model}": described(config, config.OF_DATA),
        "training": described(training, other_defaults=config.TRAINING),
    }
