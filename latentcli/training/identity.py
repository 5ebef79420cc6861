"""What identifies a training run, and what a checkpoint says about how it was trained."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

import numpy as np
import torch

from latentcli import __version__
from latentcli.core.errors import UsageError
from latentcli.core.rows import Rows
from latentcli.formats.digests import digest, short
from latentcli.models.base import ModelConfig
from latentcli.models.trained import TrainedModel
from latentcli.training.config import MAY_CHANGE, TrainingConfig

DIGEST = ("data", "sha256")
"""Of an identity: the SHA-256 of all that is learned from."""

MOST_TOLD = 4
"""Differences of two runs that a message names."""


def identity(
    family: str,
    model: ModelConfig,
    training: TrainingConfig,
    name: str,
    arrays: Mapping[str, np.ndarray | Rows],
    **more: Any,
) -> dict[str, Any]:
    """The settings of a run, and the name and SHA-256 of its data. It has no paths and no times.

    Args:
        family, model, training: the model's family, its configuration, and that of its training.
        name: of the data, of which the last part is kept.
        arrays: all that is learned from, ``images`` (N, C, H, W) among them.
        more: further facts about the data.
    """
    known = getattr(arrays["images"], "sha256", None) if len(arrays) == 1 else None  # of ``data.cache.KeptImages``
    sha256 = digest(arrays) if known is None else known
    data = {"name": PurePath(name).name, "images": len(arrays["images"]), **more, "sha256": sha256}
    return {"family": family, "data": data, "training": asdict(training), "model": asdict(model)}


def identity_of(model: TrainedModel) -> dict[str, Any]:
    """The ``identity`` of the run that a model was trained in, as its checkpoint tells it."""
    of_run = {"training": model.training.get("settings"), "data": model.training.get("data")}
    more = {name: model.training[name] for name in ("encoder",) if name in model.training}
    return {"family": model.family, "model": asdict(model.config), **of_run, **more}


def check_same(
    found: Mapping[str, Any], wanted: Mapping[str, Any], run: str = "the run",
    remedy: str = "repeat its call, or begin anew without `resume`", may_change: Sequence[str] = MAY_CHANGE,
) -> None:  # fmt: skip
    """Refuse to resume a run whose identity was another one.

    The name of the data is none of it, since its bytes tell whether it is the same; nor are the settings that may
    change.

    Args:
        found: the identity of the run to be resumed.
        wanted: what it is to be.
        run, remedy: what messages call it, and what they advise.
        may_change: settings of the training that do not count.

    Raises:
        UsageError: the two differ; the message names the differences.
    """
    differ: dict[tuple[str, str], str] = {}
    for group, wanted_values in wanted.items():
        found_values = found.get(group)
        if not isinstance(wanted_values, Mapping):
            wanted_values, found_values = {group: wanted_values}, {group: found_values}
        found_values = found_values if isinstance(found_values, Mapping) else {}
        free = {"training": may_change, "data": ("name",)}.get(group, ())
        facts = found_values if group == "data" else {}  # settings that one of two versions lacks have no effect there
        for name in dict.fromkeys((*wanted_values, *facts)):
            new, old = wanted_values.get(name), found_values.get(name)
            if _as_read(new) != _as_read(old) and name not in free:
                differ[group, name] = _difference(group, name, new, old)
    if any(group in ("data", "training") for group, _ in differ.keys() - {DIGEST}):
        differ.pop(DIGEST, None)  # the rows that are drawn from the data follow from these, too
    if differ:
        raise UsageError(
            f"cannot resume: {run} was begun with other settings or data",
            "; ".join([*differ.values()][:MOST_TOLD]),
            remedy,
        )


def _difference(group: str, name: str, value: Any, old: Any) -> str:
    """What differs, in words; a setting by its name as an argument."""
    match group, name:
        case "data", "sha256":
            return f"the images or labels are not the same: SHA-256 {short(value)}, was {short(old)}"
        case "data", "start":
            return f"the model to begin with is {_named(value)}, was {_named(old)}"
        case "data", "images":
            return f"there are {value} images, not {old}"
        case "encoder", _:
            return f"{name} of the encoder is {value}, was {old}"
    new, was = ("not given" if each is None else each for each in (value, old))
    return f"`{name}` is {new}, was {was}"


def _named(fingerprint: Any) -> str:
    return "none" if fingerprint is None else f"SHA-256 {short(fingerprint)}"


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
