"""The type of numbers that a device multiplies fastest."""

import platform
from functools import cache
from pathlib import Path

import torch

try:
    PROCESSOR = Path("/proc/cpuinfo").read_text()
except OSError:  # not Linux
    PROCESSOR = platform.processor()
"""How the system describes the processor; on Linux with its maker and instruction sets."""

AMX = "amx_bf16" in PROCESSOR and torch.backends.mkldnn.is_available()
"""Whether this processor has matrix units, for bfloat16."""


def reduced_precision(device: str, enabled: bool = True) -> torch.autocast:
    """A context for networks in training: bfloat16 products where the device has units for them, no change elsewhere.

    It has them on CUDA from Ampere on (before, bfloat16 is emulated), and on processors with AMX, where a step of a
    convolutional network takes 0.6 and one of an MLP 0.7 of its time.
    """
    return torch.autocast(device, torch.bfloat16, enabled=enabled and product_dtype(device) == torch.bfloat16)


def product_dtype(device: str) -> torch.dtype:
    """Type of the numbers that this type of device multiplies fastest in training."""
    reduced = (device == "cuda" and _cuda_has_bfloat16()) or (device == "cpu" and AMX)
    return torch.bfloat16 if reduced else torch.float32


@cache
def _cuda_has_bfloat16() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def widest_dtype(device: str) -> torch.dtype:
    """Type of the numbers that sums are gathered in: float64, which Apple's MPS alone does not have."""
    return torch.float32 if device == "mps" else torch.float64
