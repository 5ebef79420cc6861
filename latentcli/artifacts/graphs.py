"""``graph.npz``: a fitted graph, with the fingerprint of the checkpoint whose latents it reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import DataError, ModelFileError, printable
from latentcli.formats import own_files
from latentcli.formats.checksummed_npz import read_arrays, write_arrays
from latentcli.formats.digests import is_digest, short


def write(path: Path, params: Mapping[str, Any]) -> None:
    """Write ``graph.npz``, whole or not at all: the same content gives the same bytes.

    Args:
        path: of the file.
        params: what ``GraphClassifier.to_params`` gives, with ``checkpoint``.

    Raises:
        OutputError: the file cannot be written.
    """
    write_arrays(path, {name: np.asarray(value) for name, value in params.items()})


def read(path: Path, fitted_on: str | None = None, checkpoint: str = "vae.pth") -> dict[str, Any]:
    """What ``write`` was given, proved to be that; the classifier's class checks the rest.

    Args:
        path: of the file.
        fitted_on: fingerprint of the checkpoint whose latents it is to read; None accepts any.
        checkpoint: what to call that checkpoint in the message.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, changed, no graph, or fitted on another checkpoint.
    """
    name, again = printable(str(path)), f"fit it again: {own_files.command('graph', path, checkpoint)}"
    try:
        arrays = read_arrays(path, strict=True)
    except DataError as error:
        raise ModelFileError(error.problem, error.found, again) from error
    params = {key: array.item() if array.ndim == 0 else array for key, array in arrays.items()}
    signed = params.get("checkpoint")
    if type(params.get("kind")) is not str or type(signed) is not str or not is_digest(signed):
        raise ModelFileError(f"{name} holds no graph", "expected a kind, and the SHA-256 of a checkpoint", again)
    if fitted_on is not None and signed != fitted_on:
        difference = f"expected latents of {checkpoint} {short(fitted_on)}, found {short(signed)}"
        raise ModelFileError(f"{name} was fitted on another checkpoint", difference, again)
    return params
