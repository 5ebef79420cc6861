"""The type of numbers that a device multiplies fastest."""

import platform
from functools import cache
from pathlib import Path

import torch


def _processor() -> str:
    """What the system says of it; on Linux with its maker and instruction sets."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()


PROCESSOR = _processor()

AMX = "amx_bf16" in PROCESSOR and torch.backends.mkldnn.is_available()
"""Whether this processor has matrix units, for bfloat16."""


def reduced_precision(device: str, enabled: bool = True) -> torch.autocast:
    """A context for networks in training: bfloat16 products where there are units for them, nothing changed elsewhere.

    That is on CUDA from Ampere on (before, bfloat16 is emulated), and on processors with AMX, where a step of a
    convolutional network takes 0.6 and one of an MLP 0.7 of its time.

    Args:
        device: the type of device that the network is on.
        enabled: whether it is in training at all.
    """
    return torch.autocast(device, torch.bfloat16, enabled=enabled and product_dtype(device) == torch.bfloat16)


def product_dtype(device: str) -> torch.dtype:
    """Of the numbers that this type of device multiplies fastest in training."""
    reduced = (device == "cuda" and _cuda_has_bfloat16()) or (device == "cpu" and AMX)
    return torch.bfloat16 if reduced else torch.float32


@cache
def _cuda_has_bfloat16() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def widest_dtype(device: str) -> torch.dtype:
    """Of numbers that sums are gathered in: float64, which Apple's MPS alone does not have."""
    return torch.float32 if device == "mps" else torch.float64
