"""Steps of the optimiser, each one function of a batch, which asks the host for nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentcli.core.processes import ProcessLost
from latentcli.models.base import LossTerms, Model
from latentcli.numerics.batches import as_floats
from latentcli.numerics.linear import FastLinear
from latentcli.numerics.optimizer import AdamW
from latentcli.numerics.precision import widest_dtype
from latentcli.numerics.random import seed_of
from latentcli.numerics.replay import Replayer
from latentcli.numerics.shared_batches import is_shared, whole
from latentcli.training.config import TrainingConfig
from latentcli.training.whole_batch import backward


@dataclass(frozen=True)
class Seen:
    """What the device says of the steps so far: how many were taken, the last one's loss, whether one was refused."""

    taken: int
    loss: float
    refused: bool


class Steps:
    """Takes steps of AdamW on a model's loss.

    A step whose loss or gradient is not finite changes nothing, and neither does any after it. That is decided on the
    device, so that no step waits for the host, which may ask later, see ``seen``.

    Args:
        model: whose weights are trained in place, on its device.
        config: of the loop.
    """

    def __init__(self, model: Model, config: TrainingConfig) -> None:
        self.model, self.config = model, config
        self.device = next(model.parameters()).device
        self.optimizer = AdamW(model.parameters(), config.lr, config.weight_decay)
        self.forward_buffers = Snapshot(changed_by_forward(model))
        self.sums = Means(self.device)
        self.generator = torch.Generator(device=self.device)
        self.replayer = Replayer(self.device, self.generator)
        self.refused = torch.zeros((), device=self.device)
        self.taken = torch.zeros((), dtype=torch.int64, device=self.device)
        self.loss = torch.zeros((), device=self.device)

    def take(self, batch: Sequence[Tensor], number: int, lr: float, fraction: float) -> None:
        """Take one step.

        Args:
            batch: images (N, C, H, W) uint8, and what the loss needs besides them, if anything; of a batch that is
                shared out the rows at hand.
            number: of the step in the run, from 0: its randomness depends on it, and on the seed, alone.
            lr: the learning rate.
            fraction: of training that is done.
        """
        self.generator.manual_seed(seed_of(self.config.seed, "noise", number))
        self.optimizer.set_lr(lr)

        def step(*batch: Tensor) -> None:
            self._step(batch, fraction)

        self.replayer(step, batch, None if is_shared() else self.model.phase(fraction))

    def seen(self) -> Seen:
        """How the steps went; waits for the device."""
        values = torch.stack([self.loss, self.refused]).tolist()
        return Seen(int(self.taken), values[0], bool(values[1]))

    def _step(self, batch: Sequence[Tensor], fraction: float) -> None:
        before = self.forward_buffers.taken()
        try:
            with FastLinear():
                losses = self.model.loss(as_loss_takes_them(batch), self.generator, fraction)
            self.optimizer.zero_grad(set_to_none=True)
            losses = backward(losses, self.model)
        except ProcessLost:  # the step is not taken
            self.forward_buffers.put_back(before)
            raise
        with torch.no_grad():
            norm = torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters() if p.grad is not None])
            self.loss.copy_(losses.total)
            self.refused.masked_fill_(~(torch.isfinite(self.loss) & torch.isfinite(norm)), 1.0)
            good = self.refused == 0
            self._optimise(good)
            self.forward_buffers.put_back(before, unless=good)
            self.model.step_taken(good)
            self.sums.add(losses, whole(len(batch[0])), good)
            self.taken += good

    def _optimise(self, good: Tensor) -> None:
        """The optimiser's step, unless this or an earlier one is not ``good``."""
        if self.optimizer.param_groups[0]["fused"]:
            self.optimizer.found_inf = self.refused  # type: ignore[attr-defined]
            self.optimizer.step()
        elif good:
            self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """All that steps go on from, besides the model."""
        optimizer = self.optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group["lr"] = float(group["lr"])
        return {"optimizer": optimizer, "sums": self.sums.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a ``state``, which may be of another device."""
        settings = [
            {name: group[name] for name in ("lr", "fused", "capturable")} for group in self.optimizer.param_groups
        ]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(own)
        for parameter, values in self.optimizer.state.items():  # files lose strides, which fused steps rely on
            alike = [name for name, value in values.items() if value.shape == parameter.shape]
            values |= {name: torch.empty_like(parameter).copy_(values[name]) for name in alike}
        self.sums = Means(self.device, state["sums"])


def changed_by_forward(model: Model) -> list[Tensor]:
    """What a forward pass in training may change itself: running statistics, moving averages.

    Nothing within modules that stay in evaluation mode, such as an encoder that is trained already; and no weights of
    PyTorch's own layers, whose forward pass changes none.
    """
    learning = [module for module in model.train().modules() if module.training]
    ours = [module for module in learning if not type(module).__module__.startswith("torch.")]
    frozen = [weights for module in ours for weights in module.parameters(False) if not weights.requires_grad]
    return [*(buffer for module in learning for buffer in module.buffers(False)), *(each.detach() for each in frozen)]


class Snapshot:
    """What tensors hold at a moment, and putting it back, in a few kernels however many tensors there are.

    Args:
        tensors: on one device.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.groups: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            self.groups.setdefault(tensor.dtype, []).append(tensor)

    def taken(self) -> list[Tensor]:
        """All that the tensors hold now: one tensor of each type of numbers."""
        return [torch.cat([tensor.flatten() for tensor in group]) for group in self.groups.values()]

    def put_back(self, snapshot: Sequence[Tensor], unless: Tensor | None = None) -> None:
        """Have the tensors hold again what they held then, unless this is true."""
        found = snapshot
        if unless is not None:
            found = [torch.where(unless, now, then) for now, then in zip(self.taken(), snapshot, strict=True)]
        for flat, group in zip(found, self.groups.values(), strict=True):
            parts = flat.split([tensor.numel() for tensor in group])
            torch._foreach_copy_(group, [part.view(tensor.shape) for part, tensor in zip(parts, group, strict=True)])


def as_loss_takes_them(batch: Sequence[Tensor]) -> Any:
    """Images (N, C, H, W) uint8 as float32 in [0, 1], codes as they are; and what else is in the batch."""
    images = as_floats(batch[0]) if batch[0].dtype == torch.uint8 else batch[0]
    return (images, *batch[1:]) if len(batch) > 1 else images


class Means:
    """Means over images of losses and their terms, added up on a device, from ``state`` (another's) on."""

    def __init__(self, device: torch.device, state: Mapping[str, tuple[Tensor, int]] | None = None) -> None:
        self.device, self.dtype = device, widest_dtype(device.type)
        self.sums: dict[str, tuple[Tensor, Tensor]] = {}  # by name: the sum, and the number of images, 0-d each
        for name, (total, images) in (state or {}).items():
            self.sums[name] = total.to(device), torch.tensor(images, device=device)

    def add(self, losses: LossTerms, images: int, good: Tensor | None = None) -> None:
        """Add the losses of a batch of this many images, unless it is not ``good``; a term's mean is over the batches
        that have it."""
        for name, value in {"loss": losses.total, **losses.terms}.items():
            if name not in self.sums:
                zero = torch.zeros((), dtype=self.dtype, device=self.device)
                self.sums[name] = zero, torch.zeros((), dtype=torch.int64, device=self.device)
            total, count = self.sums[name]
            added = value.detach().float().to(self.dtype) * images
            total += added if good is None else torch.where(good, added, 0.0)
            count += images if good is None else images * good

    def result(self) -> dict[str, float]:
        """The means by name, ``loss`` first."""
        found = self.state()
        return {name: float(total) / images for name, (total, images) in found.items()}

    def state(self) -> dict[str, tuple[Tensor, int]]:
        """Sums and numbers of images by name, of those that there are any of."""
        if not self.sums:
            return {}
        counts = torch.stack([count for _, count in self.sums.values()]).tolist()
        pairs = zip(self.sums.items(), counts, strict=True)
        return {name: (total.clone(), count) for (name, (total, _)), count in pairs if count}

    def clear(self) -> None:
        """Begin anew, in the same tensors."""
        for total, count in self.sums.values():
            total.zero_()
            count.zero_()
