"""The optimiser of all training."""

from inspect import unwrap

import torch


class AdamW(torch.optim.AdamW):
    """``torch.optim.AdamW`` that leaves PyTorch's compiler alone.

    PyTorch's own methods load the compiler, which nothing here uses, only to have it pass them over: 900 modules, a
    second of a processor, at the start of each training. They are wrapped for that, and ``unwrap`` gives the methods
    themselves, also where they are not.

    Source: Loshchilov & Hutter 2019.
    """

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    load_state_dict = unwrap(torch.optim.AdamW.load_state_dict)
    state_dict = unwrap(torch.optim.AdamW.state_dict)
    zero_grad = unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))
