"""The loss of a whole batch, and its gradients, where processes share the batch out.

Each process goes backward through its part of the loss; then one sum over all of them makes gradients and losses those
of the batch. ``DistributedDataParallel`` would average gradients over processes, which is right for batches of equal
parts alone, hooks into a ``forward`` that no training here calls, and needs a second sum for the losses.

Source: Goyal et al. 2017, section 3: the loss of a batch is normalised by its whole size.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from latentcli.core import processes
from latentcli.models.base import LossTerms, Model
from latentcli.numerics import shared_batches


def shared_out(rows: int) -> AbstractContextManager[slice]:
    """Within the block a batch of so many rows is shared out to all processes; the slice of them that are this one's.

    Where there is one process, or fewer rows than processes, each has all of them, for itself.
    """
    if at_hand(rows) == slice(None):
        return nullcontext(slice(None))
    parts = [processes.share(rows, number) for number in range(processes.count())]
    return shared_batches.sharing(parts, processes.rank(), processes.add_up)


def at_hand(rows: int) -> slice:
    """Which of the rows of a batch ``shared_out`` gives this process."""
    return slice(None) if processes.count() == 1 or rows < processes.count() else processes.share(rows)


def backward(losses: LossTerms, model: Model) -> LossTerms:
    """Leave the gradients of the whole batch's loss with a model's parameters; that loss and its terms.

    Args:
        losses: of the rows at hand.
        model: whose gradients are None.

    Raises:
        ProcessLost: another process has ended.
    """
    if not shared_batches.is_shared():
        losses.total.backward()
        return losses
    (shared_batches.weight() * losses.total).backward()
    return averaged(losses, [weights.grad for weights in model.parameters() if weights.grad is not None])


@torch.no_grad()
def averaged(losses: LossTerms, gradients: Sequence[Tensor] = ()) -> LossTerms:
    """The losses of the whole batch, from those of the rows at hand; gradients are added up in place."""
    if not shared_batches.is_shared():
        return losses
    values = torch.stack([value.detach().float() for value in (losses.total, *losses.terms.values())])
    values = values * shared_batches.weight()
    whole = processes.add_up(torch.cat([values, *(gradient.flatten() for gradient in gradients)]))
    values, *sums = whole.split([len(values), *(gradient.numel() for gradient in gradients)])
    for gradient, summed in zip(gradients, sums, strict=True):
        gradient.copy_(summed.view(gradient.shape))
    total, *terms = values.unbind()
    return LossTerms(total, dict(zip(losses.terms, terms, strict=True)))
