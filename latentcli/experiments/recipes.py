"""Recipes of a comparison: the settings of each family and of its training."""

from collections.abc import Callable, Mapping
from typing import Any

from latentcli.core.errors import UsageError
from latentcli.core.image_set import Shape

MIN_STEPS = 128
"""Steps an epoch of ``best``, unless batches would have fewer than 16 images."""


def paper(family: str, image_shape: Shape, count: int) -> dict[str, Any]:
    """The protocol of a published comparison, as far as the publication states it.

    Three strided convolutions of kernel 4 with leaky ReLU, batch normalisation for colour, squared error, Adam at
    1e-3, batches of 64, 10 epochs; 512 codes of 64 dimensions, commitment weight 0.25. It states neither the widths
    (here 32, 64 and 128 channels) nor the size of the VAE's latent space (here 16 dimensions a position) nor the weight
    of its KL divergence (here 0.01).
    """
    own: Mapping[str, Mapping[str, Any]] = {
        "vae": {"latent_dim": 16, "beta": 0.01, "components": 1, "information": 0.0},
        "vqvae": {"codes": 512, "latent_dim": 64, "beta": 0.25},
    }
    norm = "none" if image_shape[0] == 1 else "batch"
    model = {"backbone": "strided", "stages": 3, "norm": norm, "loss": "mse", **own.get(family, {})}
    return model | {"epochs": 10, "batch_size": 64, "lr": 1e-3, "warmup": 0.0, "schedule": "constant"}


def best(family: str, image_shape: Shape, count: int) -> dict[str, Any]:
    """latentcli's own recipe, for reconstruction as well as classification.

    A VAE here has a standard normal prior of small weight and a convolutional decoder, whereas its defaults favour
    clusters and fast training. Codes stand for 4×4 pixels of grey images and for 2×2 of colour images, which hold more
    information. Small sets have small batches: as many epochs, but more steps.
    """
    grey = image_shape[0] == 1
    model: dict[str, Any] = {} if grey else {"stages": 1}
    if family == "vae":
        model = {"backbone": "residual", "beta": 0.003, "components": 1, "information": 0.0}
        model["latent_dim"] = 8 if grey else 24
    return model | ({"batch_size": max(16, count // MIN_STEPS)} if count < 256 * MIN_STEPS else {})


RECIPES: dict[str, Callable[[str, Shape, int], dict[str, Any]]] = {"paper": paper, "best": best}
"""Functions of (family, image shape, number of images) by name."""


def recipe(name: str, family: str, image_shape: Shape, count: int) -> dict[str, Any]:
    """The settings of this recipe, for a number of training images.

    Raises:
        UsageError: there is no such recipe.
    """
    if name not in RECIPES:
        raise UsageError(f"unknown recipe {name!r}", f"expected one of: {', '.join(RECIPES)}")
    return RECIPES[name](family, image_shape, count)
