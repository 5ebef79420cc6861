"""Latent points whose decoded images carry soft labels: where they lie, and how much of each class they are."""

from latentcli.hybrids.likelihoods import LIKELIHOODS
from latentcli.hybrids.making import Hybrids, Recipe, make
from latentcli.hybrids.strategies import STRATEGIES, NothingPasses, Posteriors, check_images

__all__ = ["LIKELIHOODS", "STRATEGIES", "Hybrids", "NothingPasses", "Posteriors", "Recipe", "check_images", "make"]
