"""``gmm_params.pkl``: the parameters of a latent classifier as a plain dict that any Python with numpy unpickles."""

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from latentcli.core.errors import ModelFileError
from latentcli.formats import own_files, pickle_reader, pickle_writer
from latentcli.formats.atomic import atomic_write
from latentcli.formats.digests import digest, short
from latentcli.formats.regular_files import open_regular

MAX_BYTES = 2**30
"""Ten full covariances of 2,048 dimensions take a third of it."""


def write_classifier(path: Path, params: Mapping[str, Any]) -> None:
    """Write ``gmm_params.pkl``, whole or not at all.

    Args:
        path: of the file.
        params: strings, numbers and numpy arrays; among them ``kind`` (a registered classifier) and ``checkpoint``
            (fingerprint of the checkpoint whose latents it was fitted on). ``sha256`` is added.

    Raises:
        OutputError: the file cannot be written.
    """
    if not {"kind", "checkpoint"} <= set(params):
        raise ValueError("a classifier's parameters need a kind and a checkpoint")
    plain = {name: value for name, value in params.items() if name != "sha256"}
    as_read = pickle_reader.loads(pickle_writer.dumps(plain))
    with atomic_write(path) as file:
        file.write(pickle_writer.dumps(plain | {"sha256": digest(as_read)}))


def read_classifier(path: Path, fitted_on: str | None = None, checkpoint: str = "vae.pth") -> dict[str, Any]:
    """Parameters of a latent classifier, proved to be those that were written; the classifier's class checks the rest.

    Args:
        path: of a file that ``write_classifier`` wrote.
        fitted_on: fingerprint of the checkpoint whose latents it is to read; None accepts any.
        checkpoint: what to call that checkpoint in the message.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe or changed, holds numbers that are not finite, or was
            fitted on another checkpoint.
    """
    name, again = path, f"fit it again: {own_files.command('mixture', path, checkpoint)}"
    try:
        params = pickle_reader.loads(_bytes_of(path))
    except (pickle_reader.UnsafePickle, OSError) as error:
        raise ModelFileError(f"cannot read {name}", getattr(error, "strerror", None) or str(error), again) from error
    plain = isinstance(params, dict) and all(isinstance(key, str) for key in params)
    if not plain or not all(isinstance(params.get(key), str) for key in ("kind", "checkpoint", "sha256")):
        raise ModelFileError(f"{name} holds no classifier", "expected a dict with kind, checkpoint and sha256", again)
    expected = params.pop("sha256")
    if expected != (found := digest(params)):
        difference = f"expected SHA-256 {short(expected)}, found {short(found)}"
        raise ModelFileError(f"{name} was changed after it was written", difference, again)
    for key, value in params.items():
        numbers = np.asarray(value) if isinstance(value, float | np.ndarray) else np.empty(0)
        if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
            raise ModelFileError(f"{name} holds numbers that are not finite", f"found them in {key!r}", again)
    if fitted_on is not None and params["checkpoint"] != fitted_on:
        difference = f"expected latents of {checkpoint} {short(fitted_on)}, found {short(params['checkpoint'])}"
        raise ModelFileError(f"{name} was fitted on another checkpoint", difference, again)
    return {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in params.items()}


def _bytes_of(path: Path) -> bytes:
    file, size = open_regular(path)
    with file:
        if size > MAX_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MAX_BYTES:,} bytes")
        return file.read()
