"""Probes that are trained by gradient descent: logistic regression, and a network with two hidden layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from latentcli.classifiers.probes import probe_training
from latentcli.classifiers.probes.probe import Arrays, OnEpoch, Probe
from latentcli.classifiers.probes.probe_network import DenseNetwork, ProbeNetwork
from latentcli.core import device as devices
from latentcli.core.labels import UNLABELLED
from latentcli.core.settings import setting
from latentcli.numerics.random import generator_for

ENSEMBLE_BELOW = 5_000
"""Labelled rows: with fewer several networks learn, each from other weights and with other rows held out."""

MAX_TABLE, MAX_LAYER = 2**22, 2**24
"""Weights of the first layer, for codes and for floats, beyond which it becomes narrower than asked for."""

LR, WEIGHT_DECAY = (1e-9, 10.0), (0.0, 10.0)  # the ranges of these settings


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkProbe(Probe):
    """Networks trained with AdamW, whose probabilities are averaged; ``_network`` says which, here fully connected.

    Attributes:
        epochs: passes over the labelled rows; None takes as many as they need.
        batch_size: rows a step; None takes an eighth of the labelled rows, 8 to 512 (to 128 where they are maps).
        lr: the learning rate at the beginning.
        weight_decay: decoupled weight decay.
        held_out: fraction of the labelled rows that early stopping looks at.
        random_state: seed of all randomness.

    Source of the average: Lakshminarayanan et al. 2017 (deep ensembles).
    """

    NETWORKS: ClassVar[int] = 1
    """How many learn from fewer than ``ENSEMBLE_BELOW`` labelled rows; from more, one."""

    epochs: int | None = setting(None, between=(1, 100_000), none=True)
    batch_size: int | None = setting(None, between=(2, 65_536), none=True)
    lr: float = setting(5e-3, between=LR)
    weight_decay: float = setting(1e-2, between=WEIGHT_DECAY)
    held_out: float = setting(0.1, between=(0.0, 0.5))
    random_state: int = setting(0, between=(0, 2**63 - 1))

    def _network(self) -> ProbeNetwork:
        return DenseNetwork(self.n_features_in_, self.codes_, len(self.classes_), [], 0.0)

    def _schedule(self, seed: int) -> probe_training.Schedule:
        return probe_training.Schedule(self.epochs, self.batch_size, self.lr, self.weight_decay, self.held_out, seed)

    def _learn(self, X: np.ndarray, labels: np.ndarray, on_epoch: OnEpoch) -> None:
        device, rows = devices.resolve(self.device), np.flatnonzero(labels != UNLABELLED)
        count = self.NETWORKS if len(rows) < ENSEMBLE_BELOW else 1
        self.networks_ = []
        for number in range(count):
            seed = generator_for(self.random_state, "probe", number).initial_seed() if number else self.random_state
            which = {"network": number + 1.0} if count > 1 else {}

            def record(row: Mapping[str, float], which: Mapping[str, float] = which) -> None:
                self.history_.append({**row, **which})
                on_epoch(self.history_[-1])

            network = self._network()
            network.initialise(generator_for(seed, "probe/weights"))
            network.prepare(X, rows)
            probe_training.train(network.to(device), X, labels, self._schedule(seed), device, record)
            self.networks_.append(network.cpu())

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return np.mean([probe_training.probabilities(network, X) for network in self.networks_], axis=0)

    def _arrays(self) -> Arrays:
        return {
            f"{number}.{name}": tensor.numpy()
            for number, network in enumerate(self.networks_)
            for name, tensor in network.state_dict().items()
        }

    def _adopt(self, arrays: Arrays) -> None:
        found: dict[str, dict[str, torch.Tensor]] = {}
        for name, array in arrays.items():
            number, _, name_within = name.partition(".")
            found.setdefault(number, {})[name_within] = torch.from_numpy(array)
        if not 1 <= len(found) <= self.NETWORKS or set(found) != {str(number) for number in range(len(found))}:
            raise ValueError("its weights are not those of its networks")
        self.networks_ = [self._built(found[str(number)]) for number in range(len(found))]

    def _built(self, found: Mapping[str, torch.Tensor]) -> ProbeNetwork:
        """A network with these weights, for inference."""
        with torch.device("meta"):
            network = self._network()
        expected = {name: (tensor.shape, tensor.dtype) for name, tensor in network.state_dict().items()}
        if {name: (tensor.shape, tensor.dtype) for name, tensor in found.items()} != expected:
            raise ValueError("its weights are not those of the network that its settings describe")
        network.load_state_dict(found, assign=True)
        return network.eval()


class LinearProbe(NetworkProbe):
    """Logistic regression: how well a linear boundary separates the classes."""

    KIND = "linear"


@dataclass(kw_only=True, eq=False, repr=False)
class MLPProbe(NetworkProbe):
    """A network with two hidden layers, batch normalisation and dropout: finds classes whatever their shape.

    From few labelled images three networks learn, and their probabilities are averaged.

    Attributes:
        hidden: width of each hidden layer; the first has less for very many features or codes.
        dropout: fraction of the hidden features that are dropped in training.
    """

    KIND = "mlp"
    NETWORKS = 3

    hidden: int = setting(512, between=(1, 65_536))
    dropout: float = setting(0.2, between=(0.0, 0.95))
    lr: float = setting(3e-3, between=LR)

    def _network(self) -> ProbeNetwork:
        max_weights = MAX_TABLE // (self.codes_ + 1) if self.codes_ else MAX_LAYER
        hidden = [max(1, min(self.hidden, max_weights // self.n_features_in_)), self.hidden]
        return DenseNetwork(self.n_features_in_, self.codes_, len(self.classes_), hidden, self.dropout)
