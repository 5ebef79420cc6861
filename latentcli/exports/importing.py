"""A checkpoint of weights that another program wrote, or changed: in the place of those of a model like it."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentcli.core.errors import ModelFileError, printable
from latentcli.core.stages import stage
from latentcli.exports.base import check_packages
from latentcli.formats import schemas
from latentcli.formats.safetensors_file import SafetensorsFile
from latentcli.formats.state_dict import digest
from latentcli.models.trained import TrainedModel

TYPES = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"""What safetensors calls the types of tensors."""

_NAMED = 5  # weights in a message
_KEPT = ("data", "encoder")  # of how the other was trained: how images are read, and whose encoder it has


@stage("reading models")
def import_weights(weights: str | Path, like: TrainedModel) -> TrainedModel:
    """A model like another, with the weights of a file of safetensors.

    Every weight of the network must be in the file, under its name, with its type and shape, finite, and nothing else.
    Where they are the very weights of ``like``, the result is the same model, with the same fingerprint. Otherwise it
    does not say how these weights were trained, but where they come from: ``training["imported"]``.

    Args:
        weights: the file, such as ``weights.safetensors`` of ``export``.
        like: a model with the configuration, image shape and classes that these weights belong to.

    Raises:
        UsageError: the package safetensors is not installed.
        ModelFileError: the file is missing or damaged, or holds the weights of another network; it says which.

    Example:
        >>> import latentcli as lc
        >>> images = lc.load("digits", classes=["1", "4", "8"])
        >>> vae = lc.train(images, backbone="mlp", width=32, latent_dim=4, epochs=1)
        >>> done = lc.export(vae, "exported", format="safetensors")
        >>> lc.import_weights("exported/weights.safetensors", vae).fingerprint == vae.fingerprint
        True
    """
    check_packages("safetensors", ("safetensors",))
    path = Path(weights)
    again = "export it again: latentcli export MODEL.pth --format safetensors"
    file = SafetensorsFile(path, again)
    own = {name: tensor.cpu() for name, tensor in like.network.state_dict().items()}
    _check(path, file.shapes(), own, like.name)
    found = file.tensors()
    if infinite := [name for name, tensor in found.items() if not _is_finite(tensor)]:
        raise ModelFileError(f"{_shown(path)} holds numbers that are not finite", f"in {_some(infinite)}", again)
    if all(torch.equal(found[name], tensor) for name, tensor in own.items()):
        return _signed(replace(like, state=None))
    network = copy.deepcopy(like.network)
    network.load_state_dict(found, strict=True)
    source = {"file": path.name, "sha256": digest(found), "like": like.fingerprint}
    training = {name: like.training[name] for name in _KEPT if name in like.training} | {"imported": source}
    return _signed(replace(like, network=network.eval(), training=training, name=_shown(path), state=None))


def _signed(model: TrainedModel) -> TrainedModel:
    """The model with the fingerprint that its file will have."""
    return replace(model, fingerprint=schemas.fingerprint(model.entries()))


def _check(path: Path, found: Mapping[str, tuple[str, tuple[int, ...]]], own: Mapping[str, Tensor], name: str) -> None:
    """Refuse names, shapes and types that are not the network's own."""
    wanted = {key: (TYPES.get(tensor.dtype, "?"), tuple(tensor.shape)) for key, tensor in own.items()}
    both = sorted(found.keys() & wanted.keys())
    unlike = {
        "it lacks": sorted(wanted.keys() - found.keys()),
        "unknown:": sorted(found.keys() - wanted.keys()),
        "of another shape:": [
            f"{key} {found[key][1]} instead of {wanted[key][1]}" for key in both if found[key][1] != wanted[key][1]
        ],
        "of another type:": [
            f"{key} {found[key][0]} instead of {wanted[key][0]}" for key in both if found[key][0] != wanted[key][0]
        ],
    }
    if told := "; ".join(f"{what} {_some(names)}" for what, names in unlike.items() if names):
        only_types = not any(names for what, names in unlike.items() if what != "of another type:")
        remedy = "name the checkpoint that they were exported from, or one trained with the same settings: `like`"
        raise ModelFileError(
            f"{_shown(path)} does not hold the weights of a model like {name}", told,
            "convert them first: tensor.to(torch.float32)" if only_types else remedy,
        )  # fmt: skip


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _some(names: list[Any]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _shown(path: Path) -> str:
    return printable(str(path))
