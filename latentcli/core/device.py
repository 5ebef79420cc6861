"""The device that models run on, chosen in one place and passed down."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from latentcli.core.errors import UsageError

if TYPE_CHECKING:
    import torch

NAMES = ("auto", "cpu", "cuda", "mps")


def resolve(name: str = "auto") -> "torch.device":
    """The torch device of that name; ``auto`` takes CUDA, else Apple's MPS, else the CPU.

    Of several processes on a machine, which torchrun numbers by ``LOCAL_RANK``, each takes a CUDA device of its own.

    Raises:
        UsageError: the name is unknown, or this machine has no such device.
    """
    kind, _, index = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind not in NAMES or (index and not (kind == "cuda" and index.isdigit())):
        raise UsageError(f"unknown device {name!r}", f"expected one of: {', '.join(NAMES)}, cuda:N")
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        kind = next(candidate for candidate in ("cuda", "mps", "cpu") if available[candidate])
    if not available[kind]:
        usable = ", ".join(candidate for candidate, there in available.items() if there)
        raise UsageError(f"no {kind} device on this machine", f"expected one of: auto, {usable}")
    if kind == "cuda" and os.environ.get("WORLD_SIZE", "1") != "1":
        index = index or os.environ.get("LOCAL_RANK", "0")
    if index and int(index) >= torch.cuda.device_count():
        raise UsageError(f"no device {kind}:{index}", f"this machine has {torch.cuda.device_count()} CUDA device(s)")
    return torch.device(f"{kind}:{index}" if index else kind)


def computing(name: str) -> str:
    """``cpu``, where numpy computes, without loading torch; or a device of torch's that has float64. Errors as of
    ``resolve``."""
    if name in ("cpu", "mps"):
        return "cpu"
    device = resolve(name)
    return "cpu" if device.type == "mps" else str(device)


def start(name: str = "auto") -> None:
    """Check the name, as ``resolve``; CUDA, which takes a second or two, begins on a thread, while images are read."""
    import torch

    device = resolve(name)
    if device.type == "cuda" and not torch.cuda.is_initialized():
        threading.Thread(target=torch.zeros, args=(1,), kwargs={"device": device}, daemon=True).start()


@contextmanager
def memory_for(batch_size: int, remedy: str = "take the `device` cpu") -> Iterator[None]:
    """A context in which running out of memory for a batch of images becomes a ``UsageError`` with this remedy."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UsageError("the device's memory is full", f"with batches of {batch_size} images", remedy) from error
