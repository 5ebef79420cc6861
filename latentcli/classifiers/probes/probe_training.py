"""The training of a probe: minibatches, a cosine schedule, and the best weights by the accuracy on rows held out."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentcli.classifiers.probes.probe import OnEpoch, best_epoch
from latentcli.classifiers.probes.probe_network import ProbeNetwork
from latentcli.core.errors import FitError
from latentcli.numerics.batches import to_device
from latentcli.numerics.linear import FastLinear
from latentcli.numerics.optimizer import AdamW
from latentcli.numerics.precision import reduced_precision, widest_dtype
from latentcli.numerics.random import generator_for, seed_of
from latentcli.numerics.replay import Replayer

MIN_HELD_OUT = 30
"""Rows: the accuracy on fewer says too little to choose weights by, and they are better used to learn from."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a probe learns.

    Attributes:
        epochs, batch_size, lr, weight_decay, held_out: as of ``NetworkProbe``. The learning rate falls to zero along
            half a cosine (Loshchilov & Hutter 2017); of each class as many are held out, ``max_held_out`` in all.
        patience: fraction of all epochs that may pass without a better accuracy.
        row_budget, max_batch: rows in all epochs, and at most in a step, where these settings are None.
        label_smoothing: probability that the targets give to all classes alike (Szegedy et al. 2016).
        seed: of the weights, the order, the rows held out and what is dropped.
    """

    epochs: int | None
    batch_size: int | None
    lr: float
    weight_decay: float
    held_out: float
    seed: int
    max_held_out: int = 5_000
    patience: float = 0.34
    row_budget: int = 1_000_000
    max_batch: int = 512
    label_smoothing: float = 0.0

    def steps_for(self, rows: int) -> int:
        """Steps an epoch of ``rows`` training rows, in batches whose sizes differ by one at most.

        Batch normalisation cannot learn from a single row: each batch has two rows or more.
        """
        batch_size = self.batch_size or min(self.max_batch, max(8, rows // 8))
        return min(math.ceil(rows / batch_size), max(1, rows // 2))


def rows_on(X: np.ndarray, device: torch.device) -> Callable[[np.ndarray], Tensor]:
    """Reads rows of features (N, F) as tensors on a device; only an accelerator gets a copy of them all."""
    if device.type == "cpu":
        return lambda rows: torch.from_numpy(X[rows])
    kind = np.float32 if X.dtype.kind == "f" else np.int32  # MPS has no float64
    resident = torch.from_numpy(X.astype(kind)).to(device)
    return lambda rows: resident[to_device(rows, device)]


def split(labels: np.ndarray, schedule: Schedule) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, and rows to hold out: the same fraction of each class; none below ``MIN_HELD_OUT`` in all."""
    rows = np.flatnonzero(labels >= 0)
    fraction = min(schedule.held_out, schedule.max_held_out / len(rows))
    order = rows[torch.randperm(len(rows), generator=generator_for(schedule.seed, "probe/split")).numpy()]
    of_classes = [order[labels[order] == label] for label in np.unique(labels[rows])]
    chosen = np.concatenate([own[: int(fraction * len(own))] for own in of_classes])
    if len(chosen) < MIN_HELD_OUT:
        return rows, rows[:0]
    return np.setdiff1d(rows, chosen), np.sort(chosen)


def train(
    network: ProbeNetwork, X: np.ndarray, labels: np.ndarray, schedule: Schedule, device: torch.device,
    on_epoch: OnEpoch,
) -> None:  # fmt: skip
    """Train an initialised network in place; it ends with its best weights by the rows held out, else with its last.

    Each epoch's row has ``epoch``, ``loss`` (nats, mean over the epoch) and ``accuracy``, and with ``val_`` before them
    the same on the rows held out.
    """
    read = rows_on(X, device)
    rows, held_out = split(labels, schedule)
    targets = torch.from_numpy(labels.astype(np.int64)).to(device)
    steps = schedule.steps_for(len(rows))
    epochs = schedule.epochs or max(10, min(100, round(schedule.row_budget / len(rows))))
    optimizer = AdamW(network.parameters(), schedule.lr, weight_decay=schedule.weight_decay)
    generator, sums = torch.Generator(device=device), torch.zeros(2, device=device)
    replayer = Replayer(device, generator)

    def step(values: Tensor, truth: Tensor) -> None:
        with reduced_precision(device.type):
            logits = network(values, generator).float()
        loss = F.cross_entropy(logits, truth, label_smoothing=schedule.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        hits = (logits.argmax(dim=1) == truth).sum()
        sums.add_(torch.stack([loss.detach() * len(values), hits.to(loss.dtype)]))

    history: list[dict[str, float]] = []
    best: Mapping[str, Any] = {}
    with replayer.stream():
        for epoch in range(epochs):
            order = rows[
                torch.randperm(len(rows), generator=generator_for(schedule.seed, "probe/order", epoch)).numpy()
            ]
            generator.manual_seed(seed_of(schedule.seed, "probe/dropout", epoch))
            network.train()
            sums.zero_()
            for number, batch in enumerate(np.array_split(order, steps)):
                optimizer.set_lr(schedule.lr * 0.5 * (1 + math.cos(math.pi * (epoch + number / steps) / epochs)))
                replayer(step, [read(batch), targets[to_device(batch, device)]], "step")
            mean_loss, accuracy = (sums / len(rows)).tolist()
            if not math.isfinite(mean_loss):
                found = f"with a learning rate of {schedule.lr:g}"
                raise FitError(f"the loss is not finite in epoch {epoch + 1}", found, "take a lower `lr`")
            row = {"epoch": float(epoch + 1), "loss": mean_loss, "accuracy": accuracy}
            if len(held_out):
                row |= validate(network, read, targets, held_out)
            history.append(row)
            on_epoch(row)
            if not len(held_out):
                continue
            if best_epoch(history) == epoch + 1:
                best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
            elif epoch + 1 - best_epoch(history) > max(5, schedule.patience * epochs):
                break
    if best:
        network.load_state_dict(best)
    network.eval()


@torch.no_grad()
def validate(
    network: ProbeNetwork, read: Callable[[np.ndarray], Tensor], targets: Tensor, rows: np.ndarray
) -> dict[str, float]:
    """``val_loss`` and ``val_accuracy`` of these rows."""
    network.eval()
    sums = torch.zeros(2, dtype=widest_dtype(targets.device.type), device=targets.device)
    for start in range(0, len(rows), network.ROWS_AT_ONCE):
        batch = rows[start : start + network.ROWS_AT_ONCE]
        logits, truth = network(read(batch)), targets[to_device(batch, targets.device)]
        loss, hits = F.cross_entropy(logits, truth, reduction="sum"), (logits.argmax(dim=1) == truth).sum()
        sums += torch.stack([loss.to(sums.dtype), hits.to(sums.dtype)])
    loss_sum, hits_sum = sums.tolist()
    return {"val_loss": loss_sum / len(rows), "val_accuracy": hits_sum / len(rows)}


@torch.inference_mode()
@FastLinear()
def probabilities(network: ProbeNetwork, X: np.ndarray) -> np.ndarray:
    """(N, C) float64 of features X (N, F), a few thousand at a time; on the CPU."""
    network.eval()
    parts = [np.zeros((0, network.classes))]
    for start in range(0, len(X), network.ROWS_AT_ONCE):
        logits = network(torch.from_numpy(np.array(X[start : start + network.ROWS_AT_ONCE])))
        parts.append(logits.double().softmax(dim=1).numpy())
    return np.concatenate(parts)
