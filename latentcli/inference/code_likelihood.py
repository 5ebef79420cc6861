"""How well a prior foretells the codes of images, beside what their frequencies alone foretell."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentcli.core.device import memory_for
from latentcli.core.labels import Labels
from latentcli.models.code_prior import CodePrior
from latentcli.numerics.blocks import slices
from latentcli.numerics.linear import FastLinear
from latentcli.numerics.precision import widest_dtype

_LOGITS = 2**23  # of all places of all maps that go through the network at once


class CodeLikelihood:
    """The metrics of a prior on codes that go by.

    Args:
        network: of the prior.
        names: of its classes.
        labels: of all the images whose codes will come; only those among the names count.
    """

    def __init__(self, network: CodePrior, names: tuple[str, ...], labels: Labels) -> None:
        self._network, self._labels = network, labels.among(names).codes
        of_place = network.log_frequencies.expand(network.config.places, -1)
        self._baselines = {"independent": of_place.exp().mean(dim=0).log().expand_as(of_place)}
        if len(network.log_frequencies) > 1 or network.config.places == 1:  # else all places share theirs
            self._baselines["of_place"] = of_place
        self._nats = dict.fromkeys(["", "given_class", *self._baselines], 0.0)
        self._images = self._labelled = 0

    @torch.inference_mode()
    @FastLinear()
    def add(self, codes: np.ndarray) -> None:
        """Take in the codes (n, h, w) of the next images."""
        network, config = self._network, self._network.config
        device = network.log_frequencies.device
        size = max(1, _LOGITS // (config.places * max(config.codes, 4 * config.width)))
        for rows in slices(len(codes), size):
            block = torch.from_numpy(codes[rows].astype(np.int64)).to(device)
            labels = torch.from_numpy(self._labels[self._images : self._images + len(block)]).to(device)
            with memory_for(len(block)):
                self._nats[""] -= _total(network.log_likelihood(block))
            flat = block.flatten(1).T  # (L, n)
            for name, frequencies in self._baselines.items():
                self._nats[name] -= _total(frequencies.gather(1, flat))
            if bool((known := labels >= 0).any()):
                classes = F.one_hot(labels[known], config.classes).float()
                self._nats["given_class"] -= _total(network.log_likelihood(block[known], classes))
                self._labelled += int(known.sum())
            self._images += len(block)

    def result(self) -> dict[str, float]:
        """The metrics by name, of negative log-likelihoods in bits.

        No class is given, except where that is said: those are of the labelled images alone.
        """
        config = self._network.config
        counts = {**dict.fromkeys(self._nats, self._images), "given_class": self._labelled}
        bits = {name: nats / math.log(2) / counts[name] for name, nats in self._nats.items() if counts[name]}
        found = {f"bits_per_code_{name}".rstrip("_"): value / config.places for name, value in bits.items()}
        return {**found, "bits_per_pixel": bits[""] / math.prod(config.image_shape[1:])}


def _total(log_probabilities: Tensor) -> float:
    return float(log_probabilities.to(widest_dtype(log_probabilities.device.type)).sum())
