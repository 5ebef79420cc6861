"""Any classification network of torchvision, without its last layer."""

import hashlib
import http.client
import re
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentcli.core.errors import ModelFileError, UsageError
from latentcli.core.settings import check_known
from latentcli.models.pretrained.base import WHOLE, Preprocessing, PretrainedEncoder, differences

WITHOUT_AUXILIARIES = {"aux_logits": False, "transform_input": True, "init_weights": False}
"""For the two networks with classifiers on the way, which serve training from the beginning alone."""

_AUXILIARIES = ("aux1.", "aux2.", "AuxLogits.")
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")  # a dot that torchvision renamed away


class TorchvisionEncoder(PretrainedEncoder):
    """A network by torchvision's name, with a name of its weights behind a colon where not its default ones.

    ``resnet18``, ``resnet50:IMAGENET1K_V1``; the input of the last layer is the features.
    """

    licence = "BSD-3-Clause (torchvision); the weights learned from ImageNet, whose terms are non-commercial research"

    def __init__(self, network: str) -> None:
        name, _, version = network.partition(":")
        if name not in names():
            raise UsageError(
                f"torchvision has no classification network {name!r}", f"expected one of: {', '.join(names())}"
            )
        versions = _versions(name)
        check_known([version] if version else [], list(versions.__members__))
        self.weights = versions[version] if version else versions.DEFAULT
        transforms = self.weights.transforms()
        super().__init__(
            Preprocessing(
                int(transforms.crop_size[0]), tuple(transforms.mean), tuple(transforms.std),
                str(transforms.interpolation.value),
            )
        )  # fmt: skip
        self.source = f"torchvision {name}, weights {self.weights.name}: {self.weights.url}"
        self.network = _built(name, self.weights)
        self.last = _last(self.network)
        layer: Any = self.network.get_submodule(self.last)
        self.features = int(layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)
        self.network.set_submodule(self.last, nn.Identity())

    def pooled(self, images: Tensor) -> Tensor:
        return self.network(images).flatten(1)

    def accept(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {f"network.{name}": tensor for name, tensor in _trunk(weights, self.last).items()}

    def weights_file(self) -> Path:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        file = folder / self.weights.url.rpartition("/")[2]
        if not file.is_file():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                torch.hub.download_url_to_file(self.weights.url, str(file), _hash_of(file), progress=False)
            except (OSError, http.client.HTTPException, RuntimeError) as error:
                raise ModelFileError(
                    f"the weights of {self.source.partition(',')[0]} are not on this machine and cannot be downloaded: "
                    f"{getattr(error, 'reason', None) or error}",
                    f"expected {file}",
                    f"put {self.weights.url} there, or give the file itself: --encoder FILE",
                ) from error
        _check_hash(file)
        return file


_ALIKE = 0.5
"""Differences, for each weight of a network, below which it is told as the nearest."""
_PARALLEL = "module."
"""What ``DataParallel`` puts before every name."""


def names() -> list[str]:
    """Of all classification networks that torchvision has."""
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models))


def recognised(file: Path, weights: Mapping[str, Tensor]) -> str:
    """The name for ``ENCODERS`` of the network whose weights these are, by the names and shapes of its layers.

    The last layer may be of any number of classes. Networks after which the file is called are tried first, since some
    have the same layers.

    Raises:
        ModelFileError: no network of torchvision has these layers.
    """
    unlike: dict[str, tuple[int, dict[str, torch.Size], dict[str, torch.Size]]] = {}
    for name in sorted(names(), key=lambda each: (not file.name.startswith(each), -len(each), each)):
        if name.startswith("regnet") and not file.name.startswith("regnet"):
            continue  # they cannot be built without memory
        versions = _versions(name)
        version = next((each for each in versions if each.url.endswith(f"/{file.name}")), None)
        with torch.device("meta"):
            network = _built(name, version or versions.DEFAULT)
        found, wanted = (_trunk(each, _last(network)) for each in (weights, network.state_dict()))
        shapes = _shapes(found), _shapes(wanted)
        if shapes[0] == shapes[1]:
            return f"torchvision:{name}" + ("" if version is None else f":{version.name}")
        same = sum(shapes[0].get(key) == shape for key, shape in shapes[1].items())
        unlike[name] = len(shapes[0]) + len(shapes[1]) - 2 * same, *shapes
    nearest = min(unlike, key=lambda name: unlike[name][0])
    count, found_shapes, wanted_shapes = unlike[nearest]
    problem = f"{file} holds the weights of no network of torchvision"
    if count < _ALIKE * len(wanted_shapes):
        told = f"compared with {nearest}, which is nearest, {differences(found_shapes, wanted_shapes)}"
        raise ModelFileError(problem, told, WHOLE)
    raise ModelFileError(
        problem, f"found {', '.join(sorted(weights)[:3])} …",
        "name its network before it: --encoder NAME=FILE, such as torchvision:resnet18=weights.pth",
    )  # fmt: skip


def _trunk(weights: Mapping[str, Tensor], last: str) -> dict[str, Tensor]:
    """Weights by torchvision's names, without the layers that tell the classes apart."""
    if all(name.startswith(_PARALLEL) for name in weights):
        weights = {name.removeprefix(_PARALLEL): tensor for name, tensor in weights.items()}
    renamed = {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in weights.items()}
    return {name: tensor for name, tensor in renamed.items() if not name.startswith((f"{last}.", *_AUXILIARIES))}


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items() if not name.endswith("num_batches_tracked")}


def _versions(name: str) -> Any:
    import torchvision

    return torchvision.models.get_model_weights(name)


def _built(name: str, weights: Any) -> nn.Module:
    import torchvision

    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options = WITHOUT_AUXILIARIES
    elif name.startswith("vit_"):  # whose positions are of one image size
        options = {"image_size": int(weights.transforms().crop_size[0])}
    # regnets compute their widths with tensors, which must have values
    with torch.device("cpu") if name.startswith("regnet") else nullcontext():
        network: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return network


def _last(network: nn.Module) -> str:
    """The name of the layer that tells the classes apart: the last one of all networks of torchvision."""
    return [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]


def _hash_of(file: Path) -> str | None:
    found = re.search(r"-([a-f0-9]{8,})\.", file.name)
    return found[1] if found else None


def _check_hash(file: Path) -> None:
    """Refuse a file whose SHA-256 does not begin as its name says."""
    wanted = _hash_of(file)
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if wanted and not found.startswith(wanted):
        problem, remedy = f"{file} is not what its name says", "remove it, and it is downloaded again"
        raise ModelFileError(problem, f"expected SHA-256 {wanted}…, found {found[: len(wanted)]}…", remedy)
