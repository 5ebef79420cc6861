"""Linear layers by the fastest matrix product that PyTorch has on this processor, where its default is slower."""

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import ContextDecorator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from latentcli.numerics.precision import PROCESSOR

Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""x weightᵀ + bias of float32 matrices, of any strides."""

LEAST = 2**20
"""Multiplications of a product from which on another than PyTorch's is taken: a call of oneDNN costs 30 µs and more."""


def _through_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


class _Linear(torch.autograd.Function):
    """``F.linear`` of a float32 batch (N, inputs) and its gradients, by the given product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, product: Product) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.product = product
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        return (
            ctx.product(gradient, weight.t(), None) if of_x else None,
            ctx.product(gradient.t(), x.t(), None) if of_weight else None,
            gradient.sum(dim=0) if of_bias else None,
            None,
        )


class FastLinear(TorchFunctionMode, ContextDecorator):
    """Inside this context, or function it decorates, linear layers of any model run by the processor's best product.

    On AMD processors with AVX-512 that is oneDNN's: PyTorch takes MKL, which may leave half of the arithmetic of those
    not made by Intel unused; on an AMD EPYC oneDNN is 2 to 2.6 times as fast in the same float32, on a later one, which
    MKL knows how to use, 1.0 to 1.3 times. Without AVX-512 it takes 1.1 times as long and more, and elsewhere, as for
    products of fewer than ``LEAST`` multiplications, nothing changes.
    """

    product: Product | None = (
        staticmethod(_through_onednn)
        if platform.machine().lower() in ("x86_64", "amd64") and "GenuineIntel" not in PROCESSOR
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        else None
    )  # fmt: skip

    def __enter__(self) -> "FastLinear":
        if self.product:
            super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.product:
            super().__exit__(*exception)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.linear and not kwargs and self.product:
            x, weight, bias = args if len(args) == 3 else (*args, None)
            plain = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in (x, weight))
            large = x.dim() == 2 and len(x) * weight.numel() >= LEAST
            if plain and large and not torch.is_autocast_enabled("cpu"):
                return _Linear.apply(x, weight, bias, self.product)
        return func(*args, **(kwargs or {}))
