"""The training loop: all that it uses of a model is its loss, and it reports through callbacks."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentcli.core import memory, processes
from latentcli.core.device import memory_for
from latentcli.core.errors import FitError, OutputError, UsageError
from latentcli.core.progress import Progress, silent
from latentcli.models.base import Model
from latentcli.numerics.batches import DeviceImages, to_device
from latentcli.numerics.linear import FastLinear
from latentcli.numerics.random import generator_for
from latentcli.numerics.shared_batches import share_statistics
from latentcli.training.config import TrainingConfig
from latentcli.training.examples import Examples, block_of
from latentcli.training.steps import Means, Steps, as_loss_takes_them
from latentcli.training.whole_batch import at_hand, averaged, shared_out

State = dict[str, Any]
"""Plain values and tensors from which a run resumes as if it had never stopped."""


ASK_EVERY = 0.25
"""Seconds between two questions to CUDA how the steps go; every other device answers at once and is asked each time."""


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop; its state was saved."""


@dataclass
class Callbacks:
    """What a run calls; each may be left out.

    Attributes:
        on_start: called once with (epochs, images in each, images trained on before it was resumed).
        on_step: called after each step with (images in it, its loss).
        on_epoch: called after each epoch with its row of the history.
        save_state: called with the state whenever it is to be saved.
        unsaved: told why ``save_state`` could not write while the run goes on; the next time is after ``save_every``.
        interrupted: asked after each step; True saves the state and raises Interrupted.
    """

    on_start: Callable[[int, int, int], None] = lambda epochs, images, done: None
    on_step: Callable[[int, float], None] = lambda images, loss: None
    on_epoch: Callable[[Mapping[str, float]], None] = lambda row: None
    save_state: Callable[[State], None] = lambda state: None
    unsaved: Callable[[OutputError], None] = lambda problem: None
    interrupted: Callable[[], bool] = lambda: False


def learning_rate(config: TrainingConfig, fraction: float) -> float:
    """The learning rate when ``fraction`` of training is done: a linear rise, then half a cosine down to zero.

    A step uses the rate at its middle, ``(step + 0.5) / total_steps``: at its start the first step's rate would be
    zero, at its end the last one's.

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5, one period.
    """
    if fraction < config.warmup:
        return config.lr * fraction / config.warmup
    if config.schedule == "constant":
        return config.lr
    return config.lr * 0.5 * (1 + math.cos(math.pi * (fraction - config.warmup) / (1 - config.warmup)))


class Run:
    """One training run of a model on examples.

    On the CPU the same arguments give the same bytes for the same number of threads, whether or not the run was
    interrupted and resumed. On CUDA they do not: ``index_add_`` (the codebook's moving averages), bincount and the
    backward pass of cuDNN's convolutions add up in no fixed order. Mapped images that are too many for the memory are
    shuffled in blocks, see ``examples.shuffled``: a machine with more memory takes them in another order, but goes on
    in this one.

    Where there are several ``processes`` each has its rows of each batch, and all that the losses make of the batch as
    a whole is made of all of it: the run is the same to rounding with any number of them.

    Args:
        model: on its device; its weights are trained in place, and end as the best by validation loss, or the last.
        examples: images alone, (N, C, H, W) uint8, N ≥ 2, of which the config says how many are held out; or with
            targets, and with the rows that are trained on and held out.
        config: of the loop.
        state: from an earlier run's ``save_state``, to resume from.
        fresh: whether the weights are as they were drawn, so that the model may set some by the images.
        progress: told how the model prepares itself.
    """

    def __init__(
        self, model: Model, examples: np.ndarray | Examples, config: TrainingConfig, state: State | None = None,
        fresh: bool = True, progress: Progress = silent,
    ) -> None:  # fmt: skip
        self.model, self.config = model, config
        self.device = next(model.parameters()).device
        examples = examples if isinstance(examples, Examples) else Examples.of_images(examples, config)
        examples = replace(examples, block=block_of(examples.images) if state is None else state.get("block", 0))
        self.examples = examples
        self.images = DeviceImages(examples.images, self.device, memory.is_beyond(examples.images))
        self.steps = Steps(model, config)
        self.images_per_epoch = len(examples.train_rows)
        self.epochs = config.epochs_for(self.images_per_epoch, math.prod(examples.images.shape[1:]))
        self.batch_size = config.batch_size_for(self.images_per_epoch)
        self.steps_per_epoch = config.steps_for(self.images_per_epoch)
        if processes.count() > 1:
            self._share_out()
        self.step = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] | None = None
        if state is not None:
            self._restore(state)
        targets = None if examples.targets is None else torch.from_numpy(examples.targets).to(self.device)
        known = model.prepare(self.images, fresh and state is None, progress)
        processes.as_first(model.state_dict().values())
        self.beside = [rows for rows in (targets, known) if rows is not None]

    def _share_out(self) -> None:
        """Have the processes share out each batch; a ``UsageError`` if one would get none of it."""
        smallest, count = self.images_per_epoch // self.steps_per_epoch, processes.count()
        if smallest < count:
            raise UsageError(
                f"batches of {smallest} of {self.images_per_epoch} images cannot be shared out to {count} processes",
                "expected one image or more for each", f"start at most {smallest}, or take a larger `batch_size`",
            )  # fmt: skip
        share_statistics(self.model)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def fit(self, callbacks: Callbacks) -> list[dict[str, float]]:
        """Train to the end, or until the validation loss has not improved for ``patience``.

        A run whose examples have ``final_rows`` never stops early, or it would miss them; nor does that of a model that
        the validation loss says too little of (``Model.validated``), which ends with its last weights.

        Returns:
            the history, one row an epoch: ``epoch``, ``loss`` and its terms (means over the steps that have them), the
            same on the images held out with ``val_`` before their names, and ``lr``. There is no ``val_loss`` where it
            says too little of the model.

        Raises:
            FitError: the loss or its gradient is not finite; the state before that step was restored and saved.
            UsageError: the device's memory does not suffice for batches of this size.
            Interrupted: ``callbacks.interrupted`` said so; the state was saved.
            ProcessLost: another process has ended; ``state`` is that before the step.
        """
        fewer = max(2, self.batch_size // 2)
        remedy = f"take a smaller `batch_size`, such as {fewer}, or the `device` cpu"
        with memory_for(self.batch_size, remedy), self.steps.replayer.stream():
            self._train(callbacks)
        if self.best is not None:
            self.model.load_state_dict(self.best)
        self.model.load_training_state({})
        self.model.eval()
        return self.history

    def _train(self, callbacks: Callbacks) -> None:
        done = round(self.step / self.steps_per_epoch * self.images_per_epoch)
        callbacks.on_start(self.epochs, self.images_per_epoch, done)
        saved_at = asked_at = time.monotonic()
        begun, unseen = self.step, 0
        if self.step > len(self.history) * self.steps_per_epoch and self.step % self.steps_per_epoch == 0:
            self._end_epoch(self.step // self.steps_per_epoch - 1)  # it was lost there, see ``processes.ProcessLost``
            callbacks.on_epoch(self.history[-1])

        def ask() -> None:
            seen = self.steps.seen()
            if seen.refused:
                self._refuse_step(begun + seen.taken, callbacks)
            callbacks.on_step(unseen, seen.loss)

        while self.step < self.total_steps and not self._out_of_patience():
            epoch, position = divmod(self.step, self.steps_per_epoch)
            self.model.train()
            batches = self.batches(epoch)[position:]
            read = self.images.following(rows[at_hand(len(rows))] for rows in batches)
            for rows, _ in zip(batches, read, strict=True):
                self._take_step(rows)
                unseen += len(rows)
                now, end_of_epoch = time.monotonic(), self.step % self.steps_per_epoch == 0
                save = now - saved_at >= self.config.save_every
                if end_of_epoch or save or self.device.type != "cuda" or now - asked_at >= ASK_EVERY:
                    ask()
                    unseen, asked_at = 0, now
                if end_of_epoch:
                    self._end_epoch(epoch)
                    callbacks.on_epoch(self.history[-1])
                if callbacks.interrupted():
                    if unseen:
                        ask()
                    callbacks.save_state(self.state())
                    raise Interrupted(f"interrupted at step {self.step} of {self.total_steps}")
                if save:
                    try:
                        callbacks.save_state(self.state())
                    except OutputError as problem:
                        callbacks.unsaved(problem)
                    saved_at = time.monotonic()

    def state(self) -> State:
        """All that a run resumes from; randomness needs no entry, since it is a function of the seed and the step."""
        return {
            "settings": asdict(self.config), "step": self.step, "model": self.model.state_dict(),
            "training_state": dict(self.model.training_state()), **self.steps.state(),
            "history": self.history, "best": self.best,
            **({"block": self.examples.block} if self.examples.block else {}),
        }  # fmt: skip

    def _restore(self, state: State) -> None:
        self.step, self.history, self.best = state["step"], list(state["history"]), state["best"]
        self.model.load_state_dict(state["model"])
        self.model.load_training_state(state["training_state"])
        self.steps.restore(state)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Row numbers of the examples of each step of an epoch."""
        return self.examples.batches(epoch, self.epochs, self.steps_per_epoch, self.config.seed)

    def _batch(self, rows: np.ndarray) -> list[Tensor]:
        """The images of these rows, uint8, their targets, and what the model has prepared, where there are any."""
        images = self.images.bytes_of(rows)
        return [images, *(each[to_device(rows, self.device)] for each in self.beside)]

    def _take_step(self, rows: np.ndarray) -> None:
        """Take one step of the optimiser."""
        fraction, middle = self.step / self.total_steps, (self.step + 0.5) / self.total_steps
        with shared_out(len(rows)) as own:
            self.steps.take(self._batch(rows[own]), self.step, learning_rate(self.config, middle), fraction)
        self.step += 1

    def _refuse_step(self, step: int, callbacks: Callbacks) -> None:
        """Save the state before the step, at which all later ones left it, and raise the error that ends the run."""
        self.step = step
        callbacks.save_state(self.state())
        raise FitError(
            f"the loss is not finite at step {self.step + 1} of {self.total_steps}, or its gradient is not",
            "the state before that step was kept",
            f"go on with `resume` and a lower `lr`, such as {self.config.lr / 10:g}; or, where that ends here again, "
            "begin anew with one",
        )  # fmt: skip

    def _end_epoch(self, epoch: int) -> None:
        row = {"epoch": float(epoch + 1)} | self.steps.sums.result()
        if len(self.examples.held_out_rows):
            found = self.validate()
            if not self.model.validated:
                del found["loss"]  # it is not the loss that is learned, and tells no epoch from another
            row |= {f"val_{name}": value for name, value in found.items()}
        row["lr"] = learning_rate(self.config, (self.step - 0.5) / self.total_steps)
        self.history.append(row)
        self.steps.sums.clear()
        if "val_loss" in row and row["val_loss"] <= min(earlier["val_loss"] for earlier in self.history):
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    @torch.no_grad()
    @FastLinear()
    def validate(self) -> dict[str, float]:
        """The loss and its terms on the held-out images, with schedules at their end and the same noise each time."""
        self.model.eval()
        sums, held_out, size = Means(self.device), self.examples.held_out_rows, 4 * self.batch_size
        for start in range(0, len(held_out), size):
            rows = held_out[start : start + size]
            generator = generator_for(self.config.seed, "validation", start, self.device)
            with shared_out(len(rows)) as own:
                losses = self.model.loss(as_loss_takes_them(self._batch(rows[own])), generator, 1.0)
                sums.add(averaged(losses), len(rows))
        return sums.result()

    def _out_of_patience(self) -> bool:
        losses = [row["val_loss"] for row in self.history if "val_loss" in row]
        patience = max(10, round(self.config.patience * self.epochs))
        if self.examples.final_rows is not None or len(losses) <= patience:
            return False
        return min(losses[:-patience]) <= min(losses[-patience:])
