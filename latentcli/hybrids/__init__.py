"""Latent points whose decoded images carry soft labels: where they lie, and how much of each class they are."""

from latentcli.hybrids.likelihoods import LIKELIHOODS, soft_labels
from latentcli.hybrids.making import HybridBlock, HybridMaker, Recipe
from latentcli.hybrids.posteriors import Posteriors
from latentcli.hybrids.strategies import AROUND_IMAGES, STRATEGIES, NoPointAccepted

__all__ = [
    "AROUND_IMAGES", "LIKELIHOODS", "STRATEGIES", "HybridBlock", "HybridMaker", "NoPointAccepted", "Posteriors",
    "Recipe", "soft_labels",
]  # fmt: skip
