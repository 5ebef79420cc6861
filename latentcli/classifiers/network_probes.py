"""Probes that are trained by gradient descent: logistic regression, and a network with two hidden layers."""

from typing import ClassVar

import numpy as np
import torch

from latentcli import device as devices
from latentcli.batches import generator_for
from latentcli.classifiers import probe_training
from latentcli.classifiers.probe import Arrays, MapShape, OnEpoch, Probe, labelled_rows
from latentcli.classifiers.probe_network import DenseNetwork, ProbeNetwork

LARGEST_TABLE, LARGEST_LAYER = 2**22, 2**24
"""Numbers in the first layer, for codes and for floats, beyond which it becomes narrower than asked for."""


class NetworkProbe(Probe):
    """A network trained with AdamW; ``_network`` says which, here of fully connected layers."""

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

    def _schedule(self) -> probe_training.Schedule:
        return probe_training.Schedule(
            self.epochs, self.batch_size, self.lr, self.weight_decay, self.held_out, self.random_state
        )

    def _learn(self, X: np.ndarray, labels: np.ndarray, on_epoch: OnEpoch) -> None:
        device = devices.resolve(self.device)
        network = self._network()
        network.initialise(generator_for(self.random_state, "probe/weights"))
        network.prepare(X, labelled_rows(labels))
        network.to(device)
        self.history_ = probe_training.train(network, X, labels, self._schedule(), device, on_epoch)
        self.network_ = network.cpu()

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return probe_training.probabilities(self.network_, X)

    def _arrays(self) -> Arrays:
        return {name: tensor.numpy() for name, tensor in self.network_.state_dict().items()}

    def _adopt(self, arrays: Arrays) -> None:
        with torch.device("meta"):
            network = self._network()
        found = {name: torch.from_numpy(array) for name, array in arrays.items()}
        expected = {name: (tensor.shape, tensor.dtype) for name, tensor in network.state_dict().items()}
        if {name: (tensor.shape, tensor.dtype) for name, tensor in found.items()} != expected:
            raise ValueError("its weights are not those of the network that its settings describe")
        network.load_state_dict(found, assign=True)
        self.network_ = network.eval()


class LinearProbe(NetworkProbe):
    """Logistic regression: what a linear boundary can tell of the features.

    Args:
        features: the name of the features, kept with the probe.
        shape: height, width, channels where the features are maps; not used, kept with the probe.
        epochs: passes over the labelled rows; None takes as many as they need.
        batch_size: rows a step; None takes 512, or fewer of few.
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
    """A network with two hidden layers, batch normalisation and dropout: what the features hold, however bent.

    Args:
        features: the name of the features, kept with the probe.
        shape: height, width, channels where the features are maps; not used, kept with the probe.
        hidden: width of each hidden layer; the first has less for very many features or codes.
        dropout: fraction of the hidden features that are dropped in training.
        epochs: passes over the labelled rows; None takes as many as they need.
        batch_size: rows a step; None takes 512, or fewer of few.
        lr: the learning rate at the beginning.
        weight_decay: decoupled weight decay.
        held_out: fraction of the labelled rows that early stopping looks at.
        random_state: seed of all randomness.
        device: where to compute: cpu, auto, cuda, cuda:N, mps.
    """

    KIND = "mlp"
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
        most = LARGEST_TABLE // (self.codes_ + 1) if self.codes_ else LARGEST_LAYER
        return [max(1, min(self.hidden, most // self.n_features_in_)), self.hidden], self.dropout
