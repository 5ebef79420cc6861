"""Probes that are trained by gradient descent: logistic regression, and a network with two hidden layers."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch

from latentcli.classifiers.probes import probe_training
from latentcli.classifiers.probes.probe import Arrays, MapShape, OnEpoch, Probe, labelled_rows
from latentcli.classifiers.probes.probe_network import DenseNetwork, ProbeNetwork
from latentcli.core import device as devices
from latentcli.numerics.random import generator_for

ENSEMBLE_BELOW = 5_000
"""Labelled rows: with fewer several networks learn, each from other weights and with other rows held out."""

MAX_TABLE, MAX_LAYER = 2**22, 2**24
"""Weights of the first layer, for codes and for floats, beyond which it becomes narrower than asked for."""


class NetworkProbe(Probe):
    """Networks trained with AdamW, whose probabilities are averaged; ``_network`` says which, here fully connected.

    Source of the average: Lakshminarayanan et al. 2017 (deep ensembles).
    """

    NETWORKS: ClassVar[int] = 1
    """How many learn from fewer than ``ENSEMBLE_BELOW`` labelled rows; from more, one."""
    RANGES: ClassVar = {
        "epochs": (1, 100_000), "batch_size": (2, 65_536), "lr": (1e-9, 10.0), "weight_decay": (0.0, 10.0),
        "held_out": (0.0, 0.5), "random_state": (0, 2**63 - 1),
    }  # fmt: skip
    OPTIONAL: ClassVar = ("epochs", "batch_size")

    epochs: int | None
    batch_size: int | None
    lr: float
    weight_decay: float
    held_out: float
    random_state: int
    device: str

    def _hidden(self) -> tuple[list[int], float]:
        """Widths of the hidden layers, and the fraction dropped."""
        return [], 0.0

    def _network(self) -> ProbeNetwork:
        hidden, dropout = self._hidden()
        return DenseNetwork(self.n_features_in_, self.codes_, len(self.classes_), hidden, dropout)

    def _schedule(self, seed: int) -> probe_training.Schedule:
        return probe_training.Schedule(self.epochs, self.batch_size, self.lr, self.weight_decay, self.held_out, seed)

    def _learn(self, X: np.ndarray, labels: np.ndarray, on_epoch: OnEpoch) -> None:
        device, rows = devices.resolve(self.device), labelled_rows(labels)
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
    """Logistic regression: how well a linear boundary separates the classes.

    Args:
        features: the name of the features, kept with the probe.
        shape: height, width, channels where the features are maps; not used, kept with the probe.
        epochs: passes over the labelled rows; None takes as many as they need.
        batch_size: rows a step; None takes an eighth of the labelled rows, 8 to 512.
        lr: the learning rate at the beginning.
        weight_decay: decoupled weight decay.
        held_out: fraction of the labelled rows that early stopping looks at.
        random_state: seed of all randomness.
        device: where to compute: cpu, auto, cuda, cuda:N, mps.
    """

    KIND = "linear"

    def __init__(
        self,
        *,
        features: str | None = None,
        shape: MapShape | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float = 5e-3,
        weight_decay: float = 1e-2,
        held_out: float = 0.1,
        random_state: int = 0,
        device: str = "cpu",
    ) -> None:
        self.features = features
        self.shape = shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.held_out = held_out
        self.random_state = random_state
        self.device = device


class MLPProbe(NetworkProbe):
    """A network with two hidden layers, batch normalisation and dropout: finds classes whatever their shape.

    From few labelled images three networks learn, and their probabilities are averaged.

    Args:
        features: the name of the features, kept with the probe.
        shape: height, width, channels where the features are maps; not used, kept with the probe.
        hidden: width of each hidden layer; the first has less for very many features or codes.
        dropout: fraction of the hidden features that are dropped in training.
        epochs: passes over the labelled rows; None takes as many as they need.
        batch_size: rows a step; None takes an eighth of the labelled rows, 8 to 512.
        lr: the learning rate at the beginning.
        weight_decay: decoupled weight decay.
        held_out: fraction of the labelled rows that early stopping looks at.
        random_state: seed of all randomness.
        device: where to compute: cpu, auto, cuda, cuda:N, mps.
    """

    KIND = "mlp"
    NETWORKS = 3
    RANGES: ClassVar = {"hidden": (1, 65_536), "dropout": (0.0, 0.95), **NetworkProbe.RANGES}

    def __init__(
        self,
        *,
        features: str | None = None,
        shape: MapShape | None = None,
        hidden: int = 512,
        dropout: float = 0.2,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float = 3e-3,
        weight_decay: float = 1e-2,
        held_out: float = 0.1,
        random_state: int = 0,
        device: str = "cpu",
    ) -> None:
        self.features = features
        self.shape = shape
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.held_out = held_out
        self.random_state = random_state
        self.device = device

    def _hidden(self) -> tuple[list[int], float]:
        max_weights = MAX_TABLE // (self.codes_ + 1) if self.codes_ else MAX_LAYER
        return [max(1, min(self.hidden, max_weights // self.n_features_in_)), self.hidden], self.dropout
