"""How well a prior foretells the latents of images, beside what is known of each code or dimension by itself."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentcli.core.device import memory_for
from latentcli.core.labels import Labels
from latentcli.core.latents import Latents
from latentcli.models.code_prior import CodePrior
from latentcli.models.flow_prior import FlowPrior
from latentcli.models.prior import check_prior
from latentcli.numerics.blocks import slices
from latentcli.numerics.linear import FastLinear
from latentcli.numerics.precision import widest_dtype

if TYPE_CHECKING:
    from latentcli.models.trained import TrainedModel

_NUMBERS = 2**23  # of all images that go through the network at once, such as the logits of all their places


class Likelihood(ABC):
    """The metrics of a prior on latents that go by.

    Args:
        prior: of the model's latents.
        labels: of all the images whose latents will come; only those among the prior's classes count.
    """

    UNIT: str

    def __init__(self, prior: "TrainedModel", labels: Labels) -> None:
        self.network: Any = prior.network
        self._labels = labels.among(prior.class_names).codes
        self._nats: dict[str, float] = {}
        self._images = self._labelled = 0

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take in the latents of the next images, as the arrays of ``encode``."""
        latents = self.read(arrays)
        for rows in slices(len(latents), max(1, _NUMBERS // self.values)):
            block = torch.from_numpy(latents[rows]).to(self.network.embeddings.no_class.device)
            labels = torch.from_numpy(self._labels[self._images : self._images + len(block)]).to(block.device)
            with memory_for(len(block)), torch.no_grad():
                self._add("", self.network.log_likelihood(block))
                for name, found in self.baselines(block).items():
                    self._add(name, found)
                if bool((known := labels >= 0).any()):
                    classes = F.one_hot(labels[known], self.network.config.classes).float()
                    self._add("given_class", self.network.log_likelihood(block[known], classes))
                    self._labelled += int(known.sum())
            self._images += len(block)

    def _add(self, name: str, log_probabilities: Tensor) -> None:
        total = float(log_probabilities.to(widest_dtype(log_probabilities.device.type)).sum())
        self._nats[name] = self._nats.get(name, 0.0) - total

    def result(self) -> dict[str, float]:
        """The metrics by name, of negative log-likelihoods in bits.

        No class is given, except where that is said: those are of the labelled images alone.
        """
        bits = {name: nats / math.log(2) / (self._labelled if name == "given_class" else self._images)
                for name, nats in self._nats.items()}  # fmt: skip
        return {f"bits_per_{self.UNIT}_{name}".rstrip("_"): value / self.units for name, value in bits.items()}

    @property
    @abstractmethod
    def units(self) -> int:
        """How many of them an image has."""

    @property
    @abstractmethod
    def values(self) -> int:
        """Numbers that an image takes in the network."""

    @abstractmethod
    def read(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the prior's ``log_likelihood`` takes, of the arrays of ``encode``."""

    @abstractmethod
    def baselines(self, block: Tensor) -> dict[str, Tensor]:
        """Log-probabilities that others than the prior give to these latents, in nats, by their names."""


class CodeLikelihood(Likelihood):
    """Of codes: beside codes that are each drawn by themselves, and by the frequencies of their place."""

    UNIT = "code"
    network: CodePrior

    @property
    def units(self) -> int:
        return self.network.config.places

    @property
    def values(self) -> int:
        config = self.network.config
        return config.places * max(config.codes, 4 * config.width)

    def read(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        return arrays["codes"].astype(np.int64)

    def baselines(self, block: Tensor) -> dict[str, Tensor]:
        kept = self.network.log_frequencies
        of_place = kept.expand(self.units, -1)
        flat = block.flatten(1).T  # (L, n)
        found = {"independent": self.network.log_shares.expand_as(of_place).gather(1, flat)}
        if len(kept) > 1 or self.units == 1:  # else all places share theirs
            found["of_place"] = of_place.gather(1, flat)
        return found

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        with FastLinear():
            super().add(arrays)

    def result(self) -> dict[str, float]:
        """As of every likelihood, and bits per pixel."""
        found, pixels = super().result(), math.prod(self.network.config.image_shape[1:])
        return {**found, "bits_per_pixel": found["bits_per_code"] * self.units / pixels}


class PointLikelihood(Likelihood):
    """Of points, densities: beside a Gaussian of each dimension by itself."""

    UNIT = "dimension"
    network: FlowPrior

    @property
    def units(self) -> int:
        return self.network.config.dimensions

    @property
    def values(self) -> int:
        return self.network.values_at_once

    def read(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        found = Latents(arrays, "").points
        return np.ascontiguousarray(found, dtype=np.float32)

    def baselines(self, block: Tensor) -> dict[str, Tensor]:
        gaussians = torch.distributions.Normal(self.network.mean, self.network.scale)
        return {"independent": gaussians.log_prob(block)}


def likelihood_of(prior: "TrainedModel", model: "TrainedModel", labels: Labels) -> Likelihood:
    """The metrics of a prior on the latents of a model; errors as of ``check_prior``."""
    of_codes = isinstance(check_prior(prior, model), CodePrior)
    return (CodeLikelihood if of_codes else PointLikelihood)(prior, labels)
