"""``vae.pth``, ``cnn.pth``: a trained model with all that is needed to use it; and the state of a training."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from latentcli.core.errors import ModelFileError, UsageError
from latentcli.formats import torch_zip
from latentcli.formats.schemas import CHECKPOINT, TRAINING_STATE
from latentcli.models import family_of

if TYPE_CHECKING:
    from latentcli.models.base import Model

MAX_PARAMETERS = 1_000_000_000

_TRAIN_AGAIN = "copy it again from where it is whole, or train again: latentcli train DATA, or train-cnn"
_ADDED = "where another package adds this family, install it; else take the latentcli that wrote the checkpoint"
_START_AGAIN = "start again without `resume`"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained model, as a value: it copies what it is made of.

    Attributes:
        family: registered name of the model's family.
        config: fields of the family's configuration.
        image_shape: channels, height and width of the images it takes.
        class_names: of the data it was trained on; empty when that had none.
        state_dict: its weights by name, on the CPU.
        training: how it was trained: seed, versions, history, the data's name and SHA-256; plain values,
            no times and no paths.
        fingerprint: SHA-256 of everything in the checkpoint: what latents and classifiers name it by.

    Raises:
        TypeError: config or training holds something else than plain values.
    """

    family: str
    config: Mapping[str, Any]
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    state_dict: Mapping[str, Tensor]
    training: Mapping[str, Any]
    fingerprint: str = field(init=False)
    read_with: InitVar[str | None] = None
    """The fingerprint of a file that was read: its content is then neither copied nor digested again."""

    def __post_init__(self, read_with: str | None) -> None:
        entries = torch_zip.plain(_entries(self), copy=read_with is None)
        for name in ("family", "config", "state_dict", "training"):
            object.__setattr__(self, name, entries[name])
        for name in ("image_shape", "class_names"):
            object.__setattr__(self, name, tuple(entries[name]))
        object.__setattr__(self, "fingerprint", read_with or CHECKPOINT.checksum_of(entries))


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``vae.pth``, whole or not at all: the same content gives the same bytes, whatever the path.

    Raises:
        OutputError: the file cannot be written.
    """
    CHECKPOINT.write(path, _entries(checkpoint), checkpoint.fingerprint)


def load(path: Path) -> Checkpoint:
    """Read ``vae.pth``, checked to its last bit; ``build`` makes the model of it.

    Args:
        path: of a file that ``save`` wrote.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, changed, or no checkpoint of a known version.
    """
    content = CHECKPOINT.read(path, _TRAIN_AGAIN)
    _check_values(content, path)
    fingerprint = content.pop(CHECKPOINT.checksum)
    return Checkpoint(**content, read_with=fingerprint)


def build(checkpoint: Checkpoint) -> "Model":
    """The model of a checkpoint, ready for use, on the device of its weights (which it shares).

    It is first laid out without memory, so that a configuration that does not fit the weights costs nothing.

    Raises:
        ModelFileError: the family is unknown, its configuration invalid, or the weights are another model's.
    """
    try:
        family = family_of(checkpoint.family)
    except UsageError as error:
        raise ModelFileError(error.problem, error.found, _ADDED) from error
    try:
        config = family.Config(**checkpoint.config)
        with torch.device("meta"):
            model = family.of(config)
    except (UsageError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        reason = getattr(error, "problem", None) or f"{type(error).__name__}: {error}"
        raise ModelFileError("the checkpoint describes a model that cannot be built", reason, _TRAIN_AGAIN) from error
    expected = {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in checkpoint.state_dict.items()}
    if sum(shape.numel() for shape, _ in expected.values()) > MAX_PARAMETERS:
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
    TRAINING_STATE.write(path, {"state": state})


def load_state(path: Path) -> dict[str, Any]:
    """The state that ``save_state`` wrote, tensors on the CPU.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, changed, or no state of a known version.
    """
    state: dict[str, Any] = TRAINING_STATE.read(path, _START_AGAIN)["state"]
    return state


def _entries(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the file holds beside format, version and fingerprint, in its order."""
    return {
        "family": checkpoint.family,
        "config": dict(checkpoint.config),
        "image_shape": list(checkpoint.image_shape),
        "class_names": list(checkpoint.class_names),
        "state_dict": dict(checkpoint.state_dict),
        "training": dict(checkpoint.training),
    }


def _check_values(content: dict[str, Any], path: Path) -> None:
    """Types within the parts, and weights that are finite; the family's configuration checks itself."""

    def check(holds: bool, expected: str) -> None:
        if not holds:
            raise ModelFileError(f"{path} is not a checkpoint as a whole", f"expected {expected}", _TRAIN_AGAIN)

    shape, weights = content["image_shape"], content["state_dict"]
    check(len(shape) == 3 and all(type(size) is int and size > 0 for size in shape), "an image shape of three sizes")
    check(all(type(label) is str for label in content["class_names"]), "class names that are strings")
    check(all(type(key) is str for part in ("config", "training") for key in content[part]), "settings with names")
    check(all(type(key) is str and type(value) is Tensor for key, value in weights.items()), "weights with names")
    finite = all(bool(torch.isfinite(tensor).all()) for tensor in weights.values() if tensor.is_floating_point())
    check(finite, "finite weights")
