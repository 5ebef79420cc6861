"""The files of trained networks: the entries of each kind of file, and their types."""

from collections.abc import Mapping
from typing import Any

from latentcli.formats import torch_zip
from latentcli.formats.checksummed import FileSchema

CHECKPOINT = FileSchema(
    "a checkpoint",
    "latentcli-checkpoint",
    {"family": str, "config": dict, "image_shape": list, "class_names": list, "state_dict": dict, "training": dict},
    checksum="fingerprint",
)
"""``vae.pth``, ``cnn.pth``: a trained network with all that is needed to use it."""

TRAINING_STATE = FileSchema("the state of a training", "latentcli-training-state", {"state": dict}, version=2)
"""``vae.pth.partial``: the state from which an interrupted run continues."""


def fingerprint(entries: Mapping[str, Any]) -> str:
    """SHA-256 of everything in a checkpoint with these entries; latents and classifiers refer to it by this."""
    return CHECKPOINT.checksum_of(torch_zip.plain(entries))
