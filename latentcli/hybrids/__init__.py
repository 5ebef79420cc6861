"""Latent points whose decoded images carry soft labels: where they lie, and how much of each class they are."""

from latentcli.hybrids.likelihoods import LIKELIHOODS, soft_labels
from latentcli.hybrids.making import Hybrids, Recipe, make
from latentcli.hybrids.posteriors import Posteriors
from latentcli.hybrids.strategies import AROUND_IMAGES, STRATEGIES, NothingPasses, check_images

__all__ = [
    "AROUND_IMAGES", "LIKELIHOODS", "STRATEGIES", "Hybrids", "NothingPasses", "Posteriors", "Recipe", "check_images",
    "make", "soft_labels",
]  # fmt: skip
