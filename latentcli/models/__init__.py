"""Latent-variable models: a family is one file with its configuration and its network, and one line here."""

from typing import TYPE_CHECKING

from latentcli.registry import Registry

if TYPE_CHECKING:
    import torch

    from latentcli.models.base import LatentModel, ModelConfig

FAMILIES = Registry(
    "model family",
    {
        "vae": "latentcli.models.vae:VAE",
        "vqvae": "latentcli.models.vqvae:VQVAE",
        "fsq": "latentcli.models.fsq:FSQAutoencoder",
    },
)


def create(family: str, config: "ModelConfig", seed: int, device: "torch.device | str" = "cpu") -> "LatentModel":
    """A model with fresh weights, the same for the same seed on every device.

    Args:
        family: a name in ``FAMILIES``.
        config: an instance of that family's ``Config``.
        seed: of the weights.
        device: where the model is put.
    """
    from latentcli.batches import generator_for
    from latentcli.models.backbones import initialise

    model = FAMILIES[family](config)
    initialise(model, generator_for(seed, "weights"))
    return model.to(device)
