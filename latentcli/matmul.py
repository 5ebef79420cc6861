"""Matrix products through oneDNN where PyTorch would take a slower library."""

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import ContextDecorator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def _by_intel() -> bool:
    """Whether the processor is Intel's, for which MKL is made and at least as fast."""
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return "GenuineIntel" in platform.processor()


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weightᵀ + bias in float32, for any strides."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


class _Linear(torch.autograd.Function):
    """``F.linear`` of a float32 batch (N, inputs) and its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.t()) if of_x else None,
            _product(gradient.t(), x.t()) if of_weight else None,
            gradient.sum(dim=0) if of_bias else None,
        )


class FastLinear(TorchFunctionMode, ContextDecorator):
    """Inside this context, or function it decorates, linear layers of any model run through oneDNN on AMD processors.

    PyTorch takes MKL for them, which leaves half of the arithmetic of processors not made by Intel unused: on an
    AMD EPYC with AVX-512, oneDNN is 2 to 2.6 times as fast in the same float32; on an Intel Xeon it is a little
    slower. Elsewhere nothing changes.
    """

    possible = (
        platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
    worthwhile = possible and not _by_intel()

    def __enter__(self) -> "FastLinear":
        if self.worthwhile:
            super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.worthwhile:
            super().__exit__(*exception)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.linear and not kwargs and _plain(*args):
            x, weight, bias = args if len(args) == 3 else (*args, None)
            return _Linear.apply(x, weight, bias)
        return func(*args, **(kwargs or {}))


def _plain(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Whether this is a dense float32 batch of at least one row, on the CPU and outside autocast."""
    return (
        x.dim() == 2 and x.numel() > 0 and not torch.is_autocast_enabled("cpu")
        and all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in (x, weight))
    )  # fmt: skip
