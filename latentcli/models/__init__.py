"""Latent-variable models, and classifiers of pixels: each family is a file, registered by one line here."""

from typing import TYPE_CHECKING, Any

from latentcli.core.registry import Registry

if TYPE_CHECKING:
    import torch

    from latentcli.models.base import Model, ModelConfig

FAMILIES = Registry(
    "model family",
    {
        "vae": "latentcli.models.vae:VAE",
        "vqvae": "latentcli.models.vqvae:VQVAE",
        "fsq": "latentcli.models.fsq:FSQAutoencoder",
    },
    group="latentcli.models",
)

PIXEL_CLASSIFIERS = Registry("classifier of pixels", {"cnn": "latentcli.models.cnn:CNN"})

PRIORS = Registry(
    "prior",
    {"transformer": "latentcli.models.code_prior:CodePrior", "flow": "latentcli.models.flow_prior:FlowPrior"},
)
"""Of codes, and of points."""

IN_FEW_DIMENSIONS = Registry(
    "model of few latent dimensions", {"vae": "latentcli.models.low_dimensional:LowDimensionalVAE"}
)
"""What a family is where its latent space has few dimensions; resolved on use, since it builds on the family itself."""


def family_of(name: str) -> "type[Model]":
    """The class registered under a name, in any of these registries; a ``UsageError`` if there is none."""
    return next((registry for registry in (PIXEL_CLASSIFIERS, PRIORS) if name in registry), FAMILIES)[name]


def create(family: str, config: "ModelConfig", seed: int, device: "torch.device | str" = "cpu") -> Any:
    """A model with fresh weights, the same for the same seed on every device.

    Args:
        family: a name in ``FAMILIES``, for a ``LatentModel``; in ``PIXEL_CLASSIFIERS``, for a ``PixelClassifier``; or
            in ``PRIORS``.
        config: an instance of that family's ``Config``.

    Raises:
        UsageError: the name is unknown.
    """
    from latentcli.models.backbones import initialise
    from latentcli.numerics.random import generator_for

    model = family_of(family).of(config)
    initialise(model, generator_for(seed, "weights"))
    return model.to(device)
