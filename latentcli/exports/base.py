"""The interface of formats, and what all of them say of the model in their own way."""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from latentcli.core.errors import UsageError
from latentcli.exports.parts import Part
from latentcli.formats.json_text import readable_json
from latentcli.models.trained import TrainedModel

Runner = Callable[[np.ndarray], tuple[np.ndarray, ...]]
"""An input (N, …) of a part to its outputs, each (N, …)."""


class Format(ABC):
    """How the parts of a model are written, and run again from what was written."""

    PACKAGES: ClassVar[tuple[str, ...]] = ()
    """What it needs that latentcli itself does not; all are of the extra ``export``."""
    COMPUTES: ClassVar[bool] = True
    """Whether its files hold the computations, and so a classifier of latents, too; else weights alone."""

    @abstractmethod
    def write(self, folder: Path, model: TrainedModel, parts: Sequence[Part]) -> None:
        """Write the parts into a folder, the same bytes for the same model.

        Args:
            folder: there, and empty.
            model: whose weights and facts are written.
            parts: of it, as ``parts.of_model`` gives them.

        Raises:
            UsageError: the format cannot hold the model.
        """

    @abstractmethod
    def runner(self, folder: Path, part: Part) -> Runner:
        """A part as other programs run it, from the files that ``write`` wrote, and from nothing else."""

    @abstractmethod
    def example(self, parts: Sequence[Part]) -> str:
        """The text of a short program that uses the files beside it without latentcli."""


def check_packages(name: str, packages: Sequence[str]) -> None:
    """Raise a ``UsageError`` that says how to install the packages of a format, unless all are there."""
    if missing := [package for package in packages if importlib.util.find_spec(package) is None]:
        raise UsageError(
            f"the format {name} needs {', '.join(packages)}", f"not installed: {', '.join(missing)}",
            "pip install 'latentcli[export]'",
        )  # fmt: skip


def facts_of(model: TrainedModel, part: Part | None = None) -> dict[str, Any]:
    """What is written of a model, or of a part of it, beside the weights, as plain values: no times, and no paths."""
    facts: dict[str, Any] = {
        "family": model.family, "fingerprint": model.fingerprint, "image_shape": list(model.image_shape),
        "class_names": list(model.class_names),
    }  # fmt: skip
    if spans := model.load_options["spans"]:  # the numbers of black and white, where images had more than 8 bits
        facts["spans"] = spans
    if "encoder" in model.training:  # its licence goes with its weights
        facts["encoder"] = model.training["encoder"]
    if part is None:
        return facts
    names = {"class_names": list(part.classes or model.class_names)}
    return facts | names | {"part": part.name, "input": part.input, "outputs": list(part.outputs)}


def as_json(facts: dict[str, Any]) -> str:
    """The facts in one line, their names in order."""
    return readable_json(facts, sort_keys=True)
