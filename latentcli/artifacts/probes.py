"""``probe.pth``: a fitted probe, with the fingerprint of the checkpoint whose features it reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentcli.core.errors import ModelFileError
from latentcli.formats import own_files
from latentcli.formats.checksummed import FileSchema
from latentcli.formats.digests import short
from latentcli.formats.regular_files import open_regular

PROBE = FileSchema(
    "a probe", "latentcli-probe", {
        "kind": str, "checkpoint": str, "classes": list, "inputs": int, "codes": int, "settings": dict,
        "arrays": dict, "history": list, "features": (str, type(None)),
    },
)  # fmt: skip


def is_archive(path: Path) -> bool:
    """Whether the file begins like the archives that hold probes, whole or not; a mixture's pickle does not."""
    try:
        file, _ = open_regular(path)
        with file:
            return file.read(2) == b"PK"
    except OSError:
        return False


def write(path: Path, params: Mapping[str, Any]) -> None:
    """Write ``probe.pth``, whole or not at all: the same content gives the same bytes, whatever the path.

    Args:
        path: of the file.
        params: what a probe's ``to_params`` gives, and ``checkpoint``, the fingerprint of the checkpoint whose
            features it was fitted on.

    Raises:
        OutputError: the file cannot be written.
        TypeError: something is neither a plain value nor an array of numbers.
    """
    arrays = {name: torch.from_numpy(np.asarray(array)) for name, array in params["arrays"].items()}
    PROBE.write(path, {**params, "arrays": arrays})


def read(path: Path, fitted_on: str | None = None, checkpoint: str = "vae.pth") -> dict[str, Any]:
    """What ``write`` was given, proved to be that; the probe's class checks the rest.

    Args:
        path: of the file.
        fitted_on: fingerprint of the checkpoint whose features it is to read; None accepts any.
        checkpoint: what to call that checkpoint in the message.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, changed, no probe, or fitted on another checkpoint.
    """
    again = f"fit it again: {own_files.command('probe', path, checkpoint)}"
    content = PROBE.read(path, again)
    arrays = content["arrays"]
    if not all(type(key) is str and type(value) is torch.Tensor for key, value in arrays.items()):
        raise ModelFileError(f"{path} is not a probe as a whole", "expected arrays with names", again)
    if not all(bool(torch.isfinite(value).all()) for value in arrays.values()):
        raise ModelFileError(f"{path} holds numbers that are not finite", None, again)
    if fitted_on is not None and content["checkpoint"] != fitted_on:
        difference = f"expected features of {checkpoint} {short(fitted_on)}, found {short(content['checkpoint'])}"
        raise ModelFileError(f"{path} was fitted on another checkpoint", difference, again)
    del content[PROBE.checksum]
    return content | {"arrays": {key: value.numpy() for key, value in arrays.items()}}
