"""What identifies a training run, and what a checkpoint says about how it was trained."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from latentcli import __version__
from latentcli.core.errors import UsageError
from latentcli.formats.digests import digest
from latentcli.models.base import ModelConfig
from latentcli.training.config import MAY_CHANGE, TrainingConfig


def identity(
    family: str, model: ModelConfig, training: TrainingConfig, name: str, arrays: Mapping[str, np.ndarray], **more: Any
) -> dict[str, Any]:
    """The settings of a run, and the name and SHA-256 of its data. It has no paths and no times.

    Args:
        family, model, training: the model's family, its configuration, and that of its training.
        name: of the data.
        arrays: all that is learned from, ``images`` (N, C, H, W) among them.
        more: further facts about the data.
    """
    data = {"name": name, "images": len(arrays["images"]), **more, "sha256": digest(arrays)}
    return {"family": family, "model": asdict(model), "training": asdict(training), "data": data}


def check_same(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to resume a run whose identity was another one, but for the settings that ``MAY_CHANGE``.

    Raises:
        UsageError: the two differ; the message names the first difference.
    """
    for group, wanted_values in wanted.items():
        found_values = found.get(group)
        if not isinstance(wanted_values, Mapping):
            wanted_values, found_values = {group: wanted_values}, {group: found_values}
        for name, value in wanted_values.items():
            old = found_values.get(name) if isinstance(found_values, Mapping) else None
            if _as_read(value) != _as_read(old) and not (group == "training" and name in MAY_CHANGE):
                what = name if name == group else f"{group} {name}"
                raise UsageError(
                    "cannot resume: the run was started with other settings or data",
                    f"{what} is {value}, was {old}", "repeat its call, or begin anew without `resume`",
                )  # fmt: skip


def _as_read(value: Any) -> Any:
    """The value as it comes back from a file: tuples as lists."""
    return [_as_read(item) for item in value] if isinstance(value, list | tuple) else value


def provenance(identity: Mapping[str, Any], history: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """How a model was trained, for its checkpoint: settings, data, versions and history; no paths and no times."""
    training = identity["training"]
    versions = {"latentcli": __version__, "torch": str(torch.__version__), "numpy": np.__version__}
    return {"seed": training["seed"], "settings": training, "data": identity["data"], "versions": versions,
            **{name: identity[name] for name in ("encoder",) if name in identity},
            "history": list(history)}  # fmt: skip
