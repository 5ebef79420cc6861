"""Encoders that are already trained: each kind of network is a file, registered by one line here."""

from typing import TYPE_CHECKING

from latentcli.core.errors import UsageError
from latentcli.core.registry import Registry

if TYPE_CHECKING:
    from latentcli.models.pretrained.base import PretrainedEncoder

ENCODERS = Registry(
    "trained encoder",
    {
        "efficientnet-lite0": "latentcli.models.pretrained.efficientnet_lite:EfficientNetLite0",
        "torchvision": "latentcli.models.pretrained.torchvision_networks:TorchvisionEncoder",
        "timm": "latentcli.models.pretrained.timm_networks:TimmEncoder",
    },
    group="latentcli.encoders",
)
"""By the kind of network; what stands behind a colon, as in "torchvision:resnet18", is the kind's own."""

AROUND = Registry(
    "model around a trained encoder",
    {
        "vae": "latentcli.models.pretrained.vae:PretrainedVAE",
        "cnn": "latentcli.models.pretrained.cnn:PretrainedCNN",
    },
)
"""What a family is where its encoder is trained already; resolved on use, since it builds on the family itself."""


def encoder_named(name: str) -> "PretrainedEncoder":
    """A network of a kind in ``ENCODERS`` in evaluation mode, its weights yet to be loaded.

    Raises:
        UsageError: there is none of this name.
    """
    kind, _, network = name.partition(":")
    if kind in ("torchvision", "timm") and not network:
        raise UsageError(f"{kind} has many networks", "name one", f"such as {kind}:resnet18")
    encoder: PretrainedEncoder = ENCODERS[kind](network)
    return encoder.eval()
