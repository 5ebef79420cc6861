"""How the models of a comparison are trained: the settings of each family, by recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentcli.core.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """Settings that differ from a family's and the training loop's own.

    Attributes:
        model: fields of the family's configuration.
        training: fields of ``TrainingConfig``.
    """

    model: Mapping[str, Any]
    training: Mapping[str, Any]


def paper(family: str, image_shape: tuple[int, int, int], count: int) -> Recipe:
    """The protocol of a published comparison, as far as it is stated.

    Three strided convolutions of kernel 4 with leaky ReLU, batch normalisation for colour, squared error, Adam at
    1e-3, batches of 64, 10 epochs; 512 codes of 64 dimensions, commitment weight 0.25. It states neither the widths
    (here 32, 64 and 128 channels) nor the size of the VAE's latent space (here 16 dimensions a place) nor the weight
    of its KL divergence (here 0.01).
    """
    own: Mapping[str, Mapping[str, Any]] = {
        "vae": {"latent_dim": 16, "beta": 0.01, "components": 1, "information": 0.0},
        "vqvae": {"codes": 512, "latent_dim": 64, "beta": 0.25},
    }
    shared: dict[str, Any] = {
        "backbone": "strided",
        "stages": 3,
        "norm": "none" if image_shape[0] == 1 else "batch",
        "loss": "mse",
    }
    training = {"epochs": 10, "batch_size": 64, "lr": 1e-3, "warmup": 0.0, "schedule": "constant"}
    return Recipe(shared | dict(own.get(family, {})), training)


def best(family: str, image_shape: tuple[int, int, int], count: int) -> Recipe:
    """latentcli's own, for reconstruction as well as for classes.

    A VAE here has a plain prior of little weight and a convolutional decoder, where its defaults are made to cluster
    and to learn fast. Codes stand for 4×4 pixels of grey images and for 2×2 of colour images, which hold more. Of few
    images batches are small: each is seen as often, and teaches more often.
    """
    plain = {"backbone": "residual", "beta": 0.003, "components": 1, "information": 0.0}
    own: Mapping[str, Mapping[str, Any]] = {"vae": plain | {"latent_dim": 8 if image_shape[0] == 1 else 24}}
    usual = {} if image_shape[0] == 1 else {"stages": 1}
    small = {"batch_size": max(16, count // STEPS)} if count < 256 * STEPS else {}
    return Recipe(own.get(family, usual), small)


STEPS = 128
"""Of an epoch, at least, where batches have 16 images or more."""


RECIPES = {"paper": paper, "best": best}
"""Functions of (family, image shape, number of images) by name."""


def recipe(name: str, family: str, image_shape: tuple[int, int, int], count: int) -> Recipe:
    """The recipe of this name, for so many training images.

    Raises:
        UsageError: there is none.
    """
    if name not in RECIPES:
        raise UsageError(f"unknown recipe {name!r}", f"expected one of: {', '.join(RECIPES)}")
    return RECIPES[name](family, image_shape, count)
