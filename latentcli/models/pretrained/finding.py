"""From what a user calls an encoder to its name and weights: a name, a file of weights, or both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from latentcli.core.errors import ModelFileError, UsageError, printable
from latentcli.models.pretrained import ENCODERS, encoder_named
from latentcli.models.pretrained.base import PretrainedEncoder

REMEDY = "fetch it again, or save the weights anew: torch.save(network.state_dict(), FILE)"


@dataclass(frozen=True)
class FoundEncoder:
    """A trained encoder with its weights, in evaluation mode on the CPU.

    Attributes:
        name: by which ``encoder_named`` builds it again.
        network: the encoder.
        sha256: of its weights: what a checkpoint's fingerprint is to its latents.
        file: name of the user's file with the weights; "" where they are those that belong to the name.
    """

    name: str
    network: PretrainedEncoder
    sha256: str
    file: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """What a checkpoint says of its encoder, as plain values."""
        known = {"source": self.network.source, "licence": self.network.licence}
        own = {"source": f"the file {self.file}", "licence": "that of the file, which is not known here"}
        return {"name": self.name, **(own if self.file else known), "sha256": self.sha256}


def meant(name: str) -> str:
    """Which encoder one may have meant by a name that there is not; "" where none is like it."""
    from torchvision.models import list_models

    likely = {"efficientnet-lite0": "efficientnet-lite0"} | {each: f"torchvision:{each}" for each in list_models()}
    return f"did you mean {likely[name.lower()]}?" if name.lower() in likely else ""


def find(
    text: str, read: Callable[[Path, str], Mapping[str, Tensor]], digest: Callable[[Mapping[str, Tensor]], str]
) -> FoundEncoder:
    """The encoder that is called so, with its weights.

    Args:
        text: a name in ``ENCODERS``, such as "efficientnet-lite0" or "torchvision:resnet18"; a file with the weights
            of a network of torchvision; or "NAME=FILE".
        read, digest: how a file of weights is read, and the SHA-256 of weights: those of ``formats.state_dict``.

    Raises:
        UsageError: it is neither a known name nor a file.
        ModelFileError: the weights are not here and cannot be downloaded; or their file is damaged, unsafe, or of
            another network.
    """
    name, named, file = text.partition("=")
    if named and not file:
        raise UsageError(f"{printable(text)} names no file behind the =", None, f"leave it out: {printable(name)}")
    weights: Mapping[str, Tensor] | None = None
    if name.partition(":")[0] not in ENCODERS and Path(text).is_file():
        from latentcli.models.pretrained.torchvision_networks import recognised

        file = text
        weights = read(Path(file), REMEDY)
        name = recognised(Path(file), weights)
    elif name.partition(":")[0] not in ENCODERS and Path(text).suffix in (".pth", ".pt", ".bin", ".safetensors"):
        found = "it is a folder" if Path(text).is_dir() else "there is no such file"
        raise ModelFileError(f"cannot read {printable(text)}", found, "name a file with the weights of a network")
    elif name.partition(":")[0] not in ENCODERS:
        expected = "expected one of: efficientnet-lite0, torchvision:NAME, timm:NAME"
        others = sorted(set(ENCODERS) - {"efficientnet-lite0", "torchvision", "timm"})
        raise UsageError(
            f"there is neither a trained encoder nor a file {printable(text)!r}", ", ".join([expected, *others]),
            meant(name) or "name a file with the weights of a network of torchvision, or NAME=FILE",
        )  # fmt: skip
    network = encoder_named(name)
    path = Path(file) if file else network.weights_file()
    if weights is None:
        weights = read(path, REMEDY)
    network.load(weights, printable(str(path)))
    network.requires_grad_(False)
    return FoundEncoder(name, network, digest(network.state_dict()), printable(Path(file).name) if file else "")
