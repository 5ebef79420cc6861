"""The optimiser of all training."""

from collections.abc import Iterable
from inspect import unwrap

import torch
from torch import Tensor


class AdamW(torch.optim.AdamW):
    """``torch.optim.AdamW``, fused where it can be, that leaves PyTorch's compiler alone.

    PyTorch's own methods load the compiler, which nothing here uses, only to have it pass them over: 900 modules, a
    second of a processor, at the start of each training. They are wrapped for that, and ``unwrap`` gives the methods
    themselves, also where they are not. Nor are steps announced to PyTorch's profiler and hooks, which takes a
    quarter of a step of a small network. On CUDA a step can be recorded: the learning rate is a tensor there, which a
    recorded step reads anew.

    Args:
        parameters: all on one device.
        lr: the learning rate; ``set_lr`` changes it.
        weight_decay: decoupled.

    Source: Loshchilov & Hutter 2019.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> None:
        own = list(parameters)
        device = own[0].device
        on_cuda, fused = device.type == "cuda", device.type in ("cpu", "cuda")
        rate = torch.tensor(lr, device=device) if on_cuda else lr
        super().__init__(own, rate, weight_decay=weight_decay, fused=fused, capturable=on_cuda)

    def set_lr(self, lr: float) -> None:
        """Take this learning rate from now on."""
        for group in self.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    load_state_dict = unwrap(torch.optim.AdamW.load_state_dict)
    state_dict = unwrap(torch.optim.AdamW.state_dict)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))
    step.hooked = True  # else PyTorch wraps it in a function that announces it

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; they are never kept as zeros."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
