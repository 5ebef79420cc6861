"""The training loop: it knows nothing of the model but its loss, and reports through callbacks."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentcli.core.errors import FitError
from latentcli.models.base import LossTerms, Model
from latentcli.numerics.batches import DeviceImages
from latentcli.numerics.linear import FastLinear
from latentcli.numerics.random import generator_for
from latentcli.training.config import TrainingConfig
from latentcli.training.examples import Examples

State = dict[str, Any]
"""Plain values and tensors, from which a run goes on as if it had never stopped."""


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop; its state was saved."""


@dataclass
class Callbacks:
    """Who listens to a run; each may be left out.

    Attributes:
        on_start: called once with (epochs, images in each, images seen before it was resumed).
        on_step: called after each step with (images in it, its loss).
        on_epoch: called after each epoch with its row of the history.
        save_state: called with the state when it is due; keeps it somewhere safe.
        interrupted: asked after each step; True saves the state and raises Interrupted.
    """

    on_start: Callable[[int, int, int], None] = lambda epochs, images, done: None
    on_step: Callable[[int, float], None] = lambda images, loss: None
    on_epoch: Callable[[Mapping[str, float]], None] = lambda row: None
    save_state: Callable[[State], None] = lambda state: None
    interrupted: Callable[[], bool] = lambda: False


def learning_rate(config: TrainingConfig, fraction: float) -> float:
    """The learning rate when ``fraction`` of training is done: a linear rise, then half a cosine down to zero.

    A step takes the rate of its middle, at ``(step + 0.5) / total_steps``: at either end of a step the rate of the
    first or of the last would be zero, and a run of one step would learn nothing.

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5, one period.
    """
    if fraction < config.warmup:
        return config.lr * fraction / config.warmup
    if config.schedule == "constant":
        return config.lr
    return config.lr * 0.5 * (1 + math.cos(math.pi * (fraction - config.warmup) / (1 - config.warmup)))


class Run:
    """One training run of a model on examples: ``fit`` takes it to its end.

    Args:
        model: on its device; its weights are trained in place, and end as the best by validation loss.
        examples: images alone, (N, C, H, W) uint8, N ≥ 2, of which the config says how many are held out; or with
            what else the model's loss takes, and with the rows that are trained on and held out.
        config: of the loop.
        state: from an earlier run's ``save_state``, to go on from.
    """

    def __init__(
        self, model: Model, examples: np.ndarray | Examples, config: TrainingConfig, state: State | None = None
    ) -> None:
        self.model, self.config = model, config
        self.device = next(model.parameters()).device
        if isinstance(examples, np.ndarray):
            examples = Examples.of_images(examples, config)
        self.train_rows, self.held_out_rows = examples.train_rows, examples.held_out_rows
        self.last_rows, self.last = examples.last_rows, examples.last
        self.images = DeviceImages(examples.images, self.device)
        self.targets = None if examples.targets is None else torch.from_numpy(examples.targets).to(self.device)
        self.epochs = config.epochs_for(len(self.train_rows), math.prod(examples.images.shape[1:]))
        self.batch_size = config.batch_size_for(len(self.train_rows))
        self.steps_per_epoch = config.steps_for(len(self.train_rows))
        self.optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=config.lr,
            weight_decay=config.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self.telling = telling_parameters(model)
        self.followers = [
            tensor for tensor in model.state_dict(keep_vars=True).values() if not tensor.requires_grad
        ]  # moved by the forward pass itself: running statistics, moving averages; what files go without is too much
        self.step = 0
        self.sums: dict[str, tuple[float, int]] = {}
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] | None = None
        if state is not None:
            self._restore(state)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def fit(self, callbacks: Callbacks) -> list[dict[str, float]]:
        """Train to the end, or until the validation loss has not improved for ``patience``.

        A run whose last steps have rows of their own is a plan as a whole: it always goes to its end.

        Returns:
            the history, one row an epoch: ``epoch``, ``loss`` and its terms (means over the steps that have them), the
            same with ``val_`` before them on the images held out, and ``lr``.

        Raises:
            FitError: the loss is not finite; the weights are the last good ones, and their state was saved.
            Interrupted: ``callbacks.interrupted`` said so; the state was saved.
        """
        done = round(self.step / self.steps_per_epoch * len(self.train_rows))
        callbacks.on_start(self.epochs, len(self.train_rows), done)
        saved_at = time.monotonic()
        while self.step < self.total_steps and not self._out_of_patience():
            epoch, position = divmod(self.step, self.steps_per_epoch)
            self.model.train()
            for rows in self._batches(epoch)[position:]:
                loss = self._take_step(rows, callbacks)
                callbacks.on_step(len(rows), loss)
                end_of_epoch = self.step % self.steps_per_epoch == 0
                if end_of_epoch:
                    self._end_epoch(epoch)
                if callbacks.interrupted():
                    callbacks.save_state(self.state())
                    raise Interrupted
                if time.monotonic() - saved_at >= self.config.save_every:
                    callbacks.save_state(self.state())
                    saved_at = time.monotonic()
                if end_of_epoch:
                    callbacks.on_epoch(self.history[-1])
        if self.best is not None:
            self.model.load_state_dict(self.best)
        self.model.eval()
        return self.history

    def state(self) -> State:
        """Everything to go on from: weights, what files of them go without, optimiser, position, history, best weights.

        Randomness needs no entry: it is a function of the seed and the step.
        """
        kept = self.model.state_dict().keys()
        return {
            "settings": asdict(self.config), "step": self.step, "model": self.model.state_dict(),
            "memory": {name: buffer for name, buffer in self.model.named_buffers() if name not in kept},
            "optimizer": self.optimizer.state_dict(), "sums": self.sums, "history": self.history, "best": self.best,
        }  # fmt: skip

    def _restore(self, state: State) -> None:
        self.step, self.sums = state["step"], dict(state["sums"])
        self.history, self.best = list(state["history"]), state["best"]
        self.model.load_state_dict(state["model"])
        for name, buffer in state["memory"].items():
            owner, _, own = name.rpartition(".")
            setattr(self.model.get_submodule(owner), own, buffer.to(self.device))
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, values in self.optimizer.state.items():  # files forget strides, and fused steps rely on them
            values |= {
                name: torch.empty_like(parameter).copy_(value)
                for name, value in values.items()
                if value.shape == parameter.shape
            }

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """The epoch's order, cut into batches of nearly one size: the same whenever it is asked for."""
        order = torch.randperm(len(self.train_rows), generator=generator_for(self.config.seed, "order", epoch)).numpy()
        batches = np.array_split(self.train_rows[order], self.steps_per_epoch)
        last = batches[max(0, round((1 - self.last) * self.total_steps) - epoch * self.steps_per_epoch) :]
        if self.last_rows is not None and last:
            generator = generator_for(self.config.seed, "last", epoch)
            shuffled = self.last_rows[torch.randperm(len(self.last_rows), generator=generator).numpy()]
            rows = np.resize(shuffled, sum(map(len, last)))  # where they are many, each epoch leaves out others
            order = torch.randperm(len(rows), generator=generator).numpy()
            batches[-len(last) :] = np.array_split(rows[order], len(last))
        return batches

    def _batch(self, rows: np.ndarray) -> Any:
        """What the loss takes of these rows: the images, and their targets where there are any."""
        images = self.images[rows]
        return images if self.targets is None else (images, self.targets[torch.from_numpy(rows).to(self.device)])

    def _take_step(self, rows: np.ndarray, callbacks: Callbacks) -> float:
        """One step of the optimiser; returns the loss."""
        fraction = self.step / self.total_steps
        generator = generator_for(self.config.seed, "noise", self.step, self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, (self.step + 0.5) / self.total_steps)
        before = [tensor.detach().clone() for tensor in self.followers]
        with FastLinear():
            losses = self.model.loss(self._batch(rows), generator, fraction)
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        loss = losses.total.item()
        if not math.isfinite(loss) or not self._gradients_are_finite():
            self._refuse_step(loss, before, callbacks)
        self.optimizer.step()
        for name, value in _values(losses).items():
            total, images = self.sums.get(name, (0.0, 0))
            self.sums[name] = total + value * len(rows), images + len(rows)
        self.step += 1
        return loss

    def _gradients_are_finite(self) -> bool:
        gradients = [parameter.grad for parameter in self.telling if parameter.grad is not None]
        return math.isfinite(torch.nn.utils.get_total_norm(gradients).item())

    @torch.no_grad()
    def _refuse_step(self, loss: float, before: Sequence[Tensor], callbacks: Callbacks) -> None:
        """Keep the state as it was before the step, and end the run."""
        for tensor, value in zip(self.followers, before, strict=True):
            tensor.copy_(value)
        callbacks.save_state(self.state())
        raise FitError(
            f"the loss is not finite at step {self.step + 1} of {self.total_steps}: {loss}",
            "the last good state was kept",
            f"lower the learning rate: --lr {self.config.lr / 10:g}",
        )

    def _end_epoch(self, epoch: int) -> None:
        row = {"epoch": float(epoch + 1)} | {name: total / images for name, (total, images) in self.sums.items()}
        if len(self.held_out_rows):
            row |= {f"val_{name}": value for name, value in self.validate().items()}
        row["lr"] = self.optimizer.param_groups[0]["lr"]
        self.history.append(row)
        self.sums = {}
        if "val_loss" in row and row["val_loss"] <= min(earlier["val_loss"] for earlier in self.history):
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    @torch.no_grad()
    @FastLinear()
    def validate(self) -> dict[str, float]:
        """The loss and its terms on the images held out, schedules at their end, the same noise each time."""
        self.model.eval()
        sums: dict[str, float] = {}
        size = 4 * self.batch_size
        for start in range(0, len(self.held_out_rows), size):
            rows = self.held_out_rows[start : start + size]
            generator = generator_for(self.config.seed, "validation", start, self.device)
            for name, value in _values(self.model.loss(self._batch(rows), generator, 1.0)).items():
                sums[name] = sums.get(name, 0.0) + value * len(rows)
        return {name: total / len(self.held_out_rows) for name, total in sums.items()}

    def _out_of_patience(self) -> bool:
        if self.last_rows is not None:
            return False
        losses = [row["val_loss"] for row in self.history if "val_loss" in row]
        patience = max(10, round(self.config.patience * self.epochs))
        return len(losses) > patience and min(losses[:-patience]) <= min(losses[-patience:])


def telling_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters by whose gradients it shows whether all are finite: of a layer with a bias the bias alone.

    A bias gathers the gradient of its layer's output, image by image, which its weights gather times the input; on a
    CPU reading the large gradients again would take a twentieth of a step.
    """
    return [
        parameter
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if name != "weight" or getattr(module, "bias", None) is None
    ]


def _values(losses: LossTerms) -> dict[str, float]:
    names = list(losses.terms)
    values = torch.stack([losses.total.detach().float(), *(losses.terms[name].detach().float() for name in names)])
    return dict(zip(["loss", *names], values.tolist(), strict=True))
