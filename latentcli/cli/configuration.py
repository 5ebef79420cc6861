"""From options to configurations: which go to the model, which to the training loop."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

from latentcli import __version__
from latentcli.core.errors import UsageError
from latentcli.formats.digests import digest
from latentcli.training.config import TrainingConfig

if TYPE_CHECKING:
    import numpy as np

    from latentcli.models.base import ModelConfig

OfTraining = TypeVar("OfTraining", bound=TrainingConfig)


def configure(
    config_class: "type[ModelConfig]",
    image_shape: tuple[int, int, int],
    classes: int | None,
    options: Mapping[str, Any],
    settings: Sequence[str],
    training: type[OfTraining],
) -> "tuple[ModelConfig, OfTraining]":
    """The two configurations of a training run.

    Args:
        config_class: the model's configuration.
        image_shape: channels, height and width of the images.
        classes: how many classes the images are known to have; None when that is unknown.
        options: values of named options; None where an option was not given.
        settings: the ``KEY=VALUE`` of every ``--set``; they may name any field of either configuration.
        training: the training's configuration, which owns its defaults.

    Raises:
        UsageError: an unknown setting, or a value out of range.
    """
    values = {name: value for name, value in options.items() if value is not None} | dict(map(parse, settings))
    of_training = {field.name for field in fields(training)}
    of_model = config_class.settable()
    for name in values:
        if name not in of_training | of_model:
            raise UsageError(
                f"unknown setting {name!r}", f"of the model: {', '.join(sorted(of_model))}",
                f"of the training: {', '.join(sorted(of_training))}",
            )  # fmt: skip
    model = config_class.for_data(image_shape, classes, **{n: v for n, v in values.items() if n in of_model})
    return model, training(**{n: v for n, v in values.items() if n in of_training})


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


def identity(
    family: str, model: "ModelConfig", training: TrainingConfig, name: str, arrays: "Mapping[str, np.ndarray]",
    **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """What makes a run the same run: its settings, and the data by name and SHA-256. It has no paths and no times.

    Args:
        family: of the model.
        model, training: the two configurations.
        name: of the data.
        arrays: all that is learnt from, ``images`` (N, C, H, W) among them.
        more: what else there is to say of the data.
    """
    data = {"name": name, "images": len(arrays["images"]), **more, "sha256": digest(arrays)}
    return {"family": family, "model": asdict(model), "training": asdict(training), "data": data}


def check_identity(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to resume a run under other settings than it was started with.

    Raises:
        UsageError: they differ; the message names the first difference.
    """
    for group, wanted_values in wanted.items():
        found_values = found.get(group)
        if not isinstance(wanted_values, Mapping):
            wanted_values, found_values = {group: wanted_values}, {group: found_values}
        for name, value in wanted_values.items():
            old = found_values.get(name) if isinstance(found_values, Mapping) else None
            if plain(value) != plain(old):
                raise UsageError(
                    "cannot resume: the run was started with other settings or data",
                    f"{group} {name} is {value}, was {old}" if name != group else f"{name} is {value}, was {old}",
                    "repeat its call, or leave out --resume to begin anew",
                )


def plain(value: Any) -> Any:
    """Tuples as lists, the way files give them back."""
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def provenance(identity: Mapping[str, Any], history: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """How a model was trained, for its checkpoint: settings, data, versions and history; no paths and no times."""
    import numpy
    import torch

    versions = {"latentcli": __version__, "torch": str(torch.__version__), "numpy": numpy.__version__}
    return {
        "seed": identity["training"]["seed"], "settings": identity["training"], "data": identity["data"],
        "versions": versions, "history": list(history),
    }  # fmt: skip
