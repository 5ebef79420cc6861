"""``vae.pth``, ``cnn.pth``: a trained model with all that is needed to use it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from latentcli.core.errors import ModelFileError, UsageError, printable
from latentcli.formats import own_files
from latentcli.formats.pixel_values import spans_of
from latentcli.formats.schemas import CHECKPOINT
from latentcli.models import family_of
from latentcli.models.trained import TrainedModel

if TYPE_CHECKING:
    from latentcli.models.base import Model

MAX_PARAMETERS = 1_000_000_000

_ADDED = "where another package adds this family, install it; else take the latentcli that wrote the checkpoint"


def write(path: Path, model: TrainedModel) -> None:
    """Write a checkpoint, whole or not at all: the same model gives the same bytes, whatever the path.

    Raises:
        OutputError: the file cannot be written.
        TypeError: the model's ``training`` holds something else than plain values.
    """
    CHECKPOINT.write(path, model.entries())


def read(path: Path, makes: str | None = None) -> TrainedModel:
    """The model of a file that ``write`` wrote, checked to its last bit: on the CPU, in evaluation mode.

    Args:
        path: of the file.
        makes: the call that makes it again, for messages; None: of any kind of model.

    Raises:
        ModelFileError: the file is missing, damaged, unsafe, changed, or no checkpoint of a known version; its
            family is unknown, its configuration invalid, or its weights are another model's.
        UsageError: it is known to be a file of another kind.
    """
    own_files.check_place(path, own_files.MODEL)
    makes = makes or f"{own_files.command('model', path)}, or train-cnn, fit-prior"
    again = f"copy it again from where it is whole, or train again: {makes}"
    content = CHECKPOINT.read(path, again)
    _check_values(content, path, again)
    return TrainedModel(
        content["family"], _network(content, again), tuple(content["class_names"]), content["training"],
        content[CHECKPOINT.checksum], printable(str(path)),
    )  # fmt: skip


def _network(content: dict[str, Any], again: str) -> "Model":
    """The network of a checkpoint's entries, which takes their tensors as its weights; ``again`` is the remedy.

    It is first built without memory, so that a configuration that does not fit the weights costs nothing.
    """
    try:
        family = family_of(content["family"])
    except UsageError as error:
        raise ModelFileError(error.problem, error.found, _ADDED) from error
    try:
        config = family.Config(**content["config"])
        with torch.device("meta"):
            model = family.of(config)
    except (UsageError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        reason = getattr(error, "problem", None) or f"{type(error).__name__}: {error}"
        raise ModelFileError("the checkpoint describes a model that cannot be built", reason, again) from error
    expected = {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
    if sum(shape.numel() for shape, _ in expected.values()) > MAX_PARAMETERS:
        raise ModelFileError("the checkpoint describes a model of more than 10⁹ parameters", remedy=again)
    weights = model.of_older(content["state_dict"])
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in weights.items()}
    unlike = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if not unlike and tuple(config.image_shape) != tuple(content["image_shape"]):
        unlike = ["image_shape"]
    if unlike:
        problem = "the checkpoint's weights are not those of the model it describes"
        raise ModelFileError(problem, f"unlike: {', '.join(unlike[:3])}", again)
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval()


def _check_values(content: dict[str, Any], path: Path, again: str) -> None:
    """Types within the entries, and weights that are finite; the family's configuration checks itself."""

    def check(holds: bool, expected: str) -> None:
        if not holds:
            raise ModelFileError(f"{path} is not a checkpoint as a whole", f"expected {expected}", again)

    shape, weights = content["image_shape"], content["state_dict"]
    check(len(shape) == 3 and all(type(size) is int and size > 0 for size in shape), "an image shape of three sizes")
    check(all(type(label) is str for label in content["class_names"]), "class names that are strings")
    check(all(type(key) is str for part in ("config", "training") for key in content[part]), "settings with names")
    check(all(type(key) is str and type(value) is Tensor for key, value in weights.items()), "weights with names")
    data = content["training"].get("data")
    spans = data.get("spans", {}) if isinstance(data, dict) else {}
    check(_are_spans(spans), "numbers of black and white")
    finite = all(bool(torch.isfinite(tensor).all()) for tensor in weights.values() if tensor.is_floating_point())
    check(finite, "finite weights")


def _are_spans(spans: Any) -> bool:
    pairs: list[Any] = [*spans.values()] if type(spans) is dict else [None]
    if not all(type(pair) in (list, tuple) and {*map(type, pair)} <= {int, float} for pair in pairs):
        return False
    try:
        spans_of(spans)
    except UsageError:
        return False
    return True
