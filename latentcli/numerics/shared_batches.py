"""A batch that processes share out among them, and what its loss needs of the rows of others.

Each process has contiguous rows of the whole batch. What a loss computes of each image alone, and then averages, needs
nothing of the others: its mean is the mean of all processes' means, weighted by their rows (``weight``). All else is
made of one thing, a sum over processes that gradients pass through (``summed``): each of them gets the sum of the
gradients that all have of it. With ``weight`` times its loss as that of each process, the gradients of a parameter add
up to those of the whole batch's loss. Randomness is drawn for the whole batch, and each takes its rows (``drawn``), so
that a run is the same to rounding with any number of processes.

With one process, and outside of ``sharing``, the rows at hand are the whole batch, and nothing is copied.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

AddUp = Callable[[Tensor], Tensor]
"""The sum of a tensor over all processes, in place; each of them calls it."""


@dataclass(frozen=True)
class _Share:
    """Which rows of a batch each process has, which of these processes this is, and how their sums are made."""

    rows: Sequence[slice]
    number: int
    add_up: AddUp

    @property
    def first(self) -> int:
        """The number of the first row at hand."""
        return int(self.rows[self.number].start)

    @property
    def count(self) -> int:
        """How many rows are at hand."""
        return int(self.rows[self.number].stop) - self.first

    @property
    def total(self) -> int:
        """How many rows all have."""
        return int(self.rows[-1].stop)


_own: "ContextVar[_Share | None]" = ContextVar("own", default=None)


@contextmanager
def sharing(rows: Sequence[slice], number: int, add_up: AddUp) -> Iterator[slice]:
    """Within the block a batch is shared out; the slice of its rows that are at hand.

    Args:
        rows: of each process, one or more, all in their order.
        number: of this one.
        add_up: how they add up.
    """
    token = _own.set(_Share(rows, number, add_up))
    try:
        yield rows[number]
    finally:
        _own.reset(token)


def is_shared() -> bool:
    """Whether other processes have further rows of this batch."""
    return _own.get() is not None


def whole(rows: int) -> int:
    """How many rows there are in the whole batch where so many are at hand; each image may have several."""
    share = _own.get()
    return rows if share is None else rows // share.count * share.total


def weight() -> float:
    """The part of the whole batch that is at hand."""
    share = _own.get()
    return 1.0 if share is None else share.count / share.total


def drawn(draw: Callable[[int], Tensor], rows: int, dim: int = 0) -> Tensor:
    """The part at hand of what is drawn for the whole batch.

    Args:
        draw: draws for this many rows, along the dimension ``dim``.
        rows: at hand; several times as many as images where each has several, all images' first ones before the second.
    """
    return own(draw(whole(rows)), dim)


def noise_like(latents: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise for latents (N, D)."""
    return drawn(
        lambda rows: torch.randn(rows, latents.shape[1], generator=generator, device=latents.device), len(latents)
    )


def own(rows: Tensor, dim: int = 0) -> Tensor:
    """The rows at hand, of those of the whole batch, along the dimension ``dim``."""
    share = _own.get()
    if share is None:
        return rows
    return rows.unflatten(dim, (-1, share.total)).narrow(dim + 1, share.first, share.count).flatten(dim, dim + 1)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, add_up: AddUp) -> Tensor:
        ctx.add_up = add_up
        return add_up(tensor.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.add_up(gradient.clone(memory_format=torch.contiguous_format)), None


def summed(tensor: Tensor) -> Tensor:
    """The sum over processes of what each has of the batch, such as a sum over its rows."""
    share = _own.get()
    if share is None:
        return tensor
    result: Tensor = _Sum.apply(tensor, share.add_up)
    return result


def gathered(rows: Tensor) -> Tensor:
    """The rows of the whole batch, in their order, of those at hand."""
    share = _own.get()
    if share is None:
        return rows
    after = share.total - share.first - share.count
    padding = [0, 0] * (rows.ndim - 1) + [share.first, after]
    padded = F.pad(rows.unflatten(0, (-1, share.count)), padding)  # (several, total, …), zeros where others have theirs
    return summed(padded).flatten(0, 1)


def first() -> int:
    """The number in the whole batch of the first row at hand."""
    share = _own.get()
    return 0 if share is None else share.first


def picked(rows: Tensor, wanted: Tensor) -> Tensor:
    """The rows of the whole batch with these numbers (n,), the same in all processes; those of an image together."""
    share = _own.get()
    if share is None:
        return rows[wanted]
    place = wanted - share.first * (len(rows) // share.count)
    here = ((place >= 0) & (place < len(rows))).reshape(-1, *(1 for _ in rows.shape[1:]))
    return summed(torch.where(here, rows[place.clamp(0, len(rows) - 1)], 0))


def share_statistics(network: nn.Module) -> None:
    """Have batch normalisations of a network, in training, normalise by the whole batch, in place.

    The weights and their names stay as they are. (PyTorch's own ``SyncBatchNorm`` is for CUDA alone.)
    """
    for module in network.modules():
        if type(module) in _SHARING:
            module.__class__ = _SHARING[type(module)]


class _SharedNormalisation(torch.autograd.Function):
    """Batch normalisation (Ioffe & Szegedy 2015, algorithm 1) by the statistics of a whole batch.

    Means and sums of squares are put together as in Chan, Golub & LeVeque 1979, equation 2.1.
    """

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, scale: Tensor, shift: Tensor, eps: float, share: _Share
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Maps (n, C, …), normalised; mean and biased variance (C,) of all of them."""
        dims = [0, *range(2, maps.ndim)]
        found = torch.zeros(len(share.rows), 2, maps.shape[1], device=maps.device)
        found[share.number, 1], found[share.number, 0] = torch.var_mean(maps.float(), dim=dims, correction=0)
        means, variances = share.add_up(found).unbind(dim=1)
        parts = torch.tensor([(each.stop - each.start) / share.total for each in share.rows], device=maps.device)
        parts = parts[:, None]
        mean = (parts * means).sum(dim=0)
        variance = (parts * (variances + (means - mean).square())).sum(dim=0)
        ctx.save_for_backward(maps, scale, mean, (variance + eps).rsqrt())
        ctx.add_up, ctx.total = share.add_up, maps.numel() // maps.shape[1] // share.count * share.total
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(maps, mean, variance, scale, shift, eps=eps), mean, variance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        maps, scale, mean, inverse = ctx.saved_tensors
        dims, shape = [0, *range(2, maps.ndim)], [1, -1] + [1] * (maps.ndim - 2)
        gradient, normal = gradient.float(), (maps.float() - mean.view(shape)) * inverse.view(shape)
        of_shift, of_scale = gradient.sum(dims), (gradient * normal).sum(dims)
        of_all = ctx.add_up(torch.stack([of_shift, of_scale])) / ctx.total
        of_mean, along = (each.view(shape) for each in of_all)
        of_maps = (scale * inverse).view(shape) * (gradient - of_mean - normal * along)
        return of_maps.to(maps.dtype), of_scale, of_shift, None, None


class _Sharing:
    """What a batch normalisation does otherwise while a batch is shared out."""

    def forward(self: Any, maps: Tensor) -> Tensor:
        share = _own.get()
        if share is None or not self.training:
            result: Tensor = super().forward(maps)  # type: ignore[misc]
            return result
        ones = torch.ones(maps.shape[1], device=maps.device)
        scale, shift = (ones, torch.zeros_like(ones)) if self.weight is None else (self.weight, self.bias)
        normal, mean, variance = _SharedNormalisation.apply(maps, scale, shift, self.eps, share)
        if self.running_mean is not None:
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                rate = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean, rate)
                values = whole(maps.numel() // maps.shape[1])
                self.running_var.lerp_(variance * (values / (values - 1)), rate)
        return normal


class _SharingBatchNorm1d(_Sharing, nn.BatchNorm1d):
    pass


class _SharingBatchNorm2d(_Sharing, nn.BatchNorm2d):
    pass


_SHARING: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _SharingBatchNorm1d,
    nn.BatchNorm2d: _SharingBatchNorm2d,
}
