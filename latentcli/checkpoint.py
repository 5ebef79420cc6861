"""``vae.pth``: a trained model with all that is needed to use it, and the state of a training that goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from latentcli import files, tensor_files
from latentcli.errors import ModelFileError, UsageError
from latentcli.models import FAMILIES

if TYPE_CHECKING:
    from latentcli.models.base import LatentModel

FORMAT, STATE_FORMAT, VERSION = "latentcli-checkpoint", "latentcli-training-state", 1
MOST_PARAMETERS = 1_000_000_000

_TYPES: dict[str, type] = {
    "format": str, "version": int, "family": str, "config": dict, "image_shape": list, "class_names": list,
    "state_dict": dict, "training": dict, "fingerprint": str,
}  # fmt: skip
_TRAIN_AGAIN = "copy it again from where it is whole, or train again: latentcli train DATA"
_START_AGAIN = "start again without --resume"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained model.

    Attributes:
        family: registered name of the model's family.
        config: fields of the family's configuration.
        image_shape: channels, height and width of the images it takes.
        class_names: of the data it was trained on; empty when that had none.
        state_dict: its weights by name.
        training: how it was trained: seed, versions, history, the data's name and SHA-256; plain values,
            no times and no paths.
    """

    family: str
    config: Mapping[str, Any]
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    state_dict: Mapping[str, Tensor]
    training: Mapping[str, Any]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything in the checkpoint: what latents and classifiers name it by."""
        return tensor_files.digest(_content(self))


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``vae.pth``, whole or not at all: the same content gives the same bytes, whatever the path.

    Raises:
        OutputError: the file cannot be written.
        TypeError: config or training holds something else than plain values.
    """
    tensor_files.write(path, _content(checkpoint) | {"fingerprint": checkpoint.fingerprint})


def load(path: Path, device: str | torch.device = "cpu") -> Checkpoint:
    """Read ``vae.pth``, checked to its last bit; ``build`` makes the model of it.

    Args:
        path: of a file that ``save`` wrote.
        device: where the weights are to be.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, changed, or no checkpoint of a known version.
    """
    content = tensor_files.read(path, _TRAIN_AGAIN)
    name = files.shown(path)
    _check_format(content, FORMAT, name, _TRAIN_AGAIN)
    for key, kind in _TYPES.items():
        if type(content.get(key)) is not kind:
            raise ModelFileError(
                f"{name} is not a whole checkpoint", f"expected a {kind.__name__} {key!r}", _TRAIN_AGAIN
            )
    if set(content) != set(_TYPES):
        raise ModelFileError(f"{name} is not a checkpoint", f"expected the keys {', '.join(_TYPES)}", _TRAIN_AGAIN)
    _check_digest(content, "fingerprint", name, _TRAIN_AGAIN)
    _check_values(content, name)
    checkpoint = Checkpoint(
        content["family"], content["config"], tuple(content["image_shape"]), tuple(content["class_names"]),
        content["state_dict"], content["training"],
    )  # fmt: skip
    checkpoint.__dict__["fingerprint"] = content["fingerprint"]  # computed a moment ago
    if torch.device(device).type == "cpu":
        return checkpoint
    moved = replace(checkpoint, state_dict={key: tensor.to(device) for key, tensor in checkpoint.state_dict.items()})
    moved.__dict__["fingerprint"] = content["fingerprint"]
    return moved


def build(checkpoint: Checkpoint) -> "LatentModel":
    """The model of a checkpoint, ready to encode and decode, on the device of its weights (which it shares).

    It is first laid out without memory, so that a configuration that does not fit the weights costs nothing.

    Raises:
        ModelFileError: the family is unknown, its configuration invalid, or the weights are another model's.
    """
    try:
        family = FAMILIES[checkpoint.family]
        config = family.Config(**checkpoint.config)
        with torch.device("meta"):
            model: LatentModel = family(config)
    except (UsageError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        reason = getattr(error, "problem", None) or f"{type(error).__name__}: {error}"
        raise ModelFileError("the checkpoint describes a model that cannot be built", reason, _TRAIN_AGAIN) from error
    expected = {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in checkpoint.state_dict.items()}
    if sum(shape.numel() for shape, _ in expected.values()) > MOST_PARAMETERS:
        raise ModelFileError("the checkpoint describes a model of more than 10⁹ parameters", remedy=_TRAIN_AGAIN)
    unlike = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if unlike or tuple(config.image_shape) != tuple(checkpoint.image_shape):
        raise ModelFileError(
            "the checkpoint's weights are not those of the model it describes",
            f"unlike: {', '.join(unlike[:3])}" if unlike else "unlike: image_shape",
            _TRAIN_AGAIN,
        )
    model.load_state_dict(dict(checkpoint.state_dict), strict=True, assign=True)
    return model.eval()


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state of a training, whole or not at all.

    Args:
        path: of the file.
        state: nested dicts, lists and tuples of plain values and tensors.

    Raises:
        OutputError: the file cannot be written.
    """
    content = {"format": STATE_FORMAT, "version": VERSION, "state": tensor_files.plain(state)}
    tensor_files.write(path, content | {"sha256": tensor_files.digest(content)})


def load_state(path: Path) -> dict[str, Any]:
    """The state that ``save_state`` wrote, tensors on the CPU.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, changed, or no state of a known version.
    """
    content = tensor_files.read(path, _START_AGAIN)
    name = files.shown(path)
    _check_format(content, STATE_FORMAT, name, _START_AGAIN)
    if set(content) != {"format", "version", "state", "sha256"} or type(content["state"]) is not dict:
        raise ModelFileError(f"{name} is not the state of a training", remedy=_START_AGAIN)
    _check_digest(content, "sha256", name, _START_AGAIN)
    return content["state"]


def _content(checkpoint: Checkpoint) -> dict[str, Any]:
    content: dict[str, Any] = tensor_files.plain(
        {
            "format": FORMAT,
            "version": VERSION,
            "family": checkpoint.family,
            "config": dict(checkpoint.config),
            "image_shape": list(checkpoint.image_shape),
            "class_names": list(checkpoint.class_names),
            "state_dict": dict(checkpoint.state_dict),
            "training": dict(checkpoint.training),
        }
    )
    return content


def _check_format(content: Any, expected: str, name: str, remedy: str) -> None:
    if type(content) is not dict or content.get("format") != expected:
        raise ModelFileError(f"{name} was not written by latentcli", f"expected the format {expected!r}", remedy)
    if content.get("version") != VERSION:
        found = f"expected version {VERSION} of its format, found {str(content.get('version'))[:20]}"
        raise ModelFileError(f"{name} is of another version of latentcli", found, "install the latentcli that wrote it")


def _check_digest(content: dict[str, Any], key: str, name: str, remedy: str) -> None:
    expected, found = content[key], tensor_files.digest({other: content[other] for other in content if other != key})
    if expected != found:
        difference = f"expected SHA-256 {files.short(expected)}, found {files.short(found)}"
        raise ModelFileError(f"{name} was changed after it was written", difference, remedy)


def _check_values(content: dict[str, Any], name: str) -> None:
    """Types within the parts, and weights that are finite; the family's configuration checks itself."""

    def check(holds: bool, expected: str) -> None:
        if not holds:
            raise ModelFileError(f"{name} is not a whole checkpoint", f"expected {expected}", _TRAIN_AGAIN)

    shape, weights = content["image_shape"], content["state_dict"]
    check(len(shape) == 3 and all(type(size) is int and size > 0 for size in shape), "an image shape of three sizes")
    check(all(type(label) is str for label in content["class_names"]), "class names that are strings")
    check(all(type(key) is str for part in ("config", "training") for key in content[part]), "settings with names")
    check(all(type(key) is str and type(value) is Tensor for key, value in weights.items()), "weights with names")
    finite = all(bool(torch.isfinite(tensor).all()) for tensor in weights.values() if tensor.is_floating_point())
    check(finite, "finite weights")
