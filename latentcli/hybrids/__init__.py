"""Latent points whose decoded images carry soft labels: where they lie, and how much of each class they are."""

from latentcli.hybrids.likelihoods import LIKELIHOODS
from latentcli.hybrids.making import Hybrids, NothingPasses, Recipe, make
from latentcli.hybrids.strategies import STRATEGIES, Posteriors

__all__ = ["LIKELIHOODS", "STRATEGIES", "Hybrids", "NothingPasses", "Posteriors", "Recipe", "make"]
